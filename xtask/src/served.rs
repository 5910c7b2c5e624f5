//! `cargo xtask train-served`: the small networks that come with the binary. They learn from
//! generated glyphs, whose licence is this project's own; real test sets only measure them.

use crate::args::TrainServedArgs;
use anyhow::{Context, Result, ensure};
use candle_core::Device;
use hw_core::CancelToken;
use hw_data::centre::fit_like_mnist;
use hw_data::glyphs::{GlyphConfig, default_count, generate};
use hw_data::gray::Gray;
use hw_data::{DataDirs, DataError, Dataset, DatasetId, EmnistEdition, GlyphSet, Split};
use hw_eval::Calibration;
use hw_eval::Predictions;
use hw_ink::net::softmax;
use hw_ink::{Card, Measurement, Model, Net};
use hw_kernels::Activation;
use hw_models::weights;
use hw_models::{Border, Initializer, Layer, ModelSpec};
use hw_train::{Event, Experiment, RunOptions, TrainConfig};
use rayon::prelude::*;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// One of the served networks.
struct Recipe {
    name: &'static str,
    title: &'static str,
    glyphs: GlyphSet,
    /// Training images.
    images: usize,
    epochs: usize,
    /// Real test sets that only measure.
    real: &'static [(DatasetId, Option<EmnistEdition>)],
}

const RECIPES: [Recipe; 4] = [
    Recipe {
        name: "digits",
        title: "Digits",
        glyphs: GlyphSet::Digits,
        images: 80_000,
        epochs: 5,
        real: &[(DatasetId::Mnist, None)],
    },
    Recipe {
        name: "letters",
        title: "Letters, either case",
        glyphs: GlyphSet::Letters,
        images: 130_000,
        epochs: 5,
        real: &[(DatasetId::EmnistLetters, Some(EmnistEdition::Sixth))],
    },
    Recipe {
        name: "all",
        title: "Letters and digits",
        glyphs: GlyphSet::All,
        images: 111_600,
        epochs: 5,
        real: &[(DatasetId::EmnistByclass, Some(EmnistEdition::Full))],
    },
    Recipe {
        name: "hiragana",
        title: "Ten hiragana: お き す つ な は ま や れ を",
        glyphs: GlyphSet::Hiragana,
        images: 30_000,
        epochs: 4,
        real: &[(DatasetId::Kmnist, None)],
    },
];

/// The root of every draw.
const SEED: u64 = 1;
/// Images that calibrate, and images that measure, a set.
const HELD_OUT: usize = 12_400;

/// A wilder hand than the generator's usual one: people differ more than our strokes do.
fn hand(seed: u64) -> GlyphConfig {
    GlyphConfig {
        seed,
        pen: [0.06, 0.22],
        slant: [-0.3, 0.5],
        rotation: [-15.0, 15.0],
        aspect: [0.62, 1.5],
        wobble: 0.03,
        elastic_alpha: 0.05,
        ..GlyphConfig::default()
    }
}

/// Three convolutions and two affine layers: 105,000 parameters, 2 million multiply-adds.
fn spec(classes: usize) -> ModelSpec {
    let norm = || Layer::BatchNorm {
        eps: 1e-3,
        momentum: 0.02,
    };
    let relu = || Layer::activation(Activation::Relu);
    let stage = |out| {
        [
            Layer::conv(out, 3, Border::Same),
            norm(),
            relu(),
            Layer::max_pool(2),
        ]
    };
    let head = [
        Layer::Flatten,
        Layer::Dropout { rate: 0.3 },
        Layer::dense(128),
        norm(),
        relu(),
    ];
    let layers = [16, 32, 64].into_iter().flat_map(stage);
    ModelSpec {
        name: "served".into(),
        input: [1, 28, 28],
        classes,
        init: Initializer::HeNormal,
        layers: layers.chain(head).chain([Layer::dense(classes)]).collect(),
    }
}

