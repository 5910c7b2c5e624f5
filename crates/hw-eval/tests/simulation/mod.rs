//! Experiments whose truth is known, to count how often the instrument errs: shared by
//! `tests/error_rates.rs` and `examples/error_rates.rs`.
#![allow(clippy::unwrap_used)] // for tests and an example alone

use hw_core::Rng;
use hw_eval::statistics::{Bootstrap, BootstrapMethod, Pooled, Variance};
use hw_eval::{
    Alpha, Arm, Design, Evidence, Outcome, Part, Question, Setting, Test, Verdict, best_of,
    compare, judge_family,
};
use rayon::prelude::*;

pub(crate) const BETTER: Question = Question::Greater { margin: 0.0 };

/// Image difficulty, a recipe's own difficulty, and chance from run to run, as variances of a latent
/// normal scale on which a hard image is answered correctly above 0.
const IMAGE: f64 = 1.0;
const OWN: f64 = 0.5;
const REST: f64 = 1.0;
/// Φ⁻¹(2/3): two of three hard images are answered correctly.
const HARD: f64 = 0.430_727_3;

fn normal(rng: &mut Rng) -> f64 {
    f64::from(rng.normal())
}

fn chi_square(rng: &mut Rng, freedom: usize) -> f64 {
    (0..freedom).map(|_| normal(rng).powi(2)).sum()
}

/// Two recipes under the same seeds on the same test set. The set is a sample, and so are the seeds.
#[derive(Clone, Copy)]
pub(crate) struct World {
    pub(crate) images: usize,
    pub(crate) accuracy: f64,
    /// Deviation of the accuracy over seeds.
    pub(crate) deviation: f64,
    /// Correlation of the two recipes' deviations under one seed.
    pub(crate) correlation: f64,
    /// Expected accuracy of the first minus that of the second.
    pub(crate) gap: f64,
}

/// MNIST-like.
pub(crate) const DIGITS: World = World {
    images: 10_000,
    accuracy: 0.992,
    deviation: 0.001,
    correlation: 0.5,
    gap: 0.0,
};

impl World {
    /// Answers of both recipes under `seeds` seeds, to one sample of images.
    pub(crate) fn draw(&self, rng: &mut Rng, seeds: usize) -> (Arm, Arm) {
        let share = 3.0 * (1.0 - self.accuracy);
        let scale = (IMAGE + OWN + REST).sqrt();
        // Change of the accuracy with the latent scale.
        let density = (-0.5 * HARD * HARD).exp() / std::f64::consts::TAU.sqrt();
        let slope = share * density / scale;
        let effects = correlated(rng, seeds, self.correlation);
        let mut answers = vec![[vec![true; self.images], vec![true; self.images]]; seeds];
        for image in 0..self.images {
            if rng.uniform_f64() >= share {
                continue;
            }
            let image_effect = HARD * scale + IMAGE.sqrt() * normal(rng);
            for side in 0..2 {
                let own = image_effect + OWN.sqrt() * normal(rng);
                let gap = if side == 0 { self.gap } else { 0.0 };
                for (seed, effect) in effects.iter().enumerate() {
                    let shift = (gap + self.deviation * effect[side]) / slope;
                    answers[seed][side][image] = own + shift + REST.sqrt() * normal(rng) > 0.0;
                }
            }
        }
        let arm = |side: usize| {
            let runs = answers.iter().enumerate();
            let run = |(seed, sides): (usize, &[Vec<bool>; 2])| {
                Outcome::of_answers(seed as u64, sides[side].as_slice()).unwrap()
            };
            Arm::new("arm", runs.map(run).collect()).unwrap()
        };
        (arm(0), arm(1))
    }
}

/// Standard normal effects of two recipes under the same seeds.
fn correlated(rng: &mut Rng, seeds: usize, correlation: f64) -> Vec<[f64; 2]> {
    let effect = |_| {
        let common = correlation.sqrt() * normal(rng);
        [(); 2].map(|()| common + (1.0 - correlation).sqrt() * normal(rng))
    };
    (0..seeds).map(effect).collect()
}

