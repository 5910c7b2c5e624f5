//! Which runs are drawn: one of each paper first, then any, as far as the time reaches.

use crate::archive::record::Record;
use crate::archive::report::Replayed;
use hw_core::Rng;
use std::collections::HashSet;

/// Seconds that a run costs beside its training and its test: loading, checkpoints, measuring.
const BESIDE: f64 = 2.0;

/// An archived run that can be drawn.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// The place of its job.
    pub(crate) job: usize,
    /// The place of its seed in the job's results.
    pub(crate) seed: usize,
    pub(crate) run: String,
    pub(crate) paper: usize,
    /// The paper, the run and the seed in words.
    pub(crate) name: String,
    /// Seconds it took where it was made.
    seconds: f64,
    /// Its teachers, theirs first, with their seconds.
    pub(crate) teachers: Vec<(String, f64)>,
}

/// What is left to be drawn, in random order.
pub(crate) struct Pool {
    left: Vec<Candidate>,
    /// Papers of which nothing was drawn yet.
    papers: Vec<usize>,
    /// Runs that were made here.
    made: HashSet<String>,
    /// Seconds here, and archived seconds of the same runs.
    here: f64,
    archived: f64,
}

impl Pool {
    /// The tested runs behind the report in an order that `seed` decides.
    pub(crate) fn of(replayed: &Replayed, seed: u64) -> Self {
        let mut left: Vec<Candidate> = Vec::new();
        let mut known = HashSet::new();
        for (index, result) in replayed.results.iter().enumerate() {
            for (place, seed) in result.seeds.iter().enumerate() {
                let record = replayed.archive.records.get(&seed.run);
                let Some(record) = record.filter(|_| known.insert(seed.run.clone())) else {
                    continue;
                };
                let Some(teachers) = teachers(replayed, record, 0) else {
                    continue;
                };
                let slug = &replayed.papers[result.paper].slug;
                let name = replayed.jobs[index].name();
                left.push(Candidate {
                    job: index,
                    seed: place,
                    run: seed.run.clone(),
                    paper: result.paper,
                    name: format!("{slug}: {name}, seed {}", seed.config.seed),
                    seconds: seconds(record),
                    teachers,
                });
            }
        }
        Rng::stream(seed, "proof draw", 0).shuffle(&mut left);
        let mut papers: Vec<usize> = left.iter().map(|candidate| candidate.paper).collect();
        papers.sort_unstable();
        papers.dedup();
        Self {
            left,
            papers,
            made: HashSet::new(),
            here: 0.0,
            archived: 0.0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.left.len()
    }

    /// Expected seconds here, with those of teachers that are not made yet.
    pub(crate) fn cost(&self, candidate: &Candidate) -> f64 {
        self.archived_cost(candidate) * self.scale()
    }

    fn archived_cost(&self, candidate: &Candidate) -> f64 {
        let teachers = candidate.teachers.iter();
        let open = teachers.filter(|(run, _)| !self.made.contains(run));
        candidate.seconds + open.map(|(_, seconds)| seconds).sum::<f64>()
    }

    /// How much slower this machine is, by what was rerun so far.
    fn scale(&self) -> f64 {
        if self.archived > 0.0 {
            self.here / self.archived
        } else {
            1.0
        }
    }

    /// The next run that fits into so many seconds; for a paper's first run its share of them.
    pub(crate) fn draw(&mut self, seconds: f64) -> Option<Candidate> {
        while let Some(&paper) = self.papers.first() {
            let share = seconds / self.papers.len() as f64;
            self.papers.remove(0);
            let of_paper = |candidate: &Candidate| candidate.paper == paper;
            let fitting = |most: f64| {
                let mut left = self.left.iter();
                left.position(|c| of_paper(c) && self.cost(c) <= most)
            };
            if let Some(place) = fitting(share) {
                return Some(self.left.remove(place));
            }
        }
        let place = self.left.iter().position(|c| self.cost(c) <= seconds)?;
        Some(self.left.remove(place))
    }

    /// Notes that a run took so many seconds here.
    pub(crate) fn took(&mut self, candidate: &Candidate, seconds: f64) {
        self.here += seconds;
        self.archived += self.archived_cost(candidate);
        let teachers = candidate.teachers.iter().map(|(run, _)| run.clone());
        self.made.extend(teachers.chain([candidate.run.clone()]));
    }
}

fn seconds(record: &Record) -> f64 {
    let trained: f64 = record.history().iter().map(|epoch| epoch.seconds).sum();
    let tested = record
        .tested()
        .map_or(0.0, |tested| tested.result.test_seconds);
    BESIDE + trained + tested
}

/// All that must be made before; `None` where the archive lacks one of them.
fn teachers(replayed: &Replayed, record: &Record, depth: usize) -> Option<Vec<(String, f64)>> {
    let mut all: Vec<(String, f64)> = Vec::new();
    let named = record
        .config
        .teacher
        .iter()
        .flat_map(|teacher| &teacher.runs);
    for run in named {
        let teacher = replayed.archive.records.get(run)?;
        teacher.tested().filter(|_| depth < 8)?;
        for one in teachers(replayed, teacher, depth + 1)?
            .into_iter()
            .chain([(run.clone(), seconds(teacher))])
        {
            if !all.iter().any(|(known, _)| *known == one.0) {
                all.push(one);
            }
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(run: &str, paper: usize, seconds: f64, teachers: &[(&str, f64)]) -> Candidate {
        Candidate {
            job: 0,
            seed: 0,
            run: run.into(),
            paper,
            name: run.into(),
            seconds,
            teachers: teachers
                .iter()
                .map(|(run, s)| (run.to_string(), *s))
                .collect(),
        }
    }

    fn pool(left: Vec<Candidate>) -> Pool {
        let mut papers: Vec<usize> = left.iter().map(|c| c.paper).collect();
        papers.sort_unstable();
        papers.dedup();
        Pool {
            left,
            papers,
            made: HashSet::new(),
            here: 0.0,
            archived: 0.0,
        }
    }

    #[test]
    fn each_paper_comes_first_once_with_its_share_and_then_whatever_fits() {
        let mut pool = pool(vec![
            candidate("a-long", 0, 400.0, &[]),
            candidate("a-short", 0, 40.0, &[]),
            candidate("a-more", 0, 50.0, &[]),
            candidate("b", 1, 90.0, &[]),
            candidate("c-never", 2, 900.0, &[]),
        ]);
        let mut drawn = Vec::new();
        let mut left = 600.0;
        while let Some(candidate) = pool.draw(left) {
            left -= pool.cost(&candidate);
            drawn.push(candidate.run);
        }
        assert_eq!(drawn, ["a-short", "b", "a-long", "a-more"]);
    }

    #[test]
    fn a_slower_machine_draws_less_and_a_teacher_is_made_once() {
        let mut pool = pool(vec![
            candidate("first", 0, 10.0, &[]),
            candidate("distilled", 0, 10.0, &[("teacher", 30.0)]),
            candidate("distilled-too", 0, 10.0, &[("teacher", 30.0)]),
        ]);
        let first = pool.draw(100.0).unwrap();
        pool.took(&first, 20.0);
        let distilled = pool.draw(100.0).unwrap();
        assert_eq!(
            (distilled.run.as_str(), pool.cost(&distilled)),
            ("distilled", 80.0)
        );
        pool.took(&distilled, 80.0);
        assert!(pool.draw(19.0).is_none());
        assert_eq!(pool.draw(21.0).unwrap().run, "distilled-too");
    }
}
