//! `hw sweep --list`: what would run, and for how long.

use super::plan::{Sweep, label};
use crate::crew::Workers;
use hw_report::format::duration;
use hw_train::TrainConfig;

/// Prints the trials of the first rung, the rungs after it, and the time of all; `seconds` estimates a run.
pub(crate) fn list(sweep: &Sweep, workers: Workers, seconds: &dyn Fn(&TrainConfig) -> f64) {
    let seeds = &sweep.seeds;
    let of_trial = |trial: usize, rung: usize| -> f64 {
        let runs = seeds.iter().map(|&seed| sweep.config(trial, rung, seed));
        runs.map(|config| seconds(&config)).sum()
    };
    println!("{:>5}  {:>8}  settings", "trial", "about");
    let mut first = 0.0;
    for (trial, point) in sweep.trials.iter().enumerate() {
        let time = of_trial(trial, 0);
        first += time;
        println!(
            "{:>5}  {:>8}  {}",
            trial + 1,
            duration(time),
            label(&point.settings)
        );
    }
    println!();
    let mut all = 0.0;
    let mut tell = |what: String, runs: usize, epochs: usize, time: f64| {
        all += time;
        println!(
            "{what}: {runs} runs of {epochs} epochs, about {}",
            duration(time)
        );
    };
    // Which trials go on is not known, so an average one stands for each.
    for (rung, stage) in sweep.rungs.iter().enumerate() {
        let time = match rung {
            0 => first,
            _ => {
                (0..sweep.trials.len())
                    .map(|trial| of_trial(trial, rung))
                    .sum::<f64>()
                    / sweep.trials.len() as f64
                    * stage.trials as f64
            }
        };
        let what = match sweep.rungs.len() {
            1 => "search".into(),
            _ => format!("rung {}, {} trials", rung + 1, stage.trials),
        };
        tell(what, sweep.runs_of(rung), stage.epochs, time);
    }
    let finals = sweep
        .final_seeds
        .iter()
        .map(|&seed| seconds(&sweep.final_config(0, seed)));
    let last = sweep.rungs.last().map_or(0, |rung| rung.epochs);
    tell(
        "the winner, tested".into(),
        sweep.final_seeds.len(),
        last,
        finals.sum(),
    );
    println!(
        "in all about {} ({} runs at a time); {}, by {}",
        duration(all / workers.count as f64),
        workers.count,
        sweep.method,
        sweep.select.title(),
    );
}
