//! Work split so that the bits do not depend on the number of threads: what a part computes depends
//! on its index alone, and which thread takes a part changes nothing.

use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Elements per part of an elementwise loop: 64 KiB of floats.
pub const CHUNK: usize = 1 << 14;

/// Parts into which a sum over a batch is split; the partial sums are added in order.
pub const GROUPS: usize = 16;

/// The items of part `index` when `items` are split into `parts` nearly equal runs.
pub fn part(items: usize, parts: usize, index: usize) -> Range<usize> {
    items * index / parts..items * (index + 1) / parts
}

/// Runs `work` on every chunk of [`CHUNK`] elements of `y` with the chunk's start; in parallel when
/// there is more than one.
pub fn for_each_chunk(y: &mut [f32], work: impl Fn(usize, &mut [f32]) + Sync) {
    if y.len() <= CHUNK {
        return work(0, y);
    }
    y.par_chunks_mut(CHUNK)
        .enumerate()
        .for_each(|(index, chunk)| work(index * CHUNK, chunk));
}

/// Runs `work` on blocks of whole rows of `row` elements, about [`CHUNK`] elements each, with the
/// block's start.
pub fn for_each_row_block(y: &mut [f32], row: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    if y.len() <= CHUNK {
        return work(0, y);
    }
    let block = (CHUNK / row).max(1) * row;
    y.par_chunks_mut(block)
        .enumerate()
        .for_each(|(index, chunk)| work(index * block, chunk));
}

/// Runs `work(part, scratch)` once for every part in `0..parts`. One thread works per piece of
/// `scratch_len` floats in `scratch`, taking the next part whenever it is free.
///
/// # Panics
/// When `scratch` is shorter than one piece.
pub fn for_each_part(
    parts: usize,
    scratch: &mut [f32],
    scratch_len: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    assert!(scratch.len() >= scratch_len, "scratch is too short");
    let next = AtomicUsize::new(0);
    let worker = |scratch: &mut [f32]| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= parts {
                return;
            }
            work(index, scratch);
        }
    };
    let workers = match scratch_len {
        0 => 1,
        len => (scratch.len() / len).min(parts),
    };
    if workers <= 1 {
        return worker(&mut scratch[..scratch_len]);
    }
    scratch[..workers * scratch_len]
        .par_chunks_mut(scratch_len)
        .for_each(worker);
}

/// How many pieces of scratch are worth having: one per thread, at most one per part.
pub fn workers(parts: usize) -> usize {
    rayon::current_num_threads().min(parts).max(1)
}

/// A mutable slice whose disjoint ranges may be written by several threads at once.
pub(crate) struct Disjoint<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: access goes through `range`, whose contract forbids overlap between threads.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            slice: PhantomData,
        }
    }

    /// The elements of `range`.
    ///
    /// # Safety
    /// While the result lives, no other range that overlaps it may be asked for.
    #[allow(clippy::mut_from_ref)] // that is the purpose; the contract above makes it sound
    pub(crate) unsafe fn range(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: in bounds by the assertion, exclusive by the caller's promise, and `'a` outlives
        // `self`.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn the_parts_cover_every_item_once(items in 0usize..1000, parts in 1usize..40) {
            let all: Vec<usize> = (0..parts).flat_map(|i| part(items, parts, i)).collect();
            prop_assert_eq!(all, (0..items).collect::<Vec<_>>());
        }

        #[test]
        fn every_part_runs_once_whatever_the_scratch(parts in 0usize..50, pieces in 1usize..6) {
            let counts: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
            for_each_part(parts, &mut vec![0.0; 3 * pieces], 3, |index, scratch| {
                assert_eq!(scratch.len(), 3);
                counts[index].fetch_add(1, Ordering::Relaxed);
            });
            let counts: Vec<usize> = counts.into_iter().map(AtomicUsize::into_inner).collect();
            prop_assert_eq!(counts, vec![1; parts]);
        }
    }
}
