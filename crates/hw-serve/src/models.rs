//! The models a server reads with: loaded once, and one of them swapped when its file changes.

use crate::error::ServeError;
use hw_data::centre::Centring;
use hw_ink::read::Classifier;
use hw_ink::{Card, builtin};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

/// A model ready to read with.
pub struct Served {
    /// What to know of it.
    pub card: Card,
    /// What looks at characters.
    pub classifier: Box<dyn Classifier + Send + Sync>,
    /// How images of characters are cropped for it.
    pub centring: Centring,
}

/// All models, the one to start with first.
pub struct Models {
    list: RwLock<Vec<Arc<Served>>>,
    checkpoint: Option<PathBuf>,
}

/// When a file was last written, and how long it is.
type Version = Option<(SystemTime, u64)>;

impl Models {
    /// The models that come with the binary, after the checkpoint's if there is one.
    ///
    /// # Errors
    /// [`ServeError::Model`] or [`ServeError::Checkpoint`] naming what is damaged.
    pub fn load(checkpoint: Option<&Path>) -> Result<Self, ServeError> {
        let mut list = Vec::new();
        if let Some(path) = checkpoint {
            list.push(Arc::new(open_checkpoint(path)?));
        }
        for name in builtin::names() {
            let model = hw_ink::builtin(name)?;
            list.push(Arc::new(Served {
                card: model.card.clone(),
                classifier: Box::new(model),
                centring: Centring::Mnist,
            }));
        }
        Ok(Self {
            list: RwLock::new(list),
            checkpoint: checkpoint.map(Path::to_path_buf),
        })
    }

    /// The model of that name, or the first; `None` for an unknown name.
    pub fn find(&self, name: Option<&str>) -> Option<Arc<Served>> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let wanted = |served: &&Arc<Served>| name.is_none_or(|name| served.card.name == name);
        list.iter().find(wanted).cloned()
    }

    /// What to know of each.
    pub fn cards(&self) -> Vec<Card> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        list.iter().map(|served| served.card.clone()).collect()
    }

    /// The checkpoint's version, to be compared with a later one; `None` without a checkpoint or
    /// while it cannot be seen.
    pub fn version(&self) -> Version {
        let given = self.checkpoint.as_deref()?;
        let file = match given.is_dir() {
            true => given.join("best.safetensors"),
            false => given.to_path_buf(),
        };
        let found = std::fs::metadata(file).ok()?;
        Some((found.modified().ok()?, found.len()))
    }

    /// Reads the checkpoint again and swaps it in; requests under way keep the old one.
    ///
    /// # Errors
    /// [`ServeError::Checkpoint`]; the old one then stays.
    pub fn reload(&self) -> Result<(), ServeError> {
        let Some(path) = &self.checkpoint else {
            return Ok(());
        };
        let fresh = Arc::new(open_checkpoint(path)?);
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = list.first_mut() {
            *first = fresh;
        }
        Ok(())
    }
}

#[cfg(feature = "checkpoint")]
fn open_checkpoint(path: &Path) -> Result<Served, ServeError> {
    crate::checkpoint::CheckpointModel::open(path)
}

#[cfg(not(feature = "checkpoint"))]
fn open_checkpoint(_: &Path) -> Result<Served, ServeError> {
    Err(ServeError::NoCheckpoints)
}
