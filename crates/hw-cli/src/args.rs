//! Everything `hw` can be asked, declared once: parsing, help, the man page and shell completions all
//! come from this tree. What is parsed here is still raw; `lower` makes a checked configuration of it.

use crate::test_looks;
use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use hw_data::{
    Augment, DatasetId, EmnistEdition, Filter, PixelScale, Sampling, Split, Step, catalogue,
};
use hw_exchange::Format;
use hw_kernels::Activation;
use hw_models::{DeviceChoice, DeviceError, Initializer, zoo};
use hw_train::blocks::Family;
use hw_train::range_test::Range;
use hw_train::{BatchNormStatistics, Loss, Mix, Monitor, Optimizer, Schedule};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const EXAMPLES: &str = "\
Examples:
  hw data list
  hw train --model bn-cnn --dataset mnist --out runs/first
  hw eval --checkpoint runs/first --dataset mnist
  hw predict --checkpoint runs/first seven.png
  hw train --model lenet5 --dataset glyphs:digits --epochs 2 --out runs/try   (needs no data)

Exit status: 0 done, 1 failed (one line says why), 2 wrong usage, 130 stopped and can be resumed.";

/// The handwriting workbench: look at data sets, train networks, measure and use them
#[derive(Debug, Parser)]
#[command(name = "hw", version, after_help = EXAMPLES, max_term_width = 100)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Heading of what every command understands.
const EVERYWHERE: &str = "Options of every command";

/// What every command understands.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Print the result as one JSON object on standard output (everything else is on standard error)
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,
    /// Use this many processor threads [default: all]; no result depends on it
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "N", value_parser = at_least_one)]
    pub(crate) threads: Option<usize>,
    /// Look for data here first, then in $HW_DATA_DIR, then in the user's cache folder
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Say more on standard error
    #[arg(long, short, global = true, help_heading = EVERYWHERE)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look at data sets
    #[command(subcommand, after_help = DATA_EXAMPLES)]
    Data(DataCommand),
    /// List what there is to choose from: networks, optimizers, schedules, losses, ...
    #[command(after_help = LIST_EXAMPLES)]
    List(ListFamilyArgs),
    /// List the networks, or show one layer by layer
    #[command(after_help = MODELS_EXAMPLES)]
    Models(ModelsArgs),
    /// Train a network, or go on with a stopped run
    #[command(after_help = TRAIN_EXAMPLES, override_usage = TRAIN_USAGE)]
    Train(Box<TrainArgs>),
    /// Find out which learning rates a network can take
    #[command(after_help = LR_RANGE_EXAMPLES)]
    LrRange(Box<LrRangeArgs>),
    /// Measure a trained network on a test set
    #[command(after_help = EVAL_EXAMPLES)]
    Eval(EvalArgs),
    /// Measure trained networks on test sets, leaky and leak-free side by side
    #[command(after_help = CROSS_EXAMPLES)]
    Cross(CrossArgs),
    /// Rerun every table and figure of the papers, or of a paper of yours, and report what held up
    #[command(after_help = hw_repro::EXAMPLES)]
    Reproduce(Box<hw_repro::Options>),
    /// Try options of a training: the best by validation is scored on the test set once
    #[command(after_help = hw_repro::SWEEP_EXAMPLES)]
    Sweep(Box<hw_repro::SweepOptions>),
    /// List runs, show them, or compare their recipes
    #[command(subcommand, after_help = RUNS_EXAMPLES)]
    Runs(RunsCommand),
    /// List which networks were scored on which test sets, and how often
    #[command(after_help = LOOKS_EXAMPLES)]
    Looks(LooksArgs),
    /// Say which characters some images show
    #[command(after_help = PREDICT_EXAMPLES)]
    Predict(PredictArgs),
    /// Write a trained network for PyTorch, torchvision or ONNX
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Take weights from PyTorch, torchvision or ONNX
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Open a page where anyone writes by hand and reads what they wrote
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArgs),
    /// Print a shell's completion script
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Print the man page
    #[command(after_help = MAN_EXAMPLES)]
    Man(ManArgs),
}

const DATA_EXAMPLES: &str = "\
Examples:
  hw data list
  hw data info emnist-letters
  hw data show kmnist --out kmnist.png";

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// List the data sets and where they are
    #[command(after_help = "Example:\n  hw data list --data-dir ~/handwriting")]
    List(ListArgs),
    /// Load a data set and say what is in it and whether its files are the published ones
    #[command(after_help = "Examples:\n  hw data info mnist\n  hw data info folder:letters --json")]
    Info(InfoArgs),
    /// Draw examples of every class into a PNG file
    #[command(
        after_help = "Example:\n  hw data show glyphs:hiragana --out hiragana.png --per-class 12"
    )]
    Show(ShowArgs),
    /// Download published data sets, checked by their published checksums
    #[command(after_help = FETCH_EXAMPLES)]
    Fetch(FetchArgs),
    /// Look for shared images, missing classes and contradictions within and between data sets
    #[command(after_help = AUDIT_EXAMPLES)]
    Audit(AuditArgs),
}

