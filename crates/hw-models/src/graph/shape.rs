//! The value that an operation makes of its inputs, or why it cannot.

use super::{Graph, Op, Value, ValueId};

type Refused = std::result::Result<Value, String>;

impl Graph {
    /// What `op` makes of `inputs`.
    pub(super) fn output_of(&self, op: &Op, inputs: &[ValueId]) -> Refused {
        let given: Vec<&Value> = inputs.iter().map(|&input| &self.values[input]).collect();
        let Some((&x, side)) = given.split_first() else {
            return Err("reads nothing".into());
        };
        let plain = Value::new(x.shape.clone());
        let of_pool = |windows: &hw_kernels::Windows| {
            let [channels, ..] = maps(x)?;
            Ok(Value::new([channels, windows.output[0], windows.output[1]]))
        };
        match op {
            Op::Pad { padding: p } => {
                let [channels, height, width] = maps(x)?;
                let height = height + p.top + p.bottom;
                Ok(Value::new([channels, height, width + p.left + p.right]))
            }
            Op::Conv {
                windows, weight, ..
            } => {
                maps(x)?;
                let outputs = self.parameters[*weight].shape[0];
                let [height, width] = windows.output;
                Ok(Value::new([outputs, height, width]))
            }
            Op::Dense { weight, .. } => {
                vector(x)?;
                Ok(Value::new([self.parameters[*weight].shape[0]]))
            }
            Op::MaxPool(windows) | Op::MeanPool(windows) => of_pool(windows),
            Op::Norm { .. } | Op::Affine { .. } => Ok(plain),
            Op::Activation(_) | Op::Dropout { .. } => Ok(x.clone()),
            Op::Reshape { to } => reshaped(x, to),
            Op::ChannelsFirst => Ok(plain),
            Op::Spread { stride } => {
                let [channels, height, width] = maps(x)?;
                Ok(Value::new([channels, height * stride, width * stride]))
            }
            Op::Haar { low_only } => {
                let [channels, height, width] = maps(x)?;
                let bands = if *low_only { 1 } else { 4 };
                let (height, width) = (height.div_ceil(2), width.div_ceil(2));
                Ok(Value::new([bands * channels, height, width]))
            }
            Op::Rbf { centers } => {
                vector(x)?;
                Ok(Value::new([self.buffers[*centers].shape[0]]))
            }
            Op::Add => match side {
                [side] if *side == x => Ok(x.clone()),
                _ => Err(ends(x, side)),
            },
            Op::Concat => match (&x.shape[..], side) {
                ([channels, rest @ ..], [side]) if side.shape.get(1..) == Some(rest) => {
                    maps(x)?;
                    let channels = channels + side.shape[0];
                    Ok(Value::new([&[channels], rest].concat()))
                }
                _ => Err(ends(x, side)),
            },
            Op::Custom { op, .. } => {
                let shapes: Vec<&[usize]> = given.iter().map(|v| v.shape.as_slice()).collect();
                op.output(&shapes).map(Value::new)
            }
        }
    }
}

fn reshaped(x: &Value, to: &[usize]) -> Refused {
    let cells = to
        .iter()
        .fold(1usize, |all, &size| all.saturating_mul(size));
    if cells != x.len() {
        return Err(format!("cannot turn {:?} into {to:?}", x.shape));
    }
    let [channels, height, width] = x.as_maps();
    let mixed = channels > 1 && height * width > 1;
    Ok(Value {
        shape: to.to_vec(),
        maps: match (to.len(), mixed) {
            (1, true) => Some([channels, height, width]),
            (1, false) => x.maps,
            _ => None,
        },
    })
}

fn ends(x: &Value, side: &[&Value]) -> String {
    let shapes: Vec<_> = side.iter().map(|value| &value.shape).collect();
    match shapes[..] {
        [side] => format!("the branches end in {:?} and {side:?}", x.shape),
        _ => format!("takes two values, gets {}", shapes.len() + 1),
    }
}

pub(super) fn maps(x: &Value) -> std::result::Result<[usize; 3], String> {
    <[usize; 3]>::try_from(&x.shape[..]).map_err(|_| {
        format!(
            "needs maps (channels, height, width), gets shape {:?}",
            x.shape
        )
    })
}

pub(super) fn vector(x: &Value) -> std::result::Result<usize, String> {
    match x.shape[..] {
        [length] => Ok(length),
        _ => Err(format!(
            "needs a vector, gets {:?}; flatten it first",
            x.shape
        )),
    }
}
