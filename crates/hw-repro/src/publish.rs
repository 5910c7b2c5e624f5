//! A copy of the report to be kept, as Markdown with its figures and cells: without links to the runs'
//! folders, which are not kept with it.

use anyhow::{Context, Result};
use hw_core::files::write_whole;
use std::path::Path;

/// Where a report's links to runs lead.
const RUNS: &str = "../runs/";

/// Copies the report in `from` to `to`.
///
/// # Errors
/// When a file cannot be read or written.
pub(crate) fn publish(from: &Path, to: &Path) -> Result<()> {
    let cannot = |path: &Path| format!("cannot copy the report to {}", path.display());
    std::fs::create_dir_all(to).with_context(|| cannot(to))?;
    for entry in std::fs::read_dir(from).with_context(|| cannot(to))? {
        let path = entry.with_context(|| cannot(to))?.path();
        let Some(name) = path.file_name() else {
            continue;
        };
        let target = to.join(name);
        if path.is_dir() {
            publish(&path, &target)?;
            continue;
        }
        // The page says the same as the Markdown, which is read where code is.
        if path.extension().is_some_and(|e| e == "html") {
            continue;
        }
        let mut bytes = std::fs::read(&path).with_context(|| cannot(&target))?;
        if path.extension().is_some_and(|e| e == "md")
            && let Ok(text) = std::str::from_utf8(&bytes)
        {
            bytes = unlink(text).into_bytes();
        }
        write_whole(&target, &bytes).with_context(|| cannot(&target))?;
    }
    Ok(())
}

/// `[name](<../runs/...>)` becomes `name`, and links to pages lead to their Markdown.
fn unlink(text: &str) -> String {
    let text = text.replace(".html>)", ".md>)");
    let text = text.replace(".html#", ".md#");
    let start = format!("](<{RUNS}");
    let mut done = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, link)) = rest.split_once(&start) {
        let (Some((head, name)), Some((_, after))) =
            (before.rsplit_once('['), link.split_once(">)"))
        else {
            break;
        };
        done += head;
        done += name;
        rest = after;
    }
    done + rest
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn links_to_runs_become_their_names_and_other_links_stay() {
        let text = "see [a1](<../runs/a1b2/>), [b2](<../runs/b2/>) and [cells](<cells.csv>), [p](<p.html#x>)";
        let plain = "see a1, b2 and [cells](<cells.csv>), [p](<p.md#x>)";
        assert_eq!(unlink(text), plain);
        assert_eq!(unlink("nothing"), "nothing");
    }

    #[test]
    fn a_whole_report_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("report"), folder.path().join("kept"));
        std::fs::create_dir_all(from.join("figures")).unwrap();
        std::fs::write(from.join("index.md"), "[r](<../runs/1/>)").unwrap();
        std::fs::write(from.join("figures/a.svg"), "<svg/>").unwrap();
        std::fs::write(from.join("index.html"), "<p>").unwrap();
        publish(&from, &to).unwrap();
        assert!(!to.join("index.html").exists());
        assert_eq!(std::fs::read_to_string(to.join("index.md")).unwrap(), "r");
        assert_eq!(
            std::fs::read_to_string(to.join("figures/a.svg")).unwrap(),
            "<svg/>"
        );
    }
}
