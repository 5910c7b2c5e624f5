//! Building blocks that other crates add, found by name beside ours.

use std::sync::{PoisonError, RwLock};

/// The members of a family (optimizers, activations, ...) that other crates have added. A program
/// registers them when it starts; they stay until it ends.
///
/// ```
/// use hw_core::registry::Registry;
///
/// trait Greeting: Sync {
///     fn say(&self) -> String;
/// }
/// struct Hello;
/// impl Greeting for Hello {
///     fn say(&self) -> String {
///         "hello".into()
///     }
/// }
///
/// static GREETINGS: Registry<dyn Greeting> = Registry::new("greeting", |name| name == "hi");
/// GREETINGS.add("hello", &Hello)?;
/// assert_eq!(GREETINGS.find("hello").unwrap().say(), "hello");
/// assert!(GREETINGS.add("hello", &Hello).is_err() && GREETINGS.add("hi", &Hello).is_err());
/// # Ok::<(), hw_core::registry::RegisterError>(())
/// ```
#[derive(Debug)]
pub struct Registry<T: ?Sized + 'static> {
    family: &'static str,
    built_in: fn(&str) -> bool,
    members: RwLock<Vec<(&'static str, &'static T)>>,
}

/// Why a building block cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// Another member has the name.
    #[error("{family} '{name}' exists already")]
    Taken {
        /// Of which family.
        family: &'static str,
        /// The name.
        name: String,
    },
    /// The name cannot be written on a command line or in a configuration.
    #[error(
        "{family} '{name}': a name has small letters, digits, '-' and '_' only, a letter first"
    )]
    Name {
        /// Of which family.
        family: &'static str,
        /// The name.
        name: String,
    },
    /// It does not keep what its family's trait promises.
    #[error("{family} '{name}': {problem}")]
    Unfit {
        /// Of which family.
        family: &'static str,
        /// The name.
        name: String,
        /// What it does not keep.
        problem: String,
    },
}

impl<T: ?Sized + 'static> Registry<T> {
    /// An empty one; `built_in` says which names are taken from the start.
    pub const fn new(family: &'static str, built_in: fn(&str) -> bool) -> Self {
        Self {
            family,
            built_in,
            members: RwLock::new(Vec::new()),
        }
    }

    /// Adds a member.
    ///
    /// # Errors
    /// [`RegisterError`] when the name is taken or no name.
    pub fn add(&self, name: &'static str, member: &'static T) -> Result<(), RegisterError> {
        let (family, owned) = (self.family, name.to_owned());
        let letter = |letter: char| letter.is_ascii_lowercase();
        let fine = |c: char| letter(c) || c.is_ascii_digit() || c == '-' || c == '_';
        if !name.starts_with(letter) || !name.chars().all(fine) {
            return Err(RegisterError::Name {
                family,
                name: owned,
            });
        }
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        if (self.built_in)(name) || members.iter().any(|(taken, _)| *taken == name) {
            return Err(RegisterError::Taken {
                family,
                name: owned,
            });
        }
        members.push((name, member));
        Ok(())
    }

    /// The error of a member that does not keep what its family promises.
    pub fn unfit(&self, name: &str, problem: String) -> RegisterError {
        RegisterError::Unfit {
            family: self.family,
            name: name.into(),
            problem,
        }
    }

    /// The member of that name.
    pub fn find(&self, name: &str) -> Option<&'static T> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let named = members.iter().find(|(own, _)| *own == name);
        named.map(|(_, member)| *member)
    }

    /// All members, in the order they were added.
    pub fn all(&self) -> Vec<&'static T> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.iter().map(|(_, member)| *member).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_command_line_would_take_apart_are_refused() {
        let registry: Registry<str> = Registry::new("word", |_| false);
        for name in ["", "a:b", "a=b", "a,b", "a+b", "A", "1a", "a b", "-a"] {
            let refused = registry.add(name, "x").unwrap_err();
            assert!(matches!(refused, RegisterError::Name { .. }), "{refused}");
        }
        registry.add("a-1_b", "x").unwrap();
        assert_eq!(registry.all(), ["x"]);
        assert_eq!(registry.find("a"), None);
    }
}
