//! Ten training steps of every network of the catalogue, against PyTorch's.

mod golden;

use candle_core::DType;
use golden::Golden;
use hw_models::zoo;

#[test]
fn measure() {
    let golden = Golden::read(env!("CARGO_MANIFEST_DIR")).unwrap();
    for case in &golden.networks {
        let own = case.f32.deviation(&case.f64);
        println!("{} torch's own {own:?}", case.name);
        let clock = std::time::Instant::now();
        match golden.by_plan(case).unwrap() {
            Some(outcome) => println!(
                "  plan {:.1?} {:?}\n    f64 {:?}",
                clock.elapsed(),
                outcome.deviation(&case.f32),
                outcome.deviation(&case.f64)
            ),
            None => println!("  no plan"),
        }
        let clock = std::time::Instant::now();
        let outcome = golden.by_reference(case, DType::F32).unwrap();
        println!(
            "  reference {:.1?} {:?}\n    f64 {:?}",
            clock.elapsed(),
            outcome.deviation(&case.f32),
            outcome.deviation(&case.f64)
        );
    }
}
