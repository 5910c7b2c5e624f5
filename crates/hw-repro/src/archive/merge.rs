//! One archive from several, of the same reproduction on many machines.

use super::compact::lossless;
use super::error::ArchiveError;
use super::record::{CameOfIt, Record, Tested};
use super::store::Archive;
use crate::command::Finished;
use crate::error::ReproError;
use hw_eval::looks::Look;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// Writes to `target` what the archives in `folders` hold together.
///
/// # Errors
/// The first archive or run that is damaged or does not fit.
pub(crate) fn merge(target: &Path, folders: &[PathBuf]) -> Result<Finished, ReproError> {
    let mut all: Option<Archive> = None;
    let mut notes = Vec::new();
    // What is in the target already counts as one more.
    let there = target.join(super::manifest::MANIFEST).exists();
    let own = there.then(|| target.to_path_buf());
    for folder in own.iter().chain(folders) {
        let archive = Archive::open(folder)?;
        all = Some(match all {
            None => archive,
            Some(known) => {
                let (joined, kept) = join(known, archive, folder)?;
                notes.extend(kept);
                joined
            }
        });
    }
    let Some(mut all) = all else {
        return Err(ReproError::Usage(
            "--merge: name the archives to merge".into(),
        ));
    };
    let written = all.write(target)?;
    for note in notes {
        eprintln!("{note}");
    }
    let (path, size) = (target.display(), hw_report::format::bytes(written.bytes));
    eprintln!("archive: {path}, {} runs, {size}", written.runs);
    Ok(Finished::nothing())
}

/// Both together, and what is to be said of runs that both have; `other` is in `folder`.
///
/// # Errors
/// When they are not of the same reproduction or data, or one run has two results.
pub(crate) fn join(
    mut known: Archive,
    other: Archive,
    folder: &Path,
) -> Result<(Archive, Vec<String>), ArchiveError> {
    known.manifest.of.check_same(folder, &other.manifest.of)?;
    known.check_data(folder, &other)?;
    let mut notes = BTreeMap::new();
    for (run, record) in other.records {
        let joined = match known.records.remove(&run) {
            None => record,
            Some(own) => {
                let (kept, note) = one_of(own, record, folder)?;
                *notes.entry(note).or_insert(0) += 1;
                kept
            }
        };
        known.records.insert(run, joined);
    }
    let mut sets = known.manifest.sets;
    for set in other.manifest.sets {
        if !sets.iter().any(|known| known.set == set.set) {
            sets.push(set);
        }
    }
    known.manifest.sets = sets;
    add_looks(&mut known.looks, other.looks);
    let notes = notes.into_iter().map(|(note, runs)| {
        let plural = if runs == 1 { "" } else { "s" };
        format!("{}: {runs} run{plural} {note}", folder.display())
    });
    Ok((known, notes.collect()))
}

/// Which of two records of one run is kept, and why.
fn one_of(own: Record, other: Record, folder: &Path) -> Result<(Record, String), ArchiveError> {
    let failed = |record: &Record| matches!(record.came_of_it, CameOfIt::Failed { .. });
    let [kept, left] = [&own, &other].map(|record| record.machine.processor.clone());
    match (failed(&own), failed(&other)) {
        // A full disk, say, is no result.
        (true, false) => return Ok((other, format!("failed on {kept}; kept from {left}"))),
        (false, true) => return Ok((own, format!("failed on {left}; kept from {kept}"))),
        _ => {}
    }
    match difference(&own, &other) {
        None => Ok((
            own.completed_by(other),
            format!("in both archives; kept from {kept}"),
        )),
        Some(what) if kept == left => Err(ArchiveError::Differs {
            path: folder.into(),
            run: own.run,
            processor: kept,
            what,
        }),
        Some(what) => {
            let note = format!("kept from {kept}; from {left}, with {what}, left out");
            Ok((own, note))
        }
    }
}

/// Looks that are not there yet, in the order of their times.
fn add_looks(known: &mut Vec<Look>, more: Vec<Look>) {
    for look in more {
        if !known.iter().any(|other| other.repeats(&look)) {
            known.push(look);
        }
    }
    known.sort_by(|a, b| a.time.cmp(&b.time));
}

/// In what two records of one run differ, times apart.
fn difference(one: &Record, other: &Record) -> Option<String> {
    if let (Some(a), Some(b)) = (&one.weights, &other.weights)
        && a != b
    {
        return Some("other weights".into());
    }
    match (&one.came_of_it, &other.came_of_it) {
        (CameOfIt::Tested(a), CameOfIt::Tested(b)) => {
            let (a, b) = (&a.result, &b.result);
            if a.tested != b.tested {
                return (untimed(one) != untimed(other)).then(|| "another history".into());
            }
            if a.answers != b.answers || a.metrics != b.metrics {
                return Some("other answers to its test images".into());
            }
            for variant in &a.variants {
                let mut same = b.variants.iter();
                let same = same.find(|other| other.declared == variant.declared);
                if same.is_some_and(|other| other.answers != variant.answers) {
                    return Some(format!("other answers to the variant {}", variant.id));
                }
            }
            (untimed(one) != untimed(other)).then(|| "another history".into())
        }
        (CameOfIt::Searched { accuracy: a, .. }, CameOfIt::Searched { accuracy: b, .. })
            if a == b =>
        {
            (untimed(one) != untimed(other)).then(|| "another history".into())
        }
        (CameOfIt::Failed { .. }, CameOfIt::Failed { .. }) => None,
        _ => Some("another outcome".into()),
    }
}

/// The epochs without times, and without losses that a record does not keep.
fn untimed(record: &Record) -> Value {
    let mut history = lossless(&record.history());
    for epoch in history.as_array_mut().into_iter().flatten() {
        for field in [
            "seconds",
            "images_per_second",
            "partial",
            "load",
            "last_losses",
        ] {
            epoch[field] = json!(null);
        }
    }
    history
}

impl Record {
    /// This record, with what it lacks and another record of the same run has.
    pub(crate) fn completed_by(mut self, other: Self) -> Self {
        self.weights = self.weights.or(other.weights);
        let other_also = other.also;
        if let (CameOfIt::Tested(own), CameOfIt::Tested(other)) =
            (&mut self.came_of_it, other.came_of_it)
        {
            let mut all: Vec<Tested> = vec![*other];
            all.extend(other_also);
            for other in all {
                let tested = other.result.tested;
                let same = |known: &Tested| known.result.tested == tested;
                if same(own) {
                    own.complete(other);
                } else if let Some(known) = self.also.iter_mut().find(|known| same(known)) {
                    known.complete(other);
                } else {
                    self.also.push(other);
                }
            }
            // In an order that does not depend on who came first.
            self.also.sort_by_key(|known| known.result.tested);
        }
        self
    }
}

impl Tested {
    fn complete(&mut self, other: Self) {
        for variant in other.result.variants {
            let same = |known: &crate::results::VariantResult| known.declared == variant.declared;
            if !self.result.variants.iter().any(same) {
                self.result.variants.push(variant);
            }
        }
        let measured: HashSet<&String> = self.result.variants.iter().map(|v| &v.id).collect();
        self.broken.retain(|(id, _)| !measured.contains(id));
        self.rates = self.rates.take().or(other.rates);
        self.map = self.map.take().or(other.map);
    }
}
