//! The forward pass: how it reads its input, and the product itself.

use super::{BLOCK_FLOATS, Conv, tiles};
use crate::nhwc::taps::Taps;
use crate::nhwc::tile::{Segment, Tile};
use crate::nhwc::winograd::Winograd;
use std::ops::Range;

/// Widest maps that are always gathered: their rows are too short to be tiled one by one.
const NARROW: usize = 6;
/// Widest maps that are gathered where there are this many outputs to pay for it.
const NARROW_FOR: (usize, usize) = (7, 128);
/// Channels whose weights are prepared together: a block of [`Transpose`].
pub(super) const PREPARED: usize = crate::nhwc::panels::BLOCK;
/// Where less than this share of the products is with real pixels, they are made tap by tap.
const REAL: f64 = 0.8;
/// Fewest inputs and outputs with which that pays.
const TAP_WIDTH: usize = 96;

/// What a forward pass does with its sums.
#[derive(Clone, Copy, Default)]
pub struct Finish<'a> {
    /// Added to every output, one value a map.
    pub bias: Option<&'a [f32]>,
    /// Whether the sums are added to what the output holds.
    pub accumulate: bool,
    /// Whether negative results become 0.
    pub relu: bool,
}

/// How the forward pass reads its input.
#[derive(Clone, Debug)]
pub(super) enum Walk {
    /// A plain product: every pixel is its own window.
    Rows { segments: [Segment; 1] },
    /// Row by row, from a padded copy if there is padding.
    Shifted { segments: Vec<Segment> },
    /// From windows copied one after the other.
    Gathered { segments: [Segment; 1] },
    /// Tap by tap, where much of what windows see is padding.
    Taps(Taps),
}

impl Conv {
    pub(super) fn plan_forward(&self) -> Walk {
        let (k, [kh, kw]) = (self.taps(), self.windows.kernel);
        let whole = [Segment { a: 0, b: 0, len: k }];
        if self.is_pointwise() {
            return Walk::Rows { segments: whole };
        }
        let width = self.windows.output[1];
        if self.channels.min(self.outputs) >= TAP_WIDTH {
            let taps = self.plan_taps();
            let all = self.windows.kernel_size() * self.windows.output_size();
            if (taps.products() as f64) < REAL * all as f64 {
                return Walk::Taps(taps);
            }
        }
        if width <= NARROW || width <= NARROW_FOR.0 && self.outputs >= NARROW_FOR.1 {
            return Walk::Gathered { segments: whole };
        }
        let row = kw * self.channels;
        let segments = (0..kh).map(|i| Segment {
            a: i * self.pitch(),
            b: i * row,
            len: row,
        });
        Walk::Shifted {
            segments: segments.collect(),
        }
    }

    /// Floats of scratch that [`Conv::forward`] needs.
    pub fn forward_scratch(&self) -> usize {
        match self.forward {
            Walk::Rows { .. } => 0,
            Walk::Shifted { .. } if self.is_padded() => self.padded_len(),
            Walk::Shifted { .. } => 0,
            Walk::Gathered { .. } => self.gathered_images(usize::MAX) * self.gathered_len(),
            Walk::Taps(ref taps) => taps.scratch(),
        }
    }

    fn gathered_len(&self) -> usize {
        self.windows.output_size() * self.taps()
    }

    /// Images gathered at a time.
    fn gathered_images(&self, images: usize) -> usize {
        (BLOCK_FLOATS / self.gathered_len())
            .clamp(1, 64)
            .min(images)
    }

    /// Convolves `images` images: `y (+)= x * w`, on the calling thread.
    ///
    /// `x [images, h, w, channels]`, `w` in the layout of [`Conv::panels`], `y [images, oh, ow,
    /// outputs]`, `scratch` of [`Conv::forward_scratch`] floats.
    ///
    /// # Panics
    /// When a slice is too short.
    pub fn forward(
        &self,
        x: &[f32],
        w: &[f32],
        finish: Finish<'_>,
        y: &mut [f32],
        images: usize,
        scratch: &mut [f32],
    ) {
        self.check(x, w, y, images, finish);
        assert!(scratch.len() >= self.forward_scratch(), "conv: scratch");
        let all = 0..self.panels().count();
        // SAFETY: the slices were checked and `y` is ours alone.
        unsafe { self.forward_units(x, w, finish, y.as_mut_ptr(), images, scratch, all) };
    }

