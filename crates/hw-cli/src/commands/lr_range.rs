//! `hw lr-range`: which learning rates a network can take, as a plot and as numbers.

use super::{SYNTHETIC, data_dirs, experiment};
use crate::args::{Common, LrRangeArgs};
use crate::lower::train_config;
use crate::output::answer;
use crate::progress;
use anyhow::{Context, Result};
use hw_core::{CancelToken, files};
use hw_report::plots::{Axis, LineChart, Plot, Series, WIDE};
use hw_train::range_test::{Range, RangeCurve};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

pub(crate) fn run(args: &LrRangeArgs, common: &Common) -> Result<ExitCode> {
    let config = train_config(&args.run, args.emnist.emnist)?;
    let dirs = data_dirs(common)?;
    let cancel = CancelToken::new();
    progress::stop_on_interrupt(&cancel).context("cannot listen for Ctrl-C")?;
    let experiment = experiment(config, &args.device, &dirs, common)?;
    let range = Range {
        from: args.from,
        to: args.to,
        steps: args.steps,
    };
    let what = format!("learning rates {} to {}", args.from, args.to);
    let curve = progress::during(&what, common.verbose, || {
        experiment.range_test(range, &cancel, &mut |_| {})
    })?;
    let config = experiment.config();
    let alt = format!(
        "loss against learning rate: {} on {}, {}",
        config.model,
        config.dataset,
        config.optimizer.name()
    );
    let plot = plot(&curve).draw(WIDE).to_standalone(&alt);
    files::write_whole(&args.out, plot.as_bytes())?;
    let stopped = cancel.is_cancelled();
    let found = Answer {
        model: config.model.clone(),
        dataset: config.dataset.to_string(),
        synthetic: experiment.stamp().data.synthetic,
        optimizer: config.optimizer.name(),
        batch: config.batch,
        plot: args.out.clone(),
        stopped,
        curve,
    };
    answer(common.json, &found)?;
    Ok(match stopped {
        true => ExitCode::from(super::INTERRUPTED),
        false => ExitCode::SUCCESS,
    })
}

fn plot(curve: &RangeCurve) -> LineChart {
    let x = Axis::new("learning rate").log();
    let each = curve.points.iter();
    let losses = each
        .clone()
        .map(|point| (f64::from(point.learning_rate), f64::from(point.loss)));
    let smoothed = each.map(|point| (f64::from(point.learning_rate), point.smoothed));
    LineChart::new(x, Axis::new("training loss"))
        .series(Series::new("each batch", losses).dashed())
        .series(Series::new("smoothed", smoothed))
}

#[derive(Debug, Serialize)]
struct Answer {
    model: String,
    dataset: String,
    synthetic: bool,
    optimizer: &'static str,
    batch: usize,
    plot: PathBuf,
    /// Whether Ctrl-C ended it early.
    stopped: bool,
    #[serde(flatten)]
    curve: RangeCurve,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.synthetic {
            writeln!(f, "{SYNTHETIC}")?;
        }
        let (first, last) = (self.curve.points.first(), self.curve.points.last());
        if let (Some(first), Some(last)) = (first, last) {
            writeln!(
                f,
                "{} on {}, {}, batch {}: {} steps from {:.2e} to {:.2e}{}",
                self.model,
                self.dataset,
                self.optimizer,
                self.batch,
                self.curve.points.len(),
                first.learning_rate,
                last.learning_rate,
                match self.curve.broke_down {
                    true => ", where the loss broke down",
                    false => "",
                }
            )?;
        }
        let rate = |rate: Option<f32>| match rate {
            Some(rate) => format!("{rate:.2e}"),
            None => "nowhere".into(),
        };
        writeln!(f, "steepest fall      {}", rate(self.curve.steepest))?;
        writeln!(f, "a tenth of lowest  {}", rate(self.curve.tenth_of_lowest))?;
        writeln!(f, "plot in {}", self.plot.display())
    }
}
