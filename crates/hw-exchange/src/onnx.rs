//! A network as an ONNX graph (opset 17) and its weights back from one.
//!
//! The numbers of fields are those of `onnx.proto3`. Nodes, values and weights have our layers' names.

use crate::declaration::KEY;
use crate::protobuf::{Message, Value, fields, packed};
use crate::{ExchangeError, Tensors};
use hw_kernels::{Activation, Padding, Windows};
use hw_models::Graph;
use hw_models::graph::{Node, Op};
use hw_models::weights::StoredTensor;
use std::path::Path;

/// The version of the operators, and of the file layout that came with it.
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// The file of a network. Its input is `images` `[n, c, h, w]`, its output `logits` `[n, classes]`.
pub(crate) fn write(
    model: &Graph,
    tensors: &Tensors,
    classes: &[String],
    declared: &str,
) -> Vec<u8> {
    let mut writer = Writer::default();
    let last = writer.all(model);
    writer.node("Identity", "logits", &[&last], vec![]);
    let mut message = Message::default();
    for node in writer.nodes {
        message = message.message(1, node);
    }
    message = message.text(2, &model.spec.name);
    for (name, tensor) in tensors {
        let dims: Vec<i64> = tensor.shape.iter().map(|&d| d as i64).collect();
        let bytes: Vec<u8> = tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        message = message.message(5, initializer(name, FLOAT, &dims, &bytes));
    }
    for (name, dims, bytes, kind) in writer.constants {
        message = message.message(5, initializer(&name, kind, &dims, &bytes));
    }
    let input = model.spec.input.map(|side| side as i64);
    message = message.message(11, value("images", &input));
    message = message.message(12, value("logits", &[model.spec.classes as i64]));
    let opset = Message::default().text(1, "").int(2, OPSET);
    let mut file = Message::default()
        .int(1, IR_VERSION)
        .text(2, "handwriting-workbench")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, message)
        .message(8, opset);
    let names = serde_json::Value::from(classes.to_vec()).to_string();
    let metadata = [("classes", names.as_str()), (KEY, declared)];
    for (key, value) in metadata.into_iter().skip(usize::from(classes.is_empty())) {
        file = file.message(14, Message::default().text(1, key).text(2, value));
    }
    file.finish()
}

/// A float value of a graph whose first dimension is the batch.
fn value(name: &str, dims: &[i64]) -> Message {
    let mut shape = Message::default().message(1, Message::default().text(2, "n"));
    for &dim in dims {
        shape = shape.message(1, Message::default().int(1, dim));
    }
    let tensor = Message::default().int(1, FLOAT).message(2, shape);
    Message::default()
        .text(1, name)
        .message(2, Message::default().message(1, tensor))
}

fn initializer(name: &str, kind: i64, dims: &[i64], bytes: &[u8]) -> Message {
    let message = dims
        .iter()
        .fold(Message::default(), |m, &dim| m.int(1, dim));
    message.int(2, kind).text(8, name).bytes(9, bytes)
}

