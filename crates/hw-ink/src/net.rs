//! A small convolutional network's forward pass, and why it answered: plain loops that compile to
//! vector instructions natively and in WebAssembly, and give the same bits on both.
//!
//! Maps lie channel-last, `[row][column][channel]`, and weights `[input][output]`, so that the
//! innermost loop adds a multiple of one row of weights to the outputs. Inputs that are zero (paper;
//! half of what a ReLU leaves) cost nothing. Sums are taken in one order everywhere.

use crate::InkError;

/// Side of the images a network takes.
pub const SIDE: usize = 28;
/// Pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;

/// One layer; batch normalisation is folded into the layer before it.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Cross-correlation with stride 1.
    Conv {
        /// Number of filters.
        out: usize,
        /// Side of the square window.
        kernel: usize,
        /// Rows and columns of zeros on each side.
        pad: usize,
        /// `[kernel row][kernel column][channel][filter]`.
        weight: Vec<f32>,
        /// `[filter]`.
        bias: Vec<f32>,
    },
    /// max(x, 0).
    Relu,
    /// Maximum over 2x2 windows; an odd last row or column is left out.
    MaxPool,
    /// Affine, on all maps flattened.
    Dense {
        /// `[input][output]`, inputs in the order `[row][column][channel]`.
        weight: Vec<f32>,
        /// `[output]`.
        bias: Vec<f32>,
    },
}

/// Height, width, channels.
type Shape = [usize; 3];

/// A network for 28x28 grey images whose layers fit each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Net {
    layers: Vec<Layer>,
    /// The input's shape of each layer, and the output's of the last.
    shapes: Vec<Shape>,
}

impl Net {
    /// Checks that the layers fit each other, from a 28x28 image to `classes` logits.
    ///
    /// # Errors
    /// [`InkError::Model`] naming the layer that does not fit.
    pub fn new(layers: Vec<Layer>, classes: usize) -> Result<Self, InkError> {
        let mut shapes: Vec<Shape> = vec![[SIDE, SIDE, 1]];
        for (index, layer) in layers.iter().enumerate() {
            let input = shapes[index];
            let output = layer.output(input).ok_or_else(|| {
                InkError::Model(format!("layer {index} does not fit maps of {input:?}"))
            })?;
            shapes.push(output);
        }
        match shapes.last() {
            Some(&[1, 1, found]) if found == classes && classes > 0 => Ok(Self { layers, shapes }),
            last => Err(InkError::Model(format!(
                "the last layer gives {last:?}, not {classes} logits"
            ))),
        }
    }

    /// The layers, from image to logits.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Number of logits.
    pub fn classes(&self) -> usize {
        self.shapes.last().map_or(0, |shape| shape[2])
    }

    /// Numbers that were trained, biases included.
    pub fn parameters(&self) -> usize {
        let size = |layer: &Layer| match layer {
            Layer::Conv { weight, bias, .. } | Layer::Dense { weight, bias } => {
                weight.len() + bias.len()
            }
            Layer::Relu | Layer::MaxPool => 0,
        };
        self.layers.iter().map(size).sum()
    }

    /// One logit a class for an image of bytes, ink bright, row by row.
    ///
    /// # Errors
    /// [`InkError::Image`] when it is not 28x28.
    pub fn logits(&self, image: &[u8]) -> Result<Vec<f32>, InkError> {
        let mut values = input(image)?;
        for (layer, &shape) in self.layers.iter().zip(&self.shapes) {
            values = layer.forward(values, shape);
        }
        Ok(values)
    }

    /// How each pixel spoke for `class`: the gradient of its logit (less the mean of all logits,
    /// which no softmax sees) times the pixel's own brightness (Simonyan, Vedaldi & Zisserman 2013;
    /// Shrikumar, Greenside & Kundaje 2017). Positive is for, negative against; paper is zero.
    ///
    /// # Errors
    /// [`InkError::Image`] when the image is not 28x28 or there is no such class.
    pub fn saliency(&self, image: &[u8], class: usize) -> Result<Vec<f32>, InkError> {
        let pixels = input(image)?;
        let gradient = self.input_gradient(&pixels, class)?;
        Ok(gradient.iter().zip(&pixels).map(|(g, x)| g * x).collect())
    }

    /// Gradient of (logit `class` - mean of all logits) by the pixels.
    fn input_gradient(&self, pixels: &[f32], class: usize) -> Result<Vec<f32>, InkError> {
        let classes = self.classes();
        if class >= classes {
            return Err(InkError::Image(format!("there is no class {class}")));
        }
        let mut inputs = vec![pixels.to_vec()];
        for (index, (layer, &shape)) in self.layers.iter().zip(&self.shapes).enumerate() {
            inputs.push(layer.forward(inputs[index].clone(), shape));
        }
        let mut gradient = vec![-1.0 / classes as f32; classes];
        gradient[class] += 1.0;
        for (index, layer) in self.layers.iter().enumerate().rev() {
            gradient = layer.backward(&gradient, &inputs[index], self.shapes[index]);
        }
        Ok(gradient)
    }
}

