//! Update rules: their constants, and the state that a run must carry to the bit.

use crate::error::{Result, TrainError};
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor, Var};
use hw_kernels::optim::{self, AdamEpsilon};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

/// An update rule with its constants; the learning rate is a field of the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Optimizer {
    /// `w -= lr g`.
    Sgd {},
    /// Gradient descent with momentum (Polyak 1964): `v = µ v + g`, `w -= lr v`.
    Momentum {
        /// µ.
        #[serde(default = "default_momentum")]
        momentum: f32,
    },
    /// Duchi, Hazan & Singer 2011: `h += g²`, `w -= lr g / (√h + eps)`.
    Adagrad {
        /// Keeps the division finite.
        #[serde(default = "default_adagrad_eps")]
        eps: f32,
        /// Where `h` starts (Keras .1, PyTorch and the original 0).
        #[serde(default)]
        initial_accumulator: f32,
    },
    /// Kingma & Ba 2015.
    Adam {
        /// Decay of the first moment.
        #[serde(default = "default_beta1")]
        beta1: f32,
        /// Decay of the second moment.
        #[serde(default = "default_beta2")]
        beta2: f32,
        /// Keeps the division finite.
        #[serde(default = "default_adam_eps")]
        eps: f32,
        /// Where it is added: PyTorch's place or Keras's.
        #[serde(default = "default_epsilon")]
        epsilon: AdamEpsilon,
    },
}

fn default_momentum() -> f32 {
    0.9
}
fn default_adagrad_eps() -> f32 {
    1e-7
}
fn default_beta1() -> f32 {
    0.9
}
fn default_beta2() -> f32 {
    0.999
}
fn default_adam_eps() -> f32 {
    1e-8
}
fn default_epsilon() -> AdamEpsilon {
    AdamEpsilon::Corrected
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::Adam {
            beta1: default_beta1(),
            beta2: default_beta2(),
            eps: default_adam_eps(),
            epsilon: default_epsilon(),
        }
    }
}

impl Optimizer {
    /// Every rule with its default constants.
    pub fn all() -> [Self; 4] {
        [
            Self::Sgd {},
            Self::Momentum {
                momentum: default_momentum(),
            },
            Self::Adagrad {
                eps: default_adagrad_eps(),
                initial_accumulator: 0.0,
            },
            Self::default(),
        ]
    }

    /// The name used on the command line and in config files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd {} => "sgd",
            Self::Momentum { .. } => "momentum",
            Self::Adagrad { .. } => "adagrad",
            Self::Adam { .. } => "adam",
        }
    }

    /// A learning rate that usually works with this rule.
    pub fn default_learning_rate(&self) -> f32 {
        match self {
            Self::Sgd {} => 0.1,
            Self::Momentum { .. } => 0.05,
            Self::Adagrad { .. } => 0.01,
            Self::Adam { .. } => 1e-3,
        }
    }

    /// Names of the numbers kept for each weight.
    fn slots(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd {} => &[],
            Self::Momentum { .. } => &["velocity"],
            Self::Adagrad { .. } => &["accumulator"],
            Self::Adam { .. } => &["moment1", "moment2"],
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let unit = |field, value: f32| ((0.0..1.0).contains(&value), field, value, "in [0, 1)");
        let above = |field, value: f32| {
            (
                value.is_finite() && value > 0.0,
                field,
                value,
                "a finite number above 0",
            )
        };
        let not_below = |field, value: f32| {
            (
                value.is_finite() && value >= 0.0,
                field,
                value,
                "a finite number, at least 0",
            )
        };
        let checks = match *self {
            Self::Sgd {} => vec![],
            Self::Momentum { momentum } => vec![unit("momentum", momentum)],
            Self::Adagrad {
                eps,
                initial_accumulator,
            } => vec![
                above("adagrad's eps", eps),
                not_below("adagrad's initial accumulator", initial_accumulator),
            ],
            Self::Adam {
                beta1, beta2, eps, ..
            } => vec![
                unit("adam's beta1", beta1),
                unit("adam's beta2", beta2),
                above("adam's eps", eps),
            ],
        };
        match checks.into_iter().find(|(fine, ..)| !fine) {
            None => Ok(()),
            Some((_, field, value, expected)) => Err(TrainError::Config {
                field,
                value: value.to_string(),
                expected: expected.into(),
            }),
        }
    }
}

impl FromStr for Optimizer {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        Self::all()
            .into_iter()
            .find(|rule| rule.name() == text)
            .ok_or_else(|| {
                let names = Self::all().map(|rule| rule.name());
                format!("unknown optimizer '{text}'; known: {}", names.join(", "))
            })
    }
}

/// The moving numbers of an optimizer, one set for each trainable tensor.
#[derive(Debug)]
pub struct OptimizerState {
    rule: Optimizer,
    /// Steps taken so far.
    steps: u64,
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

    /// Counts a step; [`Self::update`] each parameter once after it.
    pub fn begin_step(&mut self) {
        self.steps += 1;
    }

    /// The current step's update of parameter number `index`, on plain numbers: `w` the weights,
    /// `g` their gradient.
    ///
    /// # Panics
    /// When `w` and `g` do not have the parameter's length.
    pub fn update(&self, index: usize, w: &mut [f32], g: &[f32], lr: f32) {
        let update = Update {
            rule: self.rule,
            step: self.steps,
            learning_rate: lr,
            slots: &self.slots[index],
        };
        update.apply(w, g);
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// One step on every parameter that has a gradient.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] when a gradient does not have its parameter's shape.
    pub fn step(
        &mut self,
        parameters: &[(String, Var)],
        gradients: &GradStore,
        learning_rate: f32,
    ) -> Result<()> {
        self.steps += 1;
        for ((_, var), slots) in parameters.iter().zip(&self.slots) {
            let Some(gradient) = gradients.get(var) else {
                continue;
            };
            let update = Update {
                rule: self.rule,
                step: self.steps,
                learning_rate,
                slots,
            };
            if var.device().is_cpu() {
                var.inplace_op2(&gradient.contiguous()?, &update)?;
            } else {
                let mut weights = var.flatten_all()?.to_vec1::<f32>()?;
                update.apply(&mut weights, &gradient.flatten_all()?.to_vec1::<f32>()?);
                var.set(&Tensor::from_vec(weights, var.shape(), var.device())?)?;
            }
        }
        Ok(())
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
        state.steps = steps;
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

/// One parameter's update, as a candle in-place operation.
struct Update<'a> {
    rule: Optimizer,
    step: u64,
    learning_rate: f32,
    slots: &'a Mutex<Vec<Vec<f32>>>,
}

impl Update<'_> {
    fn apply(&self, w: &mut [f32], g: &[f32]) {
        let lr = self.learning_rate;
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.rule, slots.as_mut_slice()) {
            (Optimizer::Sgd {}, _) => optim::sgd(w, g, lr),
            (Optimizer::Momentum { momentum }, [v]) => {
                optim::momentum(w, v, g, lr, momentum, false)
            }
            (Optimizer::Adagrad { eps, .. }, [h]) => optim::adagrad(w, h, g, lr, eps),
            (
                Optimizer::Adam {
                    beta1,
                    beta2,
                    eps,
                    epsilon,
                },
                [m, v],
            ) => {
                let settings = optim::Adam {
                    lr,
                    beta1,
                    beta2,
                    eps,
                    epsilon,
                };
                optim::adam(w, m, v, g, self.step, &settings);
            }
            // `new` and `import` give every rule exactly its own slots.
            _ => {}
        }
    }
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
        self.apply(weights, gradient);
        Ok(())
    }
}
