//! Each family's blocks against their references.

use super::golden::{Kernels, distance, json, largest};
use super::{Deviation, Row, networks, operations};
use anyhow::{Context, Result};
use candle_core::{Device, Tensor, Var};
use hw_core::Rng;
use hw_data::preprocess::Draw;
use hw_data::{Filter, Preprocess, Step};
use hw_kernels::{LossTerms, optim};
use hw_models::LossFunction;
use hw_models::{Initializer, zoo};
use hw_train::averaging::{AVERAGES, share};
use hw_train::blocks::{Block, Family};
use hw_train::schedule::{Length, Plateau, SCHEDULES, WARM_UPS, warmup};
use hw_train::{Monitor, Optimizer, OptimizerState, Schedule, Score, Teacher};
use serde::Deserialize;
use std::collections::HashMap;

/// All rows of the table, family by family.
pub(crate) fn all() -> Result<Vec<Row>> {
    let kernels = Kernels::open()?;
    let mut rows = models()?;
    rows.extend(operations::layers(&kernels)?);
    rows.extend([networks::wavelets()?, networks::pad_and_subsample()?]);
    rows.push(networks::dropout());
    rows.extend(operations::activations(&kernels)?);
    rows.extend(initialisers());
    rows.extend(losses()?);
    rows.extend(optimizers()?);
    rows.extend(schedules()?);
    rows.push(averaging()?);
    rows.extend(resizing()?);
    rows.extend(augmentation()?);
    rows.extend(networks::exported()?);
    Ok(rows)
}

/// The members of a family, by name.
fn members(family: Family) -> HashMap<String, Block> {
    let blocks = family.blocks().into_iter();
    blocks.map(|block| (block.name.clone(), block)).collect()
}

#[derive(Deserialize)]
struct Count {
    model: String,
    #[serde(default)]
    settings: zoo::Settings,
    input: [usize; 3],
    classes: usize,
    parameters: usize,
    source: String,
}

fn models() -> Result<Vec<Row>> {
    let known = members(Family::Models);
    let counts: Vec<Count> = json("models/counts.json")?;
    let mut rows = Vec::new();
    for count in counts {
        let spec = zoo::spec_with(&count.model, count.input, count.classes, &count.settings)?;
        let ours = spec.lower()?.parameter_count();
        let [c, h, w] = count.input;
        let off = distance(ours as f64, count.parameters as f64);
        rows.push(Row {
            family: "Models",
            source: known.get(&count.model).map_or("-", |b| &b.source).into(),
            reference: format!(
                "{} parameters at {h}x{w}x{c}, {} classes ({})",
                count.parameters, count.classes, count.source
            ),
            name: count.model,
            deviation: Deviation::Measured(off),
            test: "crates/hw-models/tests/models.rs::\
                   every_model_has_a_published_or_derived_count_and_meets_it"
                .into(),
        });
    }
    Ok(rows)
}

/// Draws of a rule, and the fans they are for.
const DRAWS: usize = 100_000;
const FANS: [usize; 2] = [300, 100];

fn initialisers() -> Vec<Row> {
    let row = |rule: Initializer| {
        let [fan_in, fan_out] = FANS;
        let mut rng = Rng::stream(1, "init", 0);
        let draws = rule.weights(&mut rng, DRAWS, fan_in, fan_out);
        let square = |x: &f32| f64::from(*x).powi(2);
        let variance = draws.iter().map(square).sum::<f64>() / DRAWS as f64;
        let (inputs, both) = (fan_in as f64, (fan_in + fan_out) as f64);
        let expected = match rule {
            Initializer::Normal { std } => f64::from(std).powi(2),
            Initializer::GlorotUniform | Initializer::GlorotNormal => 2.0 / both,
            Initializer::HeUniform | Initializer::HeNormal => 2.0 / inputs,
            Initializer::LecunUniform | Initializer::LecunNormal => 1.0 / inputs,
            Initializer::Torch => 1.0 / (3.0 * inputs),
        };
        Row {
            family: "Initialisers",
            name: rule.name().into(),
            source: rule.source().into(),
            reference: format!("its paper's variance, {DRAWS} draws (relative)"),
            deviation: Deviation::Measured((variance / expected - 1.0).abs()),
            test: "crates/hw-models/src/init.rs::each_rule_has_the_variance_of_its_paper".into(),
        }
    };
    Initializer::all().map(row).collect()
}

#[derive(Deserialize)]
struct LossCase {
    #[serde(default)]
    gamma: f32,
    #[serde(default)]
    smoothing: f32,
    class_weights: Option<Vec<f32>>,
    #[serde(flatten)]
    taught: Option<Taught>,
    logits: Vec<Vec<f32>>,
    labels: Vec<u32>,
    loss: f32,
    gradient: Vec<Vec<f32>>,
}

