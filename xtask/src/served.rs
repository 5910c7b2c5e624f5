//! `cargo xtask train-served`: the small networks that come with the binary. They learn from
//! generated glyphs, whose licence is this project's own, and from EMNIST ByClass's training images
//! (NIST Special Database 19, a work of the US government) where these are found.

mod handwriting;
mod measure;

use crate::args::TrainServedArgs;
use anyhow::{Context, Result, ensure};
use candle_core::Device;
use handwriting::{Handwriting, mixed};
use hw_core::CancelToken;
use hw_data::glyphs::{GlyphConfig, default_count, generate};
use hw_data::{DataDirs, Dataset, DatasetId, EmnistEdition, GlyphSet, Split};
use hw_ink::{Card, Model, Net};
use hw_kernels::Activation;
use hw_models::{Border, Initializer, Layer, ModelSpec};
use hw_train::{Event, Experiment, RunOptions, Schedule, TrainConfig};
use measure::{Test, logits, temperature};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// One of the served networks.
struct Recipe {
    name: &'static str,
    title: &'static str,
    set: GlyphSet,
    /// Glyphs to learn from.
    glyphs: usize,
    /// The share of EMNIST's training images that is learned from too.
    handwriting: f64,
    epochs: usize,
    /// Real images that only measure.
    tests: &'static [Test],
}

/// ByClass's own test images.
const BYCLASS: Test = Test {
    set: DatasetId::EmnistByclass,
    edition: Some(EmnistEdition::Sixth),
    remark: "",
};
/// Almost all of the published ByMerge's test images.
const BYMERGE: Test = Test {
    set: DatasetId::EmnistBymerge,
    edition: Some(EmnistEdition::Full),
    remark: "",
};
const MNIST: Test = Test {
    set: DatasetId::Mnist,
    edition: None,
    remark: "; cut from the same forms as EMNIST",
};
const KMNIST: Test = Test {
    set: DatasetId::Kmnist,
    edition: None,
    remark: "",
};

const RECIPES: [Recipe; 4] = [
    Recipe {
        name: "digits",
        title: "Digits",
        set: GlyphSet::Digits,
        glyphs: 24_000,
        handwriting: 0.6,
        epochs: 4,
        tests: &[BYMERGE, MNIST],
    },
    Recipe {
        name: "letters",
        title: "Letters, either case",
        set: GlyphSet::Letters,
        glyphs: 36_400,
        handwriting: 0.7,
        epochs: 5,
        tests: &[BYMERGE],
    },
    Recipe {
        name: "all",
        title: "Letters and digits",
        set: GlyphSet::All,
        glyphs: 48_360,
        handwriting: 0.6,
        epochs: 5,
        tests: &[BYCLASS, BYMERGE],
    },
    Recipe {
        name: "hiragana",
        title: "Ten hiragana: お き す つ な は ま や れ を",
        set: GlyphSet::Hiragana,
        glyphs: 30_000,
        handwriting: 0.0,
        epochs: 4,
        tests: &[KMNIST],
    },
];

/// The root of every draw.
const SEED: u64 = 1;

