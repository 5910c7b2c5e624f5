//! What can be wrong with ink, an image or a model.

/// Why strokes, an image or a model were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InkError {
    /// Strokes that cannot have been written.
    #[error("strokes: {0}")]
    Strokes(String),
    /// An image a network cannot look at.
    #[error("image: {0}")]
    Image(String),
    /// A model file that is damaged or does not fit together.
    #[error("model: {0}")]
    Model(String),
}
