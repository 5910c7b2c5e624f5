//! A trained network in a file, with what a reader should know of it: one safetensors file with
//! weights of eight bits.
//!
//! Each output of a layer has a scale, and its weights are whole numbers from -127 to 127 times
//! that (symmetric quantisation by output; biases stay f32). Weights are widened to f32 when read.

use crate::InkError;
use crate::net::{Layer, Net, softmax};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What a reader should know of a model; travels in its file and stands on the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Short name: "digits".
    pub name: String,
    /// What it reads, in words: "Digits 0 to 9".
    pub title: String,
    /// What it answers, by logit.
    pub classes: Vec<String>,
    /// The temperature that calibrates its probabilities.
    pub temperature: f32,
    /// What it learned from, and under which licence.
    pub trained_on: String,
    /// The command that made it.
    pub command: String,
    /// Accuracies as measured, weakest claims included.
    pub measured: Vec<Measurement>,
}

/// An accuracy on one set of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The set: "MNIST test".
    pub on: String,
    /// How many images.
    pub images: usize,
    /// Share of correct answers, as served (weights of eight bits).
    pub accuracy: f64,
    /// The same with the weights as trained (f32).
    pub accuracy_f32: f64,
    /// Expected calibration error over fifteen bins, as served.
    pub calibration_error: f64,
}

/// A network with its card.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What to know of it.
    pub card: Card,
    /// What runs.
    pub net: Net,
}

/// A layer without its weights, as the file's header names it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Outline {
    Conv {
        out: usize,
        kernel: usize,
        pad: usize,
    },
    Relu,
    MaxPool,
    Dense,
}

#[derive(Serialize, Deserialize)]
struct Header {
    card: Card,
    layers: Vec<Outline>,
}

/// The header's key in the file's metadata.
const KEY: &str = "hw-ink";

impl Model {
    /// A network with its card.
    ///
    /// # Errors
    /// [`InkError::Model`] when they differ in the number of classes, or the temperature is none.
    pub fn new(card: Card, net: Net) -> Result<Self, InkError> {
        if net.classes() != card.classes.len() {
            let (net, card) = (net.classes(), card.classes.len());
            return Err(InkError::Model(format!("{net} logits for {card} classes")));
        }
        if !(card.temperature.is_finite() && card.temperature > 0.0) {
            let problem = format!("temperature {} is not above 0", card.temperature);
            return Err(InkError::Model(problem));
        }
        Ok(Self { card, net })
    }

    /// Calibrated probabilities, one a class.
    ///
    /// # Errors
    /// As [`Net::logits`].
    pub fn probabilities(&self, image: &[u8]) -> Result<Vec<f32>, InkError> {
        Ok(softmax(&self.net.logits(image)?, self.card.temperature))
    }

    /// The file's bytes. Weights are rounded to eight bits; reading them back gives
    /// [`Self::quantised`].
    ///
    /// # Errors
    /// [`InkError::Model`] when the file cannot be made.
    pub fn to_bytes(&self) -> Result<Vec<u8>, InkError> {
        let mut outline = Vec::new();
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (index, layer) in self.net.layers().iter().enumerate() {
            outline.push(layer.outline());
            let Some((weight, bias)) = layer.tensors() else {
                continue;
            };
            let (rows, scales) = quantise(weight, bias.len());
            let shape = vec![rows.len() / bias.len(), bias.len()];
            let bytes = rows.iter().map(|&w| w as u8).collect();
            tensors.push((format!("{index}.weight"), Dtype::I8, shape, bytes));
            for (what, values) in [("scale", &scales[..]), ("bias", bias)] {
                let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                tensors.push((
                    format!("{index}.{what}"),
                    Dtype::F32,
                    vec![bias.len()],
                    bytes,
                ));
            }
        }
        let header = Header {
            card: self.card.clone(),
            layers: outline,
        };
        let refuse = |error: &dyn std::fmt::Display| InkError::Model(error.to_string());
        let header = serde_json::to_string(&header).map_err(|error| refuse(&error))?;
        let views = tensors.iter().map(|(name, kind, shape, bytes)| {
            TensorView::new(*kind, shape.clone(), bytes).map(|view| (name.as_str(), view))
        });
        let views = views
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| refuse(&e))?;
        let metadata = HashMap::from([(KEY.to_owned(), header)]);
        safetensors::serialize(views, Some(metadata)).map_err(|error| refuse(&error))
    }

    /// Reads a model's file.
    ///
    /// # Errors
    /// [`InkError::Model`] saying what is damaged or missing.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InkError> {
        let refuse = |problem: String| InkError::Model(problem);
        let damaged = |error| refuse(format!("damaged or no safetensors file: {error}"));
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let header = metadata.metadata().as_ref().and_then(|map| map.get(KEY));
        let header = header.ok_or_else(|| refuse(format!("has no '{KEY}' metadata")))?;
        let header: Header = serde_json::from_str(header)
            .map_err(|error| refuse(format!("'{KEY}' metadata: {error}")))?;
        let tensor = |name: String, kind: Dtype| match file.tensor(&name) {
            Ok(view) if view.dtype() == kind => Ok(view.data().to_vec()),
            Ok(view) => Err(refuse(format!(
                "{name} is {:?}, not {kind:?}",
                view.dtype()
            ))),
            Err(error) => Err(refuse(format!("{name}: {error}"))),
        };
        let floats = |name: String| {
            let bytes = tensor(name, Dtype::F32)?;
            let values = bytes.chunks_exact(4);
            Ok(values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
                .map(|values| values.collect::<Vec<f32>>())
        };
        let mut layers = Vec::new();
        for (index, outline) in header.layers.iter().enumerate() {
            let weights = || {
                let rows = tensor(format!("{index}.weight"), Dtype::I8)?;
                let scales = floats(format!("{index}.scale"))?;
                let bias = floats(format!("{index}.bias"))?;
                if bias.is_empty() || scales.len() != bias.len() || rows.len() % bias.len() != 0 {
                    return Err(refuse(format!("layer {index}'s tensors differ in width")));
                }
                let rows = rows.chunks_exact(bias.len());
                let widened = rows.flat_map(|row| {
                    row.iter()
                        .zip(&scales)
                        .map(|(&w, scale)| f32::from(w as i8) * scale)
                });
                Ok((widened.collect(), bias))
            };
            layers.push(match *outline {
                Outline::Relu => Layer::Relu,
                Outline::MaxPool => Layer::MaxPool,
                Outline::Dense => {
                    let (weight, bias) = weights()?;
                    Layer::Dense { weight, bias }
                }
                Outline::Conv { out, kernel, pad } => {
                    let (weight, bias) = weights()?;
                    Layer::Conv {
                        out,
                        kernel,
                        pad,
                        weight,
                        bias,
                    }
                }
            });
        }
        let net = Net::new(layers, header.card.classes.len())?;
        Self::new(header.card, net)
    }

    /// The model as it comes back from its file.
    ///
    /// # Errors
    /// As [`Self::to_bytes`].
    pub fn quantised(&self) -> Result<Self, InkError> {
        Self::from_bytes(&self.to_bytes()?)
    }
}

