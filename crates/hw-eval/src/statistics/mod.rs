//! Means, intervals and tests over seeds and over test sets.
//!
//! Two kinds of noise matter and are kept apart. *Between seeds*: the same training with another
//! initialisation and order; [`Summary`], [`TTest`] and [`spearman`] work on one number a seed.
//! *Test set*: other images of the same kind would have given another accuracy; the Wilson
//! interval, [`TwoProportionTest`], [`PairedOutcomes`] (McNemar) and [`Bootstrap`] work on images.

mod binomial;
mod bootstrap;
mod crossed;
pub(crate) mod distributions;
pub(crate) mod error_law;
mod holm;
mod mcnemar;
mod pooled;
mod proportions;
pub(crate) mod quantile;
pub(crate) mod root;
mod spearman;
mod summary;
mod t_test;
mod trigamma;

pub use bootstrap::{Bootstrap, BootstrapMethod};
pub use crossed::{Components, Crossed, HierarchicalBootstrap};
pub use holm::holm;
pub use mcnemar::{McNemarTest, PairedOutcomes};
pub use pooled::{Pooled, Variance};
pub use proportions::{OneProportionTest, Proportion, TwoProportionTest};
pub use quantile::quantile;
pub use spearman::{Spearman, spearman};
pub use summary::{Summary, mean, sample_std};
pub use t_test::{TTest, one_sample_t_test, paired_t_test, welch_t_test};
