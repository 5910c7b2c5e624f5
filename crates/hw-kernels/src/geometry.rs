//! Where windows fall: padding, strides and output sizes of convolution and pooling, checked once.

use crate::error::{KernelError, Result};
use serde::{Deserialize, Serialize};

/// Rows and columns added around an image, possibly different on each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// Top, bottom, left, right.
    pub fn sizes(&self) -> [usize; 4] {
        [self.top, self.bottom, self.left, self.right]
    }

    /// No padding ("valid").
    pub const fn zero() -> Self {
        Self::symmetric(0)
    }

    /// The same padding on all four sides.
    pub const fn symmetric(size: usize) -> Self {
        Self {
            top: size,
            bottom: size,
            left: size,
            right: size,
        }
    }

    /// Padding that keeps height and width under stride 1 ("same"); an even kernel needs one more
    /// row or column below and to the right, as Keras and PyTorch place it.
    pub const fn same_for(kernel: [usize; 2]) -> Self {
        let (rows, columns) = (kernel[0].saturating_sub(1), kernel[1].saturating_sub(1));
        Self {
            top: rows / 2,
            bottom: rows - rows / 2,
            left: columns / 2,
            right: columns - columns / 2,
        }
    }
}

/// Stride and zero padding of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2dConfig {
    /// Vertical and horizontal step.
    pub stride: [usize; 2],
    /// Zeros added around the image.
    pub padding: Padding,
}

impl Default for Conv2dConfig {
    fn default() -> Self {
        Self {
            stride: [1, 1],
            padding: Padding::zero(),
        }
    }
}

/// Window, stride and padding of a pooling layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool2dConfig {
    /// Window height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal step.
    pub stride: [usize; 2],
    /// Padding around the image: minus infinity for maxima, zero for averages.
    pub padding: Padding,
}

impl Pool2dConfig {
    /// A square window that moves by its own size, without padding.
    pub const fn square(size: usize) -> Self {
        Self {
            kernel: [size, size],
            stride: [size, size],
            padding: Padding::zero(),
        }
    }
}

/// Checked sizes of windows sliding over `[height, width]` maps. Incomplete windows at the lower
/// and right edge are dropped (floor).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Input height and width, without padding.
    pub input: [usize; 2],
    /// Window height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal step.
    pub stride: [usize; 2],
    /// Padding around the input.
    pub padding: Padding,
    /// Output height and width: `(input + padding - kernel) / stride + 1` per axis.
    pub output: [usize; 2],
}

impl Windows {
    /// The windows of a convolution with a `kernel` over an `input` map.
    ///
    /// # Errors
    /// [`KernelError`] for an empty window, a zero stride, or a window larger than the padded input.
    pub fn of_conv(input: [usize; 2], kernel: [usize; 2], config: &Conv2dConfig) -> Result<Self> {
        Self::new("conv2d", input, kernel, config.stride, config.padding)
    }

    /// The windows of a pooling layer over an `input` map.
    ///
    /// # Errors
    /// As [`Windows::of_conv`], and for padding that is not smaller than the window.
    pub fn of_pool(op: &'static str, input: [usize; 2], config: &Pool2dConfig) -> Result<Self> {
        let pad = config.padding;
        let windows = Self::new(op, input, config.kernel, config.stride, pad)?;
        let sides = [
            ("height", pad.top.max(pad.bottom), config.kernel[0]),
            ("width", pad.left.max(pad.right), config.kernel[1]),
        ];
        for (axis, padding, window) in sides {
            if padding >= window {
                return Err(KernelError::PaddingTooLarge {
                    op,
                    axis,
                    padding,
                    window,
                });
            }
        }
        Ok(windows)
    }

    fn new(
        op: &'static str,
        input: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
    ) -> Result<Self> {
        if kernel.contains(&0) {
            let [height, width] = kernel;
            return Err(KernelError::EmptyWindow { op, height, width });
        }
        if stride.contains(&0) {
            let [height, width] = stride;
            return Err(KernelError::ZeroStride { op, height, width });
        }
        let sides = [
            ("height", [padding.top, padding.bottom]),
            ("width", [padding.left, padding.right]),
        ];
        let mut output = [0; 2];
        for (i, (axis, [before, after])) in sides.into_iter().enumerate() {
            let padded = input[i].saturating_add(before).saturating_add(after);
            if input[i] == 0 || padded < kernel[i] {
                return Err(KernelError::WindowTooLarge {
                    op,
                    axis,
                    window: kernel[i],
                    input: input[i],
                    padded,
                });
            }
            output[i] = (padded - kernel[i]) / stride[i] + 1;
        }
        Ok(Self {
            input,
            kernel,
            stride,
            padding,
            output,
        })
    }

    /// Input positions per map.
    pub fn input_size(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Output positions per map.
    pub fn output_size(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Positions inside one window.
    pub fn kernel_size(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The real cells, not padding, that each window covers, row by row.
    pub fn cells_per_window(&self) -> Vec<usize> {
        let (rows, columns) = (self.covered(0), self.covered(1));
        let cells = |rows: usize| columns.iter().map(move |columns| rows * columns);
        rows.into_iter().flat_map(cells).collect()
    }

    /// The real positions along an axis that each of its windows covers.
    fn covered(&self, axis: usize) -> Vec<usize> {
        let before = [self.padding.top, self.padding.left][axis];
        let inside = |edge: usize| edge.saturating_sub(before).min(self.input[axis]);
        let starts = (0..self.output[axis]).map(|index| index * self.stride[axis]);
        let ends = starts.map(|start| (start, start + self.kernel[axis]));
        ends.map(|(start, end)| inside(end) - inside(start))
            .collect()
    }
}
