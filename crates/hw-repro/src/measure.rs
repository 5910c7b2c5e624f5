//! Testing a trained run: on its own test set, and on every variant that a cell or figure names.

use super::crew::{Busy, Made};
use super::data::DataCache;
use super::paper::{RunDecl, Variant};
use super::results::{Answered, Mistake, RunResult, VariantResult};
use anyhow::{Context, Result};
use hw_data::label_space::CommonSpace;
use hw_data::{Dataset, Loader, LoaderConfig, Preprocess, Split};
use hw_eval::looks::{self, Look, Purpose, Register};
use hw_eval::{Answers, CrossInput, Metrics, Predictions, cross_predictions, evaluate, network};
use hw_train::{DataStamp, Machine, TrainConfig, Trained};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Images a batch when testing.
const TEST_BATCH: usize = 250;
/// Mistakes kept for the report.
const MISTAKES: usize = 24;
/// How long to wait where another process writes a look down.
const WAIT: Duration = Duration::from_millis(20);
/// File of a run's test results.
pub(crate) const TEST_RESULT: &str = "test.json";

/// Measures one trained run.
pub(crate) struct Measurer<'a> {
    pub(crate) data: &'a DataCache,
    /// The id of the run's recipe.
    pub(crate) recipe: String,
    /// Test images at most.
    pub(crate) test_images: Option<usize>,
    pub(crate) config: &'a TrainConfig,
    /// The trained run.
    pub(crate) made: &'a Made<'a>,
    /// The register of looks at test sets.
    pub(crate) looks: &'a Path,
    /// Runs that share the machine meanwhile.
    pub(crate) beside: usize,
}

