//! Making a run smaller so that it fits a profile, and saying what was made smaller.
//!
//! The size follows from the network's arithmetic and a fixed reference speed, never from how fast
//! this machine happens to be: the same profile gives the same runs everywhere.

use super::paper::Scale;
use anyhow::{Result, anyhow};
use hw_models::{Layer, ModelSpec};
use hw_train::TrainConfig;
use serde_json::Value;

/// Floating-point operations a second in training on one core of the reference machine.
const CORE: f64 = 1.0e11;
/// Seconds an image costs beside its arithmetic: loading, activations, normalisation.
const IMAGE: f64 = 1.2e-5;
/// Seconds each step costs for each weight: the optimizer reads and writes it several times.
const WEIGHT: f64 = 2.5e-9;
/// By how much networks are narrowed, as far as needed.
const DIVISORS: [usize; 4] = [1, 2, 4, 8];
/// Epochs a shortened run should have if the document has as many.
const EPOCHS: usize = 5;
/// Images an epoch should have before it has more epochs than one.
const IMAGES: usize = 500;

/// A run before it is fitted.
pub(crate) struct Wanted<'a> {
    /// As the document has it; `spec` is set.
    pub(crate) config: TrainConfig,
    /// The network as the document has it.
    pub(crate) network: &'a ModelSpec,
    /// Images of the training set, those held out included.
    pub(crate) images: usize,
    /// How many times the usual time it gets.
    pub(crate) share: f64,
    /// Seconds that asking a teacher takes for an image.
    pub(crate) teacher_seconds: f64,
}

/// Seconds of training an image on one core of the reference machine.
pub(crate) fn seconds_an_image(spec: &ModelSpec, batch: usize) -> Option<f64> {
    let model = spec.resolve().ok()?;
    // Two operations a multiply-accumulate, and a pass backwards costs two forwards.
    let arithmetic = 6.0 * model.macs() as f64 / CORE;
    let values: usize = model
        .flat()
        .iter()
        .map(|l| l.output.iter().product::<usize>())
        .sum();
    let weights = model.parameter_count() as f64 * WEIGHT / batch as f64;
    Some(IMAGE + arithmetic + values as f64 * 3e-10 + weights)
}

/// Replaces larger sides of resized images by `side`; what was replaced, if anything.
pub(crate) fn shrink_side(preprocess: &mut Value, side: usize) -> Option<u64> {
    let steps = preprocess.get_mut("steps")?.as_array_mut()?;
    let mut replaced = None;
    for step in steps.iter_mut().filter(|step| step["kind"] == "resize") {
        for field in ["size", "side", "height", "width"] {
            let Some(value) = step.get_mut(field) else {
                continue;
            };
            if let Some(old) = value.as_u64().filter(|old| *old > side as u64) {
                *value = side.into();
                replaced = Some(old);
            }
        }
    }
    replaced
}

/// The run at a profile's scale, and what was made smaller, in words.
///
/// # Errors
/// When the network cannot be built.
pub(crate) fn fit(wanted: Wanted<'_>, scale: &Scale) -> Result<(TrainConfig, Vec<String>)> {
    let mut words = Vec::new();
    let mut config = wanted.config;
    if let Some(most) = scale.batch.filter(|most| *most < config.batch) {
        words.push(format!("batch {most} for {}", config.batch));
        config.batch = most;
    }
    let held_out = (wanted.images as f64 * config.val_fraction).round() as usize;
    if let Some(most) = scale.test_images.filter(|most| *most < held_out) {
        config.val_fraction = most as f64 / wanted.images as f64;
        words.push(format!("{} validation images", count(most)));
    }
    let images = wanted.images - (wanted.images as f64 * config.val_fraction).round() as usize;
    if let Some(seconds) = scale.seconds {
        let seconds = seconds * wanted.share;
        let (divisor, cost) = narrowest(wanted.network, config.batch, seconds, scale.steps)
            .ok_or_else(|| anyhow!("the network cannot be built"))?;
        if divisor > 1 {
            config.spec = Some(narrow(wanted.network, divisor));
            words.push(format!("width 1/{divisor}"));
        }
        budget(
            &mut config,
            images,
            seconds / (cost + wanted.teacher_seconds),
        );
    }
    if let Some(most) = scale.epochs.filter(|most| *most < config.epochs) {
        config.epochs = most;
    }
    if let Some(most) = scale.images.filter(|most| *most < images) {
        config.limit = Some(config.limit.map_or(most, |limit| limit.min(most)));
    }
    Ok((config, words))
}

/// Divides a number of image presentations among images and epochs: a few epochs of as many images
/// as possible, then more epochs.
fn budget(config: &mut TrainConfig, images: usize, presentations: f64) {
    let full = presentations / images as f64;
    let epochs = (full as usize).max(EPOCHS).min(config.epochs);
    let epochs = epochs.min((presentations / IMAGES as f64) as usize).max(1);
    let each = (presentations / epochs as f64) as usize;
    config.epochs = epochs;
    if each < images {
        config.limit = Some(round(each.max(config.batch)));
    }
}

/// The smallest divisor that fits `steps` into `seconds`, and the cost of an image then.
fn narrowest(
    network: &ModelSpec,
    batch: usize,
    seconds: f64,
    steps: Option<usize>,
) -> Option<(usize, f64)> {
    let needed = steps.unwrap_or(0) as f64 * batch as f64;
    let mut found = None;
    for divisor in DIVISORS {
        let Some(cost) = seconds_an_image(&narrow(network, divisor), batch) else {
            continue;
        };
        found = Some((divisor, cost));
        if seconds / cost >= needed {
            break;
        }
    }
    found
}

