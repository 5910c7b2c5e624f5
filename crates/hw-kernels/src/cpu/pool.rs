//! Maximum and average pooling.

use crate::geometry::Windows;

/// How many real (not padding) cells each window holds, row-major over the output map.
pub fn cells_per_window(g: &Windows) -> Vec<usize> {
    let inside = |start: usize, before: usize, kernel: usize, input: usize| {
        (start + kernel).min(input + before) - start.max(before)
    };
    let mut cells = Vec::with_capacity(g.output_size());
    for row in 0..g.output[0] {
        let rows = inside(row * g.stride[0], g.padding.top, g.kernel[0], g.input[0]);
        for column in 0..g.output[1] {
            let start = column * g.stride[1];
            cells.push(rows * inside(start, g.padding.left, g.kernel[1], g.input[1]));
        }
    }
    cells
}
