//! The gradient of the input.

use super::forward::{PREPARED, Walk};
use super::{Conv, Finish};
use crate::geometry::Windows;
use crate::nhwc::panels::Transpose;
use crate::nhwc::scatter::Scatter;
use std::ops::Range;

/// The gradient of a convolution's input.
///
/// With stride 1 it is a convolution of `dy` with the mirrored kernel; otherwise each tap's gradient is
/// made by a product and added where the tap lay. With few channels all taps' are made together.
#[derive(Clone, Debug)]
pub struct InputGradient {
    conv: Conv,
    back: Back,
}

#[derive(Clone, Debug)]
enum Back {
    /// A convolution with the mirrored kernel.
    Mirrored(Conv),
    /// A convolution whose walk is tap by tap.
    Taps(Conv),
    Scattered(Scatter),
}

impl InputGradient {
    /// Plans the gradient of `conv`'s input.
    pub fn new(conv: &Conv) -> Self {
        let back = match Scatter::new(conv) {
            Some(scatter) => Back::Scattered(scatter),
            None => Self::convolution(conv),
        };
        Self {
            conv: conv.clone(),
            back,
        }
    }

    fn convolution(conv: &Conv) -> Back {
        let w = &conv.windows;
        let ([kh, kw], pad) = (w.kernel, w.padding);
        let fits = pad.top < kh && pad.bottom < kh && pad.left < kw && pad.right < kw;
        let padding = |before: usize, size: usize| size.saturating_sub(1 + before);
        let windows = Windows {
            input: w.output,
            kernel: w.kernel,
            stride: [1, 1],
            padding: crate::Padding {
                top: padding(pad.top, kh),
                bottom: padding(pad.bottom, kh),
                left: padding(pad.left, kw),
                right: padding(pad.right, kw),
            },
            output: w.input,
        };
        let mut back = Conv::new(conv.outputs, conv.channels, windows);
        if w.stride == [1, 1] && fits {
            return Back::Mirrored(match conv.has_winograd() {
                true => back.with_winograd(),
                false => back,
            });
        }
        back.forward = Walk::Taps(conv.plan_taps().reversed());
        Back::Taps(back)
    }

    fn transpose(&self) -> Transpose {
        Transpose {
            taps: self.conv.windows.kernel_size(),
            channels: self.conv.channels,
            outputs: self.conv.outputs,
            mirrored: matches!(self.back, Back::Mirrored(_)),
        }
    }

    /// Floats of the transposed weights.
    pub fn turned_len(&self) -> usize {
        match &self.back {
            Back::Scattered(scatter) => scatter.panels().len(),
            Back::Taps(_) => self.transpose().to().len(),
            Back::Mirrored(back) => self.transpose().to().len() + back.prepared_len(),
        }
    }

    /// Units of work of [`InputGradient::transpose_unit`].
    pub fn transpose_units(&self) -> usize {
        match &self.back {
            Back::Scattered(scatter) => scatter.transpose_units(),
            _ => self.transpose().units(),
        }
    }

    /// Transposes one unit of the weights `w` into `turned`, which starts out as zeros.
    ///
    /// # Safety
    /// `turned` has room for [`InputGradient::turned_len`]; no other thread works on the same unit.
    pub unsafe fn transpose_unit(&self, unit: usize, w: &[f32], turned: *mut f32) {
        // SAFETY: `turned` has room for both layouts, and each block of outputs (or output) is one
        // unit's alone.
        unsafe {
            match &self.back {
                Back::Scattered(scatter) => scatter.transpose_unit(unit, w, turned),
                Back::Taps(_) => self.transpose().run(unit, w, turned),
                Back::Mirrored(back) => {
                    let transpose = self.transpose();
                    transpose.run(unit, w, turned);
                    if back.has_winograd() {
                        // This unit's rows of what was just written.
                        let prepared = turned.add(transpose.to().len());
                        back.prepare_channels(unit * PREPARED, turned, prepared);
                    }
                }
            }
        }
    }

    /// Floats of scratch that [`InputGradient::run`] needs.
    pub fn scratch(&self) -> usize {
        match &self.back {
            Back::Mirrored(back) if back.has_winograd() => back.prepared_scratch(),
            Back::Mirrored(back) | Back::Taps(back) => back.forward_scratch(),
            Back::Scattered(scatter) => scatter.scratch(),
        }
    }

    /// Pixels of one gradient.
    pub fn pixels(&self) -> usize {
        self.conv.windows.input_size()
    }

    /// Units into which [`InputGradient::run_units`] cuts the work.
    pub fn units(&self) -> usize {
        match &self.back {
            Back::Mirrored(back) if back.has_winograd() => 1,
            Back::Mirrored(back) | Back::Taps(back) => back.units(),
            Back::Scattered(_) => 1,
        }
    }

    /// `dx (+)= dy * w` for `images` images, on the calling thread; `w` transposed before.
    ///
    /// # Panics
    /// When a slice is too short.
    pub fn run(
        &self,
        dy: &[f32],
        turned: &[f32],
        accumulate: bool,
        dx: &mut [f32],
        images: usize,
        scratch: &mut [f32],
    ) {
        let (from, to) = (self.conv.output_len(), self.conv.input_len());
        assert!(dy.len() >= images * from, "conv: dy is too short");
        assert!(turned.len() >= self.turned_len(), "conv: w is too short");
        assert!(dx.len() >= images * to, "conv: dx is too short");
        assert!(scratch.len() >= self.scratch(), "conv: scratch");
        let (dx, all) = (dx.as_mut_ptr(), 0..self.units());
        // SAFETY: the slices were checked and `dx` is ours alone.
        unsafe { self.run_units(dy, turned, accumulate, dx, images, scratch, all) };
    }

    /// Some units of [`InputGradient::run`], for several threads that share a batch.
    ///
    /// # Safety
    /// As [`InputGradient::run`]; no other thread works on the same units of the same images.
    pub unsafe fn run_units(
        &self,
        dy: &[f32],
        turned: &[f32],
        accumulate: bool,
        dx: *mut f32,
        images: usize,
        scratch: &mut [f32],
        units: Range<usize>,
    ) {
        let finish = Finish {
            accumulate,
            ..Finish::default()
        };
        // SAFETY: `dx` has room for the images and these units of it are this thread's, as the
        // caller promised; an input gradient's units are those of the convolution behind it.
        unsafe {
            match &self.back {
                Back::Mirrored(_) | Back::Scattered(_) if units.is_empty() => {}
                Back::Mirrored(back) if back.has_winograd() => {
                    let prepared = &turned[self.transpose().to().len()..];
                    back.forward_prepared(dy, prepared, finish, dx, images, scratch);
                }
                Back::Mirrored(back) | Back::Taps(back) => {
                    back.forward_units(dy, turned, finish, dx, images, scratch, units);
                }
                Back::Scattered(scatter) => {
                    scatter.run(dy, turned, accumulate, dx, images, scratch);
                }
            }
        }
    }
}
