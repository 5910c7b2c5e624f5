//! Convolution on images whose channels come last, forwards and backwards. A dense layer is a
//! convolution of 1 x 1 maps.
//!
//! Nothing is lowered into a matrix where it can be read in place: a window's row is `kw * channels`
//! neighbouring floats, so a padded copy of one image (or the image itself) is all that stride 1
//! needs. Only maps too narrow to fill a register tile are gathered window by window.

use super::panels::{Panels, Transpose};
use super::scatter::Scatter;
use super::taps::{Tap, TapRun, Taps};
use super::tile::{Kernel, Segment, Tile};
use super::winograd::Winograd;
use crate::geometry::Windows;
use std::ops::Range;

/// Widest maps that are always gathered: their rows are too short to be tiled one by one.
const NARROW: usize = 6;
/// Widest maps that are gathered where there are this many outputs to pay for it.
const NARROW_FOR: (usize, usize) = (7, 128);
/// Pixels over which a weight gradient is summed in registers: what they read stays in the first
/// cache.
const SUMMED: usize = 112;
/// Fewest channels with which a weight gradient is made tap by tap, without a padded copy.
const TAP_CHANNELS: usize = 7;
/// Channels whose weights are prepared together: a block of [`Transpose`].
const PREPARED: usize = super::panels::BLOCK;
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

/// How the forward pass reads its input.
#[derive(Clone, Debug)]
enum Walk {
    /// A plain product: every pixel is its own window.
    Rows { segments: [Segment; 1] },
    /// Row by row, from a padded copy if there is padding.
    Shifted { segments: Vec<Segment> },
    /// From windows copied one after the other.
    Gathered { segments: [Segment; 1] },
    /// Tap by tap, where much of what windows see is padding.
    Taps(Taps),
}

/// Where less than this share of the products is with real pixels, they are made tap by tap.
const REAL: f64 = 0.8;
/// Fewest inputs and outputs with which that pays.
const TAP_WIDTH: usize = 96;

/// How the gradient of the weights reads its operands: for each block of rows of the weights, the
/// runs of pixels it sums over.
#[derive(Clone, Debug)]
struct WeightWalk {
    blocks: Vec<WeightBlock>,
    read: WeightRead,
}

/// How a weight gradient reads its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WeightRead {
    /// Where they lie.
    InPlace,
    /// The input from a padded copy.
    Padded,
    /// Both from copies of the pixels that meet in a tap: runs in narrow maps are too short to be
    /// walked one by one.
    Collected,
}

#[derive(Clone, Debug)]
struct WeightBlock {
    /// First row of the weights.
    row: usize,
    rows: usize,
    segments: Vec<Segment>,
    /// Where runs of segments end that are summed in registers.
    ends: Vec<usize>,
}

impl WeightBlock {
    fn new(row: usize, rows: usize, whole: Vec<Segment>) -> Self {
        let (mut segments, mut ends, mut steps) = (Vec::new(), Vec::new(), 0);
        for segment in whole {
            if steps + segment.len > SUMMED && steps > 0 {
                ends.push(segments.len());
                steps = 0;
            }
            steps += segment.len;
            segments.push(segment);
        }
        ends.push(segments.len());
        Self {
            row,
            rows,
            segments,
            ends,
        }
    }

    fn steps(&self) -> usize {
        self.segments.iter().map(|s| s.len).sum()
    }

