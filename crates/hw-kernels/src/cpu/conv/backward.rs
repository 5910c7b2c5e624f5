//! The gradients of a convolution.

use super::lowered;
use super::shifted::{Dots, Product, RUN};
use super::{ConvPlan, Gradients, Method, Source};
use crate::cpu::parallel::{Disjoint, GROUPS, for_each_part, part};
use crate::cpu::sums;
use crate::gemm::sgemm;
use std::ops::Range;

/// Images whose gradients are summed in registers before they meet memory.
const TOGETHER: usize = 8;
/// Floats that may lie in a worker's scratch for that (half a typical second-level cache).
const TOGETHER_FLOATS: usize = 1 << 18;

/// How a worker's scratch is laid out for the backward pass.
struct Piece {
    /// Images whose gradients and inputs lie in scratch at the same time.
    together: usize,
    /// Floats per image for the gradient of its maps.
    maps: usize,
    /// Floats per image for its input.
    input: usize,
    /// Floats for the gradient of one input.
    dx: usize,
}

impl Piece {
    fn len(&self) -> usize {
        self.together * (self.maps + self.input) + self.dx
    }
}

/// The gradient sums of one run of images.
struct Partial<'a> {
    dw: &'a mut [f32],
    db: &'a mut [f32],
}

impl ConvPlan {
    fn piece(&self) -> Piece {
        let (maps, input) = (self.maps(), self.input_piece());
        match self.method {
            Method::Shifted { .. } => {
                let maps = self.front() + self.outputs * maps.stride;
                Piece {
                    together: (TOGETHER_FLOATS / (maps + input)).clamp(1, TOGETHER),
                    maps,
                    input,
                    dx: self.channels * self.padded_plane().next_multiple_of(RUN),
                }
            }
            Method::Lowered => Piece {
                together: 1,
                maps: self.outputs * maps.stride,
                input,
                dx: 0,
            },
        }
    }

    fn partial_len(&self) -> usize {
        self.outputs * self.taps() + self.outputs
    }

    /// Floats of scratch that let [`ConvPlan::backward`] use `workers` threads for `n` images.
    pub fn backward_scratch(&self, n: usize, workers: usize) -> usize {
        let shared = self.outputs * self.taps() + n.min(GROUPS) * self.partial_len();
        shared + workers * self.piece().len()
    }

    /// Computes the wanted gradients of `n` images (they are overwritten, not added to). `scratch`
    /// holds at least [`ConvPlan::backward_scratch`]`(n, 1)` floats; as many threads work as fit
    /// into it.
    ///
    /// # Panics
    /// When a slice is too short.
    pub fn backward(
        &self,
        x: &[f32],
        w: &[f32],
        n: usize,
        source: Source,
        wanted: Gradients,
        scratch: &mut [f32],
    ) {
        let groups = n.min(GROUPS);
        let (turned, scratch) = scratch.split_at_mut(self.outputs * self.taps());
        let (partials, scratch) = scratch.split_at_mut(groups * self.partial_len());
        partials.fill(0.0);
        if wanted.dx.is_some() {
            self.turn(w, turned);
        }
        let want_dw = wanted.dw.is_some();
        let piece = self.piece();
        let dx = wanted.dx.map(Disjoint::new);
        let sums = Disjoint::new(partials);
        for_each_part(groups, scratch, piece.len(), |group, scratch| {
            // SAFETY: each group is worked on once and has its own sums.
            let sums =
                unsafe { sums.range(group * self.partial_len()..(group + 1) * self.partial_len()) };
            let (dw, db) = sums.split_at_mut(self.outputs * self.taps());
            let mut sums = Partial { dw, db };
            let images = part(n, groups, group);
            for first in images.clone().step_by(piece.together) {
                let images = first..images.end.min(first + piece.together);
                self.block(
                    x, w, turned, images, source, want_dw, &mut sums, &dx, scratch,
                );
            }
        });
        let partials = || partials.chunks_exact(self.partial_len());
        let split = self.outputs * self.taps();
        if let Some(dw) = wanted.dw {
            dw.fill(0.0);
            partials().for_each(|partial| sums::add(&partial[..split], dw));
        }
        if let Some(db) = wanted.db {
            db.fill(0.0);
            partials().for_each(|partial| sums::add(&partial[split..], db));
        }
    }

    /// Weights `[o, c, k]` as `[c, o, k]`: the matrix of the gradient in the input.
    fn turn(&self, w: &[f32], turned: &mut [f32]) {
        let size = self.windows.kernel_size();
        for (at, to) in turned.chunks_exact_mut(size).enumerate() {
            let (c, o) = (at / self.outputs, at % self.outputs);
            to.copy_from_slice(&w[(o * self.channels + c) * size..][..size]);
        }
    }

