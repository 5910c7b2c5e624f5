//! How well the served networks read: on images that none of them learned from.

use super::handwriting::fitted;
use anyhow::{Context, Result};
use hw_data::label_space::CommonSpace;
use hw_data::{DataDirs, DataError, Dataset, DatasetId, EmnistEdition, Split, overlap};
use hw_eval::{Calibration, Predictions};
use hw_ink::net::softmax;
use hw_ink::{Measurement, Model, Net};
use rayon::prelude::*;
use std::sync::Arc;

/// Images of a set that measure at most.
pub(super) const MOST: usize = 10_000;

/// A real test set.
pub(super) struct Test {
    pub(super) set: DatasetId,
    pub(super) edition: Option<EmnistEdition>,
    /// What a reader of its numbers should know.
    pub(super) remark: &'static str,
}

impl Test {
    /// A name for its images and the first [`MOST`] (times `scale`) of them that a model of `classes`
    /// can be asked about and that are not among those `learned` from, fitted. `None` where the set
    /// is not found.
    pub(super) fn images(
        &self,
        dirs: &DataDirs,
        learned: Option<&Dataset>,
        classes: &Arc<[String]>,
        scale: f64,
    ) -> Result<Option<(String, Dataset)>> {
        let dirs = dirs.clone().with_edition(self.edition);
        let all = match hw_data::load(&self.set, Split::Test, &dirs) {
            Err(DataError::NotFound { .. }) => return Ok(None),
            all => all?,
        };
        let common = CommonSpace::of(classes, &all.classes)?;
        let known = match learned {
            Some(learned) => overlap::shared_with(&all, learned),
            None => vec![false; all.len()],
        };
        let asked =
            |index: &u32| common.of_test()[usize::from(all.labels[*index as usize])].is_some();
        let new = |index: &u32| asked(index) && !known[*index as usize];
        let most = (MOST as f64 * scale).ceil() as usize;
        let chosen: Vec<u32> = (0..all.len() as u32).filter(new).take(most).collect();
        let images = all.subset(&chosen);
        let which = match known.contains(&true) {
            true => "test images not learned from",
            false => "test images",
        };
        let name = format!("{} {which} ({}{})", self.set, all.edition, self.remark);
        Ok(Some((name, fitted(&images, &|_, image| image.to_vec())?)))
    }
}

/// One row of logits an image.
pub(super) fn logits(net: &Net, set: &Dataset) -> Result<Vec<Vec<f32>>> {
    let of = |index: usize| {
        net.logits(set.images.image(index))
            .context("cannot look at an image")
    };
    (0..set.len()).into_par_iter().map(of).collect()
}

/// The temperature of least cross-entropy.
pub(super) fn temperature(logits: &[Vec<f32>], labels: &[u16]) -> f32 {
    let classes = logits.first().map_or(1, Vec::len);
    let labels: Vec<u32> = labels.iter().map(|&label| label.into()).collect();
    hw_train::calibrate::temperature(&logits.concat(), classes, &labels)
}

/// How well `served` does on `set`, and the exact network it was made of. Where one knows more classes
/// than the other, both are compared in the fewer; images of none of them are left out.
pub(super) fn measurement(
    on: &str,
    exact: &Model,
    served: &Model,
    set: &Dataset,
) -> Result<Measurement> {
    let known: Arc<[String]> = served.card.classes.iter().cloned().collect();
    let common = CommonSpace::of(&known, &set.classes)?;
    let label = |index: &u32| common.of_test()[usize::from(set.labels[*index as usize])];
    let (images, labels): (Vec<u32>, Vec<u32>) = (0..set.len() as u32)
        .filter_map(|index| Some((index, label(&index)?)))
        .unzip();
    let set = set.subset(&images);
    let predictions = |model: &Model| -> Result<Predictions> {
        let mut rows = Vec::new();
        for row in logits(&model.net, &set)? {
            let mut merged = vec![0.0; common.classes().len()];
            let probabilities = softmax(&row, model.card.temperature);
            for (p, to) in probabilities.iter().zip(common.of_model()) {
                if let Some(to) = to {
                    merged[*to as usize] += p;
                }
            }
            rows.extend(merged);
        }
        Ok(Predictions::new(
            rows,
            labels.clone(),
            common.classes().len(),
        )?)
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
