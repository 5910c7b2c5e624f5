//! Batches of a data set, shuffled from a seed, converted to floats just in time.
//!
//! Only a few background threads and a handful of batches exist at any time; the set itself stays
//! bytes. What a batch holds depends on (seed, epoch, position) alone: not on the number of threads,
//! prefetching or where an epoch was entered.
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

use crate::augment::{Augment, Augmenter};
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
    /// Random changes to each image before that; for training only.
    pub augment: Option<Augment>,
    /// The seed of `augment` and of the random steps of `preprocess`.
    pub augment_seed: u64,
    /// After so many epochs, at least 1, an image is changed as it was before: epoch `e` has the
    /// images of epoch `e % cycle`, in an order of its own. `None` changes them anew in each epoch.
    pub augment_cycle: Option<u64>,
    /// How many batches are made ahead in background threads; 0 makes each when it is asked for.
    /// Fewer are if they would take more than [`AHEAD_BYTES`].
    pub prefetch: usize,
    /// How many background threads make batches, at least 1.
    pub workers: usize,
}

/// Batches made ahead take no more memory than this, except that each worker makes one.
pub const AHEAD_BYTES: usize = 64 << 20;

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch: 100,
            shuffle_seed: None,
            sampling: Sampling::Epoch,
            drop_last: false,
            preprocess: Preprocess::default(),
            augment: None,
            augment_seed: 0,
            augment_cycle: None,
            prefetch: 4,
            workers: 1,
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
    augmenter: Option<Augmenter>,
}

impl Loader {
    /// A loader over the images of `dataset` that `indices` names.
    ///
    /// # Errors
    /// [`DataError::Invalid`] when the batch size is 0, there is no index, an index is not below the
    /// data set's length, `preprocess` does not fit the images or `augment` is out of range.
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
        if config.augment_cycle == Some(0) {
            return Err(DataError::invalid(
                "augmentation cycle",
                "must be at least 1 epoch, not 0",
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
        let augmenter = match &config.augment {
            Some(augment) if !augment.is_none() => Some(Augmenter::new(
                augment,
                dataset.images.shape(),
                config.augment_seed,
            )?),
            _ => None,
        };
        let maker = Maker {
            dataset,
            indices,
            config,
            pipeline,
            augmenter,
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
            stride: 1,
        };
        match self.maker.ahead() {
            0 => EpochBatches {
                source: Source::Direct(making),
            },
            ahead => EpochBatches::ahead(&making, ahead),
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

    /// How many batches to make ahead, so that they fit into [`AHEAD_BYTES`].
    fn ahead(&self) -> usize {
        let image: usize = self.pipeline.output_shape().iter().product();
        let batch = image.saturating_mul(4 * self.config.batch.min(self.indices.len()));
        let fitting = (AHEAD_BYTES / batch.max(1)).max(1);
        self.config.prefetch.min(fitting)
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
        let epoch = self
            .config
            .augment_cycle
            .map_or(epoch, |cycle| epoch % cycle);
        for &index in indices {
            let draw = Draw {
                seed: self.config.augment_seed,
                epoch,
                index,
            };
            let image = self.dataset.images.image(index as usize);
            match &self.augmenter {
                Some(augmenter) => {
                    let pipeline = &self.pipeline;
                    pipeline.append_augmented(augmenter, image, draw, &mut images);
                }
                None => self.pipeline.append(image, draw, &mut images),
            }
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

/// An epoch being made: batch number `next`, and then every `stride`-th.
#[derive(Clone)]
struct Making {
    maker: Arc<Maker>,
    order: Arc<[u32]>,
    epoch: u64,
    next: usize,
    stride: usize,
}

impl Iterator for Making {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.next >= self.maker.batches_per_epoch() {
            return None;
        }
        let start = self.next * self.maker.config.batch;
        let end = (start + self.maker.config.batch).min(self.order.len());
        self.next += self.stride;
        Some(self.maker.batch(&self.order[start..end], self.epoch))
    }
}

/// The batches of one epoch, in order. Dropping it early stops and joins the background threads.
pub struct EpochBatches {
    source: Source,
}

enum Source {
    /// Made when asked for.
    Direct(Making),
    /// Made ahead by threads that take turns, so that the order does not depend on which is faster.
    Ahead { workers: Vec<Worker>, turn: usize },
}

/// A thread that makes its share of the batches and waits when the channel is full. The receiver
/// goes first: that is what tells the thread to stop.
struct Worker {
    batches: Option<Receiver<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn spawn(making: Making, ahead: usize) -> std::io::Result<Self> {
        let (sender, batches) = sync_channel(ahead);
        let work = move || {
            for batch in making {
                if sender.send(batch).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("hw-loader".into())
            .spawn(work)?;
        Ok(Self {
            batches: Some(batches),
            thread: Some(thread),
        })
    }

    /// This worker's next batch; none when it has made all of its share.
    fn receive(&mut self) -> Option<Batch> {
        let batch = self
            .batches
            .as_ref()
            .and_then(|batches| batches.recv().ok());
        if batch.is_none()
            && let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
        {
            // An epoch must not end early in silence.
            std::panic::resume_unwind(panic);
        }
        batch
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.batches.take());
        if let Some(thread) = self.thread.take() {
            // The thread's panic, if any, was reported by `receive` or no longer matters to anyone.
            let _ = thread.join();
        }
    }
}

impl EpochBatches {
    fn ahead(making: &Making, ahead: usize) -> Self {
        let count = making.maker.config.workers.clamp(1, ahead);
        let share = |worker: usize| Making {
            next: making.next + worker,
            stride: count,
            ..making.clone()
        };
        let spawned: std::io::Result<Vec<Worker>> = (0..count)
            .map(|worker| Worker::spawn(share(worker), ahead.div_ceil(count)))
            .collect();
        let source = match spawned {
            Ok(workers) => Source::Ahead { workers, turn: 0 },
            // A machine out of threads still trains, only without the overlap.
            Err(_) => Source::Direct(making.clone()),
        };
        Self { source }
    }
}

impl Iterator for EpochBatches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        match &mut self.source {
            Source::Direct(making) => making.next(),
            Source::Ahead { workers, turn } => {
                let batch = workers[*turn].receive();
                *turn = (*turn + 1) % workers.len();
                batch
            }
        }
    }
}
