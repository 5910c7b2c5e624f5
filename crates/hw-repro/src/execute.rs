//! The runs of papers: which are needed now, what is read off them, and what follows from a search.

use super::crew::{Agenda, Crew, Made, Task, finished_runs, key, lock, seconds};
use super::jobs::{Job, search_run};
use super::measure::Measurer;
use super::paper::Paper;
use super::results::{Failure, JobResult, NOT_RUN_YET, RunResult};
use super::seeds::{Grown, grow};
use anyhow::Result;
use hw_eval::looks::REGISTER;
use hw_train::{Outcome, TrainConfig};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Brings the jobs of papers to their seeds.
pub(crate) struct Executor<'a> {
    pub(crate) papers: &'a [Paper],
    pub(crate) out: &'a Path,
    pub(crate) crew: Crew<'a>,
}

/// What a run of a paper is for.
#[derive(Clone, Copy, Debug)]
struct Purpose {
    job: usize,
    /// Whether it tries a learning rate; else it is a seed.
    search: bool,
}

/// What came of the jobs.
struct Round<'a> {
    executor: &'a Executor<'a>,
    jobs: &'a [Job],
    filed: Mutex<Filed>,
}

struct Filed {
    results: Vec<JobResult>,
    /// The seeds of a job that wait for its learning rate, and how many rates are still being tried,
    /// by job.
    undecided: HashMap<usize, (Vec<Task<Purpose>>, usize)>,
    /// Keys of what earlier calls finished.
    finished: HashSet<String>,
}

/// What came of a run.
enum Done {
    Seed(Box<RunResult>),
    /// Validation accuracy of a learning rate.
    Rate(f64),
}

impl Executor<'_> {
    /// Brings every job to `seeds[job]` seeds, those that `known` has counted in; the results are in the
    /// order of the jobs, and a failed run is in its result and stops nothing. Whether nothing is left.
    ///
    /// # Errors
    /// [`super::error::ReproError::Stopped`] when the user asked for it.
    pub(crate) fn run(
        &self,
        jobs: &[Job],
        known: Vec<JobResult>,
        seeds: &[usize],
    ) -> Result<(Vec<JobResult>, bool)> {
        let (round, tasks) = self.round(jobs, known, seeds);
        let left = self.crew.run(&round, tasks)?;
        let filed = round.filed.into_inner();
        let mut results = filed.unwrap_or_else(PoisonError::into_inner).results;
        let complete = left.is_empty();
        for task in left {
            let failures = &mut results[task.what.job].failures;
            failures.push(Failure {
                seed: (!task.what.search).then_some(task.config.seed),
                problem: NOT_RUN_YET.into(),
            });
        }
        for result in &mut results {
            result.seeds.sort_by_key(|seed| seed.config.seed);
            result.failures.sort_by_key(|failure| failure.seed);
        }
        Ok((results, complete))
    }

    /// What is to be done to bring the jobs to so many seeds.
    fn round<'r>(
        &'r self,
        jobs: &'r [Job],
        known: Vec<JobResult>,
        seeds: &[usize],
    ) -> (Round<'r>, Vec<Task<Purpose>>) {
        let mut filed = Filed {
            results: known,
            undecided: HashMap::new(),
            finished: finished_runs(&self.out.join("runs")),
        };
        let mut tasks = Vec::new();
        for (index, job) in jobs.iter().enumerate() {
            if let Some(problem) = &job.problem {
                let failures = &mut filed.results[index].failures;
                if failures.is_empty() {
                    failures.push(Failure {
                        seed: None,
                        problem: problem.clone(),
                    });
                    self.crew.note(&format!("{}: {problem}", job.name()));
                }
                continue;
            }
            tasks.extend(self.plan(index, job, seeds[index], &mut filed));
        }
        let filed = Mutex::new(filed);
        let round = Round {
            executor: self,
            jobs,
            filed,
        };
        (round, tasks)
    }

    /// The tasks that bring a job to so many seeds; the seeds wait where its learning rate is searched for.
    fn plan(&self, index: usize, job: &Job, count: usize, filed: &mut Filed) -> Vec<Task<Purpose>> {
        let result = &filed.results[index];
        let tried = result.attempted();
        let rate = result.chosen_rate();
        let configs = job.configs.iter().take(count).skip(tried);
        let tasks = configs.map(|config| {
            let mut config = config.clone();
            if let Some(rate) = rate {
                config.learning_rate = rate;
            }
            self.task(index, job, false, config, &filed.finished)
        });
        let tasks: Vec<Task<Purpose>> = tasks.collect();
        if tasks.is_empty() || job.search.is_empty() || rate.is_some() {
            return tasks;
        }
        let rates = job.search.iter();
        let rates =
            rates.map(|config| self.task(index, job, true, config.clone(), &filed.finished));
        let rates: Vec<Task<Purpose>> = rates.collect();
        self.crew.expect(seconds(&tasks));
        filed.undecided.insert(index, (tasks, rates.len()));
        rates
    }

    fn task(
        &self,
        index: usize,
        job: &Job,
        search: bool,
        config: TrainConfig,
        finished: &HashSet<String>,
    ) -> Task<Purpose> {
        let key = key(&config);
        Task {
            what: Purpose { job: index, search },
            name: match search {
                true => format!("{}, trying rate {}", job.name(), config.learning_rate),
                false => format!("{}, seed {}", job.name(), config.seed),
            },
            seconds: lock(&self.crew.estimator).seconds(&config, job),
            usual_epochs: job.usual_epochs(&config),
            bytes: (job.used.as_ref())
                .map_or(0, |network| super::estimate::bytes(network, config.batch)),
            teachers: job.teachers_of(config.seed).map(self::key).collect(),
            finished: finished.contains(&key),
            key,
            config,
            again: None,
        }
    }
}

