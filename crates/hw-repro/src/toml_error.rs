//! What is wrong in a TOML file, in one line.

/// A message with the line of the file that it is about, where there is one.
pub(crate) fn at_line(text: &str, error: &toml::de::Error, message: &str) -> String {
    // A field that is missing has no place.
    let place = error
        .span()
        .filter(|span| span.end < text.len() && !span.is_empty());
    match place.map(|span| text[..span.start].matches('\n').count()) {
        Some(line) => {
            let words = text.lines().nth(line).unwrap_or_default().trim();
            format!("line {} ({words}): {message}", line + 1)
        }
        None => message.into(),
    }
}
