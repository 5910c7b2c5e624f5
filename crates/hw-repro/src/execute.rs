//! Running the jobs: the longest first, as many at a time as there is memory for; train, test,
//! keep; skip what is already there.

use super::data::DataCache;
use super::error::ReproError;
use super::estimate::Estimator;
use super::jobs::{Job, search_run};
use super::measure::Measurer;
use super::paper::Paper;
use super::progress::Progress;
use super::results::{Failure, JobResult, RunResult};
use super::seeds::{Grown, grow};
use anyhow::{Context, Result, anyhow};
use hw_core::CancelToken;
use hw_data::Split;
use hw_train::run::EVENTS;
use hw_train::{Event, Experiment, RunOptions, TrainConfig};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often waiting workers look at the clock.
const LOOK: Duration = Duration::from_millis(500);

/// Runs everything and keeps it under `out/runs`.
pub(crate) struct Executor<'a> {
    pub(crate) papers: &'a [Paper],
    pub(crate) out: &'a Path,
    pub(crate) data: &'a DataCache,
    pub(crate) cancel: CancelToken,
    pub(crate) estimator: Mutex<Estimator>,
    pub(crate) progress: Mutex<Progress>,
    pub(crate) workers: Workers,
    /// When to stop and report what there is.
    pub(crate) deadline: Option<Instant>,
}

/// How runs share the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workers {
    /// Runs at a time.
    pub(crate) count: usize,
    /// Threads each.
    pub(crate) threads: usize,
    /// Bytes for all runs together.
    pub(crate) memory: u64,
}

/// A piece of work: one training with its test, or one learning rate of a search.
struct Task {
    job: usize,
    /// Whether it tries a learning rate; else it is a seed.
    search: bool,
    config: TrainConfig,
    /// Expected seconds.
    seconds: f64,
    /// Expected bytes.
    bytes: u64,
    /// Equal runs have equal keys and are never run at the same time.
    key: String,
    /// The keys of the runs that must be over before.
    teachers: Vec<String>,
    /// Whether an earlier call finished it, so that only its results are to be read.
    finished: bool,
}

/// What is to be done, what is being done, and what came of it.
struct Board {
    waiting: Vec<Task>,
    running: Vec<(String, u64)>,
    results: Vec<JobResult>,
    stopped: bool,
    /// The seeds of a job that wait for its learning rate, and how many rates are still being tried,
    /// by job.
    undecided: HashMap<usize, (Vec<Task>, usize)>,
    /// Keys of what earlier calls finished.
    finished: HashSet<String>,
}

