//! One pass over a network's weights and the numbers kept for each: what optimizers and averages of
//! weights have in common.

use crate::cpu::parallel::CHUNK;
use crate::cpu::simd::vectorised;
use rayon::prelude::*;

/// Runs `step(w, states, g)` on pieces of all slices, in parallel for large ones. Where each element of
/// the result depends on the elements of its place alone, the bits are the same for any number of
/// threads.
///
/// # Panics
/// When the lengths differ.
pub fn pieces<const N: usize>(
    w: &mut [f32],
    states: [&mut [f32]; N],
    g: &[f32],
    step: impl Fn(&mut [f32], [&mut [f32]; N], &[f32]) + Sync,
) {
    assert!(states.iter().all(|state| state.len() == w.len()) && g.len() == w.len());
    if w.len() <= CHUNK {
        return step(w, states, g);
    }
    let mut states = states.map(|state| state.chunks_mut(CHUNK));
    let pieces: Vec<_> = w
        .chunks_mut(CHUNK)
        .zip(g.chunks(CHUNK))
        .map(|(w, g)| {
            let states = states
                .each_mut()
                .map(|state| state.next().unwrap_or_default());
            (w, states, g)
        })
        .collect();
    pieces
        .into_par_iter()
        .for_each(|(w, states, g)| step(w, states, g));
}

/// Moving average of weights: `average += share (w - average)`.
///
/// # Panics
/// When the lengths differ.
pub fn average(average: &mut [f32], w: &[f32], share: f32) {
    pieces(average, [], w, |average, [], w| {
        average_piece(average, w, share)
    });
}

vectorised! {
    fn average_piece(average: &mut [f32], w: &[f32], share: f32) {
        for (average, w) in average.iter_mut().zip(w) {
            *average += share * (w - *average);
        }
    }
}
