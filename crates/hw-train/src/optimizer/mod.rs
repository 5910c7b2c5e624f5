//! Update rules at work: the state that a run must carry to the bit.

mod rules;

pub use rules::{Optimizer, RULES, Rule, Velocity};

use crate::error::Result;
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor, Var};
use hw_kernels::optim::{self, RootEpsilon};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

impl Optimizer {
    /// Names of the numbers kept for each weight.
    fn slots(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd {} => &[],
            Self::Momentum { .. } | Self::Nesterov { .. } => &["velocity"],
            Self::Adagrad { .. } => &["accumulator"],
            Self::Rmsprop { .. } => &["mean_square"],
            Self::Adam { .. } | Self::Adamw { .. } | Self::Nadam { .. } => &["moment1", "moment2"],
            Self::Adamax { .. } => &["moment1", "norm"],
        }
    }
}

/// The moving numbers of an optimizer, one set for each trainable tensor.
#[derive(Debug)]
pub struct OptimizerState {
    rule: Optimizer,
    /// Steps taken so far.
    steps: u64,
    /// Nadam's momenta of all steps so far, multiplied.
    momentum_product: f64,
    /// For each parameter, its slots.
    slots: Vec<Mutex<Vec<Vec<f32>>>>,
}

impl OptimizerState {
    /// The state before the first step.
    pub fn new(rule: Optimizer, parameters: &[(String, Var)]) -> Self {
        let start = match rule {
            Optimizer::Adagrad {
                initial_accumulator,
                ..
            } => initial_accumulator,
            _ => 0.0,
        };
        let fresh = |(_, var): &(String, Var)| {
            let slots = rule
                .slots()
                .iter()
                .map(|_| vec![start; var.elem_count()])
                .collect();
            Mutex::new(slots)
        };
        Self {
            rule,
            steps: 0,
            momentum_product: 1.0,
            slots: parameters.iter().map(fresh).collect(),
        }
    }

    /// The state before the first step of one flat tensor of `len` numbers: what a plan trains.
    pub fn flat(rule: Optimizer, len: usize) -> Self {
        let start = match rule {
            Optimizer::Adagrad {
                initial_accumulator,
                ..
            } => initial_accumulator,
            _ => 0.0,
        };
        let mut state = Self::new(rule, &[]);
        let slots = rule.slots().iter().map(|_| vec![start; len]).collect();
        state.slots.push(Mutex::new(slots));
        state
    }

    /// The state of a flat tensor after `steps` steps, its slots filled by name.
    pub(crate) fn flat_from(rule: Optimizer, steps: u64, fill: impl Fn(&str) -> Vec<f32>) -> Self {
        let mut state = Self::new(rule, &[]);
        let slots = rule.slots().iter().map(|slot| fill(slot)).collect();
        state.slots.push(Mutex::new(slots));
        for _ in 0..steps {
            state.begin_step();
        }
        state
    }

