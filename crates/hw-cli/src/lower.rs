//! From raw arguments and a config file to a checked configuration.

use crate::args::{Emnist, RunArgs};
use crate::failure::Usage;
use anyhow::{Context, Result};
use hw_train::{EarlyStopping, Optimizer, TrainConfig};
use std::path::Path;

/// The configuration that the options and the config file together ask for: an option beats the
/// file, the file beats the defaults.
pub(crate) fn train_config(args: &RunArgs, emnist: Option<Emnist>) -> Result<TrainConfig> {
    let mut config = match &args.config {
        Some(path) => TrainConfig::read(path)?,
        None => TrainConfig::default(),
    };
    replace(&mut config.dataset, &args.dataset);
    replace(&mut config.batch, &args.batch);
    replace(&mut config.epochs, &args.epochs);
    replace(&mut config.seed, &args.seed);
    replace(&mut config.val_fraction, &args.val_fraction);
    replace(&mut config.preprocess.scale, &args.scale);
    if let Some(augment) = args.augment {
        config.augment = (!augment.is_none()).then_some(augment);
    }
    if let Some(resize) = &args.resize {
        config.preprocess.steps.clone_from(&resize.0);
    }
    config.limit = args.limit.or(config.limit);
    config.init = args.init.or(config.init);
    if let Some(model) = &args.model {
        config.model.clone_from(model);
        config.spec = None;
    }
    if let Some(monitor) = args.monitor {
        config.monitor = monitor.into();
    }
    if let Some(emnist) = emnist {
        config.edition = emnist.edition();
    }
    if let Some(patience) = args.patience {
        let min_delta = config
            .early_stopping
            .map_or(0.0, |stopping| stopping.min_delta);
        config.early_stopping = Some(EarlyStopping {
            patience,
            min_delta,
        });
    }
    optimizer(args, &mut config)?;
    check(args, &config)?;
    Ok(config)
}

fn replace<T: Clone>(field: &mut T, option: &Option<T>) {
    if let Some(value) = option {
        field.clone_from(value);
    }
}

fn optimizer(args: &RunArgs, config: &mut TrainConfig) -> Result<()> {
    if let Some(rule) = args.optimizer {
        // The file's constants stay if the option names the file's rule.
        if rule.name() != config.optimizer.name() {
            config.optimizer = rule;
        }
        if !file_sets(args.config.as_deref(), "learning_rate")? {
            config.learning_rate = rule.default_learning_rate();
        }
    }
    replace(&mut config.learning_rate, &args.lr);
    match (args.momentum, &mut config.optimizer) {
        (None, _) => Ok(()),
        (Some(value), Optimizer::Momentum { momentum }) => {
            *momentum = value;
            Ok(())
        }
        (Some(_), other) => {
            let name = other.name();
            let problem = format!("--momentum is of no use to {name}; add --optimizer momentum");
            Err(Usage(problem).into())
        }
    }
}

/// Whether the config file has that field.
fn file_sets(file: Option<&Path>, field: &str) -> Result<bool> {
    let Some(path) = file else { return Ok(false) };
    let text = hw_core::files::read_text(path)?;
    let fields: serde_json::Value = serde_json::from_str(&text)
        .with_context(|| format!("{} is no JSON file", path.display()))?;
    Ok(fields.get(field).is_some())
}

