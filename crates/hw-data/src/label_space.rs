//! What a model that knows some classes can be asked about a data set that has others.
//!
//! Label spaces are compared by merging down, never by splitting up: a model of 62 characters is
//! tested on 47 by merging its answers, a model of 47 is tested on 62 by merging the labels. A model
//! is never credited with a distinction that it did not make.
//!
//! ```
//! use hw_data::catalogue::{BYCLASS, BYMERGE, LETTERS, names};
//! use hw_data::label_space::CommonSpace;
//!
//! // A model of 47 classes on labels of 62: both are looked at in 47.
//! let common = CommonSpace::of(&names(BYMERGE), &names(BYCLASS))?;
//! assert_eq!(common.classes().len(), 47);
//! let label = |name: &str| common.of_test()[BYCLASS.find(name).unwrap()];
//! assert_eq!(label("c"), label("C"));
//!
//! // A model of 47 classes on letters: its digits are no possible answer.
//! let common = CommonSpace::of(&names(BYMERGE), &names(LETTERS))?;
//! assert_eq!((common.classes().len(), common.of_model()[0]), (26, None));
//! # Ok::<(), hw_data::DataError>(())
//! ```

use crate::DataError;
use crate::class_map::ClassMap;
use std::sync::Arc;

/// The classes in which a model's answers and a data set's labels can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonSpace {
    classes: Arc<[String]>,
    of_model: Vec<Option<u32>>,
    of_test: Vec<Option<u32>>,
}

impl CommonSpace {
    /// The finest space that both the model's classes and the test set's labels can be merged into:
    /// the smaller of the two.
    ///
    /// # Errors
    /// [`DataError::Invalid`] when neither can be merged into the other: digits and hiragana.
    pub fn of(model: &Arc<[String]>, test: &Arc<[String]>) -> Result<Self, DataError> {
        let merged = |from: &Arc<[String]>, to: &Arc<[String]>| -> Result<_, DataError> {
            let map = ClassMap::by_character(from.clone(), to.clone())?;
            Ok((0..from.len() as u16)
                .map(|label| map.get(label).map(u32::from))
                .collect::<Vec<_>>())
        };
        let itself = |space: &Arc<[String]>| (0..space.len() as u32).map(Some).collect::<Vec<_>>();
        if model.len() >= test.len()
            && let Ok(of_model) = merged(model, test)
        {
            return Ok(Self {
                classes: test.clone(),
                of_model,
                of_test: itself(test),
            });
        }
        match merged(test, model) {
            Ok(of_test) => Ok(Self {
                classes: model.clone(),
                of_model: itself(model),
                of_test,
            }),
            Err(_) => Err(DataError::invalid(
                "label spaces",
                format!(
                    "a model of {} classes ({}) and labels of {} ({}) cannot be merged into one another",
                    model.len(),
                    shown(model),
                    test.len(),
                    shown(test)
                ),
            )),
        }
    }

    /// Names of the common classes.
    pub fn classes(&self) -> &Arc<[String]> {
        &self.classes
    }

    /// What each class of the model becomes; `None` is no possible answer on this test set.
    pub fn of_model(&self) -> &[Option<u32>] {
        &self.of_model
    }

    /// What each label of the test set becomes; images with `None` are left out of the test.
    pub fn of_test(&self) -> &[Option<u32>] {
        &self.of_test
    }

    /// Whether nothing had to be merged or left out.
    pub fn is_identity(&self) -> bool {
        let same =
            |map: &[Option<u32>]| map.iter().enumerate().all(|(i, to)| *to == Some(i as u32));
        same(&self.of_model) && same(&self.of_test)
    }
}

fn shown(classes: &[String]) -> String {
    let first: Vec<&str> = classes.iter().take(5).map(String::as_str).collect();
    match classes.len() > first.len() {
        true => format!("{} ...", first.join(" ")),
        false => first.join(" "),
    }
}