impl Measurer<'_> {
    /// The results, from the run's folder as far as they are there and still true.
    ///
    /// # Errors
    /// When the checkpoint or the data cannot be read, or results cannot be kept.
    pub(crate) fn complete(
        &self,
        outcome: hw_train::Outcome,
        variants: &[&Variant],
    ) -> Result<RunResult> {
        let declared = variants.iter().map(|v| Ok((*v, serde_json::to_string(v)?)));
        let declared = declared.collect::<Result<Vec<(&Variant, String)>>>()?;
        let test = self.data.get(&self.config.dataset, Split::Test)?;
        if let Some(known) = self.known(&test) {
            let missing =
                |(variant, declared): &&(&Variant, String)| !holds(&known, variant, declared);
            if !declared.iter().any(|variant| missing(&variant)) {
                return Ok(known);
            }
        }
        // To be added to: one process at a time.
        let turn = match self.made.own {
            true => None,
            false => Some(self.made.store.add_to(self.made.run)?.map_err(|_| Busy)?),
        };
        let (result, changed) = self.measured(&test, outcome, declared)?;
        if changed {
            if let Some(turn) = turn
                && !turn.is_held()?
            {
                return Err(Busy.into());
            }
            let text = serde_json::to_string_pretty(&result).context("test results as JSON")?;
            let path = self.made.folder.join(TEST_RESULT);
            hw_core::files::write_whole(&path, text.as_bytes())?;
        }
        Ok(result)
    }

    /// The results that are there and still true.
    fn known(&self, test: &Dataset) -> Option<RunResult> {
        let path = self.made.folder.join(TEST_RESULT);
        std::fs::read_to_string(path)
            .ok()
            .and_then(|text| serde_json::from_str::<RunResult>(&text).ok())
            .filter(|known| known.test.sha256 == test.checksum)
            .filter(|known| known.tested == self.tested(test))
    }

    /// The results, those that are there with what they lack, and whether anything was measured.
    fn measured(
        &self,
        test: &Arc<Dataset>,
        outcome: hw_train::Outcome,
        variants: Vec<(&Variant, String)>,
    ) -> Result<(RunResult, bool)> {
        let known = self.known(test);
        let mut changed = known.is_none();
        // What computed the run computes its answers, whose times are then those of the same device.
        let open = || -> Result<Trained> {
            let device = self.config.device.open()?;
            Ok(hw_train::checkpoint::open(self.made.folder, &device)?)
        };
        let mut trained = None;
        let mut result = match known {
            Some(known) => known,
            None => {
                let opened = trained.insert(open()?);
                let result = self.measure(opened, test, outcome)?;
                self.look(&result, &result.test, &result.metrics, Purpose::Test)?;
                result
            }
        };
        for (variant, declared) in variants {
            if holds(&result, variant, &declared) {
                continue;
            }
            if trained.is_none() {
                trained = Some(open()?);
            }
            let opened = trained.as_ref().context("no checkpoint")?;
            result.variants.retain(|known| known.id != variant.id);
            // A test set that is not to be had costs its own cells only.
            match self.variant(opened, variant, declared) {
                Ok(measured) => {
                    let purpose = Purpose::Variant(variant.id.clone());
                    self.look(&result, &measured.test, &measured.metrics, purpose)?;
                    result.variants.push(measured);
                }
                Err(error) => result
                    .broken
                    .push((variant.id.clone(), hw_core::one_line(error.as_ref()))),
            }
            changed = true;
        }
        Ok((result, changed))
    }

    /// Writes a look at a test set down.
    fn look(
        &self,
        result: &RunResult,
        test: &DataStamp,
        metrics: &Metrics,
        purpose: Purpose,
    ) -> Result<()> {
        let look = Look {
            recipe: self.recipe.clone(),
            run: result.run.clone(),
            test_sha256: test.sha256.clone(),
            test: format!("{}, {}", test.dataset, test.edition),
            images: metrics.samples,
            purpose,
            accuracy: metrics.accuracy,
            time: looks::now(),
            program: concat!("hw ", env!("CARGO_PKG_VERSION")).into(),
            label: Some(hw_train::recipe_label(&result.config)),
        };
        // Appending to one file from several machines needs more than file locks on many file systems.
        let store = self.made.store;
        let turn = loop {
            match store.add_to(looks::REGISTER)? {
                Ok(turn) => break turn,
                Err(_) => std::thread::sleep(WAIT),
            }
        };
        Register::open(self.looks)?.record(&look)?;
        drop(turn);
        Ok(())
    }

    /// How many test images are used, if not all.
    fn tested(&self, test: &Dataset) -> Option<usize> {
        self.test_images.filter(|most| *most < test.len())
    }

    /// The test images used: the same for every run on that set.
    fn indices(&self, test: &Dataset) -> Vec<u32> {
        let all: Vec<u32> = (0..test.len() as u32).collect();
        let Some(most) = self.tested(test) else {
            return all;
        };
        let mut some = hw_data::split::limit(&all, most, 1);
        some.sort_unstable();
        some
    }

    fn loader(&self, test: &Arc<Dataset>, steps: Option<&Variant>) -> Result<Loader> {
        let steps = steps.and_then(|variant| variant.steps.clone());
        let preprocess = match steps {
            Some(steps) => Preprocess {
                steps,
                ..self.config.preprocess.clone()
            },
            None => self.config.preprocess.clone(),
        };
        let config = LoaderConfig {
            batch: TEST_BATCH,
            preprocess,
            augment_seed: self.config.seed,
            ..LoaderConfig::default()
        };
        let indices = self.indices(test);
        Ok(Loader::new(Arc::clone(test), indices.into(), config)?)
    }

    fn measure(
        &self,
        trained: &Trained,
        test: &Arc<Dataset>,
        outcome: hw_train::Outcome,
    ) -> Result<RunResult> {
        let loader = self.loader(test, None)?;
        let started = Instant::now();
        let predictions = network::predict(&trained.network, &loader)?;
        let test_seconds = started.elapsed().as_secs_f64();
        let resolved = trained.network.graph();
        let calls = |batch: usize, most: usize| {
            // Half a second of a slow network's calls is enough; a fast one gets them all.
            let call = test_seconds * batch as f64 / loader.len().max(1) as f64;
            ((0.5 / call) as usize).clamp(1, most)
        };
        let batch = loader.len().min(256);
        Ok(RunResult {
            run: trained.stamp.run.clone(),
            config: self.config.clone(),
            train_images: outcome.history.last().map_or(0, |epoch| epoch.train.images),
            data: trained.stamp.data.clone(),
            test: DataStamp::of(test),
            classes: trained.stamp.classes.clone(),
            metrics: evaluate(&predictions),
            test_seconds,
            tested: self.tested(test),
            answers: Answered::of(&predictions),
            mistakes: mistakes(&predictions, &self.indices(test)),
            variants: Vec::new(),
            broken: Vec::new(),
            plateau: outcome
                .plateau
                .context("a finished run says whether it reached its plateau")?,
            train_seconds: (!outcome.partly_timed()).then(|| outcome.seconds()),
            history: outcome.history,
            latency: network::time(&trained.network, &loader, 1, calls(1, 100))?,
            throughput: network::time(&trained.network, &loader, batch, calls(batch, 12))?,
            parameters: resolved.parameter_count() as u64,
            macs: resolved.macs(),
            input: resolved.spec.input,
            machine: Machine::current(),
            computation: trained.stamp.computation.clone(),
            beside: self.beside,
        })
    }

    fn variant(
        &self,
        trained: &Trained,
        variant: &Variant,
        declared: String,
    ) -> Result<VariantResult> {
        let id = match &variant.dataset {
            Some(named) => self.data.used(named),
            None => self.config.dataset.clone(),
        };
        let test = self.data.get_edition(&id, variant.edition, Split::Test)?;
        let loader = self.loader(&test, Some(variant))?;
        let started = Instant::now();
        let answers = network::answers(&trained.network, &loader)?;
        let seconds = started.elapsed().as_secs_f64();
        let indices = self.indices(&test);
        let model = trained.stamp.classes.clone().into();
        let space = Space::of(&model, &test, variant)?;
        let truth: Vec<u16> = indices.iter().map(|&i| test.labels[i as usize]).collect();
        let labels: Vec<Option<u32>> = truth
            .iter()
            .map(|&l| space.of_test[usize::from(l)])
            .collect();
        let train = self.data.get(&self.config.dataset, Split::Train)?;
        let seen = self.data.shared(&test, &train);
        let mut seen: Vec<bool> = indices.iter().map(|&index| seen[index as usize]).collect();
        let shared = seen.iter().filter(|&&seen| seen).count() as f64 / seen.len().max(1) as f64;
        let own = self.data.get(&self.config.dataset, Split::Test)?;
        if variant.outside_pool && own.checksum != test.checksum {
            let in_pool = self.data.shared(&test, &own);
            let in_pool = indices.iter().map(|&index| in_pool[index as usize]);
            seen.iter_mut()
                .zip(in_pool)
                .for_each(|(seen, in_pool)| *seen |= in_pool);
        }
        let input = CrossInput {
            answers: &answers,
            of_model: &space.of_model,
            labels: &labels,
            classes: space.classes.len(),
            seen: &seen,
        };
        let predictions = if variant.oracle {
            oracle(&answers, &truth, &test, &space)?
        } else if variant.leaked_only {
            let unseen: Vec<bool> = seen.iter().map(|seen| !seen).collect();
            let leaked = CrossInput {
                seen: &unseen,
                ..input
            };
            let (_, leaked) = cross_predictions(&leaked)?;
            leaked.context("no test image is a training image")?
        } else if variant.leak_free {
            let (_, disjoint) = cross_predictions(&input)?;
            disjoint.context("every test image is a training image")?
        } else {
            cross_predictions(&input)?.0
        };
        let classes = match variant.oracle {
            true => test.classes.to_vec(),
            false => space.classes.clone(),
        };
        Ok(VariantResult {
            id: variant.id.clone(),
            declared,
            metrics: evaluate(&predictions),
            answers: Answered::of(&predictions),
            classes,
            test: DataStamp::of(&test),
            seconds,
            shared,
        })
    }
}

