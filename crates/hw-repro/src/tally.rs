//! Honest counts: a value that stands in five tables is one value, and a count of files is no accuracy.

use super::cells::{JudgedCell, Kind, Standing};
use std::collections::HashSet;

/// How many distinct reported values agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agreement {
    pub(crate) agree: usize,
    pub(crate) differ: usize,
    /// Reported, but not to be compared with ours.
    pub(crate) apart: usize,
}

impl Agreement {
    /// "5 of 7".
    pub(crate) fn text(self) -> String {
        if self.agree + self.differ == 0 {
            return "none".into();
        }
        format!("{} of {}", self.agree, self.agree + self.differ)
    }

    /// What is not in it.
    pub(crate) fn rest(self) -> String {
        format!("{} more cannot be compared at this scale", self.apart)
    }
}

/// Counts over the cells of some papers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) accuracies: Agreement,
    pub(crate) counts: Agreement,
    pub(crate) others: Agreement,
    /// Cells with a number of ours.
    pub(crate) filled: usize,
    pub(crate) cells: usize,
}

/// Counts cells; reported values that say the same of the same are one.
pub(crate) fn tally<'a>(cells: impl IntoIterator<Item = &'a JudgedCell>) -> Tally {
    let mut tally = Tally::default();
    let mut seen: HashSet<(&str, &str, &str)> = HashSet::new();
    for cell in cells {
        tally.cells += 1;
        tally.filled += usize::from(cell.mean.is_some());
        let Some(reported) = cell.reported.as_deref() else {
            continue;
        };
        if !seen.insert((&cell.paper, &cell.term, reported)) {
            continue;
        }
        let of_kind = match cell.kind {
            Kind::Accuracy => &mut tally.accuracies,
            Kind::Count => &mut tally.counts,
            Kind::Other => &mut tally.others,
        };
        match cell.verdict {
            Standing::Agrees { .. } => of_kind.agree += 1,
            Standing::Differs { .. } => of_kind.differ += 1,
            _ => of_kind.apart += 1,
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(term: &str, reported: Option<&str>, kind: Kind, agrees: bool) -> JudgedCell {
        let rule = String::new();
        JudgedCell {
            term: term.into(),
            reported: reported.map(Into::into),
            kind,
            mean: Some(0.9),
            verdict: match (reported, agrees) {
                (None, _) => Standing::Ours,
                (_, true) => Standing::Agrees { rule },
                (_, false) => Standing::Differs { by: 0.1, rule },
            },
            ..JudgedCell::default()
        }
    }

    #[test]
    fn a_value_in_five_tables_is_one_and_a_count_is_no_accuracy() {
        let accuracy = cell("a.accuracy", Some("99.22"), Kind::Accuracy, true);
        let cells = [
            accuracy.clone(),
            accuracy.clone(),
            accuracy,
            cell("b.accuracy", Some("98.0"), Kind::Accuracy, false),
            cell("a.parameters", Some("64,851"), Kind::Count, true),
            cell("a.train_loss", None, Kind::Other, false),
        ];
        let tally = tally(&cells);
        assert_eq!((tally.accuracies.agree, tally.accuracies.differ), (1, 1));
        assert_eq!(
            (tally.counts.agree, tally.others),
            (1, Agreement::default())
        );
        assert_eq!((tally.cells, tally.filled), (6, 6));
    }
}
