//! What a model consists of, for people and for `--json`.

use crate::graph::{Graph, LoweredLayer};
use serde::Serialize;
use std::fmt;

/// One line of a [`Summary`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SummaryLine {
    /// The layer's unique name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Shape of its output for one image.
    pub output: Vec<usize>,
    /// Trainable parameters.
    pub parameters: usize,
    /// Multiply-accumulates for one image.
    pub macs: u64,
}

/// Layers, shapes, parameters and multiply-accumulates of a model; `Display` prints a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The model's name.
    pub model: String,
    /// Channels, height, width of the input.
    pub input: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// The layers, those inside residual branches after their parent.
    pub layers: Vec<SummaryLine>,
    /// Trainable parameters in all.
    pub parameters: usize,
    /// Kept but untrained numbers (batch-norm statistics, fixed centres).
    pub buffers: usize,
    /// Multiply-accumulates in all, for one image.
    pub macs: u64,
}

impl Graph {
    /// The model's [`Summary`].
    pub fn summary(&self) -> Summary {
        let line = |layer: &&LoweredLayer| SummaryLine {
            name: layer.name.clone(),
            description: layer.layer.describe(),
            output: layer.output.clone(),
            parameters: layer.parameters.iter().map(|p| p.count).sum(),
            macs: layer.macs,
        };
        Summary {
            model: self.spec.name.clone(),
            input: self.spec.input,
            classes: self.spec.classes,
            layers: self.flat().iter().map(line).collect(),
            parameters: self.parameter_count(),
            buffers: self.buffer_count(),
            macs: self.macs(),
        }
    }
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = |s: &[usize]| {
            s.iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("x")
        };
        let name = self
            .layers
            .iter()
            .map(|l| l.name.len())
            .max()
            .unwrap_or(0)
            .max(5);
        let what = self
            .layers
            .iter()
            .map(|l| l.description.len())
            .max()
            .unwrap_or(0)
            .max(4);
        writeln!(
            f,
            "{}: {} -> {} classes",
            self.model,
            shape(&self.input),
            self.classes
        )?;
        let head = format!("{:name$}  {:what$}  {:>12}", "layer", "what", "output");
        writeln!(f, "{head}  {:>12}  {:>14}", "parameters", "MACs")?;
        for l in &self.layers {
            let head = format!(
                "{:name$}  {:what$}  {:>12}",
                l.name,
                l.description,
                shape(&l.output)
            );
            let parameters = grouped(l.parameters as u64);
            writeln!(f, "{head}  {parameters:>12}  {:>14}", grouped(l.macs))?;
        }
        let parameters = grouped(self.parameters as u64);
        write!(f, "{parameters} trainable parameters")?;
        if self.buffers > 0 {
            write!(
                f,
                " (and {} fixed or moving numbers)",
                grouped(self.buffers as u64)
            )?;
        }
        write!(f, ", {} multiply-accumulates an image", grouped(self.macs))
    }
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn digits_are_grouped_in_threes() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