fn input(image: &[u8]) -> Result<Vec<f32>, InkError> {
    if image.len() != PIXELS {
        let problem = format!("{} bytes are no {SIDE}x{SIDE} image", image.len());
        return Err(InkError::Image(problem));
    }
    Ok(image.iter().map(|&byte| f32::from(byte) / 255.0).collect())
}

impl Layer {
    /// The shape this layer makes of `input`; `None` when it does not fit.
    fn output(&self, input: Shape) -> Option<Shape> {
        let [height, width, channels] = input;
        match self {
            Self::Conv {
                out,
                kernel,
                pad,
                weight,
                bias,
            } => {
                let side = |size: usize| (size + 2 * pad + 1).checked_sub(*kernel);
                let fits = weight.len() == kernel * kernel * channels * out
                    && bias.len() == *out
                    && *kernel > *pad;
                let output = [side(height)?, side(width)?, *out];
                (fits && !output.contains(&0)).then_some(output)
            }
            Self::Relu => Some(input),
            Self::MaxPool => (height > 1 && width > 1).then_some([height / 2, width / 2, channels]),
            Self::Dense { weight, bias } => {
                let inputs = height * width * channels;
                let fits = !bias.is_empty() && weight.len() == inputs * bias.len();
                fits.then_some([1, 1, bias.len()])
            }
        }
    }

    fn forward(&self, mut x: Vec<f32>, shape: Shape) -> Vec<f32> {
        match self {
            Self::Conv {
                kernel,
                pad,
                weight,
                bias,
                ..
            } => Windows::new(shape, *kernel, *pad).convolve(&x, weight, bias),
            Self::Relu => {
                x.iter_mut().for_each(|value| *value = value.max(0.0));
                x
            }
            Self::MaxPool => {
                let winners = winners(&x, shape);
                winners.into_iter().map(|index| x[index]).collect()
            }
            Self::Dense { weight, bias } => {
                let mut out = bias.clone();
                add_rows(&mut out, &x, weight);
                out
            }
        }
    }

    /// The loss's gradient by the input, given that by the output.
    fn backward(&self, gradient: &[f32], x: &[f32], shape: Shape) -> Vec<f32> {
        match self {
            Self::Conv {
                kernel,
                pad,
                weight,
                ..
            } => Windows::new(shape, *kernel, *pad).spread(gradient, weight),
            Self::Relu => {
                let open = |(g, x): (&f32, &f32)| if *x > 0.0 { *g } else { 0.0 };
                gradient.iter().zip(x).map(open).collect()
            }
            Self::MaxPool => {
                let mut back = vec![0.0; x.len()];
                for (index, g) in winners(x, shape).into_iter().zip(gradient) {
                    back[index] += g;
                }
                back
            }
            Self::Dense { weight, .. } => {
                let mut back = vec![0.0; x.len()];
                add_dots(&mut back, gradient, weight);
                back
            }
        }
    }
}

/// Where each 2x2 window's maximum lies; the first of equals.
fn winners(x: &[f32], [height, width, channels]: Shape) -> Vec<usize> {
    let mut winners = Vec::with_capacity((height / 2) * (width / 2) * channels);
    for row in 0..height / 2 {
        for column in 0..width / 2 {
            for channel in 0..channels {
                let at = |y: usize, z: usize| {
                    ((2 * row + y) * width + 2 * column + z) * channels + channel
                };
                let mut best = at(0, 0);
                for index in [at(0, 1), at(1, 0), at(1, 1)] {
                    if x[index] > x[best] {
                        best = index;
                    }
                }
                winners.push(best);
            }
        }
    }
    winners
}

/// The places of a convolution's window on a map.
struct Windows {
    shape: Shape,
    kernel: usize,
    pad: usize,
}

impl Windows {
    fn new(shape: Shape, kernel: usize, pad: usize) -> Self {
        Self { shape, kernel, pad }
    }

    /// For output cell (`row`, `column`): the part of each kernel row that lies on the map, as
    /// (start in the map, start in the weights' inputs, length), all in numbers.
    fn pieces(&self, row: usize, column: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let [height, width, channels] = self.shape;
        let (kernel, pad) = (self.kernel, self.pad);
        let first = pad.saturating_sub(column);
        let last = kernel.min(width + pad - column);
        (0..kernel).filter_map(move |k| {
            let y = (row + k).checked_sub(pad).filter(|&y| y < height)?;
            let from = (y * width + column + first - pad) * channels;
            let weights = (k * kernel + first) * channels;
            Some((from, weights, (last - first) * channels))
        })
    }