/// Wrong usage if options alone are to blame, else the file's fault.
fn check(args: &RunArgs, config: &TrainConfig) -> Result<()> {
    match (config.check(), &args.config) {
        (Ok(()), _) => Ok(()),
        (Err(error), None) => Err(Usage(error.to_string()).into()),
        (Err(error), Some(file)) => Err(error).context(file.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Resize;
    use hw_data::Step;
    use hw_train::Monitor;

    fn file(text: &str) -> (tempfile::TempDir, RunArgs) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        (
            folder,
            RunArgs {
                config: Some(path),
                ..RunArgs::default()
            },
        )
    }

    #[test]
    fn options_beat_the_file_and_the_file_beats_the_defaults() {
        let text =
            r#"{"model":"ann","dataset":"kmnist","batch":50,"epochs":3,"monitor":"val-accuracy"}"#;
        let (_folder, args) = file(text);
        let args = RunArgs {
            epochs: Some(7),
            ..args
        };
        let config = train_config(&args, None).unwrap();
        assert_eq!(
            (config.model.as_str(), config.batch, config.epochs),
            ("ann", 50, 7)
        );
        assert_eq!(
            (config.monitor, config.seed),
            (Monitor::ValAccuracy, TrainConfig::default().seed)
        );
    }

    #[test]
    fn the_learning_rate_follows_the_optimizer_unless_someone_said_otherwise() {
        let sgd = RunArgs {
            optimizer: "sgd".parse().ok(),
            ..RunArgs::default()
        };
        assert_eq!(train_config(&sgd, None).unwrap().learning_rate, 0.1);
        let said = RunArgs {
            lr: Some(0.5),
            ..sgd
        };
        assert_eq!(train_config(&said, None).unwrap().learning_rate, 0.5);
        let (_folder, args) = file(r#"{"learning_rate":0.25}"#);
        let filed = RunArgs {
            optimizer: "sgd".parse().ok(),
            ..args
        };
        assert_eq!(train_config(&filed, None).unwrap().learning_rate, 0.25);
    }

    #[test]
    fn momentum_without_the_momentum_optimizer_is_wrong_usage() {
        let args = RunArgs {
            momentum: Some(0.5),
            ..RunArgs::default()
        };
        assert!(train_config(&args, None).unwrap_err().is::<Usage>());
        let args = RunArgs {
            optimizer: "momentum".parse().ok(),
            ..args
        };
        let config = train_config(&args, None).unwrap();
        assert_eq!(config.optimizer, Optimizer::Momentum { momentum: 0.5 });
    }

    #[test]
    fn a_value_out_of_range_is_the_files_fault_if_there_is_one() {
        let (_folder, args) = file(r#"{"batch":0}"#);
        let error = train_config(&args, None).unwrap_err();
        assert!(
            !error.is::<Usage>() && format!("{error:#}").contains("config.json"),
            "{error:#}"
        );
        let patient = RunArgs {
            patience: Some(2),
            val_fraction: Some(0.0),
            ..RunArgs::default()
        };
        assert!(train_config(&patient, None).unwrap_err().is::<Usage>());
    }

    #[test]
    fn changes_at_random_and_another_size_are_taken_from_the_options() {
        let text = r#"{"augment":{"shift":3.0}}"#;
        let (_folder, args) = file(text);
        let config = train_config(&args, None).unwrap();
        assert_eq!(config.augment.map(|augment| augment.shift), Some(3.0));
        let args = RunArgs {
            augment: "none".parse().ok(),
            resize: Some(Resize(vec![Step::Repeat { channels: 3 }])),
            ..args
        };
        let config = train_config(&args, None).unwrap();
        assert_eq!(config.augment, None);
        assert_eq!(config.preprocess.steps, [Step::Repeat { channels: 3 }]);
        let (_folder, args) = file(r#"{"augment":{"shift":-3.0}}"#);
        assert!(train_config(&args, None).is_err());
    }

    #[test]
    fn naming_a_model_replaces_the_files_own_declaration() {
        let spec = hw_models::zoo::spec("ann", [1, 28, 28], 10).unwrap();
        let config = TrainConfig {
            spec: Some(spec),
            ..TrainConfig::default()
        };
        let (_folder, args) = file(&serde_json::to_string(&config).unwrap());
        assert!(train_config(&args, None).unwrap().spec.is_some());
        let args = RunArgs {
            model: Some("lenet5".into()),
            ..args
        };
        assert!(train_config(&args, None).unwrap().spec.is_none());
    }
}