impl Layer {
    fn outline(&self) -> Outline {
        match *self {
            Self::Conv {
                out, kernel, pad, ..
            } => Outline::Conv { out, kernel, pad },
            Self::Relu => Outline::Relu,
            Self::MaxPool => Outline::MaxPool,
            Self::Dense { .. } => Outline::Dense,
        }
    }

    fn tensors(&self) -> Option<(&[f32], &[f32])> {
        match self {
            Self::Conv { weight, bias, .. } | Self::Dense { weight, bias } => Some((weight, bias)),
            Self::Relu | Self::MaxPool => None,
        }
    }
}

/// Rows of `width` weights as whole numbers, and the scale of each column.
fn quantise(weight: &[f32], width: usize) -> (Vec<i8>, Vec<f32>) {
    let mut scales = vec![0f32; width];
    for row in weight.chunks_exact(width) {
        for (scale, weight) in scales.iter_mut().zip(row) {
            *scale = scale.max(weight.abs() / 127.0);
        }
    }
    let round = |(weight, scale): (&f32, &f32)| match *scale > 0.0 {
        true => (weight / scale).round().clamp(-127.0, 127.0) as i8,
        false => 0,
    };
    let rows = weight.chunks_exact(width);
    let rounded = rows
        .flat_map(|row| row.iter().zip(&scales).map(round))
        .collect();
    (rounded, scales)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::PIXELS;
    use crate::net::tests::small_net;

    fn model() -> Model {
        let card = Card {
            name: "digits".into(),
            title: "Digits".into(),
            classes: (0..10).map(|digit| digit.to_string()).collect(),
            temperature: 1.5,
            trained_on: "nothing".into(),
            command: "none".into(),
            measured: Vec::new(),
        };
        Model::new(card, small_net()).unwrap()
    }

    #[test]
    fn a_file_read_and_written_again_is_the_same_to_the_byte() {
        let bytes = model().to_bytes().unwrap();
        let read = Model::from_bytes(&bytes).unwrap();
        assert_eq!(read.card, model().card);
        assert_eq!(read.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn rounding_moves_each_weight_by_at_most_half_a_step() {
        let (before, after) = (model(), model().quantised().unwrap());
        for (old, new) in before.net.layers().iter().zip(after.net.layers()) {
            let (Some((old, bias)), Some((new, same))) = (old.tensors(), new.tensors()) else {
                continue;
            };
            assert_eq!(bias, same);
            let most = old.iter().fold(0f32, |most, w| most.max(w.abs()));
            assert!(
                old.iter()
                    .zip(new)
                    .all(|(a, b)| (a - b).abs() <= 0.501 * most / 127.0)
            );
        }
        let image = [100; PIXELS];
        let [a, b] = [before, after].map(|model| model.probabilities(&image).unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 0.3));
    }

    #[test]
    fn a_damaged_file_is_refused_wherever_it_is_cut() {
        let bytes = model().to_bytes().unwrap();
        for length in [0, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
            assert!(Model::from_bytes(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_card_that_does_not_fit_its_network_is_refused() {
        let mut wrong = model();
        wrong.card.classes.pop();
        assert!(Model::new(wrong.card, wrong.net).is_err());
        let mut frozen = model();
        frozen.card.temperature = 0.0;
        assert!(Model::new(frozen.card, frozen.net).is_err());
    }
}