const FETCH_EXAMPLES: &str = "\
Examples:
  hw data fetch mnist
  hw data fetch all --data-dir ~/handwriting
  hw data fetch kmnist --from http://mirror.example/kmnist/

Files go to --data-dir, else $HW_DATA_DIR, else the user's cache folder. A download that was stopped is
gone on with; a file whose checksum is not the published one is never kept. EMNIST's files are looked
for on the Hugging Face hub first, with $HF_ENDPOINT and $HF_TOKEN as the hub's own tools take them.";

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// The data sets, or all of them
    #[arg(value_name = "NAME", required = true, value_parser = fetchable())]
    pub(crate) names: Vec<String>,
    /// A folder address that holds the files, in place of the published ones
    #[arg(long, value_name = "URL")]
    pub(crate) from: Option<String>,
}

fn fetchable() -> PossibleValuesParser {
    let published = catalogue::CATALOGUE
        .iter()
        .map(|(_, entry)| PossibleValue::new(entry.name).help(entry.about));
    PossibleValuesParser::new(published.chain([PossibleValue::new("all")]))
}

const AUDIT_EXAMPLES: &str = "\
Examples:
  hw data audit emnist-byclass emnist-bymerge --emnist sixth
  hw data audit emnist-letters --out letters.html
  hw data audit                  (every set that is here)

Equal images are found exactly, byte by byte. Near duplicates are the same writing cropped or scanned
anew. Of copies planted among MNIST's test images 97 % of those moved by up to two pixels are found, 92 %
of noisy ones, a third of those resized by up to a tenth and none out of focus; 0.09 % of the images
have one in the training images without any planted.";

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The data sets [default: every published one that is here]
    #[arg(value_name = "NAME", value_parser = DatasetParser)]
    pub(crate) names: Vec<DatasetId>,
    /// Write a page with tables, a picture of what is shared, and the images in question
    #[arg(long, value_name = "FILE.html")]
    pub(crate) out: Option<PathBuf>,
    /// How alike two images must be to count as near duplicates, from 0.9 up to 1
    #[arg(long, value_name = "X", default_value_t = 0.99, value_parser = likeness)]
    pub(crate) likeness: f32,
    /// Look for equal images only
    #[arg(long)]
    pub(crate) exact: bool,
    #[command(flatten)]
    pub(crate) emnist: EmnistArg,
}

fn likeness(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if (0.9..1.0).contains(&number) => Ok(number),
        _ => Err("expected a number from 0.9 up to, but not including, 1".into()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) emnist: EmnistArg,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The data set
    #[arg(value_name = "NAME", value_parser = DatasetParser)]
    pub(crate) name: DatasetId,
    #[command(flatten)]
    pub(crate) emnist: EmnistArg,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The data set
    #[arg(value_name = "NAME", value_parser = DatasetParser)]
    pub(crate) name: DatasetId,
    /// The PNG file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Examples of each class
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) per_class: u16,
    /// Which examples: another seed shows others
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Which part of the set
    #[arg(long, value_enum, default_value_t = Part::Train)]
    pub(crate) split: Part,
    #[command(flatten)]
    pub(crate) emnist: EmnistArg,
}

/// Which EMNIST is meant, where there may be two.
#[derive(Debug, Args)]
pub(crate) struct EmnistArg {
    /// Which EMNIST: the published one, the sixth-scale one, or the first complete one found
    #[arg(long, alias = "edition", value_enum, value_name = "WHICH")]
    pub(crate) emnist: Option<Emnist>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Emnist {
    /// The first folder that holds both training and test files
    Auto,
    /// The published sets
    Full,
    /// The sixth-scale sets made of the published ByClass test images
    Sixth,
}

impl Emnist {
    pub(crate) fn edition(self) -> Option<EmnistEdition> {
        match self {
            Self::Auto => None,
            Self::Full => Some(EmnistEdition::Full),
            Self::Sixth => Some(EmnistEdition::Sixth),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Part {
    /// The images to learn from
    Train,
    /// The images to be judged on
    Test,
}

impl From<Part> for Split {
    fn from(part: Part) -> Self {
        match part {
            Part::Train => Self::Train,
            Part::Test => Self::Test,
        }
    }
}

const LIST_EXAMPLES: &str = "\
Examples:
  hw list
  hw list optimizers
  hw list activations --json";

#[derive(Debug, Args)]
pub(crate) struct ListFamilyArgs {
    /// The family
    #[arg(value_name = "FAMILY", value_parser = families())]
    pub(crate) family: Option<String>,
}

const MODELS_EXAMPLES: &str = "\
Examples:
  hw models
  hw models lenet5 --classes 47";

#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    /// Show this network layer by layer
    #[arg(value_name = "NAME", value_parser = model_names())]
    pub(crate) name: Option<String>,
    /// Count parameters for this many classes
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u16).range(2..=10_000))]
    pub(crate) classes: u16,
    /// With one of its settings so; may be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value, requires = "name")]
    pub(crate) model_option: Vec<(String, String)>,
}

