//! Batches of a data set, shuffled from a seed, converted to floats just in time.
//!
//! Only one background thread and a handful of batches exist at any time; the set itself stays bytes.
//! What a batch holds depends on (seed, epoch, position) alone: not on threads, prefetching or where
//! an epoch was entered.
//!
//! ```
//! # fn main() -> Result<(), hw_data::DataError> {
//! use hw_data::loader::{Loader, LoaderConfig};
//! use hw_data::{Dataset, Images, Split};
//! use std::sync::Arc;
//!
//! let images = Images::new(vec![0; 10 * 4], 10, 1, 2, 2)?;
//! let classes: Arc<[String]> = ["odd", "even"].map(String::from).into();
//! let set = Arc::new(Dataset::new("tiny", Split::Train, images, vec![0; 10], classes)?);
//!
//! let config = LoaderConfig { batch: 4, shuffle_seed: Some(7), ..LoaderConfig::default() };
//! let loader = Loader::new(set, (0..10).collect(), config)?;
//! let sizes: Vec<usize> = loader.epoch(0, 0).map(|batch| batch.labels.len()).collect();
//! assert_eq!(sizes, [4, 4, 2]);
//!
//! // A resumed run enters the epoch where it left off and sees the same batches.
//! let whole: Vec<_> = loader.epoch(3, 0).map(|batch| batch.indices).collect();
//! let rest: Vec<_> = loader.epoch(3, 2).map(|batch| batch.indices).collect();
//! assert_eq!(whole[2..], rest);
//! # Ok(())
//! # }
//! ```

use crate::preprocess::{Draw, Pipeline, Preprocess};
use crate::{DataError, Dataset};
use hw_core::Rng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// Which images make up an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// Each image once.
    #[default]
    Epoch,
    /// As many as there are, each drawn from all (with a `shuffle_seed` only): every batch is a fresh
    /// random choice, as where batches come from `numpy.random.choice`.
    Replacement,
}

/// How a [`Loader`] makes batches.
#[derive(Clone, Debug)]
pub struct LoaderConfig {
    /// Images a batch, at least 1.
    pub batch: usize,
    /// The seed of each epoch's order; `None` keeps the order of the indices.
    pub shuffle_seed: Option<u64>,
    /// Which images make up an epoch.
    pub sampling: Sampling,
    /// Whether the last batch of an epoch is left out when it is not full.
    pub drop_last: bool,
    /// What happens to each image.
    pub preprocess: Preprocess,
    /// The seed of the random steps of `preprocess`.
    pub augment_seed: u64,
    /// How many batches are made ahead in a background thread; 0 makes each when it is asked for.
    pub prefetch: usize,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch: 100,
            shuffle_seed: None,
            sampling: Sampling::Epoch,
            drop_last: false,
            preprocess: Preprocess::default(),
            augment_seed: 0,
            prefetch: 4,
        }
    }
}

/// Some images and their labels, ready for a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Preprocessed pixels in NCHW order.
    pub images: Vec<f32>,
    /// `[images, channels, height, width]`.
    pub shape: [usize; 4],
    /// One label an image, counted from 0.
    pub labels: Vec<u32>,
    /// Each image's index in the data set.
    pub indices: Vec<u32>,
}

/// Makes the batches of any epoch of part of a data set.
#[derive(Clone, Debug)]
pub struct Loader {
    maker: Arc<Maker>,
}

/// Everything a batch is made from; shared with the background thread.
#[derive(Debug)]
struct Maker {
    dataset: Arc<Dataset>,
    indices: Arc<[u32]>,
    config: LoaderConfig,
    pipeline: Pipeline,
}

impl Loader {
    /// A loader over the images of `dataset` that `indices` names.
    ///
    /// # Errors
    /// [`DataError::Invalid`] when the batch size is 0, there is no index, an index is not below the
    /// data set's length, or `preprocess` does not fit the images.
    pub fn new(
        dataset: Arc<Dataset>,
        indices: Arc<[u32]>,
        config: LoaderConfig,
    ) -> Result<Self, DataError> {
        if config.batch == 0 {
            return Err(DataError::invalid(
                "batch size",
                "must be at least 1, not 0",
            ));
        }
        if indices.is_empty() {
            return Err(DataError::invalid("loader", "there are no images to load"));
        }
        if let Some(bad) = indices.iter().find(|&&i| i as usize >= dataset.len()) {
            let problem = format!("index {bad} is not below {}", dataset.len());
            return Err(DataError::invalid("loader", problem));
        }
        let pipeline = config.preprocess.check(dataset.images.shape())?;
        let maker = Maker {
            dataset,
            indices,
            config,
            pipeline,
        };
        Ok(Self {
            maker: Arc::new(maker),
        })
    }

    /// The same images in batches of another size.
    ///
    /// # Errors
    /// [`DataError::Invalid`] when `batch` is 0.
    pub fn with_batch(&self, batch: usize) -> Result<Self, DataError> {
        let maker = &self.maker;
        let config = LoaderConfig {
            batch,
            ..maker.config.clone()
        };
        Self::new(maker.dataset.clone(), maker.indices.clone(), config)
    }