    /// The slots of parameter number `index`, by name.
    pub(crate) fn numbers(&self, index: usize) -> Vec<(&'static str, Vec<f32>)> {
        let slots = self.slots[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let names = self.rule.slots().iter().copied();
        names.zip(slots.iter().cloned()).collect()
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
        if let Some(nadam) = nadam(self.rule, 0.0) {
            self.momentum_product *= nadam.momentum(self.steps);
        }
    }

    /// The current step's update of parameter number `index`, on plain numbers: `w` the weights,
    /// `g` their gradient.
    ///
    /// # Panics
    /// When `w` and `g` do not have the parameter's length.
    pub fn update(&self, index: usize, w: &mut [f32], g: &[f32], lr: f32) {
        let mut slots = self.slots[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let step = self.steps;
        match (self.rule, slots.as_mut_slice()) {
            (Optimizer::Sgd {}, _) => optim::sgd(w, g, lr),
            (Optimizer::Momentum { momentum, velocity }, [v]) => match velocity {
                Velocity::Gradients => optim::momentum(w, v, g, lr, momentum, false),
                Velocity::Steps => optim::scaled_momentum(w, v, g, lr, momentum, false),
            },
            (Optimizer::Nesterov { momentum, velocity }, [v]) => match velocity {
                Velocity::Gradients => optim::momentum(w, v, g, lr, momentum, true),
                Velocity::Steps => optim::scaled_momentum(w, v, g, lr, momentum, true),
            },
            (Optimizer::Adagrad { eps, epsilon, .. }, [h]) => match epsilon {
                RootEpsilon::Outside => optim::adagrad(w, h, g, lr, eps),
                RootEpsilon::Inside => optim::adagrad_inside(w, h, g, lr, eps),
            },
            (Optimizer::Rmsprop { rho, eps, epsilon }, [v]) => {
                let settings = optim::RmsProp {
                    lr,
                    rho,
                    eps,
                    epsilon,
                };
                optim::rmsprop(w, v, g, &settings);
            }
            (rule, [m, v]) => {
                if let Some((settings, weight_decay)) = adam(rule, lr) {
                    match weight_decay {
                        None => optim::adam(w, m, v, g, step, &settings),
                        Some(decay) => optim::adamw(w, m, v, g, step, &settings, decay),
                    }
                } else if let Some(settings) = adamax(rule, lr) {
                    optim::adamax(w, m, v, g, step, &settings);
                } else if let Some(settings) = nadam(rule, lr) {
                    optim::nadam(w, m, v, g, step, self.momentum_product, &settings);
                }
            }
            // `new` and `import` give every rule exactly its own slots.
            _ => {}
        }
    }

    /// The state as named tensors: `velocity.conv1.weight`, flat.
    pub fn export(&self, parameters: &[(String, Var)]) -> BTreeMap<String, Vec<f32>> {
        let mut tensors = BTreeMap::new();
        for ((name, _), slots) in parameters.iter().zip(&self.slots) {
            let slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
            for (slot, values) in self.rule.slots().iter().zip(slots.iter()) {
                tensors.insert(format!("{slot}.{name}"), values.clone());
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
        let mut state = Self::new(rule, parameters);
        // Multiplied in the order of the steps, so the product has the bits it had.
        for _ in 0..steps {
            state.begin_step();
        }
        for ((name, var), slots) in parameters.iter().zip(&mut state.slots) {
            let slots = slots.get_mut().unwrap_or_else(PoisonError::into_inner);
            for (slot, values) in rule.slots().iter().zip(slots) {
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

/// Adam's settings and AdamW's weight decay.
fn adam(rule: Optimizer, lr: f32) -> Option<(optim::Adam, Option<f32>)> {
    let (beta1, beta2, eps, epsilon, weight_decay) = match rule {
        Optimizer::Adam {
            beta1,
            beta2,
            eps,
            epsilon,
        } => (beta1, beta2, eps, epsilon, None),
        Optimizer::Adamw {
            beta1,
            beta2,
            eps,
            epsilon,
            weight_decay,
        } => (beta1, beta2, eps, epsilon, Some(weight_decay)),
        _ => return None,
    };
    let settings = optim::Adam {
        lr,
        beta1,
        beta2,
        eps,
        epsilon,
    };
    Some((settings, weight_decay))
}

fn adamax(rule: Optimizer, lr: f32) -> Option<optim::Adamax> {
    let Optimizer::Adamax {
        beta1,
        beta2,
        eps,
        epsilon,
    } = rule
    else {
        return None;
    };
    Some(optim::Adamax {
        lr,
        beta1,
        beta2,
        eps,
        epsilon,
    })
}

fn nadam(rule: Optimizer, lr: f32) -> Option<optim::Nadam> {
    let Optimizer::Nadam {
        beta1,
        beta2,
        eps,
        momentum_decay,
    } = rule
    else {
        return None;
    };
    Some(optim::Nadam {
        lr,
        beta1,
        beta2,
        eps,
        momentum_decay,
    })
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
