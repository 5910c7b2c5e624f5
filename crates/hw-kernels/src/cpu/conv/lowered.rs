//! Convolution with any stride as a matrix product: the windows of one image laid out as columns
//! ("im2col", Chellapilla et al. 2006), and the way back.

use crate::geometry::Windows;

/// Lays `image [channels, h, w]` out as `columns [channels * kh * kw, oh * ow]`; padding is 0.
pub(super) fn lower(image: &[f32], columns: &mut [f32], g: &Windows) {
    let [kh, kw] = g.kernel;
    let width = g.output[1];
    for (row, line) in columns.chunks_exact_mut(g.output_size()).enumerate() {
        let (channel, i, j) = (row / (kh * kw), row / kw % kh, row % kw);
        let map = &image[channel * g.input_size()..][..g.input_size()];
        let (down, top) = g.real(0, i);
        let (across, left) = g.real(1, j);
        line[..down.start * width].fill(0.0);
        line[down.end * width..].fill(0.0);
        for (step, y) in down.enumerate() {
            let from = &map[(top + step * g.stride[0]) * g.input[1]..][..g.input[1]];
            let to = &mut line[y * width..(y + 1) * width];
            to[..across.start].fill(0.0);
            to[across.end..].fill(0.0);
            for (x, to) in to[across.clone()].iter_mut().enumerate() {
                *to = from[left + x * g.stride[1]];
            }
        }
    }
}

/// Adds `columns`, laid out as by [`lower`], back into `image`: the transpose of that map.
pub(super) fn raise(columns: &[f32], image: &mut [f32], g: &Windows) {
    let [kh, kw] = g.kernel;
    let width = g.output[1];
    for (row, line) in columns.chunks_exact(g.output_size()).enumerate() {
        let (channel, i, j) = (row / (kh * kw), row / kw % kh, row % kw);
        let map = &mut image[channel * g.input_size()..][..g.input_size()];
        let (down, top) = g.real(0, i);
        let (across, left) = g.real(1, j);
        for (step, y) in down.enumerate() {
            let to = &mut map[(top + step * g.stride[0]) * g.input[1]..][..g.input[1]];
            let from = &line[y * width..(y + 1) * width];
            for (x, from) in from[across.clone()].iter().enumerate() {
                to[left + x * g.stride[1]] += from;
            }
        }
    }
}
