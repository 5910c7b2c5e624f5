//! Kernels for operations that treat each image alone.

use crate::graph::{Gradients, Graph, ImageOp, Node, Op};
use hw_kernels::nhwc::{concat, haar, norm, rbf, spread};
use hw_kernels::{Activation, Padding};
use std::sync::Arc;

/// Such an operation with its shapes; slices have channels last.
#[derive(Clone, Debug)]
pub(super) enum ImageKernel {
    /// Of maps `[height, width, channels]`.
    Pad {
        maps: [usize; 3],
        padding: Padding,
    },
    Affine,
    Softmax {
        channels: usize,
    },
    /// `[rows, columns]` to `[columns, rows]`.
    Transpose {
        rows: usize,
        columns: usize,
    },
    Spread {
        maps: [usize; 3],
        stride: usize,
    },
    Haar {
        maps: [usize; 3],
        low_only: bool,
    },
    Rbf,
    Concat {
        channels: [usize; 2],
    },
    Custom(Arc<dyn ImageOp>),
}

impl ImageKernel {
    /// The kernel of a node; `None` where the numbers and their order stay.
    pub(super) fn of(graph: &Graph, node: &Node) -> Option<Self> {
        let given = &graph.values[node.inputs[0]];
        let [c, h, w] = given.as_maps();
        let maps = [h, w, c];
        let transpose = |rows: usize, columns: usize| {
            (rows > 1 && columns > 1).then_some(Self::Transpose { rows, columns })
        };
        match &node.op {
            Op::Pad { padding } => Some(Self::Pad {
                maps,
                padding: *padding,
            }),
            Op::Affine { .. } => Some(Self::Affine),
            Op::Activation(Activation::Softmax) => Some(Self::Softmax { channels: c }),
            Op::Reshape { to } => match to[..] {
                [channels, height, width] => transpose(channels, height * width),
                _ => None,
            },
            Op::ChannelsFirst => {
                let [channels, height, width] = given.maps?;
                transpose(height * width, channels)
            }
            Op::Spread { stride } => Some(Self::Spread {
                maps,
                stride: *stride,
            }),
            Op::Haar { low_only } => Some(Self::Haar {
                maps,
                low_only: *low_only,
            }),
            Op::Rbf { .. } => Some(Self::Rbf),
            Op::Concat => Some(Self::Concat {
                channels: [c, graph.values[node.inputs[1]].as_maps()[0]],
            }),
            Op::Custom { op, .. } => Some(Self::Custom(Arc::clone(op))),
            other => unreachable!("{other:?} has a kernel of its own"),
        }
    }

    /// Writes all of `y`; `tensors` are the parameters, then the buffers.
    pub(super) fn forward(&self, inputs: &[&[f32]], tensors: &[&[f32]], y: &mut [f32]) {
        let x = inputs[0];
        match self {
            Self::Pad { maps, padding } => {
                y.fill(0.0);
                padded_rows(*maps, *padding)
                    .zip(x.chunks_exact(maps[1] * maps[2]))
                    .for_each(|(start, row)| y[start..start + row.len()].copy_from_slice(row));
            }
            Self::Affine => norm::affine(x, tensors[0], tensors[1], y),
            Self::Softmax { channels } => {
                hw_kernels::cpu::softmax::softmax(x, y, *channels, 1);
            }
            Self::Transpose { rows, columns } => transpose(x, y, *rows, *columns),
            Self::Spread { maps, stride } => {
                spread::forward(maps[0], maps[1], maps[2], *stride, x, y)
            }
            Self::Haar { maps, low_only } => {
                haar::forward(maps[0], maps[1], maps[2], *low_only, x, y)
            }
            Self::Rbf => rbf::forward(x, tensors[0], y),
            Self::Concat { channels } => concat::join(*channels, x, inputs[1], y),
            Self::Custom(op) => op.forward(inputs, tensors, y),
        }
    }

    /// Writes the gradients of the inputs and adds to those of the parameters.
    pub(super) fn backward(
        &self,
        inputs: &[&[f32]],
        tensors: &[&[f32]],
        y: &[f32],
        dy: &[f32],
        to: Gradients<'_, '_>,
    ) {
        if let Self::Custom(op) = self {
            return op.backward(inputs, tensors, dy, to);
        }
        let (x, Gradients { inputs, parameters }) = (inputs[0], to);
        let [dx, rest @ ..] = inputs else {
            unreachable!("every operation reads something")
        };
        match self {
            Self::Pad { maps, padding } => padded_rows(*maps, *padding)
                .zip(dx.chunks_exact_mut(maps[1] * maps[2]))
                .for_each(|(start, row)| row.copy_from_slice(&dy[start..start + row.len()])),
            Self::Affine => {
                let [dscale, dshift] = parameters else {
                    unreachable!("an affine map has a scale and a shift")
                };
                norm::affine_sums(x, dy, dscale, dshift);
                norm::scale_channels(dy, tensors[0], dx);
            }
            Self::Softmax { channels } => {
                hw_kernels::cpu::softmax::softmax_backward(y, dy, dx, *channels, 1);
            }
            Self::Transpose { rows, columns } => transpose(dy, dx, *columns, *rows),
            Self::Spread { maps, stride } => {
                spread::backward(maps[0], maps[1], maps[2], *stride, dy, dx);
            }
            Self::Haar { maps, low_only } => {
                haar::backward(maps[0], maps[1], maps[2], *low_only, dy, dx);
            }
            Self::Rbf => rbf::backward(x, tensors[0], dy, dx),
            Self::Concat { channels } => concat::split(*channels, dy, dx, rest[0]),
            Self::Custom(_) => unreachable!("handled above"),
        }
    }
}

/// Where each row of the map starts in the padded one.
fn padded_rows([h, w, c]: [usize; 3], p: Padding) -> impl Iterator<Item = usize> {
    let width = w + p.left + p.right;
    (0..h).map(move |row| ((row + p.top) * width + p.left) * c)
}

fn transpose(x: &[f32], y: &mut [f32], rows: usize, columns: usize) {
    for (column, y) in y.chunks_exact_mut(rows).enumerate().take(columns) {
        for (y, x) in y.iter_mut().zip(x[column..].iter().step_by(columns)) {
            *y = *x;
        }
    }
}
