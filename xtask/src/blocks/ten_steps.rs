//! Ten whole training steps of every network: what trains, end to end.

// What the test of the same name holds, with its tolerances.
#[path = "../../../crates/hw-models/tests/ten_steps/golden.rs"]
#[allow(dead_code)]
mod golden;

use super::rounded_up;
use anyhow::{Result, anyhow};
use candle_core::DType;
use golden::{Case, Golden, LEAST_CHANGE_F32, LEAST_CHANGE_F64};
use golden::{LEARNED, LEARNED_F64, LOSSES, TOLERANCE_F64, WEIGHTS};

/// How the section starts; what follows it is measured by the command alone, since it takes a minute.
pub(super) const TITLE: &str = "## Ten training steps";

fn head() -> String {
    format!(
        "
{TITLE}

Gradient descent with momentum on one batch, from the same weights (`fixtures/models/make_ten_steps.py`): forward
pass, loss, backward pass, update, moving statistics, ten times over. For each network the worst of its tensors
after the last step: first the distance to PyTorch's over the tensor's size (\"weights\"), then over the size of what
the steps added to it (\"learned\", the sharper one, since most of a tensor is still what it was). A tensor that
moved by less than {LEAST_CHANGE_F32:.0e} of its size ({LEAST_CHANGE_F64:.0e} in f64) is measured by that share: a bias before batch
normalization has no gradient, and what is added to it is rounding.

Tolerances of `crates/hw-models/tests/ten_steps/main.rs`:

- f32, weights {WEIGHTS:.0e}: sums in another order differ by 6e-8 of their terms, and ten steps through up to 53
  normalizations over few cells make that some hundred times larger.
- f32, learned {LEARNED:.0e}: PyTorch's own f32 is up to 1.4e-3 from its f64, in biases whose gradient is all rounding.
- f32, losses {LOSSES:.0e}: PyTorch's own f32 is up to 3e-4 from its f64, in resnet50.
- f64, weights and losses {TOLERANCE_F64:.0e}, learned {LEARNED_F64:.0e}: nothing is left but the order of sums, at 1e-16 of their terms, grown as above.

| network | batch | plan, f32: weights | learned | reference, f32: weights | learned | reference, f64: weights | learned |
|---|---|---|---|---|---|---|---|
"
    )
}

/// The section.
pub(super) fn section() -> Result<String> {
    let golden = golden()?;
    let mut text = head();
    for case in &golden.networks {
        let [plan, single, double] = deviations(&golden, case).map_err(|e| anyhow!("{e}"))?;
        let cells = [plan, single, double].map(|off| off.map(rounded_up).join(" | "));
        text += &format!("| {} | {} |\n", start(case), cells.join(" | "));
    }
    Ok(text)
}

fn golden() -> Result<Golden> {
    Golden::read(env!("CARGO_MANIFEST_DIR")).map_err(|e| anyhow!("{e}"))
}

/// The network's name and what it is given.
fn start(case: &Case) -> String {
    let [channels, height, width] = case.input;
    let batch = case.batch;
    format!("{} | {batch} of {height}x{width}x{channels}", case.name)
}

/// Weights and what was learned: of the plan, of the reference, of the reference in f64.
fn deviations(
    golden: &Golden,
    case: &Case,
) -> std::result::Result<[[f64; 2]; 3], Box<dyn std::error::Error>> {
    let plan = golden.by_plan(case)?;
    let single = golden.by_reference(case, DType::F32)?;
    let double = golden.by_reference(case, DType::F64)?;
    let found = [
        plan.deviation(&case.f32, LEAST_CHANGE_F32),
        single.deviation(&case.f32, LEAST_CHANGE_F32),
        double.deviation(&case.f64, LEAST_CHANGE_F64),
    ];
    Ok(found.map(|off| [off.weights.0, off.learned.0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That the numbers are still these is the test of the same name's; here it is the page that is read.
    #[test]
    fn the_page_has_every_network_with_numbers_within_the_tolerances() {
        let page = std::fs::read_to_string(super::super::path()).unwrap();
        assert!(page.contains(&head()), "run `cargo xtask blocks`");
        let limits = [
            WEIGHTS,
            LEARNED,
            WEIGHTS,
            LEARNED,
            TOLERANCE_F64,
            LEARNED_F64,
        ];
        for case in golden().unwrap().networks {
            let start = format!("| {} |", start(&case));
            let line = page.lines().find_map(|line| line.strip_prefix(&start));
            let line = line.unwrap_or_else(|| panic!("{start} is missing"));
            let cells: Vec<&str> = line.trim_end_matches('|').split('|').collect();
            assert_eq!(cells.len(), limits.len(), "{line}");
            for (cell, limit) in cells.iter().zip(limits) {
                let number: f64 = cell.trim().parse().unwrap();
                assert!(number <= limit, "{start}: {cell} is over {limit:e}");
            }
        }
    }
}
