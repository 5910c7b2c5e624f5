//! A sweep as records of its runs without weights: the report follows from them without training.

use super::agenda::config_of;
use super::decide::Purpose;
use super::plan::Sweep;
use super::results::{Ended, Kept, Results};
use crate::archive::{
    Archive, CameOfIt, Manifest, Record, Reproduction, Tested, Written, keep_in, weights,
};
use crate::data::DataCache;
use crate::error::ReproError;
use anyhow::Result;
use hw_core::files::sha256_hex;
use hw_data::Split;
use hw_eval::looks::Look;
use hw_train::checkpoint::BEST;
use hw_train::run::read_run;
use hw_train::{Computation, DataStamp, Machine};
use std::path::Path;

/// Which sweep an archive is of.
fn identity(sweep: &Sweep) -> Reproduction {
    let text = serde_json::to_vec(sweep).expect("a sweep is JSON");
    Reproduction {
        sweep: Some(format!("{} ({})", sweep.name, &sha256_hex(&text)[..16])),
        ..Reproduction::default()
    }
}

/// Keeps the runs of a sweep in `folder`, with what an archive of the same sweep there already holds.
///
/// # Errors
/// When the folder holds something else, or a file cannot be read or written.
pub(crate) fn keep(
    folder: &Path,
    sweep: &Sweep,
    results: &Results,
    data: &DataCache,
    out: &Path,
    looks: Vec<Look>,
) -> Result<Written> {
    let mut archive = Archive::new(Manifest::new(identity(sweep), Vec::new()));
    for (purpose, ended) in results.all() {
        let record = record(sweep, *purpose, ended, data, out)?;
        // A run of the winner that searched as well is kept as what was tested.
        let known = archive.records.get(&record.run);
        if known.is_none_or(|known| known.tested().is_none()) {
            archive.records.insert(record.run.clone(), record);
        }
    }
    archive.looks = looks;
    keep_in(folder, archive)
}

fn record(
    sweep: &Sweep,
    purpose: Purpose,
    ended: &Ended,
    data: &DataCache,
    out: &Path,
) -> Result<Record> {
    let config = config_of(sweep, purpose);
    let train = data.get(&config.dataset, Split::Train)?;
    let run = data.run_id(&config)?;
    let folder = out.join("runs").join(&run);
    let file = read_run(&folder);
    let best = folder.join(BEST);
    let weights = match best.exists() {
        true => Some(weights::hash(&best).map_err(ReproError::from)?),
        false => None,
    };
    let (machine, computation) = match file {
        Some(file) => (file.machine, file.computation),
        None => (Machine::current(), Computation::of(&config)),
    };
    Ok(Record {
        run,
        config,
        data: DataStamp::of(&train),
        machine,
        computation,
        weights,
        also: Vec::new(),
        came_of_it: match ended {
            Ended::Searched(searched) => {
                let mut history = searched.history.clone();
                history
                    .iter_mut()
                    .for_each(|epoch| epoch.last_losses.clear());
                CameOfIt::Searched {
                    accuracy: searched.scores.accuracy,
                    history,
                }
            }
            Ended::Tested(result) => CameOfIt::Tested(Box::new(Tested {
                result: (**result).clone(),
                broken: Vec::new(),
                rates: None,
                map: None,
            })),
            Ended::Failed(problem) => CameOfIt::Failed {
                problem: problem.clone(),
            },
        },
    })
}

/// The runs of a sweep from its archive, and the looks at test sets.
///
/// # Errors
/// When the archive is damaged or of something else.
pub(crate) fn read(folder: &Path, sweep: &Sweep) -> Result<(Kept, Vec<Look>)> {
    let archive = Archive::open(folder).map_err(ReproError::from)?;
    let same = identity(sweep).check_same(folder, &archive.manifest.of);
    same.map_err(ReproError::from)?;
    let kept = Kept::from_records(archive.records.into_values());
    Ok((kept, archive.looks))
}
