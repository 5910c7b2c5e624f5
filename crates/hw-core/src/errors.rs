//! Errors as people read them.

use std::error::Error;

/// An error and its causes in one line. A cause that the text before already quotes is not said again:
/// many errors end with what the operating system said, and have it as their source too.
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    for cause in std::iter::successors(Some(error), |error| (*error).source()) {
        let cause = cause.to_string();
        let cause = cause.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileError;
    use std::path::Path;

    #[test]
    fn a_cause_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("the run\nstopped")]
        struct Stopped(#[source] FileError);

        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        let said = missing.to_string();
        let error = Stopped(FileError::at("read", Path::new("x"))(missing));
        assert_eq!(
            one_line(&error),
            format!("the run stopped: cannot read x: {said}")
        );
    }
}
