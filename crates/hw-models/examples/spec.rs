//! A network's declaration as JSON, for programs that build the network themselves
//! (`fixtures/models/make_ten_steps.py`):
//! `cargo run -p hw-models --example spec -- lenet5 1x28x28 10 pool=average`.

use hw_models::zoo;
use std::error::Error;

const USAGE: &str = "usage: spec NAME CHANNELSxHEIGHTxWIDTH CLASSES [SETTING=VALUE ...]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, input, classes, settings @ ..] = arguments.as_slice() else {
        return Err(USAGE.into());
    };
    let sizes: Result<Vec<usize>, _> = input.split('x').map(str::parse).collect();
    let input: [usize; 3] = sizes?.try_into().map_err(|_| USAGE)?;
    let pair = |text: &String| Some(text.split_once('=')?).map(|(k, v)| (k.into(), v.into()));
    let settings: Option<zoo::Settings> = settings.iter().map(pair).collect();
    let spec = zoo::spec_with(name, input, classes.parse()?, &settings.ok_or(USAGE)?)?;
    println!("{}", serde_json::to_string(&spec)?);
    Ok(())
}