/// The label space of a comparison, and the way into it from both sides.
struct Space {
    classes: Vec<String>,
    of_model: Vec<Option<u32>>,
    of_test: Vec<Option<u32>>,
}

impl Space {
    fn of(model: &Arc<[String]>, test: &Dataset, variant: &Variant) -> Result<Self> {
        let common = CommonSpace::of(model, &test.classes)?;
        let mut space = Self {
            classes: common.classes().to_vec(),
            of_model: common.of_model().to_vec(),
            of_test: common.of_test().to_vec(),
        };
        if let Some(coarser) = &variant.space {
            let classes = coarser.classes().context("a folder has no fixed classes")?;
            let further = CommonSpace::of(common.classes(), &classes)?;
            let onwards = |map: &[Option<u32>]| {
                let next = |to: &Option<u32>| to.and_then(|to| further.of_model()[to as usize]);
                map.iter().map(next).collect()
            };
            space = Self {
                of_model: onwards(&space.of_model),
                of_test: onwards(&space.of_test),
                classes: further.classes().to_vec(),
            };
        }
        Ok(space)
    }
}

/// Whether a variant, declared like this, was measured.
fn holds(result: &RunResult, variant: &Variant, declared: &str) -> bool {
    let mut known = result.variants.iter();
    known.any(|known| known.id == variant.id && known.declared == declared)
}

