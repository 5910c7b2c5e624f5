//! Convolution tap by tap: for each tap of the kernel, the pixels that it really sees are copied
//! together, multiplied with the tap's weights, and the products added where they belong. No product
//! with padding is made: on a map of 2 x 2 pixels, 16 of the 36 that a 3 x 3 kernel has are left.

use super::conv::Rows;
use super::norm;
use super::tile::Segment;

/// Floats of both copies: part of a second-level cache.
const COPIED: usize = 1 << 18;

/// A row of output pixels that see real pixels through a tap. Pixels are counted within an image.
#[derive(Clone, Debug)]
pub(super) struct TapRun {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) len: usize,
}

/// One tap.
#[derive(Clone, Debug)]
pub(super) struct Tap {
    /// First row of its weights.
    pub(super) row: usize,
    pub(super) runs: Vec<TapRun>,
}

/// All taps of a convolution, or of the gradient of its input.
#[derive(Clone, Debug)]
pub(super) struct Taps {
    pub(super) taps: Vec<Tap>,
    /// Floats of a pixel that is read, and of one that is written.
    pub(super) from_width: usize,
    pub(super) to_width: usize,
    /// Floats of an image that is read, and of one that is written.
    pub(super) from_len: usize,
    pub(super) to_len: usize,
    /// Pixels from one of a run to the next.
    pub(super) from_step: usize,
    pub(super) to_step: usize,
}

impl Taps {
    /// Pairs of pixels that meet in some tap.
    pub(super) fn products(&self) -> usize {
        let runs = self.taps.iter().flat_map(|tap| &tap.runs);
        runs.map(|run| run.len).sum()
    }

    /// The same pairs, from what was written to what was read, with the weights' rows turned.
    pub(super) fn reversed(mut self) -> Self {
        for (index, tap) in self.taps.iter_mut().enumerate() {
            tap.row = index * self.to_width;
            for run in &mut tap.runs {
                std::mem::swap(&mut run.from, &mut run.to);
            }
        }
        std::mem::swap(&mut self.from_width, &mut self.to_width);
        std::mem::swap(&mut self.from_len, &mut self.to_len);
        std::mem::swap(&mut self.from_step, &mut self.to_step);
        self
    }

    /// Pixels copied at a time.
    fn rows(&self) -> usize {
        (COPIED / (self.from_width + self.to_width)).clamp(14, 1024)
    }

    /// Floats of scratch that [`Taps::run`] needs.
    pub(super) fn scratch(&self) -> usize {
        self.rows() * (self.from_width + self.to_width)
    }

    /// All products of `images` images, for the panels of `product`.
    ///
    /// # Safety
    /// `to` has room for the images, and its columns of those panels are this thread's.
    pub(super) unsafe fn run(
        &self,
        product: &Rows<'_>,
        from: &[f32],
        to: *mut f32,
        images: usize,
        scratch: &mut [f32],
    ) {
        let layout = product.conv.panels();
        let first = product.panels.start * layout.columns();
        let end = (product.panels.end * layout.columns()).min(self.to_width);
        let pixel = |image: usize, pixel: usize| {
            let start = image * self.to_len + pixel * self.to_width + first;
            // SAFETY: a pixel of these images, and of it the columns of these panels, which are
            // this thread's.
            unsafe { std::slice::from_raw_parts_mut(to.add(start), end - first) }
        };
        let pixels = self.to_len / self.to_width;
        let finish = product.finish;
        for (image, at) in (0..images).flat_map(|i| (0..pixels).map(move |p| (i, p))) {
            match (finish.bias, finish.accumulate) {
                (Some(bias), false) => pixel(image, at).copy_from_slice(&bias[first..end]),
                (Some(bias), true) => norm::add(&bias[first..end], pixel(image, at)),
                (None, false) => pixel(image, at).fill(0.0),
                (None, true) => {}
            }
        }
        let plain = Rows {
            finish: Default::default(),
            panels: product.panels.clone(),
            ..*product
        };
        let (copies, products) = scratch.split_at_mut(self.rows() * self.from_width);
        for tap in &self.taps {
            let segments = [Segment {
                a: 0,
                b: tap.row,
                len: self.from_width,
            }];
            // Every pair of pixels in turn: copied until there is no more room, then multiplied.
            let pairs = (0..images).flat_map(|image| {
                tap.runs.iter().flat_map(move |run| {
                    (0..run.len).map(move |k| {
                        let (from, to) = (run.from + k * self.from_step, run.to + k * self.to_step);
                        (image, from, to)
                    })
                })
            });
            let mut targets = Vec::with_capacity(self.rows());
            let mut pairs = pairs.peekable();
            while pairs.peek().is_some() {
                targets.clear();
                let rows = copies.chunks_exact_mut(self.from_width);
                for (row, (image, source, target)) in rows.zip(pairs.by_ref()) {
                    let start = image * self.from_len + source * self.from_width;
                    row.copy_from_slice(&from[start..][..self.from_width]);
                    targets.push((image, target));
                }
                // SAFETY: there is room for all rows in `products`.
                unsafe {
                    plain.run(
                        copies,
                        self.from_width,
                        &segments,
                        products.as_mut_ptr(),
                        targets.len(),
                    );
                }
                for (row, (image, target)) in products.chunks(self.to_width).zip(&targets) {
                    norm::add(&row[first..end], pixel(*image, *target));
                }
            }
        }
        if finish.relu {
            for (image, at) in (0..images).flat_map(|i| (0..pixels).map(move |p| (i, p))) {
                for value in pixel(image, at) {
                    *value = if *value < 0.0 { 0.0 } else { *value };
                }
            }
        }
    }
}
