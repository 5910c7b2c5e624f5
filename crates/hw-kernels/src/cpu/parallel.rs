//! Work split so that the bits do not depend on the number of threads: what a part computes depends
//! on its index alone, and which thread takes a part changes nothing.

use rayon::prelude::*;

/// Elements per part of an elementwise loop: 64 KiB of floats.
pub(crate) const CHUNK: usize = 1 << 14;

/// Runs `work` on every chunk of [`CHUNK`] elements of `y` with the chunk's start; in parallel when
/// there is more than one.
pub(crate) fn for_each_chunk(y: &mut [f32], work: impl Fn(usize, &mut [f32]) + Sync) {
    for_each_row_block(y, 1, work);
}

/// Runs `work` on blocks of whole rows of `row` elements, about [`CHUNK`] elements each, with the
/// block's start.
pub(crate) fn for_each_row_block(
    y: &mut [f32],
    row: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    if y.len() <= CHUNK {
        return work(0, y);
    }
    let block = (CHUNK / row).max(1) * row;
    y.par_chunks_mut(block)
        .enumerate()
        .for_each(|(index, chunk)| work(index * block, chunk));
}
