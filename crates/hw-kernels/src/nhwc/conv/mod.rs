//! Convolution on images whose channels come last, forwards and backwards. A dense layer is a
//! convolution of 1 x 1 maps.
//!
//! Nothing is lowered into a matrix where it can be read in place: a window's row is `kw * channels`
//! neighboring floats, so a padded copy of one image (or the image itself) is all that stride 1
//! needs. Only maps too narrow to fill a register tile are gathered window by window.

mod forward;
mod input;
mod weights;

pub use forward::Finish;
pub(super) use forward::Rows;
pub use input::InputGradient;

use super::panels::Panels;
use super::taps::{Tap, TapRun, Taps};
use super::tile::{Kernel, Segment};
use super::winograd::Winograd;
use crate::geometry::Windows;
use forward::Walk;
use std::ops::Range;
use weights::{WeightRead, WeightWalk};

/// Floats of the left operand that one pass over the weights should touch: part of a second-level
/// cache.
const BLOCK_FLOATS: usize = 1 << 18;

/// A convolution's shapes, with what follows from them.
#[derive(Clone, Debug)]
pub struct Conv {
    /// Maps of the input.
    pub channels: usize,
    /// Maps of the output.
    pub outputs: usize,
    /// Kernel, stride, padding, input and output size.
    pub windows: Windows,
    forward: Walk,
    weight: WeightWalk,
    kernel: Kernel,
    winograd: Option<Box<Winograd>>,
}

impl Conv {
    /// Plans a convolution of `channels` maps into `outputs` maps.
    pub fn new(channels: usize, outputs: usize, windows: Windows) -> Self {
        let mut conv = Self {
            channels,
            outputs,
            windows,
            forward: Walk::Shifted { segments: vec![] },
            weight: WeightWalk {
                blocks: vec![],
                read: WeightRead::InPlace,
            },
            kernel: Kernel::best(),
            winograd: None,
        };
        conv.forward = conv.plan_forward();
        conv.weight = conv.plan_weight();
        conv
    }

    /// The same convolution with fewer products, if it is one of 3 x 3 windows to which Winograd's
    /// algorithm is worth its transforms: [`Conv::weight_gradient`] uses it from now on, the forward
    /// pass does by [`Conv::forward_prepared`].
    #[must_use]
    pub fn with_winograd(mut self) -> Self {
        let seen = self.plan_taps().products() as f64;
        let winograd = Winograd::new(self.channels, self.outputs, self.windows, seen);
        self.winograd = winograd.map(Box::new);
        self
    }

    /// Whether [`Conv::forward_prepared`] can be used.
    pub fn has_winograd(&self) -> bool {
        self.winograd.is_some()
    }

    /// A dense layer from `inputs` to `outputs`.
    pub fn dense(inputs: usize, outputs: usize) -> Self {
        let windows = Windows {
            input: [1, 1],
            kernel: [1, 1],
            stride: [1, 1],
            padding: Default::default(),
            output: [1, 1],
        };
        Self::new(inputs, outputs, windows)
    }

    /// The layout of the weights, `[(kh, kw, channel), output]`.
    pub fn panels(&self) -> Panels {
        Panels::new(self.taps(), self.outputs)
    }

    /// Products summed for one output.
    pub fn taps(&self) -> usize {
        self.windows.kernel_size() * self.channels
    }

    /// Floats of one input image.
    pub fn input_len(&self) -> usize {
        self.windows.input_size() * self.channels
    }

    /// Floats of one output image.
    pub fn output_len(&self) -> usize {
        self.windows.output_size() * self.outputs
    }

    fn is_pointwise(&self) -> bool {
        let w = &self.windows;
        w.kernel == [1, 1] && w.stride == [1, 1] && w.padding == Default::default()
    }

    fn pitch(&self) -> usize {
        let pad = self.windows.padding;
        (self.windows.input[1] + pad.left + pad.right) * self.channels
    }

    fn is_padded(&self) -> bool {
        self.windows.padding != Default::default()
    }

    fn padded_len(&self) -> usize {
        let pad = self.windows.padding;
        (self.windows.input[0] + pad.top + pad.bottom) * self.pitch()
    }

    /// The forward pass tap by tap.
    fn plan_taps(&self) -> Taps {
        let [kh, kw] = self.windows.kernel;
        let tap = |tap: usize| Tap {
            row: tap * self.channels,
            runs: self.tap_runs(tap / kw, tap % kw),
        };
        Taps {
            taps: (0..kh * kw).map(tap).collect(),
            from_width: self.channels,
            to_width: self.outputs,
            from_len: self.input_len(),
            to_len: self.output_len(),
            from_step: self.windows.stride[1],
            to_step: 1,
        }
    }

    /// Rows of output pixels that see a real pixel through a tap.
    fn tap_runs(&self, i: usize, j: usize) -> Vec<TapRun> {
        let run = |segment: &Segment| TapRun {
            from: segment.a / self.channels,
            to: segment.b,
            len: segment.len,
        };
        self.tap_segments(i, j).iter().map(run).collect()
    }

    /// The runs of output pixels whose window has tap `(i, j)` inside the image.
    fn tap_segments(&self, i: usize, j: usize) -> Vec<Segment> {
        let w = &self.windows;
        let [height, width] = w.input;
        let inside = |axis: usize, tap: usize, before: usize, size: usize| -> Range<usize> {
            let stride = w.stride[axis];
            let from = before.saturating_sub(tap).div_ceil(stride);
            let to = match (size + before).checked_sub(tap + 1) {
                Some(last) => (last / stride + 1).min(w.output[axis]),
                None => 0,
            };
            from..to.max(from)
        };
        let rows = inside(0, i, w.padding.top, height);
        let columns = inside(1, j, w.padding.left, width);
        let mut segments: Vec<Segment> = Vec::new();
        if columns.is_empty() {
            return segments;
        }
        for oy in rows {
            let (y, x) = (
                oy * w.stride[0] + i - w.padding.top,
                columns.start * w.stride[1] + j - w.padding.left,
            );
            let next = Segment {
                a: (y * width + x) * self.channels,
                b: oy * w.output[1] + columns.start,
                len: columns.len(),
            };
            let step = w.stride[1] * self.channels;
            match segments.last_mut() {
                // Whole rows follow each other without a gap.
                Some(last) if last.a + last.len * step == next.a && last.b + last.len == next.b => {
                    last.len += next.len;
                }
                _ => segments.push(next),
            }
        }
        segments
    }

    /// Copies an image with its padding.
    fn pad(&self, image: &[f32], padded: &mut [f32]) {
        let pad = self.windows.padding;
        let rows = self.windows.input[0] + pad.top + pad.bottom;
        self.pad_rows(image, padded, 0..rows);
    }

    /// Some rows of the padded copy of an image, each in its place.
    fn pad_rows(&self, image: &[f32], padded: &mut [f32], rows: Range<usize>) {
        let [height, width] = self.windows.input;
        let (pad, pitch, row) = (self.windows.padding, self.pitch(), width * self.channels);
        let left = pad.left * self.channels;
        for y in rows {
            let to = &mut padded[y * pitch..][..pitch];
            let from = y.checked_sub(pad.top).filter(|&y| y < height);
            let Some(from) = from else {
                to.fill(0.0);
                continue;
            };
            to[..left].fill(0.0);
            to[left..left + row].copy_from_slice(&image[from * row..][..row]);
            to[left + row..].fill(0.0);
        }
    }
}

/// Cuts `total` into the fewest parts of at most `most`, as even as can be.
fn tiles(total: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = total.div_ceil(most).max(1);
    (0..count).map(move |i| total * i / count..total * (i + 1) / count)
}
