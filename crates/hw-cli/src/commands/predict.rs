//! `hw predict`: which character an image shows.

use super::SYNTHETIC;
use super::read::is_strokes;
use crate::args::{Common, PredictArgs};
use crate::failure::Usage;
use crate::output::{Table, answer};
use anyhow::Result;
use candle_core::Tensor;
use hw_data::centre::SIDE;
use hw_data::gray::Gray;
use hw_data::preprocess::{Draw, Pipeline};
use hw_data::{DataError, Preprocess, Step};
use hw_models::{DeviceChoice, Frozen};
use hw_train::Trained;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Images a pass through the network.
const BATCH: usize = 256;

/// What some images show.
#[derive(Debug, Serialize)]
struct Answer {
    checkpoint: PathBuf,
    run: String,
    model: String,
    trained_on: String,
    /// Whether the network learned from generated images.
    synthetic: bool,
    predictions: Vec<Prediction>,
}

#[derive(Debug, Serialize)]
struct Prediction {
    image: PathBuf,
    /// Nothing is on the image, so nothing was predicted.
    blank: bool,
    /// The most probable classes, best first; empty if the image is blank.
    top: Vec<Guess>,
}

#[derive(Debug, Serialize)]
struct Guess {
    class: String,
    probability: f32,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.synthetic {
            writeln!(f, "The network was trained on {SYNTHETIC}")?;
        }
        let share = |guess: &Guess| format!("{:.1} %", guess.probability * 100.0);
        let mut table = Table::new(&["image", "shows", ">sure", "or"]);
        for prediction in &self.predictions {
            let image = prediction.image.display().to_string();
            let others = prediction.top.iter().skip(1);
            let others: Vec<String> = others
                .map(|g| format!("{} {}", g.class, share(g)))
                .collect();
            match prediction.top.first() {
                None => table.row([
                    image,
                    "blank".into(),
                    String::new(),
                    "nothing is on it".into(),
                ]),
                Some(best) => {
                    table.row([image, best.class.clone(), share(best), others.join(", ")]);
                }
            }
        }
        write!(f, "{table}")
    }
}

pub(crate) fn run(args: &PredictArgs, common: &Common) -> Result<ExitCode> {
    let checkpoint = match &args.checkpoint {
        Some(one) if !args.words && !args.images.iter().any(|file| is_strokes(file)) => one,
        _ => return words(args, common),
    };
    let trained = hw_train::checkpoint::open(checkpoint, &args.device.open()?)?;
    let pipeline = without_noise(&trained.stamp.config.preprocess).check([1, SIDE, SIDE])?;
    let mut predictions = Vec::with_capacity(args.images.len());
    for paths in args.images.chunks(BATCH) {
        predictions.extend(predict(&trained, &pipeline, paths, args.top)?);
    }
    let stamp = &trained.stamp;
    answer(
        common.json,
        &Answer {
            checkpoint: trained.path.clone(),
            run: stamp.run.clone(),
            model: trained.network.spec().name.clone(),
            trained_on: stamp.data.dataset.clone(),
            synthetic: stamp.data.synthetic,
            predictions,
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Whole words, which are read on the processor.
fn words(args: &PredictArgs, common: &Common) -> Result<ExitCode> {
    match args.device.device {
        None | Some(DeviceChoice::Cpu) => super::read::run(args, common),
        Some(device) => Err(Usage(format!(
            "words and strokes are read on the cpu, not on {device}; leave --device out"
        ))
        .into()),
    }
}

/// Noise makes a training set harder; it is no part of how an image enters the network.
fn without_noise(preprocess: &Preprocess) -> Preprocess {
    let noise = |step: &Step| matches!(step, Step::GaussianNoise { .. } | Step::SaltPepper { .. });
    let steps = preprocess
        .steps
        .iter()
        .filter(|step| !noise(step))
        .copied()
        .collect();
    Preprocess {
        steps,
        ..preprocess.clone()
    }
}

fn predict(
    trained: &Trained,
    pipeline: &Pipeline,
    paths: &[PathBuf],
    top: usize,
) -> Result<Vec<Prediction>> {
    let mut pixels = Vec::new();
    let mut blank = Vec::with_capacity(paths.len());
    for path in paths {
        let fitted = fit(trained, path)?;
        blank.push(fitted.is_none());
        if let Some(bytes) = fitted {
            pipeline.append(&bytes, Draw::default(), &mut pixels);
        }
    }
    let count = blank.iter().filter(|blank| !**blank).count();
    let mut rows = probabilities(trained, pipeline, pixels, count)?.into_iter();
    let predictions = paths.iter().zip(blank).map(|(path, blank)| Prediction {
        image: path.clone(),
        blank,
        top: match blank {
            true => Vec::new(),
            false => rows
                .next()
                .map_or_else(Vec::new, |row| best(&row, trained, top)),
        },
    });
    Ok(predictions.collect())
}

/// The image cropped and centred as the network's training images were; none if it is blank.
fn fit(trained: &Trained, path: &Path) -> Result<Option<Vec<u8>>> {
    match trained
        .stamp
        .config
        .dataset
        .centring()
        .fit(&Gray::open(path)?)
    {
        Ok(bytes) => Ok(Some(bytes)),
        Err(DataError::Blank) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// One row of class probabilities an image.
fn probabilities(
    trained: &Trained,
    pipeline: &Pipeline,
    pixels: Vec<f32>,
    count: usize,
) -> Result<Vec<Vec<f32>>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let [channels, height, width] = pipeline.output_shape();
    let network = &trained.network;
    let shape = [count, channels, height, width];
    let logits = Frozen::new(network)?.logits(&pixels, shape)?;
    let logits = Tensor::from_vec(logits, (count, network.spec().classes), network.device())?;
    Ok(trained.probabilities(&logits)?.to_vec2()?)
}

fn best(row: &[f32], trained: &Trained, top: usize) -> Vec<Guess> {
    let mut guesses: Vec<Guess> = trained
        .stamp
        .classes
        .iter()
        .zip(row)
        .map(|(class, &probability)| Guess {
            class: class.clone(),
            probability,
        })
        .collect();
    guesses.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    guesses.truncate(top);
    guesses
}