impl Executor<'_> {
    /// Brings every job to `seeds[job]` seeds, those that `known` has counted in; the results are in the
    /// order of the jobs, and a failed run is in its result and stops nothing.
    ///
    /// # Errors
    /// [`ReproError::Stopped`] when the user asked for it.
    pub(crate) fn run(
        &self,
        jobs: &[Job],
        known: Vec<JobResult>,
        seeds: &[usize],
    ) -> Result<Vec<JobResult>> {
        let board = Mutex::new(self.board(jobs, known, seeds));
        let changed = Condvar::new();
        std::thread::scope(|scope| {
            for _ in 0..self.workers.count {
                scope.spawn(|| self.work(jobs, &board, &changed));
            }
        });
        lock(&self.progress).finish();
        let mut board = board.into_inner().unwrap_or_else(PoisonError::into_inner);
        if board.stopped && !self.time_is_up() {
            return Err(anyhow!(ReproError::Stopped));
        }
        for task in board.waiting {
            let failures = &mut board.results[task.job].failures;
            failures.push(Failure {
                seed: (!task.search).then_some(task.config.seed),
                problem: "not run yet: the time was up".into(),
            });
        }
        for result in &mut board.results {
            result.seeds.sort_by_key(|seed| seed.config.seed);
        }
        Ok(board.results)
    }

    fn board(&self, jobs: &[Job], known: Vec<JobResult>, seeds: &[usize]) -> Board {
        let finished = finished_runs(&self.out.join("runs"));
        let mut board = Board {
            waiting: Vec::new(),
            running: Vec::new(),
            results: known,
            stopped: false,
            undecided: HashMap::new(),
            finished: HashSet::new(),
        };
        for (index, job) in jobs.iter().enumerate() {
            if let Some(problem) = &job.problem {
                let failures = &mut board.results[index].failures;
                if failures.is_empty() {
                    failures.push(Failure {
                        seed: None,
                        problem: problem.clone(),
                    });
                    self.note(&format!("{}: {problem}", job.name()));
                }
                continue;
            }
            self.plan(index, job, seeds[index], &mut board);
        }
        let undecided = board.undecided.values().flat_map(|(seeds, _)| seeds);
        let tasks = board.waiting.iter().chain(undecided);
        lock(&self.progress).expect(tasks.map(|task| task.seconds).sum());
        for task in &mut board.waiting {
            task.finished = finished.contains(&task.key);
        }
        board.finished = finished;
        board
    }

    /// The tasks that bring a job to so many seeds.
    fn plan(&self, index: usize, job: &Job, seeds: usize, board: &mut Board) {
        let result = &board.results[index];
        let tried = result.attempted();
        let rate = result.chosen_rate();
        let configs = job.configs.iter().take(seeds).skip(tried);
        let tasks = configs.map(|config| {
            let mut config = config.clone();
            if let Some(rate) = rate {
                config.learning_rate = rate;
            }
            self.task(index, job, false, config)
        });
        let tasks: Vec<Task> = tasks.collect();
        if tasks.is_empty() {
            return;
        }
        if job.search.is_empty() || rate.is_some() {
            board.waiting.extend(tasks);
            return;
        }
        for config in &job.search {
            let task = self.task(index, job, true, config.clone());
            board.waiting.push(task);
        }
        board.undecided.insert(index, (tasks, job.search.len()));
    }

    fn task(&self, index: usize, job: &Job, search: bool, config: TrainConfig) -> Task {
        Task {
            job: index,
            search,
            seconds: lock(&self.estimator).seconds(&config, job),
            bytes: (job.used.as_ref())
                .map_or(0, |network| super::estimate::bytes(network, config.batch)),
            key: key(&config),
            teachers: job.teachers_of(config.seed).map(key).collect(),
            config,
            finished: false,
        }
    }

    /// What one worker does until nothing is left.
    fn work(&self, jobs: &[Job], board: &Mutex<Board>, changed: &Condvar) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.workers.threads);
        let Ok(pool) = pool.build() else {
            self.note("a worker's threads cannot be started; going on with fewer workers");
            return;
        };
        while let Some(task) = self.next(board, changed) {
            let outcome = pool.install(|| self.perform(&jobs[task.job], &task));
            let mut board = lock(board);
            board.running.retain(|(key, _)| *key != task.key);
            self.take_note(jobs, &mut board, task, outcome);
            drop(board);
            changed.notify_all();
        }
        changed.notify_all();
    }

    /// The task to start now: what is finished, so that a call that is soon stopped reports it, else
    /// the longest; waits for one; `None` when all is done or stopped.
    fn next(&self, board: &Mutex<Board>, changed: &Condvar) -> Option<Task> {
        let mut board = lock(board);
        loop {
            if self.time_is_up() {
                self.cancel.cancel();
            }
            if board.stopped || self.cancel.is_cancelled() {
                board.stopped = true;
                return None;
            }
            if board.waiting.is_empty() && board.running.is_empty() {
                return None;
            }
            if let Some(index) = self.longest(&board) {
                let task = board.waiting.swap_remove(index);
                board.running.push((task.key.clone(), task.bytes));
                return Some(task);
            }
            let waited = changed.wait_timeout(board, LOOK);
            board = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn longest(&self, board: &Board) -> Option<usize> {
        let used: u64 = board.running.iter().map(|(_, bytes)| bytes).sum();
        let fits = |task: &Task| {
            board.running.is_empty() || used.saturating_add(task.bytes) <= self.workers.memory
        };
        let free = |task: &Task| board.running.iter().all(|(key, _)| *key != task.key);
        let ready = board.waiting.iter().enumerate();
        let taught = |task: &Task| {
            let waiting = board.waiting.iter().map(|other| &other.key);
            let mut open = waiting.chain(board.running.iter().map(|(key, _)| key));
            !open.any(|key| task.teachers.contains(key))
        };
        let ready = ready.filter(|(_, task)| fits(task) && free(task) && taught(task));
        let longest = ready.max_by(|(_, a), (_, b)| {
            let order = a.finished.cmp(&b.finished);
            order.then(a.seconds.total_cmp(&b.seconds))
        });
        longest.map(|(index, _)| index)
    }

    pub(crate) fn time_is_up(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Files an outcome; the last learning rate of a search makes its seeds ready.
    fn take_note(&self, jobs: &[Job], board: &mut Board, task: Task, outcome: Result<Done>) {
        lock(&self.progress).add(&task.key, task.seconds);
        let job = &jobs[task.job];
        let rate = task.config.learning_rate;
        let result = &mut board.results[task.job];
        match outcome {
            Err(error) if is_stop(&error) => {
                board.stopped = true;
                board.waiting.push(task);
                return;
            }
            Ok(Done::Seed(seed)) => result.seeds.push(*seed),
            Ok(Done::Rate(accuracy)) => result.search.push((rate, accuracy)),
            Err(error) if task.search => {
                // A rate that diverges is a rate that loses, and an end of the grid.
                let problem = hw_core::one_line(error.as_ref());
                self.note(&format!("{}, trying rate {rate}: {problem}", job.name()));
                result.search.push((rate, 0.0));
            }
            Err(error) => {
                let (seed, problem) = (task.config.seed, hw_core::one_line(error.as_ref()));
                self.note(&format!("failed: {} seed {seed}: {problem}", job.name()));
                result.failures.push(Failure {
                    seed: Some(seed),
                    problem,
                });
            }
        }
        if task.search {
            self.after_rate(jobs, board, task.job);
        }
    }

    /// When all rates of a grid were tried: another one beyond its edge if the best lies there, else the
    /// seeds with the best rate.
    fn after_rate(&self, jobs: &[Job], board: &mut Board, index: usize) {
        let Some((seeds, open)) = board.undecided.get_mut(&index) else {
            return;
        };
        *open -= 1;
        if *open > 0 {
            return;
        }
        let (job, result) = (&jobs[index], &mut board.results[index]);
        result.search.sort_by(|a, b| a.0.total_cmp(&b.0));
        match grow(&result.search, job.search.len()) {
            Grown::Further(rate) => {
                *open = 1;
                let base = search_run(&job.configs[0], rate);
                let mut task = self.task(index, job, true, base);
                task.finished = board.finished.contains(&task.key);
                lock(&self.progress).expect(task.seconds);
                board.waiting.push(task);
            }
            found => {
                result.edge = found == Grown::Edge;
                let best = result.chosen_rate();
                let seeds = std::mem::take(seeds);
                board.undecided.remove(&index);
                let Some(best) = best else {
                    return;
                };
                for mut task in seeds {
                    task.config.learning_rate = best;
                    task.key = key(&task.config);
                    task.finished = board.finished.contains(&task.key);
                    board.waiting.push(task);
                }
            }
        }
    }

    pub(crate) fn note(&self, message: &str) {
        lock(&self.progress).note(message);
    }

    fn perform(&self, job: &Job, task: &Task) -> Result<Done> {
        let id = &job.decl.id;
        let config = &task.config;
        let what = match task.search {
            true => format!("{}, trying rate {}", job.name(), config.learning_rate),
            false => format!("{}, seed {}", job.name(), config.seed),
        };
        if task.finished {
            lock(&self.progress).resumed(&task.key, task.seconds);
        }
        let (folder, outcome) = self.train(job, task, &what)?;
        if task.search {
            let scores = outcome.history.iter();
            let scores = scores.filter_map(|e| Some(e.validation?.accuracy));
            return Ok(Done::Rate(scores.fold(0.0, f64::max)));
        }
        lock(&self.progress).say(&task.key, task.seconds, &format!("{what}, testing"));
        let measurer = Measurer {
            data: self.data,
            recipe: super::measure::recipe(config, &job.decl),
            test_images: job.test_images,
            config,
            folder: &folder,
            looks: &self.out.join("runs").join(hw_eval::looks::REGISTER),
            beside: self.workers.count - 1,
        };
        let variants = self.papers[job.paper].variants_of(id);
        Ok(Done::Seed(Box::new(measurer.complete(outcome, &variants)?)))
    }

    fn train(&self, job: &Job, task: &Task, what: &str) -> Result<(PathBuf, hw_train::Outcome)> {
        let config = &task.config;
        let train = self.data.get(&config.dataset, Split::Train)?;
        let test = match config.probe {
            Some(_) => Some(self.data.get(&config.dataset, Split::Test)?),
            None => None,
        };
        let experiment = Experiment::new(config.clone(), train, test)?;
        let folder = self.out.join("runs").join(experiment.id());
        // Most runs stop on their plateau, long before their last epoch.
        let likely = job.usual_epochs(config) as f64 / config.epochs.max(1) as f64;
        let steps = experiment.steps().max(1) as f64 * likely;
        let mut observer = |event: &Event| {
            if self.time_is_up() {
                self.cancel.cancel();
            }
            let (epoch, step, detail) = match event {
                Event::Started {
                    resumed_at: Some(step),
                    steps_per_epoch,
                    ..
                } => {
                    let share = (*step as f64 / steps).min(1.0);
                    lock(&self.progress).resumed(&task.key, share * task.seconds);
                    let epoch = *step as usize / (*steps_per_epoch).max(1) + 1;
                    (epoch, *step, String::new())
                }
                Event::Started { .. } => (1, 0, String::new()),
                Event::Step {
                    epoch,
                    step,
                    images_per_second,
                    ..
                } => (*epoch, *step, format!(", {images_per_second:.0} images/s")),
                Event::Epoch(record) => (
                    record.epoch,
                    record.step,
                    format!(", loss {:.4}", record.train.loss),
                ),
                _ => return,
            };
            let share = (step as f64 / steps).min(1.0);
            let message = format!("{what}, epoch {epoch}/{}{detail}", config.epochs);
            lock(&self.progress).say(&task.key, share * task.seconds, &message);
        };
        let mut options = RunOptions::new(&mut observer);
        options.cancel = self.cancel.clone();
        let teachers = config.teacher.iter().flat_map(|teacher| &teacher.runs);
        options.teachers = teachers
            .map(|run| self.out.join("runs").join(run))
            .collect();
        let outcome = experiment
            .complete(&folder, options)
            .with_context(|| format!("training in {}", folder.display()))?;
        if !outcome.finished {
            return Err(anyhow!(ReproError::Stopped));
        }
        if !outcome.partly_timed() {
            lock(&self.estimator).learn(config, &outcome);
        }
        Ok((folder, outcome))
    }
}

fn is_stop(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ReproError::Stopped))
}

