//! `cargo xtask reproduce-all`: `hw reproduce` in a checkout.

use crate::args::ReproduceArgs;
use anyhow::{Context, Result};
use hw_core::CancelToken;
use hw_repro::{ArchiveOptions, Common, Options};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the checkout keeps the archives of its reports.
const ARCHIVES: &str = "docs/results/archive";

/// What is asked for; with nothing but a budget or a seed, the report from the checkout's archive and a
/// proof of it by sampling.
fn asked(args: &ReproduceArgs) -> Options {
    let ArchiveOptions { budget, seed, .. } = args.options.archive;
    let nothing = Options {
        archive: ArchiveOptions {
            budget,
            seed,
            ..ArchiveOptions::default()
        },
        ..Options::default()
    };
    if args.options != nothing {
        return args.options.clone();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    // Short where it can be: the report says where it is from.
    let archives = match (root.canonicalize(), here) {
        (Ok(root), Ok(here)) if root == here => PathBuf::from(ARCHIVES),
        (Ok(root), _) => root.join(ARCHIVES),
        (Err(_), _) => root.join(ARCHIVES),
    };
    Options {
        archive: ArchiveOptions {
            from_archive: Some(archives.join("real")),
            on_glyphs: Some(archives.join("glyphs")),
            budget: Some(budget.unwrap_or(hw_repro::USUAL_BUDGET)),
            ..nothing.archive
        },
        ..nothing
    }
}

/// Runs the command.
///
/// # Errors
/// When threads cannot be started; what keeps the report from being made is told here.
pub(crate) fn run(args: &ReproduceArgs) -> Result<ExitCode> {
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
        pool.build_global()
            .context("cannot set the number of threads")?;
    }
    let cancel = CancelToken::new();
    crate::stop_on_ctrl_c(&cancel)?;
    let common = Common {
        data_dir: args.data_dir.clone(),
        json: args.json,
        program: "cargo xtask reproduce-all",
    };
    Ok(match hw_repro::run(&asked(args), &common, &cancel) {
        Ok(finished) if finished.is_good() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_status())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser;

    fn of(arguments: &[&str]) -> Options {
        let line = ["xtask", "reproduce-all"].into_iter();
        let args = Args::try_parse_from(line.chain(arguments.iter().copied())).unwrap();
        let Command::ReproduceAll(args) = args.command else {
            panic!("{arguments:?}");
        };
        asked(&args)
    }

    #[test]
    fn with_nothing_but_a_budget_it_is_the_archive_and_with_any_option_the_runs() {
        let bare = of(&[]).archive;
        assert!(
            bare.from_archive
                .unwrap()
                .ends_with("docs/results/archive/real")
        );
        assert!(
            bare.on_glyphs
                .unwrap()
                .ends_with("docs/results/archive/glyphs")
        );
        assert_eq!(bare.budget, Some(hw_repro::USUAL_BUDGET));
        let short = of(&["--budget", "0", "--seed", "7", "--json"]).archive;
        assert_eq!((short.budget, short.seed), (Some(0.0), Some(7)));
        assert!(short.from_archive.is_some());
        for runs in [
            ["--profile", "quick"],
            ["--only", "beyond"],
            ["--out", "x"],
            ["--data", "real"],
            ["--seeds", "1"],
        ] {
            assert_eq!(of(&runs).archive.from_archive, None, "{runs:?}");
        }
    }
}
