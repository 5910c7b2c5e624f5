//! An update rule at work: the state that a run must carry to the bit.

use super::{Optimizer, Step};
use crate::error::Result;
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor, Var};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The moving numbers of an optimizer, one set for each trainable tensor.
#[derive(Debug)]
pub struct OptimizerState {
    rule: Optimizer,
    /// Steps taken so far.
    steps: u64,
    /// The rule's factors of all steps so far, multiplied.
    product: f64,
    /// For each parameter, its slots.
    slots: Vec<Mutex<Vec<Vec<f32>>>>,
}

impl OptimizerState {
    /// The state before the first step.
    pub fn new(rule: Optimizer, parameters: &[(String, Var)]) -> Self {
        let lens = parameters.iter().map(|(_, var)| var.elem_count());
        Self::of_lens(rule, lens)
    }

    /// The state before the first step of one flat tensor of `len` numbers: what a plan trains.
    pub fn flat(rule: Optimizer, len: usize) -> Self {
        Self::of_lens(rule, [len].into_iter())
    }

    fn of_lens(rule: Optimizer, lens: impl Iterator<Item = usize>) -> Self {
        let starts = rule.start();
        let fresh = |len| Mutex::new(starts.iter().map(|&start| vec![start; len]).collect());
        Self {
            slots: lens.map(fresh).collect(),
            rule,
            steps: 0,
            product: 1.0,
        }
    }

    /// The state of a flat tensor after `steps` steps, its slots filled by name.
    pub(crate) fn flat_from(rule: Optimizer, steps: u64, fill: impl Fn(&str) -> Vec<f32>) -> Self {
        let slots = rule.slots().iter().map(|slot| fill(slot)).collect();
        let mut state = Self::of_lens(rule, std::iter::empty());
        state.slots.push(Mutex::new(slots));
        state.go_to(steps);
        state
    }

    /// Counts `steps` steps, one by one: multiplied in their order, the product has the bits it had.
    fn go_to(&mut self, steps: u64) {
        for _ in 0..steps {
            self.begin_step();
        }
    }

    fn slots(&self, index: usize) -> MutexGuard<'_, Vec<Vec<f32>>> {
        let slots = self.slots[index].lock();
        slots.unwrap_or_else(PoisonError::into_inner)
    }

    /// The slots of parameter number `index`, by name.
    pub(crate) fn numbers(&self, index: usize) -> Vec<(&'static str, Vec<f32>)> {
        let names = self.rule.slots().iter().copied();
        names.zip(self.slots(index).iter().cloned()).collect()
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// One step on every parameter that has a gradient.
    ///
    /// # Errors
    /// [`crate::TrainError::Tensor`] when a gradient does not have its parameter's shape.
    pub fn step(
        &mut self,
        parameters: &[(String, Var)],
        gradients: &GradStore,
        learning_rate: f32,
    ) -> Result<()> {
        self.begin_step();
        for (index, (_, var)) in parameters.iter().enumerate() {
            let Some(gradient) = gradients.get(var) else {
                continue;
            };
            let update = Update {
                state: self,
                index,
                learning_rate,
            };
            if var.device().is_cpu() {
                var.inplace_op2(&gradient.contiguous()?, &update)?;
            } else {
                let mut weights = var.flatten_all()?.to_vec1::<f32>()?;
                let gradient = gradient.flatten_all()?.to_vec1::<f32>()?;
                self.update(index, &mut weights, &gradient, learning_rate);
                var.set(&Tensor::from_vec(weights, var.shape(), var.device())?)?;
            }
        }
        Ok(())
    }

    /// Counts a step; [`Self::update`] each parameter once after it.
    pub fn begin_step(&mut self) {
        self.steps += 1;
        self.product *= self.rule.factor(self.steps);
    }

    /// The current step's update of parameter number `index`, on plain numbers: `w` the weights,
    /// `g` their gradient.
    ///
    /// # Panics
    /// When `w` and `g` do not have the parameter's length, or before the first [`Self::begin_step`].
    pub fn update(&self, index: usize, w: &mut [f32], g: &[f32], lr: f32) {
        assert!(self.steps > 0, "no step has begun");
        let step = Step {
            number: self.steps,
            learning_rate: lr,
            product: self.product,
        };
        self.rule.update(w, &mut self.slots(index), g, step);
    }

    /// The state as named tensors: `velocity.conv1.weight`, flat.
    pub fn export(&self, parameters: &[(String, Var)]) -> BTreeMap<String, Vec<f32>> {
        let mut tensors = BTreeMap::new();
        for (index, (name, _)) in parameters.iter().enumerate() {
            for (slot, values) in self.numbers(index) {
                tensors.insert(format!("{slot}.{name}"), values);
            }
        }
        tensors
    }

    /// The state after `steps` steps, from what [`Self::export`] gave.
    ///
    /// # Errors
    /// A sentence naming the tensor that is missing or has another length.
    pub fn import(
        rule: Optimizer,
        parameters: &[(String, Var)],
        steps: u64,
        mut tensors: BTreeMap<String, Vec<f32>>,
    ) -> std::result::Result<Self, String> {
        let names = rule.slots();
        let mut state = Self::new(rule, parameters);
        state.go_to(steps);
        for ((name, var), slots) in parameters.iter().zip(&mut state.slots) {
            let slots = slots.get_mut().unwrap_or_else(PoisonError::into_inner);
            for (slot, values) in names.iter().zip(slots) {
                let key = format!("{slot}.{name}");
                let stored = tensors.remove(&key);
                let stored = stored.ok_or_else(|| format!("optimizer state '{key}' is missing"))?;
                if stored.len() != var.elem_count() {
                    let (found, wanted) = (stored.len(), var.elem_count());
                    return Err(format!(
                        "optimizer state '{key}' has {found} numbers, not {wanted}"
                    ));
                }
                *values = stored;
            }
        }
        match tensors.keys().next() {
            Some(key) => Err(format!("optimizer state '{key}' belongs to no parameter")),
            None => Ok(state),
        }
    }
}

/// One parameter's update, as a candle in-place operation.
struct Update<'a> {
    state: &'a OptimizerState,
    index: usize,
    learning_rate: f32,
}

fn contiguous<'a>(storage: &'a [f32], layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage[start..end]),
        None => candle_core::bail!("a parameter or gradient is not contiguous"),
    }
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "optimizer-step"
    }

    fn cpu_fwd(
        &self,
        weights: &mut CpuStorage,
        weights_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> candle_core::Result<()> {
        let gradient = contiguous(gradient.as_slice::<f32>()?, gradient_layout)?;
        let Some((start, end)) = weights_layout.contiguous_offsets() else {
            candle_core::bail!("a parameter is not contiguous")
        };
        let CpuStorage::F32(weights) = weights else {
            candle_core::bail!("parameters are f32 here")
        };
        let weights = &mut weights[start..end];
        if weights.len() != gradient.len() {
            let (found, wanted) = (gradient.len(), weights.len());
            candle_core::bail!("a gradient of {found} numbers for {wanted} weights");
        }
        self.state
            .update(self.index, weights, gradient, self.learning_rate);
        Ok(())
    }
}