impl Agenda for Round<'_> {
    type What = Purpose;
    type Done = Done;

    fn finish(&self, task: &Task<Purpose>, made: &Made<'_>, outcome: Outcome) -> Result<Done> {
        if task.what.search {
            let scores = outcome.history.iter();
            let scores = scores.filter_map(|e| Some(e.validation?.accuracy));
            return Ok(Done::Rate(scores.fold(0.0, f64::max)));
        }
        let crew = &self.executor.crew;
        crew.say_testing(task);
        let job = &self.jobs[task.what.job];
        let measurer = Measurer {
            data: crew.data,
            recipe: super::measure::recipe(&task.config, &job.decl),
            test_images: job.test_images,
            config: &task.config,
            made,
            looks: &self.executor.out.join("runs").join(REGISTER),
            beside: crew.workers.count - 1,
        };
        let variants = self.executor.papers[job.paper].variants_of(&job.decl.id);
        Ok(Done::Seed(Box::new(measurer.complete(outcome, &variants)?)))
    }

    /// Files an outcome; the last learning rate of a search makes its seeds ready.
    fn note(&self, task: &Task<Purpose>, outcome: Result<Done>) -> Vec<Task<Purpose>> {
        let mut filed = lock(&self.filed);
        let Purpose { job: index, search } = task.what;
        let job = &self.jobs[index];
        let rate = task.config.learning_rate;
        let result = &mut filed.results[index];
        let note = |message: &str| self.executor.crew.note(message);
        match outcome {
            Ok(Done::Seed(seed)) => result.seeds.push(*seed),
            Ok(Done::Rate(accuracy)) => result.search.push((rate, accuracy)),
            Err(error) if search => {
                // A rate that diverges is a rate that loses, and an end of the grid.
                let problem = hw_core::one_line(error.as_ref());
                note(&format!("{}, trying rate {rate}: {problem}", job.name()));
                result.search.push((rate, 0.0));
            }
            Err(error) => {
                let (seed, problem) = (task.config.seed, hw_core::one_line(error.as_ref()));
                note(&format!("failed: {} seed {seed}: {problem}", job.name()));
                result.failures.push(Failure {
                    seed: Some(seed),
                    problem,
                });
            }
        }
        match search {
            true => self.after_rate(&mut filed, index),
            false => Vec::new(),
        }
    }
}

