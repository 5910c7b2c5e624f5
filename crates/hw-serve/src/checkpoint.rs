//! A training run's checkpoint as a model to read with.

use crate::error::ServeError;
use crate::models::Served;
use candle_core::{Device, IndexOp, Tensor, Var};
use hw_data::centre::{Centring, SIDE};
use hw_data::gray::Gray;
use hw_data::preprocess::{Draw, Pipeline};
use hw_data::{Preprocess, Step};
use hw_ink::read::Classifier;
use hw_ink::{Card, InkError, Stroke, render};
use hw_models::{Frozen, Mode};
use hw_train::{TrainError, Trained};
use std::path::Path;

type Failure = Box<dyn std::error::Error>;

/// A checkpoint's network.
pub struct CheckpointModel {
    trained: Trained,
    /// The network folded for use.
    frozen: Frozen,
    pipeline: Pipeline,
    centring: Centring,
}

impl CheckpointModel {
    /// Opens a run's folder or a checkpoint file.
    ///
    /// # Errors
    /// [`ServeError::Checkpoint`] when it is damaged or takes no 28x28 images.
    pub fn open(path: &Path) -> Result<Served, ServeError> {
        let trained = hw_train::checkpoint::open(path, &Device::Cpu)?;
        let stamp = &trained.stamp;
        let pipeline = without_noise(&stamp.config.preprocess)
            .check([1, SIDE, SIDE])
            .map_err(TrainError::from)?;
        let synthetic = if stamp.data.synthetic {
            ", generated images"
        } else {
            ""
        };
        let card = Card {
            name: "checkpoint".into(),
            title: format!("{} on {}", trained.network.spec().name, stamp.data.dataset),
            classes: stamp.classes.clone(),
            temperature: trained.temperature.unwrap_or(1.0),
            trained_on: format!(
                "{} images of {} ({}{synthetic}), run {}{}",
                stamp.data.images,
                stamp.data.dataset,
                stamp.data.edition,
                stamp.run,
                match trained.temperature {
                    Some(_) => "",
                    None => "; its probabilities are not calibrated: it held nothing out",
                }
            ),
            command: format!("hw serve --checkpoint {}", path.display()),
            measured: Vec::new(),
        };
        let centring = stamp.config.dataset.centring();
        let frozen = Frozen::new(&trained.network).map_err(TrainError::from)?;
        Ok(Served {
            card,
            centring,
            classifier: Box::new(Self {
                trained,
                frozen,
                pipeline,
                centring,
            }),
        })
    }

    fn rows(&self, images: &[Vec<u8>]) -> Result<Vec<Vec<f32>>, Failure> {
        let mut pixels = Vec::new();
        for image in images {
            self.pipeline.append(image, Draw::default(), &mut pixels);
        }
        let [channels, height, width] = self.pipeline.output_shape();
        let network = &self.trained.network;
        let shape = [images.len(), channels, height, width];
        let logits = self.frozen.logits(&pixels, shape)?;
        let shape = (images.len(), self.frozen.classes());
        let logits = Tensor::from_vec(logits, shape, network.device())?;
        Ok(self.trained.probabilities(&logits)?.to_vec2()?)
    }

    /// What each pixel's ink did to (logit `class` - mean of all logits), as far as its gradient tells:
    /// the gradient by the network's input, times what the pixel contributed to that input.
    fn contributions(&self, image: &[u8], class: usize) -> Result<Vec<f32>, Failure> {
        let seen = self.pipeline.apply(image, Draw::default());
        let [channels, height, width] = self.pipeline.output_shape();
        let network = &self.trained.network;
        let shape = (1, channels, height, width);
        let input = Var::from_vec(seen.clone(), shape, network.device())?;
        let logits = network.forward(input.as_tensor(), Mode::Eval)?;
        let logit = (logits.i((0, class))? - logits.mean_all()?)?;
        let gradients = logit.backward()?;
        let gradient = gradients.get(&input).ok_or("the input has no gradient")?;
        let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
        let mut without = image.to_vec();
        let mut contribution = |(pixel, &ink): (usize, &u8)| {
            if ink == 0 {
                return 0.0;
            }
            without[pixel] = 0;
            let blank = self.pipeline.apply(&without, Draw::default());
            without[pixel] = ink;
            let parts = gradient.iter().zip(seen.iter().zip(&blank));
            parts.map(|(g, (with, without))| g * (with - without)).sum()
        };
        Ok(image.iter().enumerate().map(&mut contribution).collect())
    }
}

impl Classifier for CheckpointModel {
    fn classes(&self) -> &[String] {
        &self.trained.stamp.classes
    }

