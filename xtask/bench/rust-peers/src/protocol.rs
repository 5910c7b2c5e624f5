//! Questions on standard input, answers on standard output.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use std::time::Instant;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Whole training steps.
    Train,
    /// Forward passes of a large batch.
    Infer,
    /// Forward passes of one image.
    Latency,
}

#[derive(Deserialize)]
struct Request {
    net: String,
    mode: Mode,
    seconds: f64,
}

#[derive(Default, Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    milliseconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    peak_mb: Option<f64>,
}

/// A framework that can be measured.
pub trait Framework {
    /// Its name and version.
    fn version(&self) -> (&'static str, &'static str);

    /// Images a call, and the median seconds of a call.
    ///
    /// # Errors
    /// Whatever keeps the framework from running the network.
    fn measure(&mut self, net: &str, mode: Mode, seconds: f64) -> Result<(usize, f64)>;
}

/// Answers until there are no more questions.
///
/// # Errors
/// When a question cannot be understood or an answer cannot be written.
pub fn serve(mut framework: impl Framework) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let (name, version) = framework.version();
    let hello = serde_json::json!({ "ready": name, "versions": { name: version } });
    writeln!(out, "{hello}")?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?).context("a request")?;
        let mut answer = answer(&mut framework, &request);
        answer.peak_mb = peak_mb();
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
        out.flush()?;
    }
    Ok(())
}

/// One network that a framework cannot run must not end the bench, be it by an error or a panic.
fn answer(framework: &mut impl Framework, request: &Request) -> Answer {
    let work = || framework.measure(&request.net, request.mode, request.seconds);
    let measured = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    let error = match measured {
        Ok(Ok((images, seconds))) if request.mode == Mode::Latency => {
            return Answer {
                milliseconds: Some(seconds / images as f64 * 1e3),
                ..Answer::default()
            };
        }
        Ok(Ok((images, seconds))) => {
            return Answer {
                rate: Some(images as f64 / seconds),
                ..Answer::default()
            };
        }
        Ok(Err(error)) => format!("{error:#}"),
        Err(panic) => match panic.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => "it panicked".into(),
        },
    };
    // Some errors carry a stack of frames after their first line.
    let error = error.lines().next().map(str::to_owned);
    Answer {
        error,
        ..Answer::default()
    }
}

/// The median seconds of a call of `work`: called for about `seconds`, at least three times after
/// warming up, except that one call longer than `seconds` is enough after one to warm up.
///
/// # Errors
/// The first of `work`.
pub fn repeat(seconds: f64, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    let least = match start.elapsed().as_secs_f64() > seconds {
        true => 1,
        false => {
            work()?;
            3
        }
    };
    let (mut times, start) = (Vec::new(), Instant::now());
    while start.elapsed().as_secs_f64() < seconds || times.len() < least {
        let one = Instant::now();
        work()?;
        times.push(one.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    match times.get(times.len() / 2) {
        Some(median) => Ok(*median),
        None => bail!("nothing was measured"),
    }
}

/// Peak resident memory of this process, where the system says.
fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}