/// What emnist-ablation did to compare a model of merged classes with labels that are not: wherever
/// the merged class is right, the answer is taken to be the true label itself.
fn oracle(answers: &Answers, truth: &[u16], test: &Dataset, space: &Space) -> Result<Predictions> {
    let merged = answers.merged(&space.of_model, space.classes.len())?;
    let said = merged.labelled(&vec![Some(0); merged.len()])?.predicted();
    let classes = test.classes.len();
    let mut probabilities = vec![0.0; said.len() * classes];
    for (row, (&said, &truth)) in said.iter().zip(truth).enumerate() {
        let first = space.of_test.iter().position(|&to| to == Some(said));
        let answer = match space.of_test[usize::from(truth)] == Some(said) {
            true => usize::from(truth),
            false => first.unwrap_or(0),
        };
        probabilities[row * classes + answer] = 1.0;
    }
    let labels = truth.iter().map(|&label| u32::from(label)).collect();
    Ok(Predictions::new(probabilities, labels, classes)?)
}

/// The wrong answers, most confident first; `indices` are the images' places in their set.
fn mistakes(predictions: &Predictions, indices: &[u32]) -> Vec<Mistake> {
    let predicted = predictions.predicted();
    let confidence = predictions.confidence();
    let mut wrong: Vec<Mistake> = predictions
        .labels()
        .iter()
        .enumerate()
        .filter(|(index, label)| predicted[*index] != **label)
        .map(|(index, label)| Mistake {
            index: indices[index] as usize,
            label: *label,
            predicted: predicted[index],
            confidence: confidence[index],
        })
        .collect();
    wrong.sort_by(|a, b| {
        b.confidence
            .total_cmp(&a.confidence)
            .then(a.index.cmp(&b.index))
    });
    wrong.truncate(MISTAKES);
    wrong
}

/// The id of a run's recipe. Teachers are named by their runs, which differ from seed to seed: the name of
/// the run that they are seeds of takes their place.
pub(crate) fn recipe(config: &TrainConfig, decl: &RunDecl) -> String {
    let mut config = config.clone();
    if let (Some(teacher), Some(decl)) = (&mut config.teacher, &decl.teacher) {
        teacher.runs = vec![decl.run.clone()];
    }
    hw_train::recipe_id(&config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_data::Images;
    use hw_data::catalogue::{BYCLASS, BYMERGE, names};

    #[test]
    fn the_oracle_credits_a_merged_answer_with_a_distinction_it_never_made() {
        // A model of 47 says "C" for a small c: right in 47 classes, and the oracle makes it right
        // in 62 as well.
        let label = |space: &str, name: char| space.chars().position(|c| c == name).unwrap();
        let images = Images::new(vec![0; 2], 2, 1, 1, 1).unwrap();
        let truth = vec![label(BYCLASS, 'c') as u16, label(BYCLASS, 'a') as u16];
        let test = Dataset::new("t", Split::Test, images, truth.clone(), names(BYCLASS)).unwrap();
        let mut rows = vec![0.0; 2 * 47];
        rows[label(BYMERGE, 'C')] = 1.0;
        rows[47 + label(BYMERGE, 'A')] = 1.0;
        let answers = Answers::from_probabilities(rows, 47).unwrap();
        let variant: Variant = serde_json::from_str(r#"{"id":"oracle"}"#).unwrap();
        let space = Space::of(&names(BYMERGE), &test, &variant).unwrap();
        let predictions = oracle(&answers, &truth, &test, &space).unwrap();
        assert_eq!(predictions.correct(), [true, false]);
        assert_eq!(predictions.predicted()[1] as usize, label(BYCLASS, 'A'));
    }
}
