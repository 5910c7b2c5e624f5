//! The simulation: workers that take the longest run that is ready, save every minute, and may fail.

use super::work::Work;
use hw_core::Rng;
use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};

/// A run saves a checkpoint about so often.
const CHECKPOINT: f64 = 60.0;
/// A run that goes on elsewhere reads its data and its checkpoint first.
const RESUME: f64 = 10.0;
/// Other workers wait so long before they take over the run of a silent one.
const TAKEOVER: f64 = 120.0;
/// A failed worker comes back after so long.
const RESTART: f64 = 600.0;

/// How workers behave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Assumptions {
    /// Mean seconds between two failures of one worker.
    pub(super) between_failures: Option<f64>,
    /// Share of workers that are slow.
    pub(super) stragglers: f64,
    /// How many times as long they take.
    pub(super) slowdown: f64,
    /// What failures and slow workers are drawn from.
    pub(super) seed: u64,
}

impl Assumptions {
    /// Whether anything is left to chance.
    pub(super) fn are_drawn(&self) -> bool {
        self.between_failures.is_some() || self.stragglers > 0.0
    }
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            between_failures: None,
            stragglers: 0.0,
            slowdown: 1.0,
            seed: 1,
        }
    }
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) workers: usize,
    /// Seconds until the last run is over.
    pub(super) makespan: f64,
    /// Seconds that workers worked, all together.
    pub(super) busy: f64,
    /// Seconds of them that failures cost: work since the last checkpoint, and reading it.
    pub(super) lost: f64,
    pub(super) failures: usize,
    /// The runs that the end waited for, in order: each started as soon as the one before was over.
    pub(super) chain: Vec<usize>,
    /// Whether the first of the chain had to wait for a worker: then more workers help.
    pub(super) short_of_workers: bool,
}

impl Outcome {
    /// Share of the workers' time that they worked.
    pub(super) fn utilization(&self) -> f64 {
        match self.makespan > 0.0 {
            true => self.busy / (self.makespan * self.workers as f64),
            false => 0.0,
        }
    }
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// A worker ends its run, unless it has failed since: then the number of its attempt is an old one.
    End { worker: usize, attempt: u64 },
    /// A worker fails.
    Failure { worker: usize },
    /// A failed worker is back.
    Back { worker: usize },
    /// The run of a failed worker may be taken over.
    Ready { piece: usize },
}

/// When something happens; the first is the greatest, and of two at the same time the one that was known first.
#[derive(Clone, Copy, Debug)]
struct Event {
    time: f64,
    order: u64,
    happening: Happening,
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        let time = other.time.total_cmp(&self.time);
        time.then(other.order.cmp(&self.order))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}

struct Worker {
    /// Seconds of work in a second.
    speed: f64,
    /// What its failures are drawn from.
    failures: Rng,
    /// Counts what it started, so that the end of a run that failed is known to be none.
    attempt: u64,
    run: Option<Run>,
}

/// A run on a worker.
#[derive(Clone, Copy)]
struct Run {
    piece: usize,
    started: f64,
    /// Seconds before it goes on where a failed worker left it.
    resume: f64,
}

/// How far a piece is.
#[derive(Clone)]
struct State {
    /// Seconds of work that are left.
    left: f64,
    /// Needs that are not over yet.
    open: usize,
    /// When it could start, and the piece whose end let it.
    ready: f64,
    after: Option<usize>,
    /// When it did start.
    started: Option<f64>,
}

struct Machine<'a> {
    work: &'a Work,
    assumptions: &'a Assumptions,
    workers: Vec<Worker>,
    idle: BTreeSet<usize>,
    /// Which of the idle workers asks first.
    turns: Rng,
    states: Vec<State>,
    /// What waits for each piece.
    followers: Vec<Vec<usize>>,
    /// Pieces that are ready, by how early they come.
    ready: BTreeSet<(Longest, usize)>,
    /// Pieces that are not over, by round.
    open: Vec<usize>,
    round: usize,
    events: BinaryHeap<Event>,
    order: u64,
    outcome: Outcome,
    last: Option<usize>,
}

/// Orders seconds, the most first.
#[derive(Clone, Copy, PartialEq)]
struct Longest(f64);

impl Eq for Longest {}

impl Ord for Longest {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.total_cmp(&self.0)
    }
}

