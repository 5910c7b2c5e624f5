//! What follows from the results so far: who goes on, who has won, and what is to be run next. Nothing
//! here runs, so that every worker with the same results decides the same.

use super::plan::{Select, Sweep};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What a run of a sweep is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Purpose {
    /// To find the best trial, by validation.
    Search {
        rung: usize,
        trial: usize,
        seed: u64,
    },
    /// To say how good the winner is, on the test set.
    Final { trial: usize, seed: u64 },
}

/// The validation score of the weights that a run keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scores {
    pub(crate) accuracy: f64,
    pub(crate) loss: f64,
}

impl Scores {
    /// The score that decides, greater is better.
    fn merit(self, select: Select) -> f64 {
        match select {
            Select::ValAccuracy => self.accuracy,
            Select::ValLoss => -self.loss,
        }
    }

    /// The score that decides.
    pub(crate) fn of(self, select: Select) -> f64 {
        match select {
            Select::ValAccuracy => self.accuracy,
            Select::ValLoss => self.loss,
        }
    }
}

/// The runs that are over: their scores, or `None` for those that failed.
pub(crate) type Over = BTreeMap<Purpose, Option<Scores>>;

/// How far a sweep is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Standing {
    /// The trials of each rung that began, best first; those without a score come last.
    pub(crate) rungs: Vec<Vec<usize>>,
    /// The trial that is best, once the last rung is over and any of it could be scored.
    pub(crate) winner: Option<usize>,
    /// What is to be run now.
    pub(crate) open: Vec<Purpose>,
}

/// What follows from the runs that are over.
pub(crate) fn standing(sweep: &Sweep, over: &Over) -> Standing {
    let mut standing = Standing::default();
    let mut entrants: Vec<usize> = (0..sweep.trials.len()).collect();
    for rung in 0..sweep.rungs.len() {
        let runs = entrants.iter().flat_map(|&trial| {
            let seeds = sweep.seeds.iter();
            seeds.map(move |&seed| Purpose::Search { rung, trial, seed })
        });
        standing.open = runs.filter(|run| !over.contains_key(run)).collect();
        let ranked = rank(sweep, over, rung, &entrants);
        if !standing.open.is_empty() {
            standing.rungs.push(ranked);
            return standing;
        }
        let scored = ranked.iter().copied();
        let scored = scored.filter(|&trial| mean(sweep, over, rung, trial).is_some());
        let next = sweep.rungs.get(rung + 1).map_or(1, |next| next.trials);
        let mut best: Vec<usize> = scored.take(next).collect();
        standing.rungs.push(ranked);
        if rung + 1 == sweep.rungs.len() {
            standing.winner = best.first().copied();
        }
        best.sort_unstable();
        entrants = best;
    }
    if let Some(trial) = standing.winner {
        let seeds = sweep.final_seeds.iter();
        let runs = seeds.map(|&seed| Purpose::Final { trial, seed });
        standing.open = runs.filter(|run| !over.contains_key(run)).collect();
    }
    standing
}

/// Trials by their mean score, best first; of equals the earlier one, and last those of which a run
/// failed.
fn rank(sweep: &Sweep, over: &Over, rung: usize, trials: &[usize]) -> Vec<usize> {
    let mut ranked: Vec<(usize, Option<f64>)> = trials
        .iter()
        .map(|&trial| (trial, mean(sweep, over, rung, trial)))
        .collect();
    ranked.sort_by(|a, b| match (a.1, b.1) {
        (Some(first), Some(second)) => second.total_cmp(&first),
        (first, second) => match first.is_some().cmp(&second.is_some()) {
            Ordering::Equal => Ordering::Equal,
            order => order.reverse(),
        },
    });
    ranked.into_iter().map(|(trial, _)| trial).collect()
}

