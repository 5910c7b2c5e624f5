//! Arguments of `bench`.

use super::Mode;
use clap::builder::ArgPredicate;
use std::path::PathBuf;

/// Arguments of `bench`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench                                    our rates, latency, memory, share of the peak
  cargo xtask bench --net bn-cnn --json
  cargo xtask bench --peers peers/bin/python --rust-peers --record results/bench --out results/bench.md
                                                       beside all others; goes on where it was stopped
  cargo xtask bench --against /elsewhere/xtask         an older build in turns with this one, quarter of an hour;
                                                       exit code 1 if anything is below .98 of what it was
  cargo xtask bench --overhead                         what `hw train` loses to loading and logging
  cargo xtask bench --scaling                          rates and memory against set and batch size
The peers' Python needs: torch torchvision tensorflow-cpu keras onnx onnxscript onnxruntime")]
pub(crate) struct BenchArgs {
    /// A Python that has the other frameworks; they are then measured in turns with ours
    #[arg(long, value_name = "PYTHON")]
    pub(crate) peers: Option<PathBuf>,

    /// Measure candle as it ships and burn in turns with ours too; they are built first
    #[arg(long)]
    pub(crate) rust_peers: bool,

    /// Another build of xtask, measured in turns with this one: training, inference and peak memory
    #[arg(long, value_name = "OLD_XTASK", conflicts_with_all = ["peers", "rust_peers", "record", "minutes"])]
    pub(crate) against: Option<PathBuf>,

    /// With --against: two turns of a tenth of a second, to see that it works
    #[arg(long, requires = "against", conflicts_with_all = ["rounds", "seconds"])]
    pub(crate) quick: bool,

    /// Only this network
    #[arg(long, value_name = "NAME", value_parser = net_names())]
    pub(crate) net: Option<String>,

    /// Only this kind of work
    #[arg(long, value_name = "KIND")]
    pub(crate) only: Option<Only>,

    /// Rounds in which all take their turn [default: 3; with --against 12]
    #[arg(long, value_name = "N", value_parser = rounds, hide_default_value = true, default_value = "3")]
    #[arg(default_value_ifs = [("quick", ArgPredicate::Equals("true".into()), "2"), ("against", ArgPredicate::IsPresent, "12")])]
    pub(crate) rounds: usize,

    /// Seconds of each measurement [default: 3; with --against 1]
    #[arg(long, value_name = "S", value_parser = seconds, hide_default_value = true, default_value = "3")]
    #[arg(default_value_ifs = [("quick", ArgPredicate::Equals("true".into()), "0.1"), ("against", ArgPredicate::IsPresent, "1")])]
    pub(crate) seconds: f64,

    /// After this long, a network's remaining measurements get one round each
    #[arg(long, value_name = "MINUTES", value_parser = seconds)]
    pub(crate) minutes: Option<f64>,

    /// Keep results in this folder; what is there already is read, not measured again
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,

    /// Also write the table as Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Processor threads [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Instead: runs of `hw train` on MNIST in turns with bare steps of the same plan
    #[arg(long, conflicts_with_all = ["peers", "rust_peers", "only", "record", "scaling", "against"])]
    pub(crate) overhead: bool,

    /// Instead: rates and memory of `hw train` against the size of the set and of the batch
    #[arg(long, conflicts_with_all = ["peers", "rust_peers", "only", "record", "against"])]
    pub(crate) scaling: bool,

    /// Where `--scaling` draws its figures
    #[arg(long, value_name = "DIR", default_value = "docs/scaling")]
    pub(crate) figures: PathBuf,

    /// Answer the bench's questions on standard input; it starts itself so
    #[arg(long, hide = true)]
    pub(crate) worker: bool,

    /// Measure one point of `--scaling`; it starts itself so
    #[arg(long, hide = true, value_name = "JSON")]
    pub(crate) scaling_point: Option<String>,
}

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Only {
    /// Training steps
    Training,
    /// Forward passes: large batches and single images
    Inference,
}

impl Only {
    /// Whether measurements of this mode are among this kind of work.
    pub(crate) fn has(self, mode: Mode) -> bool {
        (self == Self::Training) == (mode == Mode::Train)
    }
}

fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds @ 1..=1000) => Ok(rounds),
        _ => Err("a whole number from 1 to 1000".into()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 3600.0 => Ok(seconds),
        _ => Err("a number above 0 and at most 3600".into()),
    }
}

fn net_names() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(super::nets::NETS.iter().map(|net| net.name))
}