impl PartialOrd for Longest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Works through everything with so many workers, at least one.
pub(super) fn simulate(work: &Work, workers: usize, assumptions: &Assumptions) -> Outcome {
    let mut machine = Machine::new(work, workers, assumptions);
    machine.open_round(0.0, None);
    machine.dispatch(0.0);
    while machine.open.iter().any(|&open| open > 0) {
        let event = machine.events.pop().expect("what is open is under way");
        machine.happen(event);
        machine.dispatch(event.time);
    }
    machine.finish()
}

impl<'a> Machine<'a> {
    fn new(work: &'a Work, count: usize, assumptions: &'a Assumptions) -> Self {
        let mut followers = vec![Vec::new(); work.pieces.len()];
        let rounds = work.pieces.last().map_or(0, |piece| piece.round + 1);
        let mut open = vec![0; rounds];
        for (index, piece) in work.pieces.iter().enumerate() {
            open[piece.round] += 1;
            for &need in &piece.needs {
                followers[need].push(index);
            }
        }
        let states = work.pieces.iter().map(|piece| State {
            left: piece.seconds,
            open: piece.needs.len(),
            ready: 0.0,
            after: None,
            started: None,
        });
        let mut machine = Self {
            work,
            assumptions,
            workers: Vec::new(),
            idle: (0..count).collect(),
            turns: Rng::stream(assumptions.seed, "simulate-turn", 0),
            states: states.collect(),
            followers,
            ready: BTreeSet::new(),
            open,
            round: 0,
            events: BinaryHeap::new(),
            order: 0,
            outcome: Outcome {
                workers: count,
                makespan: 0.0,
                busy: 0.0,
                lost: 0.0,
                failures: 0,
                chain: Vec::new(),
                short_of_workers: false,
            },
            last: None,
        };
        for index in 0..count {
            machine.hire(index);
        }
        machine
    }

    fn hire(&mut self, index: usize) {
        let Assumptions {
            stragglers,
            slowdown,
            seed,
            ..
        } = *self.assumptions;
        let slow = Rng::stream(seed, "simulate-straggler", index as u64).uniform_f64() < stragglers;
        self.workers.push(Worker {
            speed: if slow { 1.0 / slowdown } else { 1.0 },
            failures: Rng::stream(seed, "simulate-failure", index as u64),
            attempt: 0,
            run: None,
        });
        self.plan_failure(index, 0.0);
    }

    fn plan_failure(&mut self, worker: usize, now: f64) {
        if let Some(mean) = self.assumptions.between_failures {
            let uniform = self.workers[worker].failures.uniform_f64();
            let time = now - (1.0 - uniform).ln() * mean;
            self.plan(time, Happening::Failure { worker });
        }
    }

    fn plan(&mut self, time: f64, happening: Happening) {
        let order = self.order;
        self.order += 1;
        self.events.push(Event {
            time,
            order,
            happening,
        });
    }

    /// Makes the pieces of the round ready that need nothing else, and goes on to the next where there are none.
    fn open_round(&mut self, now: f64, after: Option<usize>) {
        while self.open.get(self.round) == Some(&0) {
            self.round += 1;
        }
        for index in 0..self.states.len() {
            if self.work.pieces[index].round == self.round && self.states[index].open == 0 {
                self.make_ready(index, now, after);
            }
        }
    }

    fn make_ready(&mut self, piece: usize, now: f64, after: Option<usize>) {
        let state = &mut self.states[piece];
        if state.started.is_none() {
            (state.ready, state.after) = (now, after);
        }
        let seconds = self.work.pieces[piece].seconds;
        self.ready.insert((Longest(seconds), piece));
    }

    /// Gives the longest ready pieces to idle workers.
    fn dispatch(&mut self, now: f64) {
        while !self.idle.is_empty() && !self.ready.is_empty() {
            let turn = self.turns.below(self.idle.len());
            let worker = *self.idle.iter().nth(turn).expect("one is idle");
            self.idle.remove(&worker);
            let (_, piece) = self.ready.pop_first().expect("one is ready");
            let state = &mut self.states[piece];
            let resume = if state.started.is_some() { RESUME } else { 0.0 };
            state.started.get_or_insert(now);
            let takes = resume + state.left / self.workers[worker].speed;
            self.workers[worker].run = Some(Run {
                piece,
                started: now,
                resume,
            });
            self.workers[worker].attempt += 1;
            let attempt = self.workers[worker].attempt;
            self.plan(now + takes, Happening::End { worker, attempt });
        }
    }