const TRAIN_USAGE: &str = "\
hw train --model NAME --dataset NAME [OPTIONS] --out DIR
       hw train --config FILE [OPTIONS] --out DIR
       hw train --resume DIR";

const TRAIN_EXAMPLES: &str = "\
Examples:
  hw train --model bn-cnn --dataset mnist --out runs/first
  hw train --model bn-cnn --dataset mnist --optimizer momentum --lr 0.1 --batch 100 --epochs 20 \\
      --val-fraction 0 --out runs/paper
  hw train --model lenet5 --dataset emnist-balanced --epochs 50 --patience 5 --out runs/balanced
  hw train --config runs/first/config.json --seed 2 --out runs/second
  hw train --model bn-cnn --dataset mnist --teacher runs/large --augment standard \\
      --augment-cycle 20 --epochs 200 --out runs/distilled
  hw train --model bn-cnn --dataset mnist --device cuda --out runs/gpu
  hw train --resume runs/first

Ctrl-C stops at the next step with everything saved; --resume goes on to the same bits as if it had
never stopped. Ctrl-C twice kills.";

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) emnist: EmnistArg,
    /// Start a run in this folder, which must not hold one yet
    #[arg(long, value_name = "DIR", required_unless_present = "resume")]
    pub(crate) out: Option<PathBuf>,
    /// Go on with the run in this folder, as it was configured
    #[arg(long, value_name = "DIR", conflicts_with_all = ["RunArgs", "EmnistArg", "out"])]
    pub(crate) resume: Option<PathBuf>,
    /// Write a checkpoint at least this often within an epoch; 0 for after every step
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) checkpoint_every: u64,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
    #[command(flatten)]
    pub(crate) looks: RegisterArg,
}

/// Which device computes.
#[derive(Debug, Default, Args)]
pub(crate) struct DeviceArg {
    /// Compute on cpu, cuda, cuda:N (the GPU number N, from 0) or metal; each kind of device has bits of its
    /// own [default: cpu, or what the configuration says]
    #[arg(long, value_name = "DEVICE", value_parser = str::parse::<DeviceChoice>)]
    pub(crate) device: Option<DeviceChoice>,
}

impl DeviceArg {
    /// The device that was asked for, else the processor.
    ///
    /// # Errors
    /// When the program or the machine has no such device.
    pub(crate) fn open(&self) -> Result<candle_core::Device, DeviceError> {
        self.device.unwrap_or_default().open()
    }
}

/// Where looks at test sets are counted.
#[derive(Debug, Args)]
pub(crate) struct RegisterArg {
    /// Count looks at the test set in this file [default: test-looks.jsonl beside the run's folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) register: Option<PathBuf>,
}

impl RegisterArg {
    /// The file that was asked for, else that of the network at `checkpoint`.
    pub(crate) fn or_of(&self, checkpoint: &Path) -> PathBuf {
        let asked = self.register.clone();
        asked.unwrap_or_else(|| test_looks::register_of(checkpoint))
    }
}

const LR_RANGE_EXAMPLES: &str = "\
Examples:
  hw lr-range --model bn-cnn --dataset mnist --out range.svg
  hw lr-range --model lenet5 --dataset glyphs:digits --optimizer sgd --from 1e-4 --to 100 \\
      --out range.svg

Trains a fresh network for some steps while the learning rate grows, and draws the loss against it
(Smith 2017). Nothing but the plot is kept.";

#[derive(Debug, Args)]
// A run needs a model unless it is resumed, and a range test never is: a group that nothing is in.
#[command(group(clap::ArgGroup::new("resume")))]
pub(crate) struct LrRangeArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) emnist: EmnistArg,
    /// The SVG file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The first learning rate
    #[arg(long, value_name = "X", value_parser = above_zero, default_value_t = Range::default().from)]
    pub(crate) from: f32,
    /// The last learning rate
    #[arg(long, value_name = "X", value_parser = above_zero, default_value_t = Range::default().to)]
    pub(crate) to: f32,
    /// Training steps
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value_t = Range::default().steps)]
    pub(crate) steps: usize,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

