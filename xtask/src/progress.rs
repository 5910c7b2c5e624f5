//! Progress of a long chore: one bar on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Without a terminal, at most one line every so long.
const BETWEEN_LINES: Duration = Duration::from_secs(15);

/// Work that is measured in expected seconds, so that long and short runs weigh what they cost.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    total: f64,
    done: f64,
    started: Instant,
    said: Option<Instant>,
}

impl Progress {
    /// Progress over `total` seconds of expected work.
    pub(crate) fn new(total: f64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(1000);
            // The template is a constant that indicatif accepts; its default is as good if not.
            let style = ProgressStyle::with_template("{bar:30.cyan} {percent:>3} %  {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style);
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self {
            bar,
            total: total.max(1e-9),
            done: 0.0,
            started: Instant::now(),
            said: None,
        }
    }

    /// Counts finished work.
    pub(crate) fn add(&mut self, seconds: f64) {
        self.done += seconds;
    }

    /// Says what is going on; `within` are expected seconds of the current piece already done.
    pub(crate) fn say(&mut self, within: f64, message: &str) {
        let share = ((self.done + within) / self.total).clamp(0.0, 1.0);
        let text = format!("{message}{}", self.left(share));
        match &self.bar {
            Some(bar) => {
                bar.set_position((share * 1000.0) as u64);
                bar.set_message(text);
            }
            None => {
                if self.said.is_none_or(|said| said.elapsed() >= BETWEEN_LINES) {
                    eprintln!("{:3.0} %  {text}", share * 100.0);
                    self.said = Some(Instant::now());
                }
            }
        }
    }

    /// A line that stays.
    pub(crate) fn note(&self, message: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{message}")),
            None => eprintln!("{message}"),
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn left(&self, share: f64) -> String {
        let elapsed = self.started.elapsed().as_secs_f64();
        if share < 0.01 || elapsed < 2.0 {
            return String::new();
        }
        let left = elapsed * (1.0 - share) / share;
        format!(", about {} left", hw_report::format::duration(left))
    }
}