    /// How many images an epoch has before any is dropped.
    pub fn len(&self) -> usize {
        self.maker.indices.len()
    }

    /// Whether there is nothing to load; never, as [`Loader::new`] refuses that.
    pub fn is_empty(&self) -> bool {
        self.maker.indices.is_empty()
    }

    /// How many batches an epoch has.
    pub fn batches_per_epoch(&self) -> usize {
        self.maker.batches_per_epoch()
    }

    /// `[channels, height, width]` of the images in a batch.
    pub fn image_shape(&self) -> [usize; 3] {
        self.maker.pipeline.output_shape()
    }

    /// The batches of `epoch`, from number `first_batch` on.
    pub fn epoch(&self, epoch: u64, first_batch: usize) -> EpochBatches {
        let making = Making {
            order: self.maker.order(epoch),
            maker: self.maker.clone(),
            epoch,
            next: first_batch,
        };
        match self.maker.config.prefetch {
            0 => EpochBatches {
                source: Source::Direct(making),
            },
            ahead => EpochBatches::ahead(making, ahead),
        }
    }
}

impl Maker {
    fn batches_per_epoch(&self) -> usize {
        match self.config.drop_last {
            true => self.indices.len() / self.config.batch,
            false => self.indices.len().div_ceil(self.config.batch),
        }
    }

    fn order(&self, epoch: u64) -> Arc<[u32]> {
        let Some(seed) = self.config.shuffle_seed else {
            return self.indices.clone();
        };
        let mut order: Arc<[u32]> = Arc::from(&self.indices[..]);
        if let Some(order) = Arc::get_mut(&mut order) {
            match self.config.sampling {
                Sampling::Epoch => Rng::stream(seed, "shuffle", epoch).shuffle(order),
                Sampling::Replacement => {
                    let mut rng = Rng::stream(seed, "sample", epoch);
                    for place in order {
                        *place = self.indices[rng.below(self.indices.len())];
                    }
                }
            }
        }
        order
    }

    fn batch(&self, indices: &[u32], epoch: u64) -> Batch {
        let [channels, height, width] = self.pipeline.output_shape();
        let mut images = Vec::with_capacity(indices.len() * channels * height * width);
        for &index in indices {
            let draw = Draw {
                seed: self.config.augment_seed,
                epoch,
                index,
            };
            let image = self.dataset.images.image(index as usize);
            self.pipeline.append(image, draw, &mut images);
        }
        Batch {
            images,
            shape: [indices.len(), channels, height, width],
            labels: indices
                .iter()
                .map(|&index| u32::from(self.dataset.labels[index as usize]))
                .collect(),
            indices: indices.to_vec(),
        }
    }
}

/// An epoch being made, batch by batch.
#[derive(Clone)]
struct Making {
    maker: Arc<Maker>,
    order: Arc<[u32]>,
    epoch: u64,
    next: usize,
}

impl Iterator for Making {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.next >= self.maker.batches_per_epoch() {
            return None;
        }
        let start = self.next * self.maker.config.batch;
        let end = (start + self.maker.config.batch).min(self.order.len());
        self.next += 1;
        Some(self.maker.batch(&self.order[start..end], self.epoch))
    }
}

/// The batches of one epoch, in order. Dropping it early stops and joins the background thread.
pub struct EpochBatches {
    source: Source,
}

enum Source {
    /// Made when asked for.
    Direct(Making),
    /// Made ahead by a thread that waits when the channel is full. The receiver goes first: that is
    /// what tells the thread to stop.
    Ahead {
        batches: Option<Receiver<Batch>>,
        worker: Option<JoinHandle<()>>,
    },
}

impl EpochBatches {
    fn ahead(making: Making, ahead: usize) -> Self {
        let (sender, batches) = sync_channel(ahead);
        let for_worker = making.clone();
        let work = move || {
            for batch in for_worker {
                if sender.send(batch).is_err() {
                    return;
                }
            }
        };
        let spawned = std::thread::Builder::new()
            .name("hw-loader".into())
            .spawn(work);
        let source = match spawned {
            Ok(worker) => Source::Ahead {
                batches: Some(batches),
                worker: Some(worker),
            },
            // A machine out of threads still trains, only without the overlap.
            Err(_) => Source::Direct(making),
        };
        Self { source }
    }
}

impl Iterator for EpochBatches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        match &mut self.source {
            Source::Direct(making) => making.next(),
            Source::Ahead { batches, worker } => {
                let batch = batches.as_ref().and_then(|batches| batches.recv().ok());
                if batch.is_none()
                    && let Some(Err(panic)) = worker.take().map(JoinHandle::join)
                {
                    // An epoch must not end early in silence.
                    std::panic::resume_unwind(panic);
                }
                batch
            }
        }
    }
}

impl Drop for EpochBatches {
    fn drop(&mut self) {
        if let Source::Ahead { batches, worker } = &mut self.source {
            drop(batches.take());
            if let Some(worker) = worker.take() {
                // The thread's panic, if any, was reported by `next` or no longer matters to anyone.
                let _ = worker.join();
            }
        }
    }
}
