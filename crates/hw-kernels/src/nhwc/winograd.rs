//! 3 x 3 convolutions with 16 products where the definition has 36: Winograd's minimal filtering
//! `F(2x2, 3x3)` (Lavin & Gray 2016, "Fast algorithms for convolutional neural networks").
//!
//! A tile of 2 x 2 outputs sees 4 x 4 inputs `d`. With the kernel `g`,
//! `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`, where `A`, `B` and `G` hold 0, 1, -1 and 1/2 only, so that what is
//! lost to rounding is about what the definition loses. The sum over channels makes each of the 16 places
//! of `⊙` a matrix product over all tiles. The gradient of the weights is the transpose,
//! `dg = Gᵀ [(Bᵀ d B) ⊙ (A dY Aᵀ)] G`, that of the input the same convolution with the mirrored kernel.

use super::conv::{Conv, Finish};
use super::panels::Panels;
use super::transform::{Map, PLACES, Places, Transforms};
use crate::geometry::Windows;
use std::ops::Range;

/// Floats handled at a time: channels and outputs are multiples of it.
const LANES: usize = 16;
/// Fewest channels and outputs with which the products outweigh the transforms.
const FEWEST: usize = 32;
/// How many times fewer products there must be.
const GAIN: f64 = 1.3;
/// Floats of transformed tiles that should stay in the second-level cache, and the tiles that are
/// transformed together at least and at most.
const BLOCK_FLOATS: usize = 1 << 18;
const TILES: (usize, usize) = (56, 168);
/// Floats between the end of one place's tiles and the next place: a power of two between places would
/// have all sixteen fight for the same lines of the first-level cache.
const APART: usize = LANES;
/// Tiles of one image from which on it is worth reading the transformed weights for it alone.
const ALONE: usize = 49;
/// Channels whose weight gradient is summed together.
const SLICE: usize = 32;

/// A convolution's tiles.
#[derive(Clone, Debug)]
pub(super) struct Winograd {
    channels: usize,
    outputs: usize,
    windows: Windows,
    /// Tiles down and across.
    tiles: [usize; 2],
    /// Tiles transformed together.
    together: usize,
    /// The product at one place.
    product: Conv,
    /// The product at one place of a weight gradient, for [`SLICE`] channels.
    slice: Conv,
    transforms: Transforms,
}

impl Winograd {
    /// For a convolution of `channels` maps into `outputs` maps, if it saves enough.
    pub(super) fn new(
        channels: usize,
        outputs: usize,
        windows: Windows,
        products: f64,
    ) -> Option<Self> {
        let w = &windows;
        let fits = w.kernel == [3, 3]
            && w.stride == [1, 1]
            && channels.is_multiple_of(SLICE)
            && outputs.is_multiple_of(LANES)
            && channels.min(outputs) >= FEWEST;
        let tiles = w.output.map(|size| size.div_ceil(2));
        let ours = (PLACES * tiles[0] * tiles[1]) as f64;
        if !fits || products < GAIN * ours {
            return None;
        }
        let floats = PLACES * (channels + outputs);
        Some(Self {
            channels,
            outputs,
            windows,
            tiles,
            together: (BLOCK_FLOATS / floats).clamp(TILES.0, TILES.1),
            product: Conv::dense(channels, outputs),
            slice: Conv::dense(SLICE, outputs),
            transforms: Transforms::best(),
        })
    }

    fn per_image(&self) -> usize {
        self.tiles[0] * self.tiles[1]
    }

    /// Images that fill two blocks of tiles.
    pub(super) fn images(&self) -> usize {
        (2 * TILES.0).div_ceil(self.per_image())
    }

    /// Floats of all transformed weights.
    pub(super) fn prepared_len(&self) -> usize {
        PLACES * self.product.panels().len()
    }

    /// Transforms the weights of some channels: `w` holds `[(tap, channel), output]`.
    ///
    /// # Safety
    /// `w` has the weights of these channels and `to` room for [`Winograd::prepared_len`]; no other
    /// thread works on the same channels.
    pub(super) unsafe fn prepare(&self, channels: Range<usize>, w: *const f32, to: *mut f32) {
        let from = Panels::new(9 * self.channels, self.outputs);
        let places = self.product.panels();
        let lanes = self.transforms.lanes;
        for channel in channels {
            for output in (0..self.outputs).step_by(lanes) {
                let tap = |t: usize| from.at(t * self.channels + channel, output);
                // SAFETY: weights and room are there, as the caller promised; lanes of outputs lie
                // side by side in a panel.
                unsafe {
                    let to = to.add(places.at(channel, output));
                    (self.transforms.kernel)(w, std::array::from_fn(tap), to, places.len());
                }
            }
        }
    }

    /// Height and floats of a row of the padded copy of an image.
    fn padded(&self) -> (usize, usize) {
        let size = |tiles: usize| 2 * tiles + 2;
        (size(self.tiles[0]), size(self.tiles[1]) * self.channels)
    }