/// One value a seed and no images, of standard normal seeds.
pub(crate) fn values(rng: &mut Rng, seeds: usize, correlation: f64, gap: f64) -> (Arm, Arm) {
    let effects = correlated(rng, seeds, correlation);
    let arm = |side: usize, gap: f64| {
        let values = effects.iter().enumerate();
        Arm::of_values("arm", values.map(|(s, e)| (s as u64, e[side] + gap))).unwrap()
    };
    (arm(0, gap), arm(1, 0.0))
}

/// Shares of the experiments in which something happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    /// "Reproduced" by Welch's test, by the paired test without the test set, by the paired test with it
    /// and by the moderated paired test with it: everything this crate does.
    pub(crate) welch: f64,
    pub(crate) paired: f64,
    pub(crate) images: f64,
    pub(crate) moderated: f64,
    /// The 90 % interval of the last holds the true gap.
    pub(crate) coverage: f64,
    /// The 90 % percentile bootstrap interval over the seeds' differences does.
    pub(crate) percentile: f64,
}

/// Rates over `count` experiments.
pub(crate) fn rates(world: &World, seeds: usize, count: u64) -> Rates {
    let spread = mean_variance(world, seeds);
    let hits = (0..count).into_par_iter().map(|index| {
        let mut rng = Rng::stream(seeds as u64, "error rates", index);
        experiment(world, seeds, spread, &mut rng)
    });
    let sums = hits.reduce(|| [0.0; 6], |a, b| std::array::from_fn(|i| a[i] + b[i]));
    let [welch, paired, images, moderated, coverage, percentile] =
        sums.map(|sum| sum / count as f64);
    Rates {
        welch,
        paired,
        images,
        moderated,
        coverage,
        percentile,
    }
}

/// Expected sample variance of the differences, from a few experiments.
fn mean_variance(world: &World, seeds: usize) -> f64 {
    let variances = (0..64).into_par_iter().map(|index| {
        let mut rng = Rng::stream(seeds as u64, "spread", index);
        let (a, b) = world.draw(&mut rng, seeds);
        hw_eval::difference_variance(&a, &b).unwrap().value
    });
    variances.sum::<f64>() / 64.0
}

fn experiment(world: &World, seeds: usize, spread: f64, rng: &mut Rng) -> [f64; 6] {
    let (a, b) = world.draw(rng, seeds);
    let bare = |arm: &Arm, first: u64| Arm::of_values("bare", (first..).zip(arm.values())).unwrap();
    let plain = Setting::default();
    let significant = |a: &Arm, b: &Arm, setting: &Setting| {
        let compared = compare(a, b, BETTER, setting).unwrap();
        (
            compared.blocked.is_none() && compared.p.unwrap() < 0.05,
            compared,
        )
    };
    let welch = significant(&bare(&a, 0), &bare(&b, 1000), &plain);
    assert!(
        welch
            .1
            .test
            .is_none_or(|test| matches!(test, Test::Welch { .. }))
    );
    let setting = Setting {
        differences: Some(pool(&a, &b, spread, seeds, rng)),
        ..plain
    };
    let full = significant(&a, &b, &setting);
    let covered = full
        .1
        .interval
        .is_some_and(|interval| interval.contains(world.gap));
    let differences: Vec<f64> = a
        .values()
        .iter()
        .zip(b.values())
        .map(|(a, b)| a - b)
        .collect();
    [
        welch.0,
        significant(&bare(&a, 0), &bare(&b, 0), &plain).0,
        significant(&a, &b, &plain).0,
        full.0,
        covered,
        percentile(&differences, rng).contains(world.gap),
    ]
    .map(|hit| f64::from(u8::from(hit)))
}

/// This comparison's variance and seven of comparisons whose true variances scatter as
/// `8/χ²(10)`.
fn pool(a: &Arm, b: &Arm, spread: f64, seeds: usize, rng: &mut Rng) -> Pooled {
    let freedom = seeds - 1;
    let mut variances = vec![hw_eval::difference_variance(a, b).unwrap()];
    variances.extend((0..7).map(|_| {
        let truth = spread * 8.0 / chi_square(rng, 10);
        Variance {
            value: truth * chi_square(rng, freedom) / freedom as f64,
            degrees_of_freedom: freedom as f64,
        }
    }));
    Pooled::fit(&variances).unwrap()
}

