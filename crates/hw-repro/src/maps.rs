//! t-SNE maps of a test set: by its pixels, and by what a trained network's last layer sees.

use super::archive::MapPlaces;
use super::figures::{Source, picture};
use super::paper::Figure;
use super::results::{JobResult, RunResult};
use hw_data::{Loader, LoaderConfig};
use hw_eval::tsne::{TsneConfig, map};
use hw_report::Block;
use hw_report::plots::Cloud;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Images a batch.
const BATCH: usize = 250;

/// Maps by their runs: from an archive, or made for a report and to be kept with it.
#[derive(Debug, Default)]
pub(crate) struct MapStore(Mutex<HashMap<String, MapPlaces>>);

impl MapStore {
    /// The map of a run, if there is one.
    pub(crate) fn get(&self, run: &str) -> Option<MapPlaces> {
        let maps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        maps.get(run).cloned()
    }

    /// Keeps the map of a run.
    pub(crate) fn keep(&self, run: &str, places: MapPlaces) {
        let mut maps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        maps.insert(run.into(), places);
    }
}

/// Both maps of the run's test images, one below the other.
///
/// # Errors
/// Why they cannot be drawn.
pub(crate) fn draw(
    figure: &Figure,
    job: &JobResult,
    seed: &RunResult,
    source: &Source<'_>,
) -> Result<Vec<Block>, String> {
    let places = match (source.maps.get(&seed.run), source.runs) {
        (Some(places), _) => places,
        (None, Some(runs)) => {
            let places = make(seed, source, runs)?.rounded();
            source.maps.keep(&seed.run, places.clone());
            places
        }
        (None, None) => return Err("the archive has no map of its run".into()),
    };
    let mut blocks = Vec::new();
    for (part, what, of_part) in [
        ("pixels", "by their pixels", &places.pixels),
        ("features", "by what the last layer sees", &places.features),
    ] {
        let cloud = cloud(&places, of_part);
        let images = places.labels.len();
        let part = Figure {
            id: format!("{}-{part}", figure.id),
            caption: format!("{} {images} test images {what}.", figure.caption),
            ..Figure::like(figure)
        };
        let alt = "A t-SNE map; images of one class lie together as far as they look alike.";
        blocks.push(picture(&part, job, alt, &cloud));
    }
    Ok(blocks)
}

/// Where both maps have some of the run's test images.
fn make(seed: &RunResult, source: &Source<'_>, runs: &Path) -> Result<MapPlaces, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let test = source.test(seed)?;
    let all: Vec<u32> = (0..test.len() as u32).collect();
    let chosen = hw_data::split::limit(&all, source.points, 1);
    let pixels: Vec<f32> = chosen
        .iter()
        .flat_map(|&index| test.images.image(index as usize))
        .map(|&byte| f32::from(byte) / 255.0)
        .collect();
    let side = test.images.shape().iter().product();
    let folder = runs.join(&seed.run);
    let device = seed.config.device.open().map_err(|error| text(&error))?;
    let trained = hw_train::checkpoint::open(&folder, &device);
    let trained = trained.map_err(|error| text(&error))?;
    let config = LoaderConfig {
        batch: BATCH,
        preprocess: seed.config.preprocess.clone(),
        ..LoaderConfig::default()
    };
    let loader = Loader::new(Arc::clone(&test), chosen.clone().into(), config);
    let loader = loader.map_err(|error| text(&error))?;
    let seen = hw_eval::network::embeddings(&trained.network, &loader);
    let (seen, width) = seen.map_err(|error| text(&error))?;
    let map = |rows: &[f32], width| {
        let places = map(rows, width, &config_for(chosen.len()));
        places.map_err(|error| text(&error))
    };
    let labels = chosen.iter().map(|&index| test.labels[index as usize]);
    Ok(MapPlaces {
        classes: test.classes.to_vec(),
        labels: labels.collect(),
        pixels: map(&pixels, side)?,
        features: map(&seen, width)?,
    })
}

fn config_for(points: usize) -> TsneConfig {
    TsneConfig {
        perplexity: (points as f32 / 20.0).clamp(5.0, 30.0),
        ..TsneConfig::default()
    }
}

fn cloud(places: &MapPlaces, of_part: &[[f32; 2]]) -> Cloud {
    let mut cloud = Cloud::new(places.classes.clone());
    for (&class, place) in places.labels.iter().zip(of_part) {
        cloud = cloud.point(f64::from(place[0]), f64::from(place[1]), class.into());
    }
    cloud
}
