//! `hw models`: the networks there are, and what one consists of.

use crate::args::{Common, ModelsArgs};
use crate::output::{Table, answer, grouped};
use anyhow::Result;
use hw_models::zoo::settings::Setting;
use hw_models::{Summary, zoo};
use serde::Serialize;
use std::fmt;
use std::process::ExitCode;

/// Channels, height and width of the images that parameters are counted for.
const INPUT: [usize; 3] = [1, 28, 28];

/// All networks.
#[derive(Debug, Serialize)]
struct List {
    input: [usize; 3],
    classes: usize,
    models: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    about: &'static str,
    source: &'static str,
    parameters: usize,
    macs: u64,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["model", ">parameters", ">MACs", "what"]);
        for model in &self.models {
            table.row([
                model.name.into(),
                grouped(model.parameters),
                grouped(model.macs),
                model.about.into(),
            ]);
        }
        let [_, height, width] = self.input;
        writeln!(f, "{table}")?;
        writeln!(
            f,
            "for {height}x{width} images of {} classes; `hw models NAME` shows the layers",
            self.classes
        )
    }
}

/// One network.
#[derive(Debug, Serialize)]
struct Model {
    about: &'static str,
    source: &'static str,
    init: String,
    settings: Vec<Setting>,
    #[serde(flatten)]
    summary: Summary,
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.summary)?;
        writeln!(f, "what    {}", self.about)?;
        writeln!(f, "source  {}", self.source)?;
        writeln!(f, "start   {}", self.init)?;
        if self.settings.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(&["setting", "default", "what"]);
        for setting in self.settings.iter().cloned() {
            table.row([setting.name.into(), setting.default, setting.about.into()]);
        }
        write!(f, "\n{table}")?;
        writeln!(f, "set with --model-option NAME=VALUE")
    }
}

pub(crate) fn run(args: &ModelsArgs, common: &Common) -> Result<ExitCode> {
    let classes = usize::from(args.classes);
    match &args.name {
        Some(name) => {
            let settings = args.model_option.iter().cloned().collect();
            answer(common.json, &model(zoo::find(name)?, classes, &settings)?)?;
        }
        None => {
            let models: Result<Vec<Line>> = zoo::CATALOGUE
                .iter()
                .map(|entry| line(entry, classes))
                .collect();
            answer(
                common.json,
                &List {
                    input: INPUT,
                    classes,
                    models: models?,
                },
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(entry: &'static zoo::Entry, classes: usize) -> Result<Line> {
    let model = entry.spec(INPUT, classes).lower()?;
    let (parameters, macs) = (model.parameter_count(), model.macs());
    Ok(Line {
        name: entry.name,
        about: entry.about,
        source: entry.source,
        parameters,
        macs,
    })
}

fn model(entry: &'static zoo::Entry, classes: usize, settings: &zoo::Settings) -> Result<Model> {
    let model = entry.spec_with(INPUT, classes, settings)?.lower()?;
    Ok(Model {
        about: entry.about,
        source: entry.source,
        init: model.spec.init.to_string(),
        settings: entry.settings(),
        summary: model.summary(),
    })
}