    fn check(&self, x: &[f32], w: &[f32], y: &[f32], images: usize, finish: Finish<'_>) {
        assert!(x.len() >= images * self.input_len(), "conv: x is too short");
        assert!(w.len() >= self.panels().len(), "conv: w is too short");
        assert!(
            y.len() >= images * self.output_len(),
            "conv: y is too short"
        );
        assert!(
            finish.bias.is_none_or(|bias| bias.len() >= self.outputs),
            "conv: bias"
        );
    }

    /// Number of panels of outputs.
    pub fn units(&self) -> usize {
        self.panels().count()
    }

    /// The outputs of some panels only, for several threads that share a batch.
    ///
    /// # Safety
    /// As [`Conv::forward`], whose `y` may be written at the panels' outputs; no other thread works
    /// on the same units of the same images.
    pub unsafe fn forward_units(
        &self,
        x: &[f32],
        w: &[f32],
        finish: Finish<'_>,
        y: *mut f32,
        images: usize,
        scratch: &mut [f32],
        units: Range<usize>,
    ) {
        let product = Rows {
            conv: self,
            w,
            finish,
            panels: units,
        };
        let pixels = self.windows.output_size();
        // SAFETY: the slices of x end with its images, copies hold whole windows, and all rows of
        // `y` that are written are of these images and panels.
        unsafe {
            match &self.forward {
                Walk::Rows { segments } => {
                    product.run(x, self.channels, segments, y, images * pixels)
                }
                Walk::Gathered { segments } => {
                    let mut image = 0;
                    while image < images {
                        let count = self.gathered_images(images - image);
                        for i in 0..count {
                            let from = &x[(image + i) * self.input_len()..][..self.input_len()];
                            self.gather(from, &mut scratch[i * self.gathered_len()..]);
                        }
                        let y = y.add(image * self.output_len());
                        product.run(scratch, self.taps(), segments, y, count * pixels);
                        image += count;
                    }
                }
                Walk::Taps(taps) => taps.run(&product, x, y, images, scratch),
                Walk::Shifted { segments } => {
                    for image in 0..images {
                        let from = &x[image * self.input_len()..][..self.input_len()];
                        let from = if self.is_padded() {
                            self.pad(from, scratch);
                            &scratch[..]
                        } else {
                            from
                        };
                        let y = y.add(image * self.output_len());
                        product.shifted(from, segments, y, 0..self.windows.output[0]);
                    }
                }
            }
        }
    }

    /// Into how many shares one image's work can be cut for [`Conv::forward_share`].
    pub fn shares(&self) -> usize {
        if self.shared_by_rows() {
            self.windows.output[0]
        } else {
            self.units()
        }
    }

    /// Rows of the map are shared where all threads can keep the weights in their caches, panels of
    /// outputs where each had better read its own.
    fn shared_by_rows(&self) -> bool {
        let few = self.panels().len() <= BLOCK_FLOATS || self.units() < 2;
        few && self.windows.output[0] > 1
            && matches!(self.forward, Walk::Shifted { .. } | Walk::Rows { .. })
    }

    /// Some of the [`Conv::shares`] of one image, for several threads that share it. Which of them
    /// does what changes no bit.
    ///
    /// # Safety
    /// As [`Conv::forward`] with one image, whose `y` may be written at these shares' outputs; no
    /// other thread works on the same shares.
    pub unsafe fn forward_share(
        &self,
        x: &[f32],
        w: &[f32],
        finish: Finish<'_>,
        y: *mut f32,
        scratch: &mut [f32],
        share: Range<usize>,
    ) {
        if !self.shared_by_rows() {
            // SAFETY: shares that are not rows are panels, and one image's `y` is there, as the
            // caller promised.
            return unsafe { self.forward_units(x, w, finish, y, 1, scratch, share) };
        }
        let product = Rows {
            conv: self,
            w,
            finish,
            panels: 0..self.units(),
        };
        match &self.forward {
            Walk::Shifted { segments } => {
                let from = if self.is_padded() {
                    let w = &self.windows;
                    let last = (share.end - 1) * w.stride[0] + w.kernel[0];
                    self.pad_rows(x, scratch, share.start * w.stride[0]..last);
                    &scratch[..]
                } else {
                    x
                };
                // SAFETY: these rows of the map are this thread's; the rows of the padded image
                // that they see were copied.
                unsafe { product.shifted(from, segments, y, share) };
            }
            Walk::Rows { segments } => {
                let width = self.windows.output[1];
                let first = share.start * width;
                let from = &x[first * self.channels..];
                // SAFETY: these rows of the map are this thread's, and a pointwise map has the
                // image's own.
                unsafe {
                    let y = y.add(first * self.outputs);
                    product.run(from, self.channels, segments, y, share.len() * width);
                }
            }
            Walk::Gathered { .. } | Walk::Taps(_) => unreachable!("not shared by rows"),
        }
    }

