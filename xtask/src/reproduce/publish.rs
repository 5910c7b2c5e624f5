//! A copy of the report to be kept: without links to the runs' folders, which are not kept with it.

use anyhow::{Context, Result};
use hw_core::files::write_whole;
use std::path::Path;

/// Where a report's links to runs lead.
const RUNS: &str = "../runs/";

/// Copies the report in `from` to `to`.
///
/// # Errors
/// When a file cannot be read or written.
pub(super) fn publish(from: &Path, to: &Path) -> Result<()> {
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
        let mut bytes = std::fs::read(&path).with_context(|| cannot(&target))?;
        let unlink: Option<fn(&str) -> String> = match path.extension().and_then(|e| e.to_str()) {
            Some("md") => Some(unlink_markdown),
            Some("html") => Some(unlink_html),
            _ => None,
        };
        if let (Some(unlink), Ok(text)) = (unlink, std::str::from_utf8(&bytes)) {
            bytes = unlink(text).into_bytes();
        }
        write_whole(&target, &bytes).with_context(|| cannot(&target))?;
    }
    Ok(())
}

/// `[name](<../runs/...>)` becomes `name`.
fn unlink_markdown(text: &str) -> String {
    unlink(text, &format!("](<{RUNS}"), ">)", |before| {
        let open = before.rfind('[')?;
        Some((open, before[open + 1..].to_owned()))
    })
}

/// `<a href="../runs/...">name</a>` becomes `name`.
fn unlink_html(text: &str) -> String {
    unlink(text, &format!("<a href=\"{RUNS}"), "</a>", |before| {
        Some((before.len(), String::new()))
    })
}

/// Replaces what lies between `start` and `end` by the link's name; `name` says where the link
/// begins in the text before `start`, and what is left of it.
fn unlink(
    text: &str,
    start: &str,
    end: &str,
    name: impl Fn(&str) -> Option<(usize, String)>,
) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(start) {
        let (before, link) = rest.split_at(at);
        let Some(stop) = link.find(end) else { break };
        let inner = &link[start.len()..stop];
        match name(before) {
            Some((open, kept)) => {
                done.push_str(&before[..open]);
                done.push_str(&kept);
            }
            None => done.push_str(before),
        }
        // In HTML the name stands inside.
        if let Some((_, inside)) = inner.split_once('>') {
            done.push_str(inside);
        }
        rest = &link[stop + end.len()..];
    }
    done.push_str(rest);
    done
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn links_to_runs_become_their_names_and_other_links_stay() {
        let text = "see [a1](<../runs/a1b2/>), [b2](<../runs/b2/>) and [cells](<cells.csv>)";
        let plain = "see a1, b2 and [cells](<cells.csv>)";
        assert_eq!(unlink_markdown(text), plain);
        let html = "<p><a href=\"../runs/a1b2/\">a1</a>, <a href=\"x.html\">x</a></p>";
        assert_eq!(unlink_html(html), "<p>a1, <a href=\"x.html\">x</a></p>");
        assert_eq!(unlink_html("nothing"), "nothing");
    }

    #[test]
    fn a_whole_report_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("report"), folder.path().join("kept"));
        std::fs::create_dir_all(from.join("figures")).unwrap();
        std::fs::write(from.join("index.md"), "[r](<../runs/1/>)").unwrap();
        std::fs::write(from.join("figures/a.svg"), "<svg/>").unwrap();
        publish(&from, &to).unwrap();
        assert_eq!(std::fs::read_to_string(to.join("index.md")).unwrap(), "r");
        assert_eq!(
            std::fs::read_to_string(to.join("figures/a.svg")).unwrap(),
            "<svg/>"
        );
    }
}