    /// Runs of segments, each to be summed in registers.
    fn runs(&self) -> impl Iterator<Item = &[Segment]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(from, &to)| &self.segments[from..to])
    }
}

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

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kernel({} x {})", self.rows, self.columns)
    }
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
        // SAFETY: the caller's contract and the length above.
        unsafe { self.prepare_channels(unit * PREPARED, w.as_ptr(), to) };
    }

    /// Prepares the weights of the [`PREPARED`] channels from `first` on.
    ///
    /// # Safety
    /// As [`Winograd::prepare`].
    unsafe fn prepare_channels(&self, first: usize, w: *const f32, to: *mut f32) {
        if let Some(winograd) = &self.winograd {
            let channels = first..self.channels.min(first + PREPARED);
            // SAFETY: the caller's contract.
            unsafe { winograd.prepare(channels, w, to) };
        }
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
        if let Some(winograd) = &self.winograd {
            // SAFETY: the caller's contract.
            unsafe { winograd.forward(x, prepared, finish, y, images, scratch) };
        }
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
        if let Some(winograd) = &self.winograd {
            // SAFETY: the caller's contract.
            unsafe { winograd.forward_rows(x, prepared, finish, y, share, scratch) };
        }
    }

    /// Floats of scratch that [`Conv::forward_prepared`] needs.
    pub fn prepared_scratch(&self) -> usize {
        self.winograd.as_ref().map_or(0, |w| w.forward_scratch())
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

    fn plan_forward(&self) -> Walk {
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

    fn plan_weight(&self) -> WeightWalk {
        let w = &self.windows;
        let ([kh, kw], [oh, ow]) = (w.kernel, w.output);
        let padded = self.channels < TAP_CHANNELS;
        let mut blocks = Vec::new();
        if padded {
            for i in 0..kh {
                let segment = |oy: usize| Segment {
                    a: (oy * w.stride[0] + i) * self.pitch(),
                    b: oy * ow,
                    len: ow,
                };
                let rows = kw * self.channels;
                let segments = (0..oh).map(segment).collect();
                blocks.push(WeightBlock::new(i * rows, rows, segments));
            }
        } else {
            for i in 0..kh {
                for j in 0..kw {
                    let row = (i * kw + j) * self.channels;
                    let segments = self.tap_segments(i, j);
                    blocks.push(WeightBlock::new(row, self.channels, segments));
                }
            }
        }
        let short = |block: &WeightBlock| block.steps() < 8 * block.segments.len();
        let read = if padded && self.is_padded() {
            WeightRead::Padded
        } else if !padded && blocks.iter().any(short) && !self.is_pointwise() {
            WeightRead::Collected
        } else {
            WeightRead::InPlace
        };
        WeightWalk { blocks, read }
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
        let all = 0..self.panels().count();
        // SAFETY: the slices were checked and `y` is ours alone.
        unsafe { self.forward_panels(x, w, finish, y.as_mut_ptr(), images, scratch, all) };
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
        // SAFETY: the caller's contract.
        unsafe { self.forward_panels(x, w, finish, y, images, scratch, units) };
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
            // SAFETY: the caller's contract.
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
                // SAFETY: the caller's contract; the rows of the padded image that these rows of
                // the map see were copied.
                unsafe { product.shifted(from, segments, y, share) };
            }
            Walk::Rows { segments } => {
                let width = self.windows.output[1];
                let first = share.start * width;
                let from = &x[first * self.channels..];
                // SAFETY: the caller's contract; a pointwise map has the image's own rows.
                unsafe {
                    let y = y.add(first * self.outputs);
                    product.run(from, self.channels, segments, y, share.len() * width);
                }
            }
            Walk::Gathered { .. } | Walk::Taps(_) => {}
        }
    }

    unsafe fn forward_panels(
        &self,
        x: &[f32],
        w: &[f32],
        finish: Finish<'_>,
        y: *mut f32,
        images: usize,
        scratch: &mut [f32],
        panels: Range<usize>,
    ) {
        let product = Rows {
            conv: self,
            w,
            finish,
            panels,
        };
        let pixels = self.windows.output_size();
        // SAFETY: the caller's contract: all rows lie within x and y.
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

    /// Floats of scratch that [`Conv::weight_gradient`] needs.
    pub fn weight_scratch(&self) -> usize {
        if let Some(winograd) = &self.winograd {
            return winograd.weight_scratch();
        }
        match self.weight.read {
            WeightRead::InPlace => 0,
            WeightRead::Padded => self.padded_len(),
            WeightRead::Collected => {
                let pixels = self.collected_images(usize::MAX) * self.windows.output_size();
                pixels * (self.channels + self.outputs)
            }
        }
    }

    /// Images whose pixels are collected at a time.
    fn collected_images(&self, images: usize) -> usize {
        let floats = self.windows.output_size() * (self.channels + self.outputs);
        (BLOCK_FLOATS / floats).clamp(1, 256).min(images)
    }

    /// `dw (+)= Σ x dy` over `images` images, in the layout of [`Conv::panels`]; only the weight
    /// blocks in `blocks` (see [`Conv::weight_blocks`]).
    ///
    /// # Safety
    /// `dw` has room for the panels; no two threads work on the same block.
    ///
    /// # Panics
    /// When a slice is too short.
    pub unsafe fn weight_gradient(
        &self,
        x: &[f32],
        dy: &[f32],
        dw: *mut f32,
        accumulate: bool,
        images: usize,
        scratch: &mut [f32],
        blocks: Range<usize>,
    ) {
        assert!(x.len() >= images * self.input_len() && dy.len() >= images * self.output_len());
        if let Some(winograd) = &self.winograd {
            // SAFETY: the caller's contract and the lengths above.
            return unsafe {
                winograd.weight_gradient(x, dy, dw, accumulate, images, scratch, blocks)
            };
        }
        let work = WeightProduct { conv: self, dw };
        // SAFETY: the caller's contract and the lengths above.
        unsafe {
            match self.weight.read {
                WeightRead::Padded => {
                    for image in 0..images {
                        self.pad(&x[image * self.input_len()..][..self.input_len()], scratch);
                        let dy = &dy[image * self.output_len()..];
                        let add = accumulate || image > 0;
                        work.run(scratch, dy, 1, add, blocks.clone());
                    }
                }
                WeightRead::InPlace => work.run(x, dy, images, accumulate, blocks),
                WeightRead::Collected => {
                    let at_once = self.collected_images(images);
                    for first in (0..images).step_by(at_once) {
                        let count = at_once.min(images - first);
                        let (x, dy) = (
                            &x[first * self.input_len()..],
                            &dy[first * self.output_len()..],
                        );
                        let add = accumulate || first > 0;
                        work.run_collected(x, dy, count, add, blocks.clone(), scratch);
                    }
                }
            }
        }
    }

    /// The pieces into which a weight gradient can be cut: register tiles of its rows.
    pub fn weight_blocks(&self) -> usize {
        if let Some(winograd) = &self.winograd {
            return winograd.weight_blocks();
        }
        let tiles = |block: &WeightBlock| block.rows.div_ceil(self.kernel.rows);
        self.weight.blocks.iter().map(tiles).sum()
    }
}

