//! `--list`: what would run, and for how long.

use super::crew::Workers;
use super::estimate::Estimator;
use super::jobs::Job;
use super::paper::Paper;
use hw_report::format::{count_with, duration};
use hw_train::TrainConfig;
use std::collections::HashSet;

/// Seconds of work: with the seeds of the first look, and with all of them.
#[derive(Clone, Copy, Default)]
struct Time {
    least: f64,
    most: f64,
}

/// Prints the runs, each with the time of its first seeds and of all of them.
pub(crate) fn list(
    jobs: &[Job],
    estimator: &Estimator,
    papers: &[Paper],
    workers: Workers,
    first: &[usize],
) {
    println!(
        "{:<18} {:<28} {:>8} {:>6} {:>5}  about",
        "paper", "run", "images", "epochs", "seeds"
    );
    let mut known = HashSet::new();
    let mut totals: Vec<(usize, Time)> = Vec::new();
    for (job, &first) in jobs.iter().zip(first) {
        let mut seconds = |config: &TrainConfig| {
            let key = serde_json::to_string(config).expect("a configuration is JSON");
            let new = known.insert(key);
            if new {
                estimator.seconds(config, job)
            } else {
                0.0
            }
        };
        let search: f64 = job.search.iter().map(&mut seconds).sum();
        let seeds: Vec<f64> = job.configs.iter().map(&mut seconds).collect();
        let time = Time {
            least: search + seeds.iter().take(first).sum::<f64>(),
            most: search + seeds.iter().sum::<f64>(),
        };
        match totals.last_mut().filter(|(paper, _)| *paper == job.paper) {
            Some((_, total)) => {
                total.least += time.least;
                total.most += time.most;
            }
            None => totals.push((job.paper, time)),
        }
        row(job, &papers[job.paper].slug, first, time);
    }
    let at_a_time = workers.count as f64;
    let span = |time: Time| {
        let [least, most] = [time.least, time.most].map(|seconds| duration(seconds / at_a_time));
        if least == most {
            least
        } else {
            format!("{least} to {most}")
        }
    };
    println!();
    for (paper, time) in &totals {
        println!("{:<18} {}", papers[*paper].slug, span(*time));
    }
    let mut all = Time::default();
    for (_, time) in &totals {
        all.least += time.least;
        all.most += time.most;
    }
    let usual = duration((all.least + (all.most - all.least) / 3.0) / at_a_time);
    println!(
        "in all {} ({} runs at a time, {} thread{} each): from one seed of each run to all seeds, which are spent \
         only where a claim is not decided yet; about {usual} if a third of them are",
        span(all),
        workers.count,
        workers.threads,
        if workers.threads == 1 { "" } else { "s" },
    );
}

fn row(job: &Job, paper: &str, first: usize, time: Time) {
    let images = job.configs.first().and_then(|config| config.limit);
    let images = images.map_or_else(|| "all".to_string(), |limit| count_with(limit as u64, ","));
    let mut notes = String::new();
    if !job.search.is_empty() {
        notes = format!(", after trying {} learning rates or more", job.search.len());
    }
    for word in &job.shrunk {
        notes.push_str(&format!(", {word}"));
    }
    if let Some(problem) = &job.problem {
        notes = format!("  cannot run: {problem}");
    } else if time.most == 0.0 {
        notes = ", the same as a run above".into();
    }
    let epochs = job
        .configs
        .first()
        .map_or(job.epochs, |config| job.usual_epochs(config));
    let seeds = match job.configs.len() {
        all if all == first => all.to_string(),
        all => format!("{first}-{all}"),
    };
    println!(
        "{paper:<18} {:<28} {images:>8} {epochs:>6} {seeds:>5}  {}{notes}",
        job.name(),
        duration(time.least),
    );
}
