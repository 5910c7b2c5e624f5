//! The protocol under thousands of schedules: a file system in memory, workers that are paused for long,
//! killed at any operation and started anew, clocks that run at different speeds, operations whose answers come late.
//!
//! Each file operation waits for its turn, which a seeded generator gives; so a schedule is its seed.

use super::lease::{Claim, Watch};
use super::owner::Owner;
use super::store::{Taken, publish, turn};
use super::system::System;
use crate::Rng;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const RESULTS: [&str; 2] = ["a", "b"];
/// Steps of making a result; each leaves a checkpoint.
const STEPS: u64 = 4;
const PATIENCE: Duration = Duration::from_secs(120);
/// Files that an attempt takes over from the last one.
const CARRY: [&str; 2] = ["last", "best"];

/// Files by path (`None` for a folder), and what became of processes.
#[derive(Default)]
struct Disk {
    files: BTreeMap<PathBuf, Option<Vec<u8>>>,
    killed: HashSet<u32>,
    processes: u32,
    /// Seconds.
    time: f64,
    /// Results when they appeared: (path, content), which must never change.
    appeared: BTreeMap<PathBuf, BTreeMap<PathBuf, Option<Vec<u8>>>>,
    wrong: Option<String>,
    takeovers: usize,
    /// Steps that were taken by anyone.
    steps: usize,
}

/// What the process at a place says to the schedule.
enum Request {
    /// It waits for a turn: the leave to go on is sent there (`false`: it is killed).
    Turn(usize, Sender<bool>),
    /// It is over.
    Over(usize),
}

/// A process of the simulation.
struct Worker {
    disk: Arc<Mutex<Disk>>,
    turns: Sender<Request>,
    place: usize,
    process: u32,
    host: String,
    /// Speed and offset of its clock.
    clock: (f64, f64),
    dead: AtomicBool,
}

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

fn missing() -> io::Error {
    ErrorKind::NotFound.into()
}

impl Worker {
    /// Waits for its turn.
    fn wait(&self) -> io::Result<()> {
        let killed = || io::Error::other("killed");
        if self.dead.load(Ordering::Relaxed) {
            return Err(killed());
        }
        let (go, going) = channel();
        let request = Request::Turn(self.place, go);
        self.turns.send(request).map_err(|_| killed())?;
        if let Ok(true) = going.recv() {
            return Ok(());
        }
        self.dead.store(true, Ordering::Relaxed);
        Err(killed())
    }

    /// An operation: it takes effect at one moment between its call and its return.
    fn at_once<T>(&self, act: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        self.wait()?;
        let result = act(&mut lock(&self.disk));
        self.wait()?;
        result
    }
}

impl Disk {
    fn children(&self, folder: &Path) -> Vec<PathBuf> {
        let own = self.files.keys().filter(|path| path.starts_with(folder));
        own.filter(|path| *path != folder).cloned().collect()
    }

    fn put(&mut self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        match self.files.get(path.parent().unwrap_or(path)) {
            Some(None) => {
                self.check_finished(path);
                self.files.insert(path.into(), Some(bytes));
                Ok(())
            }
            _ => Err(missing()),
        }
    }

    /// What has appeared is never written again.
    fn check_finished(&mut self, path: &Path) {
        if path.starts_with("/done") {
            self.wrong = Some(format!("{} was written into a result", path.display()));
        }
    }

    fn copy_of(&self, folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let own = self
            .files
            .iter()
            .filter(|(path, _)| path.starts_with(folder));
        own.map(|(path, bytes)| (path.clone(), bytes.clone()))
            .collect()
    }
}

