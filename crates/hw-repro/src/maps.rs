//! t-SNE maps of a test set: by its pixels, and by what a trained network's last layer sees.

use super::figures::{Source, picture};
use super::paper::Figure;
use super::results::{JobResult, RunResult};
use hw_data::{Dataset, Loader, LoaderConfig};
use hw_eval::tsne::{TsneConfig, map};
use hw_report::Block;
use hw_report::plots::Cloud;
use std::sync::Arc;

/// Images a batch.
const BATCH: usize = 250;

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
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let test = source.data.get(&seed.config.dataset, hw_data::Split::Test);
    let test = test.map_err(|error| text(&error))?;
    let all: Vec<u32> = (0..test.len() as u32).collect();
    let chosen = hw_data::split::limit(&all, source.points, 1);
    let pixels: Vec<f32> = chosen
        .iter()
        .flat_map(|&index| test.images.image(index as usize))
        .map(|&byte| f32::from(byte) / 255.0)
        .collect();
    let side = test.images.shape().iter().product();
    let folder = source.runs.join(&seed.run);
    let trained = hw_train::checkpoint::open(&folder, &candle_core::Device::Cpu);
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
    let mut blocks = Vec::new();
    for (part, what, rows, width) in [
        ("pixels", "by their pixels", &pixels, side),
        ("features", "by what the last layer sees", &seen, width),
    ] {
        let places = map(rows, width, &config_for(chosen.len()));
        let places = places.map_err(|error| text(&error))?;
        let cloud = cloud(&test, &chosen, &places);
        let part = Figure {
            id: format!("{}-{part}", figure.id),
            caption: format!("{} {} test images {what}.", figure.caption, chosen.len()),
            ..Figure::like(figure)
        };
        let alt = "A t-SNE map; images of one class lie together as far as they look alike.";
        blocks.push(picture(&part, job, alt, &cloud));
    }
    Ok(blocks)
}

fn config_for(points: usize) -> TsneConfig {
    TsneConfig {
        perplexity: (points as f32 / 20.0).clamp(5.0, 30.0),
        ..TsneConfig::default()
    }
}

fn cloud(test: &Dataset, chosen: &[u32], places: &[[f32; 2]]) -> Cloud {
    let mut cloud = Cloud::new(test.classes.to_vec());
    for (&index, place) in chosen.iter().zip(places) {
        let class = usize::from(test.labels[index as usize]);
        cloud = cloud.point(f64::from(place[0]), f64::from(place[1]), class);
    }
    cloud
}
