//! Losses of one image, the same for both executors.

/// A loss of one image: reads the logits and the label, writes the gradient of the logits, gives
/// the loss. The batch's loss is the mean of its images'.
pub trait LossFunction: Sync {
    /// The loss of the batch's image number `image` and its gradient.
    fn evaluate(&self, image: usize, logits: &[f32], label: u32, gradient: &mut [f32]) -> f32;
}

impl<F: Fn(&[f32], u32, &mut [f32]) -> f32 + Sync> LossFunction for F {
    fn evaluate(&self, _: usize, logits: &[f32], label: u32, gradient: &mut [f32]) -> f32 {
        self(logits, label, gradient)
    }
}

/// What one step saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepResult {
    /// Mean loss of the batch.
    pub loss: f32,
    /// Images whose largest logit is their label's.
    pub correct: u64,
}

/// Softmax cross-entropy: `-log p[label]`, with gradient `p - onehot(label)`.
pub fn cross_entropy(logits: &[f32], label: u32, gradient: &mut [f32]) -> f32 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0f32;
    for (g, x) in gradient.iter_mut().zip(logits) {
        *g = (x - highest).exp();
        sum += *g;
    }
    let share = 1.0 / sum;
    gradient.iter_mut().for_each(|g| *g *= share);
    let label = label as usize;
    gradient[label] -= 1.0;
    sum.ln() - (logits[label] - highest)
}

/// The losses and gradients of rows of logits, each image's gradient divided by their number; the sum of
/// the losses and how many are correct. `first` is the number of the first image in its batch of `n`.
pub(crate) fn evaluate(
    loss: &dyn LossFunction,
    logits: &[f32],
    labels: &[u32],
    gradient: &mut [f32],
    [first, n]: [usize; 2],
) -> (f64, u64) {
    let classes = logits.len() / labels.len();
    let share = 1.0 / n as f32;
    let (mut total, mut correct) = (0.0f64, 0);
    let rows = logits
        .chunks_exact(classes)
        .zip(gradient.chunks_exact_mut(classes));
    for ((logits, gradient), (image, &label)) in rows.zip((first..).zip(labels)) {
        total += f64::from(loss.evaluate(image, logits, label, gradient));
        gradient.iter_mut().for_each(|g| *g *= share);
        correct += u64::from(hw_core::argmax(logits) == label as usize);
    }
    (total, correct)
}
