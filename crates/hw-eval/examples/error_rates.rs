//! How often the instrument errs, counted in experiments whose truth is known:
//! `cargo run --release -p hw-eval --example error_rates [EXPERIMENTS]` prints tables for 1000
//! experiments a row, or as many as given.

#[path = "../tests/simulation/mod.rs"]
mod simulation;

use hw_eval::{Alpha, Design, EvalError, Question, Spending};
use simulation::{DIGITS, World, family_rates, question_rates, rates, sequential_rates};

/// EMNIST-like, a sixth of it.
const LETTERS: World = World {
    images: 16_617,
    accuracy: 0.85,
    ..DIGITS
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 1000,
    };
    comparisons(
        "10,000 images at 99.2 %, seeds deviate by .1 points",
        &DIGITS,
        count,
    );
    comparisons(
        "16,617 images at 85 %, seeds deviate by .1 points",
        &LETTERS,
        count,
    );
    families(count);
    sequential(count)?;
    equivalence(count);
    Ok(())
}

fn comparisons(title: &str, world: &World, count: u64) {
    println!("\n{title}; share \"reproduced\" at alpha .05, true gap 0 | .2 points\n");
    println!(
        "seeds  icc  Welch          paired         + images       + pooled       90 % interval, percentile"
    );
    for correlation in [0.0, 0.5, 0.9] {
        for seeds in [2, 3, 5, 10] {
            let null = World {
                correlation,
                ..*world
            };
            let apart = World { gap: 0.002, ..null };
            let (null, apart) = (rates(&null, seeds, count), rates(&apart, seeds, count));
            let pair = |a: f64, b: f64| format!("{a:.3} | {b:.3}  ");
            println!(
                "{seeds:>5}  {correlation:.1}  {}{}{}{}{:.3}          {:.3}",
                pair(null.welch, apart.welch),
                pair(null.paired, apart.paired),
                pair(null.images, apart.images),
                pair(null.moderated, apart.moderated),
                null.coverage,
                null.percentile,
            );
        }
    }
}

fn families(count: u64) {
    println!("\nFour comparisons and a best of four without any difference: any false verdict\n");
    println!("seeds  reproduced  contradicted");
    for seeds in [2, 3, 5, 10] {
        let [reproduced, contradicted] = family_rates(seeds, 4 * count);
        println!("{seeds:>5}  {reproduced:.3}       {contradicted:.3}");
    }
}

fn sequential(count: u64) -> Result<(), EvalError> {
    println!("\nLooks after 3, 6 and 9 seeds; gaps in deviations of a run, icc .5\n");
    println!("spending        false  seeds   power at 1  seeds");
    let thirds = [1.0 / 3.0, 2.0 / 3.0, 1.0];
    for (name, fractions, spending) in [
        ("one look", &thirds[2..], Spending::OBrienFleming),
        ("O'Brien-Fleming", &thirds[..], Spending::OBrienFleming),
        ("Pocock", &thirds[..], Spending::Pocock),
    ] {
        let design = Design::new(fractions, Alpha::default(), spending)?;
        let [wrong, idle] = sequential_rates(&design, 9, 0.0, 4 * count);
        let [power, used] = sequential_rates(&design, 9, 1.0, 4 * count);
        println!("{name:<15} {wrong:.3}  {idle:>4.1}    {power:.3}       {used:.1}");
    }
    Ok(())
}

fn equivalence(count: u64) {
    println!("\nAbout 0, give or take 1.5 deviations of a run; icc .5; share yes | no\n");
    println!("seeds  gap 0          gap 1.5 (the end)  gap 4");
    let question = Question::About {
        expected: 0.0,
        margin: 1.5,
    };
    for seeds in [2, 3, 5, 10] {
        let cell = |gap| {
            let [yes, no] = question_rates(question, seeds, gap, 4 * count);
            format!("{yes:.3} | {no:.3}")
        };
        println!(
            "{seeds:>5}  {}  {}      {}",
            cell(0.0),
            cell(1.5),
            cell(4.0)
        );
    }
}
