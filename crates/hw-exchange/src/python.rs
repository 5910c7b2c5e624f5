//! A network as a Python module for PyTorch whose state dict has our names.

use hw_kernels::{Activation, Padding};
use hw_models::graph::LoweredLayer;
use hw_models::{Graph, Layer};

/// What every module begins with, between its title and its network.
const PRELUDE: &str = include_str!("prelude.py");

/// The module's source.
pub(crate) fn module(model: &Graph, classes: &[String]) -> String {
    let [channels, height, width] = model.spec.input;
    let name = &model.spec.name;
    let mut source = format!(
        "\"\"\"{name} for PyTorch, weights in model.safetensors beside this file.\n\n    \
         from model import load\n    logits = load()(images)  # [n, {channels}, {height}, {width}] \
         as the network was trained on, to [n, {}]\n\"\"\"\n",
        model.spec.classes
    );
    source += PRELUDE;
    // JSON strings of class names are Python strings too.
    let classes = serde_json::Value::from(classes.to_vec());
    source += &format!("\nCLASSES = {classes}\nINPUT = ({channels}, {height}, {width})\n\n\n");
    source += "def build():\n    \"\"\"The network with fresh weights.\"\"\"\n    return ";
    source += &chain(&model.layers, 1);
    source.push('\n');
    source
}

/// Layers one after the other, as an expression.
fn chain(layers: &[LoweredLayer], depth: usize) -> String {
    let indent = "    ".repeat(depth);
    let lines: Vec<String> = layers
        .iter()
        .map(|layer| {
            let name = layer.name.rsplit('.').next().unwrap_or(&layer.name);
            format!(
                "{indent}    (\"{name}\", {}),\n",
                expression(layer, depth + 1)
            )
        })
        .collect();
    match lines.is_empty() {
        true => "nn.Sequential()".into(),
        false => format!("nn.Sequential(OrderedDict([\n{}{indent}]))", lines.concat()),
    }
}

fn expression(layer: &LoweredLayer, depth: usize) -> String {
    let size = match layer.input[..] {
        [_, height, width] => [height, width],
        _ => [0, 0],
    };
    match &layer.layer {
        Layer::Pad { padding } => format!("nn.ZeroPad2d({})", pads(*padding)),
        Layer::Conv {
            out,
            kernel,
            stride,
            padding,
            bias,
            ..
        } => format!(
            "Conv({}, {out}, {}, stride={}, bias={}, pad={})",
            layer.input[0],
            pair(*kernel),
            pair(*stride),
            truth(*bias),
            pads(padding.resolve(size, *kernel, *stride))
        ),
        Layer::MaxPool {
            kernel,
            stride,
            padding,
        } => pool(
            "MaxPool",
            *kernel,
            *stride,
            padding.resolve(size, *kernel, *stride),
        ),
        Layer::AvgPool {
            kernel,
            stride,
            padding,
        } => pool(
            "AvgPool",
            *kernel,
            *stride,
            padding.resolve(size, *kernel, *stride),
        ),
        Layer::GlobalAvgPool => "GlobalAvgPool()".into(),
        Layer::Subsample { kernel } => format!("Subsample({}, {kernel})", layer.input[0]),
        Layer::Flatten => "nn.Flatten()".into(),
        Layer::Reshape { to: [c, h, w] } => format!("nn.Unflatten(1, ({c}, {h}, {w}))"),
        Layer::Dense { units, bias } => {
            format!(
                "nn.Linear({}, {units}, bias={})",
                layer.input[0],
                truth(*bias)
            )
        }
        Layer::BatchNorm { eps, momentum } => {
            let kind = if layer.input.len() == 3 { "2d" } else { "1d" };
            let channels = layer.input[0];
            format!("nn.BatchNorm{kind}({channels}, eps={eps}, momentum={momentum})")
        }
        Layer::GroupNorm { groups, eps } => {
            format!("nn.GroupNorm({groups}, {}, eps={eps})", layer.input[0])
        }
        Layer::Activation { function } => activation(function),
        Layer::Dropout { rate } => format!("nn.Dropout({rate})"),
        Layer::Rbf { centres } => format!("Rbf({}, {})", centres.len(), layer.input[0]),
        Layer::ConvTranspose {
            out,
            kernel,
            stride,
            padding,
        } => format!(
            "nn.ConvTranspose2d({}, {out}, {kernel}, stride={stride}, padding={padding})",
            layer.input[0]
        ),
        Layer::Haar { low_only } => format!("Haar(low_only={})", truth(*low_only)),
        Layer::Concat { .. } => branches("Concat", layer, depth),
        Layer::Residual { .. } => branches("Residual", layer, depth),
        Layer::Custom { .. } => unreachable!("export refuses networks with these"),
    }
}

fn branches(class: &str, layer: &LoweredLayer, depth: usize) -> String {
    let branch = |index: usize| {
        let layers = layer.branches.as_ref().map_or(&[][..], |b| &b[index]);
        chain(layers, depth)
    };
    format!("{class}({}, {})", branch(0), branch(1))
}

fn activation(function: &Activation) -> String {
    match function {
        Activation::Relu => "nn.ReLU()".into(),
        Activation::LeakyRelu { slope } => format!("nn.LeakyReLU({slope})"),
        Activation::Elu { alpha } => format!("nn.ELU({alpha})"),
        Activation::Selu => "nn.SELU()".into(),
        Activation::Sigmoid => "nn.Sigmoid()".into(),
        Activation::Tanh => "nn.Tanh()".into(),
        Activation::ScaledTanh => "ScaledTanh()".into(),
        Activation::Softsign => "nn.Softsign()".into(),
        Activation::Swish => "nn.SiLU()".into(),
        Activation::Gelu => "nn.GELU()".into(),
        Activation::Softmax => "nn.Softmax(dim=1)".into(),
        Activation::Identity => "nn.Identity()".into(),
        Activation::Registered(_) => unreachable!("export refuses networks with these"),
    }
}

fn pool(kind: &str, kernel: [usize; 2], stride: [usize; 2], padding: Padding) -> String {
    format!(
        "{kind}({}, {}, {})",
        pair(kernel),
        pair(stride),
        pads(padding)
    )
}

fn pair([height, width]: [usize; 2]) -> String {
    format!("({height}, {width})")
}

/// In PyTorch's order.
fn pads(padding: Padding) -> String {
    let Padding {
        top,
        bottom,
        left,
        right,
    } = padding;
    format!("({left}, {right}, {top}, {bottom})")
}

fn truth(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}