    /// Floats of scratch that [`Winograd::forward`] needs.
    pub(super) fn forward_scratch(&self) -> usize {
        let (rows, pitch) = self.padded();
        rows * pitch + self.places_len(self.channels) + self.places_len(self.outputs)
    }

    /// Floats of all places of a block of tiles.
    fn places_len(&self, width: usize) -> usize {
        PLACES * (self.together * width + APART)
    }

    /// Cuts tiles, counted through all images, into blocks; each is a list of images and of their tiles.
    fn blocks(&self, tiles: Range<usize>) -> impl Iterator<Item = Vec<(usize, Range<usize>)>> {
        let (per_image, start, all) = (self.per_image(), tiles.start, tiles.len());
        let count = all.div_ceil(self.together);
        (0..count).map(move |block| {
            let cut = |block: usize| start + all * block / count;
            let (mut first, end) = (cut(block), cut(block + 1));
            let mut parts = Vec::new();
            while first < end {
                let image = first / per_image;
                let last = end.min((image + 1) * per_image);
                parts.push((image, first - image * per_image..last - image * per_image));
                first = last;
            }
            parts
        })
    }

    /// Whether one image has tiles enough to be worth reading the weights.
    pub(super) fn suits_one_image(&self) -> bool {
        self.per_image() >= ALONE
    }

    /// Tiles of an image above each other.
    pub(super) fn rows(&self) -> usize {
        self.tiles[0]
    }

    /// As [`Conv::forward_units`], with weights that were [`Winograd::prepare`]d.
    ///
    /// # Safety
    /// `y` has room for the images and is this thread's; the slices are long enough.
    pub(super) unsafe fn forward(
        &self,
        x: &[f32],
        prepared: &[f32],
        finish: Finish<'_>,
        y: *mut f32,
        images: usize,
        scratch: &mut [f32],
    ) {
        // SAFETY: all rows of tiles of the images, whose outputs are the caller's.
        unsafe { self.forward_rows(x, prepared, finish, y, 0..images * self.rows(), scratch) };
    }

    /// As [`Winograd::forward`] for some rows of tiles, counted through all images. Which rows go
    /// together changes no bit.
    ///
    /// # Safety
    /// As there, for the outputs of these rows.
    pub(super) unsafe fn forward_rows(
        &self,
        x: &[f32],
        prepared: &[f32],
        finish: Finish<'_>,
        y: *mut f32,
        wanted: Range<usize>,
        scratch: &mut [f32],
    ) {
        let across = self.tiles[1];
        let wanted = wanted.start * across..wanted.end * across;
        let (c, o) = (self.channels, self.outputs);
        let (rows, pitch) = self.padded();
        let (padded, rest) = scratch.split_at_mut(rows * pitch);
        let (v, m) = rest.split_at_mut(self.places_len(c));
        let weights = self.product.panels().len();
        let (from, to) = (
            self.windows.input_size() * c,
            self.windows.output_size() * o,
        );
        for block in self.blocks(wanted) {
            let count: usize = block.iter().map(|(_, tiles)| tiles.len()).sum();
            let mut done = 0;
            for (image, tiles) in block.iter().cloned() {
                let len = tiles.len();
                let image = &x[image * from..][..from];
                self.pad(image, 0..c, &tiles, padded);
                let seen = Map {
                    floats: padded.as_ptr().cast_mut(),
                    size: [rows, pitch / c],
                    channels: c,
                };
                let places = Places {
                    floats: v[done * c..].as_mut_ptr(),
                    step: count * c + APART,
                };
                // SAFETY: the padded copy has all pixels that the tiles see, each place room for
                // the block's tiles.
                unsafe { (self.transforms.input)(seen, self.tiles[1], tiles, places) };
                done += len;
            }
            for place in 0..PLACES {
                let v = &v[place * (count * c + APART)..][..count * c];
                let m = &mut m[place * (count * o + APART)..][..count * o];
                let w = &prepared[place * weights..];
                self.product
                    .forward(v, w, Finish::default(), m, count, &mut []);
            }
            let mut done = 0;
            for (image, tiles) in block {
                let len = tiles.len();
                // SAFETY: the outputs of these tiles are this thread's; each place has the block's
                // tiles.
                unsafe {
                    let made = Map {
                        floats: y.add(image * to),
                        size: self.windows.output,
                        channels: o,
                    };
                    let places = Places {
                        floats: m[done * o..].as_mut_ptr(),
                        step: count * o + APART,
                    };
                    (self.transforms.output)(places, self.tiles[1], tiles, finish, made);
                }
                done += len;
            }
        }
    }

