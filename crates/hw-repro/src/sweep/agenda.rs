//! A sweep as work for the crew: the runs that are open now, and with each result those that follow.

use super::decide::{Purpose, standing};
use super::plan::{Sweep, label};
use super::results::{Ended, Kept, Results, Searched};
use crate::crew::{Agenda, Crew, Made, Task, key, lock};
use crate::measure::Measurer;
use anyhow::Result;
use hw_data::Split;
use hw_eval::looks::REGISTER;
use hw_models::ModelSpec;
use hw_train::{Outcome, TrainConfig};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Runs a sweep.
pub(crate) struct SweepAgenda<'a> {
    pub(crate) sweep: &'a Sweep,
    pub(crate) crew: &'a Crew<'a>,
    /// The register of looks at test sets.
    pub(crate) looks: PathBuf,
    /// What earlier calls have left.
    pub(crate) kept: &'a Kept,
    /// The network of a configuration, for the estimate of time and memory.
    pub(crate) network: &'a (dyn Fn(&TrainConfig) -> Option<ModelSpec> + Sync),
    /// Test images, for the same.
    pub(crate) test_images: usize,
    board: Mutex<Board>,
}

/// What came of the runs, and which were given to the crew.
#[derive(Default)]
struct Board {
    results: Results,
    given: HashSet<Purpose>,
}

impl<'a> SweepAgenda<'a> {
    pub(crate) fn new(
        sweep: &'a Sweep,
        crew: &'a Crew<'a>,
        out: &Path,
        kept: &'a Kept,
        network: &'a (dyn Fn(&TrainConfig) -> Option<ModelSpec> + Sync),
        test_images: usize,
    ) -> Self {
        Self {
            sweep,
            crew,
            looks: out.join("runs").join(REGISTER),
            kept,
            network,
            test_images,
            board: Mutex::default(),
        }
    }

    /// What came of the runs.
    pub(crate) fn results(self) -> Results {
        let board = self.board.into_inner();
        board
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .results
    }

    /// The runs that are open, were not given to the crew yet and have not ended in an earlier call.
    pub(crate) fn open(&self) -> Vec<Task<Purpose>> {
        let mut board = lock(&self.board);
        settle(self.sweep, self.kept, &mut board.results);
        let open = standing(self.sweep, &board.results.over()).open;
        let new: Vec<Purpose> = open
            .into_iter()
            .filter(|purpose| board.given.insert(*purpose))
            .collect();
        new.into_iter().map(|purpose| self.task(purpose)).collect()
    }

    fn task(&self, what: Purpose) -> Task<Purpose> {
        let config = config_of(self.sweep, what);
        let network = (self.network)(&config);
        let tested = match what {
            Purpose::Search { .. } => 0,
            Purpose::Final { .. } => self.test_images,
        };
        let estimator = lock(&self.crew.estimator);
        Task {
            name: self.name(what),
            seconds: estimator.seconds_alone(&config, network.as_ref(), tested),
            bytes: network.map_or(0, |network| crate::estimate::bytes(&network, config.batch)),
            key: key(&config),
            usual_epochs: config.epochs,
            teachers: Vec::new(),
            finished: false,
            again: None,
            config,
            what,
        }
    }

    fn name(&self, what: Purpose) -> String {
        let settings = |trial: usize| label(&self.sweep.trials[trial].settings);
        match what {
            Purpose::Search { trial, seed, .. } => {
                format!("trial {} ({}), seed {seed}", trial + 1, settings(trial))
            }
            Purpose::Final { trial, seed } => {
                format!("the winner ({}), seed {seed}", settings(trial))
            }
        }
    }
}

/// The configuration of a run.
pub(crate) fn config_of(sweep: &Sweep, what: Purpose) -> TrainConfig {
    match what {
        Purpose::Search { rung, trial, seed } => sweep.config(trial, rung, seed),
        Purpose::Final { trial, seed } => sweep.final_config(trial, seed),
    }
}

/// Files all that earlier calls have left, as far as one thing follows from another.
pub(crate) fn settle(sweep: &Sweep, kept: &Kept, results: &mut Results) {
    loop {
        let open = standing(sweep, &results.over()).open;
        let ended = open.into_iter().filter_map(|purpose| {
            Some((purpose, kept.ended(purpose, &config_of(sweep, purpose))?))
        });
        let ended: Vec<(Purpose, Ended)> = ended.collect();
        if ended.is_empty() {
            return;
        }
        for (purpose, ended) in ended {
            results.add(purpose, ended);
        }
    }
}

impl Agenda for SweepAgenda<'_> {
    type What = Purpose;
    type Done = Ended;

    fn note(&self, task: &Task<Purpose>, outcome: Result<Ended>) -> Vec<Task<Purpose>> {
        let ended = outcome.unwrap_or_else(|error| {
            let problem = hw_core::one_line(error.as_ref());
            self.crew.note(&format!("{}: {problem}", task.name));
            Ended::Failed(problem)
        });
        lock(&self.board).results.add(task.what, ended);
        self.open()
    }

    fn finish(&self, task: &Task<Purpose>, made: &Made<'_>, outcome: Outcome) -> Result<Ended> {
        let train = self.crew.data.get(&task.config.dataset, Split::Train)?;
        match task.what {
            Purpose::Search { .. } => {
                Searched::of(made.run, outcome, train.synthetic).map(Ended::Searched)
            }
            Purpose::Final { .. } => {
                self.crew.say_testing(task);
                let measurer = Measurer {
                    data: self.crew.data,
                    recipe: hw_train::recipe_id(&task.config),
                    test_images: None,
                    config: &task.config,
                    made,
                    looks: &self.looks,
                    beside: self.crew.workers.count - 1,
                };
                let result = measurer.complete(outcome, &[])?;
                Ok(Ended::Tested(Box::new(result)))
            }
        }
    }
}
