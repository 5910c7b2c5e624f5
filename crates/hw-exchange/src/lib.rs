//! Networks to and from other frameworks, with the same logits on both sides.
//!
//! | format | what is written | who reads it |
//! |---|---|---|
//! | `pytorch` | `model.safetensors` and the network as a plain `model.py` | `from model import load` |
//! | `torchvision` | `model.safetensors` under torchvision's names | `torchvision.models.resnet50().load_state_dict` |
//! | `onnx` | `model.onnx`, opset 17, any batch size | ONNX Runtime and whatever else reads ONNX |
//!
//! Each can be read back ([`import()`]) for a network that is already declared; files of ours also
//! say which network that is ([`declaration()`]), `model.safetensors` also after its Python module's `save`.
//!
//! ```
//! use candle_core::Device;
//! use hw_exchange::{Format, declaration, export, import};
//! use hw_models::{Network, zoo};
//!
//! let spec = zoo::spec("lenet5", [1, 28, 28], 10)?;
//! let network = Network::new(&spec, 1, &Device::Cpu)?;
//! let files = export(&network.contents()?, &spec, Format::Onnx)?;
//! assert_eq!(files[0].name, "model.onnx");
//!
//! let path = "model.onnx".as_ref();
//! let declared = declaration(Format::Onnx, &files[0].bytes, path)?.expect("a file of ours");
//! assert_eq!(declared.spec, spec);
//! let back = import(&declared.spec, Format::Onnx, &files[0].bytes, path)?;
//! assert_eq!(back, network.contents()?.tensors);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod declaration;
mod error;
mod onnx;
mod protobuf;
mod python;
mod state_dict;
mod torchvision;

pub use declaration::{Declaration, declaration};
pub use error::ExchangeError;

use hw_kernels::Activation;
use hw_models::graph::{LoweredLayer, Node, Op};
use hw_models::weights::{Contents, STATE_PREFIX, StoredTensor};
use hw_models::{Graph, Layer, ModelSpec};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// Tensors by name.
pub type Tensors = BTreeMap<String, StoredTensor>;

/// A file format of another framework.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Safetensors under our own names, with a Python module that builds the network.
    Pytorch,
    /// Safetensors under torchvision's names; its ResNet-50 only.
    Torchvision,
    /// An ONNX graph.
    Onnx,
}

impl Format {
    /// All of them, in the order they are listed.
    pub const ALL: [Self; 3] = [Self::Pytorch, Self::Torchvision, Self::Onnx];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pytorch => "pytorch",
            Self::Torchvision => "torchvision",
            Self::Onnx => "onnx",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = ExchangeError;