/// A wilder hand than the generator's usual one: people differ more than our strokes do.
fn hand(set: GlyphSet, seed: u64) -> GlyphConfig {
    let wild = GlyphConfig {
        seed,
        pen: [0.06, 0.22],
        slant: [-0.3, 0.5],
        rotation: [-15.0, 15.0],
        aspect: [0.62, 1.5],
        wobble: 0.03,
        elastic_alpha: 0.05,
        ..GlyphConfig::default()
    };
    match set {
        // Nothing but glyphs teaches kana.
        GlyphSet::Hiragana => GlyphConfig {
            wobble: 0.036,
            elastic_alpha: 0.065,
            ..wild
        },
        _ => wild,
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
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
        pool.build_global().context("cannot start the threads")?;
    }
    let cancel = CancelToken::new();
    crate::stop_on_ctrl_c(&cancel)?;
    for recipe in recipes {
        let handwriting = handwriting(recipe, args)?;
        let Some(net) = trained(recipe, args, handwriting.as_ref(), &cancel)? else {
            eprintln!("stopped; run the same command again to go on");
            return Ok(ExitCode::from(130));
        };
        let model = measured(recipe, args, handwriting.as_ref(), net)?;
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

/// EMNIST's part of what `recipe` learns from; `None` where it is not here or not wanted.
fn handwriting(recipe: &Recipe, args: &TrainServedArgs) -> Result<Option<Handwriting>> {
    if recipe.handwriting == 0.0 {
        return Ok(None);
    }
    let dirs = DataDirs::resolve(args.data_dir.as_deref());
    let found = Handwriting::load(
        &dirs,
        &recipe.set.classes(),
        recipe.handwriting * args.scale,
        SEED,
    )?;
    if found.is_none() {
        eprintln!(
            "{}: the sixth-scale emnist-byclass is not here: learning from glyphs alone",
            recipe.name
        );
    }
    Ok(found)
}

/// The trained network; `None` when stopped.
fn trained(
    recipe: &Recipe,
    args: &TrainServedArgs,
    handwriting: Option<&Handwriting>,
    cancel: &CancelToken,
) -> Result<Option<Net>> {
    let count = scaled(recipe.glyphs, args.scale);
    let glyphs = generate(recipe.set, Split::Train, count, &hand(recipe.set, SEED))?;
    let images = match handwriting {
        Some(real) => mixed(&glyphs, &real.learned)?,
        None => glyphs,
    };
    let config = TrainConfig {
        model: "served".into(),
        spec: Some(spec(images.classes.len())),
        dataset: DatasetId::Glyphs(recipe.set),
        epochs: recipe.epochs,
        learning_rate: 2e-3,
        schedule: Schedule::OneCycle {
            warm: 0.2,
            start: 0.1,
            end: 0.005,
        },
        seed: SEED,
        val_fraction: 0.05,
        ..TrainConfig::default()
    };
    let experiment = Experiment::new(config, Arc::new(images), None)?;
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
    let network = &best.network;
    Ok(Some(hw_models::ink::net(
        network.graph(),
        network.tensors()?,
    )?))
}

fn scaled(images: usize, scale: f64) -> usize {
    ((images as f64 * scale) as usize).max(620)
}

/// Calibrates, quantises and measures.
fn measured(
    recipe: &Recipe,
    args: &TrainServedArgs,
    handwriting: Option<&Handwriting>,
    net: Net,
) -> Result<Model> {
    let held_out = |seed| -> Result<Dataset> {
        let most = measure::MOST.min(default_count(recipe.set, Split::Test));
        let count = scaled(most, args.scale);
        let hand = hand(recipe.set, seed);
        Ok(generate(recipe.set, Split::Test, count, &hand)?)
    };
    let calibration = match handwriting {
        Some(real) => mixed(&held_out(SEED + 1)?, &real.held_out)?,
        None => held_out(SEED + 1)?,
    };
    let card = Card {
        name: recipe.name.into(),
        title: recipe.title.into(),
        classes: calibration.classes.to_vec(),
        temperature: temperature(&logits(&net, &calibration)?, &calibration.labels),
        trained_on: trained_on(scaled(recipe.glyphs, args.scale), handwriting),
        command: format!("cargo xtask train-served --only {}", recipe.name),
        measured: Vec::new(),
    };
    let exact = Model::new(card, net)?;
    let mut served = exact.quantised()?;
    let glyphs = held_out(SEED + 2)?;
    let name = format!("{} drawn with another seed", recipe.set.name());
    let mut measured = vec![measure::measurement(&name, &exact, &served, &glyphs)?];
    let dirs = DataDirs::resolve(args.data_dir.as_deref());
    let learned = handwriting.map(|real| &real.originals);
    for test in recipe.tests {
        match test.images(&dirs, learned, &recipe.set.classes(), args.scale)? {
            Some((name, images)) => {
                measured.push(measure::measurement(&name, &exact, &served, &images)?);
            }
            None => eprintln!("{} is not here: not measured on it", test.set),
        }
    }
    served.card.measured = measured;
    Ok(served)
}

/// Where a network's knowledge comes from, for its card.
fn trained_on(glyphs: usize, handwriting: Option<&Handwriting>) -> String {
    let drawn = format!(
        "{glyphs} generated glyphs, drawn by this project from its own strokes (MIT or Apache-2.0)"
    );
    match handwriting {
        None => format!("{drawn}; no real handwriting was learned from"),
        Some(real) => format!(
            "{drawn}, and {} training images of EMNIST ByClass at a sixth of its scale (NIST Special \
             Database 19, a work of the US government; Cohen et al. 2017)",
            real.learned.len()
        ),
    }
}
