//! From raw arguments and a config file to a checked configuration.

use crate::args::{AskedOptimizer, Emnist, RunArgs};
use crate::failure::Usage;
use anyhow::{Context, Result};
use hw_train::{EarlyStopping, Optimizer, Teacher, TrainConfig};
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
    config.augment_cycle = args.augment_cycle.or(config.augment_cycle);
    config.limit = args.limit.or(config.limit);
    config.val_limit = args.val_limit.or(config.val_limit);
    config.init = args.init.or(config.init);
    config.ema = args.ema.or(config.ema);
    let statistics = args.batch_norm_statistics;
    config.batch_norm_statistics = statistics.or(config.batch_norm_statistics);
    config.mix = args.mix.or(config.mix);
    replace(&mut config.schedule, &args.schedule);
    replace(&mut config.warmup, &args.warmup);
    replace(&mut config.loss, &args.loss);
    replace(&mut config.loss.label_smoothing, &args.label_smoothing);
    if !args.teacher.is_empty() {
        let named = Teacher::at(&args.teacher)
            .context("--teacher takes a trained run's folder or its best.safetensors")?;
        config.teacher = Some(match config.teacher.take() {
            Some(teacher) => Teacher {
                runs: named.runs,
                ..teacher
            },
            None => named,
        });
    }
    match &mut config.teacher {
        Some(teacher) => {
            replace(&mut teacher.weight, &args.teacher_weight);
            replace(&mut teacher.temperature, &args.teacher_temperature);
        }
        None if args.teacher_weight.or(args.teacher_temperature).is_some() => {
            let problem = "--teacher-weight and --teacher-temperature are of no use without a \
                           teacher; add --teacher RUN";
            return Err(Usage(problem.into()).into());
        }
        None => {}
    }
    replace(&mut config.sampling, &args.sampling.map(Into::into));
    model(args, &mut config)?;
    if let Some(monitor) = args.monitor {
        config.monitor = monitor.into();
    }
    if let Some(emnist) = emnist {
        config.edition = emnist.edition();
    }
    early_stopping(args, &mut config)?;
    optimizer(args, &mut config)?;
    check(args, &config)?;
    Ok(config)
}

fn early_stopping(args: &RunArgs, config: &mut TrainConfig) -> Result<()> {
    if let Some(patience) = args.patience {
        config.early_stopping = Some(EarlyStopping {
            patience,
            ..config.early_stopping.unwrap_or_default()
        });
    }
    match &mut config.early_stopping {
        Some(stopping) => {
            replace(&mut stopping.patience_steps, &args.patience_steps);
            replace(&mut stopping.min_steps, &args.min_steps);
            Ok(())
        }
        None if args.patience_steps.or(args.min_steps).is_some() => {
            let problem = "--patience-steps and --min-steps are of no use without early stopping; \
                           add --patience EPOCHS";
            Err(Usage(problem.into()).into())
        }
        None => Ok(()),
    }
}

/// The model and its settings: another model starts from its own defaults.
fn model(args: &RunArgs, config: &mut TrainConfig) -> Result<()> {
    if let Some(model) = &args.model {
        if *model != config.model || config.spec.is_some() {
            config.model_options.clear();
        }
        config.model.clone_from(model);
        config.spec = None;
    }
    let settings = args.model_option.iter().cloned();
    let activation = args.activation.iter();
    let activation = activation.map(|function| ("activation".into(), function.to_string()));
    config.model_options.extend(settings.chain(activation));
    if config.model_options.is_empty() || config.spec.is_some() {
        return Ok(());
    }
    // The images are not known yet; a setting that is wrong for a digit is wrong for all.
    let entry = hw_models::zoo::find(&config.model)?;
    match entry.spec_with([1, 28, 28], 10, &config.model_options) {
        Ok(_) => Ok(()),
        Err(error) if args.config.is_none() => Err(Usage(error.to_string()).into()),
        Err(error) => Err(error.into()),
    }
}

fn replace<T: Clone>(field: &mut T, option: &Option<T>) {
    if let Some(value) = option {
        field.clone_from(value);
    }
}

