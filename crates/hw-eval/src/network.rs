//! Running a network over a data set (feature `network`).
//!
//! ```
//! use hw_data::{Loader, LoaderConfig, Split};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let digits = hw_data::load(&"glyphs:digits".parse()?, Split::Test, &hw_data::DataDirs::resolve(None))?;
//! let loader = Loader::new(Arc::new(digits), (0..100).collect(), LoaderConfig::default())?;
//! let spec = hw_models::zoo::spec("lenet5", [1, 28, 28], 10)?;
//! let network = hw_models::Network::new(&spec, 1, &candle_core::Device::Cpu)?;
//!
//! let metrics = hw_eval::evaluate(&hw_eval::network::predict(&network, &loader)?);
//! assert_eq!(metrics.samples, 100);
//! # Ok(())
//! # }
//! ```

use crate::{Answers, EvalError, Predictions, Timing, time_inference};
use candle_core::Tensor;
use hw_data::{Batch, Loader};
use hw_models::{Frozen, Mode, ModelError, Network};

/// Class probabilities of `network`, in evaluation mode, for all images of `loader` in the order of
/// its epoch 0.
///
/// # Errors
/// [`EvalError::Inference`] when the images do not fit the network, and as
/// [`Predictions::from_logits`] when a logit is not finite.
pub fn predict(network: &Network, loader: &Loader) -> Result<Predictions, EvalError> {
    predict_with(network, loader, &mut |_| {})
}

/// [`predict`], telling `progress` after each batch how many images it held.
///
/// # Errors
/// As [`predict`].
pub fn predict_with(
    network: &Network,
    loader: &Loader,
    progress: &mut dyn FnMut(usize),
) -> Result<Predictions, EvalError> {
    let classes = network.spec().classes;
    let mut logits = Vec::with_capacity(loader.len() * classes);
    let mut labels = Vec::with_capacity(loader.len());
    let inference = |error: ModelError| EvalError::Inference(error.into());
    let frozen = Frozen::new(network).map_err(inference)?;
    for batch in loader.epoch(0, 0) {
        labels.extend_from_slice(&batch.labels);
        logits.extend(
            frozen
                .logits(&batch.images, batch.shape)
                .map_err(inference)?,
        );
        progress(batch.labels.len());
    }
    Predictions::from_logits(logits, labels, classes)
}

/// [`predict`] without holding the answers against the loader's labels: for a network whose classes
/// are not those of the data set.
///
/// # Errors
/// As [`predict`].
pub fn answers(network: &Network, loader: &Loader) -> Result<Answers, EvalError> {
    let classes = network.spec().classes;
    let inference = |error: ModelError| EvalError::Inference(error.into());
    let frozen = Frozen::new(network).map_err(inference)?;
    let mut logits = Vec::with_capacity(loader.len() * classes);
    for batch in loader.epoch(0, 0) {
        let said = frozen.logits(&batch.images, batch.shape);
        logits.extend(said.map_err(inference)?);
    }
    Answers::from_logits(logits, classes)
}

/// What the last layer sees: the output of the layer before it (its activation included) for each
/// image of `loader`, `[n, width]` row-major, with the width.
///
/// # Errors
/// As [`predict`]; a network of a single layer has no such output.
pub fn embeddings(network: &Network, loader: &Loader) -> Result<(Vec<f32>, usize), EvalError> {
    let inference = |error: ModelError| EvalError::Inference(error.into());
    let layers = &network.graph().layers;
    let Some(before) = layers
        .len()
        .checked_sub(2)
        .map(|index| layers[index].name.clone())
    else {
        return Err(EvalError::Empty {
            what: "the list of layers before the last",
        });
    };
    let mut values: Vec<f32> = Vec::new();
    for batch in loader.epoch(0, 0) {
        let images = tensor(network, batch).map_err(inference)?;
        let mut seen = None;
        network
            .observe(&images, Mode::Eval, &mut |name, output| {
                if name == before {
                    seen = Some(output.clone());
                }
            })
            .map_err(inference)?;
        let seen = seen.ok_or(EvalError::Empty {
            what: "the output of the layer before the last",
        })?;
        let flat = seen.flatten_all().and_then(|flat| flat.to_vec1::<f32>());
        values.extend(flat.map_err(|error| inference(error.into()))?);
    }
    let width = values.len() / loader.len().max(1);
    Ok((values, width))
}

/// Inference time of `network` for batches of `batch` images taken from `loader`, whose data set
/// must hold as many: a tenth as many calls to warm up as are then measured.
///
/// # Errors
/// As [`predict`].
pub fn time(
    network: &Network,
    loader: &Loader,
    batch: usize,
    repeats: usize,
) -> Result<Timing, EvalError> {
    let inference = |error: ModelError| EvalError::Inference(error.into());
    let loader = loader
        .with_batch(batch)
        .map_err(|error| EvalError::Inference(error.into()))?;
    let images = match loader.epoch(0, 0).next() {
        Some(batch) => batch,
        None => {
            return Err(EvalError::Empty {
                what: "the data set to time on",
            });
        }
    };
    let frozen = Frozen::new(network).map_err(inference)?;
    time_inference(images.labels.len(), repeats.div_ceil(10), repeats, || {
        frozen.logits(&images.images, images.shape)
    })
}

fn tensor(network: &Network, batch: Batch) -> Result<Tensor, ModelError> {
    let [n, c, h, w] = batch.shape;
    Ok(Tensor::from_vec(
        batch.images,
        (n, c, h, w),
        network.device(),
    )?)
}
