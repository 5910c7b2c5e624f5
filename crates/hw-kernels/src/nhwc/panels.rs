//! How weights lie in memory: panels of columns, as the micro-kernel reads them.
//!
//! A matrix `B[k, n]` is cut into panels of [`Panels::columns`] columns (the last rounded up to whole
//! registers and filled with zeros); in a panel, row follows row. A weight update is elementwise, so
//! weights live in this layout from the first step to the last.

use super::tile::Kernel;

/// The layout of a matrix of `depth` rows and `width` columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panels {
    /// Rows: the products an output is summed over.
    pub depth: usize,
    /// Columns: outputs.
    pub width: usize,
    lanes: usize,
}

impl Panels {
    /// The layout for the best instruction set of this machine.
    pub fn new(depth: usize, width: usize) -> Self {
        Self {
            depth,
            width,
            lanes: Kernel::best().lanes,
        }
    }

    /// Columns of all panels but the last.
    pub(super) fn columns(&self) -> usize {
        2 * self.lanes
    }

    /// Floats in memory, zeros included.
    pub fn len(&self) -> usize {
        self.depth * self.width.next_multiple_of(self.lanes)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of panels.
    pub(super) fn count(&self) -> usize {
        self.width.div_ceil(self.columns())
    }

    /// Where panel `index` starts, its row length, and how many of its columns exist.
    pub(super) fn panel(&self, index: usize) -> (usize, usize, usize) {
        let first = index * self.columns();
        let real = (self.width - first).min(self.columns());
        (first * self.depth, real.next_multiple_of(self.lanes), real)
    }

    /// Where element `(row, column)` is.
    pub fn at(&self, row: usize, column: usize) -> usize {
        let (start, stride, _) = self.panel(column / self.columns());
        start + row * stride + column % self.columns()
    }

    /// Fills `packed` from `value(row, column)`.
    pub fn fill(&self, packed: &mut [f32], mut value: impl FnMut(usize, usize) -> f32) {
        packed[..self.len()].fill(0.0);
        for row in 0..self.depth {
            for column in 0..self.width {
                packed[self.at(row, column)] = value(row, column);
            }
        }
    }
}

/// Side of the blocks in which a matrix is transposed.
pub(super) const BLOCK: usize = 16;

/// Transposes one convolution's weights for the gradient of its input. `from` holds
/// `[(tap, channel), output]`; `to` becomes `[(tap, output), channel]`, with the taps in the opposite
/// order if `mirrored`.
pub(super) struct Transpose {
    pub(super) taps: usize,
    pub(super) channels: usize,
    pub(super) outputs: usize,
    pub(super) mirrored: bool,
}

impl Transpose {
    pub(super) fn from(&self) -> Panels {
        Panels::new(self.taps * self.channels, self.outputs)
    }

    pub(super) fn to(&self) -> Panels {
        Panels::new(self.taps * self.outputs, self.channels)
    }

    /// Units of work: blocks of outputs.
    pub(super) fn units(&self) -> usize {
        self.outputs.div_ceil(BLOCK)
    }

    /// Writes the part of `to` that comes from block `unit` of outputs.
    ///
    /// # Safety
    /// `to` has room for [`Transpose::to`]; no two threads work on the same unit.
    pub(super) unsafe fn run(&self, unit: usize, source: &[f32], target: *mut f32) {
        let (from, to) = (self.from(), self.to());
        let outputs = unit * BLOCK..self.outputs.min((unit + 1) * BLOCK);
        for tap in 0..self.taps {
            for first in (0..self.channels).step_by(BLOCK) {
                let channels = first..self.channels.min(first + BLOCK);
                let (row, column) = (tap * self.channels + first, outputs.start);
                let to_tap = if self.mirrored {
                    self.taps - 1 - tap
                } else {
                    tap
                };
                let place = |output| to.at(to_tap * self.outputs + output, first);
                let whole = outputs.len() == BLOCK && channels.len() == BLOCK;
                // A whole block's columns lie side by side in one panel.
                if whole && from.lanes == BLOCK {
                    let (_, stride, _) = from.panel(column / from.columns());
                    let block = &source[from.at(row, column)..];
                    let step = place(outputs.start + 1) - place(outputs.start);
                    // SAFETY: the block's rows lie within `to`, and belong to this unit.
                    unsafe { block_16(block, stride, target.add(place(outputs.start)), step) };
                    continue;
                }
                for output in outputs.clone() {
                    for channel in channels.clone() {
                        let at = to.at(to_tap * self.outputs + output, channel);
                        let value = source[from.at(tap * self.channels + channel, output)];
                        // SAFETY: an element of `to` that belongs to this unit.
                        unsafe { *target.add(at) = value };
                    }
                }
            }
        }
    }
}

/// Transposes 16 x 16 elements.
///
/// # Safety
/// 16 rows of 16 floats, `step` apart, may be written at `to`.
unsafe fn block_16(from: &[f32], stride: usize, to: *mut f32, step: usize) {
    let mut block = [[0.0f32; BLOCK]; BLOCK];
    for (i, row) in block.iter_mut().enumerate() {
        row.copy_from_slice(&from[i * stride..i * stride + BLOCK]);
    }
    for j in 0..BLOCK {
        let column: [f32; BLOCK] = std::array::from_fn(|i| block[i][j]);
        // SAFETY: 16 rows of 16 floats are writable, as the caller promised, and a column has 16.
        unsafe {
            to.add(j * step)
                .cast::<[f32; BLOCK]>()
                .write_unaligned(column)
        };
    }
}