/// Cuts `total` into the fewest parts of at most `most`, as even as can be.
fn tiles(total: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = total.div_ceil(most).max(1);
    (0..count).map(move |i| total * i / count..total * (i + 1) / count)
}

/// A forward product over rows of the left operand.
pub(super) struct Rows<'a> {
    pub(super) conv: &'a Conv,
    pub(super) w: &'a [f32],
    pub(super) finish: Finish<'a>,
    pub(super) panels: Range<usize>,
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
    pub(super) unsafe fn run(
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
                    // SAFETY: the caller's contract.
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
                    // SAFETY: the caller's contract.
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

/// A weight gradient's products.
struct WeightProduct<'a> {
    conv: &'a Conv,
    dw: *mut f32,
}

impl WeightProduct<'_> {
    /// The pieces in `wanted`, summed over `images` images.
    ///
    /// # Safety
    /// As [`Conv::weight_gradient`]; `x` is padded if the plan says so.
    unsafe fn run(
        &self,
        x: &[f32],
        dy: &[f32],
        images: usize,
        accumulate: bool,
        wanted: Range<usize>,
    ) {
        let conv = self.conv;
        let pixels = conv.windows.output_size();
        let step = conv.windows.stride[1] * conv.channels;
        if conv.is_pointwise() {
            // One long run of pixels, whatever image they are of.
            for first in (0..pixels * images).step_by(SUMMED) {
                let segment = [Segment {
                    a: first * step,
                    b: first,
                    len: SUMMED.min(pixels * images - first),
                }];
                let operands = Operands::new(x, dy, &segment, 1, step);
                let add = accumulate || first > 0;
                // SAFETY: the caller's contract; the run ends with the images.
                unsafe { self.block(&conv.weight.blocks[0], &mut 0, &wanted, add, &operands) };
            }
            return;
        }
        let together = (SUMMED / pixels).max(1);
        for first in (0..images).step_by(together) {
            let (x, dy) = (
                &x[first * conv.input_len()..],
                &dy[first * conv.output_len()..],
            );
            let count = together.min(images - first);
            let mut piece = 0;
            for block in &conv.weight.blocks {
                let start = piece;
                for (run, segments) in block.runs().enumerate() {
                    piece = start;
                    let operands = Operands::new(x, dy, segments, count, step);
                    let add = accumulate || first > 0 || run > 0;
                    // SAFETY: the caller's contract; segments stay inside both images.
                    unsafe { self.block(block, &mut piece, &wanted, add, &operands) };
                }
            }
        }
    }

    /// As [`WeightProduct::run`], with the pixels of each tap copied together first.
    ///
    /// # Safety
    /// As [`WeightProduct::run`]; `scratch` has room for both copies.
    unsafe fn run_collected(
        &self,
        x: &[f32],
        dy: &[f32],
        images: usize,
        accumulate: bool,
        wanted: Range<usize>,
        scratch: &mut [f32],
    ) {
        let conv = self.conv;
        let (c, o) = (conv.channels, conv.outputs);
        let step = conv.windows.stride[1] * c;
        let mut piece = 0;
        for block in &conv.weight.blocks {
            let tiles = block.rows.div_ceil(conv.kernel.rows);
            if piece + tiles <= wanted.start || piece >= wanted.end {
                piece += tiles;
                continue;
            }
            let pixels = images * block.steps();
            let (xs, dys) = scratch.split_at_mut(pixels * c);
            let mut rows = xs.chunks_exact_mut(c).zip(dys.chunks_exact_mut(o));
            for image in 0..images {
                let (x, dy) = (
                    &x[image * conv.input_len()..],
                    &dy[image * conv.output_len()..],
                );
                for segment in &block.segments {
                    for (k, (to_x, to_dy)) in (0..segment.len).zip(rows.by_ref()) {
                        to_x.copy_from_slice(&x[segment.a + k * step..][..c]);
                        to_dy.copy_from_slice(&dy[(segment.b + k) * o..][..o]);
                    }
                }
            }
            let segment = [Segment {
                a: 0,
                b: 0,
                len: pixels,
            }];
            let operands = Operands::new(xs, dys, &segment, 1, c);
            // SAFETY: the caller's contract.
            unsafe { self.block(block, &mut piece, &wanted, accumulate, &operands) };
        }
    }

    /// The wanted tiles of one block of rows.
    ///
    /// # Safety
    /// As [`WeightProduct::run`].
    unsafe fn block(
        &self,
        block: &WeightBlock,
        piece: &mut usize,
        wanted: &Range<usize>,
        accumulate: bool,
        operands: &Operands<'_>,
    ) {
        let (conv, kernel, layout) = (self.conv, self.conv.kernel, self.conv.panels());
        for part in tiles(block.rows, kernel.rows) {
            *piece += 1;
            if !wanted.contains(&(*piece - 1)) {
                continue;
            }
            for index in 0..layout.count() {
                let (start, stride, real) = layout.panel(index);
                // SAFETY: the caller's contract.
                unsafe {
                    (kernel.tile)(&Tile {
                        a: operands.x.as_ptr().add(part.start),
                        a_row: 1,
                        a_k: operands.a_k,
                        b: operands.dy.as_ptr().add(index * layout.columns()),
                        b_k: conv.outputs,
                        segments: operands.segments,
                        repeat: operands.repeat,
                        a_step: conv.input_len(),
                        b_step: conv.output_len(),
                        c: self.dw.add(start + (block.row + part.start) * stride),
                        c_row: stride,
                        rows: part.len(),
                        cols: real,
                        accumulate,
                        bias: std::ptr::null(),
                        relu: false,
                    });
                }
            }
        }
    }
}

/// What a weight gradient's tiles read.
struct Operands<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    segments: &'a [Segment],
    repeat: usize,
    a_k: usize,
}

impl<'a> Operands<'a> {
    fn new(
        x: &'a [f32],
        dy: &'a [f32],
        segments: &'a [Segment],
        repeat: usize,
        a_k: usize,
    ) -> Self {
        Self {
            x,
            dy,
            segments,
            repeat,
            a_k,
        }
    }
}

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
        // SAFETY: the caller's contract.
        unsafe {
            match &self.back {
                Back::Scattered(scatter) => scatter.transpose_unit(unit, w, turned),
                Back::Taps(_) => self.transpose().run(unit, w, turned),
                Back::Mirrored(back) => {
                    let transpose = self.transpose();
                    transpose.run(unit, w, turned);
                    // This unit's rows of what was just written.
                    let prepared = turned.add(transpose.to().len());
                    back.prepare_channels(unit * PREPARED, turned, prepared);
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
        // SAFETY: the caller's contract.
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