/// What came of a task.
enum Done {
    Seed(Box<RunResult>),
    /// Validation accuracy of a learning rate.
    Rate(f64),
}

/// What makes two runs equal.
fn key(config: &TrainConfig) -> String {
    serde_json::to_string(config).unwrap_or_default()
}

/// The keys of the complete runs in `folder`. Whether a run really is of this data is found out when it
/// is opened.
fn finished_runs(folder: &Path) -> HashSet<String> {
    let runs = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let finished = |run: &Path| {
        let log = std::fs::read_to_string(run.join(EVENTS)).ok()?;
        let last = serde_json::from_str::<Event>(log.lines().last()?).ok()?;
        matches!(last, Event::Finished { .. }).then_some(())
    };
    runs.filter_map(|run| {
        let run = run.path();
        finished(&run)?;
        Some(key(&hw_train::read_config(&run).ok()?))
    })
    .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::{self, Spreads};
    use crate::evidence::Evidence;
    use crate::jobs::{Selection, plan, tests::options};
    use crate::results::PaperResults;
    use crate::seeds;
    use hw_data::DataDirs;
    use hw_eval::Verdict;

    /// Two equal runs, one that cannot be configured, one that diverges, one with a search.
    const PAPER: &str = r#"
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
        id = "equal"
        like = "a"
        [[run]]
        id = "part"
        like = "a"
        dataset = "emnist-balanced"
        [[run]]
        id = "taught"
        like = "a"
        epochs = 6
        teacher = { run = "a", weight = 0.5, temperature = 2.0 }
        [[run]]
        id = "taught-by-all"
        like = "taught"
        teacher = { run = "a", together = true, weight = 0.5, temperature = 2.0 }
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

    #[test]
    fn equal_runs_are_run_once_and_a_failed_run_stops_nothing() {
        let papers = [Paper::parse(PAPER).unwrap()];
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
        let executor = Executor {
            papers: &papers,
            out: folder.path(),
            data: &data,
            cancel: CancelToken::new(),
            estimator: Mutex::new(Estimator::open(folder.path(), Default::default())),
            progress: Mutex::new(Progress::new()),
            workers: Workers {
                count: 2,
                threads: 1,
                memory: 1,
            },
            deadline: None,
        };
        let results = executor.run(&jobs, new(), &all).unwrap();
        assert!(lock(&executor.progress).is_complete());
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
        let teachers = of("taught")
            .seeds
            .iter()
            .map(|seed| seed.config.teacher.clone());
        let teachers: Vec<Vec<String>> = teachers.map(|teacher| teacher.unwrap().runs).collect();
        let own: Vec<Vec<String>> = ids("a").into_iter().map(|run| vec![run]).collect();
        assert_eq!((teachers.len(), teachers), (2, own));
        let together = of("taught-by-all").seeds.iter();
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
        // What is finished is known to be, and comes before longer runs that are not.
        let mut board = executor.board(&jobs, new(), &all);
        let seeds = |task: &&Task| !task.search && jobs[task.job].decl.id != "diverges";
        assert!(board.waiting.iter().filter(seeds).all(|task| task.finished));
        assert_eq!(board.waiting.iter().filter(seeds).count(), 10);
        board.waiting[0].finished = false;
        board.waiting[0].seconds = 1e9;
        assert!(executor.longest(&board).unwrap() > 0);
        // Again: everything is there already.
        let again = executor.run(&jobs, new(), &all).unwrap();
        assert_eq!(
            again[0].seeds[0].test_seconds,
            results[0].seeds[0].test_seconds
        );
        // Nothing is added to what has its seeds.
        let same = executor.run(&jobs, again.clone(), &all).unwrap();
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
