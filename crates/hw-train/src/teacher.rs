//! Learning from another network's answers (Hinton, Vinyals & Dean 2015): a small network reaches
//! more when it is shown how sure a better one is of every class than when it is shown labels only.

use crate::checkpoint::{self, Stamp};
use crate::error::{Result, TrainError};
use candle_core::{Device, Tensor};
use hw_core::FileError;
use hw_kernels::cpu::softmax::softmax;
use hw_models::plan::{InferencePlan, LossFunction};
use hw_models::{Mode, Network};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The teacher's weights, as a run's folder keeps them to be complete without other folders.
pub const TEACHER: &str = "teacher.safetensors";

/// Whose answers a run learns from, and how much they count.
///
/// The loss of an image is `(1-λ) L + λ T² Σ_j q_j log(q_j / p_j)`: `L` is the loss without a
/// teacher, `q` and `p` are the softmax of the teacher's and of the learning network's logits, each
/// divided by the temperature `T`. Both see the same image, changed at random in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teacher {
    /// The id of the run that trained the teacher.
    pub run: String,
    /// λ, the share of the teacher's answers in the loss, from 0 to 1.
    pub weight: f32,
    /// T, above 0: the higher, the more the unlikely classes count.
    pub temperature: f32,
}

impl Teacher {
    /// The usual share of the teacher's answers.
    pub const WEIGHT: f32 = 0.9;
    /// The usual temperature.
    pub const TEMPERATURE: f32 = 2.0;

    /// What training learns from when it learns from the weights at `path`, a checkpoint or a run's
    /// folder.
    ///
    /// # Errors
    /// As [`checkpoint::open`].
    pub fn at(path: &Path) -> Result<Self> {
        Ok(Self {
            run: checkpoint::open(path, &Device::Cpu)?.stamp.run,
            weight: Self::WEIGHT,
            temperature: Self::TEMPERATURE,
        })
    }

    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |field: &str, value: f32, expected: &str| {
            Err(TrainError::Config {
                field: field.into(),
                value: value.to_string(),
                expected: expected.into(),
            })
        };
        if !(0.0..=1.0).contains(&self.weight) {
            return refuse("the teacher's weight", self.weight, "from 0 to 1");
        }
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            let expected = "a finite number above 0";
            return refuse("the teacher's temperature", self.temperature, expected);
        }
        Ok(())
    }
}

/// A teacher that is there to be asked.
pub(crate) struct Teaching {
    teacher: Teacher,
    network: Network,
    plan: Option<InferencePlan>,
}

impl Teaching {
    /// The teacher of the run that `stamp` describes: from the run's folder, else from `source`, which
    /// is then copied there.
    ///
    /// # Errors
    /// [`TrainError::Config`] when it is nowhere, is another run's, or knows other classes or other
    /// pixels than the run; as [`checkpoint::open`] when it cannot be read.
    pub(crate) fn find(
        stamp: &Stamp,
        folder: &Path,
        source: Option<&PathBuf>,
        device: &Device,
    ) -> Result<Option<Self>> {
        let Some(teacher) = stamp.config.teacher.clone() else {
            return Ok(None);
        };
        let kept = folder.join(TEACHER);
        let path = match (kept.exists(), source) {
            (true, _) => &kept,
            (false, Some(source)) => source,
            (false, None) => {
                let expected = format!(
                    "its weights: give them (--teacher), or put them at {}",
                    kept.display()
                );
                return Err(refused(&teacher.run, expected));
            }
        };
        let found = checkpoint::open(path, device)?;
        if found.stamp.run != teacher.run {
            let expected = format!(
                "the run of {}, which is {}",
                path.display(),
                found.stamp.run
            );
            return Err(refused(&teacher.run, expected));
        }
        let (own, its) = (stamp, &found.stamp);
        if own.classes != its.classes {
            let expected = "a run with the same classes, in the same order".into();
            return Err(refused(&teacher.run, expected));
        }
        if own.config.preprocess != its.config.preprocess {
            let expected = "a run with the same preprocessing: both see the same pixels".into();
            return Err(refused(&teacher.run, expected));
        }
        if !kept.exists() {
            let read = |path: &Path| std::fs::read(path).map_err(FileError::at("read", path));
            hw_core::files::write_whole(&kept, &read(&found.path)?)?;
        }
        Ok(Some(Self {
            teacher,
            plan: InferencePlan::new(&found.network)?,
            network: found.network,
        }))
    }

    /// The teacher's softened answers `[n, classes]` to `images` (`shape`, in a row).
    pub(crate) fn answers(&self, images: &[f32], shape: [usize; 4]) -> Result<Vec<f32>> {
        let logits = match &self.plan {
            Some(plan) => plan.logits(images),
            None => {
                let x = Tensor::from_slice(images, &shape, self.network.device())?;
                let logits = self.network.forward(&x, Mode::Eval)?;
                logits.flatten_all()?.to_vec1::<f32>()?
            }
        };
        let classes = logits.len() / shape[0];
        Ok(self.teacher.soften(logits, classes))
    }

    /// How the answers count.
    pub(crate) fn teacher(&self) -> &Teacher {
        &self.teacher
    }
}

impl Teacher {
    /// The teacher's answers `q` `[n, classes]`, given its logits, `classes` (at least 1) an image.
    pub fn soften(&self, mut logits: Vec<f32>, classes: usize) -> Vec<f32> {
        let cooler = 1.0 / self.temperature;
        logits.iter_mut().for_each(|logit| *logit *= cooler);
        let mut answers = vec![0.0; logits.len()];
        softmax(&logits, &mut answers, classes, 1);
        answers
    }

