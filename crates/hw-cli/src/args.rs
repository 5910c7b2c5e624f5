//! Everything `hw` can be asked, declared once: parsing, help, the man page and shell completions all
//! come from this tree. What is parsed here is still raw; `lower` makes a checked configuration of it.

use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use hw_data::{DatasetId, EmnistEdition, PixelScale, Split};
use hw_models::{Initializer, zoo};
use hw_train::{Monitor, Optimizer};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
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
    /// List the networks, or show one layer by layer
    #[command(after_help = MODELS_EXAMPLES)]
    Models(ModelsArgs),
    /// Train a network, or go on with a stopped run
    #[command(after_help = TRAIN_EXAMPLES, override_usage = TRAIN_USAGE)]
    Train(Box<TrainArgs>),
    /// Measure a trained network on a test set
    #[command(after_help = EVAL_EXAMPLES)]
    Eval(EvalArgs),
    /// Say which characters some images show
    #[command(after_help = PREDICT_EXAMPLES)]
    Predict(PredictArgs),
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
    /// Save a safe point at least this often within an epoch; 0 for after every step
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) checkpoint_every: u64,
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
    /// The update rule [default: adam]
    #[arg(long, value_name = "NAME", value_parser = optimizer_names())]
    pub(crate) optimizer: Option<Optimizer>,
    /// Step size [default: what usually works with the optimizer]
    #[arg(long, value_name = "X", value_parser = above_zero)]
    pub(crate) lr: Option<f32>,
    /// The momentum optimizer's momentum [default: 0.9]
    #[arg(long, value_name = "X", value_parser = fraction::<f32>)]
    pub(crate) momentum: Option<f32>,
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
    /// Stop after so many epochs without a better validation score
    #[arg(long, value_name = "EPOCHS", value_parser = at_least_one)]
    pub(crate) patience: Option<usize>,
    /// The validation score that decides [default: val-loss]
    #[arg(long, value_enum, value_name = "SCORE")]
    pub(crate) monitor: Option<MonitorArg>,
    /// How weights start: normal:STD, he-normal, glorot-uniform, torch, ... [default: the model's own]
    #[arg(long, value_name = "RULE")]
    pub(crate) init: Option<Initializer>,
    /// Pixels as the network sees them: unit (0 to 1), raw (0 to 255) or standard:MEAN,STD [default: unit]
    #[arg(long, value_name = "SCALE", value_parser = pixel_scale)]
    pub(crate) scale: Option<PixelScale>,
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
  hw eval --checkpoint runs/first/best.safetensors --dataset folder:my-digits --json";

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
}

const PREDICT_EXAMPLES: &str = "\
Examples:
  hw predict --checkpoint runs/first seven.png
  hw predict --checkpoint runs/first --top 5 --json scans/*.jpg
  hw predict --builtin all note.png strokes.json

Images may have any size and be dark on light or light on dark. With --checkpoint each should show one
character; it is cropped and centred the way the training images were.";

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// A run's folder, or a checkpoint file
    #[arg(long, short, value_name = "DIR", required_unless_present = "builtin")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Read whole words with a model that comes with hw, instead
    #[arg(long, value_name = "NAME", conflicts_with = "checkpoint", value_parser = builtin_names())]
    pub(crate) builtin: Option<String>,
    /// PNG or JPEG files; with --builtin also JSON files of strokes, as POST /api/recognise takes them
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<PathBuf>,
    /// How many answers an image
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    pub(crate) top: usize,
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

/// The models that come with the binary.
fn builtin_names() -> PossibleValuesParser {
    PossibleValuesParser::new(hw_ink::builtin::names())
}

/// The optimizers there are.
fn optimizer_names() -> impl TypedValueParser<Value = Optimizer> {
    let names = Optimizer::all().map(|rule| PossibleValue::new(rule.name()));
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Optimizer>())
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
