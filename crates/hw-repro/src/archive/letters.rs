//! Numbers as letters: one of 64 letters is six bits. Compression finds the few that are frequent, and a
//! record stays text.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The log-odds of the lowest level.
pub(crate) const LOWEST: f64 = -4.0;
/// Log-odds between two levels.
pub(crate) const STEP: f64 = 0.25;
/// Levels, from [`LOWEST`] to 11.75.
pub(crate) const LEVELS: u8 = 64;
/// Bits of a number that one letter of a sequence holds; the sixth says that more follow.
const BITS: u32 = 5;

/// How sure a network was of each of its answers: log-odds of the largest probability, rounded to the
/// nearest level. As text it is one letter an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confidences(Vec<u8>);

impl Confidences {
    pub(crate) fn of(probabilities: &[f32]) -> Self {
        Self(probabilities.iter().map(|&p| level(f64::from(p))).collect())
    }

    #[cfg(test)]
    /// The probabilities, as far as the levels tell.
    pub(crate) fn probabilities(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        let odds = self.0.iter().map(|&level| LOWEST + STEP * f64::from(level));
        odds.map(|odds| 1.0 / (1.0 + (-odds).exp()))
    }
}

/// The level nearest to a probability; those beyond the scale are at its ends.
fn level(probability: f64) -> u8 {
    let odds = (probability / (1.0 - probability)).ln();
    // A float becomes the nearest integer that there is, and no number becomes 0.
    (((odds - LOWEST) / STEP).round() as u8).min(LEVELS - 1)
}

impl Serialize for Confidences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let letter = |level: &u8| char::from(LETTERS[usize::from(*level) % LETTERS.len()]);
        serializer.serialize_str(&self.0.iter().map(letter).collect::<String>())
    }
}

impl<'de> Deserialize<'de> for Confidences {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let levels = text.bytes().map(|letter| value(letter).map(|v| v as u8));
        let levels: Option<Vec<u8>> = levels.collect();
        levels
            .map(Self)
            .ok_or_else(|| D::Error::custom("a confidence is none of the 64 letters"))
    }
}

fn value(letter: u8) -> Option<u32> {
    let place = LETTERS.iter().position(|known| *known == letter)?;
    Some(place as u32)
}

/// Small numbers as letters: five bits each, lowest first, the sixth bit set where more follow.
pub(crate) fn write_numbers(numbers: impl IntoIterator<Item = u32>) -> String {
    let mut text = String::new();
    for mut number in numbers {
        loop {
            let low = number & ((1 << BITS) - 1);
            number >>= BITS;
            let more = u32::from(number > 0) << BITS;
            text.push(char::from(LETTERS[(low | more) as usize]));
            if number == 0 {
                break;
            }
        }
    }
    text
}

/// The numbers that [`write_numbers`] wrote; `None` where the text is none of it.
pub(crate) fn read_numbers(text: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    let (mut number, mut shift) = (0u32, 0);
    for letter in text.bytes() {
        let six = value(letter)?;
        let low = six & ((1 << BITS) - 1);
        number |= low.checked_shl(shift).filter(|&v| v >> shift == low)?;
        if six >> BITS == 1 {
            shift += BITS;
        } else {
            numbers.push(number);
            (number, shift) = (0, 0);
        }
    }
    (shift == 0).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_small_ones_are_one_letter() {
        let numbers = [0, 1, 31, 32, 1023, 1024, 116_322, u32::MAX];
        let text = write_numbers(numbers);
        assert_eq!(read_numbers(&text).unwrap(), numbers);
        assert_eq!(write_numbers([0, 31]).len(), 2);
        for wrong in ["!", "g", "////////A"] {
            assert_eq!(read_numbers(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_confidence_comes_back_within_half_a_step_of_log_odds() {
        let given = [0.02f32, 0.1, 0.5, 0.77, 0.999, 0.99999];
        let kept = Confidences::of(&given);
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(text.len(), given.len() + 2);
        let back: Confidences = serde_json::from_str(&text).unwrap();
        let odds = |p: f64| (p / (1.0 - p)).ln();
        for (given, back) in given.iter().zip(back.probabilities()) {
            let apart = odds(f64::from(*given)) - odds(back);
            assert!(apart.abs() <= STEP / 2.0 + 1e-9, "{given} became {back}");
        }
        let ends = Confidences::of(&[0.0, 1.0, f32::NAN]);
        assert_eq!(ends.0, [0, LEVELS - 1, 0]);
        assert!(serde_json::from_str::<Confidences>("\"a-\"").is_err());
    }
}