    fn cells(&self) -> impl Iterator<Item = (usize, usize)> {
        let [height, width, _] = self.shape;
        let side = |size: usize| size + 2 * self.pad + 1 - self.kernel;
        let columns = side(width);
        (0..side(height)).flat_map(move |row| (0..columns).map(move |column| (row, column)))
    }

    fn convolve(&self, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let out = bias.len();
        let mut maps = Vec::new();
        for (row, column) in self.cells() {
            let start = maps.len();
            maps.extend_from_slice(bias);
            for (from, weights, length) in self.pieces(row, column) {
                let rows = &weight[weights * out..][..length * out];
                add_rows(&mut maps[start..], &x[from..][..length], rows);
            }
        }
        maps
    }

    /// The gradient by the input.
    fn spread(&self, gradient: &[f32], weight: &[f32]) -> Vec<f32> {
        let cells = self.cells().count();
        let out = gradient.len() / cells;
        let mut back = vec![0.0; self.shape.iter().product()];
        for ((row, column), g) in self.cells().zip(gradient.chunks_exact(out)) {
            if g.iter().all(|&g| g == 0.0) {
                continue;
            }
            for (from, weights, length) in self.pieces(row, column) {
                let rows = &weight[weights * out..][..length * out];
                add_dots(&mut back[from..][..length], g, rows);
            }
        }
        back
    }
}

/// Outputs added up at a time: they stay in registers.
const BLOCK: usize = 16;

/// `out[j] += sum over i of x[i] * rows[i][j]`.
fn add_rows(out: &mut [f32], x: &[f32], rows: &[f32]) {
    let width = out.len();
    let whole = width - width % BLOCK;
    for start in (0..whole).step_by(BLOCK) {
        let mut sums = [0.0; BLOCK];
        sums.copy_from_slice(&out[start..start + BLOCK]);
        for (&x, row) in x.iter().zip(rows.chunks_exact(width)) {
            if x != 0.0 {
                for (sum, weight) in sums.iter_mut().zip(&row[start..start + BLOCK]) {
                    *sum += x * weight;
                }
            }
        }
        out[start..start + BLOCK].copy_from_slice(&sums);
    }
    if whole < width {
        for (&x, row) in x.iter().zip(rows.chunks_exact(width)) {
            if x != 0.0 {
                for (sum, weight) in out[whole..].iter_mut().zip(&row[whole..]) {
                    *sum += x * weight;
                }
            }
        }
    }
}

/// `back[i] += sum over j of gradient[j] * rows[i][j]`.
fn add_dots(back: &mut [f32], gradient: &[f32], rows: &[f32]) {
    for (back, row) in back.iter_mut().zip(rows.chunks_exact(gradient.len())) {
        *back += row.iter().zip(gradient).map(|(w, g)| w * g).sum::<f32>();
    }
}

