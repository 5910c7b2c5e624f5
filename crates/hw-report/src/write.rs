//! A report on disk: the page, the Markdown and its figures, each file whole or not at all.

use crate::document::Document;
use crate::{escape, to_html, to_markdown};
use hw_core::files;
use std::path::{Path, PathBuf};

/// What can go wrong when a report is written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] hw_core::FileError),
    /// The name would not be a plain file name inside the folder.
    #[error(
        "cannot name a report `{name}`: use letters, digits, `-`, `_` and `.`, not starting with `.`"
    )]
    Name {
        /// The name as given.
        name: String,
    },
}

/// Where a report was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The page.
    pub html: PathBuf,
    /// The Markdown; its figures are in a folder beside it.
    pub markdown: PathBuf,
}

/// Writes `NAME.html`, `NAME.md` and `NAME-figures/*.svg` into `folder`, which is made if missing.
/// Figures come first, so that the Markdown never shows one that is not there.
///
/// # Errors
/// [`ReportError::Name`] for a name with a path in it; [`ReportError::File`] when a file cannot be
/// written: files written before it stay, that one is as it was.
pub fn write(document: &Document, folder: &Path, name: &str) -> Result<Written, ReportError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(ReportError::Name {
            name: name.to_owned(),
        });
    }
    let bundle = to_markdown(document, &format!("{}-figures", escape::slug(name)));
    for (path, bytes) in &bundle.files {
        files::write_whole(&folder.join(path), bytes)?;
    }
    let written = Written {
        html: folder.join(format!("{name}.html")),
        markdown: folder.join(format!("{name}.md")),
    };
    files::write_whole(&written.markdown, bundle.text.as_bytes())?;
    files::write_whole(&written.html, to_html(document).as_bytes())?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "../up", "a/b", ".hidden", "a b"] {
            let refused = write(&Document::default(), folder.path(), name);
            assert!(matches!(refused, Err(ReportError::Name { .. })), "{name}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named_in_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "in the way").unwrap();
        let error = write(&Document::default(), &file.join("sub"), "report").unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
