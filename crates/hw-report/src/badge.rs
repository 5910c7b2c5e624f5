//! Verdicts: what each is called, and the sign, color and shape it is shown with.

/// A verdict on a claim. Sign and words say the same as the color, which differs between any two
/// kinds under all common color vision deficiencies (`tests/palette.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BadgeKind {
    /// Reproduced: a check mark.
    Good,
    /// Contradicted: a cross.
    Bad,
    /// Within noise: an "almost equal" sign.
    Neutral,
    /// Undecidable as reported, because the paper leaves out what it depends on: a question mark.
    Undecidable,
    /// Run, but at a size too small to decide: a circle filled by a quarter.
    TooSmall,
    /// Not run: an empty circle.
    Muted,
}

impl BadgeKind {
    /// All kinds, from the best to the least known.
    pub const ALL: [Self; 6] = [
        Self::Good,
        Self::Bad,
        Self::Neutral,
        Self::Undecidable,
        Self::TooSmall,
        Self::Muted,
    ];

    /// The sign as a character.
    pub fn sign(self) -> char {
        match self {
            Self::Good => '✓',
            Self::Bad => '✗',
            Self::Neutral => '≈',
            Self::Undecidable => '?',
            Self::TooSmall => '◔',
            Self::Muted => '○',
        }
    }

    /// The verdict in words, as a claim is given it: "too small to decide".
    pub fn label(self) -> &'static str {
        match self {
            Self::Good => "reproduced",
            Self::Bad => "contradicted",
            Self::Neutral => "within noise",
            Self::Undecidable => "undecidable as reported",
            Self::TooSmall => "too small to decide",
            Self::Muted => "not run",
        }
    }

    /// The class that gives it its color (`style/plot.css`).
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Neutral => "neutral",
            Self::Undecidable => "undecidable",
            Self::TooSmall => "toosmall",
            Self::Muted => "muted",
        }
    }

    /// The sign as the data of a stroked SVG path, in a box of 12 by 12.
    pub(crate) fn stroke(self) -> &'static str {
        match self {
            Self::Good => "M2.5 6.5 5 9l4.5-6",
            Self::Bad => "M3 3l6 6M9 3 3 9",
            Self::Neutral => "M2 4.7q2-1.8 4 0t4 0M2 8.3q2-1.8 4 0t4 0",
            Self::Undecidable => "M3.7 4.1a2.3 2.3 0 1 1 3.5 2Q6 6.8 6 7.7M6 10.4v.1",
            Self::TooSmall => {
                "M10.3 6a4.3 4.3 0 1 1-8.6 0a4.3 4.3 0 1 1 8.6 0zM6.5 5.5V3.6q1.7.2 1.9 1.9z"
            }
            Self::Muted => "M9.2 6a3.2 3.2 0 1 1-6.4 0a3.2 3.2 0 1 1 6.4 0z",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BadgeKind;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_verdicts_share_a_sign_a_word_a_color_or_a_drawing() {
        let distinct = |text: fn(BadgeKind) -> String| {
            BadgeKind::ALL
                .map(text)
                .into_iter()
                .collect::<BTreeSet<_>>()
                .len()
        };
        assert_eq!(distinct(|kind| kind.sign().to_string()), 6);
        assert_eq!(distinct(|kind| kind.label().to_owned()), 6);
        assert_eq!(distinct(|kind| kind.class().to_owned()), 6);
        assert_eq!(distinct(|kind| kind.stroke().to_owned()), 6);
    }
}
