//! Anchors: plain, and unique in their document.

use crate::document::{Document, Section};
use crate::escape::slug;
use std::collections::BTreeSet;

/// The anchors given out so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids(BTreeSet<String>);

impl Ids {
    /// An anchor made from `wanted` (`fallback` where that is empty), numbered if already taken.
    pub(crate) fn claim(&mut self, wanted: &str, fallback: &str) -> String {
        let base = slug(if wanted.is_empty() { fallback } else { wanted });
        let mut id = base.clone();
        let mut number = 1;
        while !self.0.insert(id.clone()) {
            number += 1;
            id = format!("{base}-{number}");
        }
        id
    }
}

/// A section's place in the table of contents.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) title: String,
    /// 0 for sections, 1 for their subsections, and so on.
    pub(crate) depth: usize,
}

/// All sections in reading order. Sections claim their anchors first, so that a link to one does
/// not depend on the figures before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outline {
    pub(crate) entries: Vec<Entry>,
}

impl Outline {
    pub(crate) fn of(document: &Document, ids: &mut Ids) -> Self {
        let mut outline = Self::default();
        for section in &document.sections {
            outline.add(section, 0, ids);
        }
        outline
    }

    fn add(&mut self, section: &Section, depth: usize, ids: &mut Ids) {
        let wanted = if section.id.is_empty() {
            &section.title
        } else {
            &section.id
        };
        self.entries.push(Entry {
            id: ids.claim(wanted, "section"),
            title: section.title.clone(),
            depth,
        });
        for subsection in &section.subsections {
            self.add(subsection, depth + 1, ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;

    #[test]
    fn a_taken_anchor_is_numbered() {
        let mut ids = Ids::default();
        let claimed: Vec<String> = ["Table 1", "table-1", "", "table-1-2"]
            .iter()
            .map(|wanted| ids.claim(wanted, "section"))
            .collect();
        assert_eq!(claimed, ["table-1", "table-1-2", "section", "table-1-2-2"]);
    }
}
