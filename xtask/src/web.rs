//! `cargo xtask web`: the page as a folder of files that needs no server; and `cargo xtask
//! page-tests`: the page in a real browser, with the server and without.

use crate::args::{PageTestsArgs, WebArgs};
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

const PAGE: &str = "crates/hw-serve/page";
const TESTS: &str = "crates/hw-serve/page-tests";
const MODELS: &str = "crates/hw-ink/models";
const TARGET: &str = "wasm32-unknown-unknown";
/// The weights of all models together stay below this.
const MOST_WEIGHTS: u64 = 1_000_000;

pub(crate) fn run(args: &WebArgs) -> Result<ExitCode> {
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| root().join("results/web"));
    let size = build(&out)?;
    eprintln!(
        "{}: {} bytes; any web server can offer it",
        out.display(),
        size
    );
    Ok(ExitCode::SUCCESS)
}

/// Makes the folder and gives its size in bytes.
fn build(out: &Path) -> Result<u64> {
    let target = target_folder();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(root())
        .args([
            "build",
            "--quiet",
            "--locked",
            "--profile",
            "web",
            "-p",
            "hw-wasm",
            "--lib",
        ])
        .args(["--target", TARGET])
        .arg("--target-dir")
        .arg(&target)
        .env("RUSTFLAGS", "-C target-feature=+simd128");
    done(
        cargo,
        "the target is installed by: rustup target add wasm32-unknown-unknown",
    )?;
    let module = target.join(TARGET).join("web/hw_wasm.wasm");
    let mut size = copy(&module, &out.join("hw.wasm"))?;
    size += copy_all(&root().join(PAGE), out, |_| true)?;
    let models = root().join(MODELS);
    let weights = copy_all(&models, &out.join("models"), |name| {
        name.extension() == Some(OsStr::new("safetensors"))
    })?;
    ensure!(
        weights < MOST_WEIGHTS,
        "the models are {weights} bytes, above {MOST_WEIGHTS}"
    );
    Ok(size + weights)
}

/// Where cargo builds.
pub(crate) fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn copy_all(from: &Path, to: &Path, wanted: impl Fn(&Path) -> bool) -> Result<u64> {
    let mut size = 0;
    let entries =
        std::fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))?;
    for entry in entries {
        let path = entry?.path();
        if let (true, Some(name)) = (path.is_file() && wanted(&path), path.file_name()) {
            size += copy(&path, &to.join(name))?;
        }
    }
    Ok(size)
}

fn copy(from: &Path, to: &Path) -> Result<u64> {
    let bytes = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    hw_core::files::write_whole(to, &bytes)?;
    Ok(bytes.len() as u64)
}

pub(crate) fn page_tests(args: &PageTestsArgs) -> Result<ExitCode> {
    let chromium = std::env::var_os("CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
    let missing = "; Debian's package is chromium, or set CHROMIUM to where one is";
    ensure!(
        Path::new(&chromium).exists(),
        "there is no {}{missing}",
        Path::new(&chromium).display()
    );
    let tests = root().join(TESTS);
    let npm = |arguments: &[&str]| {
        let mut npm = Command::new("npm");
        npm.current_dir(&tests).args(arguments);
        npm
    };
    let quiet = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
    done(npm(&quiet), "Node.js 20 or newer with npm is needed")?;
    done(
        npm(&["run", "--silent", "check"]),
        "the page's types or style are wrong",
    )?;
    let web = root().join("results/web");
    build(&web)?;
    let hw = match &args.hw {
        Some(hw) => std::path::absolute(hw)?,
        None => build_hw()?,
    };
    let mut run = npm(&["test"]);
    run.env("HW_BIN", hw)
        .env("HW_WEB", &web)
        .env("CHROMIUM", chromium);
    if let Some(place) = &args.screenshots {
        run.env("HW_SCREENSHOTS", std::path::absolute(place)?);
    }
    done(run, "the page's tests failed")?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the binary under test and says where it is.
pub(crate) fn build_hw() -> Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(root())
        .args(["build", "--locked", "-p", "hw-cli", "--bin", "hw"]);
    done(cargo, "hw does not build")?;
    Ok(target_folder().join("debug/hw"))
}

/// Runs a command to its good end; `advice` says what may be the matter otherwise.
fn done(mut command: Command, advice: &str) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("cannot run {name}; {advice}"))?;
    ensure!(status.success(), "{name} ended with {status}; {advice}");
    Ok(())
}
