//! Measures what the loading and batching of a data set costs on this machine:
//! `cargo run --release -p hw-data --example speed -- mnist`.

use hw_data::augment::Interpolation;
use hw_data::preprocess::Step;
use hw_data::{Augment, DataDirs, DataError, DatasetId, Filter, Loader, LoaderConfig, Preprocess};
use hw_data::{Split, load};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), DataError> {
    let name = std::env::args().nth(1).unwrap_or("mnist".into());
    let id: DatasetId = name.parse()?;
    let dirs = DataDirs::resolve(None);
    let mut fastest = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        black_box(load(&id, Split::Train, &dirs)?);
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    let set = Arc::new(load(&id, Split::Train, &dirs)?);
    println!(
        "load {name} train: {} images, best of 5: {fastest:.3} s",
        set.len()
    );

    let noise = vec![Step::GaussianNoise { std: 0.2 }];
    let crop = vec![Step::CenterCrop { size: 20 }];
    let resize = |size| {
        let filter = Filter::Bilinear;
        vec![Step::Resize { size, filter }]
    };
    let affine = Augment {
        elastic: 0.0,
        ..Augment::standard()
    };
    let linear = Augment {
        interpolation: Interpolation::Linear,
        ..Augment::standard()
    };
    for (what, steps, augment) in [
        ("plain", vec![], None),
        ("centre crop", crop, None),
        ("noise", noise, None),
        ("resized to 32", resize(32), None),
        ("resized to 224", resize(224), None),
        ("affine", vec![], Some(affine)),
        ("affine and elastic", vec![], Some(Augment::standard())),
        ("affine and elastic, linear", vec![], Some(linear)),
    ] {
        let config = LoaderConfig {
            shuffle_seed: Some(1),
            augment,
            preprocess: Preprocess {
                steps,
                ..Preprocess::default()
            },
            ..LoaderConfig::default()
        };
        let loader = Loader::new(set.clone(), (0..set.len() as u32).collect(), config)?;
        let start = Instant::now();
        let images: usize = loader
            .epoch(0, 0)
            .map(|batch| black_box(batch).labels.len())
            .sum();
        let rate = images as f64 / start.elapsed().as_secs_f64();
        println!("batches of 100, {what}: {rate:.0} images/s");
    }
    Ok(())
}
