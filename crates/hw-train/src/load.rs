//! How busy others kept the machine while a run's time was taken.
//!
//! Between two moments, `load = (busy - own) / (busy + idle)`: all processors' busy time, less what
//! this process and its threads used, as a share of all processors' time. Everything counts as busy but
//! idling and waiting for a disk; what a virtual machine's host gave to others counts too. Of two
//! processors, another process that keeps one busy gives 0.5. Linux says all of this, in
//! `/proc/stat` and `/proc/self/stat`, in ticks of mostly 10 ms; other systems do not. Several runs in one
//! process do not count as each other's load. In a container the whole machine is meant, if that is
//! what the system shows.

use std::fs::read_to_string;

/// In fewer ticks than this the rounding of each shows.
const FEWEST_TICKS: u64 = 50;

/// Measures the load from its making on.
pub(crate) struct LoadMeter {
    start: Option<Ticks>,
}

/// Processor time since some moment, in the kernel's ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ticks {
    /// Of all processors, idle or not.
    all: u64,
    /// Of all processors at work.
    busy: u64,
    /// Of this process.
    own: u64,
}

impl LoadMeter {
    pub(crate) fn new() -> Self {
        Self {
            start: Ticks::now(),
        }
    }

    /// The load since then; `None` where the system does not say, or the time was too short to tell.
    pub(crate) fn read(&self) -> Option<f64> {
        Ticks::now()?.load_since(self.start?)
    }
}

impl Ticks {
    fn now() -> Option<Self> {
        let stat = read_to_string("/proc/stat").ok()?;
        Self::parse(&stat, &read_to_string("/proc/self/stat").ok()?)
    }

    /// From the texts of `/proc/stat` and `/proc/self/stat`.
    fn parse(machine: &str, own: &str) -> Option<Self> {
        let line = machine.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let numbers: Option<Vec<u64>> = line
            .split_whitespace()
            .map(|word| word.parse().ok())
            .collect();
        // The last two, guests, are contained in the first two.
        let [user, nice, system, idle, disk, interrupts, soft, stolen, ..] = numbers?[..] else {
            return None;
        };
        let busy = user + nice + system + interrupts + soft + stolen;
        // The second word, the program's name, may hold anything, even blanks and parentheses.
        let (_, after_name) = own.rsplit_once(')')?;
        let mut times = after_name.split_whitespace().skip(11);
        let mut time = || times.next()?.parse::<u64>().ok();
        Some(Self {
            all: busy + idle + disk,
            busy,
            own: time()? + time()?,
        })
    }

    fn load_since(self, start: Self) -> Option<f64> {
        let all = self.all.checked_sub(start.all)?;
        let busy = self.busy.saturating_sub(start.busy);
        let others = busy.saturating_sub(self.own.saturating_sub(start.own));
        (all >= FEWEST_TICKS).then(|| others as f64 / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "cpu  6852 73695 10646 44797 298 3 199 480 77 88\n\
                           cpu0 3638 36247 5032 23197 70 0 35 259 0 0\n";
    const OWN: &str =
        "13286 (a b) c) R 13276 13276 6546 0 -1 4194304 99 0 0 0 1200 34 0 0 20 0 1 0";

    #[test]
    fn what_the_system_says_is_understood() {
        let ticks = Ticks::parse(MACHINE, OWN).unwrap();
        let busy = 6852 + 73695 + 10646 + 3 + 199 + 480;
        let expected = Ticks {
            all: busy + 44797 + 298,
            busy,
            own: 1234,
        };
        assert_eq!(ticks, expected);
        for damaged in ["", "cpu  1 2 3\n", "cpu  1 2 3 4 x 6 7 8\n"] {
            assert_eq!(Ticks::parse(damaged, OWN), None);
        }
        assert_eq!(Ticks::parse(MACHINE, "13286 (hw) R 1 2"), None);
    }

    #[test]
    fn the_load_is_what_others_used_of_all_there_was() {
        let start = Ticks::parse(MACHINE, OWN).unwrap();
        let after = |all, busy, own| {
            let now = Ticks {
                all: start.all + all,
                busy: start.busy + busy,
                own: start.own + own,
            };
            now.load_since(start)
        };
        assert_eq!(after(200, 150, 50), Some(0.5));
        assert_eq!(after(200, 60, 60), Some(0.0));
        // Ticks of two clocks: one may be ahead.
        assert_eq!(after(200, 60, 61), Some(0.0));
        assert_eq!(after(FEWEST_TICKS, FEWEST_TICKS, 0), Some(1.0));
        assert_eq!(after(FEWEST_TICKS - 1, FEWEST_TICKS - 1, 0), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_system_says_it() {
        let ticks = Ticks::now().unwrap();
        assert!(ticks.busy <= ticks.all);
    }
}