/// A teacher, and its logits.
#[derive(Deserialize)]
struct Taught {
    weight: f32,
    temperature: f32,
    teacher: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Distillation {
    cases: Vec<LossCase>,
}

impl LossCase {
    /// Which of the losses it is a case of; combinations belong to several.
    fn names(&self) -> Vec<&'static str> {
        let parts = [
            (self.class_weights.is_some(), "class-weighted"),
            (self.gamma != 0.0, "focal"),
            (self.smoothing != 0.0, "label-smoothing"),
        ];
        let used: Vec<_> = parts.iter().filter(|(used, _)| *used).collect();
        match used.is_empty() {
            true => vec!["cross-entropy"],
            false => used.iter().map(|(_, name)| *name).collect(),
        }
    }

    fn deviation(&self) -> Result<f64> {
        let terms = LossTerms {
            gamma: self.gamma,
            smoothing: self.smoothing,
            class_weights: self.class_weights.clone().map(Into::into),
        };
        let plain = hw_train::loss::loss_function(&terms);
        let teacher = self.taught.as_ref().map(|taught| {
            let teacher = Teacher {
                runs: Vec::new(),
                weight: taught.weight,
                temperature: taught.temperature,
            };
            let classes = taught.teacher[0].len();
            let answers = teacher.soften(taught.teacher.concat(), classes);
            (teacher, answers)
        });
        let distilled = teacher
            .as_ref()
            .map(|(teacher, answers)| teacher.distilled(&*plain, answers));
        let loss: &dyn LossFunction = match &distilled {
            Some(distilled) => distilled,
            None => &*plain,
        };
        let n = self.labels.len() as f32;
        let (mut total, mut gradient) = (0.0, Vec::new());
        for (image, (logits, &label)) in self.logits.iter().zip(&self.labels).enumerate() {
            let mut own = vec![0.0; logits.len()];
            total += loss.evaluate(image, logits, label, &mut own) / n;
            gradient.extend(own.iter().map(|g| g / n));
        }
        let off = largest(&[total], &[self.loss]);
        Ok(off.max(largest(&gradient, &self.gradient.concat())))
    }
}

fn losses() -> Result<Vec<Row>> {
    let known = members(Family::Losses);
    let mut worst: HashMap<&str, f64> = HashMap::new();
    for case in json::<Vec<LossCase>>("kernels/losses.json")? {
        let off = case.deviation()?;
        for name in case.names() {
            let entry = worst.entry(name).or_default();
            *entry = entry.max(off);
        }
    }
    let row = |block: Block| {
        let off = worst.get(block.name.as_str());
        Row {
            family: "Losses",
            source: known[&block.name].source.clone(),
            reference: "PyTorch and Keras, double precision (fixtures/kernels)".into(),
            deviation: Deviation::Measured(off.copied().unwrap_or(f64::INFINITY)),
            test: "crates/hw-kernels/tests/losses.rs::\
                   every_loss_and_its_gradient_are_those_of_pytorch_and_keras_in_both_precisions"
                .into(),
            name: block.name,
        }
    };
    let mut rows: Vec<Row> = Family::Losses.blocks().into_iter().map(row).collect();
    let taught: Distillation = json("train/distillation.json")?;
    let off = taught.cases.iter().map(LossCase::deviation);
    let off = off.collect::<Result<Vec<f64>>>()?;
    rows.push(Row {
        family: "Losses",
        name: "a teacher's answers".into(),
        source: "Hinton, Vinyals & Dean 2015".into(),
        reference: "PyTorch, double precision (fixtures/train)".into(),
        deviation: Deviation::Measured(off.into_iter().fold(0.0, f64::max)),
        test: "crates/hw-train/src/teacher.rs::\
               loss_and_gradient_are_pytorchs"
            .into(),
    });
    Ok(rows)
}

type Weights = HashMap<String, Vec<f32>>;

#[derive(Deserialize)]
struct OptimizerFixture {
    initial: Weights,
    gradients: Vec<Weights>,
    cases: Vec<OptimizerCase>,
}

/// Of rules that neither PyTorch nor Keras has, on the same problem.
#[derive(Deserialize)]
struct OwnCases {
    cases: Vec<OptimizerCase>,
}

#[derive(Deserialize)]
struct OptimizerCase {
    library: String,
    learning_rates: Vec<f32>,
    optimizer: Optimizer,
    weights: Vec<Weights>,
}

