//! A training run's checkpoint as a model to read with.

use crate::error::ServeError;
use crate::models::Served;
use candle_core::{Device, Tensor};
use hw_data::centre::{Centring, SIDE};
use hw_data::gray::Gray;
use hw_data::preprocess::{Draw, Pipeline};
use hw_data::{Preprocess, Step};
use hw_ink::read::Classifier;
use hw_ink::{Card, InkError, Stroke, render};
use hw_models::Mode;
use hw_train::{TrainError, Trained};
use std::path::Path;

/// A checkpoint's network.
pub struct CheckpointModel {
    trained: Trained,
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
            temperature: 1.0,
            trained_on: format!(
                "{} images of {} ({}{synthetic}), run {}; its probabilities are not calibrated",
                stamp.data.images, stamp.data.dataset, stamp.data.edition, stamp.run
            ),
            command: format!("hw serve --checkpoint {}", path.display()),
            measured: Vec::new(),
        };
        let centring = stamp.config.dataset.centring();
        Ok(Served {
            card,
            centring,
            classifier: Box::new(Self {
                trained,
                pipeline,
                centring,
            }),
        })
    }

    fn rows(&self, images: &[Vec<u8>]) -> Result<Vec<Vec<f32>>, Box<dyn std::error::Error>> {
        let mut pixels = Vec::new();
        for image in images {
            self.pipeline.append(image, Draw::default(), &mut pixels);
        }
        let [channels, height, width] = self.pipeline.output_shape();
        let network = &self.trained.network;
        let shape = (images.len(), channels, height, width);
        let images = Tensor::from_vec(pixels, shape, network.device())?;
        let logits = network.forward(&images, Mode::Eval)?;
        Ok(hw_kernels::softmax(&logits)?.to_vec2()?)
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

    fn saliency(&self, _: &[u8], _: usize) -> Result<Option<Vec<f32>>, InkError> {
        Ok(None)
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
