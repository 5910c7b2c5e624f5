//! Update rules, each in a file of its own with its constants, mathematics, state and help text, and the
//! state that a run must carry to the bit.
//!
//! A rule implements [`UpdateRule`]. Ours are in one list below; another crate adds its own with
//! [`register`].

pub mod adagrad;
pub mod adam;
pub mod adamax;
pub mod adamw;
mod forms;
mod handle;
pub mod lion;
pub mod momentum;
pub mod nadam;
pub mod rmsprop;
mod rule;
pub mod sgd;
mod state;

pub use handle::Optimizer;
pub use rule::{Constant, Range, Step, UpdateRule};
pub use state::OptimizerState;

use hw_core::{RegisterError, Registry};
use std::sync::LazyLock;

/// Our rules, with their default constants.
static BUILT_IN: LazyLock<Vec<Optimizer>> = LazyLock::new(|| {
    vec![
        Optimizer::new(sgd::Sgd::default()),
        Optimizer::new(momentum::Momentum::default()),
        Optimizer::new(momentum::Nesterov::default()),
        Optimizer::new(adagrad::Adagrad::default()),
        Optimizer::new(rmsprop::Rmsprop::default()),
        Optimizer::new(adam::Adam::default()),
        Optimizer::new(adamw::Adamw::default()),
        Optimizer::new(adamax::Adamax::default()),
        Optimizer::new(nadam::Nadam::default()),
        Optimizer::new(lion::Lion::default()),
    ]
});

/// The rules of other crates.
static REGISTERED: Registry<Optimizer> = Registry::new("optimizer", |name| {
    BUILT_IN.iter().any(|rule| rule.name() == name)
});

/// Adds a rule, whose default constants are `rule`'s, to those that are found by name: on the command
/// line, in configurations and checkpoints, and in the lists of what there is. To be called when the
/// program starts.
///
/// # Errors
/// [`RegisterError`] when the name is taken or cannot be written on a command line, or when the rule is
/// not read from its own JSON form, as [`UpdateRule`] describes it.
pub fn register<const SLOTS: usize, R: UpdateRule<SLOTS>>(rule: R) -> Result<(), RegisterError> {
    let rule = Optimizer::new(rule);
    rule.probe()
        .map_err(|problem| REGISTERED.unfit(rule.name(), problem))?;
    REGISTERED.add(Box::leak(Box::new(rule)))
}
