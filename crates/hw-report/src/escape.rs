//! How arbitrary text is made harmless in HTML, SVG and Markdown.

/// Whether both HTML and XML 1.0 allow the character in a document.
fn permitted(character: char) -> bool {
    match character {
        '\t' | '\n' => true,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fdd0}'..='\u{fdef}' => false,
        other => (other as u32) & 0xfffe != 0xfffe,
    }
}

/// Text for an HTML or SVG element or a double-quoted attribute. Characters that neither format
/// allows become U+FFFD, so that the damage is seen instead of breaking the file.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\r' => out.push('\n'),
            other if permitted(other) => out.push(other),
            _ => out.push('\u{fffd}'),
        }
    }
    out
}

/// Text inside a Markdown paragraph, heading or table cell: one line, nothing interpreted.
pub(crate) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for character in one_line(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '#' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out
}

/// Control characters replaced, line breaks and tabs turned into spaces.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
            other if permitted(other) => other,
            _ => '\u{fffd}',
        })
        .collect()
}

/// A rendered Markdown line at the start of a block: keeps `1.`, `-`, `+` and `=` from becoming a
/// list or an underlined heading, and leading spaces from becoming code.
pub(crate) fn markdown_block(line: &str) -> String {
    let line = line.trim();
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    if line.starts_with(['-', '+', '=']) {
        format!("\\{line}")
    } else if digits > 0 && line[digits..].starts_with(['.', ')']) {
        format!("{}\\{}", &line[..digits], &line[digits..])
    } else {
        line.to_owned()
    }
}

/// A link target that stays inside the report: a relative path or `#anchor`, percent-encoded.
/// `None` for anything with a scheme or a host, whatever its disguise.
pub(crate) fn relative_href(href: &str) -> Option<String> {
    let before_path = href.split(['/', '?', '#']).next().unwrap_or_default();
    let leaves = before_path.contains(':') || href.starts_with("//") || href.contains('\\');
    if href.is_empty() || leaves || href.chars().any(|c| c.is_control() || !permitted(c)) {
        return None;
    }
    let mut out = String::with_capacity(href.len());
    for byte in href.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(byte as char),
            b'-' | b'.' | b'_' | b'/' | b'#' | b'?' | b'=' | b'%' | b',' | b'+' | b'@' => {
                out.push(byte as char);
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    Some(out)
}

/// An identifier for anchors and file names: lower-case letters, digits and single hyphens.
pub(crate) fn slug(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if character.is_ascii_alphanumeric() {
            out.push(character.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
        if out.len() >= 80 {
            break;
        }
    }
    let trimmed = out.trim_end_matches('-');
    if trimmed.is_empty() {
        "part".to_owned()
    } else {
        trimmed.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leaves_the_report_is_refused() {
        for href in [
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "java\nscript:alert(1)",
            "http://example.org",
            "//example.org",
            "\\\\example.org",
            "data:text/html,x",
            "",
        ] {
            assert_eq!(relative_href(href), None, "{href}");
        }
    }

    #[test]
    fn a_relative_link_is_kept_and_encoded() {
        assert_eq!(relative_href("runs/ab12/").as_deref(), Some("runs/ab12/"));
        assert_eq!(relative_href("#table-1").as_deref(), Some("#table-1"));
        assert_eq!(
            relative_href("a folder/x(1).html").as_deref(),
            Some("a%20folder/x%281%29.html")
        );
    }

    #[test]
    fn a_slug_is_plain_whatever_the_text() {
        assert_eq!(slug("Table 1: earlier work"), "table-1-earlier-work");
        assert_eq!(slug("日本"), "part");
        assert_eq!(slug("--x--"), "x");
    }

    #[test]
    fn a_paragraph_that_looks_like_a_list_stays_a_paragraph() {
        assert_eq!(markdown_block("1. first"), "1\\. first");
        assert_eq!(markdown_block("- first"), "\\- first");
        assert_eq!(markdown_block("99.22 %"), "99\\.22 %");
    }
}
