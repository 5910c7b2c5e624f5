//! The gradient of the input of a convolution of few channels.
//!
//! As a convolution of its own it would fill less than a register with each pixel's few channels.
//! Instead each pixel of `dy` is multiplied with all weights at once, which gives its share of the
//! whole window it saw; the windows are then added where they lay. A window's row is one contiguous
//! run of `dx`, rounded up to whole registers with zeros.

use super::conv::{Conv, Finish};
use super::panels::Panels;
use crate::cpu::simd::vectorised;
use crate::geometry::Windows;
use std::ops::Range;

/// Floats of a register; rows of a window are rounded up to them.
const LANES: usize = 16;
/// Channels that would fill a register need no windows.
const FEW: usize = LANES;
/// Pixels of `dy` whose windows are made at a time: they stay in the first-level cache.
const PIXELS: usize = 28;

/// Windows of the gradient of a convolution's input.
#[derive(Clone, Debug)]
pub(super) struct Scatter {
    channels: usize,
    windows: Windows,
    /// From a pixel of `dy` to its window, row by row.
    product: Conv,
}

impl Scatter {
    /// For `conv`, if it has few enough channels.
    pub(super) fn new(conv: &Conv) -> Option<Self> {
        let [kh, kw] = conv.windows.kernel;
        let few = conv.channels < FEW && conv.windows.kernel_size() > 1;
        few.then(|| Self {
            channels: conv.channels,
            windows: conv.windows,
            product: Conv::dense(
                conv.outputs,
                kh * (kw * conv.channels).next_multiple_of(LANES),
            ),
        })
    }

    /// The layout of the weights, `[output, (kernel row, column and channel, rounded up)]`.
    pub(super) fn panels(&self) -> Panels {
        self.product.panels()
    }

    fn row(&self) -> usize {
        self.windows.kernel[1] * self.channels
    }

    /// Units of [`Scatter::transpose_unit`]: outputs.
    pub(super) fn transpose_units(&self) -> usize {
        self.product.channels
    }

    /// Copies one output's weights from `[(tap, channel), output]`.
    ///
    /// # Safety
    /// `turned` has room for [`Scatter::panels`]; no other thread works on the same unit.
    pub(super) unsafe fn transpose_unit(&self, output: usize, w: &[f32], turned: *mut f32) {
        let (row, to) = (self.row(), self.panels());
        let from = Panels::new(
            self.windows.kernel_size() * self.channels,
            self.product.channels,
        );
        for i in 0..self.windows.kernel[0] {
            for k in 0..row {
                let column = i * row.next_multiple_of(LANES) + k;
                // SAFETY: an element of `turned` in this output's row.
                unsafe { *turned.add(to.at(output, column)) = w[from.at(i * row + k, output)] };
            }
        }
    }

    /// Floats of scratch that [`Scatter::run`] needs.
    pub(super) fn scratch(&self) -> usize {
        PIXELS * self.product.outputs
    }

    /// `dx (+)=` the windows of `dy`'s pixels, for `images` images.
    ///
    /// # Safety
    /// `dx` has room for the images and is this thread's; the slices are long enough.
    pub(super) unsafe fn run(
        &self,
        dy: &[f32],
        turned: &[f32],
        accumulate: bool,
        dx: *mut f32,
        images: usize,
        scratch: &mut [f32],
    ) {
        let (len, outputs) = (
            self.windows.input_size() * self.channels,
            self.product.channels,
        );
        let pixels = self.windows.output_size();
        for image in 0..images {
            // SAFETY: `dx` has room for the images and is this thread's, as the caller promised.
            let dx = unsafe { std::slice::from_raw_parts_mut(dx.add(image * len), len) };
            if !accumulate {
                dx.fill(0.0);
            }
            let dy = &dy[image * pixels * outputs..][..pixels * outputs];
            for first in (0..pixels).step_by(PIXELS) {
                let range = first..(first + PIXELS).min(pixels);
                let from = &dy[range.start * outputs..range.end * outputs];
                let made = &mut scratch[..range.len() * self.product.outputs];
                self.product
                    .forward(from, turned, Finish::default(), made, range.len(), &mut []);
                scatter(made, &self.windows, self.channels, range, dx);
            }
        }
    }
}

vectorised! {
    /// Adds the windows of some pixels to one image.
    fn scatter(made: &[f32], windows: &Windows, channels: usize, pixels: Range<usize>, dx: &mut [f32]) {
        let ([kh, kw], [height, width]) = (windows.kernel, windows.input);
        let (row, pitch) = (kw * channels, width * channels);
        let wide = row.next_multiple_of(LANES);
        let ow = windows.output[1];
        for (pixel, window) in pixels.zip(made.chunks_exact(kh * wide)) {
            let top = (pixel / ow * windows.stride[0]) as isize - windows.padding.top as isize;
            let left = (pixel % ow * windows.stride[1]) as isize - windows.padding.left as isize;
            let before = (-left).max(0) as usize * channels;
            let inside = (width as isize - left).clamp(0, kw as isize) as usize * channels;
            for (i, run) in window.chunks_exact(wide).enumerate() {
                let y = top + i as isize;
                if y < 0 || y >= height as isize || before >= inside {
                    continue;
                }
                let start = (y as usize * pitch) as isize + left * channels as isize;
                if before == 0 && inside == row && start as usize + wide <= dx.len() {
                    // What lies behind the window gets zeros.
                    let to = &mut dx[start as usize..start as usize + wide];
                    let (to, _) = to.as_chunks_mut::<LANES>();
                    let (run, _) = run.as_chunks::<LANES>();
                    for (to, run) in to.iter_mut().zip(run) {
                        for (to, value) in to.iter_mut().zip(run) {
                            *to += value;
                        }
                    }
                } else {
                    let to = (start + before as isize) as usize;
                    for (to, value) in dx[to..].iter_mut().zip(&run[before..inside]) {
                        *to += value;
                    }
                }
            }
        }
    }
}
