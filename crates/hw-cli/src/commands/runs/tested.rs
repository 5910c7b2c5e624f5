//! Test accuracies that were written down when they were measured: by `hw reproduce` and `hw sweep` in
//! the run's folder, by `hw eval` in the register of test looks beside it.

use hw_eval::looks::{Look, Purpose, REGISTER, Register};
use hw_train::survey::Surveyed;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// File of a run's test results.
const TEST_RESULT: &str = "test.json";

/// A test accuracy.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Tested {
    /// Share of correct answers.
    pub(crate) accuracy: f64,
    /// Images that were scored.
    pub(crate) images: u64,
    /// The test set's checksum.
    pub(crate) test_sha256: String,
    /// Whether each image was answered correctly, where that was kept.
    #[serde(skip)]
    pub(crate) correct: Option<Arc<[bool]>>,
}

/// What is read of a file of test results.
#[derive(Deserialize)]
struct TestFile {
    metrics: Measured,
    test: TestSet,
    answers: Option<Answers>,
}

#[derive(Deserialize)]
struct Measured {
    accuracy: f64,
    samples: u64,
}

#[derive(Deserialize)]
struct TestSet {
    sha256: String,
}

/// Every answer: the wrong ones by their place.
#[derive(Deserialize)]
struct Answers {
    images: usize,
    wrong: Vec<(u32, u16)>,
}

/// Reads test accuracies, each register once.
#[derive(Default)]
pub(crate) struct Reader {
    registers: HashMap<PathBuf, Vec<Look>>,
}

impl Reader {
    /// The test accuracy of a run on its own data set, if it was ever measured.
    pub(crate) fn of(&mut self, run: &Surveyed) -> Option<Tested> {
        in_folder(&run.folder).or_else(|| self.in_register(run))
    }

    fn in_register(&mut self, run: &Surveyed) -> Option<Tested> {
        let path = run.folder.parent()?.join(REGISTER);
        let looks = self.registers.entry(path).or_insert_with_key(|path| {
            // No register, or one that cannot be read, knows nothing.
            let register = Register::open(path).ok().filter(|_| path.is_file());
            register.and_then(|r| r.all().ok()).unwrap_or_default()
        });
        let set = format!("{}, ", run.config.dataset);
        let own = |look: &&Look| {
            look.run == run.run && look.purpose == Purpose::Test && look.test.starts_with(&set)
        };
        let look = looks.iter().rfind(own)?;
        Some(Tested {
            accuracy: look.accuracy,
            images: look.images,
            test_sha256: look.test_sha256.clone(),
            correct: None,
        })
    }
}

fn in_folder(folder: &Path) -> Option<Tested> {
    let text = std::fs::read_to_string(folder.join(TEST_RESULT)).ok()?;
    let file: TestFile = serde_json::from_str(&text).ok()?;
    let correct = file.answers.map(|answers| {
        let mut correct = vec![true; answers.images];
        for (place, _) in answers.wrong {
            if let Some(place) = correct.get_mut(place as usize) {
                *place = false;
            }
        }
        correct.into()
    });
    Some(Tested {
        accuracy: file.metrics.accuracy,
        images: file.metrics.samples,
        test_sha256: file.test.sha256,
        correct,
    })
}