impl System for Worker {
    fn claim(&self, folder: &Path) -> io::Result<bool> {
        self.at_once(|disk| {
            if disk.files.contains_key(folder) {
                return Ok(false);
            }
            let parent = folder.parent().unwrap_or(folder);
            if !matches!(disk.files.get(parent), Some(None)) {
                return Err(missing());
            }
            disk.files.insert(folder.into(), None);
            disk.takeovers += usize::from(!folder.ends_with("1"));
            Ok(true)
        })
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.at_once(|disk| {
            let own = disk
                .files
                .keys()
                .filter(|path| path.parent() == Some(folder));
            let names = own.filter_map(|path| path.file_name());
            Ok(names
                .map(|name| name.to_string_lossy().into_owned())
                .collect())
        })
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.at_once(|disk| Ok(disk.files.get(path).cloned().flatten()))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.at_once(|disk| disk.put(path, bytes.to_vec()))
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<bool> {
        match self.read(from)? {
            Some(bytes) => self.write(to, &bytes).map(|()| true),
            None => Ok(false),
        }
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.at_once(|disk| Ok(disk.files.contains_key(path)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.at_once(|disk| {
            let moved = disk.copy_of(from);
            if moved.is_empty() {
                return Err(missing());
            }
            let is_file = matches!(disk.files.get(from), Some(Some(_)));
            if !is_file && !disk.children(to).is_empty() {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            for (path, bytes) in moved {
                disk.files.remove(&path);
                let rest = path.strip_prefix(from).map_err(io::Error::other)?;
                let path = if is_file { to.into() } else { to.join(rest) };
                disk.files.insert(path, bytes);
            }
            if to.starts_with("/done") {
                let result = disk.copy_of(to);
                disk.appeared.insert(to.into(), result);
            }
            Ok(())
        })
    }

    fn remove(&self, folder: &Path) -> io::Result<()> {
        // One by one: others see it half done.
        loop {
            let left = self.at_once(|disk| {
                let last = disk.children(folder).pop();
                let last = last.unwrap_or_else(|| folder.into());
                disk.check_finished(&last);
                disk.files.remove(&last);
                Ok(last != folder)
            })?;
            if !left {
                return Ok(());
            }
        }
    }

    fn now(&self) -> Duration {
        let (speed, offset) = self.clock;
        Duration::from_secs_f64(lock(&self.disk).time * speed + offset)
    }

    fn owner(&self, home: &Path) -> Owner {
        Owner {
            host: self.host.clone(),
            process: self.process,
            started: 1,
            boot: self.host.clone(),
            namespace: "n".into(),
            lease: (self.now().as_secs_f64() * 1e6) as u64,
            home: home.into(),
        }
    }

    fn is_gone(&self, owner: &Owner, _home: &Path) -> bool {
        owner.boot == self.host && lock(&self.disk).killed.contains(&owner.process)
    }
}

/// The next state of what a result is computed from: any lost, repeated or mixed-up step shows at the end.
fn step(state: u64, number: u64) -> u64 {
    (state ^ number)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(17)
        | 1
}

/// What a result must be: the state after all steps, and the one that was "best".
fn expected() -> [u64; 2] {
    let states: Vec<u64> = (0..STEPS)
        .scan(0, |state, number| {
            *state = step(*state, number);
            Some(*state)
        })
        .collect();
    [
        states[STEPS as usize - 1],
        states.into_iter().max().unwrap_or(0),
    ]
}

/// As training does it: go on from the checkpoint, write the best before the last, then publish.
fn attempt(worker: &Worker, watch: &Watch, result: &str) -> io::Result<bool> {
    let (done, home) = (
        Path::new("/done").join(result),
        Path::new("/work").join(result),
    );
    let mut claim = match turn(worker, &done, &home, watch, &CARRY)? {
        Taken::Done => return Ok(true),
        Taken::Busy(_) => return Ok(false),
        Taken::Mine(claim) => claim,
    };
    match make(worker, &mut claim) {
        // Its folder was removed under it: another was faster.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Ok(true) => publish(worker, &claim, &done),
        made => made,
    }
}

/// Goes on to the last step; `false` if another took over.
fn make(worker: &Worker, claim: &mut Claim) -> io::Result<bool> {
    let content = claim.folder().join("content");
    let last = worker.read(&content.join("last"))?;
    let text = last.map_or("0 0 0".into(), |bytes| {
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let numbers: Vec<u64> = text
        .split(' ')
        .filter_map(|number| number.parse().ok())
        .collect();
    let [mut number, mut state, mut best] = numbers[..] else {
        return Err(io::Error::other("a torn checkpoint"));
    };
    while number < STEPS {
        if !claim.is_held(worker)? {
            return Ok(false);
        }
        state = step(state, number);
        lock(&worker.disk).steps += 1;
        number += 1;
        if state > best {
            best = state;
            worker.write(&content.join("best"), best.to_string().as_bytes())?;
        }
        worker.write(
            &content.join("last"),
            format!("{number} {state} {best}").as_bytes(),
        )?;
        claim.beat(worker)?;
    }
    Ok(true)
}

/// What a process does: whatever is open, until all is there.
fn process(worker: &Worker) {
    let watch = Watch::new(PATIENCE);
    let mut open: BTreeSet<&str> = RESULTS.into();
    while !open.is_empty() {
        for result in RESULTS {
            match attempt(worker, &watch, result) {
                Ok(true) => {
                    open.remove(result);
                }
                Ok(false) => {}
                Err(error) if error.to_string() == "killed" => return,
                Err(error) => {
                    lock(&worker.disk).wrong = Some(error.to_string());
                    return;
                }
            }
        }
        if worker.wait().is_err() {
            return;
        }
    }
}

/// Runs a schedule to its end; how often a lease changed hands, how many processes were killed and how many
/// steps were taken.
fn run(seed: u64) -> Result<[usize; 3], String> {
    let mut rng = Rng::stream(seed, "schedule", 0);
    let disk = Arc::new(Mutex::new(Disk::default()));
    for folder in ["/done", "/work"] {
        lock(&disk).files.insert(folder.into(), None);
    }
    let (turns, requests) = channel();
    let mut threads = Vec::new();
    let mut start = |place: usize, rng: &mut Rng| {
        let mut state = lock(&disk);
        state.processes += 1;
        let worker = Worker {
            disk: Arc::clone(&disk),
            turns: turns.clone(),
            place,
            process: state.processes,
            host: format!("host {}", rng.below(2)),
            clock: (0.5 + 1.5 * rng.uniform_f64(), 1e4 * rng.uniform_f64()),
            dead: AtomicBool::new(false),
        };
        let process_id = worker.process;
        threads.push(std::thread::spawn(move || {
            process(&worker);
            // The schedule may have failed and be gone.
            let _ = worker.turns.send(Request::Over(worker.place));
        }));
        process_id
    };
    let mut living: Vec<Option<u32>> = Vec::new();
    for place in 0..3 {
        living.push(Some(start(place, &mut rng)));
    }
    let kills = conduct(&requests, &disk, &mut living, &mut rng, &mut start)?;
    for thread in threads {
        thread
            .join()
            .map_err(|_| "a process panicked".to_string())?;
    }
    let disk = lock(&disk);
    check(&disk)?;
    Ok([disk.takeovers, kills, disk.steps])
}

/// Gives turns until all processes are through.
fn conduct(
    requests: &Receiver<Request>,
    disk: &Mutex<Disk>,
    living: &mut [Option<u32>],
    rng: &mut Rng,
    start: &mut dyn FnMut(usize, &mut Rng) -> u32,
) -> Result<usize, String> {
    let mut waiting: BTreeMap<usize, Sender<bool>> = BTreeMap::new();
    let mut asleep = vec![0usize; living.len()];
    let mut kills = 0;
    for turn in 0.. {
        while waiting.len() < living.iter().flatten().count() {
            match requests.recv().map_err(|_| "no process is left")? {
                Request::Turn(place, go) => drop(waiting.insert(place, go)),
                Request::Over(place) => living[place] = None,
            }
        }
        if waiting.is_empty() {
            return Ok(kills);
        }
        if turn > 100_000 {
            return Err("it does not end".into());
        }
        let awake: Vec<usize> = waiting
            .keys()
            .copied()
            .filter(|place| asleep[*place] == 0)
            .collect();
        asleep
            .iter_mut()
            .for_each(|left| *left = left.saturating_sub(1));
        let Some(&place) = awake.get(rng.below(awake.len().max(1))) else {
            continue;
        };
        if rng.uniform_f64() < 0.01 {
            asleep[place] = rng.below(400);
            continue;
        }
        lock(disk).time += 4.0 * rng.uniform_f64();
        let go = waiting.remove(&place).ok_or("nobody waits there")?;
        if kills < 6 && rng.uniform_f64() < 0.01 {
            kills += 1;
            kill(disk, living, place, &go, requests)?;
            living[place] = Some(start(place, rng));
        } else {
            go.send(true)
                .map_err(|_| "a process was over that waited")?;
        }
    }
    Ok(kills)
}

fn kill(
    disk: &Mutex<Disk>,
    living: &mut [Option<u32>],
    place: usize,
    go: &Sender<bool>,
    requests: &Receiver<Request>,
) -> Result<(), String> {
    if let Some(process) = living[place].take() {
        lock(disk).killed.insert(process);
    }
    go.send(false)
        .map_err(|_| "a process was over that waited")?;
    match requests.recv() {
        Ok(Request::Over(over)) if over == place => Ok(()),
        _ => Err("a killed process went on".into()),
    }
}

/// All results are there, right, and as they were when they appeared.
fn check(disk: &Disk) -> Result<(), String> {
    if let Some(wrong) = &disk.wrong {
        return Err(wrong.clone());
    }
    let [last, best] = expected();
    for result in RESULTS {
        let folder = Path::new("/done").join(result);
        let now = disk.copy_of(&folder);
        if disk.appeared.get(&folder) != Some(&now) {
            return Err(format!("{result} changed after it had appeared"));
        }
        let text = |name: &str| {
            let bytes = now.get(&folder.join(name)).cloned().flatten();
            bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        if text("last") != Some(format!("{STEPS} {last} {best}"))
            || text("best") != Some(best.to_string())
        {
            return Err(format!(
                "{result} is wrong: {:?}, {:?}",
                text("last"),
                text("best")
            ));
        }
    }
    Ok(())
}

#[test]
fn a_thousand_schedules_with_pauses_kills_and_slow_disks_give_the_same_results() {
    let mut sums = [0; 3];
    for seed in 0..1000 {
        let counts = run(seed).unwrap_or_else(|wrong| panic!("schedule {seed}: {wrong}"));
        sums.iter_mut()
            .zip(counts)
            .for_each(|(sum, count)| *sum += count);
    }
    let [takeovers, kills, steps] = sums;
    // The schedules are worth something only if leases do change hands.
    assert!(
        takeovers > 1000 && kills > 1000,
        "{takeovers} takeovers, {kills} kills"
    );
    // And the leases are: less than one step in twenty is done twice. (3.5 in a hundred; 5.7 if nobody waits for
    // a heartbeat to stand still, 30 if nothing is inherited.)
    let needed = 1000 * RESULTS.len() * STEPS as usize;
    assert!(steps < needed * 21 / 20, "{steps} steps for {needed}");
}
