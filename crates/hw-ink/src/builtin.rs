//! The models that come with the binary. How they were made: `cargo xtask train-served`.

use crate::{InkError, Model};

/// Name and file of each, the one to start with first.
const FILES: [(&str, &[u8]); 4] = [
    ("all", include_bytes!("../models/all.safetensors")),
    ("letters", include_bytes!("../models/letters.safetensors")),
    ("digits", include_bytes!("../models/digits.safetensors")),
    ("hiragana", include_bytes!("../models/hiragana.safetensors")),
];

/// The names, the one to start with first.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// The file of the model of that name.
pub fn file(name: &str) -> Option<&'static [u8]> {
    FILES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, bytes)| *bytes)
}

/// The model of that name.
///
/// # Errors
/// [`InkError::Model`] listing the names there are.
pub fn builtin(name: &str) -> Result<Model, InkError> {
    let bytes = file(name).ok_or_else(|| {
        let known: Vec<&str> = names().collect();
        InkError::Model(format!(
            "there is no model '{name}'; there are {}",
            known.join(", ")
        ))
    })?;
    Model::from_bytes(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_model_opens_says_what_it_learned_from_and_all_are_below_a_megabyte() {
        for name in names() {
            let card = builtin(name).unwrap().card;
            assert_eq!(card.name, name);
            assert!(card.trained_on.contains("generated glyphs"));
            let real = card.trained_on.contains("EMNIST ByClass");
            assert_eq!(real, name != "hiragana", "{}", card.trained_on);
            assert!(!card.measured.is_empty());
        }
        assert!(FILES.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() < 1_000_000);
        assert!(
            builtin("greek")
                .unwrap_err()
                .to_string()
                .contains("hiragana")
        );
    }

    #[test]
    fn eight_bits_lose_at_most_two_tenths_of_a_point() {
        for name in names() {
            for measured in builtin(name).unwrap().card.measured {
                let lost = measured.accuracy_f32 - measured.accuracy;
                assert!(lost <= 0.002, "{name} on {}: {lost}", measured.on);
            }
        }
    }
}