impl Round<'_> {
    /// When all rates of a grid were tried: another one beyond its edge if the best lies there, else the
    /// seeds with the best rate.
    fn after_rate(&self, filed: &mut Filed, index: usize) -> Vec<Task<Purpose>> {
        let Some((seeds, open)) = filed.undecided.get_mut(&index) else {
            return Vec::new();
        };
        *open -= 1;
        if *open > 0 {
            return Vec::new();
        }
        let (job, result) = (&self.jobs[index], &mut filed.results[index]);
        result.search.sort_by(|a, b| a.0.total_cmp(&b.0));
        match grow(&result.search, job.search.len()) {
            Grown::Further(rate) => {
                *open = 1;
                let base = search_run(&job.configs[0], rate);
                vec![(self.executor).task(index, job, true, base, &filed.finished)]
            }
            found => {
                result.edge = found == Grown::Edge;
                let best = result.chosen_rate();
                let mut seeds = std::mem::take(seeds);
                // They are counted again when they are handed over.
                self.executor.crew.expect(-seconds(&seeds));
                filed.undecided.remove(&index);
                let Some(best) = best else {
                    return Vec::new();
                };
                for task in &mut seeds {
                    task.config.learning_rate = best;
                    task.key = key(&task.config);
                    task.finished = filed.finished.contains(&task.key);
                }
                seeds
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::claims::{self, Spreads};
    use crate::crew::{self, Workers};
    use crate::data::DataCache;
    use crate::estimate::Estimator;
    use crate::evidence::Evidence;
    use crate::jobs::{Selection, plan, tests::options};
    use crate::progress::Progress;
    use crate::results::PaperResults;
    use crate::seeds;
    use hw_core::CancelToken;
    use hw_core::shared::Store;
    use hw_data::DataDirs;
    use hw_eval::Verdict;

    /// The beginning of a paper for tests: a run, one that cannot be configured, one that diverges, one with a
    /// search.
    pub(crate) const RUNS: &str = r#"
        slug = "tiny"
        title = "t"
        citation = "c"
        about = "a"
        main_run = "a"
        [profiles.smoke]
        seeds = 2
        images = 200
        test_images = 100
        [[run]]
        id = "a"
        model = "ann-bn"
        dataset = "emnist-letters"
        optimizer = { name = "adam" }
        learning_rate = 0.003
        batch = 20
        epochs = 2
        val_fraction = 0.1
        [[run]]
        id = "unknown"
        like = "a"
        optimizer = { name = "magic" }
        [[run]]
        id = "diverges"
        like = "a"
        model = "lenet5"
        optimizer = { name = "sgd" }
        learning_rate = 1e30
        [[run]]
        id = "searched"
        like = "a"
        tune = [0.0001, 0.0003]
    "#;

    /// Besides, an equal run, another test set, and runs that learn from others.
    const PAPER: &str = r#"
        [[run]]
        id = "equal"
        like = "a"
        [[run]]
        id = "part"
        like = "a"
        dataset = "emnist-balanced"
        [[run]]
        id = "distilled"
        like = "a"
        epochs = 6
        teacher = { run = "a", weight = 0.5, temperature = 2.0 }
        [[run]]
        id = "distilled-from-all"
        like = "distilled"
        teacher = { run = "a", together = true, weight = 0.5, temperature = 2.0 }
        [[variant]]
        id = "merged"
        dataset = "emnist-bymerge"
        [[variant]]
        id = "merged-clean"
        dataset = "emnist-bymerge"
        leak_free = true
        [[variant]]
        id = "split-clean"
        dataset = "emnist-byclass"
        leak_free = true
        [[variant]]
        id = "split-outside"
        dataset = "emnist-byclass"
        leak_free = true
        outside_pool = true
        [[section]]
        title = "s"
        text = "x"
        [[section.table]]
        id = "t"
        caption = "c"
        rows_title = "r"
        columns = ["own", "other", "clean", "split, clean", "split, outside", "shared"]
        [[section.table.row]]
        label = "a"
        cells = [
          { value = "a.accuracy" }, { value = "a@merged.accuracy" },
          { value = "a@merged-clean.test_images" }, { value = "part@split-clean.test_images" }, { value = "part@split-outside.test_images" },
          { value = "a@merged.shared" },
        ]
        [[claim]]
        id = "1"
        text = "c"
        [[claim.part]]
        text = "one is better than its equal"
        check = "a.accuracy > equal.accuracy"
        [[claim.part]]
        text = "it has as many parameters"
        check = "a.parameters / equal.parameters ~ 1 within x1.1"
    "#;

    /// Two workers on a folder of their own.
    pub(crate) fn executor<'a>(
        papers: &'a [Paper],
        out: &'a Path,
        store: &'a Store,
        data: &'a DataCache,
    ) -> Executor<'a> {
        let estimator = Estimator::open(out, Default::default());
        Executor {
            papers,
            out,
            crew: Crew {
                store,
                data,
                cancel: CancelToken::new(),
                estimator: Mutex::new(estimator),
                progress: Mutex::new(Progress::new()),
                workers: Workers {
                    count: 2,
                    threads: 1,
                    memory: 1,
                },
                deadline: None,
                only_read: false,
            },
        }
    }

    #[test]
    fn equal_runs_are_run_once_and_a_failed_run_stops_nothing() {
        let papers = [Paper::parse(&format!("{RUNS}{PAPER}")).unwrap()];
        let selection = Selection::parse(None, &papers).unwrap();
        let data = DataCache::new(DataDirs::default(), true);
        let jobs = plan(
            &papers,
            &selection,
            &options(crate::options::Profile::Smoke),
            &data,
        )
        .unwrap();
        let new = || jobs.iter().map(JobResult::new).collect::<Vec<_>>();
        let all: Vec<usize> = jobs.iter().map(|job| job.configs.len()).collect();
        let folder = tempfile::tempdir().unwrap();
        let store = crew::store(folder.path()).unwrap();
        let executor = executor(&papers, folder.path(), &store, &data);
        let results = executor.run(&jobs, new(), &all).unwrap().0;
        assert!(lock(&executor.crew.progress).is_complete());
        let paper = PaperResults::of(&results, 0, None);
        let of = |id: &str| paper.job(id).unwrap();
        let ids = |id: &str| {
            of(id)
                .seeds
                .iter()
                .map(|s| s.run.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!((ids("a"), ids("a").len()), (ids("equal"), 2));
        let seeds_in_all: usize = results.iter().map(|job| job.seeds.len()).sum();
        let distinct = crate::command::distinct_runs(&results);
        assert_eq!(distinct, seeds_in_all - 2, "equal runs count once");
        // The longer run, which would come first, had to wait for its teacher.
        let teachers = of("distilled")
            .seeds
            .iter()
            .map(|seed| seed.config.teacher.clone());
        let teachers: Vec<Vec<String>> = teachers.map(|teacher| teacher.unwrap().runs).collect();
        let own: Vec<Vec<String>> = ids("a").into_iter().map(|run| vec![run]).collect();
        assert_eq!((teachers.len(), teachers), (2, own));
        let together = of("distilled-from-all").seeds.iter();
        let together: Vec<_> = together
            .map(|s| s.config.teacher.clone().unwrap().runs)
            .collect();
        assert_eq!(together, [ids("a"), ids("a")]);
        assert!(of("unknown").failures[0].problem.contains("magic"));
        assert!(of("diverges").failures[0].problem.contains("diverged"));
        // Whichever of two rates is better lies at an edge, so that the grid grew until its best did not.
        let searched = of("searched");
        let search = &searched.search;
        let best = seeds::best_of(search).unwrap();
        assert!(search.len() > 2 && !searched.edge, "{search:?}");
        assert!(best > 0 && best + 1 < search.len(), "{search:?}");
        assert_eq!(searched.seeds[0].config.learning_rate, search[best].0);
        assert_eq!(of("searched").seeds.len(), 2);
        // Letters come from the bymerge split, so its test images are mostly new to them.
        let value = |term: &str| paper.values(&term.parse().unwrap()).unwrap();
        assert!(value("a@merged.shared").iter().all(|&share| share < 0.01));
        assert!(
            value("a@merged-clean.test_images")
                .iter()
                .all(|&n| n > 10.0 && n <= 100.0)
        );
        // Images of its own test set are not in its training set, but in its pool.
        let [clean, outside] =
            ["clean", "outside"].map(|how| value(&format!("part@split-{how}.test_images")));
        assert!(
            outside
                .iter()
                .zip(&clean)
                .all(|(outside, clean)| outside < clean)
        );
        assert!(of("a").scale().contains("200 of "), "{}", of("a").scale());
        // What is finished is known to be.
        let (_, tasks) = executor.round(&jobs, new(), &all);
        let seeds = |task: &&Task<Purpose>| !task.what.search;
        assert!(tasks.iter().filter(seeds).all(|task| task.finished));
        assert_eq!(tasks.iter().filter(seeds).count(), 12);
        // Again: everything is there already.
        let again = executor.run(&jobs, new(), &all).unwrap().0;
        assert_eq!(
            again[0].seeds[0].test_seconds,
            results[0].seeds[0].test_seconds
        );
        // Nothing is added to what has its seeds.
        let same = executor.run(&jobs, again.clone(), &all).unwrap().0;
        assert_eq!(same[0].seeds.len(), again[0].seeds.len());
        more_seeds_where_a_claim_is_open(&papers[0], &jobs, &results);
    }

    fn more_seeds_where_a_claim_is_open(paper: &Paper, jobs: &[Job], results: &[JobResult]) {
        let one_seed = |decides: bool| {
            let mut results = results.to_vec();
            for seed in results.iter_mut().flat_map(|job| &mut job.seeds) {
                // As if the glyphs were handwriting.
                seed.data.synthetic = !decides;
            }
            for job in &mut results {
                job.seeds.truncate(1);
            }
            results
        };
        let judge = |results: &[JobResult]| {
            let own = PaperResults::of(results, 0, None);
            claims::judge(paper, &own, &Spreads::of(paper, &own), 2)
        };
        let mut wanted = vec![1; jobs.len()];
        let real = one_seed(true);
        let judged = judge(&real);
        assert!(judged[0].parts[0].open && !judged[0].parts[1].open);
        assert_eq!(judged[0].parts[1].verdict, Verdict::Reproduced);
        assert!(seeds::after_look(jobs, &real, &[(0, judged)], &mut wanted));
        let more: Vec<&str> = jobs
            .iter()
            .zip(&wanted)
            .filter(|(_, seeds)| **seeds == 2)
            .map(|(job, _)| job.decl.id.as_str())
            .collect();
        assert_eq!(more, ["a", "equal"]);
        // Nor does a run that was cut, one shorter than the paper's, or a rate at the edge of its grid.
        let small = |change: fn(&mut JobResult)| {
            let mut results = one_seed(true);
            change(
                results
                    .iter_mut()
                    .find(|job| job.decl.id == "equal")
                    .unwrap(),
            );
            match judge(&results)[0].parts[0].verdict.clone() {
                Verdict::TooSmall { reason } => reason,
                other => panic!("{other:?}"),
            }
        };
        let cut = small(|job| job.seeds[0].plateau = hw_train::Plateau::Cut);
        assert!(cut.contains("still learning"), "{cut}");
        let short = small(|job| job.epochs -= 1);
        assert!(short.contains("still learning"), "{short}");
        assert!(small(|job| job.edge = true).contains("edge"));
        // Glyphs decide nothing, however many seeds.
        let judged = judge(&one_seed(false));
        let verdict = &judged[0].parts[0].verdict;
        assert!(matches!(verdict, Verdict::TooSmall { reason } if reason.contains("glyphs")));
        assert!(!judged[0].parts[0].open);
        let synthetic = one_seed(false);
        assert!(PaperResults::of(&synthetic, 0, None).images("a").is_some());
    }
}
