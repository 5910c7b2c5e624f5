//! `hw eval`: how good a trained network is on a test set, and what stands in the way of believing it.

use super::{SYNTHETIC, data_dirs, load};
use crate::args::{Common, EvalArgs};
use crate::output::{Table, answer, grouped, note, percent};
use crate::progress::Counter;
use crate::test_looks::{self, Scored, TestLooks};
use anyhow::{Result, bail};
use hw_data::catalogue::Entry;
use hw_data::{
    DataDirs, Dataset, DatasetId, EmnistEdition, Loader, LoaderConfig, Preprocess, Split,
};
use hw_eval::looks::Purpose;
use hw_eval::{Metrics, Timing, network};
use hw_models::DeviceChoice;
use hw_train::{DataStamp, Trained, checkpoint};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Images a batch.
const BATCH: usize = 250;
/// Batch sizes that inference is timed for, and how many calls are measured.
const TIMED: [(usize, usize); 2] = [(1, 100), (256, 15)];
/// Mistakes listed for people.
const CONFUSIONS: usize = 10;

pub(crate) fn run(args: &EvalArgs, common: &Common) -> Result<ExitCode> {
    let trained = checkpoint::open(&args.checkpoint, &args.device.open()?)?;
    let stamp = &trained.stamp;
    // The two EMNISTs share images: what was trained on one is tested on the same one.
    let edition = match args.emnist.emnist {
        Some(emnist) => emnist.edition(),
        None => family(&stamp.data),
    };
    let dirs = data_dirs(common)?.with_edition(edition);
    let test = load(&args.dataset, Split::Test, &dirs, common)?;
    check_classes(&trained, &test)?;
    let warnings = warnings(args, &trained, &test, &dirs, common);
    for warning in &warnings {
        note(format_args!("warning: {warning}"));
    }
    let data = DataStamp::of(&test);
    let loader = loader(test, &stamp.config.preprocess, stamp.config.seed)?;
    let metrics = measure(&trained, &loader)?;
    let scored = Scored {
        test: &data,
        images: metrics.samples,
        accuracy: metrics.accuracy,
        purpose: Purpose::Test,
    };
    let register = args.looks.or_of(&trained.path);
    let test_looks = test_looks::count(stamp, scored, register);
    let mut timing = Vec::new();
    for (batch, repeats) in TIMED {
        timing.push(network::time(
            &trained.network,
            &loader,
            batch.min(loader.len()),
            repeats,
        )?);
    }
    answer(
        common.json,
        &Answer {
            checkpoint: trained.path.clone(),
            run: stamp.run.clone(),
            model: trained.network.spec().name.clone(),
            trained_on: stamp.data.clone(),
            synthetic: stamp.data.synthetic || data.synthetic,
            data,
            split: Split::Test,
            preprocess: stamp.config.preprocess.clone(),
            classes: stamp.classes.clone(),
            warnings,
            threads: rayon::current_num_threads(),
            device: DeviceChoice::of(trained.network.device()),
            metrics,
            timing,
            test_looks,
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

fn loader(test: Dataset, preprocess: &Preprocess, seed: u64) -> Result<Loader> {
    let all = (0..test.len() as u32).collect();
    let config = LoaderConfig {
        batch: BATCH,
        preprocess: preprocess.clone(),
        augment_seed: seed,
        ..LoaderConfig::default()
    };
    Ok(Loader::new(Arc::new(test), all, config)?)
}

fn measure(trained: &Trained, loader: &Loader) -> Result<Metrics> {
    let mut counter = Counter::new("evaluating", loader.len());
    let predictions =
        network::predict_with(&trained.network, loader, &mut |images| counter.add(images))?;
    Ok(hw_eval::evaluate(&predictions))
}

fn check_classes(trained: &Trained, test: &Dataset) -> Result<()> {
    let (known, asked) = (trained.stamp.classes.len(), test.classes.len());
    if known != asked {
        bail!(
            "{} was trained on the {known} classes of {}, but {} has {asked}; \
             evaluate it on a set with the same classes",
            trained.path.display(),
            trained.stamp.data.dataset,
            test.id,
        );
    }
    Ok(())
}

/// Reasons to read the result with care.
fn warnings(
    args: &EvalArgs,
    trained: &Trained,
    test: &Dataset,
    dirs: &DataDirs,
    common: &Common,
) -> Vec<String> {
    let (stamp, mut warnings) = (&trained.stamp, Vec::new());
    let (before, now) = (&stamp.data.dataset, &test.id);
    if stamp.classes[..] != test.classes[..] {
        let (old, new) = (stamp.classes.join(" "), test.classes.join(" "));
        warnings.push(format!(
            "the classes of {now} ({new}) are not those trained on ({old})"
        ));
    }
    match (
        family(&stamp.data),
        edition_family(&args.dataset, &test.edition),
    ) {
        (Some(one), Some(other)) if one != other => warnings.push(format!(
            "trained on {before} ({}), tested on {now} ({}): these two EMNISTs share images, \
             so the result may be too good",
            stamp.data.edition, test.edition,
        )),
        (Some(_), Some(_)) if before != now => warnings.push(format!(
            "{before} and {now} are drawn from one pool: training images may be among these test \
             images, so the result may be too good"
        )),
        _ => {}
    }
    if before == now {
        warnings.extend(other_training_images(args, &stamp.data, test, dirs, common));
    }
    if stamp.config.preprocess.is_random() {
        warnings.push("the images get the random noise that the run was trained with".into());
    }
    warnings
}

/// What is wrong if the data set of that name is here not the one that was trained on.
fn other_training_images(
    args: &EvalArgs,
    trained_on: &DataStamp,
    test: &Dataset,
    dirs: &DataDirs,
    common: &Common,
) -> Option<String> {
    let name = &trained_on.dataset;
    let differs = format!(
        "{name} is here not the {name} that was trained on ({}): its checksum differs",
        trained_on.edition
    );
    if test.synthetic {
        // Drawing the training set only to compare would take longer than evaluating; the edition
        // changes whenever the pixels do.
        return (test.edition != trained_on.edition).then_some(differs);
    }
    match load(&args.dataset, Split::Train, dirs, common) {
        Ok(train) if train.checksum == trained_on.sha256 => None,
        Ok(_) => Some(differs),
        Err(_) => Some(format!(
            "the training images of {name} cannot be read here, so nobody checked that it is the \
             {name} that was trained on"
        )),
    }
}

/// The EMNIST that some training data belongs to.
fn family(data: &DataStamp) -> Option<EmnistEdition> {
    edition_family(&data.dataset.parse().ok()?, &data.edition)
}

fn edition_family(id: &DatasetId, edition: &str) -> Option<EmnistEdition> {
    let entry: &Entry = id.entry()?;
    entry
        .editions
        .iter()
        .find(|known| known.name == edition)?
        .family
}

/// How good the network is.
#[derive(Debug, Serialize)]
struct Answer {
    checkpoint: PathBuf,
    run: String,
    model: String,
    trained_on: DataStamp,
    data: DataStamp,
    split: Split,
    synthetic: bool,
    preprocess: Preprocess,
    classes: Vec<String>,
    warnings: Vec<String>,
    threads: usize,
    device: DeviceChoice,
    metrics: Metrics,
    timing: Vec<Timing>,
    /// `None` for the images that were trained on.
    test_looks: Option<TestLooks>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.synthetic {
            writeln!(f, "{SYNTHETIC}")?;
        }
        let Self {
            model,
            run,
            data,
            trained_on,
            ..
        } = self;
        let images = grouped(data.images);
        writeln!(
            f,
            "{model} (run {run}, trained on {}, {})",
            trained_on.dataset, trained_on.edition
        )?;
        writeln!(
            f,
            "on the {images} test images of {} ({})\n",
            data.dataset, data.edition
        )?;
        self.numbers(f)?;
        match &self.test_looks {
            Some(looks) => writeln!(f, "{looks}")?,
            None => writeln!(f, "{}", test_looks::NONE)?,
        }
        self.confusions(f)?;
        self.per_class(f)
    }
}

impl Answer {
    fn numbers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        let interval = metrics.accuracy_interval;
        writeln!(
            f,
            "accuracy    {}   95 % interval {:.2} to {:.2} %",
            percent(metrics.accuracy),
            interval.low * 100.0,
            interval.high * 100.0,
        )?;
        writeln!(f, "macro F1    {:.4}", metrics.report.macro_average.f1)?;
        for top in &metrics.top_k {
            writeln!(f, "top {}       {}", top.k, percent(top.accuracy))?;
        }
        if let Some(area) = metrics.auroc.macro_average {
            writeln!(
                f,
                "AUROC       {area:.5}   one against the rest, mean over classes"
            )?;
        }
        let ece = percent(metrics.calibration.ece);
        writeln!(f, "ECE         {ece}   gap between confidence and accuracy")?;
        let by = match self.device {
            DeviceChoice::Cpu => format!("{} threads", self.threads),
            device => device.to_string(),
        };
        for time in &self.timing {
            writeln!(
                f,
                "batch {:<4}  {:.3} ms   5 % to 95 %: {:.3} to {:.3} ms; {} images/s, {by}",
                time.batch,
                time.median_ms,
                time.p05_ms,
                time.p95_ms,
                grouped(time.images_per_second as u64),
            )?;
        }
        Ok(())
    }

    fn confusions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mistakes = &self.metrics.top_confusions;
        if mistakes.is_empty() {
            return writeln!(f, "\nno mistakes");
        }
        let class = |index: u32| {
            self.classes
                .get(index as usize)
                .cloned()
                .unwrap_or_default()
        };
        let mut table = Table::new(&["was", "taken for", ">times", ">of its images"]);
        for mistake in mistakes.iter().take(CONFUSIONS) {
            table.row([
                class(mistake.truth),
                class(mistake.predicted),
                grouped(mistake.count),
                percent(mistake.share),
            ]);
        }
        write!(f, "\n{table}")
    }

    fn per_class(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["class", ">images", ">precision", ">recall", ">F1"]);
        for (class, scores) in self.classes.iter().zip(&self.metrics.report.per_class) {
            table.row([
                class.clone(),
                grouped(scores.support),
                percent(scores.scores.precision),
                percent(scores.scores.recall),
                format!("{:.4}", scores.scores.f1),
            ]);
        }
        write!(f, "\n{table}")
    }
}