/// An attribute of a node.
enum Attribute {
    Float(&'static str, f32),
    Int(&'static str, i64),
    Ints(&'static str, Vec<i64>),
}

impl Attribute {
    fn message(self) -> Message {
        let start = |name| Message::default().text(1, name);
        match self {
            Self::Float(name, value) => start(name).float(2, value).int(20, 1),
            Self::Int(name, value) => start(name).int(3, value).int(20, 2),
            Self::Ints(name, values) => {
                let message = values.into_iter().fold(start(name), |m, v| m.int(8, v));
                message.int(20, 7)
            }
        }
    }
}

/// Nodes in order, and constants that are no weights.
#[derive(Default)]
struct Writer {
    nodes: Vec<Message>,
    /// The growth and the source of zeros that the next convolution reads between its input's cells.
    spread: Option<(usize, String)>,
    /// Name, dimensions, bytes, type.
    constants: Vec<(String, Vec<i64>, Vec<u8>, i64)>,
}

impl Writer {
    /// Adds a node whose output has its name; gives that name.
    fn node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        let mut node = Message::default();
        for input in inputs {
            node = node.text(1, input);
        }
        node = node.text(2, name).text(3, name).text(4, operator);
        for attribute in attributes {
            node = node.message(5, attribute.message());
        }
        self.nodes.push(node);
        name.to_string()
    }

    fn integers(&mut self, name: String, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constants
            .push((name.clone(), vec![values.len() as i64], bytes, INT64));
        name
    }

    fn scalar(&mut self, name: String, value: f32) -> String {
        self.constants
            .push((name.clone(), vec![], value.to_le_bytes().to_vec(), FLOAT));
        name
    }

    /// The operations of `graph` in their order; the name of its result.
    fn all(&mut self, graph: &Graph) -> String {
        let mut names = vec![String::new(); graph.values.len()];
        names[0] = "images".into();
        for (at, node) in graph.nodes.iter().enumerate() {
            let inner = graph
                .nodes
                .get(at + 1)
                .is_some_and(|next| next.layer == node.layer);
            let name = match inner {
                true => format!("{}.step{at}", node.layer),
                false => node.layer.clone(),
            };
            let inputs: Vec<&str> = node.inputs.iter().map(|&x| names[x].as_str()).collect();
            let output = self.operation(graph, node, &name, &inputs);
            names[node.output] = output;
        }
        names[graph.output].clone()
    }

    /// Adds one operation under a name; gives the name of its result.
    fn operation(&mut self, graph: &Graph, node: &Node, name: &str, inputs: &[&str]) -> String {
        let of = |what: &str| format!("{name}.{what}");
        let (x, given) = (inputs[0], &graph.values[node.inputs[0]]);
        let tensor = |index: usize| graph.parameters[index].name.as_str();
        let buffer = |index: usize| graph.buffers[index].name.as_str();
        match &node.op {
            Op::Pad { padding: p } => {
                let pads = [0, 0, p.top, p.left, 0, 0, p.bottom, p.right].map(|v| v as i64);
                let pads = self.integers(of("pads"), &pads);
                self.node("Pad", name, &[x, &pads], vec![])
            }
            Op::Conv {
                windows,
                weight,
                bias,
                ..
            } => {
                let operands = [Some(x), Some(tensor(*weight)), bias.map(tensor)];
                let operands: Vec<&str> = operands.into_iter().flatten().collect();
                match self.spread.take() {
                    None => self.node("Conv", name, &operands, window(windows)),
                    Some((stride, before)) => {
                        let operands = [&[before.as_str()], &operands[1..]].concat();
                        let attributes = transposed(windows, stride);
                        self.node("ConvTranspose", name, &operands, attributes)
                    }
                }
            }
            // Said by the convolution that reads it: zeros are spread for a transposed one only.
            Op::Spread { stride } => {
                self.spread = Some((*stride, x.to_string()));
                x.to_string()
            }
            Op::Dense { weight, bias, .. } => {
                let operands = [Some(x), Some(tensor(*weight)), bias.map(tensor)];
                let operands: Vec<&str> = operands.into_iter().flatten().collect();
                self.node("Gemm", name, &operands, vec![Attribute::Int("transB", 1)])
            }
            Op::Norm {
                scale,
                shift,
                mean,
                eps,
                ..
            } => {
                let operands = [
                    x,
                    tensor(*scale),
                    tensor(*shift),
                    buffer(*mean),
                    buffer(*mean + 1),
                ];
                let eps = vec![Attribute::Float("epsilon", *eps)];
                self.node("BatchNormalization", name, &operands, eps)
            }
            Op::Affine { scale, shift, .. } => {
                // One number a map, beside height and width.
                let mut dims = vec![1; given.shape.len() + 1];
                dims[1] = given.shape[0] as i64;
                let shape = self.integers(of("shape"), &dims);
                let [scale, shift] =
                    [("scale_map", *scale), ("shift_map", *shift)].map(|(what, index)| {
                        self.node("Reshape", &of(what), &[tensor(index), &shape], vec![])
                    });
                let scaled = self.node("Mul", &of("scaled"), &[x, &scale], vec![]);
                self.node("Add", name, &[&scaled, &shift], vec![])
            }
            Op::Activation(function) => self.activation(name, x, function),
            Op::MaxPool(windows) => self.node("MaxPool", name, &[x], window(windows)),
            Op::MeanPool(windows) => self.node("AveragePool", name, &[x], window(windows)),
            Op::Reshape { to } => {
                let dims: Vec<i64> = to.iter().map(|&d| d as i64).collect();
                let shape = self.integers(of("shape"), &[&[-1], &dims[..]].concat());
                self.node("Reshape", name, &[x, &shape], vec![])
            }
            // Dropout is no part of a network in use, and channels are first here.
            Op::Dropout { .. } | Op::ChannelsFirst => x.to_string(),
            Op::Haar { low_only } => self.haar(name, given.as_maps(), x, *low_only),
            Op::Rbf { centers } => self.rbf(name, buffer(*centers), x),
            Op::Add => self.node("Add", name, inputs, vec![]),
            Op::Concat => self.node("Concat", name, inputs, vec![Attribute::Int("axis", 1)]),
            Op::Custom { .. } => unreachable!("refused before anything is written"),
        }
    }

    /// Both kinds of bands as convolutions of each map by itself, the zeros below and to the right
    /// of an odd one as their padding.
    fn haar(
        &mut self,
        name: &str,
        [maps, height, width]: [usize; 3],
        x: &str,
        low_only: bool,
    ) -> String {
        let of = |what: &str| format!("{name}.{what}");
        let windows = Windows {
            input: [height, width],
            kernel: [2; 2],
            stride: [2; 2],
            padding: Padding {
                bottom: height % 2,
                right: width % 2,
                ..Padding::default()
            },
            output: [height.div_ceil(2), width.div_ceil(2)],
        };
        let mut bands = |name: &str, what: &str, filters: &[[f32; 4]]| {
            let dims = [(maps * filters.len()) as i64, 1, 2, 2];
            let filters = filters.concat().repeat(maps);
            let bytes = filters.iter().flat_map(|v| v.to_le_bytes()).collect();
            let filters = format!("{name}.{what}");
            self.constants
                .push((filters.clone(), dims.to_vec(), bytes, FLOAT));
            let mut attributes = window(&windows);
            attributes.push(Attribute::Int("group", maps as i64));
            self.node("Conv", name, &[x, &filters], attributes)
        };
        if low_only {
            return bands(name, "haar_low", &HAAR[..1]);
        }
        let low = bands(&of("low"), "haar_low", &HAAR[..1]);
        let details = bands(&of("details"), "haar_details", &HAAR[1..]);
        let maps = vec![Attribute::Int("axis", 1)];
        self.node("Concat", name, &[&low, &details], maps)
    }

    fn rbf(&mut self, name: &str, centers: &str, x: &str) -> String {
        let of = |what: &str| format!("{name}.{what}");
        let middle = self.integers(of("middle"), &[1]);
        let last = self.integers(of("last"), &[2]);
        let half = self.scalar(of("half"), -0.5);
        let rows = self.node("Unsqueeze", &of("rows"), &[x, &middle], vec![]);
        let apart = self.node("Sub", &of("apart"), &[&rows, centers], vec![]);
        let squares = self.node("Mul", &of("squares"), &[&apart, &apart], vec![]);
        let keep = vec![Attribute::Int("keepdims", 0)];
        let sums = self.node("ReduceSum", &of("sums"), &[&squares, &last], keep);
        self.node("Mul", name, &[&sums, &half], vec![])
    }

    fn activation(&mut self, name: &str, x: &str, function: &Activation) -> String {
        let of = |what: &str| format!("{name}.{what}");
        match *function {
            Activation::Relu => self.node("Relu", name, &[x], vec![]),
            Activation::LeakyRelu { slope } => self.node(
                "LeakyRelu",
                name,
                &[x],
                vec![Attribute::Float("alpha", slope)],
            ),
            Activation::Elu { alpha } => {
                self.node("Elu", name, &[x], vec![Attribute::Float("alpha", alpha)])
            }
            Activation::Selu => self.node("Selu", name, &[x], vec![]),
            Activation::Sigmoid => self.node("Sigmoid", name, &[x], vec![]),
            Activation::Tanh => self.node("Tanh", name, &[x], vec![]),
            Activation::ScaledTanh => {
                let (inner, outer) = (
                    self.scalar(of("inner"), 2.0 / 3.0),
                    self.scalar(of("outer"), 1.7159),
                );
                let scaled = self.node("Mul", &of("scaled"), &[x, &inner], vec![]);
                let tanh = self.node("Tanh", &of("tanh"), &[&scaled], vec![]);
                self.node("Mul", name, &[&tanh, &outer], vec![])
            }
            Activation::Softsign => self.node("Softsign", name, &[x], vec![]),
            Activation::Swish => {
                let gate = self.node("Sigmoid", &of("gate"), &[x], vec![]);
                self.node("Mul", name, &[x, &gate], vec![])
            }
            Activation::Gelu => {
                let root = self.scalar(of("root"), std::f32::consts::FRAC_1_SQRT_2);
                let (one, half) = (self.scalar(of("one"), 1.0), self.scalar(of("half"), 0.5));
                let scaled = self.node("Mul", &of("scaled"), &[x, &root], vec![]);
                let erf = self.node("Erf", &of("erf"), &[&scaled], vec![]);
                let share = self.node("Add", &of("share"), &[&erf, &one], vec![]);
                let halved = self.node("Mul", &of("halved"), &[x, &half], vec![]);
                self.node("Mul", name, &[&halved, &share], vec![])
            }
            Activation::Softmax => {
                self.node("Softmax", name, &[x], vec![Attribute::Int("axis", 1)])
            }
            Activation::Identity => x.to_string(),
            Activation::Registered(_) => unreachable!("export refuses networks with these"),
        }
    }
}

/// The filters of the Haar transform: the low band, then the details.
const HAAR: [[f32; 4]; 4] = [
    [0.5, 0.5, 0.5, 0.5],
    [0.5, 0.5, -0.5, -0.5],
    [0.5, -0.5, 0.5, -0.5],
    [0.5, -0.5, -0.5, 0.5],
];

/// The attributes of a sliding window. Average pooling does not count padding unless told to.
fn window(windows: &Windows) -> Vec<Attribute> {
    let p = windows.padding;
    sides(
        windows.kernel,
        windows.stride,
        [p.top, p.left, p.bottom, p.right],
    )
}

/// The attributes of the transposed convolution that is `windows` over a map with `stride - 1` zeros
/// after each cell.
fn transposed(windows: &Windows, stride: usize) -> Vec<Attribute> {
    let (kernel, p) = (windows.kernel, windows.padding);
    let cut = [kernel[0] - 1 - p.top, kernel[1] - 1 - p.left];
    sides(kernel, [stride; 2], [cut[0], cut[1], cut[0], cut[1]])
}

fn sides(kernel: [usize; 2], stride: [usize; 2], pads: [usize; 4]) -> Vec<Attribute> {
    let whole = |values: &[usize]| values.iter().map(|&v| v as i64).collect();
    vec![
        Attribute::Ints("kernel_shape", whole(&kernel)),
        Attribute::Ints("strides", whole(&stride)),
        Attribute::Ints("pads", whole(&pads)),
    ]
}

/// The float weights of a file, by name; our own constants are passed over.
pub(crate) fn read(bytes: &[u8], path: &Path) -> Result<Tensors, ExchangeError> {
    let damaged = |problem| damaged(path, problem);
    let parse = |bytes| fields(bytes).ok_or_else(|| damaged("a field makes no sense"));
    let graph = parse(bytes)?.into_iter().find_map(|field| match field {
        (7, Value::Bytes(graph)) => Some(graph),
        _ => None,
    });
    let mut tensors = Tensors::new();
    for field in parse(graph.ok_or_else(|| damaged("it has no graph"))?)? {
        if let (5, Value::Bytes(initializer)) = field {
            let (name, kind, tensor) = read_tensor(&parse(initializer)?)
                .ok_or_else(|| damaged("a weight's shape and values do not agree"))?;
            let ours = CONSTANTS.iter().any(|constant| name.ends_with(constant));
            if kind == FLOAT as u64 && !ours {
                tensors.insert(name, tensor);
            }
        }
    }
    Ok(tensors)
}

fn damaged(path: &Path, problem: &str) -> ExchangeError {
    ExchangeError::Damaged {
        path: path.into(),
        problem: format!("is damaged or no ONNX file: {problem}"),
    }
}

/// How the names of the constants end that [`Writer`] adds.
const CONSTANTS: [&str; 8] = [
    ".inner",
    ".outer",
    ".root",
    ".one",
    ".half",
    ".shape",
    ".haar_low",
    ".haar_details",
];

/// What the file declares of its network.
pub(crate) fn read_declaration(bytes: &[u8], path: &Path) -> Result<Option<String>, ExchangeError> {
    let nonsense = || damaged(path, "a field makes no sense");
    for field in fields(bytes).ok_or_else(nonsense)? {
        let (14, Value::Bytes(entry)) = field else {
            continue;
        };
        let entry = fields(entry).ok_or_else(nonsense)?;
        let text = |number: u32| {
            entry.iter().find_map(|(n, value)| match value {
                Value::Bytes(text) if *n == number => std::str::from_utf8(text).ok(),
                _ => None,
            })
        };
        if text(1) == Some(KEY) {
            return Ok(text(2).map(String::from));
        }
    }
    Ok(None)
}

/// Name, element type and values, from packed floats or raw bytes.
fn read_tensor(fields: &[(u32, Value<'_>)]) -> Option<(String, u64, StoredTensor)> {
    let (mut name, mut kind) = (String::new(), 0);
    let (mut shape, mut values) = (Vec::new(), Vec::new());
    for &(number, value) in fields {
        match (number, value) {
            (1, Value::Int(dim)) => shape.push(usize::try_from(dim).ok()?),
            (1, Value::Bytes(dims)) => {
                let dims = packed(dims)?;
                shape.extend(dims.into_iter().map(|dim| dim as usize));
            }
            (2, Value::Int(value)) => kind = value,
            (4, Value::Fixed32(value)) => values.push(f32::from_le_bytes(value)),
            (4 | 9, Value::Bytes(raw)) if kind <= FLOAT as u64 => {
                let (chunks, rest) = raw.as_chunks::<4>();
                values.extend(chunks.iter().map(|&bytes| f32::from_le_bytes(bytes)));
                if !rest.is_empty() {
                    return None;
                }
            }
            (8, Value::Bytes(text)) => name = String::from_utf8(text.to_vec()).ok()?,
            _ => {}
        }
    }
    let size = shape
        .iter()
        .try_fold(1usize, |size, &dim| size.checked_mul(dim))?;
    let whole = kind != FLOAT as u64 || size == values.len();
    whole.then_some((name, kind, StoredTensor { shape, values }))
}