    /// `loss` with the teacher's `answers` to the batch.
    pub(crate) fn distilled<'a>(
        &'a self,
        loss: &'a dyn LossFunction,
        answers: &'a [f32],
    ) -> Distilled<'a> {
        Distilled {
            teacher: self,
            loss,
            answers,
        }
    }

    /// `loss`, a scalar, joined by the mean distance of `logits [n, classes]` from the teacher's
    /// [`answers`](Self::soften), whose gradient flows into the logits.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] and [`TrainError::Kernel`] when the shapes do not agree.
    pub fn distill(&self, loss: &Tensor, logits: &Tensor, answers: &[f32]) -> Result<Tensor> {
        let (weight, t) = (f64::from(self.weight), f64::from(self.temperature));
        let answers = Tensor::from_slice(answers, logits.shape(), logits.device())?;
        // The teacher's own entropy is a number: it changes the loss, not the gradient.
        let entropy = (&answers * answers.maximum(f32::MIN_POSITIVE)?.log()?)?.sum_all()?;
        let crossed = (answers * hw_kernels::log_softmax(&(logits / t)?)?)?.sum_all()?;
        let divergence = ((entropy - crossed)? * (weight * t * t / logits.dims()[0] as f64))?;
        Ok(((loss * (1.0 - weight))? + divergence)?)
    }
}

fn refused(run: &str, expected: String) -> TrainError {
    TrainError::Config {
        field: "the teacher".into(),
        value: format!("run {run}"),
        expected,
    }
}

/// A loss with a teacher's answers to a batch.
pub(crate) struct Distilled<'a> {
    teacher: &'a Teacher,
    loss: &'a dyn LossFunction,
    /// `[n, classes]`.
    answers: &'a [f32],
}

impl LossFunction for Distilled<'_> {
    fn evaluate(&self, image: usize, logits: &[f32], label: u32, gradient: &mut [f32]) -> f32 {
        let Teacher {
            weight,
            temperature,
            ..
        } = *self.teacher;
        let of_label = self.loss.evaluate(image, logits, label, gradient);
        let answers = &self.answers[image * logits.len()..][..logits.len()];
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scaled = |logit: f32| (logit - highest) / temperature;
        let log_sum = logits.iter().map(|&x| scaled(x).exp()).sum::<f32>().ln();
        let mut divergence = 0.0;
        for ((g, &x), &q) in gradient.iter_mut().zip(logits).zip(answers) {
            let log_p = scaled(x) - log_sum;
            if q > 0.0 {
                divergence += q * (q.ln() - log_p);
            }
            *g = (1.0 - weight) * *g + weight * temperature * (log_p.exp() - q);
        }
        (1.0 - weight) * of_label + weight * temperature * temperature * divergence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planned::loss_function;
    use candle_core::Var;
    use hw_kernels::LossTerms;

    #[derive(Deserialize)]
    struct Golden {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        weight: f32,
        temperature: f32,
        teacher: Vec<Vec<f32>>,
        logits: Vec<Vec<f32>>,
        labels: Vec<u32>,
        loss: f32,
        gradient: Vec<Vec<f32>>,
    }

    fn close(found: f32, wanted: f32) -> bool {
        (found - wanted).abs() <= 2e-6 * (1.0 + wanted.abs())
    }

    #[test]
    fn loss_and_gradient_are_pytorchs_by_plan_and_by_tensors() {
        let golden = include_str!("../../../fixtures/train/distillation.json");
        let Golden { cases } = serde_json::from_str(golden).unwrap();
        for case in cases {
            let teacher = Teacher {
                run: String::new(),
                weight: case.weight,
                temperature: case.temperature,
            };
            let shape = (case.logits.len(), case.logits[0].len());
            let answers = teacher.soften(case.teacher.concat(), shape.1);
            let terms = LossTerms::default();
            let plain = loss_function(&terms);
            let loss = teacher.distilled(&*plain, &answers);
            let (mut total, mut gradient) = (0.0, Vec::new());
            for (i, (row, label)) in case.logits.iter().zip(&case.labels).enumerate() {
                let mut of_row = vec![0.0; shape.1];
                total += loss.evaluate(i, row, *label, &mut of_row) / shape.0 as f32;
                gradient.extend(of_row.iter().map(|g| g / shape.0 as f32));
            }
            let agrees = |total: f32, gradient: &[f32], how: &str| {
                let (weight, t) = (case.weight, case.temperature);
                let about = format!("weight {weight}, temperature {t}, by {how}");
                assert!(
                    close(total, case.loss),
                    "{about}: {total}, not {}",
                    case.loss
                );
                for (found, wanted) in gradient.iter().zip(case.gradient.iter().flatten()) {
                    assert!(close(*found, *wanted), "{about}: {found}, not {wanted}");
                }
            };
            agrees(total, &gradient, "plan");

            let logits = Var::from_slice(&case.logits.concat(), shape, &Device::Cpu).unwrap();
            let labels = Tensor::new(case.labels.as_slice(), &Device::Cpu).unwrap();
            let plain = hw_kernels::softmax_loss(&logits, &labels, &terms).unwrap();
            let loss = teacher.distill(&plain, &logits, &answers).unwrap();
            let gradients = loss.backward().unwrap();
            let gradient = gradients.get(&logits).unwrap().flatten_all().unwrap();
            let gradient = gradient.to_vec1::<f32>().unwrap();
            agrees(loss.to_scalar().unwrap(), &gradient, "tensors");
        }
    }
}
