//! Two or more threads that go through the steps of one image together.
//!
//! Waking a sleeping thread takes longer than most layers, so helpers are woken once an image and
//! then wait for work by spinning. The leader never waits for a helper that has not come: whoever is
//! there takes the next share.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Bits of [`Team::open`] that count shares nobody has taken.
const SHARES: u32 = 16;
/// No more work will come.
const OVER: u64 = u64::MAX;
/// Turns of a waiting loop before the processor is offered to others.
const PATIENCE: usize = 1 << 10;

/// What a leader and its helpers have in common.
pub(super) struct Team {
    /// The step being worked on, and how many of its shares are left to be taken; or [`OVER`].
    open: AtomicU64,
    /// Shares of this step that are done.
    done: AtomicUsize,
    /// Set where a helper's share panicked.
    broken: AtomicBool,
}

impl Team {
    pub(super) fn new() -> Self {
        Self {
            open: AtomicU64::new(0),
            done: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        }
    }

    /// A share of the step that is open: the step and the share.
    fn take(&self) -> Taken {
        let open = self.open.load(Ordering::Acquire);
        if open == OVER {
            return Taken::Over;
        }
        let left = open & ((1 << SHARES) - 1);
        if left == 0 {
            return Taken::Nothing;
        }
        // Each step is open once, so a word that has not changed is of the same step.
        let taken = self
            .open
            .compare_exchange(open, open - 1, Ordering::AcqRel, Ordering::Relaxed);
        match taken {
            Ok(_) => Taken::Share((open >> SHARES) as usize, left as usize - 1),
            Err(_) => Taken::Again,
        }
    }

    /// The leader's: has `work` done for each of `shares` shares of step `step`, which no earlier
    /// call named.
    ///
    /// # Panics
    /// When a helper's share did.
    pub(super) fn share(&self, step: usize, shares: usize, work: &mut dyn FnMut(usize)) {
        debug_assert!(shares < 1 << SHARES && step < 1 << 40);
        self.done.store(0, Ordering::Relaxed);
        let open = ((step as u64) << SHARES) | shares as u64;
        self.open.store(open, Ordering::Release);
        let mut own = 0;
        loop {
            match self.take() {
                Taken::Share(_, share) => {
                    work(share);
                    own += 1;
                }
                Taken::Again => spin_loop(),
                Taken::Nothing | Taken::Over => break,
            }
        }
        wait(|| self.done.load(Ordering::Acquire) + own >= shares);
        assert!(
            !self.broken.load(Ordering::Relaxed),
            "a share of a layer panicked"
        );
    }

    /// The leader's last word.
    pub(super) fn dismiss(&self) {
        self.open.store(OVER, Ordering::Release);
    }

    /// A helper's whole work: shares of one step after the other, until the leader is through.
    pub(super) fn help(&self, work: &mut dyn FnMut(usize, usize)) {
        let mut turns = 0;
        loop {
            match self.take() {
                Taken::Share(step, share) => {
                    let count = Count(self);
                    work(step, share);
                    drop(count);
                    turns = 0;
                }
                Taken::Over => return,
                Taken::Nothing | Taken::Again => pause(&mut turns),
            }
        }
    }
}

enum Taken {
    Share(usize, usize),
    /// Someone else was faster.
    Again,
    /// All shares are taken.
    Nothing,
    Over,
}

/// Counts a share as done however it ends.
struct Count<'a>(&'a Team);

impl Drop for Count<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::Relaxed);
        }
        self.0.done.fetch_add(1, Ordering::Release);
    }
}

fn wait(mut over: impl FnMut() -> bool) {
    let mut turns = 0;
    while !over() {
        pause(&mut turns);
    }
}

fn pause(turns: &mut usize) {
    *turns += 1;
    if turns.is_multiple_of(PATIENCE) {
        std::thread::yield_now();
    } else {
        spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_of_every_step_is_done_once_and_before_the_next_step_begins() {
        let team = Team::new();
        let (steps, shares) = (200, 5);
        let counts: Vec<AtomicUsize> = (0..steps * shares).map(|_| AtomicUsize::new(0)).collect();
        let work = |step: usize, share: usize| {
            counts[step * shares + share].fetch_add(1, Ordering::Relaxed);
            let earlier = &counts[..step * shares];
            assert!(earlier.iter().all(|c| c.load(Ordering::Relaxed) == 1));
        };
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| team.help(&mut |step, share| work(step, share)));
            }
            for step in 0..steps {
                team.share(step, shares, &mut |share| work(step, share));
            }
            team.dismiss();
        });
        assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn a_leader_without_helpers_does_everything_itself() {
        let (team, mut done) = (Team::new(), Vec::new());
        team.share(0, 3, &mut |share| done.push(share));
        team.share(7, 2, &mut |share| done.push(10 + share));
        team.dismiss();
        done.sort_unstable();
        assert_eq!(done, [0, 1, 2, 10, 11]);
        team.help(&mut |_, _| unreachable!());
    }
}
