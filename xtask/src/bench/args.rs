//! Arguments of `bench`.

use std::path::PathBuf;

/// Arguments of `bench`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench                                    our rates, latency, memory, share of the peak
  cargo xtask bench --net bn-cnn --json
  cargo xtask bench --peers peers/bin/python           beside PyTorch, Keras and ONNX Runtime
The peers' Python needs: torch torchvision tensorflow-cpu keras onnx onnxscript onnxruntime")]
pub(crate) struct BenchArgs {
    /// A Python that has the other frameworks; they are then measured in turns with ours
    #[arg(long, value_name = "PYTHON")]
    pub(crate) peers: Option<PathBuf>,

    /// Only this network
    #[arg(long, value_name = "NAME", value_parser = net_names())]
    pub(crate) net: Option<String>,

    /// Rounds in which all take their turn
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = rounds)]
    pub(crate) rounds: usize,

    /// Seconds of each measurement
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    pub(crate) seconds: f64,

    /// Also write the table as Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Processor threads [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Answer the bench's questions on standard input; it starts itself so
    #[arg(long, hide = true)]
    pub(crate) worker: bool,
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
        _ => Err("seconds, above 0 and at most 3600".into()),
    }
}

fn net_names() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(super::nets::NETS.iter().map(|net| net.name))
}