/// Mean merit over the seeds; `None` if a run failed or its score is no number.
fn mean(sweep: &Sweep, over: &Over, rung: usize, trial: usize) -> Option<f64> {
    let merits = sweep.seeds.iter().map(|&seed| {
        let scores = over.get(&Purpose::Search { rung, trial, seed })?;
        let merit = (*scores)?.merit(sweep.select);
        merit.is_finite().then_some(merit)
    });
    let merits: Vec<f64> = merits.collect::<Option<_>>()?;
    Some(merits.iter().sum::<f64>() / merits.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::parse;
    use super::*;

    /// Runs everything that is open, each with what `score` gives, until nothing is; how many runs each
    /// step had.
    fn play(
        sweep: &Sweep,
        score: impl Fn(usize, usize, u64) -> Option<Scores>,
    ) -> (Standing, Vec<usize>) {
        let (mut over, mut steps) = (Over::new(), Vec::new());
        loop {
            let now = standing(sweep, &over);
            if now.open.is_empty() {
                return (now, steps);
            }
            steps.push(now.open.len());
            for run in now.open {
                let scores = match run {
                    Purpose::Search { rung, trial, seed } => score(rung, trial, seed),
                    Purpose::Final { .. } => None,
                };
                over.insert(run, scores);
            }
        }
    }

    fn accurate(accuracy: f64) -> Option<Scores> {
        let loss = 1.0;
        Some(Scores { accuracy, loss })
    }

    #[test]
    fn the_best_mean_over_seeds_wins_and_alone_sees_the_test_set() {
        let sweep = parse("seeds = [1, 2]").unwrap();
        // Trial 2 has the best single run, trial 4 the best mean.
        let score = |_, trial, seed| match (trial, seed) {
            (2, 1) => accurate(0.95),
            (4, _) => accurate(0.9),
            _ => accurate(0.8),
        };
        let (end, steps) = play(&sweep, score);
        assert_eq!(end.winner, Some(4));
        assert_eq!(end.rungs, [[4, 2, 0, 1, 3, 5]]);
        assert_eq!(steps, [12, 3], "six trials of two seeds, then three seeds");
    }

    #[test]
    fn of_equals_the_earlier_trial_wins_and_a_lower_loss_is_better() {
        let (end, _) = play(&parse("").unwrap(), |_, _, _| accurate(0.5));
        assert_eq!(end.winner, Some(0));
        let by_loss = parse("select = \"val_loss\"").unwrap();
        let (end, _) = play(&by_loss, |_, trial, _| {
            let loss = if trial == 3 { 0.1 } else { 0.2 };
            let accuracy = trial as f64;
            Some(Scores { accuracy, loss })
        });
        assert_eq!(end.winner, Some(3));
    }

    #[test]
    fn each_rung_lets_the_best_go_on() {
        let sweep = parse("method = \"halving\"\nstart_epochs = 1\neta = 3").unwrap();
        // Trial 5 starts well, and trial 1 is better with more epochs.
        let score = |rung, trial, _| match (rung, trial) {
            (0, 5) => accurate(0.9),
            (_, 1) => accurate(0.8),
            _ => accurate(0.1),
        };
        let (end, steps) = play(&sweep, score);
        assert_eq!(end.rungs, [vec![5, 1, 0, 2, 3, 4], vec![1, 5], vec![1]]);
        assert_eq!((end.winner, steps), (Some(1), vec![6, 2, 1, 3]));
    }

    #[test]
    fn a_trial_that_diverges_comes_last_and_one_alone_still_wins() {
        let sweep = parse("seeds = [1, 2]").unwrap();
        let diverged = Some(Scores {
            accuracy: f64::NAN,
            loss: f64::NAN,
        });
        let (end, _) = play(&sweep, |_, trial, seed| match (trial, seed) {
            (0, 2) => None,
            (1, 1) => diverged,
            (3, _) => accurate(0.1),
            _ => None,
        });
        assert_eq!((end.winner, end.rungs[0][0]), (Some(3), 3));
        // No trial could be scored: nothing goes to the test set.
        let (end, steps) = play(&sweep, |_, _, _| None);
        assert_eq!((end.winner, steps), (None, vec![12]));
        let halving = parse("method = \"halving\"\nstart_epochs = 1").unwrap();
        let (end, steps) = play(&halving, |_, _, _| None);
        assert_eq!((end.winner, steps), (None, vec![6]));
    }

    #[test]
    fn the_order_in_which_runs_end_decides_nothing() {
        let sweep = parse("method = \"halving\"\nstart_epochs = 1\neta = 3").unwrap();
        let mut forwards = Over::new();
        let open = standing(&sweep, &forwards).open;
        for (index, &run) in open.iter().enumerate() {
            forwards.insert(run, accurate(index as f64 / 10.0));
            let more = standing(&sweep, &forwards).open;
            assert!(!more.is_empty());
        }
        let mut backwards = Over::new();
        for (index, &run) in open.iter().enumerate().rev() {
            backwards.insert(run, accurate(index as f64 / 10.0));
        }
        assert_eq!(standing(&sweep, &forwards), standing(&sweep, &backwards));
        assert_eq!(standing(&sweep, &forwards).rungs[1], [4, 5]);
    }
}
