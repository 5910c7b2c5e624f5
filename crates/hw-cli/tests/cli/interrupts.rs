//! Ctrl-C, and readers that go away.
#![cfg(unix)]

use crate::support::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Lines, Read};
use std::process::{Child, ChildStderr, Stdio};

fn interrupt(child: &Child) {
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
}

fn spawn(command: &mut std::process::Command) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    (child, lines)
}

fn wait_for(lines: &mut Lines<BufReader<ChildStderr>>, needle: &str) {
    while !lines
        .next()
        .unwrap_or_else(|| panic!("it never said '{needle}'"))
        .unwrap()
        .contains(needle)
    {}
}

#[test]
fn ctrl_c_saves_says_how_to_go_on_and_loses_nothing() {
    let out = folder();
    let config = tiny_config(out.path());
    let (whole, stopped) = (out.path().join("whole"), out.path().join("stopped"));
    let start = "train --config {} --data-dir {} --out {} -v";
    succeeded(&run(start, &[&config, small_data(), &whole]));

    let (mut child, mut lines) = spawn(&mut command(start, &[&config, small_data(), &stopped]));
    wait_for(&mut lines, "step 40/");
    interrupt(&child);
    wait_for(&mut lines, "stopping at the next step");
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let advice = format!("hw train --resume {} --data-dir", stopped.display());
    assert!(said.contains(&advice), "{said}");
    nothing_half_written(&stopped);

    succeeded(&run(
        "train --resume {} --data-dir {}",
        &[&stopped, small_data()],
    ));
    assert!(
        checkpoints(&stopped) == checkpoints(&whole),
        "the resumed run differs"
    );
}

#[test]
fn a_second_ctrl_c_ends_it_at_once() {
    let out = folder();
    let run = out.path().join("run");
    // Drawing so many glyphs takes long enough to be interrupted twice.
    let line = "train --model ann --dataset glyphs --threads 1 --out {} -v";
    let (mut child, mut lines) = spawn(&mut command(line, &[&run]));
    wait_for(&mut lines, "loading glyphs");
    interrupt(&child);
    wait_for(&mut lines, "stopping at the next step");
    // Off a terminal it is a second one only after a while.
    let status = loop {
        interrupt(&child);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
    };
    assert_eq!(status.code(), Some(130));
    assert!(!run.exists());
}

#[test]
fn a_signal_that_a_jobs_script_passes_on_too_is_one() {
    let out = folder();
    let (config, stopped) = (tiny_config(out.path()), out.path().join("run"));
    let start = "train --config {} --data-dir {} --out {} -v";
    let (mut child, mut lines) = spawn(&mut command(start, &[&config, small_data(), &stopped]));
    wait_for(&mut lines, "step 40/");
    let id = Pid::from_raw(child.id() as i32);
    kill(id, Signal::SIGTERM).unwrap();
    wait_for(&mut lines, "stopping at the next step");
    kill(id, Signal::SIGTERM).unwrap();
    let mut said = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    stdout.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(said.contains("hw train --resume"), "{said}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let out = folder();
    let run = out.path().join("run");
    let lines = [
        command("models", &[]),
        command("data list", &[]),
        command("completions bash", &[]),
        command("man", &[]),
        command("--help", &[]),
        command(
            "train --model ann --dataset mnist --epochs 1 --data-dir {} --out {} -v",
            &[small_data(), &run],
        ),
    ];
    for mut command in lines {
        // Both pipes are closed before anything is written.
        let closed = || std::io::pipe().unwrap().1;
        let status = command.stdout(closed()).stderr(closed()).status().unwrap();
        assert!(status.success(), "{command:?}: {status}");
    }
    nothing_half_written(&run);
}
