//! Slurm: one job array of equal workers, submitted by `sbatch`.

use super::CommandLine;
use crate::error::ReproError;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program that submits jobs.
pub(super) const SBATCH: &str = "sbatch";
/// The job's script; `@WORKER@` stands for the worker's command line.
const SCRIPT: &str = include_str!("job.sh");

/// A submitted job array.
#[derive(Debug)]
pub(super) struct Submitted {
    /// Slurm's number of the array.
    id: String,
    nodes: u32,
    folder: PathBuf,
}

/// Writes `OUT/slurm/job.sh` and submits it as one array of so many workers; `more` are the user's own options.
pub(super) fn submit(
    again: &CommandLine,
    nodes: u32,
    more: &[String],
    sbatch: &str,
) -> Result<Submitted, ReproError> {
    let folder = again.out().join("slurm");
    let script = folder.join("job.sh");
    hw_core::files::write_whole(&script, &self::script(again)?).map_err(|error| {
        ReproError::File {
            path: format!("--out {}", again.out().display()).into(),
            problem: hw_core::one_line(&error),
        }
    })?;
    let output = Command::new(sbatch)
        .arg("--parsable")
        .arg(format!("--array=1-{nodes}"))
        .arg(format!("--job-name={}", again.name()))
        .arg(log_option(&folder))
        // The user's come last: of an option given twice sbatch takes the last.
        .args(more)
        .arg(&script)
        .output()
        .map_err(|error| cannot_start(sbatch, &error))?;
    Ok(Submitted {
        id: job_id(&output)?,
        nodes,
        folder,
    })
}

/// The job's script with the worker's command line in it.
fn script(again: &CommandLine) -> Result<Vec<u8>, ReproError> {
    let (before, after) = SCRIPT
        .split_once("@WORKER@")
        .expect("the script has a place for the worker");
    let worker = again.line("--worker")?;
    Ok([before.as_bytes(), &worker, after.as_bytes()].concat())
}

/// Where each worker's output goes; sbatch reads `%` in it as its own.
fn log_option(folder: &Path) -> OsString {
    let mut option = OsString::from("--output=");
    let mut pieces = folder.to_string_lossy().into_owned().replace('%', "%%");
    pieces.push_str("/%A_%a.log");
    option.push(OsStr::new(&pieces));
    option
}

fn cannot_start(sbatch: &str, error: &std::io::Error) -> ReproError {
    ReproError::Engine(match error.kind() {
        ErrorKind::NotFound => format!(
            "there is no {sbatch} on PATH; call this on a machine of the cluster that submits jobs, or start workers \
             yourself: docs/scaling-out.md"
        ),
        _ => format!("cannot run {sbatch}: {error}"),
    })
}

/// The job's number from what sbatch printed: `NUMBER` or `NUMBER;CLUSTER`.
fn job_id(output: &Output) -> Result<String, ReproError> {
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().unwrap_or_default();
    let id = last.split(';').next().unwrap_or_default().trim();
    let number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    if output.status.success() && number {
        return Ok(id.to_string());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines = errors.lines().chain(said.lines()).map(str::trim);
    let lines = lines.map(|line| line.trim_start_matches("sbatch: error: "));
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    Err(ReproError::Engine(match lines.join("; ") {
        none if none.is_empty() => format!("sbatch ended with {} and said nothing", output.status),
        why => format!("sbatch refused the job: {why}"),
    }))
}

impl Submitted {
    /// How to watch, stop and go on.
    pub(super) fn advice(&self, again: &CommandLine) -> String {
        let Self { id, nodes, folder } = self;
        let line = |flag| {
            let line = again.line(flag).unwrap_or_default();
            String::from_utf8_lossy(&line).into_owned()
        };
        let s = if *nodes == 1 { "" } else { "s" };
        format!(
            "job {id}: {nodes} worker{s}\n\
             watch:   {status}\n         squeue --jobs {id}; logs are in {folder}\n\
             stop:    scancel {id}    each worker saves first\n\
             go on:   the same command again\n\
             report:  {report}\n",
            status = line("--status"),
            folder = folder.display(),
            report = line("--report-only"),
        )
    }

    /// The same for a script.
    pub(super) fn json(&self, again: &CommandLine) -> serde_json::Value {
        let words = |flag| -> Vec<String> {
            let words = again.command(flag).into_iter();
            words
                .map(|word| word.to_string_lossy().into_owned())
                .collect()
        };
        serde_json::json!({
            "engine": "slurm",
            "job": self.id,
            "workers": self.nodes,
            "logs": self.folder,
            "status": words("--status"),
            "report": words("--report-only"),
        })
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
