//! The whole way on MNIST, wherever it is at hand.

use hw_data::{DataDirs, DatasetId};
use hw_train::{Experiment, RunOptions, TrainConfig};

#[test]
fn one_epoch_on_six_thousand_digits_reads_nine_of_ten_test_digits() {
    if std::env::var_os("HW_DATA_DIR").is_none() {
        return;
    }
    let config = TrainConfig {
        model: "bn-cnn".into(),
        dataset: DatasetId::Mnist,
        optimizer: "momentum".parse().unwrap(),
        learning_rate: 0.1,
        limit: Some(6000),
        val_fraction: 0.0,
        epochs: 1,
        probe: Some(1000),
        ..TrainConfig::default()
    };
    let experiment = Experiment::load(config, &DataDirs::resolve(None)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let outcome = experiment
        .start(folder.path(), RunOptions::new(&mut |_| {}))
        .unwrap();
    let probe = outcome.history[0].test_probe.unwrap();
    assert_eq!(probe.images, 1000);
    assert!(probe.accuracy > 0.9, "{probe:?}");
}
