//! A layer: three of the workbench's own, and one operation that it does not have.

use candle_core::Tensor;
use hw_core::Named;
use hw_models::graph::{Gradients, ImageOp, Lowering, Op, ValueId};
use hw_models::layers::Settings;
use hw_models::{CustomLayer, Layer, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Squeeze and excitation (Hu, Shen & Sun 2018): each map times a number in (0, 1) that a small network
/// makes of the means of all maps.
pub struct SqueezeExcite;

/// What a declaration says of the layer, as it stands in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    /// How many times fewer units than maps the small network has inside.
    reduction: usize,
}

impl SqueezeExcite {
    /// The layer as a part of a network's declaration.
    pub fn layer(reduction: usize) -> Layer {
        Layer::Custom {
            name: Self.name().into(),
            settings: Settings::from_iter([("reduction".into(), reduction.into())]),
        }
    }
}

impl Named for SqueezeExcite {
    fn name(&self) -> &'static str {
        "squeeze-excite"
    }

    fn about(&self) -> &'static str {
        "each map times a number made of the means of all maps"
    }

    fn source(&self) -> &'static str {
        "Hu, Shen & Sun 2018"
    }
}

impl CustomLayer for SqueezeExcite {
    fn lower(&self, settings: &Settings, lowering: &mut Lowering, x: ValueId) -> Result<ValueId> {
        let Own { reduction } = lowering.settings(settings)?;
        let channels = lowering.shape(x)[0];
        if reduction == 0 || reduction > channels {
            let problem = format!("reduction {reduction} is not between 1 and {channels} maps");
            return Err(lowering.refuse(problem));
        }
        let function = |name: &str| Layer::activation(name.parse().expect("it is one of ours"));
        let means = lowering.part("squeeze", &Layer::GlobalAvgPool, x)?;
        let inside = lowering.part("fc1", &Layer::dense(channels / reduction), means)?;
        let inside = lowering.part("act1", &function("relu"), inside)?;
        let gates = lowering.part("fc2", &Layer::dense(channels), inside)?;
        let gates = lowering.part("act2", &function("sigmoid"), gates)?;
        let op = Op::Custom {
            op: Arc::new(Gate),
            parameters: vec![],
        };
        lowering.add(op, vec![x, gates])
    }
}

/// Maps `[channels, height, width]` times one number a channel.
#[derive(Debug)]
struct Gate;

impl ImageOp for Gate {
    fn output(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, String> {
        match inputs {
            [maps @ [channels, _, _], [gates]] if channels == gates => Ok(maps.to_vec()),
            _ => Err(format!("needs maps and a number for each, gets {inputs:?}")),
        }
    }

    fn forward(&self, inputs: &[&[f32]], _: &[&[f32]], y: &mut [f32]) {
        let (x, gates) = (inputs[0], inputs[1]);
        let pixels = y
            .chunks_exact_mut(gates.len())
            .zip(x.chunks_exact(gates.len()));
        for (y, x) in pixels {
            for ((y, x), gate) in y.iter_mut().zip(x).zip(gates) {
                *y = x * gate;
            }
        }
    }

    fn backward(&self, inputs: &[&[f32]], _: &[&[f32]], dy: &[f32], to: Gradients<'_, '_>) {
        let (x, gates) = (inputs[0], inputs[1]);
        let [dx, dgates] = to.inputs else {
            unreachable!("`output` takes two inputs only")
        };
        dgates.fill(0.0);
        for (at, (dx, dy)) in dx.iter_mut().zip(dy).enumerate() {
            let channel = at % gates.len();
            *dx = dy * gates[channel];
            dgates[channel] += dy * x[at];
        }
    }

    fn reference(&self, inputs: &[Tensor], _: &[Tensor]) -> candle_core::Result<Tensor> {
        inputs[0].broadcast_mul(&inputs[1].unsqueeze(2)?.unsqueeze(3)?)
    }
}
