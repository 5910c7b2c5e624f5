//! Our own worker: the same questions as `peers.py` answers.

use super::nets::{NETS, Net};
use super::{Answer, Mode, Request};
use anyhow::{Context, Result, bail};
use hw_core::Rng;
use hw_kernels::peak;
use hw_models::plan::{InferencePlan, TrainPlan};
use hw_models::{Executor, Graph, Tensors, cross_entropy};
use hw_train::OptimizerState;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Instant;

/// Images of an inference batch.
const INFERENCE_BATCH: usize = 256;

/// Answers requests, one JSON object a line, until there are no more.
pub(crate) fn serve() -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{{\"ready\":\"{}\"}}", super::compare::OURS)?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?).context("a request")?;
        let mut answer = measure(&request).unwrap_or_else(|error| Answer {
            error: Some(hw_core::one_line(error.as_ref())),
            ..Answer::default()
        });
        answer.peak_mb = super::peak_mb();
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
        out.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(request: &Request) -> Result<Answer> {
    let Some(net) = NETS.iter().find(|net| net.name == request.net) else {
        bail!("unknown network '{}'", request.net);
    };
    match request.mode {
        Mode::Train => {
            let (time, share) = train(net, request.seconds)?;
            Ok(Answer {
                rate: Some(net.batch as f64 / time),
                share: Some(share),
                ..Answer::default()
            })
        }
        Mode::Infer | Mode::Latency => {
            let n = match request.mode {
                Mode::Latency => 1,
                _ => INFERENCE_BATCH,
            };
            let (time, share) = infer(net, n, request.seconds)?;
            Ok(match request.mode {
                Mode::Latency => Answer {
                    milliseconds: Some(time * 1e3),
                    ..Answer::default()
                },
                _ => Answer {
                    rate: Some(n as f64 / time),
                    share: Some(share),
                    ..Answer::default()
                },
            })
        }
    }
}

/// Floating-point operations of one image's way through the network.
fn forward_flops(graph: &Graph) -> f64 {
    2.0 * graph.macs() as f64
}

/// Seconds of one forward pass of `n` images, and the share of the peak that is.
fn infer(net: &Net, n: usize, seconds: f64) -> Result<(f64, f64)> {
    let graph = net.spec()?.lower()?;
    let plan = InferencePlan::new(&graph, Tensors::initial(&graph, 1));
    let flops = n as f64 * forward_flops(&graph);
    let images = images(n * net.side * net.side);
    Ok(repeat(seconds, flops, || {
        black_box(plan.logits(&images));
    }))
}

/// Seconds of one step, and the share of the peak that is.
fn train(net: &Net, seconds: f64) -> Result<(f64, f64)> {
    let graph = net.spec()?.lower()?;
    let mut plan = TrainPlan::with_tensors(&graph, &Tensors::initial(&graph, 1), net.batch);
    let flops = 3.0 * net.batch as f64 * forward_flops(&graph);
    let mut optimizer = OptimizerState::flat(net.optimizer(), plan.len());
    let images = images(net.batch * net.side * net.side);
    let labels: Vec<u32> = (0..net.batch as u32)
        .map(|i| i % net.classes as u32)
        .collect();
    let mut seed = 0;
    Ok(repeat(seconds, flops, || {
        seed += 1;
        let step = plan.step(&images, &labels, seed, &cross_entropy);
        black_box(step.expect("a plan's step cannot fail"));
        optimizer.begin_step();
        let (weights, gradients) = plan.update();
        optimizer.update(0, weights, gradients, 1e-3);
    }))
}

fn images(count: usize) -> Vec<f32> {
    let mut rng = Rng::stream(1, "bench", 0);
    (0..count).map(|_| rng.uniform()).collect()
}

/// The median time of `work`, called for about `seconds` after warming up, and its share of the
/// peak of all threads, measured before and after.
fn repeat(seconds: f64, flops: f64, mut work: impl FnMut()) -> (f64, f64) {
    (0..3).for_each(|_| work());
    let before = all_threads_peak();
    let (mut times, start) = (Vec::new(), Instant::now());
    while start.elapsed().as_secs_f64() < seconds || times.len() < 3 {
        let one = Instant::now();
        work();
        times.push(one.elapsed().as_secs_f64());
    }
    let peak = before.max(all_threads_peak());
    let time = super::median(&times).unwrap_or(f64::NAN);
    (time, flops / time / peak)
}

/// Floating-point operations a second of all threads together.
fn all_threads_peak() -> f64 {
    let start = Instant::now();
    const TIMES: usize = 20;
    rayon::broadcast(|_| {
        (0..TIMES).for_each(|_| {
            black_box(peak::run());
        })
    });
    let flops = peak::flops() as f64 * (TIMES * rayon::current_num_threads()) as f64;
    flops / start.elapsed().as_secs_f64()
}
