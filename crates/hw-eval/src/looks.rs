//! How often a test set was looked at: which recipe was scored on it, when, and with what result.
//!
//! A test set measures honestly only while nothing is chosen by it. Whoever scores twenty recipes on
//! one test set and reports the best has chosen by it, and the report should say so. A *recipe* is a
//! configuration without its seed: three seeds of one recipe are three runs and one recipe.
//!
//! A *look* is one result of one run on one test set for one [`Purpose`]. The same result again is
//! the same look; another result is another look. A probe, a test score after each epoch, is one
//! look a run, however many epochs were scored.
//!
//! ```
//! use hw_eval::looks::{Count, Look, Purpose, Recorded, Register, now};
//!
//! let folder = tempfile::tempdir()?;
//! let register = Register::open(folder.path().join("test-looks.jsonl"))?;
//! let look = Look {
//!     recipe: "5f0c".into(),
//!     run: "91ab".into(),
//!     test_sha256: "0".repeat(64),
//!     test: "mnist, original".into(),
//!     images: 10_000,
//!     purpose: Purpose::Test,
//!     accuracy: 0.9914,
//!     time: now(),
//!     program: "hw 0.1.0".into(),
//!     label: Some("bn-cnn lr=0.1".into()),
//! };
//! assert_eq!(register.record(&look)?, Recorded::New);
//! assert_eq!(register.record(&look)?, Recorded::Repeated);
//! let count = register.looks(&look.recipe, &look.test_sha256)?;
//! assert_eq!(count, Count { looks: 1, runs: 1, recipes: 1 });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod register;
mod summary;
mod time;

pub use register::{REGISTER, Recorded, Register};
pub use summary::{Count, RecipeLooks, TestSetLooks, by_test_set};
pub use time::now;

use crate::error::EvalError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One scoring of one run on one test set: a line of the register.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// The recipe's id: of the run's configuration without its seed.
    pub recipe: String,
    /// The run's id.
    pub run: String,
    /// SHA-256 of the whole test set as 64 lower-case hexadecimal digits.
    pub test_sha256: String,
    /// The test set's name, for people.
    pub test: String,
    /// Images of it that were scored, at least one.
    pub images: u64,
    /// What the score is for.
    pub purpose: Purpose,
    /// Share of correct answers, 0 to 1.
    pub accuracy: f64,
    /// When, as [`now`] gives it: RFC 3339, UTC, whole seconds.
    pub time: String,
    /// The program that scored, with its version.
    pub program: String,
    /// The recipe in a few words, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// What a run was scored for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Purpose {
    /// To say how good it is.
    Test,
    /// After each epoch, for learning curves only.
    Probe,
    /// On a changed test, by the change's name: noisy images, merged classes.
    Variant(String),
}

/// What comes before the name of a variant.
const VARIANT: &str = "variant ";

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test => f.write_str("test"),
            Self::Probe => f.write_str("probe"),
            Self::Variant(name) => write!(f, "{VARIANT}{name}"),
        }
    }
}

impl FromStr for Purpose {
    type Err = EvalError;

    fn from_str(text: &str) -> Result<Self, EvalError> {
        match (text, text.strip_prefix(VARIANT)) {
            ("test", _) => Ok(Self::Test),
            ("probe", _) => Ok(Self::Probe),
            (_, Some(name)) if !name.trim().is_empty() => Ok(Self::Variant(name.into())),
            _ => Err(unusable("purpose", text, PURPOSES)),
        }
    }
}

const PURPOSES: &str = "test, probe or variant NAME";

impl TryFrom<String> for Purpose {
    type Error = EvalError;

    fn try_from(text: String) -> Result<Self, EvalError> {
        text.parse()
    }
}

impl From<Purpose> for String {
    fn from(purpose: Purpose) -> Self {
        purpose.to_string()
    }
}

impl Look {
    /// Checks every field that has a form or a range.
    ///
    /// # Errors
    /// [`EvalError::Look`] naming the first field that is wrong.
    pub fn check(&self) -> Result<(), EvalError> {
        for (field, text) in [
            ("recipe", &self.recipe),
            ("run", &self.run),
            ("test", &self.test),
            ("program", &self.program),
        ] {
            if text.trim().is_empty() {
                return Err(unusable(field, text, "a name"));
            }
        }
        let hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if self.test_sha256.len() != 64 || !self.test_sha256.bytes().all(hex) {
            let expected = "64 lower-case hexadecimal digits";
            return Err(unusable("test_sha256", &self.test_sha256, expected));
        }
        if self.images == 0 {
            return Err(unusable("images", "0", "at least 1"));
        }
        if !(0.0..=1.0).contains(&self.accuracy) {
            let value = self.accuracy.to_string();
            return Err(unusable("accuracy", &value, "a share from 0 to 1"));
        }
        if !time::is_time(&self.time) {
            let expected = "UTC as in 2026-01-31T23:59:59Z";
            return Err(unusable("time", &self.time, expected));
        }
        // A purpose made by hand may be one that no register can give back.
        self.purpose.to_string().parse::<Purpose>().map(|_| ())
    }

    /// Whether both say the same: the same result of the same run on the same images for the same
    /// purpose, whenever and by whichever version.
    pub fn repeats(&self, other: &Self) -> bool {
        self.result() == other.result()
    }

    /// What tells results apart.
    fn result(&self) -> (Scored<'_>, u64) {
        // Adding zero makes one zero of the two.
        (self.scored(), (self.accuracy + 0.0).to_bits())
    }

    /// What tells looks apart: the result too, unless it is a probe.
    fn identity(&self) -> (Scored<'_>, Option<u64>) {
        let (scored, accuracy) = self.result();
        (scored, (self.purpose != Purpose::Probe).then_some(accuracy))
    }

    fn scored(&self) -> Scored<'_> {
        let Self {
            recipe,
            run,
            test_sha256,
            images,
            purpose,
            ..
        } = self;
        (recipe, run, test_sha256, *images, purpose)
    }
}

/// Recipe, run, test set, images and purpose.
type Scored<'a> = (&'a str, &'a str, &'a str, u64, &'a Purpose);

fn unusable(field: &'static str, value: &str, expected: &'static str) -> EvalError {
    EvalError::Look {
        field,
        value: value.into(),
        expected,
    }
}