    /// The gradients of the few `images` that share the scratch.
    fn block(
        &self,
        x: &[f32],
        w: &[f32],
        turned: &[f32],
        images: Range<usize>,
        source: Source,
        want_dw: bool,
        sums: &mut Partial,
        dx: &Option<Disjoint<f32>>,
        scratch: &mut [f32],
    ) {
        let (piece, size) = (self.piece(), self.image_size());
        let (gradients, rest) = scratch.split_at_mut(piece.together * piece.maps);
        let (inputs, scratch) = rest.split_at_mut(piece.together * piece.input);
        let slots = gradients.chunks_exact_mut(piece.maps);
        let slots = slots.zip(inputs.chunks_exact_mut(piece.input));
        for ((gradient, input), image) in slots.zip(images.clone()) {
            self.fill(source, image, gradient, sums.db);
            let image_data = &x[image * size..(image + 1) * size];
            match self.method {
                Method::Shifted { .. } if want_dw => self.pad(image_data, input),
                Method::Lowered if want_dw => self.lowered_dw(image_data, gradient, input, sums.dw),
                _ => {}
            }
            if let Some(dx) = dx {
                // SAFETY: each image is worked on once.
                let dx = unsafe { dx.range(image * size..(image + 1) * size) };
                match self.method {
                    Method::Shifted { .. } => self.shifted_dx(turned, gradient, scratch, dx),
                    Method::Lowered => self.lowered_dx(w, gradient, input, dx),
                }
            }
        }
        if let (Method::Shifted { taps, .. }, true) = (&self.method, want_dw) {
            Dots {
                g: &gradients[self.front()..],
                g_image: piece.maps,
                g_stride: self.maps().stride,
                rows: self.outputs,
                b: inputs,
                b_image: piece.input,
                offsets: taps,
                width: self.span(),
                images: images.len(),
            }
            .run(sums.dw);
        }
    }

    /// Lays the gradient of one image's maps out in scratch and adds it up for the bias.
    fn fill(&self, source: Source, image: usize, gradient: &mut [f32], db: &mut [f32]) {
        let maps = self.maps();
        let gradient = match self.method {
            Method::Shifted { .. } => {
                let (front, rest) = gradient.split_at_mut(self.front());
                front.fill(0.0);
                rest
            }
            Method::Lowered => gradient,
        };
        match source {
            Source::Maps(dy) => {
                let size = self.outputs * self.windows.output_size();
                maps.copy_in(&dy[image * size..(image + 1) * size], gradient, db);
            }
            Source::Pooled {
                dy,
                winners,
                windows,
            } => {
                let size = self.outputs * windows.output_size();
                let range = image * size..(image + 1) * size;
                maps.pool_in(&dy[range.clone()], &winners[range], gradient, db, windows);
            }
        }
    }

    /// `dx = Wᵀ dy`, each tap shifted the other way.
    fn shifted_dx(&self, turned: &[f32], gradient: &[f32], scratch: &mut [f32], dx: &mut [f32]) {
        let Method::Shifted { back, .. } = &self.method else {
            return;
        };
        let width = self.padded_plane();
        let stride = width.next_multiple_of(RUN);
        Product {
            a: turned,
            rows: self.channels,
            b: gradient,
            offsets: back,
            width,
            start: None,
        }
        .run(scratch, stride);
        self.crop(scratch, stride, dx);
    }

    /// `dw += dy columnsᵀ`
    fn lowered_dw(&self, image: &[f32], gradient: &[f32], columns: &mut [f32], dw: &mut [f32]) {
        let (o, k, size) = (self.outputs, self.taps(), self.windows.output_size());
        lowered::lower(image, columns, &self.windows);
        sgemm(
            o,
            k,
            size,
            1.0,
            gradient,
            (size, 1),
            columns,
            (1, size),
            1.0,
            dw,
            k,
        );
    }

    /// `dcolumns = Wᵀ dy`, added up into the image.
    fn lowered_dx(&self, w: &[f32], gradient: &[f32], columns: &mut [f32], dx: &mut [f32]) {
        let (o, k, size) = (self.outputs, self.taps(), self.windows.output_size());
        sgemm(
            k,
            size,
            o,
            1.0,
            w,
            (1, k),
            gradient,
            (size, 1),
            0.0,
            columns,
            size,
        );
        dx.fill(0.0);
        lowered::raise(columns, dx, &self.windows);
    }
}
