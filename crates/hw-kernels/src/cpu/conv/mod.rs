//! Two-dimensional convolution, forwards and backwards, alone or with ReLU and maximum pooling
//! fused onto it.
//!
//! Stride 1 goes through [`shifted`] (no copy of the windows is made), other strides through
//! [`lowered`]. The batch is worked on in runs of images; sums over the batch are made per run and
//! added in order.

mod backward;
mod ends;
mod lowered;
mod shifted;
#[cfg(test)]
mod tests;

pub use ends::DEAD;

use super::parallel::{Disjoint, GROUPS, for_each_part, part};
use crate::gemm::sgemm;
use crate::geometry::Windows;
use ends::Maps;
use shifted::{Product, RUN};

/// A convolution's shapes, checked, and everything that can be worked out from them once.
///
/// Arrays: input `[n, channels, h, w]`, weights `[outputs, channels, kh, kw]`, maps
/// `[n, outputs, oh, ow]`.
#[derive(Clone, Debug)]
pub struct ConvPlan {
    channels: usize,
    outputs: usize,
    windows: Windows,
    method: Method,
}

#[derive(Clone, Debug)]
enum Method {
    /// Stride 1: input offsets of the taps (c, i, j), and gradient offsets of the taps (o, i, j).
    Shifted { taps: Vec<usize>, back: Vec<usize> },
    /// Any stride.
    Lowered,
}

/// Where a convolution's result goes.
pub enum Output<'a> {
    /// The maps themselves, `[n, outputs, oh, ow]`.
    Maps(&'a mut [f32]),
    /// The maps after ReLU and maximum pooling.
    Pooled {
        /// Pooled maps `[n, outputs, ph, pw]`.
        y: &'a mut [f32],
        /// Shaped as `y`: the row-major position of the first maximum in its window, or [`DEAD`].
        winners: &'a mut [u8],
        /// The pooling windows over `[oh, ow]`; at most 255 cells each.
        windows: &'a Windows,
    },
}

/// An [`Output`] several threads write to, image by image.
enum Target<'a> {
    Maps(Disjoint<'a, f32>),
    Pooled(Disjoint<'a, f32>, Disjoint<'a, u8>, &'a Windows),
}

impl<'a> Target<'a> {
    fn new(output: Output<'a>) -> Self {
        match output {
            Output::Maps(y) => Self::Maps(Disjoint::new(y)),
            Output::Pooled {
                y,
                winners,
                windows,
            } => Self::Pooled(Disjoint::new(y), Disjoint::new(winners), windows),
        }
    }

    /// Puts the `result` of one image where it belongs.
    ///
    /// # Safety
    /// No two threads may pass the same `image`.
    unsafe fn take(&self, image: usize, maps: &Maps, result: &[f32]) {
        let range = |size: usize| image * size..(image + 1) * size;
        match self {
            Self::Maps(y) => {
                let range = range(maps.planes * maps.rows * maps.width);
                // SAFETY: the caller's promise.
                maps.copy_out(result, unsafe { y.range(range) });
            }
            Self::Pooled(y, winners, windows) => {
                let range = range(maps.planes * windows.output_size());
                // SAFETY: the caller's promise.
                let (y, winners) = unsafe { (y.range(range.clone()), winners.range(range)) };
                maps.pool_out(result, y, winners, windows);
            }
        }
    }
}

/// Where a convolution's gradient comes from; shapes as in [`Output`].
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// The gradient of the maps.
    Maps(&'a [f32]),
    /// The gradient of the pooled maps, with what [`Output::Pooled`] left.
    Pooled {
        /// Gradient of the pooled maps.
        dy: &'a [f32],
        /// The winners of the forward pass.
        winners: &'a [u8],
        /// The pooling windows.
        windows: &'a Windows,
    },
}

/// The gradients wanted; those left out are not computed.
#[derive(Default)]
pub struct Gradients<'a> {
    /// Of the input.
    pub dx: Option<&'a mut [f32]>,
    /// Of the weights.
    pub dw: Option<&'a mut [f32]>,
    /// Of the bias `[outputs]`.
    pub db: Option<&'a mut [f32]>,
}

impl ConvPlan {
    /// Plans a convolution of `channels` maps into `outputs` maps.
    pub fn new(channels: usize, outputs: usize, windows: Windows) -> Self {
        let mut plan = Self::any_stride(channels, outputs, windows);
        if windows.stride == [1, 1] {
            let [kh, kw] = windows.kernel;
            let (plane, pitch) = (plan.padded_plane(), plan.pitch());
            let front = plan.front();
            let gap = plan.gapped_plane();
            let taps = |planes: usize, at: &dyn Fn(usize, usize) -> usize| {
                (0..planes * kh * kw)
                    .map(|k| at(k / (kh * kw), k / kw % kh * pitch + k % kw))
                    .collect()
            };
            plan.method = Method::Shifted {
                taps: taps(channels, &|c, shift| c * plane + shift),
                back: taps(outputs, &|o, shift| o * gap + front - shift),
            };
        }
        plan
    }

    /// The method for any stride, whatever the stride.
    fn any_stride(channels: usize, outputs: usize, windows: Windows) -> Self {
        Self {
            channels,
            outputs,
            windows,
            method: Method::Lowered,
        }
    }

    /// The windows this plan slides.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// Row length of the padded input.
    fn pitch(&self) -> usize {
        let pad = self.windows.padding;
        self.windows.input[1] + pad.left + pad.right
    }

    /// Size of one padded input map.
    fn padded_plane(&self) -> usize {
        let pad = self.windows.padding;
        (self.windows.input[0] + pad.top + pad.bottom) * self.pitch()
    }

