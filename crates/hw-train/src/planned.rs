//! Training steps by a plan: the network's weights and the optimizer's numbers in the plan's flat memory
//! for as long as training goes on, given back where others look at them.

use crate::averaging::{Averages, share};
use crate::error::Result;
use crate::optimizer::{Optimizer, OptimizerState};
use hw_kernels::cpu::softmax;
use hw_kernels::{LossTerms, optim};
use hw_models::Network;
use hw_models::plan::{LossFunction, StepResult, TrainPlan, cross_entropy};
use std::collections::BTreeMap;

/// A planned network with its optimizer.
pub(crate) struct Planned {
    plan: TrainPlan,
    optimizer: OptimizerState,
    rule: Optimizer,
    averages: Option<FlatAverages>,
    /// Whether steps were taken since the network and its optimizer were last brought up to date.
    ahead: bool,
}

/// Averages of the weights and the moving statistics, in the plan's layout.
struct FlatAverages {
    decay: f32,
    weights: Vec<f32>,
    moving: Vec<Vec<f32>>,
}

impl FlatAverages {
    fn new(plan: &TrainPlan, averages: &Averages, network: &Network) -> Self {
        let values = averages.export(network);
        let moving = plan.moving();
        Self {
            decay: averages.decay(),
            weights: plan.pack(|name| values.get(name).map(Vec::as_slice)),
            moving: moving
                .map(|(name, now)| values.get(name).cloned().unwrap_or_else(|| now.to_vec()))
                .collect(),
        }
    }

    fn update(&mut self, plan: &TrainPlan, step: u64) {
        let share = share(self.decay, step);
        optim::average(&mut self.weights, plan.weights(), share);
        for (average, (_, now)) in self.moving.iter_mut().zip(plan.moving()) {
            optim::average(average, now, share);
        }
    }

    fn by_name(&self, plan: &TrainPlan) -> BTreeMap<String, Vec<f32>> {
        let names = plan.moving().map(|(name, _)| name.to_string());
        let moving = names.zip(self.moving.iter().cloned());
        plan.unpack(&self.weights)
            .into_iter()
            .chain(moving)
            .collect()
    }
}

impl Planned {
    /// A plan that goes on from `network`, `optimizer` and the averages if there are any; `None` where there can be none: on other
    /// devices than the CPU, and for networks with layers that plans do not know.
    pub(crate) fn new(
        network: &Network,
        optimizer: &OptimizerState,
        averages: Option<&Averages>,
        rule: Optimizer,
        batch: usize,
    ) -> Result<Option<Self>> {
        let plan = match network.device().is_cpu() {
            true => TrainPlan::new(network.resolved(), batch),
            false => None,
        };
        let Some(mut plan) = plan else {
            return Ok(None);
        };
        plan.load(network)?;
        let tensors = optimizer.export(network.parameters());
        let flat = OptimizerState::flat_from(rule.clone(), optimizer.steps(), |slot| {
            plan.pack(|name| tensors.get(&format!("{slot}.{name}")).map(Vec::as_slice))
        });
        Ok(Some(Self {
            averages: averages.map(|averages| FlatAverages::new(&plan, averages, network)),
            plan,
            optimizer: flat,
            rule,
            ahead: false,
        }))
    }

    /// One step, the update included unless the loss is no number.
    pub(crate) fn step(
        &mut self,
        images: &[f32],
        labels: &[u32],
        dropout_seed: u64,
        loss: &dyn LossFunction,
        learning_rate: f32,
    ) -> StepResult {
        let result = self.plan.step(images, labels, dropout_seed, loss);
        if result.loss.is_finite() {
            self.optimizer.begin_step();
            let (weights, gradients) = self.plan.update();
            self.optimizer.update(0, weights, gradients, learning_rate);
            if let Some(averages) = &mut self.averages {
                averages.update(&self.plan, self.optimizer.steps());
            }
        }
        self.ahead = true;
        result
    }

    /// Brings `network`, `optimizer` and the averages up to date.
    pub(crate) fn store(
        &mut self,
        network: &Network,
        optimizer: &mut OptimizerState,
        averages: Option<&mut Averages>,
    ) -> Result<()> {
        if !std::mem::take(&mut self.ahead) {
            return Ok(());
        }
        self.plan.store(network)?;
        let mut tensors = BTreeMap::new();
        for (slot, flat) in self.optimizer.numbers(0) {
            for (name, values) in self.plan.unpack(&flat) {
                tensors.insert(format!("{slot}.{name}"), values);
            }
        }
        let (parameters, steps) = (network.parameters(), self.optimizer.steps());
        // The plan's tensors are the network's, so nothing can be missing.
        if let Ok(state) = OptimizerState::import(self.rule.clone(), parameters, steps, tensors) {
            *optimizer = state;
        }
        if let (Some(own), Some(averages)) = (&self.averages, averages)
            && let Ok(now) = Averages::import(own.decay, network, own.by_name(&self.plan))
        {
            *averages = now;
        }
        Ok(())
    }
}

/// The loss of one image, and its gradient, with these terms.
pub(crate) fn loss_function(terms: &LossTerms) -> Box<dyn LossFunction + '_> {
    if *terms == LossTerms::default() {
        return Box::new(cross_entropy);
    }
    Box::new(|logits: &[f32], label: u32, gradient: &mut [f32]| {
        let terms = terms.as_slices();
        softmax::loss(logits, &[label], logits.len(), terms, gradient)
    })
}
