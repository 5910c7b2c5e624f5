//! The one error type of this crate.

/// Why a kernel refused its arguments, or what candle reported.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A window (convolution kernel or pooling window) has no rows or no columns.
    #[error("{op}: the window is {height}x{width}; both sides must be at least 1")]
    EmptyWindow {
        /// The operation that was asked for.
        op: &'static str,
        /// Window height.
        height: usize,
        /// Window width.
        width: usize,
    },
    /// A stride of zero never moves.
    #[error("{op}: the stride is {height}x{width}; both must be at least 1")]
    ZeroStride {
        /// The operation that was asked for.
        op: &'static str,
        /// Vertical stride.
        height: usize,
        /// Horizontal stride.
        width: usize,
    },
    /// The window does not fit into the padded input along one axis.
    #[error(
        "{op}: a window of {window} does not fit along the {axis} of {input} padded to {padded}; \
         use a smaller window or more padding"
    )]
    WindowTooLarge {
        /// The operation that was asked for.
        op: &'static str,
        /// "height" or "width".
        axis: &'static str,
        /// Window size along that axis.
        window: usize,
        /// Input size before padding.
        input: usize,
        /// Input size after padding.
        padded: usize,
    },
    /// Pooling padding as large as its window would make windows that hold no input at all.
    #[error(
        "{op}: padding {padding} along the {axis} is not smaller than the window ({window}); \
         some windows would hold no input"
    )]
    PaddingTooLarge {
        /// The operation that was asked for.
        op: &'static str,
        /// "height" or "width".
        axis: &'static str,
        /// The padding on one side.
        padding: usize,
        /// Window size along that axis.
        window: usize,
    },
    /// A tensor does not have the shape the operation needs.
    #[error("{op}: {argument} has shape {actual:?}, but {expected} is needed")]
    Shape {
        /// The operation that was asked for.
        op: &'static str,
        /// Which argument is wrong.
        argument: &'static str,
        /// Its shape.
        actual: Vec<usize>,
        /// What the shape must be.
        expected: String,
    },
    /// A class label is not smaller than the number of classes.
    #[error(
        "label {label} at position {position} is out of range: there are {classes} classes (0..{classes})"
    )]
    LabelOutOfRange {
        /// The label found.
        label: u32,
        /// Its position in the batch.
        position: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A dropout rate outside `[0, 1)`.
    #[error("dropout rate {0} is not in [0, 1)")]
    Rate(f32),
    /// Text that names no activation function.
    #[error("unknown activation {given:?}; known are {known}")]
    UnknownActivation {
        /// What was given.
        given: String,
        /// The accepted names.
        known: String,
    },
    /// An error of candle itself.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl From<KernelError> for candle_core::Error {
    fn from(error: KernelError) -> Self {
        match error {
            KernelError::Candle(error) => error,
            other => Self::wrap(other),
        }
    }
}

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, KernelError>;
