//! Learning from another network's answers (Hinton, Vinyals & Dean 2015): a small network reaches
//! more when it is shown how sure a better one is of every class than when it is shown labels only.

use crate::checkpoint::{self, Stamp};
use crate::config::TrainConfig;
use crate::error::{Result, TrainError};
use candle_core::{Device, Tensor};
use hw_core::FileError;
use hw_data::Batch;
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
    kept: Option<Kept>,
}

/// Answers to images that come back.
struct Kept {
    classes: usize,
    /// One for each epoch of the cycle.
    epochs: Vec<EpochAnswers>,
}

/// The answers to one epoch's images by their indices in the data set; those not asked for yet are
/// NaN, which no answer is.
type EpochAnswers = Vec<f32>;

impl Kept {
    /// The configured cycle's answers, where an image is the same each time it comes.
    fn new(config: &TrainConfig, classes: usize) -> Option<Self> {
        let unchanged = config.augment.is_none() && !config.preprocess.is_random();
        let cycle = if unchanged {
            Some(1)
        } else {
            config.augment_cycle
        };
        // What two images are mixed from differs from step to step.
        let cycle = cycle.filter(|_| config.mix.is_none())?;
        Some(Self {
            classes,
            epochs: vec![Vec::new(); cycle.min(config.epochs)],
        })
    }

    fn of(&mut self, epoch: usize) -> (&mut EpochAnswers, usize) {
        let cycle = self.epochs.len();
        (&mut self.epochs[epoch % cycle], self.classes)
    }

    /// The answers to `indices`, if all are known.
    fn find(&mut self, epoch: usize, indices: &[u32]) -> Option<Vec<f32>> {
        let (answers, classes) = self.of(epoch);
        let mut found = Vec::with_capacity(indices.len() * classes);
        for &index in indices {
            let answer = answers.get(index as usize * classes..)?.get(..classes)?;
            found.extend_from_slice(answer);
        }
        (!found.iter().any(|x| x.is_nan())).then_some(found)
    }

    fn keep(&mut self, epoch: usize, indices: &[u32], found: &[f32]) {
        let (answers, classes) = self.of(epoch);
        for (&index, answer) in indices.iter().zip(found.chunks_exact(classes)) {
            let start = index as usize * classes;
            if answers.len() < start + classes {
                answers.resize(start + classes, f32::NAN);
            }
            answers[start..start + classes].copy_from_slice(answer);
        }
    }
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
            kept: Kept::new(&own.config, own.classes.len()),
            network: found.network,
        }))
    }

    /// The teacher's softened answers `[n, classes]` to a batch of `epoch`: remembered where the same
    /// images were there before, else asked for.
    pub(crate) fn answers(&mut self, batch: &Batch, epoch: usize) -> Result<Vec<f32>> {
        if let Some(kept) = &mut self.kept
            && let Some(found) = kept.find(epoch, &batch.indices)
        {
            return Ok(found);
        }
        let answers = self.ask(batch)?;
        if let Some(kept) = &mut self.kept {
            kept.keep(epoch, &batch.indices, &answers);
        }
        Ok(answers)
    }

    fn ask(&self, batch: &Batch) -> Result<Vec<f32>> {
        let shape = batch.shape;
        let logits = match &self.plan {
            Some(plan) => plan.logits(&batch.images),
            None => {
                let images = batch.images.as_slice();
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

    #[test]
    fn answers_are_remembered_where_images_come_back() {
        let config = |augment: &str, augment_cycle, mix: Option<&str>| TrainConfig {
            augment: Some(augment.parse().unwrap()).filter(|a: &hw_data::Augment| !a.is_none()),
            augment_cycle,
            mix: mix.map(|mix| mix.parse().unwrap()),
            epochs: 5,
            ..TrainConfig::default()
        };
        let epochs = |config: &TrainConfig| Kept::new(config, 2).map(|kept| kept.epochs.len());
        assert_eq!(epochs(&config("shift=2", None, None)), None);
        assert_eq!(epochs(&config("shift=2", Some(3), None)), Some(3));
        assert_eq!(epochs(&config("shift=2", Some(30), None)), Some(5));
        assert_eq!(epochs(&config("shift=2", Some(3), Some("mixup"))), None);
        assert_eq!(epochs(&config("none", None, None)), Some(1));
        assert_eq!(epochs(&config("none", None, Some("mixup"))), None);
        let noisy = TrainConfig {
            preprocess: hw_data::Preprocess {
                steps: vec![hw_data::Step::GaussianNoise { std: 0.1 }],
                ..hw_data::Preprocess::default()
            },
            ..TrainConfig::default()
        };
        assert_eq!(epochs(&noisy), None);

        let mut kept = Kept::new(&config("shift=2", Some(3), None), 2).unwrap();
        assert_eq!(kept.find(0, &[4]), None);
        kept.keep(0, &[4, 1], &[0.1, 0.9, 0.3, 0.7]);
        kept.keep(1, &[1], &[0.5, 0.5]);
        assert_eq!(kept.find(3, &[1, 4]), Some(vec![0.3, 0.7, 0.1, 0.9]));
        assert_eq!(kept.find(4, &[1]), Some(vec![0.5, 0.5]));
        for (epoch, indices) in [(0, &[1, 2][..]), (0, &[5]), (1, &[4]), (2, &[1])] {
            assert_eq!(kept.find(epoch, indices), None, "{epoch} {indices:?}");
        }
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