/// What decides a run's bits; each overrides the config file.
#[derive(Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// The network [required unless the config file names one]
    #[arg(long, short, value_name = "NAME", value_parser = model_names())]
    #[arg(required_unless_present_any = ["config", "resume"])]
    pub(crate) model: Option<String>,
    /// The data set [required unless the config file names one]
    #[arg(long, short, value_name = "NAME", value_parser = DatasetParser)]
    #[arg(required_unless_present_any = ["config", "resume"])]
    pub(crate) dataset: Option<DatasetId>,
    /// A JSON config file, as every run's folder holds one; the options here override it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set one of the network's settings (`hw models NAME` lists them); may be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) model_option: Vec<(String, String)>,
    /// The network's nonlinearity, where it can be chosen (`hw list activations`)
    #[arg(long, value_name = "NAME", value_parser = activation)]
    pub(crate) activation: Option<Activation>,
    /// The update rule, alone or after the library whose constants are meant, or with constants: nadam,
    /// keras:nadam, adam:beta1=0.95,eps=1e-7 (`hw list optimizers`) [default: adam]
    #[arg(long, value_name = "NAME", value_parser = OptimizerParser)]
    pub(crate) optimizer: Option<AskedOptimizer>,
    /// Step size [default: what usually works with the optimizer]
    #[arg(long, value_name = "X", value_parser = above_zero)]
    pub(crate) lr: Option<f32>,
    /// The momentum of an optimizer that has this constant
    #[arg(long, value_name = "X", value_parser = fraction::<f32>)]
    pub(crate) momentum: Option<f32>,
    /// The weight decay of an optimizer that has this constant
    #[arg(long, value_name = "X", value_parser = fraction::<f32>)]
    pub(crate) weight_decay: Option<f32>,
    /// How the step size moves: cosine, step:every=10,factor=0.1, ... (`hw list schedules`)
    /// [default: constant]
    #[arg(long, value_name = "NAME", value_parser = str::parse::<Schedule>)]
    pub(crate) schedule: Option<Schedule>,
    /// Epochs over which the step size rises from 0 [default: 0]
    #[arg(long, value_name = "EPOCHS", value_parser = not_negative)]
    pub(crate) warmup: Option<f64>,
    /// What is minimised: focal:gamma=2, class-weighted, ..., joined by "+" (`hw list losses`)
    /// [default: cross-entropy]
    #[arg(long, value_name = "NAME", value_parser = str::parse::<Loss>)]
    pub(crate) loss: Option<Loss>,
    /// Share of the target that is spread over all classes [default: 0]
    #[arg(long, value_name = "X", value_parser = fraction::<f32>)]
    pub(crate) label_smoothing: Option<f32>,
    /// Learn from this network's answers too: a run's folder or checkpoint with the same classes
    /// and pixels (Hinton, Vinyals & Dean 2015); given again, from the mean of their answers
    #[arg(long, value_name = "PATH")]
    pub(crate) teacher: Vec<PathBuf>,
    /// The share of the teacher's answers in the loss [default: 0.9]
    #[arg(long, value_name = "X", value_parser = share)]
    pub(crate) teacher_weight: Option<f32>,
    /// How much the classes that the teacher thinks unlikely count, 1 as they are [default: 2]
    #[arg(long, value_name = "T", value_parser = above_zero)]
    pub(crate) teacher_temperature: Option<f32>,
    /// Score and keep a moving average of the weights with this decay, 0.999 say
    #[arg(long, value_name = "DECAY", value_parser = fraction::<f32>)]
    pub(crate) ema: Option<f32>,
    /// Score and keep the network with batch-norm statistics of its weights as they are, not with
    /// the moving ones of training: reestimate, reestimate:images=4096
    #[arg(long, value_name = "HOW", value_parser = str::parse::<BatchNormStatistics>)]
    pub(crate) batch_norm_statistics: Option<BatchNormStatistics>,
    /// How an epoch draws its images [default: epoch]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) sampling: Option<SamplingArg>,
    /// Images a step [default: 128]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) batch: Option<usize>,
    /// Passes over the training images [default: 10]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) epochs: Option<usize>,
    /// The root of every random draw [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Share of the training images held out to choose the best epoch; 0 for none [default: 0.1]
    #[arg(long, value_name = "X", value_parser = fraction::<f64>)]
    pub(crate) val_fraction: Option<f64>,
    /// Train on the first N images of the seeded shuffle only
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) limit: Option<usize>,
    /// Score the first N images of the seeded shuffle of those held out only
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) val_limit: Option<usize>,
    /// Stop after so many epochs without a better validation score
    #[arg(long, value_name = "EPOCHS", value_parser = at_least_one)]
    pub(crate) patience: Option<usize>,
    /// Stop only after so many steps without a better validation score, too [default: 0]
    #[arg(long, value_name = "STEPS")]
    pub(crate) patience_steps: Option<u64>,
    /// Never stop before so many steps of training [default: 0]
    #[arg(long, value_name = "STEPS")]
    pub(crate) min_steps: Option<u64>,
    /// The validation score that decides [default: val-loss]
    #[arg(long, value_enum, value_name = "SCORE")]
    pub(crate) monitor: Option<MonitorArg>,
    /// How weights start: normal:STD, he-normal, glorot-uniform, torch, ... [default: the model's own]
    #[arg(long, value_name = "RULE")]
    pub(crate) init: Option<Initializer>,
    /// Pixels as the network sees them: unit (0 to 1), raw (0 to 255) or standard:MEAN,STD [default: unit]
    #[arg(long, value_name = "SCALE", value_parser = pixel_scale)]
    pub(crate) scale: Option<PixelScale>,
    /// Change training images at random: standard, none, or shift=2,rotate=10,elastic=1 and so on
    #[arg(long, value_name = "CHANGES", long_help = augment_help())]
    pub(crate) augment: Option<Augment>,
    /// Change an image as before after so many epochs: a teacher is asked about it only once
    /// [default: anew in each epoch]
    #[arg(long, value_name = "EPOCHS")]
    pub(crate) augment_cycle: Option<usize>,
    /// Make pairs of training images into one, labels in proportion: mixup, cutmix:alpha=1
    /// (`hw list mixes`)
    #[arg(long, value_name = "NAME", value_parser = str::parse::<Mix>)]
    pub(crate) mix: Option<Mix>,
    /// Bring images to N x N pixels, then repeat the channel C times: 224, 224:bicubic, 224:bilinear:3
    #[arg(long, value_name = "N[:FILTER[:C]]", value_parser = resize)]
    pub(crate) resize: Option<Resize>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SamplingArg {
    /// Each image once
    Epoch,
    /// Every batch from all images, so that some come twice and some not at all
    Replacement,
}

