//! `hw export` and `hw import`: networks to and from PyTorch, torchvision and ONNX.

use crate::args::{Common, ExportArgs, ImportArgs};
use crate::output::answer;
use anyhow::{Context, Result, bail};
use candle_core::Device;
use hw_core::FileError;
use hw_exchange::Format;
use hw_models::weights::Contents;
use hw_models::{ModelSpec, Network};
use hw_train::checkpoint::{self, BEST, Stamp};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What was written for another framework.
#[derive(Debug, Serialize)]
struct Exported {
    checkpoint: PathBuf,
    model: String,
    format: &'static str,
    files: Vec<PathBuf>,
    /// How to use them there.
    usage: String,
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            writeln!(f, "{}", file.display())?;
        }
        writeln!(f, "use: {}", self.usage)
    }
}

pub(crate) fn export(args: &ExportArgs, common: &Common) -> Result<ExitCode> {
    let trained = checkpoint::open(&args.checkpoint, &Device::Cpu)?;
    let mut contents = trained.network.contents()?;
    let stamp = serde_json::to_value(&trained.stamp).context("cannot write the run's stamp")?;
    contents.metadata.insert("stamp".into(), stamp);
    let mut files = Vec::new();
    for file in hw_exchange::export(&contents, trained.network.spec(), args.to)? {
        let path = args.out.join(file.name);
        hw_core::files::write_whole(&path, &file.bytes)?;
        files.push(path);
    }
    let exported = Exported {
        checkpoint: trained.path,
        model: trained.network.spec().name.clone(),
        format: args.to.name(),
        files,
        usage: usage(args.to, trained.network.spec().classes),
    };
    answer(common.json, &exported)?;
    Ok(ExitCode::SUCCESS)
}

fn usage(format: Format, classes: usize) -> String {
    match format {
        Format::Pytorch => "from model import load; logits = load()(images)".into(),
        Format::Torchvision => format!(
            "torchvision.models.resnet50(num_classes={classes}).load_state_dict(\
             safetensors.torch.load_file('model.safetensors'), strict=False)"
        ),
        Format::Onnx => {
            "onnxruntime.InferenceSession('model.onnx').run(['logits'], {'images': images})".into()
        }
    }
}

/// What was read from another framework.
#[derive(Debug, Serialize)]
struct Imported {
    weights: PathBuf,
    model: String,
    format: &'static str,
    checkpoint: PathBuf,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (model, weights) = (&self.model, self.weights.display());
        writeln!(
            f,
            "{model} with the weights of {weights}: {}",
            self.checkpoint.display()
        )
    }
}

pub(crate) fn import(args: &ImportArgs, common: &Common) -> Result<ExitCode> {
    let target = args.out.join(BEST);
    if target.exists() {
        bail!("{} is there already; name another folder", target.display());
    }
    let path = &args.weights;
    let bytes = std::fs::read(path).map_err(FileError::at("read", path))?;
    let (spec, mut stamp) = match &args.like {
        Some(run) => {
            let like = checkpoint::open(run, &Device::Cpu)?;
            (like.network.spec().clone(), like.stamp)
        }
        None => declared(args.from, &bytes, path)?,
    };
    let mut contents = Contents {
        tensors: hw_exchange::import(&spec, args.from, &bytes, path)?,
        ..Contents::default()
    };
    let model = serde_json::to_value(&spec).context("cannot write the model's declaration")?;
    contents.metadata.insert("model".into(), model);
    let network = Network::from_contents(path, &contents, &Device::Cpu)?;
    // These weights come from no run of ours: they are called by their own checksum.
    stamp.run = hw_core::files::sha256_hex(&bytes)[..16].to_string();
    checkpoint::save_best(&args.out, network.contents()?, &stamp, 0, None)?;
    let imported = Imported {
        weights: path.clone(),
        model: network.spec().name.clone(),
        format: args.from.name(),
        checkpoint: target,
    };
    answer(common.json, &imported)?;
    Ok(ExitCode::SUCCESS)
}

/// The network that a file says it holds, and the run that it says trained it.
fn declared(format: Format, bytes: &[u8], path: &Path) -> Result<(ModelSpec, Stamp)> {
    let declaration = hw_exchange::declaration(format, bytes, path)?;
    let Some((spec, stamp)) = declaration.and_then(|d| Some((d.spec, d.stamp?))) else {
        bail!(
            "{} does not say which network it holds; name a run of the same network by --like",
            path.display()
        );
    };
    let stamp = serde_json::from_value(stamp)
        .with_context(|| format!("{}: what it says of its run is damaged", path.display()))?;
    Ok((spec, stamp))
}
