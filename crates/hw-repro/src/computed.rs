//! On what machines and by which computation the results of a report were made.

use super::results::JobResult;
use hw_report::{Block, Cell, Column, Notice, NoticeKind, Section, Table, format};
use hw_train::{Computation, Machine};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// One machine and one computation, with how many of the runs are theirs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ComputedBy {
    pub(crate) processor: String,
    pub(crate) threads: usize,
    pub(crate) system: String,
    pub(crate) computation: Computation,
    /// Different runs that it made.
    pub(crate) runs: usize,
    /// Rates of training that were taken on it, alone, for claims about time.
    pub(crate) rates: usize,
}

/// Every machine and computation among the results, the one with most runs first.
pub(crate) fn computed_by<'a>(results: impl IntoIterator<Item = &'a JobResult>) -> Vec<ComputedBy> {
    type Key = (String, usize, String, Computation);
    let key = |machine: &Machine, computation: &Computation| -> Key {
        let Machine {
            processor,
            threads,
            system,
        } = machine.clone();
        (processor, threads, system, computation.clone())
    };
    let mut counts: BTreeMap<Key, (HashSet<&str>, usize)> = BTreeMap::new();
    for job in results {
        for seed in &job.seeds {
            let by = counts.entry(key(&seed.machine, &seed.computation));
            by.or_default().0.insert(&seed.run);
        }
        if let (Some(rates), Some(seed)) = (&job.rates, job.seeds.first()) {
            let by = counts.entry(key(&rates.machine, &seed.computation));
            by.or_default().1 += 1;
        }
    }
    let named = |((processor, threads, system, computation), (runs, rates)): (
        Key,
        (HashSet<&str>, usize),
    )| {
        ComputedBy {
            processor,
            threads,
            system,
            computation,
            runs: runs.len(),
            rates,
        }
    };
    let mut all: Vec<ComputedBy> = counts.into_iter().map(named).collect();
    all.sort_by_key(|by| std::cmp::Reverse(by.runs));
    all
}

/// What is said in front of a report whose results are not all of this program's computation.
pub(crate) fn notice(all: &[ComputedBy]) -> Option<Notice> {
    let versions: BTreeSet<String> = all
        .iter()
        .map(|by| by.computation.named().to_string())
        .collect();
    let older = all.iter().any(|by| !by.computation.is_current());
    let now = Computation::VERSION;
    let text = match (versions.len(), older) {
        (0 | 1, false) => return None,
        (0 | 1, true) => format!(
            "Every result of ours is of another version of the computation than this program's ({now}): {}. Run \
             again, it can differ in its last bits.",
            versions.into_iter().collect::<String>()
        ),
        (count, _) => format!(
            "Results of {count} ways to compute stand side by side here: {}. Equal runs can differ in their last \
             bits between them.",
            versions.into_iter().collect::<Vec<_>>().join("; ")
        ),
    };
    Some(Notice::new(NoticeKind::Warning, text))
}

/// The machines, a row each.
pub(crate) fn section(all: &[ComputedBy]) -> Section {
    let columns = vec![
        Column::text("processor"),
        Column::number("threads a run"),
        Column::text("system"),
        Column::text("computation"),
        Column::number("runs"),
        Column::number("rates taken alone"),
    ];
    let mut table = Table::new("What computed these results", columns);
    for by in all {
        table = table.row(vec![
            Cell::new(by.processor.as_str()),
            Cell::new(by.threads.to_string()),
            Cell::new(by.system.as_str()),
            Cell::new(by.computation.to_string()),
            Cell::new(format::count(by.runs as u64)),
            Cell::new(format::count(by.rates as u64)),
        ]);
    }
    let table = table.note(
        "The same kind of processor and the same version of the computation give the same bits, on any number of \
         threads.",
    );
    Section::new("Machines", vec![Block::Table(table)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(version: u32, processor: &str) -> ComputedBy {
        ComputedBy {
            processor: processor.into(),
            threads: 1,
            system: "linux x86_64".into(),
            computation: Computation {
                version,
                precision: "f32".into(),
                device: "cpu".into(),
            },
            runs: 1,
            rates: 0,
        }
    }

    #[test]
    fn other_versions_of_the_computation_are_never_mixed_in_silence() {
        let now = Computation::VERSION;
        assert!(notice(&[]).is_none());
        assert!(notice(&[by(now, "A"), by(now, "B")]).is_none());
        let text = |all: &[ComputedBy]| notice(all).unwrap().text.to_plain();
        let old = text(&[by(1, "A")]);
        assert!(old.starts_with("Every result"), "{old}");
        let mixed = text(&[by(now, "A"), by(1, "A")]);
        assert!(mixed.starts_with("Results of 2 ways"), "{mixed}");
        let page = section(&[by(1, "A"), by(now, "B")]);
        let Block::Table(table) = &page.blocks[0] else {
            panic!("a table");
        };
        assert_eq!(table.rows.len(), 2);
    }
}
