//! The gradient of the weights: sums over pixels, in register tiles of the weights' rows.

use super::{BLOCK_FLOATS, Conv, tiles};
use crate::nhwc::tile::{Segment, Tile};
use std::ops::Range;

/// Pixels over which a weight gradient is summed in registers: what they read stays in the first
/// cache.
const SUMMED: usize = 112;
/// Fewest channels with which a weight gradient is made tap by tap, without a padded copy.
const TAP_CHANNELS: usize = 7;

/// How the gradient of the weights reads its operands: for each block of rows of the weights, the
/// runs of pixels it sums over.
#[derive(Clone, Debug)]
pub(super) struct WeightWalk {
    pub(super) blocks: Vec<WeightBlock>,
    pub(super) read: WeightRead,
}

/// How a weight gradient reads its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WeightRead {
    /// Where they lie.
    InPlace,
    /// The input from a padded copy.
    Padded,
    /// Both from copies of the pixels that meet in a tap: runs in narrow maps are too short to be
    /// walked one by one.
    Collected,
}

#[derive(Clone, Debug)]
pub(super) struct WeightBlock {
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

impl Conv {
    pub(super) fn plan_weight(&self) -> WeightWalk {
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
            // SAFETY: the lengths above; room and blocks of `dw` are the caller's.
            return unsafe {
                winograd.weight_gradient(x, dy, dw, accumulate, images, scratch, blocks)
            };
        }
        let work = WeightProduct { conv: self, dw };
        // SAFETY: as above.
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
                // SAFETY: the run ends with the images; room and blocks of `dw` are the caller's.
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
                    // SAFETY: segments stay inside an image, and `count` images follow; `dw` is the
                    // caller's.
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
            // SAFETY: both copies hold `pixels` pixels; room and blocks of `dw` are the caller's.
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
                // SAFETY: a tile's rows are the block's, its columns the panel's, so it lies within
                // `dw`; what is read are the pixels of the segments.
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
