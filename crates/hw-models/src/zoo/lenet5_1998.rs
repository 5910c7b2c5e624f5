//! LeNet-5 as LeCun, Bottou, Bengio & Haffner published it in 1998: 32x32 input, trainable
//! subsampling, a partly connected third layer, scaled tanh, and radial basis functions as output.

use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_core::Rng;
use hw_kernels::{Activation, Padding};

/// Length of the output code: a 7x12 picture of the character.
const CODE: usize = 84;

/// Table I of the paper: the maps of S2 that each of the 16 maps of C3 reads.
const C3: [&[usize]; 16] = [
    &[0, 1, 2],
    &[1, 2, 3],
    &[2, 3, 4],
    &[3, 4, 5],
    &[0, 4, 5],
    &[0, 1, 5],
    &[0, 1, 2, 3],
    &[1, 2, 3, 4],
    &[2, 3, 4, 5],
    &[0, 3, 4, 5],
    &[0, 1, 4, 5],
    &[0, 1, 2, 5],
    &[0, 1, 3, 4],
    &[1, 2, 4, 5],
    &[0, 2, 3, 5],
    &[0, 1, 2, 3, 4, 5],
];

/// C1 6@5x5, S2, C3 16@5x5 (partly connected), S4, C5 120@5x5, F6 84, RBF: 60,000 trainable
/// parameters, as the paper counts. Smaller images are zero-padded to 32x32.
///
/// The RBF centres are fixed, as in the paper: our own 7x12 drawings of the ten digits; for other
/// numbers of classes, random ±1 codes from a fixed seed.
pub fn spec(input: [usize; 3], classes: usize) -> ModelSpec {
    let [_, h, w] = input;
    let (rows, columns) = (32usize.saturating_sub(h), 32usize.saturating_sub(w));
    let padding = Padding {
        top: rows / 2,
        bottom: rows - rows / 2,
        left: columns / 2,
        right: columns - columns / 2,
    };
    let act = || Layer::activation(Activation::ScaledTanh);
    let c3 = Layer::Conv {
        out: 16,
        kernel: [5; 2],
        stride: [1; 2],
        padding: Border::Valid,
        bias: true,
        connections: Some(C3.iter().map(|maps| maps.to_vec()).collect()),
    };
    ModelSpec {
        name: "lenet5-1998".into(),
        input,
        classes,
        init: Initializer::LecunUniform,
        layers: vec![
            Layer::Pad { padding },
            Layer::conv(6, 5, Border::Valid),
            act(),
            Layer::Subsample { kernel: 2 },
            act(),
            c3,
            act(),
            Layer::Subsample { kernel: 2 },
            act(),
            Layer::conv(120, 5, Border::Valid),
            act(),
            Layer::Flatten,
            Layer::dense(CODE),
            act(),
            Layer::Rbf {
                centres: centres(classes),
            },
        ],
    }
}

fn centres(classes: usize) -> Vec<Vec<f32>> {
    if classes == DIGITS.len() {
        let cell = |c: char| if c == '#' { 1.0 } else { -1.0 };
        return DIGITS
            .iter()
            .map(|rows| rows.concat().chars().map(cell).collect())
            .collect();
    }
    let mut rng = Rng::stream(1998, "lenet5-1998/centres", classes as u64);
    let mut cell = || if rng.next_u64() >> 63 == 1 { 1.0 } else { -1.0 };
    (0..classes)
        .map(|_| (0..CODE).map(|_| cell()).collect())
        .collect()
}

/// The digits on a 7x12 grid.
const DIGITS: [[&str; 12]; 10] = [
    [
        "..###..", ".#...#.", "#.....#", "#.....#", "#.....#", "#.....#", "#.....#", "#.....#",
        "#.....#", "#.....#", ".#...#.", "..###..",
    ],
    [
        "...#...", "..##...", ".#.#...", "...#...", "...#...", "...#...", "...#...", "...#...",
        "...#...", "...#...", "...#...", ".#####.",
    ],
    [
        ".#####.", "#.....#", "......#", "......#", "......#", ".....#.", "....#..", "...#...",
        "..#....", ".#.....", "#......", "#######",
    ],
    [
        ".#####.", "#.....#", "......#", "......#", "......#", "..####.", "......#", "......#",
        "......#", "......#", "#.....#", ".#####.",
    ],
    [
        ".....#.", "....##.", "...#.#.", "..#..#.", ".#...#.", "#....#.", "#....#.", "#######",
        ".....#.", ".....#.", ".....#.", ".....#.",
    ],
    [
        "#######", "#......", "#......", "#......", "######.", "......#", "......#", "......#",
        "......#", "......#", "#.....#", ".#####.",
    ],
    [
        "..####.", ".#.....", "#......", "#......", "#......", "######.", "#.....#", "#.....#",
        "#.....#", "#.....#", "#.....#", ".#####.",
    ],
    [
        "#######", "......#", "......#", ".....#.", ".....#.", "....#..", "....#..", "...#...",
        "...#...", "..#....", "..#....", "..#....",
    ],
    [
        ".#####.", "#.....#", "#.....#", "#.....#", "#.....#", ".#####.", "#.....#", "#.....#",
        "#.....#", "#.....#", "#.....#", ".#####.",
    ],
    [
        ".#####.", "#.....#", "#.....#", "#.....#", "#.....#", ".######", "......#", "......#",
        "......#", "......#", ".....#.", ".####..",
    ],
];
