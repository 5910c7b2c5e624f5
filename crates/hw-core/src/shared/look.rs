//! Looking at an attempt without asking for it.

use super::lease::{RELEASED, holder};
use super::system::{Here, System};
use std::path::Path;

/// Whether somebody is making a result in `content`, the folder of an [attempt](super::Attempt), as far as
/// this machine knows: the attempt has an owner, who has neither released it nor died here.
pub fn is_being_made(content: &Path) -> bool {
    let Some((token, home)) = content
        .parent()
        .and_then(|token| Some((token, token.parent()?)))
    else {
        return false;
    };
    let released = Here.exists(&token.join(RELEASED)).unwrap_or(false);
    let owner = holder(&Here, token).ok().flatten();
    !released && owner.is_some_and(|owner| !owner.is_gone(home))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::{Store, Turn, Watch};

    #[test]
    fn an_attempt_is_being_made_until_it_is_released() {
        let folder = tempfile::tempdir().unwrap();
        let (done, work) = (folder.path().join("done"), folder.path().join("work"));
        let store = Store::open(done, work, Watch::default()).unwrap();
        let Turn::Mine(attempt) = store.take("result", &[]).unwrap() else {
            panic!("nobody else asked");
        };
        let content = attempt.folder().to_path_buf();
        assert!(is_being_made(&content));
        assert!(!is_being_made(folder.path()));
        drop(attempt);
        assert!(!is_being_made(&content));
    }
}
