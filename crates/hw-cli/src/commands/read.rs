//! `hw predict` of whole words: what is written in an image, or in strokes.

use crate::args::{Common, PredictArgs};
use crate::output::{Table, answer};
use anyhow::{Context, Result};
use hw_ink::api::{self, Answer, Request};
use hw_serve::models::{Models, Served};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What some files say.
#[derive(Debug, Serialize)]
struct Readings {
    model: String,
    trained_on: String,
    readings: Vec<Reading>,
}

#[derive(Debug, Serialize)]
struct Reading {
    file: PathBuf,
    #[serde(flatten)]
    answer: Answer,
}

impl fmt::Display for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["file", "reads", ">least sure"]);
        for Reading { file, answer } in &self.readings {
            let sure = answer
                .characters
                .iter()
                .filter_map(|c| Some(c.top.first()?.probability));
            let least = sure.reduce(f32::min);
            table.row([
                file.display().to_string(),
                if answer.blank {
                    "(blank)".into()
                } else {
                    answer.text.replace('\n', " / ")
                },
                least.map_or_else(String::new, |p| format!("{:.1} %", p * 100.0)),
            ]);
        }
        write!(f, "{table}")
    }
}

pub(crate) fn run(args: &PredictArgs, common: &Common) -> Result<ExitCode> {
    let models = Models::load(args.checkpoint.as_deref())?;
    let served = models.find(args.builtin.as_deref());
    let served = served.context("there is no such model")?;
    let read = |path: &PathBuf| -> Result<Reading> {
        let answer =
            file(path, &served).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Reading {
            file: path.clone(),
            answer,
        })
    };
    let readings = Readings {
        model: served.card.name.clone(),
        trained_on: served.card.trained_on.clone(),
        readings: args.images.iter().map(read).collect::<Result<_>>()?,
    };
    answer(common.json, &readings)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a file is one of strokes.
pub(super) fn is_strokes(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

fn file(path: &Path, served: &Served) -> Result<Answer> {
    let bytes = std::fs::read(path)?;
    if is_strokes(path) {
        let request: Request = serde_json::from_slice(&bytes)?;
        return Ok(api::read_strokes(
            &request,
            &served.card.name,
            &*served.classifier,
        )?);
    }
    Ok(hw_serve::image::read(&bytes, served)?)
}
