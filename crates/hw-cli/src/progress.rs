//! How work shows that it goes on: a bar with rate and time left on a terminal, else a plain line now
//! and then.

use crate::output::{counted, grouped, note, score};
use hw_core::CancelToken;
use hw_train::{EpochRecord, Event};
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// Off a terminal, lines about work in progress are at least this far apart.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Where nobody sits at a terminal, signals so close together are one: a scheduler signals every process of a job,
/// and the script that started this one passes its own on.
const ONE_SIGNAL: Duration = Duration::from_secs(1);

/// Whether the user asked for no colours (<https://no-color.org>).
pub(crate) fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// The message comes last, where it is cut rather than wrapped on a narrow terminal.
fn template(unit: &str, colour: bool) -> String {
    let colour = if colour { ".cyan/blue" } else { "" };
    format!("{{bar:24{colour}}} {{pos}}/{{len}} {unit}, {{eta}} left  {{wide_msg}}")
}

/// A bar on the terminal; none where standard error is something else.
fn bar(length: u64, unit: &str) -> Option<ProgressBar> {
    if !stderr().is_terminal() {
        return None;
    }
    let template = template(unit, !no_colour());
    let bar = ProgressBar::new(length);
    // The template is fixed, so it either always parses or a test sees that it does not.
    bar.set_style(ProgressStyle::with_template(&template).unwrap_or(ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(250));
    Some(bar)
}

/// Does some work of unknown length, with a spinner.
pub(crate) fn during<T>(what: &str, verbose: bool, work: impl FnOnce() -> T) -> T {
    let spinner = stderr().is_terminal().then(|| {
        let spinner = ProgressBar::new_spinner().with_message(what.to_string());
        spinner.enable_steady_tick(Duration::from_millis(250));
        spinner
    });
    if verbose {
        note(what);
    }
    let started = Instant::now();
    let result = work();
    if let Some(spinner) = spinner {
        spinner.finish_and_clear();
    }
    if verbose {
        note(format_args!(
            "{what} took {:.2} s",
            started.elapsed().as_secs_f64()
        ));
    }
    result
}

/// Makes the first Ctrl-C (or a polite kill) cancel `token`; a second one ends the program at once.
pub(crate) fn stop_on_interrupt(token: &CancelToken) -> Result<(), ctrlc::Error> {
    let token = token.clone();
    let by_hand = stderr().is_terminal();
    let mut first: Option<Instant> = None;
    ctrlc::set_handler(move || {
        let same = first.is_some_and(|first| !by_hand && first.elapsed() < ONE_SIGNAL);
        if same {
            return;
        }
        if token.is_cancelled() {
            std::process::exit(crate::commands::INTERRUPTED.into());
        }
        first = Some(Instant::now());
        token.cancel();
        note("stopping at the next step; press Ctrl-C again to stop at once");
    })
}

/// Tells how far a download is.
#[derive(Default)]
pub(crate) struct Download {
    bar: Option<ProgressBar>,
    file: String,
    said: Option<Instant>,
}

impl Download {
    /// So many bytes of a file are here.
    pub(crate) fn tell(&mut self, file: &str, done: u64, total: Option<u64>) {
        if self.file != file {
            self.clear();
            self.file = file.to_string();
            self.said = None;
            self.bar = stderr().is_terminal().then(|| {
                let style =
                    "{bar:24} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left  {wide_msg}";
                let style = ProgressStyle::with_template(style);
                let bar = ProgressBar::no_length().with_message(file.to_string());
                bar.with_style(style.unwrap_or(ProgressStyle::default_bar()))
            });
        }
        if let Some(bar) = &self.bar {
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_position(done);
        } else if self.said.is_none_or(|said| said.elapsed() >= BETWEEN_LINES) {
            self.said = Some(Instant::now());
            let of = total.map_or(String::new(), |total| format!(" of {}", HumanBytes(total)));
            note(format_args!("{file}: {}{of}", HumanBytes(done)));
        }
    }

    /// Takes the bar away, so that what follows stands alone.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Counts images as they are done.
pub(crate) struct Counter {
    bar: Option<ProgressBar>,
    what: &'static str,
    done: usize,
    total: usize,
    started: Instant,
    said: Instant,
}

impl Counter {
    /// A counter up to `total`.
    pub(crate) fn new(what: &'static str, total: usize) -> Self {
        let bar = bar(total as u64, "images").inspect(|bar| bar.set_message(what));
        let now = Instant::now();
        Self {
            bar,
            what,
            done: 0,
            total,
            started: now,
            said: now,
        }
    }

    /// So many more are done.
    pub(crate) fn add(&mut self, images: usize) {
        self.done += images;
        let rate = self.done as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}, {} images/s", self.what, grouped(rate as u64)));
            bar.set_position(self.done as u64);
        } else if self.said.elapsed() >= BETWEEN_LINES {
            self.said = Instant::now();
            let (done, total) = (grouped(self.done as u64), grouped(self.total as u64));
            let left = left((self.total - self.done.min(self.total)) as f64, rate);
            note(format_args!(
                "{}: {done} of {total} images, {left} left",
                self.what
            ));
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn left(images: f64, rate: f64) -> String {
    let seconds = (images / rate.max(1e-9)).clamp(0.0, 1e9);
    HumanDuration(Duration::from_secs_f64(seconds)).to_string()
}

/// Tells a training run's events.
pub(crate) struct TrainProgress {
    bar: Option<ProgressBar>,
    verbose: bool,
    epochs: usize,
    steps_per_epoch: usize,
    images_per_step: f64,
    said: Instant,
}

impl TrainProgress {
    /// `verbose` tells every logged step on a line of its own.
    pub(crate) fn new(verbose: bool) -> Self {
        let said = Instant::now();
        Self {
            bar: None,
            verbose,
            epochs: 0,
            steps_per_epoch: 0,
            images_per_step: 0.0,
            said,
        }
    }

    /// Tells one event.
    pub(crate) fn observe(&mut self, event: &Event) {
        match event {
            Event::Started { .. } => self.started(event),
            Event::Step {
                epoch,
                step,
                loss,
                images_per_second,
            } => {
                self.step(*epoch, *step, *loss, *images_per_second);
            }
            Event::Epoch(record) => self.say(&epoch_line(record, self.epochs)),
            Event::EarlyStop { epoch, best_epoch } => self.say(&format!(
                "stopping early after epoch {epoch}: nothing better since epoch {best_epoch}"
            )),
            Event::Interrupted { .. } | Event::Diverged { .. } | Event::Finished { .. } => {
                self.clear();
            }
        }
    }

    /// Takes the bar away, so that what follows stands alone.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => note(line),
        }
    }

    fn started(&mut self, event: &Event) {
        let Event::Started {
            model,
            parameters,
            dataset,
            synthetic,
            train_images,
            validation_images,
            steps_per_epoch,
            epochs,
            resumed_at,
            ..
        } = event
        else {
            return;
        };
        let kind = if *synthetic { "SYNTHETIC data " } else { "" };
        note(format_args!(
            "training {model} ({} parameters) on {kind}{dataset}: {} images, {} held out, \
             {} of {}",
            grouped(*parameters),
            grouped(*train_images),
            grouped(*validation_images),
            counted(*epochs, "epoch"),
            counted(*steps_per_epoch, "step"),
        ));
        (self.epochs, self.steps_per_epoch) = (*epochs, *steps_per_epoch);
        self.images_per_step = *train_images as f64 / (*steps_per_epoch).max(1) as f64;
        self.bar = bar((epochs * steps_per_epoch) as u64, "steps");
        if let Some(step) = resumed_at {
            self.say(&format!("going on after step {}", grouped(*step)));
            if let Some(bar) = &self.bar {
                bar.set_position(*step);
                bar.reset_eta();
            }
        }
    }

    fn step(&mut self, epoch: usize, step: u64, loss: f32, rate: f64) {
        let epochs = self.epochs;
        let now = format!(
            "epoch {epoch}/{epochs}  loss {loss:.4}  {} images/s",
            grouped(rate as u64)
        );
        if let Some(bar) = &self.bar {
            bar.set_position(step);
            bar.set_message(now.clone());
        }
        let due = self.bar.is_none() && self.said.elapsed() >= BETWEEN_LINES;
        if self.verbose || due {
            self.said = Instant::now();
            let steps = (epochs * self.steps_per_epoch) as u64;
            let left = left(
                steps.saturating_sub(step) as f64 * self.images_per_step,
                rate,
            );
            self.say(&format!("step {step}/{steps}  {now}  {left} left"));
        }
    }
}

fn epoch_line(record: &EpochRecord, epochs: usize) -> String {
    let mut line = format!(
        "epoch {}/{epochs}  train {}",
        record.epoch,
        score(&record.train)
    );
    if let Some(validation) = &record.validation {
        line += &format!("; validation {}", score(validation));
        line += if record.best { " (best so far)" } else { "" };
    }
    if let Some(probe) = &record.test_probe {
        line += &format!(
            "; first {} test images {}",
            grouped(probe.images),
            score(probe)
        );
    }
    let rate = grouped(record.images_per_second as u64);
    line + &format!("; {:.1} s, {rate} images/s", record.seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_train::Score;

    #[test]
    fn the_bars_templates_are_sound() {
        for colour in [false, true] {
            assert!(ProgressStyle::with_template(&template("steps", colour)).is_ok());
        }
    }

    #[test]
    fn an_epochs_line_says_what_was_measured() {
        let score = |accuracy| Score {
            loss: 0.25,
            accuracy,
            images: 100,
        };
        let record = EpochRecord {
            epoch: 2,
            step: 20,
            train: score(0.9),
            validation: Some(score(0.8)),
            train_probe: None,
            test_probe: None,
            learning_rate: 0.1,
            best: true,
            seconds: 1.5,
            images_per_second: 2000.0,
            partial: false,
            load: None,
            last_losses: vec![],
        };
        assert_eq!(
            epoch_line(&record, 3),
            "epoch 2/3  train loss 0.2500, accuracy 90.00 %; \
             validation loss 0.2500, accuracy 80.00 % (best so far); 1.5 s, 2,000 images/s"
        );
    }
}