    fn happen(&mut self, event: Event) {
        let now = event.time;
        match event.happening {
            Happening::End { worker, attempt } if self.workers[worker].attempt == attempt => {
                self.end(worker, now);
            }
            Happening::End { .. } => {}
            Happening::Failure { worker } => self.fail(worker, now),
            Happening::Back { worker } => {
                self.idle.insert(worker);
                self.plan_failure(worker, now);
            }
            Happening::Ready { piece } => self.make_ready(piece, now, None),
        }
    }

    fn end(&mut self, worker: usize, now: f64) {
        let run = self.workers[worker].run.take().expect("it had a run");
        self.idle.insert(worker);
        self.outcome.busy += now - run.started;
        self.outcome.lost += run.resume;
        self.outcome.makespan = now;
        self.last = Some(run.piece);
        let round = self.work.pieces[run.piece].round;
        self.open[round] -= 1;
        for follower in std::mem::take(&mut self.followers[run.piece]) {
            self.states[follower].open -= 1;
            if self.states[follower].open == 0 && self.work.pieces[follower].round == self.round {
                self.make_ready(follower, now, Some(run.piece));
            }
        }
        if self.open[round] == 0 {
            self.open_round(now, Some(run.piece));
        }
    }

    /// What was done since the last checkpoint is lost; the rest goes on elsewhere.
    fn fail(&mut self, worker: usize, now: f64) {
        self.idle.remove(&worker);
        self.outcome.failures += 1;
        if let Some(run) = self.workers[worker].run.take() {
            self.workers[worker].attempt += 1;
            let spent = now - run.started;
            let trained = (spent - run.resume).max(0.0);
            let kept = (trained / CHECKPOINT).floor() * CHECKPOINT;
            self.states[run.piece].left -= kept * self.workers[worker].speed;
            self.outcome.busy += spent;
            self.outcome.lost += spent - kept;
            self.plan(now + TAKEOVER, Happening::Ready { piece: run.piece });
        }
        self.plan(now + RESTART, Happening::Back { worker });
    }

    /// Follows the end back through what each run waited for.
    fn finish(mut self) -> Outcome {
        let mut next = self.last;
        while let Some(piece) = next {
            self.outcome.chain.push(piece);
            let state = &self.states[piece];
            self.outcome.short_of_workers = state.started > Some(state.ready);
            next = match self.outcome.short_of_workers {
                true => None,
                false => state.after,
            };
        }
        self.outcome.chain.reverse();
        self.outcome
    }
}

#[cfg(test)]
mod tests {
    use super::super::work::Piece;
    use super::*;

    const NO_TROUBLE: Assumptions = Assumptions {
        between_failures: None,
        stragglers: 0.0,
        slowdown: 1.0,
        seed: 1,
    };

    fn work(pieces: &[(f64, &[usize], usize)]) -> Work {
        let pieces = pieces.iter().map(|&(seconds, needs, round)| Piece {
            name: String::new(),
            seconds,
            needs: needs.to_vec(),
            round,
        });
        Work {
            pieces: pieces.collect(),
        }
    }

    /// Any number of pieces up to 40, in up to three rounds, each with up to three needs.
    fn any(seed: u64) -> Work {
        let mut rng = Rng::stream(seed, "any-work", 0);
        let count = 1 + rng.below(40);
        let rounds = 1 + rng.below(3);
        let pieces = (0..count).map(|index| {
            let needs = (0..rng.below(4)).filter(|_| index > 0);
            let needs: BTreeSet<usize> =
                needs.map(|k| (index * 7 + k * 13) % index.max(1)).collect();
            Piece {
                name: String::new(),
                seconds: (rng.uniform_f64() * 8.0).exp2() * 60.0,
                needs: needs.into_iter().collect(),
                round: index * rounds / count,
            }
        });
        Work {
            pieces: pieces.collect(),
        }
    }

    #[test]
    fn the_longest_run_that_is_ready_goes_first() {
        // Two workers: 5 and 4 start; then the 3 that waited; 2 needs the 4.
        let work = work(&[(3.0, &[], 0), (4.0, &[], 0), (5.0, &[], 0), (2.0, &[1], 0)]);
        let outcome = simulate(&work, 2, &NO_TROUBLE);
        assert_eq!((outcome.makespan, outcome.busy), (7.0, 14.0));
        assert_eq!(outcome.utilization(), 1.0);
        assert!(outcome.short_of_workers);
        // With three, the chain of 4 and 2 is what takes longest.
        let outcome = simulate(&work, 3, &NO_TROUBLE);
        assert_eq!(outcome.makespan, 6.0);
        assert_eq!(
            (outcome.chain, outcome.short_of_workers),
            (vec![1, 3], false)
        );
    }

