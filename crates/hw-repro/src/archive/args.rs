//! The options about archives.

use std::path::PathBuf;

/// Minutes of a proof where the user names none.
pub const USUAL_BUDGET: f64 = 10.0;

/// Keeping records of runs, and making and proving the report from them.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct ArchiveOptions {
    /// Keep a small record of each run of the report here, without weights: with them anybody can make
    /// the report again (--from-archive)
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "DIR", help_heading = "Archive")
    )]
    pub archive: Option<PathBuf>,

    /// Make the archive of --archive from these, and do nothing else
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "DIR", num_args = 1.., requires = "archive", help_heading = "Archive")
    )]
    pub merge: Vec<PathBuf>,

    /// Make the report from the records in an archive, without training and without data
    #[cfg_attr(
        feature = "clap",
        arg(
            long,
            value_name = "DIR",
            help_heading = "Archive",
            conflicts_with_all = [
                "archive", "merge", "new", "list", "profile", "data", "emnist", "seeds", "stop_after",
                "workers", "memory", "worker", "report_only", "status", "engine", "simulate"
            ]
        )
    )]
    pub from_archive: Option<PathBuf>,

    /// After the report from an archive, rerun archived runs drawn at random for so many minutes, and show
    /// what came out here beside what is archived; 0 for none
    #[cfg_attr(feature = "clap", arg(long, value_name = "MINUTES", value_parser = not_negative, help_heading = "Archive"))]
    pub budget: Option<f64>,

    /// What draws these runs [default: the clock]
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "N", help_heading = "Archive")
    )]
    pub seed: Option<u64>,

    /// An archive of runs on glyphs, from which runs are drawn where the data of the archive is not here.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub on_glyphs: Option<PathBuf>,
}

#[cfg(feature = "clap")]
fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("expected a number of minutes, 0 or more".into()),
    }
}