    /// Copies every window of an image, one after the other.
    fn gather(&self, image: &[f32], windows: &mut [f32]) {
        let w = &self.windows;
        let ([kh, kw], [height, width]) = (w.kernel, w.input);
        let c = self.channels;
        let cells = (0..w.output[0]).flat_map(|y| (0..w.output[1]).map(move |x| (y, x)));
        for ((oy, ox), window) in cells.zip(windows.chunks_exact_mut(self.taps())) {
            for (i, to) in window.chunks_exact_mut(kw * c).enumerate().take(kh) {
                let y = (oy * w.stride[0] + i).wrapping_sub(w.padding.top);
                if y >= height {
                    to.fill(0.0);
                    continue;
                }
                let start = (ox * w.stride[1]) as isize - w.padding.left as isize;
                let from = start.max(0) as usize;
                let end = (start + kw as isize).clamp(0, width as isize) as usize;
                if end <= from {
                    to.fill(0.0);
                    continue;
                }
                let before = (from as isize - start) as usize * c;
                let run = (end - from) * c;
                to[..before].fill(0.0);
                to[before..before + run].copy_from_slice(&image[(y * width + from) * c..][..run]);
                to[before + run..].fill(0.0);
            }
        }
    }
}

/// The forward pass by Winograd's algorithm, of weights that were prepared for it.
impl Conv {
    fn winograd(&self) -> &Winograd {
        let winograd = self.winograd.as_deref();
        winograd.expect("weights are prepared only where `has_winograd` says so")
    }

    /// Floats of the weights as [`Conv::forward_prepared`] takes them.
    pub fn prepared_len(&self) -> usize {
        self.winograd.as_ref().map_or(0, |w| w.prepared_len())
    }

    /// Images that [`Conv::forward_prepared`] should see at a time.
    pub fn prepared_images(&self) -> usize {
        self.winograd.as_ref().map_or(1, |w| w.images())
    }

    /// Units of work of [`Conv::prepare_unit`].
    pub fn prepare_units(&self) -> usize {
        match self.winograd {
            Some(_) => self.channels.div_ceil(PREPARED),
            None => 0,
        }
    }

    /// Prepares one unit of the weights `w` for [`Conv::forward_prepared`].
    ///
    /// # Safety
    /// `to` has room for [`Conv::prepared_len`]; no other thread works on the same unit.
    ///
    /// # Panics
    /// When `w` is too short.
    pub unsafe fn prepare_unit(&self, unit: usize, w: &[f32], to: *mut f32) {
        assert!(w.len() >= self.panels().len(), "conv: w is too short");
        // SAFETY: the weights are there, by the length above; room and unit are the caller's.
        unsafe { self.prepare_channels(unit * PREPARED, w.as_ptr(), to) };
    }

    /// Prepares the weights of the [`PREPARED`] channels from `first` on.
    ///
    /// # Safety
    /// As [`Winograd::prepare`].
    pub(super) unsafe fn prepare_channels(&self, first: usize, w: *const f32, to: *mut f32) {
        let channels = first..self.channels.min(first + PREPARED);
        // SAFETY: the same demands as ours, and channels of this convolution.
        unsafe { self.winograd().prepare(channels, w, to) };
    }

    /// As [`Conv::forward_units`] with all units, of weights that were prepared; `scratch` of
    /// [`Conv::prepared_scratch`] floats.
    ///
    /// # Safety
    /// As there.
    pub unsafe fn forward_prepared(
        &self,
        x: &[f32],
        prepared: &[f32],
        finish: Finish<'_>,
        y: *mut f32,
        images: usize,
        scratch: &mut [f32],
    ) {
        // SAFETY: `y` is this thread's and has room for the images, as the caller promised.
        unsafe {
            self.winograd()
                .forward(x, prepared, finish, y, images, scratch)
        };
    }

    /// Whether [`Conv::forward_prepared`] is worth its while for one image.
    pub fn prepared_suits_one_image(&self) -> bool {
        let winograd = self.winograd.as_ref();
        winograd.is_some_and(|winograd| winograd.suits_one_image())
    }

    /// Into how many shares one image's work can be cut for [`Conv::forward_prepared_share`].
    pub fn prepared_shares(&self) -> usize {
        self.winograd.as_ref().map_or(0, |w| w.rows())
    }