/// exp(x - log sum exp) of logits at temperature `t` (Guo et al. 2017): probabilities. The
/// exponential is the same code on every machine.
pub fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut shares: Vec<f32> = logits
        .iter()
        .map(|&logit| libm::expf((logit - most) / temperature))
        .collect();
    let sum: f32 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= sum);
    shares
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Numbers in [-1, 1) that follow from their index alone.
    pub(crate) fn numbers(count: usize, salt: u32) -> Vec<f32> {
        let mix = |index: usize| {
            let mut x = (index as u32).wrapping_mul(0x9E37_79B9) ^ salt.wrapping_mul(0x85EB_CA6B);
            x = (x ^ (x >> 15)).wrapping_mul(0x2C1B_3C6D);
            x = (x ^ (x >> 12)).wrapping_mul(0x297A_2D39);
            (x ^ (x >> 15)) as f32 / 2f32.powi(31) - 1.0
        };
        (0..count).map(mix).collect()
    }

    pub(crate) fn small_net() -> Net {
        let conv = |out, kernel, pad, channels: usize, salt| Layer::Conv {
            out,
            kernel,
            pad,
            weight: numbers(kernel * kernel * channels * out, salt),
            bias: numbers(out, salt + 1),
        };
        let layers = vec![
            conv(5, 3, 1, 1, 1),
            Layer::Relu,
            Layer::MaxPool,
            conv(18, 5, 0, 5, 3),
            Layer::Relu,
            Layer::MaxPool,
            Layer::Dense {
                weight: numbers(5 * 5 * 18 * 10, 5),
                bias: numbers(10, 6),
            },
        ];
        Net::new(layers, 10).unwrap()
    }

    fn picture() -> Vec<u8> {
        let byte = |value: f32| (value.max(0.0) * 255.0) as u8;
        numbers(PIXELS, 9).into_iter().map(byte).collect()
    }

    /// The definition, in the plainest words: no skipping, no blocks.
    fn plain_conv(x: &[f32], [h, w, c]: Shape, layer: &Layer) -> Vec<f32> {
        let Layer::Conv {
            out,
            kernel,
            pad,
            weight,
            bias,
        } = layer
        else {
            unreachable!()
        };
        let (kernel, pad) = (*kernel as isize, *pad as isize);
        let rows = h as isize + 2 * pad - kernel + 1;
        let columns = w as isize + 2 * pad - kernel + 1;
        let mut result = Vec::new();
        for row in 0..rows {
            for column in 0..columns {
                for filter in 0..*out {
                    let mut sum = f64::from(bias[filter]);
                    for ky in 0..kernel {
                        for kx in 0..kernel {
                            let (y, z) = (row + ky - pad, column + kx - pad);
                            if !(0..h as isize).contains(&y) || !(0..w as isize).contains(&z) {
                                continue;
                            }
                            for channel in 0..c {
                                let at = (y as usize * w + z as usize) * c + channel;
                                let k = ((ky * kernel + kx) as usize * c + channel) * out + filter;
                                sum += f64::from(x[at]) * f64::from(weight[k]);
                            }
                        }
                    }
                    result.push(sum as f32);
                }
            }
        }
        result
    }

    #[test]
    fn a_convolution_is_its_definition_with_and_without_padding() {
        for (shape, kernel, pad, out) in [
            ([7, 6, 3], 3, 1, 20),
            ([5, 5, 2], 5, 2, 4),
            ([6, 9, 1], 3, 0, 16),
        ] {
            let layer = Layer::Conv {
                out,
                kernel,
                pad,
                weight: numbers(kernel * kernel * shape[2] * out, 1),
                bias: numbers(out, 2),
            };
            let x = numbers(shape.iter().product(), 3);
            let expected = plain_conv(&x, shape, &layer);
            let found = layer.forward(x, shape);
            assert_eq!(found.len(), expected.len());
            assert!(
                found
                    .iter()
                    .zip(&expected)
                    .all(|(a, b)| (a - b).abs() < 1e-5)
            );
        }
    }

    #[test]
    fn the_gradient_agrees_with_finite_differences() {
        let net = small_net();
        let pixels = input(&picture()).unwrap();
        let value = |pixels: &[f32], class: usize| {
            let mut x = pixels.to_vec();
            for (layer, &shape) in net.layers.iter().zip(&net.shapes) {
                x = layer.forward(x, shape);
            }
            f64::from(x[class]) - x.iter().map(|&v| f64::from(v)).sum::<f64>() / 10.0
        };
        let gradient = net.input_gradient(&pixels, 4).unwrap();
        for index in [0, 27, 200, 391, 406, 600, 783] {
            let step = 2e-3;
            let moved = |by: f32| {
                let mut x = pixels.clone();
                x[index] += by;
                value(&x, 4)
            };
            let slope = (moved(step) - moved(-step)) / f64::from(2.0 * step);
            let found = f64::from(gradient[index]);
            assert!(
                (slope - found).abs() < 0.02 * (1.0 + found.abs()),
                "{index}: {slope} {found}"
            );
        }
    }

    #[test]
    fn layers_that_do_not_fit_are_refused_by_number() {
        let dense = |inputs: usize, outputs: usize| Layer::Dense {
            weight: vec![0.0; inputs * outputs],
            bias: vec![0.0; outputs],
        };
        let error = Net::new(vec![Layer::MaxPool, dense(14 * 14 + 1, 10)], 10).unwrap_err();
        assert!(error.to_string().contains("layer 1"), "{error}");
        let error = Net::new(vec![dense(PIXELS, 10)], 11).unwrap_err();
        assert!(error.to_string().contains("11 logits"), "{error}");
    }

    #[test]
    fn an_image_of_another_size_is_refused() {
        assert!(small_net().logits(&[0; 100]).is_err());
        assert!(small_net().saliency(&[0; PIXELS], 10).is_err());
    }

    #[test]
    fn probabilities_sum_to_one_and_a_higher_temperature_makes_them_more_alike() {
        let logits = [1000.0, 999.0, -1000.0];
        let sharp = softmax(&logits, 1.0);
        let soft = softmax(&logits, 4.0);
        assert!((sharp.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(sharp[0] > soft[0] && soft[0] > soft[1] && sharp[2] == 0.0);
    }
}
