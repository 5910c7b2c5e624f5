//! Progress of a long chore: one bar on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Without a terminal, at most one line every so long.
const BETWEEN_LINES: Duration = Duration::from_secs(15);

/// Says how far the work is and how long it will take.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    work: Work,
    started: Instant,
    said: Option<Instant>,
}

/// Work that is measured in expected seconds, so that long and short runs weigh what they cost.
/// What an earlier call did counts as done, but not for the rate of this one.
#[derive(Debug, Default)]
struct Work {
    total: f64,
    done: f64,
    /// The part of `done` that an earlier call did.
    earlier: f64,
    under_way: HashMap<String, Piece>,
}

/// How far a piece is, and how far it was when this call began.
#[derive(Debug, Default)]
struct Piece {
    within: f64,
    earlier: f64,
}

impl Work {
    fn finished(&self) -> f64 {
        let within = self.under_way.values().map(|piece| piece.within);
        (self.done + within.sum::<f64>()).min(self.total)
    }

    fn earlier(&self) -> f64 {
        let earlier = self.under_way.values().map(|piece| piece.earlier);
        self.earlier + earlier.sum::<f64>()
    }

    fn share(&self) -> f64 {
        self.finished() / self.total.max(1e-9)
    }

    /// Seconds left after so many have gone by; `None` as long as that would be a guess.
    fn left(&self, elapsed: f64) -> Option<f64> {
        let earlier = self.earlier();
        let own = self.finished() - earlier;
        (elapsed >= 2.0 && own > 0.01 * (self.total - earlier))
            .then(|| elapsed * (self.total - self.finished()) / own)
    }
}

impl Progress {
    /// Progress over work that is yet to be [expected](Self::expect).
    pub(crate) fn new() -> Self {
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
            work: Work::default(),
            started: Instant::now(),
            said: None,
        }
    }

    /// So many more seconds of work are to be done.
    pub(crate) fn expect(&mut self, seconds: f64) {
        self.work.total += seconds;
    }

    /// A piece goes on where an earlier call left it, after so many of its expected seconds: all of
    /// them if it is only to be read.
    pub(crate) fn resumed(&mut self, piece: &str, seconds: f64) {
        let so_far = Piece {
            within: seconds,
            earlier: seconds,
        };
        self.work.under_way.insert(piece.into(), so_far);
    }

    /// Counts a piece of so many expected seconds as finished.
    pub(crate) fn add(&mut self, piece: &str, seconds: f64) {
        let was = self.work.under_way.remove(piece).unwrap_or_default();
        self.work.done += seconds;
        self.work.earlier += was.earlier;
    }

    /// Says what is going on; `within` are the expected seconds of this piece already done.
    pub(crate) fn say(&mut self, piece: &str, within: f64, message: &str) {
        let now = self.work.under_way.entry(piece.into());
        now.or_default().within = within;
        let share = self.work.share();
        let left = self.work.left(self.started.elapsed().as_secs_f64());
        let left = left.map(|left| format!(", about {} left", hw_report::format::duration(left)));
        let text = format!("{message}{}", left.unwrap_or_default());
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

    /// Says that there is nothing to do for now.
    pub(crate) fn wait(&mut self, message: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(message.to_string()),
            None if self.said.is_none_or(|said| said.elapsed() >= BETWEEN_LINES) => {
                eprintln!("{message}");
                self.said = Some(Instant::now());
            }
            None => {}
        }
    }

    /// A line that stays.
    pub(crate) fn note(&self, message: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{message}")),
            None => eprintln!("{message}"),
        }
    }

    /// Whether all that was expected is done, and nothing else.
    #[cfg(test)]
    pub(crate) fn is_complete(&self) -> bool {
        let Work { total, done, .. } = self.work;
        self.work.under_way.is_empty() && (done - total).abs() < 1e-9 * total
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_call_did_does_not_speed_up_this_one() {
        let mut progress = Progress::new();
        progress.expect(1000.0);
        progress.resumed("kept", 600.0);
        assert_eq!(progress.work.left(9.0), None);
        progress.add("kept", 600.0);
        progress.resumed("half", 100.0);
        assert_eq!(progress.work.share(), 0.7);
        assert_eq!(progress.work.left(30.0), None);
        // 30 of the 300 that were left took 20 seconds, so 270 take 180.
        progress.say("half", 120.0, "");
        progress.say("other", 10.0, "");
        assert!((progress.work.left(20.0).unwrap() - 180.0).abs() < 1e-9);
        assert_eq!(progress.work.left(1.0), None);
        progress.add("half", 200.0);
        progress.add("other", 200.0);
        assert_eq!(progress.work.left(300.0), Some(0.0));
    }
}