    #[test]
    fn a_round_waits_for_all_of_the_one_before() {
        let work = work(&[(1.0, &[], 0), (9.0, &[], 0), (2.0, &[0], 1), (1.0, &[], 2)]);
        let outcome = simulate(&work, 8, &NO_TROUBLE);
        assert_eq!((outcome.makespan, outcome.chain), (12.0, vec![1, 2, 3]));
        assert_eq!(work.longest_chain(), 12.0);
    }

    #[test]
    fn one_worker_takes_the_sum() {
        for seed in 0..100 {
            let work = any(seed);
            let outcome = simulate(&work, 1, &NO_TROUBLE);
            let share = outcome.makespan / work.seconds();
            assert!((share - 1.0).abs() < 1e-9, "seed {seed}: {share}");
            assert!((outcome.utilization() - 1.0).abs() < 1e-9);
        }
    }

    /// More workers may take longer, now and then (Graham's anomalies), but never beyond these bounds.
    #[test]
    fn no_schedule_is_below_the_longest_chain_or_beyond_grahams_bound() {
        for seed in 0..400 {
            let (work, workers) = (any(seed), 1 + (seed as usize % 12));
            let [chain, share] = [work.longest_chain(), work.seconds() / workers as f64];
            let makespan = simulate(&work, workers, &NO_TROUBLE).makespan;
            assert!(makespan >= chain.max(share) * (1.0 - 1e-9), "seed {seed}");
            let graham = share + (1.0 - 1.0 / workers as f64) * chain;
            assert!(
                makespan <= graham * (1.0 + 1e-9),
                "seed {seed}: {makespan} {graham}"
            );
            let enough = simulate(&work, work.pieces.len(), &NO_TROUBLE);
            assert!(
                (enough.makespan - chain).abs() < 1e-6 * chain,
                "seed {seed}"
            );
            let sum: f64 = enough
                .chain
                .iter()
                .map(|&piece| work.pieces[piece].seconds)
                .sum();
            assert!((sum - chain).abs() < 1e-6 * chain && !enough.short_of_workers);
        }
    }

    #[test]
    fn a_failure_costs_a_minute_of_work_a_takeover_and_a_restart_at_most() {
        let mut failed = 0;
        for seed in 0..200 {
            let (work, workers) = (any(seed), 1 + (seed as usize % 5));
            let troubled = Assumptions {
                between_failures: Some(3600.0),
                seed,
                ..NO_TROUBLE
            };
            let outcome = simulate(&work, workers, &troubled);
            let extra = outcome.busy - work.seconds() - outcome.lost;
            assert!(extra.abs() < 1e-6 * outcome.busy, "seed {seed}: {extra}");
            let most = outcome.failures as f64 * (CHECKPOINT + 2.0 * RESUME);
            assert!(outcome.lost <= most, "seed {seed}");
            assert!(outcome.makespan >= work.longest_chain() * (1.0 - 1e-9));
            assert_eq!(
                outcome,
                simulate(&work, workers, &troubled),
                "the same seed"
            );
            failed += outcome.failures;
        }
        assert!(failed > 100);
        let hour = work(&[(3600.0, &[], 0)]);
        let once = |seed| {
            let troubled = Assumptions {
                between_failures: Some(7200.0),
                seed,
                ..NO_TROUBLE
            };
            simulate(&hour, 2, &troubled)
        };
        let once = (1..)
            .map(once)
            .find(|outcome| outcome.failures == 1 && outcome.lost > 0.0);
        let took = once.unwrap().makespan - 3600.0;
        assert!(
            (TAKEOVER + RESUME..=TAKEOVER + RESUME + CHECKPOINT).contains(&took),
            "{took}"
        );
    }

    #[test]
    fn slow_workers_take_their_factor_longer() {
        let work = any(5);
        let slow = Assumptions {
            stragglers: 1.0,
            slowdown: 3.0,
            ..NO_TROUBLE
        };
        let [usual, slow] = [NO_TROUBLE, slow].map(|how| simulate(&work, 3, &how).makespan);
        assert!((slow / usual - 3.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_to_do_takes_no_time() {
        let outcome = simulate(&work(&[]), 4, &NO_TROUBLE);
        assert_eq!((outcome.makespan, outcome.utilization()), (0.0, 0.0));
    }
}
