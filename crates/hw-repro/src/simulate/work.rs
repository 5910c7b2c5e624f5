//! What is to be done: pieces of work with their durations and what each must wait for.

use crate::estimate::Estimator;
use crate::jobs::Job;
use hw_core::Rng;
use hw_train::TrainConfig;
use std::collections::HashMap;

/// More work that splitting a run costs: its parts exchange gradients at each step.
const EXCHANGE: f64 = 1.1;

/// One training.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) name: String,
    pub(super) seconds: f64,
    /// Pieces that must be over before.
    pub(super) needs: Vec<usize>,
    /// Pieces of a round begin when all of the rounds before are over.
    pub(super) round: usize,
}

/// All pieces, each after those that it needs, rounds in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    pub(super) pieces: Vec<Piece>,
}

impl Work {
    /// The runs of a plan: `first` seeds of each job at once; a share of the jobs, drawn from `seed`, then gets one
    /// more seed a round up to all.
    pub(crate) fn of(
        jobs: &[Job],
        papers: &[&str],
        first: &[usize],
        estimator: &Estimator,
        undecided: f64,
        seed: u64,
    ) -> Self {
        let mut planned = Planned::default();
        let mut rounds: Vec<Vec<(usize, usize)>> = Vec::new();
        for (index, (job, &first)) in jobs.iter().zip(first).enumerate() {
            let open = Rng::stream(seed, "simulate-undecided", index as u64).uniform_f64();
            let seeds = if open < undecided {
                job.configs.len()
            } else {
                first
            };
            for number in 0..seeds {
                let round = (number + 1).saturating_sub(first.max(1));
                rounds.resize_with(rounds.len().max(round + 1), Vec::new);
                rounds[round].push((index, number));
            }
        }
        for (round, runs) in rounds.iter().enumerate() {
            for &(index, number) in runs {
                let job = &jobs[index];
                planned.add(job, papers[job.paper], number, round, estimator);
            }
        }
        Self {
            pieces: planned.pieces,
        }
    }

    /// Whether some runs get more seeds only after others are over.
    pub(super) fn has_rounds(&self) -> bool {
        self.pieces.last().is_some_and(|piece| piece.round > 0)
    }

    /// Seconds of all pieces together.
    pub(super) fn seconds(&self) -> f64 {
        self.pieces.iter().map(|piece| piece.seconds).sum()
    }

    /// Seconds of the longest chain of pieces that must follow one another: no number of workers is faster.
    pub(super) fn longest_chain(&self) -> f64 {
        let mut ends = vec![0.0; self.pieces.len()];
        let (mut before, mut latest, mut round) = (0.0f64, 0.0f64, 0);
        for (index, piece) in self.pieces.iter().enumerate() {
            if piece.round != round {
                (before, round) = (latest, piece.round);
            }
            let needs = piece.needs.iter().map(|&need| ends[need]);
            ends[index] = needs.fold(before, f64::max) + piece.seconds;
            latest = latest.max(ends[index]);
        }
        latest
    }

    /// The same runs, each so many times as fast.
    pub(super) fn faster(&self, factor: f64) -> Self {
        let mut work = self.clone();
        for piece in &mut work.pieces {
            piece.seconds /= factor;
        }
        work
    }

    /// The same with each piece above `most` seconds split into equal parts that need not wait for one another.
    pub(super) fn split(&self, most: f64) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut parts: Vec<std::ops::Range<usize>> = Vec::new();
        for piece in &self.pieces {
            let count = match piece.seconds > most {
                true => (piece.seconds * EXCHANGE / most).ceil(),
                false => 1.0,
            };
            let seconds = match count > 1.0 {
                true => piece.seconds * EXCHANGE / count,
                false => piece.seconds,
            };
            let start = pieces.len();
            let needs = piece.needs.iter().flat_map(|&need| parts[need].clone());
            let part = Piece {
                name: piece.name.clone(),
                seconds,
                needs: needs.collect(),
                round: piece.round,
            };
            pieces.resize(start + count as usize, part);
            parts.push(start..pieces.len());
        }
        Self { pieces }
    }
}

/// Pieces under way to a [`Work`].
#[derive(Default)]
struct Planned {
    pieces: Vec<Piece>,
    /// Where each configuration is: equal runs are run once.
    places: HashMap<String, usize>,
}