    /// Some of the [`Conv::prepared_shares`] of one image, for several threads that share it. Which of
    /// them does what changes no bit.
    ///
    /// # Safety
    /// As [`Conv::forward_prepared`] with one image, whose `y` may be written at these shares' outputs;
    /// no other thread works on the same shares.
    pub unsafe fn forward_prepared_share(
        &self,
        x: &[f32],
        prepared: &[f32],
        finish: Finish<'_>,
        y: *mut f32,
        scratch: &mut [f32],
        share: Range<usize>,
    ) {
        let winograd = self.winograd();
        // SAFETY: the outputs of these rows of tiles are this thread's, as the caller promised.
        unsafe { winograd.forward_rows(x, prepared, finish, y, share, scratch) };
    }

    /// Floats of scratch that [`Conv::forward_prepared`] needs.
    pub fn prepared_scratch(&self) -> usize {
        self.winograd.as_ref().map_or(0, |w| w.forward_scratch())
    }
}

/// A forward product over rows of the left operand.
pub(in crate::nhwc) struct Rows<'a> {
    pub(in crate::nhwc) conv: &'a Conv,
    pub(in crate::nhwc) w: &'a [f32],
    pub(in crate::nhwc) finish: Finish<'a>,
    pub(in crate::nhwc) panels: Range<usize>,
}

impl Rows<'_> {
    fn tile<'t>(&self, a: *const f32, a_row: usize, segments: &'t [Segment]) -> Tile<'t> {
        Tile {
            a,
            a_row,
            a_k: 1,
            b: std::ptr::null(),
            b_k: 0,
            segments,
            repeat: 1,
            a_step: 0,
            b_step: 0,
            c: std::ptr::null_mut(),
            c_row: self.conv.outputs,
            rows: 0,
            cols: 0,
            accumulate: self.finish.accumulate,
            bias: std::ptr::null(),
            relu: self.finish.relu,
        }
    }

    fn bias(&self, column: usize) -> *const f32 {
        self.finish
            .bias
            .map_or(std::ptr::null(), |bias| bias[column..].as_ptr())
    }

    /// `count` rows, `a_row` apart.
    ///
    /// # Safety
    /// The rows lie within `a` and `y`.
    pub(in crate::nhwc) unsafe fn run(
        &self,
        a: &[f32],
        a_row: usize,
        segments: &[Segment],
        y: *mut f32,
        count: usize,
    ) {
        let (layout, kernel) = (self.conv.panels(), self.conv.kernel);
        let depth: usize = segments.iter().map(|s| s.len).sum();
        let block = (BLOCK_FLOATS / depth).max(8 * kernel.rows);
        for rows in tiles(count, block) {
            for index in self.panels.clone() {
                let (start, stride, real) = layout.panel(index);
                let column = index * layout.columns();
                for part in tiles(rows.len(), kernel.rows) {
                    let row = rows.start + part.start;
                    // SAFETY: the row lies within `a` and `y`, as the caller promised; panel
                    // `index` within `w`.
                    unsafe {
                        let mut tile = self.tile(a.as_ptr().add(row * a_row), a_row, segments);
                        tile.b = self.w[start..].as_ptr();
                        tile.b_k = stride;
                        tile.c = y.add(row * self.conv.outputs + column);
                        (tile.rows, tile.cols) = (part.len(), real);
                        tile.bias = self.bias(column);
                        (kernel.tile)(&tile);
                    }
                }
            }
        }
    }

    /// Some rows of one image's map, row by row.
    ///
    /// # Safety
    /// `x` is the (padded) image, `y` has room for its maps.
    unsafe fn shifted(&self, x: &[f32], segments: &[Segment], y: *mut f32, wanted: Range<usize>) {
        let (conv, kernel) = (self.conv, self.conv.kernel);
        let (layout, w) = (conv.panels(), &conv.windows);
        let ow = w.output[1];
        let a_row = w.stride[1] * conv.channels;
        for index in self.panels.clone() {
            let (start, stride, real) = layout.panel(index);
            let column = index * layout.columns();
            for oy in wanted.clone() {
                for part in tiles(ow, kernel.rows) {
                    // SAFETY: the windows of this row lie within the image, its outputs within the
                    // maps.
                    unsafe {
                        let at = oy * w.stride[0] * conv.pitch() + part.start * a_row;
                        let mut tile = self.tile(x.as_ptr().add(at), a_row, segments);
                        tile.b = self.w[start..].as_ptr();
                        tile.b_k = stride;
                        tile.c = y.add((oy * ow + part.start) * conv.outputs + column);
                        (tile.rows, tile.cols) = (part.len(), real);
                        tile.bias = self.bias(column);
                        (kernel.tile)(&tile);
                    }
                }
            }
        }
    }
}
