//! Writes the networks of the tests for other frameworks, for `fixtures/exchange/make_exchange.py`:
//! `cargo run -p hw-exchange --example export_cases -- FOLDER`.

#[path = "../tests/exchange/cases.rs"]
#[allow(missing_docs, clippy::unwrap_used, dead_code)]
mod cases;

use hw_exchange::{ExchangeError, Format, export};
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name a folder")?);
    for (name, spec) in cases::cases() {
        for format in Format::ALL {
            let files = match export(&cases::contents(&spec), &spec, format) {
                Err(ExchangeError::NoCounterpart { .. }) => continue,
                files => files?,
            };
            for file in files {
                let path = folder.join(name).join(format.name()).join(file.name);
                hw_core::files::write_whole(&path, &file.bytes)?;
            }
        }
        let [c, h, w] = spec.input;
        let shape = format!("{} {c} {h} {w}\n", cases::IMAGES);
        hw_core::files::write_whole(&folder.join(name).join("shape"), shape.as_bytes())?;
    }
    Ok(())
}