    fn probabilities(&self, images: &[Vec<u8>]) -> Result<Vec<Vec<f32>>, InkError> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        self.rows(images)
            .map_err(|error| InkError::Model(error.to_string()))
    }

    fn saliency(&self, image: &[u8], class: usize) -> Result<Option<Vec<f32>>, InkError> {
        if image.len() != SIDE * SIDE || class >= self.classes().len() {
            let problem = format!("{} bytes, class {class}", image.len());
            return Err(InkError::Image(problem));
        }
        let found = self.contributions(image, class);
        found
            .map(Some)
            .map_err(|error| InkError::Model(error.to_string()))
    }

    /// Drawn large, then cropped and centred the way the training set was.
    fn image(&self, strokes: &[Stroke], pen: f32) -> Vec<u8> {
        const LARGE: usize = 4 * SIDE;
        let small = || render(strokes, pen, SIDE);
        match self.centring {
            Centring::Mnist => small(),
            other => Gray::new(LARGE, LARGE, render(strokes, pen, LARGE))
                .and_then(|page| other.fit(&page))
                .unwrap_or_else(|_| small()),
        }
    }
}

/// Noise makes a training set harder; it is no part of how an image enters the network.
fn without_noise(preprocess: &Preprocess) -> Preprocess {
    let noise = |step: &Step| matches!(step, Step::GaussianNoise { .. } | Step::SaltPepper { .. });
    let steps = preprocess.steps.iter().filter(|step| !noise(step));
    Preprocess {
        steps: steps.copied().collect(),
        ..preprocess.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_data::DataDirs;
    use hw_train::{Experiment, RunOptions, TrainConfig};

    fn trained(folder: &Path, preprocess: Preprocess) -> Served {
        let config = TrainConfig {
            model: "simple-cnn".into(),
            dataset: "glyphs:digits".parse().unwrap(),
            preprocess,
            limit: Some(300),
            epochs: 1,
            ..TrainConfig::default()
        };
        let experiment = Experiment::load(config, &DataDirs::resolve(None)).unwrap();
        experiment
            .start(folder, RunOptions::new(&mut |_| {}))
            .unwrap();
        CheckpointModel::open(folder).unwrap()
    }

    /// An upright stroke that leaves room for more and less ink.
    fn stem() -> Vec<u8> {
        let ink = |i: usize| (4..24).contains(&(i / SIDE)) && (13..16).contains(&(i % SIDE));
        (0..SIDE * SIDE)
            .map(|i| if ink(i) { 90 + (37 * i % 83) as u8 } else { 0 })
            .collect()
    }

    /// The logarithm of a probability less the mean of all is the logit less theirs, over the
    /// temperature.
    fn distance(model: &Served, image: Vec<u8>, class: usize) -> f64 {
        let row = &model.classifier.probabilities(&[image]).unwrap()[0];
        let logs: Vec<f64> = row.iter().map(|p| f64::from(*p).ln()).collect();
        let mean = logs.iter().sum::<f64>() / logs.len() as f64;
        f64::from(model.card.temperature) * (logs[class] - mean)
    }

    #[test]
    fn saliency_is_what_a_little_less_ink_would_change() {
        let resized = Preprocess {
            steps: vec![Step::Resize {
                size: 40,
                filter: hw_data::Filter::Bilinear,
            }],
            ..Preprocess::default()
        };
        for preprocess in [Preprocess::default(), resized] {
            let home = tempfile::tempdir().unwrap();
            let model = trained(home.path(), preprocess);
            let image = stem();
            let found = model.classifier.saliency(&image, 1).unwrap().unwrap();
            assert!(
                found
                    .iter()
                    .zip(&image)
                    .all(|(s, ink)| *ink > 0 || *s == 0.0)
            );
            let largest = found.iter().fold(0f32, |m, s| m.max(s.abs()));
            assert!(largest > 1e-4, "{largest}");
            let with = |pixel: usize, ink: u8| {
                let mut image = image.clone();
                image[pixel] = ink;
                distance(&model, image, 1)
            };
            for pixel in (0..SIDE * SIDE).filter(|i| image[*i] > 0).step_by(7) {
                let ink = image[pixel];
                let slope = (with(pixel, ink + 1) - with(pixel, ink - 1)) / 2.0;
                let off = (f64::from(ink) * slope - f64::from(found[pixel])).abs();
                assert!(
                    off < 0.05 * f64::from(largest),
                    "{pixel}: {slope} {}",
                    found[pixel]
                );
            }
        }
    }

    #[test]
    fn what_was_held_out_calibrates_the_probabilities() {
        let home = tempfile::tempdir().unwrap();
        let model = trained(home.path(), Preprocess::default());
        assert!(!model.card.trained_on.contains("not calibrated"));
        assert!(model.card.temperature != 1.0 && model.card.temperature > 0.0);
        let probabilities = model.classifier.probabilities(&[stem()]).unwrap();
        assert!((probabilities[0].iter().sum::<f32>() - 1.0).abs() < 1e-5);
        let refused = model.classifier.saliency(&stem(), 10);
        assert!(refused.is_err());
    }
}
