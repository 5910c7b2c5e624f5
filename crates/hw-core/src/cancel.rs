//! A flag that asks long work to stop at the next step that can be resumed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A cheap, cloneable stop flag; the Ctrl-C handler of a binary sets it, loops poll it.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    own: Arc<AtomicBool>,
    /// Cancelling one of these cancels this one, too.
    above: Vec<Arc<AtomicBool>>,
}

impl CancelToken {
    /// A token nobody has cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token for a part of the work: it is cancelled with this one, and can be cancelled alone.
    pub fn child(&self) -> Self {
        let mut above = self.above.clone();
        above.push(Arc::clone(&self.own));
        Self {
            own: Arc::default(),
            above,
        }
    }

    /// Asks everyone holding a clone of this token, or a child of it, to stop.
    pub fn cancel(&self) {
        self.own.store(true, Ordering::Relaxed);
    }

    /// Whether stopping was asked for.
    pub fn is_cancelled(&self) -> bool {
        let mut flags = self.above.iter().chain([&self.own]);
        flags.any(|flag| flag.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_sees_the_cancellation() {
        let token = CancelToken::new();
        let clone = token.clone();
        assert!(!clone.is_cancelled());
        token.cancel();
        assert!(clone.is_cancelled());
    }

    #[test]
    fn a_part_stops_with_the_whole_and_the_whole_not_with_the_part() {
        let whole = CancelToken::new();
        let (part, other) = (whole.child(), whole.child());
        let deeper = part.child();
        part.cancel();
        assert!(part.is_cancelled() && deeper.is_cancelled());
        assert!(!whole.is_cancelled() && !other.is_cancelled());
        whole.cancel();
        assert!(other.is_cancelled());
    }
}