pub(crate) fn run(args: &TrainServedArgs) -> Result<ExitCode> {
    let chosen = |recipe: &&Recipe| args.only.as_deref().is_none_or(|only| only == recipe.name);
    let recipes: Vec<&Recipe> = RECIPES.iter().filter(chosen).collect();
    ensure!(
        !recipes.is_empty(),
        "--only takes digits, letters, all or hiragana"
    );
    ensure!(
        args.scale > 0.0 && args.scale <= 1.0,
        "--scale must lie in (0, 1]"
    );
    let home = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/hw-ink/models");
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(home));
    let cancel = CancelToken::new();
    crate::reproduce::stop_on_ctrl_c(&cancel)?;
    for recipe in recipes {
        let Some(net) = trained(recipe, args, &cancel)? else {
            eprintln!("stopped; run the same command again to go on");
            return Ok(ExitCode::from(130));
        };
        let model = measured(recipe, args, net)?;
        let path = out.join(format!("{}.safetensors", recipe.name));
        let bytes = model.to_bytes()?;
        hw_core::files::write_whole(&path, &bytes)?;
        eprintln!(
            "{}: {} bytes in {}",
            recipe.name,
            bytes.len(),
            path.display()
        );
        for m in &model.card.measured {
            eprintln!(
                "  {} ({} images): {:.2} % as served, {:.2} % in f32, calibration error {:.4}",
                m.on,
                m.images,
                m.accuracy * 100.0,
                m.accuracy_f32 * 100.0,
                m.calibration_error
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The trained network; `None` when stopped.
fn trained(recipe: &Recipe, args: &TrainServedArgs, cancel: &CancelToken) -> Result<Option<Net>> {
    let images = scaled(recipe.images, args.scale);
    let glyphs = generate(recipe.glyphs, Split::Train, images, &hand(SEED))?;
    let config = TrainConfig {
        model: "served".into(),
        spec: Some(spec(glyphs.classes.len())),
        dataset: DatasetId::Glyphs(recipe.glyphs),
        epochs: recipe.epochs,
        seed: SEED,
        val_fraction: 0.05,
        ..TrainConfig::default()
    };
    let experiment = Experiment::new(config, Arc::new(glyphs), None)?;
    let folder = args
        .runs
        .join(format!("{}-{}", recipe.name, experiment.id()));
    let mut observer = |event: &Event| {
        if let Event::Epoch(record) = event {
            eprintln!("{}: {record:?}", recipe.name);
        }
    };
    let options = RunOptions {
        cancel: cancel.clone(),
        ..RunOptions::new(&mut observer)
    };
    if !experiment.complete(&folder, options)?.finished {
        return Ok(None);
    }
    let best = hw_train::checkpoint::open(&folder, &Device::Cpu)?;
    let contents = weights::read(&best.path)?;
    Ok(Some(hw_models::fold(best.network.spec(), &contents)?))
}

fn scaled(images: usize, scale: f64) -> usize {
    ((images as f64 * scale) as usize).max(620)
}

/// Calibrates, quantises and measures.
fn measured(recipe: &Recipe, args: &TrainServedArgs, net: Net) -> Result<Model> {
    let held_out = |seed| {
        let count = scaled(
            HELD_OUT.min(default_count(recipe.glyphs, Split::Test)),
            args.scale,
        );
        generate(recipe.glyphs, Split::Test, count, &hand(seed))
    };
    let calibration = held_out(SEED + 1)?;
    let card = Card {
        name: recipe.name.into(),
        title: recipe.title.into(),
        classes: calibration.classes.to_vec(),
        temperature: temperature(&logits(&net, &calibration)?, &calibration.labels),
        trained_on: format!(
            "{} generated glyphs, drawn by this project from its own strokes (MIT or Apache-2.0); no \
             real handwriting was learned from",
            scaled(recipe.images, args.scale)
        ),
        command: format!("cargo xtask train-served --only {}", recipe.name),
        measured: Vec::new(),
    };
    let exact = Model::new(card, net)?;
    let mut served = exact.quantised()?;
    let test = held_out(SEED + 2)?;
    let name = format!("{} drawn with another seed", recipe.glyphs.name());
    served
        .card
        .measured
        .push(measurement(&name, &exact, &served, &test)?);
    let dirs = DataDirs::resolve(args.data_dir.as_deref());
    for (id, edition) in recipe.real {
        let dirs = dirs.clone().with_edition(*edition);
        match hw_data::load(id, Split::Test, &dirs) {
            Ok(real) => {
                let real = fitted(real)?;
                let name = format!("{id} test images ({}), refitted", real.edition);
                served
                    .card
                    .measured
                    .push(measurement(&name, &exact, &served, &real)?);
            }
            Err(DataError::NotFound { .. }) => eprintln!("{id} is not here: not measured on it"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(served)
}

/// Every image cropped and centred as the glyphs are: as one sent to the server would be.
fn fitted(mut set: Dataset) -> Result<Dataset> {
    let [_, height, width] = set.images.shape();
    let refit = |index: usize| -> Result<Vec<u8>> {
        let image = set.images.image(index);
        match fit_like_mnist(&Gray::new(height, width, image.to_vec())?) {
            Err(DataError::Blank) => Ok(image.to_vec()),
            other => Ok(other?),
        }
    };
    let images: Vec<Vec<u8>> = (0..set.len())
        .into_par_iter()
        .map(refit)
        .collect::<Result<_>>()?;
    set.images = hw_data::Images::new(images.concat(), images.len(), 1, height, width)?;
    Ok(set)
}

fn logits(net: &Net, set: &Dataset) -> Result<Vec<Vec<f32>>> {
    let of = |index: usize| {
        net.logits(set.images.image(index))
            .context("cannot look at an image")
    };
    (0..set.len()).into_par_iter().map(of).collect()
}

/// The temperature of least cross-entropy (Guo et al. 2017), by golden section on its logarithm.
fn temperature(logits: &[Vec<f32>], labels: &[u16]) -> f32 {
    let loss = |log_t: f64| -> f64 {
        let t = log_t.exp() as f32;
        let rows = logits.iter().zip(labels);
        rows.map(|(row, &label)| -f64::from(softmax(row, t)[usize::from(label)].max(1e-30)).ln())
            .sum()
    };
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-2.0, 2.0);
    while high - low > 1e-3 {
        let (a, b) = (high - ratio * (high - low), low + ratio * (high - low));
        if loss(a) < loss(b) {
            high = b;
        } else {
            low = a;
        }
    }
    (0.5f64 * (low + high)).exp() as f32
}

fn measurement(on: &str, exact: &Model, served: &Model, set: &Dataset) -> Result<Measurement> {
    let predictions = |model: &Model| -> Result<Predictions> {
        let rows = logits(&model.net, set)?.into_iter();
        let rows: Vec<f32> = rows
            .flat_map(|row| softmax(&row, model.card.temperature))
            .collect();
        let labels = set.labels.iter().map(|&label| u32::from(label)).collect();
        Ok(Predictions::new(rows, labels, set.classes.len())?)
    };
    let ours = predictions(served)?;
    Ok(Measurement {
        on: on.into(),
        images: set.len(),
        accuracy: hw_eval::accuracy(&ours),
        accuracy_f32: hw_eval::accuracy(&predictions(exact)?),
        calibration_error: Calibration::of(&ours, Calibration::BINS)?.ece,
    })
}