    fn from_str(name: &str) -> Result<Self, ExchangeError> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| ExchangeError::UnknownFormat {
            given: name.into(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedFile {
    /// Its name.
    pub name: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The files that carry a network to another framework. `contents` are those of its weights file;
/// class names are taken from them where they are known.
///
/// # Errors
/// [`ExchangeError::Model`] when `spec` does not resolve, [`ExchangeError::Missing`] when `contents` lack
/// one of its tensors, [`ExchangeError::NoCounterpart`] when the format has no such network.
pub fn export(
    contents: &Contents,
    spec: &ModelSpec,
    format: Format,
) -> Result<Vec<ExportedFile>, ExchangeError> {
    let model = spec.lower()?;
    if let Some(problem) = without_counterpart(&model, format) {
        return Err(ExchangeError::NoCounterpart {
            format: format.name(),
            model: spec.name.clone(),
            problem,
        });
    }
    let mut tensors = own_tensors(contents, spec)?;
    turn_transposed(&model, &mut tensors);
    let classes = class_names(contents);
    let declared = Declaration::of(contents, spec).to_text()?;
    let file = |name, bytes| ExportedFile { name, bytes };
    Ok(match format {
        Format::Pytorch => vec![
            file("model.safetensors", state_dict::write(&tensors, &declared)?),
            file("model.py", python::module(&model, &classes).into_bytes()),
        ],
        Format::Torchvision => {
            let renamed = torchvision::to_their_names(&model, tensors)?;
            vec![file(
                "model.safetensors",
                state_dict::write(&renamed, &declared)?,
            )]
        }
        Format::Onnx => {
            let bytes = onnx::write(&model, &tensors, &classes, &declared);
            vec![file("model.onnx", bytes)]
        }
    })
}

/// What of another crate, or without an operator there, a network cannot be written with. ONNX is written
/// operation by operation, so that a layer made of ours is no obstacle.
fn without_counterpart(graph: &Graph, format: Format) -> Option<String> {
    let of_layer = |layer: &&LoweredLayer| match &layer.layer {
        Layer::Custom { .. } if format != Format::Onnx => {
            Some(format!("layer {} is of another crate", layer.name))
        }
        _ => None,
    };
    let of_node = |node: &Node| match &node.op {
        Op::Activation(Activation::Registered(function)) => Some(format!(
            "activation {} is of another crate",
            function.name()
        )),
        Op::Custom { .. } if format == Format::Onnx => {
            Some(format!("no operator is known for layer {}", node.layer))
        }
        _ => None,
    };
    let layers = graph.flat();
    let mut problems = layers.iter().filter_map(of_layer);
    problems
        .next()
        .or_else(|| graph.nodes.iter().find_map(of_node))
}

/// The tensors of a network declared by `spec` from another framework's file; `path` is for messages.
/// Nothing is ignored but what carries no weights (PyTorch's `num_batches_tracked`).
///
/// # Errors
/// [`ExchangeError::Damaged`] when the bytes are not of that format; [`ExchangeError::Missing`],
/// [`ExchangeError::Unknown`] or [`ExchangeError::Shape`] when they are of another network.
pub fn import(
    spec: &ModelSpec,
    format: Format,
    bytes: &[u8],
    path: &Path,
) -> Result<Tensors, ExchangeError> {
    let model = spec.lower()?;
    let mut read = match format {
        Format::Pytorch => state_dict::read(bytes, path)?,
        Format::Torchvision => {
            torchvision::to_our_names(&model, state_dict::read(bytes, path)?, path)?
        }
        Format::Onnx => onnx::read(bytes, path)?,
    };
    turn_transposed(&model, &mut read);
    let wanted = shapes(spec)?;
    for (name, shape) in &wanted {
        let found = read.get(name).ok_or_else(|| ExchangeError::Missing {
            path: path.into(),
            tensor: name.clone(),
        })?;
        if found.shape != *shape {
            return Err(ExchangeError::Shape {
                path: path.into(),
                tensor: name.clone(),
                found: found.shape.clone(),
                expected: shape.clone(),
            });
        }
    }
    match read.keys().find(|name| !wanted.contains_key(*name)) {
        Some(stranger) => Err(ExchangeError::Unknown {
            path: path.into(),
            tensor: stranger.clone(),
            model: spec.name.clone(),
        }),
        None => Ok(read),
    }
}

/// The shape of every tensor of a network.
fn shapes(spec: &ModelSpec) -> Result<BTreeMap<String, Vec<usize>>, ExchangeError> {
    let graph = spec.lower()?;
    let tensors = graph.parameters.into_iter().chain(graph.buffers);
    Ok(tensors.map(|tensor| (tensor.name, tensor.shape)).collect())
}

/// The network's tensors without a trainer's; where a convolution is partly connected, the weights
/// that take no part are 0, so that other frameworks need not know.
fn own_tensors(contents: &Contents, spec: &ModelSpec) -> Result<Tensors, ExchangeError> {
    let own = |name: &&String| !name.starts_with(STATE_PREFIX);
    let names = contents.tensors.keys().filter(own);
    let mut tensors: Tensors = names
        .map(|n| (n.clone(), contents.tensors[n].clone()))
        .collect();
    for name in shapes(spec)?.keys() {
        if !tensors.contains_key(name) {
            return Err(ExchangeError::Missing {
                path: "the network".into(),
                tensor: name.clone(),
            });
        }
    }
    let graph = spec.lower()?;
    for (index, parameter) in graph.parameters.iter().enumerate() {
        if let Some(tensor) = tensors.get_mut(&parameter.name) {
            graph.drop_unconnected(index, &mut tensor.values);
        }
    }
    Ok(tensors)
}

/// The class names that a run left beside its weights; empty if there are none.
fn class_names(contents: &Contents) -> Vec<String> {
    let names = contents
        .metadata
        .get("stamp")
        .and_then(|stamp| stamp.get("classes"));
    let names = names.and_then(|names| names.as_array());
    let words = names.map(|names| names.iter().filter_map(|n| n.as_str().map(String::from)));
    words.map_or_else(Vec::new, Iterator::collect)
}

/// Turns the weights of transposed convolutions from our layout to PyTorch's and ONNX's, or back: the
/// first two axes exchanged, the last two reversed. Doing it twice changes nothing.
fn turn_transposed(model: &Graph, tensors: &mut Tensors) {
    for pair in model.nodes.windows(2) {
        if let (Op::Spread { .. }, Op::Conv { weight, .. }) = (&pair[0].op, &pair[1].op)
            && let Some(weight) = tensors.get_mut(&model.parameters[*weight].name)
            && let [outer, inner, height, width] = weight.shape[..]
        {
            let area = height * width;
            let field = |index: usize| weight.values[index * area..][..area].iter().rev();
            let order = (0..inner).flat_map(|i| (0..outer).map(move |o| o * inner + i));
            weight.values = order.flat_map(field).copied().collect();
            weight.shape = vec![inner, outer, height, width];
        }
    }
}