/// What a bootstrap over few seeds claims.
pub(crate) fn percentile(differences: &[f64], rng: &mut Rng) -> hw_eval::Interval {
    let bootstrap = Bootstrap {
        resamples: 200,
        level: 0.9,
        seed: rng.next_u64(),
        method: BootstrapMethod::Percentile,
    };
    let mean = |sample: &[f64]| sample.iter().sum::<f64>() / sample.len() as f64;
    bootstrap.interval(differences, mean).unwrap()
}

/// Chances of at least one false "reproduced" and one false "contradicted" in a family of four
/// comparisons and a best of four, all without a difference.
pub(crate) fn family_rates(seeds: usize, count: u64) -> [f64; 2] {
    let design = Design::once(Alpha::default());
    let hits = (0..count).into_par_iter().map(|index| {
        let mut rng = Rng::stream(seeds as u64, "family", index);
        let mut parts: Vec<Part> = (0..4)
            .map(|_| {
                let (a, b) = values(&mut rng, seeds, 0.5, 0.0);
                compared(&a, &b, &Setting::default())
            })
            .collect();
        let (candidate, first) = values(&mut rng, seeds, 0.5, 0.0);
        let others: Vec<Arm> = (0..2)
            .map(|_| values(&mut rng, seeds, 0.5, 0.0).0)
            .collect();
        let rivals = [(&first, None), (&others[0], None), (&others[1], None)];
        let evidence = best_of(&candidate, &rivals, &Setting::default()).unwrap();
        parts.push(Part::new("best", evidence));
        let judged = judge_family(parts, &design).unwrap();
        let any = |verdict: Verdict| judged.iter().any(|part| part.verdict == verdict);
        [any(Verdict::Reproduced), any(Verdict::Contradicted)].map(|hit| f64::from(u8::from(hit)))
    });
    let sums = hits.reduce(|| [0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
    sums.map(|sum| sum / count as f64)
}

fn compared(a: &Arm, b: &Arm, setting: &Setting) -> Part {
    let comparison = compare(a, b, BETTER, setting).unwrap();
    Part::new("part", Evidence::compared(comparison, None))
}

/// Share of experiments that end with "reproduced", and the mean number of seeds, when seeds are
/// added as `design` says up to `most`.
pub(crate) fn sequential_rates(design: &Design, most: usize, gap: f64, count: u64) -> [f64; 2] {
    let runs = (0..count).into_par_iter().map(|index| {
        let mut rng = Rng::stream(most as u64, "sequential", index);
        let (a, b) = values(&mut rng, most, 0.5, gap);
        let upto =
            |arm: &Arm, seeds: usize| Arm::new("arm", arm.outcomes()[..seeds].to_vec()).unwrap();
        for (look, fraction) in (1..).zip(design.fractions()) {
            let seeds = (fraction * most as f64).round() as usize;
            let setting = Setting::at(design, look).unwrap();
            let compared = compare(&upto(&a, seeds), &upto(&b, seeds), BETTER, &setting).unwrap();
            let level = design.levels()[look - 1];
            if compared.p.unwrap() < level {
                return [1.0, seeds as f64];
            }
            if compared.p_opposite.unwrap() < level {
                return [0.0, seeds as f64];
            }
        }
        [0.0, most as f64]
    });
    let sums = runs.reduce(|| [0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
    sums.map(|sum| sum / count as f64)
}

/// Share of experiments in which a question is answered yes, and no, for a true gap in deviations of
/// a run.
pub(crate) fn question_rates(question: Question, seeds: usize, gap: f64, count: u64) -> [f64; 2] {
    let hits = (0..count).into_par_iter().map(|index| {
        let mut rng = Rng::stream(seeds as u64, "question", index);
        let (a, b) = values(&mut rng, seeds, 0.5, gap);
        let compared = compare(&a, &b, question, &Setting::default()).unwrap();
        [compared.p, compared.p_opposite].map(|p| f64::from(u8::from(p.unwrap() < 0.05)))
    });
    let sums = hits.reduce(|| [0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
    sums.map(|sum| sum / count as f64)
}