impl Planned {
    /// The run of one seed, after the learning rates that are tried for it.
    fn add(&mut self, job: &Job, paper: &str, number: usize, round: usize, estimator: &Estimator) {
        let config = &job.configs[number];
        let name = format!("{paper}/{}", job.name());
        let mut needs = Vec::new();
        for rate in &job.search {
            let seconds = estimator.seconds(rate, job);
            let name = format!("{name}, trying rate {}", rate.learning_rate);
            needs.push(self.place(rate, name, seconds, Vec::new(), round));
        }
        let teachers = job.teachers_of(config.seed);
        needs.extend(teachers.filter_map(|teacher| self.places.get(&key(teacher)).copied()));
        let seconds = estimator.seconds(config, job);
        let name = format!("{name}, seed {}", config.seed);
        self.place(config, name, seconds, needs, round);
    }

    /// Where a run is; it is added if it is not there yet.
    fn place(
        &mut self,
        config: &TrainConfig,
        name: String,
        seconds: f64,
        needs: Vec<usize>,
        round: usize,
    ) -> usize {
        let next = self.pieces.len();
        let place = *self.places.entry(key(config)).or_insert(next);
        if place == next {
            self.pieces.push(Piece {
                name,
                seconds,
                needs,
                round,
            });
        }
        place
    }
}

/// What makes two runs equal.
fn key(config: &TrainConfig) -> String {
    serde_json::to_string(config).expect("a configuration is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataCache;
    use crate::jobs::{Selection, plan, tests::options};
    use crate::options::Profile;
    use crate::seeds;
    use hw_data::DataDirs;

    fn work(profile: Profile, undecided: f64) -> (Work, usize, usize) {
        let papers = crate::builtin();
        let selection = Selection::parse(None, &papers).unwrap();
        let data = DataCache::new(DataDirs::default(), true);
        let jobs = plan(&papers, &selection, &options(profile), &data).unwrap();
        let first = seeds::at_first(&jobs, &papers, false);
        let folder = tempfile::tempdir().unwrap();
        let estimator = Estimator::open(folder.path(), Default::default());
        let slugs: Vec<&str> = papers.iter().map(|paper| paper.slug()).collect();
        let work = Work::of(&jobs, &slugs, &first, &estimator, undecided, 1);
        let configs = |most: &dyn Fn(usize) -> usize| {
            let runs = jobs.iter().enumerate().flat_map(|(index, job)| {
                let seeds = job.configs.iter().take(most(index));
                job.search.iter().chain(seeds).map(key)
            });
            runs.collect::<std::collections::HashSet<_>>().len()
        };
        let (least, most) = (configs(&|index| first[index]), configs(&|_| usize::MAX));
        (work, least, most)
    }

    #[test]
    fn the_pieces_are_the_plans_runs_each_once_after_its_searches_and_teachers() {
        let (least, one_seed, all_seeds) = work(Profile::Cpu, 0.0);
        assert_eq!(least.pieces.len(), one_seed);
        assert!(least.pieces.iter().all(|piece| piece.round == 0));
        let (most, _, _) = work(Profile::Cpu, 1.0);
        assert_eq!(most.pieces.len(), all_seeds);
        assert!(one_seed < all_seeds);
        let some = work(Profile::Cpu, 0.5).0.pieces.len();
        assert!(one_seed < some && some < all_seeds, "{some}");
        for (index, piece) in most.pieces.iter().enumerate() {
            assert!(piece.needs.iter().all(|&need| need < index), "{piece:?}");
            let before = most.pieces[..index].last();
            assert!(before.is_none_or(|before| before.round <= piece.round));
        }
        let needs = |words: &str| {
            let needed = most.pieces.iter().flat_map(|piece| &piece.needs);
            needed
                .filter(|&&need| most.pieces[need].name.contains(words))
                .count()
        };
        assert!(needs("trying rate") > 0 && needs(", seed 1") > 0);
    }

    #[test]
    fn splitting_keeps_the_order_and_leaves_no_piece_above_the_limit() {
        let piece = |seconds, needs: &[usize]| Piece {
            name: "p".into(),
            seconds,
            needs: needs.to_vec(),
            round: 0,
        };
        let work = Work {
            pieces: vec![piece(100.0, &[]), piece(10.0, &[0]), piece(45.0, &[1])],
        };
        assert_eq!(work.longest_chain(), 155.0);
        let split = work.split(40.0);
        let seconds: Vec<f64> = split
            .pieces
            .iter()
            .map(|piece| piece.seconds.round())
            .collect();
        assert_eq!(seconds, [37.0, 37.0, 37.0, 10.0, 25.0, 25.0]);
        assert_eq!(split.pieces[3].needs, [0, 1, 2]);
        assert_eq!(split.pieces[5].needs, [3]);
        assert_eq!(work.faster(2.0).seconds(), 77.5);
    }
}