    /// Room for one padded image, and for reading a run past its end.
    fn padded_image(&self) -> usize {
        (self.channels * self.padded_plane()).next_multiple_of(RUN) + RUN
    }

    /// Zeros before the first map of a gradient, read by the windows that begin before it.
    fn front(&self) -> usize {
        (self.windows.kernel[0] - 1) * self.pitch() + self.windows.kernel[1] - 1
    }

    /// Distance from one map to the next in scratch at input pitch: the zeros after one map are
    /// the zeros before the next.
    fn gapped_plane(&self) -> usize {
        (self.padded_plane() + self.windows.kernel[1] - 1).next_multiple_of(RUN)
    }

    /// How one image's maps lie in scratch.
    fn maps(&self) -> Maps {
        let [rows, width] = self.windows.output;
        let (pitch, stride) = match self.method {
            Method::Shifted { .. } => (self.pitch(), self.gapped_plane()),
            Method::Lowered => (width, rows * width),
        };
        Maps {
            planes: self.outputs,
            rows,
            width,
            pitch,
            stride,
        }
    }

    /// Positions from a map's first to its last, at its pitch.
    fn span(&self) -> usize {
        let maps = self.maps();
        (maps.rows - 1) * maps.pitch + maps.width
    }

    /// Inputs of one window: channels times kernel size.
    fn taps(&self) -> usize {
        self.channels * self.windows.kernel_size()
    }

    fn image_size(&self) -> usize {
        self.channels * self.windows.input_size()
    }

    /// Floats of scratch that let [`ConvPlan::forward`] use `workers` threads.
    pub fn forward_scratch(&self, workers: usize) -> usize {
        workers * self.forward_piece()
    }

    fn forward_piece(&self) -> usize {
        self.outputs * self.maps().stride + self.input_piece()
    }

    /// One image as the forward pass reads it.
    fn input_piece(&self) -> usize {
        match self.method {
            Method::Shifted { .. } => self.padded_image(),
            Method::Lowered => self.taps() * self.windows.output_size(),
        }
    }

    /// Convolves `n` images. `scratch` holds at least [`ConvPlan::forward_scratch`]`(1)` floats;
    /// as many threads work as fit into it.
    ///
    /// # Panics
    /// When a slice is too short.
    pub fn forward(
        &self,
        x: &[f32],
        w: &[f32],
        bias: Option<&[f32]>,
        n: usize,
        output: Output,
        scratch: &mut [f32],
    ) {
        let maps = self.maps();
        let target = Target::new(output);
        let parts = n.min(4 * GROUPS);
        for_each_part(parts, scratch, self.forward_piece(), |index, scratch| {
            let (result, input) = scratch.split_at_mut(self.outputs * maps.stride);
            for image in part(n, parts, index) {
                let size = self.image_size();
                self.convolve(&x[image * size..(image + 1) * size], w, bias, input, result);
                // SAFETY: each image is worked on once.
                unsafe { target.take(image, &maps, result) };
            }
        });
    }

    /// One image's maps into `result`.
    fn convolve(
        &self,
        image: &[f32],
        w: &[f32],
        bias: Option<&[f32]>,
        input: &mut [f32],
        result: &mut [f32],
    ) {
        match &self.method {
            Method::Shifted { taps, .. } => {
                self.pad(image, input);
                Product {
                    a: w,
                    rows: self.outputs,
                    b: input,
                    offsets: taps,
                    width: self.span(),
                    start: bias,
                }
                .run(result, self.maps().stride);
            }
            Method::Lowered => {
                lowered::lower(image, input, &self.windows);
                let (o, k, size) = (self.outputs, self.taps(), self.windows.output_size());
                let rows = result.chunks_exact_mut(size);
                rows.enumerate()
                    .for_each(|(o, row)| row.fill(bias.map_or(0.0, |b| b[o])));
                sgemm(
                    o,
                    size,
                    k,
                    1.0,
                    w,
                    (k, 1),
                    input,
                    (size, 1),
                    1.0,
                    result,
                    size,
                );
            }
        }
    }

    /// Copies an image into `padded`, with its padding and finite values after it.
    fn pad(&self, image: &[f32], padded: &mut [f32]) {
        let [height, width] = self.windows.input;
        let (pad, pitch) = (self.windows.padding, self.pitch());
        if pad == crate::Padding::zero() {
            let (body, rest) = padded.split_at_mut(image.len());
            body.copy_from_slice(image);
            return rest.fill(0.0);
        }
        padded.fill(0.0);
        let planes = padded.chunks_exact_mut(self.padded_plane());
        for (map, plane) in image.chunks_exact(height * width).zip(planes) {
            let rows = plane[pad.top * pitch..].chunks_exact_mut(pitch);
            for (from, to) in map.chunks_exact(width).zip(rows) {
                to[pad.left..pad.left + width].copy_from_slice(from);
            }
        }
    }

    /// The opposite of [`ConvPlan::pad`]: an image without its padding, planes `stride` apart.
    fn crop(&self, padded: &[f32], stride: usize, image: &mut [f32]) {
        let [height, width] = self.windows.input;
        let (pad, pitch) = (self.windows.padding, self.pitch());
        for (c, map) in image.chunks_exact_mut(height * width).enumerate() {
            let rows = padded[c * stride + pad.top * pitch..].chunks(pitch);
            for (to, from) in map.chunks_exact_mut(width).zip(rows) {
                to.copy_from_slice(&from[pad.left..pad.left + width]);
            }
        }
    }
}
