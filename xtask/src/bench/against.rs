//! `cargo xtask bench --against OLD_XTASK`: whether an older build was faster or took less memory.
//!
//! Old and new take turns on each question, and every turn is a process of its own: its peak memory is that of
//! this one piece of work, and where its memory happened to lie is another chance each time. The two measurements
//! of a turn lie seconds apart and make one ratio; who goes first alternates, so that a machine that slows down
//! favors neither.

use super::worker::Worker;
use super::{Answer, BenchArgs, Mode, Net, Request, median};
use anyhow::{Context, Result};
use hw_report::format::duration;
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// A ratio below this is a loss.
const LEAST: f64 = 0.98;
/// How sure an interval is to hold the ratio, where there are turns enough.
const LEVEL: f64 = 0.95;
/// Seconds that a question takes beyond those asked for, before anything is known.
const AROUND: f64 = 1.0;

/// Everything that was found.
#[derive(Debug, Serialize)]
struct Comparison {
    old: PathBuf,
    machine: hw_train::Machine,
    threads: usize,
    turns: usize,
    seconds: f64,
    least: f64,
    rows: Vec<Row>,
    /// Whether no ratio is below `least`, and all could be measured.
    passed: bool,
}

/// One network at one kind of work, by one measure.
#[derive(Debug, Serialize)]
struct Row {
    net: &'static str,
    mode: Mode,
    measure: Measure,
    /// Medians of the turns.
    old: Option<f64>,
    new: Option<f64>,
    ratio: Option<Ratio>,
    /// Why there is no ratio.
    error: Option<String>,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Measure {
    ImagesPerSecond,
    Milliseconds,
    PeakMb,
}

/// How many times as good the new one is: above 1 it is faster or takes less memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Ratio {
    median: f64,
    low: f64,
    high: f64,
    /// How sure the interval from `low` to `high` is to hold the ratio, if turns are independent.
    level: f64,
    turns: usize,
}