fn optimizer(args: &RunArgs, config: &mut TrainConfig) -> Result<()> {
    if let Some(AskedOptimizer {
        rule,
        by_name_alone,
    }) = &args.optimizer
    {
        // The file's constants stay if the option names the file's rule and says no more.
        if !by_name_alone || rule.name() != config.optimizer.name() {
            config.optimizer = rule.clone();
        }
        if !file_sets(args.config.as_deref(), "learning_rate")? {
            config.learning_rate = rule.default_learning_rate();
        }
    }
    replace(&mut config.learning_rate, &args.lr);
    constant(config, "momentum", args.momentum)?;
    constant(config, "weight_decay", args.weight_decay)
}

/// Sets one of the rule's constants, by the option of its name, if it has it.
fn constant(config: &mut TrainConfig, name: &str, value: Option<f32>) -> Result<()> {
    let Some(value) = value else { return Ok(()) };
    let has = |rule: &Optimizer| {
        rule.constants()
            .iter()
            .any(|constant| constant.name == name)
    };
    if !has(&config.optimizer) {
        let option = name.replace('_', "-");
        let rules = Optimizer::all().into_iter().filter(has);
        let rules: Vec<&str> = rules.map(|rule| rule.name()).collect();
        let problem = format!(
            "--{option} is of no use to {}; add --optimizer {}",
            config.optimizer.name(),
            rules.join(" or ")
        );
        return Err(Usage(problem).into());
    }
    let set = config.optimizer.set(name, &value.to_string());
    set.map_err(|problem| Usage(problem).into())
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
    use hw_train::{BatchNormStatistics, Mix, Monitor};

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
    fn a_files_constants_stay_if_the_option_only_names_its_optimizer() {
        let text = r#"{"optimizer":{"name":"adam","beta1":0.5}}"#;
        let chosen = |option: &str| {
            let (_folder, args) = file(text);
            let args = RunArgs {
                optimizer: option.parse().ok(),
                ..args
            };
            train_config(&args, None).unwrap().optimizer.to_string()
        };
        assert!(chosen("adam").contains("beta1=0.5"));
        assert!(chosen("adam:beta2=0.99").contains("beta1=0.9,beta2=0.99,"));
        assert!(chosen("keras:adam").contains("beta1=0.9,"));
        assert_eq!(chosen("sgd"), "sgd");
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
        let expected: Optimizer = "momentum:momentum=0.5".parse().unwrap();
        assert_eq!(config.optimizer, expected);
    }

    #[test]
    fn a_teachers_settings_need_a_teacher_of_the_options_or_the_file() {
        let alone = RunArgs {
            teacher_weight: Some(0.5),
            ..RunArgs::default()
        };
        assert!(train_config(&alone, None).unwrap_err().is::<Usage>());
        let run = "0123456789abcdef";
        let text = format!(r#"{{"teacher":{{"runs":["{run}"],"temperature":3.0}}}}"#);
        let (_folder, args) = file(&text);
        let args = RunArgs {
            teacher_weight: Some(0.5),
            ..args
        };
        let teacher = train_config(&args, None).unwrap().teacher.unwrap();
        assert_eq!((teacher.weight, teacher.temperature), (0.5, 3.0));
        assert_eq!(teacher.runs, [run]);
        let (_folder, args) = file(&text.replace(r#","temperature":3.0"#, ""));
        let teacher = train_config(&args, None).unwrap().teacher.unwrap();
        let usual = (Teacher::WEIGHT, Teacher::TEMPERATURE);
        assert_eq!((teacher.weight, teacher.temperature), usual);
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
    fn steps_to_wait_for_need_early_stopping_of_the_options_or_the_file() {
        for alone in [(Some(600), None), (None, Some(2000))] {
            let args = RunArgs {
                patience_steps: alone.0,
                min_steps: alone.1,
                ..RunArgs::default()
            };
            let error = train_config(&args, None).unwrap_err();
            assert!(error.is::<Usage>(), "{error:#}");
            assert!(error.to_string().contains("--patience EPOCHS"), "{error:#}");
        }
        let text = r#"{"early_stopping":{"patience":3,"min_delta":0.1,"patience_steps":5}}"#;
        let (_folder, args) = file(text);
        let args = RunArgs {
            min_steps: Some(2000),
            ..args
        };
        let expected = EarlyStopping {
            patience: 3,
            min_delta: 0.1,
            patience_steps: 5,
            min_steps: 2000,
        };
        let config = train_config(&args, None).unwrap();
        assert_eq!(config.early_stopping, Some(expected));
        let args = RunArgs {
            patience: Some(7),
            patience_steps: Some(600),
            ..args
        };
        let expected = EarlyStopping {
            patience: 7,
            patience_steps: 600,
            ..expected
        };
        let config = train_config(&args, None).unwrap();
        assert_eq!(config.early_stopping, Some(expected));
    }

    #[test]
    fn how_scores_are_taken_is_told_by_options_or_the_file() {
        let statistics = |images| Some(BatchNormStatistics::Reestimate { images });
        let text = r#"{"val_limit":50,"batch_norm_statistics":{"name":"reestimate","images":100}}"#;
        let (_folder, args) = file(text);
        let config = train_config(&args, None).unwrap();
        assert_eq!(config.val_limit, Some(50));
        assert_eq!(config.batch_norm_statistics, statistics(100));
        let args = RunArgs {
            val_limit: Some(60),
            batch_norm_statistics: statistics(200),
            ..args
        };
        let config = train_config(&args, None).unwrap();
        assert_eq!(config.val_limit, Some(60));
        assert_eq!(config.batch_norm_statistics, statistics(200));
        for wrong in [r#"{"val_limit":0}"#, &text.replace("100", "1")] {
            let (_folder, args) = file(wrong);
            let error = train_config(&args, None).unwrap_err();
            assert!(format!("{error:#}").contains("config.json"), "{error:#}");
        }
    }

    #[test]
    fn a_models_settings_are_checked_at_once_and_forgotten_with_the_model() {
        let set = |model: &str, name: &str, value: &str| RunArgs {
            model: Some(model.into()),
            model_option: vec![(name.into(), value.into())],
            ..RunArgs::default()
        };
        let config = train_config(&set("residual", "units", "4"), None).unwrap();
        assert_eq!(config.model_options["units"], "4");
        for wrong in [set("residual", "unit", "4"), set("ann", "units", "4")] {
            assert!(train_config(&wrong, None).unwrap_err().is::<Usage>());
        }
        let text = r#"{"model":"residual","model_options":{"units":"2"}}"#;
        let (_folder, args) = file(text);
        let same = train_config(&args, None).unwrap();
        assert_eq!(same.model_options["units"], "2");
        let other = RunArgs {
            model: Some("ann".into()),
            ..args
        };
        let other = train_config(&other, None).unwrap();
        assert!(other.model_options.is_empty());
    }

    #[test]
    fn losses_schedules_and_activations_are_asked_for_by_name() {
        let args = RunArgs {
            model: Some("residual".into()),
            activation: "swish".parse().ok(),
            schedule: "step:every=2".parse().ok(),
            loss: "focal".parse().ok(),
            label_smoothing: Some(0.1),
            ema: Some(0.99),
            mix: "cutmix:alpha=0.5".parse().ok(),
            ..RunArgs::default()
        };
        let config = train_config(&args, None).unwrap();
        assert_eq!(config.mix, Some(Mix::CutMix { alpha: 0.5 }));
        assert_eq!(config.model_options["activation"], "swish");
        assert_eq!((config.loss.focal, config.loss.label_smoothing), (2.0, 0.1));
        assert_eq!(config.ema, Some(0.99));
        let plateau = RunArgs {
            schedule: "reduce-on-plateau".parse().ok(),
            val_fraction: Some(0.0),
            ..args
        };
        assert!(train_config(&plateau, None).unwrap_err().is::<Usage>());
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
