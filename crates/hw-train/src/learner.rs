//! A network in training with its optimizer and its averages: everything that changes from step to step,
//! in the executor's flat memory, and given a name only where it is written down.

use crate::averaging::Averages;
use crate::checkpoint::Numbers;
use crate::config::TrainConfig;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::optimizer::OptimizerState;
use candle_core::Tensor;
use hw_models::weights::Contents;
use hw_models::{
    Executor, Frozen, Graph, LossFunction, Mode, Network, StepResult, Tensors, Weights, executor,
};
use std::cell::RefCell;

#[cfg(test)]
mod tests;

/// A network that learns.
pub(crate) struct Learner {
    executor: Box<dyn Executor>,
    optimizer: OptimizerState,
    averages: Option<Averages>,
}

/// Weights and buffers, in an executor's memory.
pub(crate) struct Scored {
    pub(crate) weights: Vec<f32>,
    pub(crate) buffers: Vec<Vec<f32>>,
}

impl Experiment {
    /// What trains a network with these tensors on the experiment's device.
    pub(crate) fn executor(&self, graph: Graph, tensors: &Tensors) -> Result<Box<dyn Executor>> {
        let weights = Weights::Given(tensors);
        Ok(executor(graph, weights, self.config.batch, &self.device)?)
    }

    /// An untrained network, its weights drawn from the seed.
    pub(crate) fn learner(&self) -> Result<Learner> {
        let graph = self.spec.lower()?;
        let weights = Weights::Fresh(self.config.seed);
        let executor = executor(graph, weights, self.config.batch, &self.device)?;
        Ok(Learner::new(&self.config, executor))
    }
}

impl Learner {
    /// One that starts with what `executor` holds.
    pub(crate) fn new(config: &TrainConfig, executor: Box<dyn Executor>) -> Self {
        Self {
            optimizer: OptimizerState::flat(config.optimizer.clone(), executor.weights().len()),
            averages: config.ema.map(|decay| Averages::new(decay, &*executor)),
            executor,
        }
    }

    /// One that goes on after `steps` steps, from what `executor` holds and the numbers that
    /// [`Self::state`] gave, whichever the executor was that they are from.
    ///
    /// # Errors
    /// A sentence about the first number that is missing, has another length or belongs to nothing.
    pub(crate) fn restored(
        config: &TrainConfig,
        executor: Box<dyn Executor>,
        steps: u64,
        mut state: Numbers,
    ) -> std::result::Result<Self, String> {
        let averages = match config.ema {
            Some(decay) => Some(Averages::restored(decay, &*executor, &mut state)?),
            None => None,
        };
        let taking = Taking::new(executor.graph(), &mut state);
        let optimizer = OptimizerState::flat_from(config.optimizer.clone(), steps, |slot| {
            let take = |name: &str| taking.take(&format!("{slot}.{name}"), name, "optimizer state");
            executor.pack(&take)
        });
        taking.problem()?;
        match state.keys().next() {
            Some(key) => Err(format!("optimizer state '{key}' belongs to no parameter")),
            None => Ok(Self {
                executor,
                optimizer,
                averages,
            }),
        }
    }

    /// Its graph.
    pub(crate) fn graph(&self) -> &Graph {
        self.executor.graph()
    }

    /// One step, the update included unless the loss is no number.
    pub(crate) fn step(
        &mut self,
        images: &[f32],
        labels: &[u32],
        dropout_seed: u64,
        loss: &dyn LossFunction,
        learning_rate: f32,
    ) -> Result<StepResult> {
        let result = self.executor.step(images, labels, dropout_seed, loss)?;
        if result.loss.is_finite() {
            self.optimizer.begin_step();
            let (weights, gradients) = self.executor.update();
            self.optimizer.update(0, weights, gradients, learning_rate);
            if let Some(averages) = &mut self.averages {
                averages.update(&*self.executor, self.optimizer.steps());
            }
        }
        Ok(result)
    }

    /// What is scored and kept: the averages where there are some, else the weights.
    pub(crate) fn scored(&self) -> Scored {
        let executor = &self.executor;
        match &self.averages {
            Some(averages) => averages.scored(),
            None => Scored {
                weights: executor.weights().to_vec(),
                buffers: executor.buffers().to_vec(),
            },
        }
    }