pub(crate) fn run(args: &BenchArgs, old: &Path, threads: usize) -> Result<ExitCode> {
    let program = old.canonicalize();
    let programs = Programs {
        old: program.with_context(|| format!("--against {}", old.display()))?,
        new: std::env::current_exe()?,
        threads,
    };
    let questions = questions(args);
    let answers = ask(&programs, &questions, args)?;
    let rows: Vec<Row> = questions
        .iter()
        .zip(&answers)
        .flat_map(|(question, turns)| question.rows(turns))
        .collect();
    let found = Comparison {
        old: old.into(),
        machine: hw_train::Machine::current(),
        threads,
        turns: args.rounds,
        seconds: args.seconds,
        least: LEAST,
        passed: rows.iter().all(Row::passed),
        rows,
    };
    match args.json {
        true => println!("{}", serde_json::to_string(&found)?),
        false => print!("{}", found.text()),
    }
    if let Some(path) = &args.out {
        hw_core::files::write_whole(path, found.markdown().as_bytes())?;
    }
    Ok(match found.passed {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The two builds.
struct Programs {
    old: PathBuf,
    new: PathBuf,
    threads: usize,
}

impl Programs {
    /// One turn: what both say, the old one first if asked for.
    fn turn(&self, request: &Request, old_first: bool) -> Result<Turn> {
        let old = || self.measure("old", &self.old, request);
        let new = || self.measure("new", &self.new, request);
        Ok(match old_first {
            true => Turn {
                old: old()?,
                new: new()?,
            },
            false => {
                let new = new()?;
                Turn { old: old()?, new }
            }
        })
    }

    fn measure(&self, name: &str, program: &Path, request: &Request) -> Result<Answer> {
        let worker = Worker::xtask(name, program, self.threads);
        let answer = worker.and_then(|mut worker| worker.ask(request));
        answer.with_context(|| format!("{} as a worker of bench", program.display()))
    }
}

/// What both said, seconds apart.
#[derive(Clone, Debug)]
struct Turn {
    old: Answer,
    new: Answer,
}

/// What is measured.
struct Question {
    net: &'static Net,
    mode: Mode,
}

fn questions(args: &BenchArgs) -> Vec<Question> {
    let wanted = |mode: &Mode| args.only.is_none_or(|only| only.has(*mode));
    let nets = super::wanted(args, None).into_iter();
    let of = |net| {
        let modes = Mode::ALL.into_iter().filter(wanted);
        modes.map(move |mode| Question { net, mode })
    };
    nets.flat_map(of).collect()
}

/// All turns of all questions: turn by turn through all of them, so that a machine's bad minutes are shared out.
fn ask(programs: &Programs, questions: &[Question], args: &BenchArgs) -> Result<Vec<Vec<Turn>>> {
    let mut answers: Vec<Vec<Turn>> = vec![Vec::new(); questions.len()];
    let mut taken: Vec<Vec<f64>> = vec![Vec::new(); questions.len()];
    for turn in 0..args.rounds {
        for (index, Question { net, mode }) in questions.iter().enumerate() {
            let left = Left::after(&taken, args);
            let (name, mode_name, turns) = (net.name, super::page::mode(*mode), args.rounds);
            eprintln!("turn {}/{turns}: {name}, {mode_name}{left}", turn + 1);
            let started = Instant::now();
            let request = Request {
                net: name.into(),
                mode: *mode,
                seconds: args.seconds,
            };
            answers[index].push(programs.turn(&request, turn % 2 == 0)?);
            taken[index].push(started.elapsed().as_secs_f64());
        }
    }
    Ok(answers)
}

/// Seconds that are left, and whether each question was met once, so that they are known.
struct Left {
    seconds: f64,
    known: bool,
}

impl Left {
    /// Of as many questions as `taken` has entries, which took so long in the turns they had.
    fn after(taken: &[Vec<f64>], args: &BenchArgs) -> Self {
        let usual = |turns: &Vec<f64>| median(turns).unwrap_or(2.0 * (args.seconds + AROUND));
        let left = |turns: &Vec<f64>| (args.rounds - turns.len()) as f64 * usual(turns);
        Self {
            seconds: taken.iter().map(left).sum(),
            known: taken.iter().all(|turns| !turns.is_empty()),
        }
    }
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let about = if self.known { "about" } else { "at least" };
        write!(f, ", {about} {} left", duration(self.seconds))
    }
}

impl Question {
    /// The rate or the time, and the memory.
    fn rows(&self, turns: &[Turn]) -> [Row; 2] {
        let speed = match self.mode {
            Mode::Latency => Measure::Milliseconds,
            _ => Measure::ImagesPerSecond,
        };
        [speed, Measure::PeakMb].map(|measure| self.row(measure, turns))
    }

    fn row(&self, measure: Measure, turns: &[Turn]) -> Row {
        let pairs = turns.iter().filter_map(|turn| {
            let pair = [measure.of(&turn.old)?, measure.of(&turn.new)?];
            pair.iter().all(|value| *value > 0.0).then_some(pair)
        });
        let pairs: Vec<[f64; 2]> = pairs.collect();
        let all = |side: usize| pairs.iter().map(|pair| pair[side]).collect::<Vec<_>>();
        let ratios: Vec<f64> = pairs
            .iter()
            .map(|[old, new]| match measure {
                Measure::ImagesPerSecond => new / old,
                Measure::Milliseconds | Measure::PeakMb => old / new,
            })
            .collect();
        // Some turns without a value are as bad as none: what is left would be a choice.
        let ratio = match pairs.len() == turns.len() {
            true => Ratio::of(&ratios),
            false => None,
        };
        let said = turns.iter().flat_map(|turn| [&turn.old, &turn.new]);
        let error = said.filter_map(|answer| answer.error.clone()).next();
        Row {
            net: self.net.name,
            mode: self.mode,
            measure,
            old: median(&all(0)),
            new: median(&all(1)),
            error: match ratio {
                Some(_) => None,
                None => Some(error.unwrap_or_else(|| "one of the two did not say".into())),
            },
            ratio,
        }
    }
}

impl Measure {
    /// What was measured; the memory of work that failed says nothing.
    fn of(self, answer: &Answer) -> Option<f64> {
        let value = match self {
            Self::ImagesPerSecond => answer.rate,
            Self::Milliseconds => answer.milliseconds,
            Self::PeakMb => answer.peak_mb,
        };
        value.filter(|_| answer.error.is_none())
    }

    fn show(self, value: Option<f64>) -> String {
        let Some(value) = value else {
            return "-".into();
        };
        match self {
            Self::ImagesPerSecond => format!("{value:.0} images/s"),
            Self::Milliseconds => format!("{value:.3} ms"),
            Self::PeakMb => format!("{value:.1} MB"),
        }
    }
}

impl Ratio {
    /// The median of the turns' ratios, with the narrowest interval between two of them that holds the true median
    /// with probability [`LEVEL`] or more, whatever the distribution (by the sign test); of too few turns, all.
    fn of(ratios: &[f64]) -> Option<Self> {
        let mut sorted = ratios.to_vec();
        sorted.sort_by(f64::total_cmp);
        let turns = sorted.len();
        let last = turns.checked_sub(1)?;
        let mut cut = 0;
        while cut + 1 < turns.div_ceil(2) && level(turns, cut + 1) >= LEVEL {
            cut += 1;
        }
        Some(Self {
            median: (sorted[last / 2] + sorted[turns / 2]) / 2.0,
            low: sorted[cut],
            high: sorted[last - cut],
            level: level(turns, cut),
            turns,
        })
    }
}

/// The probability that the true median lies within `turns` independent values without the `cut` smallest and the
/// `cut` largest: that more than `cut` of them, and fewer than all but `cut`, are below it.
fn level(turns: usize, cut: usize) -> f64 {
    let mut share = 0.5f64.powi(turns as i32);
    let mut outside = 0.0;
    for below in 0..=cut {
        outside += share;
        share *= (turns - below) as f64 / (below + 1) as f64;
    }
    (1.0 - 2.0 * outside).max(0.0)
}

impl Row {
    fn passed(&self) -> bool {
        self.ratio.is_some_and(|ratio| ratio.median >= LEAST)
    }

    fn what(&self) -> String {
        let mode = super::page::mode(self.mode);
        match self.measure {
            Measure::PeakMb => format!("{mode}, memory"),
            _ => mode.into(),
        }
    }

    /// Network, work, old, new, ratio.
    fn words(&self) -> [String; 5] {
        let ratio = match &self.ratio {
            Some(Ratio {
                median, low, high, ..
            }) => format!("{median:.3} ({low:.3} to {high:.3})"),
            None => self.error.clone().unwrap_or_default(),
        };
        let [old, new] = [self.old, self.new].map(|value| self.measure.show(value));
        [self.net.into(), self.what(), old, new, ratio]
    }

    /// The row where it did not pass, and whether more turns might show that it does.
    fn loss(&self) -> Option<String> {
        let name = format!("{} {}", self.net, self.what());
        match self.ratio {
            _ if self.passed() => None,
            None => Some(format!("{name} not measured")),
            Some(ratio) => Some(match ratio.high >= LEAST {
                true => format!("{name} {:.3}, within the noise", ratio.median),
                false => format!("{name} {:.3}", ratio.median),
            }),
        }
    }
}

impl Comparison {
    fn text(&self) -> String {
        let mut text = self.conditions() + "\n";
        let head = ["network", "what", "old", "new", "times as good"].map(String::from);
        for [net, what, old, new, ratio] in
            [head].into_iter().chain(self.rows.iter().map(Row::words))
        {
            let _ = writeln!(text, "{net:12} {what:18} {old:>16} {new:>16}   {ratio}");
        }
        text + "\n" + &self.verdict() + "\n"
    }

    fn markdown(&self) -> String {
        let mut text = self.conditions()
            + "\n| network | what | old | new | times as good |\n|---|---|--:|--:|--:|\n";
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", row.words().join(" | "));
        }
        text + "\n" + &self.verdict() + "\n"
    }

    fn conditions(&self) -> String {
        let level = self
            .rows
            .iter()
            .filter_map(|row| row.ratio)
            .map(|ratio| ratio.level);
        let level = level.reduce(f64::min).unwrap_or(0.0);
        format!(
            "{}, {}, {} threads; {} turns of {} s against {}. Ratios are medians of the turns', with the interval that \
             holds them with a probability of {:.1} %; above 1 the new one is faster or takes less memory.\n",
            self.machine.processor,
            self.machine.system,
            self.threads,
            self.turns,
            self.seconds,
            self.old.display(),
            100.0 * level,
        )
    }

    fn verdict(&self) -> String {
        let losses: Vec<String> = self.rows.iter().filter_map(Row::loss).collect();
        match losses.is_empty() {
            true => format!("No ratio is below {LEAST}."),
            false => format!("Below {LEAST}: {}.", losses.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::nets::NETS;
    use super::*;

    fn turn(mode: Mode, [old, new]: [f64; 2], [old_mb, new_mb]: [f64; 2]) -> Turn {
        let answer = |value, peak_mb| Answer {
            rate: (mode != Mode::Latency).then_some(value),
            milliseconds: (mode == Mode::Latency).then_some(value),
            peak_mb: Some(peak_mb),
            ..Answer::default()
        };
        Turn {
            old: answer(old, old_mb),
            new: answer(new, new_mb),
        }
    }

    fn rows(mode: Mode, turns: &[Turn]) -> [Row; 2] {
        let net = &NETS[0];
        Question { net, mode }.rows(turns)
    }

    #[test]
    fn a_ratio_above_one_is_a_higher_rate_a_shorter_time_or_less_memory() {
        let [rate, memory] = rows(
            Mode::Train,
            &[turn(Mode::Train, [100.0, 150.0], [60.0, 40.0])],
        );
        assert_eq!(rate.ratio.unwrap().median, 1.5);
        assert_eq!(memory.ratio.unwrap().median, 1.5);
        assert_eq!((memory.old, memory.new), (Some(60.0), Some(40.0)));
        let [time, _] = rows(
            Mode::Latency,
            &[turn(Mode::Latency, [3.0, 2.0], [1.0, 1.0])],
        );
        assert_eq!(time.ratio.unwrap().median, 1.5);
        assert_eq!(time.measure, Measure::Milliseconds);
    }

    #[test]
    fn each_turn_is_compared_with_itself_so_a_machine_that_slows_down_changes_nothing() {
        let slowing = [1.0, 0.5, 0.25, 0.125].map(|speed| {
            let rates = [100.0 * speed, 99.0 * speed];
            turn(Mode::Infer, rates, [1.0, 1.0])
        });
        let [rate, _] = rows(Mode::Infer, &slowing);
        let ratio = rate.ratio.unwrap();
        assert!(
            [ratio.median, ratio.low, ratio.high]
                .iter()
                .all(|r| (r - 0.99).abs() < 1e-12)
        );
        assert!(rate.passed());
    }

    #[test]
    fn the_interval_leaves_out_as_many_turns_as_the_sign_test_allows() {
        let of = |turns: usize| {
            let ratios: Vec<f64> = (1..=turns).rev().map(|at| at as f64).collect();
            Ratio::of(&ratios).unwrap()
        };
        assert_eq!(Ratio::of(&[]), None);
        let one = of(1);
        assert_eq!(
            (one.median, one.low, one.high, one.level),
            (1.0, 1.0, 1.0, 0.0)
        );
        // Too few for 95 %: all of them, and what they are worth.
        assert_eq!(
            (of(5).low, of(5).high, of(5).level),
            (1.0, 5.0, 1.0 - 2.0 / 32.0)
        );
        // The tables of order statistics: 2nd to 9th of 10 (97.9 %), 6th to 15th of 20 (95.9 %).
        let ten = of(10);
        assert_eq!((ten.median, ten.low, ten.high), (5.5, 2.0, 9.0));
        assert!((ten.level - 0.978_5).abs() < 1e-4, "{}", ten.level);
        let twenty = of(20);
        assert_eq!((twenty.low, twenty.high), (6.0, 15.0));
        assert!((twenty.level - 0.958_6).abs() < 1e-4, "{}", twenty.level);
    }

    #[test]
    fn a_median_below_the_limit_is_a_loss_and_says_whether_it_may_be_noise() {
        let rates = |rates: [f64; 6]| {
            let turns = rates.map(|rate| turn(Mode::Train, [100.0, rate], [1.0, 1.0]));
            let [rate, memory] = rows(Mode::Train, &turns);
            assert!(memory.passed());
            rate.loss()
        };
        assert_eq!(rates([98.0; 6]), None);
        assert_eq!(rates([97.0; 6]).as_deref(), Some("lenet5 training 0.970"));
        let noisy = rates([90.0, 95.0, 97.0, 97.0, 99.0, 103.0]);
        assert_eq!(
            noisy.as_deref(),
            Some("lenet5 training 0.970, within the noise")
        );
    }

    #[test]
    fn what_one_of_them_could_not_measure_is_not_passed_and_says_why() {
        let mut turns = vec![turn(Mode::Train, [1.0, 1.0], [1.0, 1.0]); 3];
        turns[1].new = Answer {
            error: Some("cannot be planned".into()),
            peak_mb: Some(0.1),
            ..Answer::default()
        };
        let [rate, memory] = rows(Mode::Train, &turns);
        assert!(!rate.passed() && !memory.passed());
        assert_eq!(rate.words()[4], "cannot be planned");
        assert_eq!(rate.loss().as_deref(), Some("lenet5 training not measured"));
    }
}