impl OptimizerFixture {
    fn deviation(&self, case: &OptimizerCase) -> Result<f64> {
        let mut weights: Vec<(String, Vec<f32>)> = self.initial.clone().into_iter().collect();
        let variable = |(name, values): &(String, Vec<f32>)| -> Result<(String, Var)> {
            let tensor = Tensor::from_slice(values, values.len(), &Device::Cpu)?;
            Ok((name.clone(), Var::from_tensor(&tensor)?))
        };
        let variables: Vec<_> = weights.iter().map(variable).collect::<Result<_>>()?;
        let mut state = OptimizerState::new(case.optimizer.clone(), &variables);
        let mut worst = 0f64;
        for (step, gradients) in self.gradients.iter().enumerate() {
            state.begin_step();
            for (index, (name, w)) in weights.iter_mut().enumerate() {
                state.update(index, w, &gradients[name], case.learning_rates[step]);
                worst = worst.max(largest(w, &case.weights[step][name]));
            }
        }
        Ok(worst)
    }
}

fn optimizers() -> Result<Vec<Row>> {
    let mut fixture: OptimizerFixture = json("train/optimizers.json")?;
    let own: OwnCases = json("train/lion.json")?;
    fixture.cases.extend(own.cases);
    let mut worst: HashMap<&str, (f64, Vec<&str>)> = HashMap::new();
    for case in &fixture.cases {
        let off = fixture.deviation(case)?;
        let (most, libraries) = worst.entry(case.optimizer.name()).or_default();
        *most = most.max(off);
        if !libraries.contains(&case.library.as_str()) {
            libraries.push(&case.library);
        }
    }
    let row = |block: Block| {
        let measured = worst.remove(block.name.as_str());
        let (off, libraries) = measured.with_context(|| format!("no steps of {}", block.name))?;
        let test = match block.name.as_str() {
            "lion" => "crates/hw-train/src/optimizer/lion.rs::twenty_steps_are_those_of_the_paper",
            _ => {
                "crates/hw-train/tests/optimizers.rs::\
                 twenty_steps_of_every_rule_are_those_of_pytorch_and_keras"
            }
        };
        Ok(Row {
            family: "Optimizers",
            reference: format!("20 steps of {}", libraries.join(" and of ")),
            source: block.source,
            deviation: Deviation::Measured(off),
            test: test.into(),
            name: block.name,
        })
    };
    Family::Optimizers.blocks().into_iter().map(row).collect()
}

#[derive(Deserialize)]
struct ScheduleFixture {
    steps_per_epoch: usize,
    epochs: usize,
    base: f32,
    validation: Vec<f64>,
    cases: Vec<ScheduleCase>,
}

#[derive(Deserialize)]
struct ScheduleCase {
    schedule: Schedule,
    #[serde(default)]
    warmup: f64,
    library: String,
    rates: Vec<f64>,
}

impl ScheduleFixture {
    fn deviation(&self, case: &ScheduleCase) -> f64 {
        let length = Length {
            steps_per_epoch: self.steps_per_epoch,
            epochs: self.epochs,
        };
        let mut plateau = Plateau::default();
        let mut worst = 0f64;
        for (step, &expected) in case.rates.iter().enumerate() {
            let rate = case.schedule.rate(self.base, step as u64, length, &plateau)
                * warmup(case.warmup, step as u64, length);
            worst = worst.max(distance(f64::from(rate), expected));
            if (step + 1) % self.steps_per_epoch == 0 {
                let score = Score {
                    loss: self.validation[step / self.steps_per_epoch],
                    accuracy: 0.0,
                    images: 1,
                };
                let (base, monitor) = (self.base, Monitor::ValLoss);
                case.schedule
                    .after_epoch(base, Some(&score), monitor, &mut plateau);
            }
        }
        worst
    }
}

fn schedules() -> Result<Vec<Row>> {
    let fixture: ScheduleFixture = json("train/schedules.json")?;
    let row = |case: &ScheduleCase| {
        let named = SCHEDULES.iter().find(|choice| {
            std::mem::discriminant(&choice.value) == std::mem::discriminant(&case.schedule)
        });
        let (name, source) = match (case.warmup > 0.0, named) {
            (true, _) => (WARM_UPS[0].name, WARM_UPS[0].source),
            (false, Some(choice)) => (choice.name, choice.source),
            (false, None) => ("-", "-"),
        };
        Row {
            family: match case.warmup > 0.0 {
                true => "Warm-up",
                false => "Schedules",
            },
            name: name.into(),
            source: source.into(),
            reference: format!("{}, every step of {} epochs", case.library, fixture.epochs),
            deviation: Deviation::Measured(fixture.deviation(case)),
            test: "crates/hw-train/src/schedule.rs::\
                   every_step_has_the_learning_rate_of_pytorch_or_keras"
                .into(),
        }
    };
    Ok(fixture.cases.iter().map(row).collect())
}