impl From<SamplingArg> for Sampling {
    fn from(sampling: SamplingArg) -> Self {
        match sampling {
            SamplingArg::Epoch => Self::Epoch,
            SamplingArg::Replacement => Self::Replacement,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum MonitorArg {
    /// Mean cross-entropy, lower is better
    ValLoss,
    /// Share of correct answers, higher is better
    ValAccuracy,
}

impl From<MonitorArg> for Monitor {
    fn from(monitor: MonitorArg) -> Self {
        match monitor {
            MonitorArg::ValLoss => Self::ValLoss,
            MonitorArg::ValAccuracy => Self::ValAccuracy,
        }
    }
}

const EVAL_EXAMPLES: &str = "\
Examples:
  hw eval --checkpoint runs/first --dataset mnist
  hw eval --checkpoint runs/first/best.safetensors --dataset folder:my-digits --json
  hw eval --checkpoint runs/gpu --dataset mnist --device cuda:1

Every look at a test set is counted; `hw looks` lists them.";

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// A run's folder, or a checkpoint file
    #[arg(long, short, value_name = "DIR")]
    pub(crate) checkpoint: PathBuf,
    /// The data set whose test images are used
    #[arg(long, short, value_name = "NAME", value_parser = DatasetParser)]
    pub(crate) dataset: DatasetId,
    #[command(flatten)]
    pub(crate) emnist: EmnistArg,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
    #[command(flatten)]
    pub(crate) looks: RegisterArg,
}

const CROSS_EXAMPLES: &str = "\
Examples:
  hw cross --checkpoint runs/byclass runs/bymerge --dataset emnist-byclass emnist-bymerge
  hw cross --checkpoint runs/letters --dataset emnist-letters --emnist full --json

Label spaces are compared by merging down (62 classes to 47), never by splitting up. Beside each
number stands the same without the test images that the network was trained on.";

#[derive(Debug, Args)]
pub(crate) struct CrossArgs {
    /// Runs' folders, or checkpoint files
    #[arg(long, short, value_name = "DIR", required = true, num_args = 1..)]
    pub(crate) checkpoint: Vec<PathBuf>,
    /// The data sets whose test images are used
    #[arg(long, short, value_name = "NAME", value_parser = DatasetParser, required = true, num_args = 1..)]
    pub(crate) dataset: Vec<DatasetId>,
    #[command(flatten)]
    pub(crate) emnist: EmnistArg,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
    #[command(flatten)]
    pub(crate) looks: RegisterArg,
}

const RUNS_EXAMPLES: &str = "\
Examples:
  hw runs list runs results/sweeps
  hw runs show runs/first
  hw runs compare runs/adam runs/nadam --html compared.html

Nothing is trained and no test set is looked at: test accuracies are those that were measured before.";

/// What can be asked about runs.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List the runs in folders and all folders below them
    #[command(after_help = RUNS_LIST_EXAMPLES)]
    List(RunsListArgs),
    /// Show single runs: configuration, learning curves, machine
    #[command(after_help = RUNS_SHOW_EXAMPLES)]
    Show(RunsShowArgs),
    /// Compare recipes by the seeds they share
    #[command(after_help = RUNS_COMPARE_EXAMPLES)]
    Compare(RunsCompareArgs),
}

const RUNS_LIST_EXAMPLES: &str = "\
Examples:
  hw runs list runs --sort accuracy
  hw runs list results --filter model=lenet5 --filter optimizer=adam --filter state=finished
  hw runs list runs --json";

#[derive(Debug, Args)]
pub(crate) struct RunsListArgs {
    /// Folders of runs, however deep
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folders: Vec<PathBuf>,
    /// Sort by a column (accuracy, loss, test, seconds, ...) or a field of the configuration; the best
    /// accuracy comes first, else the least
    #[arg(long, value_name = "KEY")]
    pub(crate) sort: Option<String>,
    /// The other way around
    #[arg(long, requires = "sort")]
    pub(crate) reverse: bool,
    /// Only runs with this value in a column or a field of the configuration; may be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) filter: Vec<(String, String)>,
    /// Write a page, too
    #[arg(long, value_name = "FILE.html")]
    pub(crate) html: Option<PathBuf>,
}

const RUNS_SHOW_EXAMPLES: &str = "\
Examples:
  hw runs show runs/first
  hw runs show 1f2e3d4c --in results/sweeps --html run.html";

#[derive(Debug, Args)]
pub(crate) struct RunsShowArgs {
    /// Runs' folders, or the beginnings of their ids
    #[arg(value_name = "RUN", required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// Where runs are looked for by their ids
    #[arg(long = "in", value_name = "DIR", default_value = ".")]
    pub(crate) within: PathBuf,
    /// Write a page with the learning curves, too
    #[arg(long, value_name = "FILE.html")]
    pub(crate) html: Option<PathBuf>,
}

const RUNS_COMPARE_EXAMPLES: &str = "\
Examples:
  hw runs compare runs/adam runs/nadam
  hw runs compare results/sweeps/rates --filter batch=32 --json
  hw runs compare runs --baseline 1f2e3d4c --html compared.html

A recipe is a configuration without its seed; runs of one seed hold out the same images.";

#[derive(Debug, Args)]
pub(crate) struct RunsCompareArgs {
    /// Folders of runs, however deep
    #[arg(value_name = "DIR", required = true)]
    pub(crate) folders: Vec<PathBuf>,
    /// The recipe that the others are compared with, by the beginning of its id or of a run's
    /// [default: the best by validation; of several folders, the first one's best]
    #[arg(long, value_name = "ID")]
    pub(crate) baseline: Option<String>,
    /// Only runs with this value in a column or a field of the configuration; may be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) filter: Vec<(String, String)>,
    /// Write a page with the learning curves, too
    #[arg(long, value_name = "FILE.html")]
    pub(crate) html: Option<PathBuf>,
}

const LOOKS_EXAMPLES: &str = "\
Examples:
  hw looks runs
  hw looks runs/test-looks.jsonl other/test-looks.jsonl --json

A recipe is a configuration without its seed. hw eval and hw cross write down every score,
hw train the last score of a probe; scores on training images do not count.";

#[derive(Debug, Args)]
pub(crate) struct LooksArgs {
    /// Registers, or folders with one in them or in the folders directly in them
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
}

const PREDICT_EXAMPLES: &str = "\
Examples:
  hw predict --checkpoint runs/first seven.png
  hw predict --checkpoint runs/first --top 5 --json scans/*.jpg
  hw predict --builtin all note.png strokes.json
  hw predict --checkpoint runs/first --words note.png

Images may have any size and be dark on light or light on dark. With --checkpoint each should show one
character, unless --words is given; it is cropped and centred the way the training images were. Strokes are
always read as words.";

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// A run's folder, or a checkpoint file
    #[arg(long, short, value_name = "DIR", required_unless_present = "builtin")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Read whole words with a model that comes with hw, instead
    #[arg(long, value_name = "NAME", conflicts_with = "checkpoint", value_parser = builtin_names())]
    pub(crate) builtin: Option<String>,
    /// Read whole words with the checkpoint's network, as hw serve does
    #[arg(long)]
    pub(crate) words: bool,
    /// PNG or JPEG files, or JSON files of strokes, as POST /api/recognise takes them
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<PathBuf>,
    /// How many answers an image
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    pub(crate) top: usize,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  hw export --checkpoint runs/first --to onnx --out exported
  hw export --checkpoint runs/first --to pytorch --out exported   (model.py and model.safetensors)

The other framework gives the same logits for the same pixels; `hw models NAME` shows the layers.";

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// A run's folder, or a checkpoint file
    #[arg(long, short, value_name = "DIR")]
    pub(crate) checkpoint: PathBuf,
    /// For whom
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub(crate) to: Format,
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

const IMPORT_EXAMPLES: &str = "\
Examples:
  hw import exported/model.onnx --from onnx --out runs/back
  hw eval --checkpoint runs/back --dataset mnist
  hw import resnet50.safetensors --from torchvision --like runs/resnet --out runs/theirs

What `hw export` wrote says which network it holds, and so does what its model.py saves; for other files
name a run of the same network by --like.";

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The weights: safetensors, or an ONNX file
    #[arg(value_name = "FILE")]
    pub(crate) weights: PathBuf,
    /// Whose names they have
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub(crate) from: Format,
    /// A run of the same network, whose classes and preprocessing are taken [default: what the file says]
    #[arg(long, value_name = "DIR")]
    pub(crate) like: Option<PathBuf>,
    /// The folder to write the checkpoint to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// The formats there are.
fn formats() -> impl TypedValueParser<Value = Format> {
    let names = Format::ALL.map(|format| PossibleValue::new(format.name()));
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Format>())
}

const SERVE_EXAMPLES: &str = "\
Examples:
  hw serve
  hw serve --checkpoint runs/first
  hw serve --bind 0.0.0.0:8080      (lets other machines in; nobody is asked for a password)

Four small models come with the binary. A checkpoint is read again whenever its file changes. Ctrl-C
ends the server after the requests under way.";

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) bind: SocketAddr,
    /// Read with a run's network too: its folder, or a checkpoint file
    #[arg(long, short, value_name = "DIR")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Requests that may wait; more are turned away with status 503
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = at_least_one)]
    pub(crate) queue: usize,
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  hw completions bash > ~/.local/share/bash-completion/completions/hw
  hw completions zsh > ~/.zfunc/_hw
  hw completions fish > ~/.config/fish/completions/hw.fish";

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

const MAN_EXAMPLES: &str = "\
Examples:
  hw man | man -l -
  hw man --out ~/.local/share/man/man1";

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write one page a command into this folder instead
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// The models of the catalogue.
fn model_names() -> PossibleValuesParser {
    PossibleValuesParser::new(
        zoo::CATALOGUE
            .iter()
            .map(|entry| PossibleValue::new(entry.name).help(entry.about)),
    )
}

/// The families of building blocks.
fn families() -> PossibleValuesParser {
    PossibleValuesParser::new(Family::ALL.map(Family::name))
}

/// The models that come with the binary.
fn builtin_names() -> PossibleValuesParser {
    PossibleValuesParser::new(hw_ink::builtin::names())
}

/// An update rule as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct AskedOptimizer {
    pub(crate) rule: Optimizer,
    /// Whether nothing was said of its constants.
    pub(crate) by_name_alone: bool,
}

impl std::str::FromStr for AskedOptimizer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self {
            rule: text.parse()?,
            by_name_alone: !text.contains(':'),
        })
    }
}

/// An update rule: its name, perhaps after a library's, perhaps with constants.
#[derive(Clone)]
struct OptimizerParser;

impl OptimizerParser {
    /// The names alone: they are what help and completions show, and what a misspelt one is held against.
    fn names() -> PossibleValuesParser {
        let value = |rule: Optimizer| PossibleValue::new(rule.name()).help(rule.about());
        PossibleValuesParser::new(Optimizer::all().into_iter().map(value))
    }
}

impl TypedValueParser for OptimizerParser {
    type Value = AskedOptimizer;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<AskedOptimizer, clap::Error> {
        let text = value.to_string_lossy();
        let known = ["keras:", "pytorch:"]
            .iter()
            .find_map(|library| text.strip_prefix(library));
        let name = known.unwrap_or(&text).split(':').next().unwrap_or_default();
        Self::names().parse_ref(command, arg, OsStr::new(name))?;
        let parser = StringValueParser::new().try_map(|text| text.parse::<AskedOptimizer>());
        parser.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let names: Vec<_> = Self::names().possible_values()?.collect();
        Some(Box::new(names.into_iter()))
    }
}

fn activation(text: &str) -> Result<Activation, String> {
    text.parse::<Activation>()
        .map_err(|error| error.to_string())
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("expected KEY=VALUE, units=4 say".into()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("expected a finite number, at least 0".into()),
    }
}

/// A data set by its catalogue name, or "folder:PATH"; the catalogue itself suggests the nearest name.
#[derive(Clone)]
struct DatasetParser;

impl TypedValueParser for DatasetParser {
    type Value = DatasetId;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<DatasetId, clap::Error> {
        let parser = StringValueParser::new().try_map(|name| name.parse::<DatasetId>());
        parser.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        static NAMES: LazyLock<Vec<String>> = LazyLock::new(DatasetId::valid_names);
        Some(Box::new(
            NAMES.iter().map(|name| PossibleValue::new(name.as_str())),
        ))
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= 1 => Ok(number),
        _ => Err("expected a whole number, at least 1".into()),
    }
}

fn above_zero(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("expected a finite number above 0".into()),
    }
}

fn fraction<T: std::str::FromStr + Copy + Into<f64>>(text: &str) -> Result<T, String> {
    match text.parse::<T>() {
        Ok(number) if (0.0..1.0).contains(&number.into()) => Ok(number),
        _ => Err("expected a number from 0 up to, but not including, 1".into()),
    }
}

fn share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("expected a number from 0 to 1".into()),
    }
}

/// What `--resize` asks for, as preprocessing steps.
#[derive(Clone, Debug)]
pub(crate) struct Resize(pub(crate) Vec<Step>);

fn resize(text: &str) -> Result<Resize, String> {
    let wrong = || "expected a size, 224 say, and perhaps :bicubic or :area, and :3 channels";
    let mut words = text.split(':');
    let size = words.next().and_then(|word| word.parse().ok());
    let size = size.ok_or_else(wrong)?;
    let filter = match words.next() {
        Some(name) => name.parse().map_err(|error| format!("{error}"))?,
        None => Filter::default(),
    };
    let mut steps = vec![Step::Resize { size, filter }];
    if let Some(channels) = words.next() {
        let channels = channels.parse().map_err(|_| wrong())?;
        steps.push(Step::Repeat { channels });
    }
    match words.next() {
        None => Ok(Resize(steps)),
        Some(_) => Err(wrong().into()),
    }
}

fn augment_help() -> String {
    let names: Vec<&str> = Augment::names().collect();
    format!(
        "Change training images at random, anew in each epoch: \"standard\" ({}), \"none\", or any of \
         {} as name=value, separated by commas; distances in pixels, angles in degrees, interpolation \
         linear or cubic, which keeps images as sharp as those tested on. Images held out or tested \
         on stay as they are",
        Augment::standard(),
        names.join(", ")
    )
}

fn pixel_scale(text: &str) -> Result<PixelScale, String> {
    let numbers = text
        .strip_prefix("standard:")
        .and_then(|rest| rest.split_once(','));
    if let Some((mean, std)) = numbers {
        let parse = |number: &str| number.trim().parse::<f32>().ok().filter(|x| x.is_finite());
        return match (parse(mean), parse(std)) {
            (Some(mean), Some(std)) if std > 0.0 => Ok(PixelScale::Standard { mean, std }),
            _ => Err(
                "expected standard:MEAN,STD with STD above 0, standard:0.1307,0.3081 say".into(),
            ),
        };
    }
    match text {
        "unit" => Ok(PixelScale::Unit),
        "raw" => Ok(PixelScale::Raw),
        _ => Err("expected unit, raw or standard:MEAN,STD".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_data_set_name_is_offered_and_understood() {
        let offered: Vec<String> = DatasetParser
            .possible_values()
            .unwrap()
            .map(|value| value.get_name().into())
            .collect();
        assert_eq!(offered, DatasetId::valid_names());
        for name in offered {
            assert_eq!(name.parse::<DatasetId>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn pixel_scales_are_read() {
        assert_eq!(pixel_scale("raw"), Ok(PixelScale::Raw));
        let standard = PixelScale::Standard {
            mean: 0.5,
            std: 0.25,
        };
        assert_eq!(pixel_scale("standard:0.5, 0.25"), Ok(standard));
        for wrong in ["standard:1,0", "standard:1", "standard:nan,1", "inverted"] {
            assert!(pixel_scale(wrong).is_err(), "{wrong}");
        }
    }
}
