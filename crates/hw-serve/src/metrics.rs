//! Counters in Prometheus's text format.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper ends of the histogram's bins, in seconds.
const BINS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// What the server counts.
#[derive(Default)]
pub struct Metrics {
    /// Answers by route and status; few enough to share one lock.
    answers: Mutex<BTreeMap<(&'static str, u16), u64>>,
    /// Readings by duration, not cumulated.
    durations: [AtomicU64; BINS.len() + 1],
    microseconds: AtomicU64,
    /// Characters read.
    pub characters: AtomicU64,
    /// Connections open.
    pub connections: AtomicU64,
    /// Times the checkpoint was read again.
    pub reloads: AtomicU64,
}

impl Metrics {
    /// Counts an answer.
    pub fn answered(&self, route: &'static str, status: u16) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry((route, status)).or_default() += 1;
    }

    /// Counts a reading.
    pub fn read(&self, took: Duration, characters: usize) {
        let seconds = took.as_secs_f64();
        let bin = BINS
            .iter()
            .position(|&end| seconds <= end)
            .unwrap_or(BINS.len());
        self.durations[bin].fetch_add(1, Ordering::Relaxed);
        self.microseconds
            .fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        self.characters
            .fetch_add(characters as u64, Ordering::Relaxed);
    }

    /// The text to be scraped; `waiting` requests are in the queue.
    pub fn text(&self, waiting: usize) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text, waiting);
        text
    }

    fn write(&self, text: &mut String, waiting: usize) -> std::fmt::Result {
        heading(
            text,
            "hw_http_answers_total",
            "counter",
            "Answers by route and status.",
        )?;
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        for ((route, status), count) in answers.iter() {
            writeln!(
                text,
                "hw_http_answers_total{{route=\"{route}\",status=\"{status}\"}} {count}"
            )?;
        }
        let name = "hw_read_seconds";
        heading(
            text,
            name,
            "histogram",
            "From a request's last byte to its answer.",
        )?;
        let mut sum = 0;
        for (bin, end) in self.durations.iter().zip(BINS) {
            sum += bin.load(Ordering::Relaxed);
            writeln!(text, "{name}_bucket{{le=\"{end}\"}} {sum}")?;
        }
        sum += self.durations[BINS.len()].load(Ordering::Relaxed);
        let seconds = self.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
        writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {sum}")?;
        writeln!(text, "{name}_sum {seconds}\n{name}_count {sum}")?;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for (name, kind, what, value) in [
            (
                "hw_characters_total",
                "counter",
                "Characters read.",
                load(&self.characters),
            ),
            (
                "hw_model_reloads_total",
                "counter",
                "Checkpoint reloads.",
                load(&self.reloads),
            ),
            (
                "hw_connections",
                "gauge",
                "Open connections.",
                load(&self.connections),
            ),
            (
                "hw_queue_length",
                "gauge",
                "Requests that wait.",
                waiting as u64,
            ),
        ] {
            heading(text, name, kind, what)?;
            writeln!(text, "{name} {value}")?;
        }
        Ok(())
    }
}

fn heading(text: &mut String, name: &str, kind: &str, what: &str) -> std::fmt::Result {
    writeln!(text, "# HELP {name} {what}\n# TYPE {name} {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_is_cumulated_and_counts_everything() {
        let metrics = Metrics::default();
        for millis in [1, 4, 4, 20_000] {
            metrics.read(Duration::from_millis(millis), 2);
        }
        metrics.answered("/api/recognise", 200);
        let text = metrics.text(3);
        for line in [
            "hw_read_seconds_bucket{le=\"0.001\"} 1",
            "hw_read_seconds_bucket{le=\"0.005\"} 3",
            "hw_read_seconds_bucket{le=\"5\"} 3",
            "hw_read_seconds_bucket{le=\"+Inf\"} 4",
            "hw_read_seconds_count 4",
            "hw_characters_total 8",
            "hw_queue_length 3",
            "hw_http_answers_total{route=\"/api/recognise\",status=\"200\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