#[derive(Deserialize)]
struct AverageFixture {
    library: String,
    weights: Vec<Vec<f32>>,
    cases: Vec<AverageCase>,
}

#[derive(Deserialize)]
struct AverageCase {
    decay: f32,
    averages: Vec<Vec<f32>>,
}

fn averaging() -> Result<Row> {
    let fixture: AverageFixture = json("train/average.json")?;
    let mut worst = 0f64;
    for case in &fixture.cases {
        let mut average = fixture.weights[0].clone();
        for (step, expected) in case.averages.iter().enumerate() {
            let share = share(case.decay, step as u64 + 1);
            optim::average(&mut average, &fixture.weights[step + 1], share);
            worst = worst.max(largest(&average, expected));
        }
    }
    Ok(Row {
        family: "Weight averaging",
        name: AVERAGES[0].name.into(),
        source: AVERAGES[0].source.into(),
        reference: format!("20 steps of {}", fixture.library),
        deviation: Deviation::Measured(worst),
        test: "crates/hw-train/src/averaging.rs::\
               twenty_steps_of_the_average_are_those_of_tensorflow"
            .into(),
    })
}

#[derive(Deserialize)]
struct ResizeCase {
    height: usize,
    width: usize,
    size: usize,
    image: Vec<u8>,
    #[serde(flatten)]
    results: HashMap<String, Vec<f32>>,
}

fn resizing() -> Result<Vec<Row>> {
    let cases: Vec<ResizeCase> = json("data/resize.json")?;
    let row = |filter: Filter| -> Result<Row> {
        let mut worst = 0f64;
        for case in &cases {
            let size = case.size;
            let preprocess = Preprocess {
                steps: vec![Step::Resize { size, filter }],
                ..Preprocess::default()
            };
            let pipeline = preprocess.check([1, case.height, case.width])?;
            let found = pipeline.apply(&case.image, Draw::default());
            let expected = case.results.get(filter.name());
            let expected = expected.with_context(|| format!("no case of {filter}"))?;
            worst = worst.max(largest(&found, expected));
        }
        Ok(Row {
            family: "Resizing",
            name: filter.name().into(),
            source: filter.source().into(),
            reference: match filter {
                Filter::Bilinear | Filter::Bicubic => "PyTorch (fixtures/data, six digits)".into(),
                Filter::Area => "TensorFlow (fixtures/data, six digits)".into(),
            },
            deviation: Deviation::Measured(worst),
            test: "crates/hw-data/tests/data/resampling.rs::resizing_equals_pytorch_and_tensorflow"
                .into(),
        })
    };
    Filter::ALL.into_iter().map(row).collect()
}

fn augmentation() -> Result<Vec<Row>> {
    let tests = HashMap::from([
        (
            "shift",
            "a_shift_moves_the_ink_by_no_more_than_asked_and_loses_none",
        ),
        (
            "rotate",
            "a_rotation_turns_about_the_middle_by_no_more_than_asked",
        ),
        (
            "scale",
            "a_change_of_size_multiplies_the_area_by_no_more_than_asked",
        ),
        ("shear", "a_shear_keeps_area_and_rows"),
        (
            "elastic",
            "elastic_displacement_bends_but_keeps_most_of_the_ink",
        ),
        (
            "erase",
            "erasing_removes_one_rectangle_of_no_more_than_the_area_asked",
        ),
        (
            "interpolation",
            "cubic_values_keep_a_moved_image_sharper_than_linear_ones",
        ),
    ]);
    let row = |change: Block| -> Result<Row> {
        let test = tests.get(change.name.as_str());
        let test = test.with_context(|| format!("no test of {}", change.name))?;
        let reference = match change.name.as_str() {
            "interpolation" => {
                "Pillow 13.0.0 (fixtures/data, moved by parts of a pixel), its definition"
            }
            _ => "its definition, on drawn settings and images",
        };
        Ok(Row {
            family: "Augmentation",
            name: change.name,
            source: change.source,
            reference: reference.into(),
            deviation: Deviation::Properties,
            test: format!("crates/hw-data/tests/data/augmenting.rs::{test}"),
        })
    };
    let changes = Family::Augmentations.blocks().into_iter();
    let mixes = Family::Mixes.blocks().into_iter().map(|mix| {
        let test = match mix.name.as_str() {
            "mixup" => "mixup_is_the_weighted_mean_of_two_images",
            _ => "cutmix_is_one_rectangle_of_the_other_image",
        };
        Ok(Row {
            family: "Augmentation",
            name: mix.name,
            source: mix.source,
            reference: "its definition, on drawn settings and images".into(),
            deviation: Deviation::Properties,
            test: format!("crates/hw-train/src/mixing.rs::{test}"),
        })
    });
    changes.map(row).chain(mixes).collect()
}