/// The network with every layer but the last `divisor` times narrower.
fn narrow(network: &ModelSpec, divisor: usize) -> ModelSpec {
    let mut narrowed = network.clone();
    if divisor > 1 {
        let last = narrowed.layers.len().saturating_sub(1);
        narrow_layers(&mut narrowed.layers[..last], divisor);
    }
    narrowed
}

fn narrow_layers(layers: &mut [Layer], divisor: usize) {
    for layer in layers {
        match layer {
            Layer::Conv {
                out,
                connections: None,
                ..
            }
            | Layer::ConvTranspose { out, .. } => *out = (*out / divisor).max(4.min(*out)),
            Layer::Dense { units, .. } => *units = (*units / divisor).max(8.min(*units)),
            Layer::Residual { body, shortcut } => {
                narrow_layers(body, divisor);
                narrow_layers(shortcut, divisor);
            }
            Layer::Concat { first, second } => {
                narrow_layers(first, divisor);
                narrow_layers(second, divisor);
            }
            _ => {}
        }
    }
}

/// To two digits, downwards: nobody needs 11,873 images.
fn round(number: usize) -> usize {
    let mut unit = 1;
    while number / unit >= 100 {
        unit *= 10;
    }
    number / unit * unit
}

fn count(number: usize) -> String {
    hw_report::format::count_with(number as u64, ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(network: &ModelSpec, epochs: usize) -> Wanted<'_> {
        Wanted {
            config: TrainConfig {
                batch: 500,
                epochs,
                ..TrainConfig::default()
            },
            network,
            images: 100_000,
            share: 1.0,
            teacher_seconds: 0.0,
        }
    }

    fn residual() -> ModelSpec {
        hw_models::zoo::spec("residual", [1, 28, 28], 62).unwrap()
    }

    #[test]
    fn asking_a_teacher_takes_its_part_of_the_time() {
        let network = hw_models::zoo::spec("lenet5", [1, 28, 28], 62).unwrap();
        let scale = Scale {
            seconds: Some(100.0),
            ..Scale::default()
        };
        let alone = fit(wanted(&network, 50), &scale).unwrap().0;
        let taught = Wanted {
            teacher_seconds: seconds_an_image(&network, 500).unwrap(),
            ..wanted(&network, 50)
        };
        let taught = fit(taught, &scale).unwrap().0;
        let each = |config: &TrainConfig| config.epochs * config.limit.unwrap_or(100_000);
        let ratio = each(&taught) as f64 / each(&alone) as f64;
        assert!((0.4..0.6).contains(&ratio), "{ratio}");
    }

    #[test]
    fn without_limits_nothing_changes() {
        let network = residual();
        let wanted = wanted(&network, 50);
        let before = wanted.config.clone();
        let (after, words) = fit(wanted, &Scale::default()).unwrap();
        assert_eq!((after, words.len()), (before, 0));
    }

    #[test]
    fn a_small_budget_shrinks_batch_width_images_and_epochs_and_says_so() {
        let network = residual();
        let scale = Scale {
            seconds: Some(3.0),
            steps: Some(300),
            batch: Some(100),
            test_images: Some(2_000),
            ..Scale::default()
        };
        let (config, words) = fit(wanted(&network, 50), &scale).unwrap();
        let spec = config.spec.as_ref().unwrap();
        let cost = seconds_an_image(spec, config.batch).unwrap();
        let presentations = config.limit.unwrap() * config.epochs;
        assert!(
            (1.5..=3.0).contains(&(presentations as f64 * cost)),
            "{presentations}"
        );
        assert_eq!((config.batch, config.val_fraction), (100, 0.02));
        let words = words.join(", ");
        for word in ["batch 100 for 500", "width 1/", "2,000 validation images"] {
            assert!(words.contains(word), "{words}");
        }
    }

    #[test]
    fn a_large_budget_leaves_everything_as_the_document_has_it() {
        let network = hw_models::zoo::spec("lenet5", [1, 28, 28], 47).unwrap();
        let scale = Scale {
            seconds: Some(1e6),
            steps: Some(300),
            ..Scale::default()
        };
        let (config, words) = fit(wanted(&network, 70), &scale).unwrap();
        assert_eq!((config.epochs, config.limit, config.spec), (70, None, None));
        assert_eq!(words.len(), 0);
    }

    #[test]
    fn narrowed_networks_still_fit_together_and_end_in_their_classes() {
        for entry in hw_models::zoo::CATALOGUE {
            let network = entry.spec([1, 28, 28], 47);
            if network.resolve().is_err() {
                continue; // needs larger images
            }
            for divisor in DIVISORS {
                let narrowed = narrow(&network, divisor);
                // A network whose layers depend on their width is left as it is.
                if let Ok(model) = narrowed.resolve() {
                    let output = model.layers.last().map(|layer| layer.output.clone());
                    assert_eq!(output, Some(vec![47]), "{} / {divisor}", entry.name);
                }
            }
        }
    }

    #[test]
    fn large_inputs_are_resized_to_less() {
        let mut preprocess = serde_json::json!({ "steps": [{ "kind": "resize", "size": 224 }] });
        assert_eq!(shrink_side(&mut preprocess, 32), Some(224));
        assert_eq!(preprocess["steps"][0]["size"], 32);
        assert_eq!(shrink_side(&mut preprocess, 32), None);
    }
}
