//! Learning from another network's answers (Hinton, Vinyals & Dean 2015): a small network reaches
//! more when it is shown how sure a better one is of every class than when it is shown labels only.

use crate::checkpoint::{self, Stamp, Trained};
use crate::config::TrainConfig;
use crate::error::{Result, TrainError};
use candle_core::Device;
use hw_core::FileError;
use hw_data::Batch;
use hw_kernels::cpu::softmax::softmax;
use hw_models::{Frozen, LossFunction};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The teacher's weights, as a run's folder keeps them to be complete without other folders; those of
/// a second teacher are in `teacher-2.safetensors`, and so on.
pub const TEACHER: &str = "teacher.safetensors";

fn kept_as(number: usize) -> String {
    match number {
        0 => TEACHER.into(),
        _ => format!("teacher-{}.safetensors", number + 1),
    }
}

/// Whose answers a run learns from, and how much they count.
///
/// The loss of an image is `(1-λ) L + λ T² Σ_j q_j log(q_j / p_j)`: `L` is the loss without a
/// teacher, `q` and `p` are the softmax of the teacher's and of the learning network's logits, each
/// divided by the temperature `T`. Both see the same image, changed at random in the same way. Of
/// several teachers, `q` is the mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teacher {
    /// The ids of the runs that trained the teachers, at least one.
    pub runs: Vec<String>,
    /// λ, the share of the teacher's answers in the loss, from 0 to 1.
    #[serde(default = "usual_weight")]
    pub weight: f32,
    /// T, above 0: the higher, the more the unlikely classes count.
    #[serde(default = "usual_temperature")]
    pub temperature: f32,
}

fn usual_weight() -> f32 {
    Teacher::WEIGHT
}

fn usual_temperature() -> f32 {
    Teacher::TEMPERATURE
}

impl Teacher {
    /// The usual share of the teacher's answers.
    pub const WEIGHT: f32 = 0.9;
    /// The usual temperature.
    pub const TEMPERATURE: f32 = 2.0;

    /// What training learns from when it learns from the weights at `paths`, each a checkpoint or a
    /// run's folder.
    ///
    /// # Errors
    /// As [`checkpoint::open`].
    pub fn at(paths: &[PathBuf]) -> Result<Self> {
        let run = |path: &PathBuf| Ok(checkpoint::open(path, &Device::Cpu)?.stamp.run);
        Ok(Self {
            runs: paths.iter().map(run).collect::<Result<_>>()?,
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
        if self.runs.is_empty() {
            return Err(TrainError::Config {
                field: "the teacher's runs".into(),
                value: "[]".into(),
                expected: "the id of at least one".into(),
            });
        }
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

/// Teachers that are there to be asked.
pub(crate) struct Teaching {
    teacher: Teacher,
    networks: Vec<Frozen>,
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
        let different = config.different_epochs();
        (different < config.epochs).then(|| Self {
            classes,
            epochs: vec![Vec::new(); different],
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
    /// The teachers of the run that `stamp` describes: from the run's folder, else from `sources`, one
    /// for each, which are then copied there.
    ///
    /// # Errors
    /// [`TrainError::Config`] when one is nowhere, is another run's, or knows other classes or other
    /// pixels than the run; as [`checkpoint::open`] when it cannot be read.
    pub(crate) fn find(
        stamp: &Stamp,
        folder: &Path,
        sources: &[PathBuf],
        device: &Device,
    ) -> Result<Option<Self>> {
        let Some(teacher) = stamp.config.teacher.clone() else {
            return Ok(None);
        };
        let mut found = Vec::new();
        for (number, run) in teacher.runs.iter().enumerate() {
            let kept = folder.join(kept_as(number));
            found.push((open(run, stamp, &kept, sources.get(number), device)?, kept));
        }
        // None is kept before all are known to be right: a refused run leaves the folder free.
        let mut networks = Vec::new();
        for (checkpoint, kept) in found {
            if checkpoint.path != kept {
                let bytes = std::fs::read(&checkpoint.path);
                let bytes = bytes.map_err(FileError::at("read", &checkpoint.path))?;
                hw_core::files::write_whole(&kept, &bytes)?;
            }
            networks.push(Frozen::new(&checkpoint.network)?);
        }
        Ok(Some(Self {
            kept: Kept::new(&stamp.config, stamp.classes.len()),
            teacher,
            networks,
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
        let mut mean: Vec<f32> = Vec::new();
        for network in &self.networks {
            let logits = network.logits(&batch.images, batch.shape)?;
            let classes = logits.len() / batch.labels.len();
            let answers = self.teacher.soften(logits, classes);
            match mean.is_empty() {
                true => mean = answers,
                false => mean.iter_mut().zip(answers).for_each(|(sum, q)| *sum += q),
            }
        }
        let share = 1.0 / self.networks.len() as f32;
        mean.iter_mut().for_each(|q| *q *= share);
        Ok(mean)
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
    pub fn distilled<'a>(
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
}

/// The weights of the teacher that was trained by `run`, fit to teach the run that `stamp` describes.
fn open(
    run: &str,
    stamp: &Stamp,
    kept: &Path,
    source: Option<&PathBuf>,
    device: &Device,
) -> Result<Trained> {
    let kept_one = kept.exists().then(|| checkpoint::open(kept, device));
    let found = match (kept_one.transpose()?, source) {
        // Another's may lie there since a start that was killed before the folder was a run's.
        (Some(found), None) => found,
        (Some(found), Some(_)) if found.stamp.run == run => found,
        (_, Some(source)) => checkpoint::open(source, device)?,
        (None, None) => {
            let place = kept.display();
            let expected = format!("its weights: give them (--teacher), or put them at {place}");
            return Err(refused(run, expected));
        }
    };
    let path = &found.path;
    if found.stamp.run != run {
        let (path, its) = (path.display(), &found.stamp.run);
        return Err(refused(run, format!("the run of {path}, which is {its}")));
    }
    if stamp.classes != found.stamp.classes {
        let expected = "a run with the same classes, in the same order".into();
        return Err(refused(run, expected));
    }
    if stamp.config.preprocess != found.stamp.config.preprocess {
        let expected = "a run with the same preprocessing: both see the same pixels".into();
        return Err(refused(run, expected));
    }
    Ok(found)
}

fn refused(run: &str, expected: String) -> TrainError {
    TrainError::Config {
        field: "the teacher".into(),
        value: format!("run {run}"),
        expected,
    }
}

/// A loss with a teacher's answers to a batch.
pub struct Distilled<'a> {
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
    use crate::loss::loss_function;
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
        assert_eq!(epochs(&config("shift=2", Some(5), None)), None);
        assert_eq!(epochs(&config("shift=2", Some(30), None)), None);
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
    fn loss_and_gradient_are_pytorchs() {
        let golden = include_str!("../../../fixtures/train/distillation.json");
        let Golden { cases } = serde_json::from_str(golden).unwrap();
        for case in cases {
            let teacher = Teacher {
                runs: Vec::new(),
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
            let (weight, t) = (case.weight, case.temperature);
            let about = format!("weight {weight}, temperature {t}");
            assert!(
                close(total, case.loss),
                "{about}: {total}, not {}",
                case.loss
            );
            for (found, wanted) in gradient.iter().zip(case.gradient.iter().flatten()) {
                assert!(close(*found, *wanted), "{about}: {found}, not {wanted}");
            }
        }
    }
}