    /// Copies the rows of an image that some tiles see, `channels` of it, with zeros around.
    fn pad(&self, image: &[f32], channels: Range<usize>, tiles: &Range<usize>, padded: &mut [f32]) {
        let ([height, width], pad, c) = (self.windows.input, self.windows.padding, channels.len());
        let across = self.tiles[1];
        let pitch = (2 * across + 2) * c;
        let rows = tiles.start / across * 2..(tiles.end - 1) / across * 2 + 4;
        let (left, inside) = (pad.left * c, width.min(2 * across + 2 - pad.left) * c);
        for y in rows {
            let to = &mut padded[y * pitch..][..pitch];
            let Some(from) = y.checked_sub(pad.top).filter(|&y| y < height) else {
                to.fill(0.0);
                continue;
            };
            to[..left].fill(0.0);
            to[left + inside..].fill(0.0);
            let from = &image[from * width * self.channels..][..width * self.channels];
            let to = &mut to[left..left + inside];
            if c == self.channels {
                to.copy_from_slice(&from[..inside]);
                continue;
            }
            let pixels = from.chunks_exact(self.channels);
            for (to, pixel) in to.chunks_exact_mut(c).zip(pixels) {
                to.copy_from_slice(&pixel[channels.clone()]);
            }
        }
    }

    /// Pieces into which a weight gradient can be cut.
    pub(super) fn weight_blocks(&self) -> usize {
        self.channels / SLICE
    }

    /// Floats of scratch that [`Winograd::weight_gradient`] needs.
    pub(super) fn weight_scratch(&self) -> usize {
        let (rows, pitch) = self.padded();
        let padded = rows * pitch / self.channels * SLICE;
        let tiles = self.places_len(SLICE) + self.places_len(self.outputs);
        padded + tiles + PLACES * self.slice.panels().len()
    }

    /// As [`Conv::weight_gradient`].
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn weight_gradient(
        &self,
        x: &[f32],
        dy: &[f32],
        dw: *mut f32,
        accumulate: bool,
        images: usize,
        scratch: &mut [f32],
        blocks: Range<usize>,
    ) {
        let (c, o) = (SLICE, self.outputs);
        let (rows, pitch) = self.padded();
        let pitch = pitch / self.channels * c;
        let (padded, rest) = scratch.split_at_mut(rows * pitch);
        let (v, rest) = rest.split_at_mut(self.places_len(c));
        let (m, du) = rest.split_at_mut(self.places_len(o));
        let panels = self.slice.panels();
        let whole = 0..self.slice.weight_blocks();
        let (from, to) = (
            self.windows.input_size() * self.channels,
            self.windows.output_size() * o,
        );
        for slice in blocks {
            let channels = slice * c..(slice + 1) * c;
            for (index, block) in self.blocks(0..images * self.per_image()).enumerate() {
                let count: usize = block.iter().map(|(_, tiles)| tiles.len()).sum();
                let mut done = 0;
                for (image, tiles) in block {
                    let len = tiles.len();
                    self.pad(&x[image * from..][..from], channels.clone(), &tiles, padded);
                    let seen = Map {
                        floats: padded.as_ptr().cast_mut(),
                        size: [rows, pitch / c],
                        channels: c,
                    };
                    let given = Map {
                        floats: dy[image * to..][..to].as_ptr().cast_mut(),
                        size: self.windows.output,
                        channels: o,
                    };
                    let (v, m) = (v[done * c..].as_mut_ptr(), m[done * o..].as_mut_ptr());
                    let places = |floats, width| Places {
                        floats,
                        step: count * width + APART,
                    };
                    // SAFETY: the padded copy has all pixels that the tiles see, each place room
                    // for the block's tiles.
                    unsafe {
                        let across = self.tiles[1];
                        (self.transforms.input)(seen, across, tiles.clone(), places(v, c));
                        (self.transforms.gradient)(given, across, tiles, places(m, o));
                    }
                    done += len;
                }
                for place in 0..PLACES {
                    let v = &v[place * (count * c + APART)..][..count * c];
                    let m = &m[place * (count * o + APART)..][..count * o];
                    let sums = &mut du[place * panels.len()..][..panels.len()];
                    let (sums, all) = (sums.as_mut_ptr(), whole.clone());
                    // SAFETY: the sums are this thread's and have room for the panels.
                    unsafe {
                        self.slice
                            .weight_gradient(v, m, sums, index > 0, count, &mut [], all);
                    }
                }
            }
            let weights = Panels::new(9 * self.channels, o);
            for (row, channel) in channels.enumerate() {
                for output in (0..o).step_by(self.transforms.lanes) {
                    let sums = &mut du[panels.at(row, output)..];
                    let sums = Places {
                        floats: sums.as_mut_ptr(),
                        step: panels.len(),
                    };
                    let tap = |t: usize| weights.at(t * self.channels + channel, output);
                    let taps = std::array::from_fn(tap);
                    // SAFETY: the weights of these channels are this thread's, and their sums are
                    // all there.
                    unsafe { (self.transforms.weight)(sums, dw, taps, accumulate) };
                }
            }
        }
    }
}
