//! How a failure is told: in one line, with what to do about it, and by the exit status.

use hw_data::{DataError, DatasetId, GlyphSet};
use hw_train::TrainError;
use std::fmt;
use std::process::ExitCode;

/// Something that was asked for makes no sense; nothing was tried.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// 2 for wrong usage, as clap has it; else 1.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
}

/// The error, its causes and what to do, in one line.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let mut line = hw_core::one_line(error.as_ref());
    if let Some(DataError::NotFound { set, .. }) = data_error(error) {
        line += &format!(
            "; or go on without it: --dataset {} draws synthetic images",
            stand_in(set)
        );
    }
    line
}

/// The data error in a chain, also where it is passed on as another crate's.
fn data_error(error: &anyhow::Error) -> Option<&DataError> {
    error
        .chain()
        .find_map(|cause| match cause.downcast_ref::<TrainError>() {
            Some(TrainError::Data(inner)) => Some(inner),
            _ => cause.downcast_ref::<DataError>(),
        })
}

/// The glyphs with the classes of `set`, or all of them.
fn stand_in(set: &str) -> &'static str {
    let classes = set.parse::<DatasetId>().ok().and_then(|id| id.classes());
    let same = |glyphs: &GlyphSet| Some(glyphs.classes()) == classes;
    GlyphSet::ALL
        .into_iter()
        .find(same)
        .unwrap_or(GlyphSet::All)
        .name()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn causes_are_joined_into_one_line_and_none_is_said_twice() {
        let error = anyhow!("disk\nfull")
            .context("cannot write a: disk full")
            .context("saving");
        assert_eq!(one_line(&error), "saving: cannot write a: disk full");
    }

    #[test]
    fn a_set_that_is_not_there_has_a_synthetic_stand_in() {
        assert_eq!(stand_in("mnist"), "glyphs:digits");
        assert_eq!(stand_in("kmnist"), "glyphs:hiragana");
        assert_eq!(stand_in("emnist-byclass"), "glyphs");
        assert_eq!(stand_in("emnist-balanced"), "glyphs");
    }
}