    /// The executor, to measure statistics by.
    pub(crate) fn executor(&mut self) -> &mut dyn Executor {
        &mut *self.executor
    }

    /// A network with these weights, to be run.
    pub(crate) fn freeze(&self, scored: &Scored) -> Result<Frozen> {
        Ok(self.executor.freeze(&scored.weights, &scored.buffers)?)
    }

    /// A weights file's contents for these weights.
    pub(crate) fn contents(&self, scored: &Scored) -> Contents {
        let tensors = self.executor.tensors(&scored.weights, &scored.buffers);
        Contents::of(self.graph(), tensors)
    }

    /// The trained network itself.
    pub(crate) fn trained(&self) -> Contents {
        let executor = &self.executor;
        let tensors = executor.tensors(executor.weights(), executor.buffers());
        Contents::of(self.graph(), tensors)
    }

    /// The numbers of the optimizer, `velocity.conv1.weight`, and of the averages, by name.
    pub(crate) fn state(&self) -> Numbers {
        let names = || self.graph().parameters.iter().map(|tensor| &tensor.name);
        let mut state = Numbers::new();
        for (slot, flat) in self.optimizer.numbers(0) {
            let tensors = names().zip(self.executor.unpack(&flat));
            state.extend(tensors.map(|(name, values)| (format!("{slot}.{name}"), values)));
        }
        if let Some(averages) = &self.averages {
            state.extend(averages.by_name(&*self.executor));
        }
        state
    }

    /// The name of the first tensor with a number that is none.
    pub(crate) fn broken_tensor(&self) -> Option<String> {
        let executor = &self.executor;
        let fine = |values: &[f32]| values.iter().all(|value| value.is_finite());
        if fine(executor.weights()) && executor.buffers().iter().all(|buffer| fine(buffer)) {
            return None;
        }
        let tensors = executor.tensors(executor.weights(), executor.buffers());
        let graph = self.graph();
        let all = graph.parameters.iter().zip(&tensors.parameters);
        let mut all = all.chain(graph.buffers.iter().zip(&tensors.buffers));
        all.find(|(_, values)| !fine(values))
            .map(|(tensor, _)| tensor.name.clone())
    }

    /// The first tensor or layer output that is no number on these images `[n, c, h, w]`.
    pub(crate) fn first_non_finite(
        &self,
        experiment: &Experiment,
        images: &[f32],
        shape: [usize; 4],
        dropout_seed: u64,
    ) -> Result<Option<String>> {
        let executor = &self.executor;
        let tensors = executor.tensors(executor.weights(), executor.buffers());
        let network = Network::from_tensors(self.graph().clone(), &tensors, &experiment.device)?;
        let images = Tensor::from_slice(images, shape.as_slice(), network.device())?;
        Ok(network.first_non_finite(&images, Mode::Train { dropout_seed })?)
    }
}

/// Takes tensors from a checkpoint's state by name, and remembers the first that cannot be.
pub(crate) struct Taking<'a> {
    graph: &'a Graph,
    state: RefCell<&'a mut Numbers>,
    problem: RefCell<Option<String>>,
}

impl<'a> Taking<'a> {
    pub(crate) fn new(graph: &'a Graph, state: &'a mut Numbers) -> Self {
        Self {
            graph,
            state: RefCell::new(state),
            problem: RefCell::new(None),
        }
    }

    /// The numbers under `key`, as many as the tensor `name` has; nothing, and a problem, where there are
    /// not. `what` says in messages what they are.
    pub(crate) fn take(&self, key: &str, name: &str, what: &str) -> Option<Vec<f32>> {
        let mut tensors = self.graph.parameters.iter().chain(&self.graph.buffers);
        let wanted = tensors.find(|tensor| tensor.name == name)?.len();
        let stored = self.state.borrow_mut().remove(key);
        let problem = match &stored {
            None => format!("{what} '{key}' is missing"),
            Some(values) if values.len() != wanted => {
                format!("{what} '{key}' has {} numbers, not {wanted}", values.len())
            }
            Some(_) => return stored,
        };
        self.problem.borrow_mut().get_or_insert(problem);
        None
    }

    pub(crate) fn problem(self) -> std::result::Result<(), String> {
        self.problem.into_inner().map_or(Ok(()), Err)
    }
}
