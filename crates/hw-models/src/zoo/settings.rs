//! What a paper leaves open about its network: settings with defaults, each declared once, and set by
//! name from a config file or the command line.

use crate::spec::ModelSpec;
use serde::Serialize;

/// A setting of a network, for help texts and lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name, as in `--model-option units=4`.
    pub name: &'static str,
    /// Its value if nobody says otherwise.
    pub default: String,
    /// What it decides.
    pub about: &'static str,
}

/// A network with settings.
pub trait Recipe: Default {
    /// All settings with their defaults.
    fn settings() -> Vec<Setting>;

    /// Sets one of them from text.
    ///
    /// # Errors
    /// What is wrong with the name or the value, and what would be right.
    fn set(&mut self, name: &str, value: &str) -> Result<(), String>;

    /// The network for images of `input` (channels, height, width) and `classes` classes.
    fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec;
}

/// How many layers of a kind: a setting of at most `MOST`, since every layer is written down before
/// anything can say that they are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count<const MOST: usize>(pub usize);

impl<const MOST: usize> std::fmt::Display for Count<MOST> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MOST: usize> std::str::FromStr for Count<MOST> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = text.parse().ok().filter(|count| *count <= MOST);
        count
            .map(Self)
            .ok_or_else(|| format!("expected 0 to {MOST}"))
    }
}

/// Declares a recipe's settings: the struct, its defaults, and their names for [`Recipe`].
macro_rules! recipe {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $(#[doc = $about:literal] pub $field:ident: $kind:ty = $default:expr,)*
        }
        $spec:item
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(#[doc = $about] pub $field: $kind,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::zoo::settings::Recipe for $name {
            fn settings() -> Vec<$crate::zoo::settings::Setting> {
                let default = Self::default();
                vec![$($crate::zoo::settings::Setting {
                    name: stringify!($field),
                    default: default.$field.to_string(),
                    about: $about.trim(),
                },)*]
            }

            fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
                match name {
                    $(stringify!($field) => {
                        self.$field = value
                            .parse()
                            .map_err(|error| format!("{name}={value}: {error}"))?;
                    })*
                    _ => {
                        let known = [$(stringify!($field)),*].join(", ");
                        return Err(format!("no setting '{name}'; known: {known}"));
                    }
                }
                Ok(())
            }

            $spec
        }
    };
}
pub(crate) use recipe;

/// Declares a setting's choices, each with its name: an enum with `Display` and `FromStr`.
macro_rules! choices {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $choice:ident = $text:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $choice,)*
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$choice => $text,)* })
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$choice),)*
                    _ => Err(format!("expected one of {}", [$($text),*].join(", "))),
                }
            }
        }
    };
}
pub(crate) use choices;
