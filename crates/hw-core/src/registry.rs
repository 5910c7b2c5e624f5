//! Building blocks that other crates add, found by name beside ours.

use serde::{Serialize, Serializer};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{PoisonError, RwLock};

/// What every building block says of itself.
pub trait Named {
    /// The name used on the command line and in config files.
    fn name(&self) -> &'static str;

    /// What it does, in one line.
    fn about(&self) -> &'static str;

    /// Who proposed it, or "-".
    fn source(&self) -> &'static str;
}

/// A building block of another crate as configurations hold it: compared, hashed and written by its name.
pub struct Member<T: ?Sized + 'static>(&'static T);

impl<T: ?Sized> Clone for Member<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Member<T> {}

impl<T: ?Sized> Deref for Member<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

impl<T: ?Sized + Named> PartialEq for Member<T> {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl<T: ?Sized + Named> Eq for Member<T> {}

impl<T: ?Sized + Named> Hash for Member<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl<T: ?Sized + Named> fmt::Debug for Member<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<T: ?Sized + Named> Serialize for Member<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The members of a family (optimizers, activations, ...) that other crates have added. A program
/// registers them when it starts; they stay until it ends.
///
/// ```
/// use hw_core::registry::{Named, RegisterError, Registry};
///
/// trait Greeting: Named + Sync {
///     fn say(&self) -> String;
/// }
///
/// struct Hello;
///
/// impl Named for Hello {
///     fn name(&self) -> &'static str {
///         "hello"
///     }
///     fn about(&self) -> &'static str {
///         "what people say when they meet"
///     }
///     fn source(&self) -> &'static str {
///         "-"
///     }
/// }
///
/// impl Greeting for Hello {
///     fn say(&self) -> String {
///         "Hello!".into()
///     }
/// }
///
/// static GREETINGS: Registry<dyn Greeting> = Registry::new("greeting", |name| name == "hi");
/// GREETINGS.add(&Hello)?;
/// assert_eq!(GREETINGS.find("hello").map(|greeting| greeting.say()), Some("Hello!".into()));
/// assert!(matches!(GREETINGS.add(&Hello), Err(RegisterError::Taken { .. })));
/// # Ok::<(), RegisterError>(())
/// ```
#[derive(Debug)]
pub struct Registry<T: ?Sized + 'static> {
    family: &'static str,
    built_in: fn(&str) -> bool,
    members: RwLock<Vec<&'static T>>,
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
}

impl<T: ?Sized + Named + 'static> Registry<T> {
    /// Adds a member.
    ///
    /// # Errors
    /// [`RegisterError`] when its name is taken or cannot be written where names are.
    pub fn add(&self, member: &'static T) -> Result<(), RegisterError> {
        let (family, name) = (self.family, member.name());
        let letter = |letter: char| letter.is_ascii_lowercase();
        let fine = |c: char| letter(c) || c.is_ascii_digit() || c == '-' || c == '_';
        if !name.starts_with(letter) || !name.chars().all(fine) {
            let name = name.into();
            return Err(RegisterError::Name { family, name });
        }
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        if (self.built_in)(name) || members.iter().any(|other| other.name() == name) {
            let name = name.into();
            return Err(RegisterError::Taken { family, name });
        }
        members.push(member);
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
    pub fn find(&self, name: &str) -> Option<Member<T>> {
        self.all().into_iter().find(|member| member.name() == name)
    }

    /// All members, in the order they were added.
    pub fn all(&self) -> Vec<Member<T>> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.iter().map(|member| Member(*member)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Word(&'static str);

    impl Named for Word {
        fn name(&self) -> &'static str {
            self.0
        }

        fn about(&self) -> &'static str {
            "a word"
        }

        fn source(&self) -> &'static str {
            "-"
        }
    }

    #[test]
    fn names_that_a_command_line_would_take_apart_are_refused() {
        let registry = Registry::new("word", |_| false);
        let refused = [
            &Word(""),
            &Word("a:b"),
            &Word("a=b"),
            &Word("a,b"),
            &Word("a+b"),
            &Word("A"),
            &Word("1a"),
            &Word("a b"),
            &Word("-a"),
        ];
        for word in refused {
            let error = registry.add(word).unwrap_err();
            assert!(matches!(error, RegisterError::Name { .. }), "{error}");
        }
        registry.add(&Word("a-1_b")).unwrap();
        assert_eq!(registry.find("a"), None);
    }

    #[test]
    fn members_keep_their_order_and_are_compared_and_written_by_name() {
        let registry = Registry::new("word", |name| name == "ours");
        registry.add(&Word("first")).unwrap();
        registry.add(&Word("second")).unwrap();
        let taken = registry.add(&Word("first")).unwrap_err();
        assert_eq!(taken.to_string(), "word 'first' exists already");
        assert!(registry.add(&Word("ours")).is_err());
        let all = registry.all();
        assert_eq!(Some(all[1]), registry.find("second"));
        assert_ne!(all[0], all[1]);
        assert_eq!(
            serde_json::to_string(&all).unwrap(),
            r#"["first","second"]"#
        );
    }
}
