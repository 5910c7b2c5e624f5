//! The answer a page opens with: how many claims got which verdict.

use crate::badge::BadgeKind;
use crate::document::Text;

/// How many claims got which verdict, as a sentence over a bar of the counts; one for each paper.
///
/// ```
/// use hw_report::{Answer, BadgeKind};
/// let answer = Answer::new([(BadgeKind::Good, 3), (BadgeKind::Bad, 1), (BadgeKind::Muted, 0)]);
/// assert_eq!(answer.sentence.to_plain(), "Of 4 claims, 3 reproduced, 1 contradicted.");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Whom it speaks of, such as a link to a paper's section; empty for none.
    pub title: Text,
    /// The counts in words, each with its sign.
    pub sentence: Text,
    /// A second, small line: data, sizes, seeds; empty for none.
    pub note: Text,
    /// The counts in the order of [`BadgeKind::ALL`], without zeros.
    counts: Vec<(BadgeKind, usize)>,
}

impl Answer {
    /// An answer with the sentence that these counts make.
    pub fn new(counts: impl IntoIterator<Item = (BadgeKind, usize)>) -> Self {
        let given: Vec<(BadgeKind, usize)> = counts.into_iter().collect();
        let sum = |kind: BadgeKind| -> usize {
            let of_kind = given.iter().filter(|(of, _)| *of == kind);
            of_kind.fold(0, |sum, (_, count)| sum.saturating_add(*count))
        };
        let summed = BadgeKind::ALL.map(|kind| (kind, sum(kind)));
        let counts: Vec<_> = summed.into_iter().filter(|(_, count)| *count > 0).collect();
        Self {
            sentence: sentence(&counts),
            counts,
            ..Self::default()
        }
    }

    /// The same answer under a title.
    pub fn title(mut self, text: impl Into<Text>) -> Self {
        self.title = text.into();
        self
    }

    /// The same answer with a sentence of your own.
    pub fn sentence(mut self, text: impl Into<Text>) -> Self {
        self.sentence = text.into();
        self
    }

    /// The same answer with a small second line.
    pub fn note(mut self, text: impl Into<Text>) -> Self {
        self.note = text.into();
        self
    }

    /// The counts in the order of [`BadgeKind::ALL`], without zeros.
    pub fn counts(&self) -> &[(BadgeKind, usize)] {
        &self.counts
    }

    /// How many claims there are.
    pub fn total(&self) -> usize {
        let counts = self.counts.iter().map(|(_, count)| *count);
        counts.fold(0, usize::saturating_add)
    }

    /// The bar in words: "3 reproduced, 1 contradicted".
    pub(crate) fn bar_words(&self) -> String {
        let words = |(kind, count): &(BadgeKind, usize)| format!("{count} {}", kind.label());
        self.counts.iter().map(words).collect::<Vec<_>>().join(", ")
    }

    /// The bar in characters, one sign a claim; `None` where they would be too many to take in.
    pub(crate) fn bar_signs(&self) -> Option<String> {
        let signs = self
            .counts
            .iter()
            .flat_map(|&(kind, count)| std::iter::repeat_n(kind.sign(), count));
        (1..=40).contains(&self.total()).then(|| signs.collect())
    }
}

fn sentence(counts: &[(BadgeKind, usize)]) -> Text {
    let total = counts
        .iter()
        .fold(0usize, |sum, (_, count)| sum.saturating_add(*count));
    let start = match total {
        0 => return Text::from("No claim was checked."),
        1 => "Of 1 claim".to_owned(),
        _ => format!("Of {total} claims"),
    };
    let listed = counts
        .iter()
        .fold(Text::from(start), |text, (kind, count)| {
            text.plain(", ")
                .badge(*kind, format!("{count} {}", kind.label()))
        });
    listed.plain(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_and_listed_from_reproduced_to_not_run() {
        let answer = Answer::new([
            (BadgeKind::Muted, 1),
            (BadgeKind::Good, 2),
            (BadgeKind::TooSmall, 0),
            (BadgeKind::Good, 1),
        ]);
        assert_eq!(
            answer.counts(),
            [(BadgeKind::Good, 3), (BadgeKind::Muted, 1)]
        );
        assert_eq!(answer.total(), 4);
        assert_eq!(answer.bar_words(), "3 reproduced, 1 not run");
        assert_eq!(answer.bar_signs().as_deref(), Some("✓✓✓○"));
    }

    #[test]
    fn without_claims_or_with_one_the_sentence_is_still_english() {
        let words = |counts: Vec<(BadgeKind, usize)>| Answer::new(counts).sentence.to_plain();
        assert_eq!(words(vec![]), "No claim was checked.");
        assert_eq!(
            words(vec![(BadgeKind::Bad, 1)]),
            "Of 1 claim, 1 contradicted."
        );
    }

    #[test]
    fn a_huge_count_neither_overflows_nor_fills_the_page() {
        let answer = Answer::new([(BadgeKind::Good, usize::MAX), (BadgeKind::Bad, 7)]);
        assert_eq!(answer.total(), usize::MAX);
        assert_eq!(answer.bar_signs(), None);
    }
}
