//! A model's layers as papers count them: activations, reshaping and padding are no layers, the
//! final softmax is one.

use hw_models::{Graph, Layer};
use hw_report::plots::LayerKind;

/// The names of a model's layers, as the papers' tables write them.
pub(crate) fn paper_layers(model: &Graph) -> Vec<String> {
    let mut layers: Vec<String> = model
        .layers
        .iter()
        .filter_map(|layer| word(&layer.layer))
        .map(str::to_string)
        .collect();
    match layers.last().map(String::as_str) {
        Some("RBF") => {
            layers.pop();
            layers.push("RBF & softmax".into());
        }
        _ => layers.push("softmax".into()),
    }
    layers
}

fn word(layer: &Layer) -> Option<&str> {
    match layer {
        Layer::Conv { .. } => Some("conv"),
        Layer::MaxPool { .. } | Layer::AvgPool { .. } | Layer::GlobalAvgPool => Some("pooling"),
        Layer::Subsample { .. } => Some("subsampling"),
        Layer::Dense { .. } => Some("affine"),
        Layer::BatchNorm { .. } => Some("BN"),
        Layer::GroupNorm { .. } => Some("GN"),
        Layer::Rbf { .. } => Some("RBF"),
        Layer::Residual { .. } => Some("residual block"),
        Layer::ConvTranspose { .. } => Some("transposed conv"),
        Layer::Haar { .. } => Some("wavelet transform"),
        Layer::Concat { .. } => Some("concatenation"),
        Layer::Custom { name, .. } => Some(name),
        Layer::Pad { .. }
        | Layer::Flatten
        | Layer::Reshape { .. }
        | Layer::Activation { .. }
        | Layer::Dropout { .. } => None,
    }
}

/// Whether the reported names are those layers; a reported list may leave out the final softmax.
pub(crate) fn agree(reported: &[String], ours: &[String]) -> bool {
    let reported: Vec<&str> = reported.iter().map(|name| plain(name)).collect();
    let ours: Vec<&str> = ours.iter().map(|name| plain(name)).collect();
    reported == ours
        || ours
            .split_last()
            .is_some_and(|(l, rest)| *l == "softmax" && reported == rest)
}

fn plain(name: &str) -> &str {
    match name {
        "maxpooling" => "pooling",
        name if name.starts_with("fc") => "affine",
        name => name,
    }
}

/// How a diagram draws a layer.
pub(crate) fn diagram_kind(layer: &Layer) -> LayerKind {
    match layer {
        Layer::Conv { .. }
        | Layer::ConvTranspose { .. }
        | Layer::Residual { .. }
        | Layer::Concat { .. }
        | Layer::Custom { .. } => LayerKind::Convolution,
        Layer::MaxPool { .. }
        | Layer::AvgPool { .. }
        | Layer::GlobalAvgPool
        | Layer::Subsample { .. }
        | Layer::Haar { .. } => LayerKind::Pooling,
        Layer::Dense { .. } | Layer::Rbf { .. } => LayerKind::Dense,
        Layer::BatchNorm { .. } | Layer::GroupNorm { .. } => LayerKind::Normalization,
        Layer::Activation { .. } | Layer::Dropout { .. } => LayerKind::Activation,
        Layer::Pad { .. } | Layer::Flatten | Layer::Reshape { .. } => LayerKind::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(name: &str) -> Vec<String> {
        let spec = hw_models::zoo::spec(name, [1, 28, 28], 10).unwrap();
        paper_layers(&spec.lower().unwrap())
    }

    #[test]
    fn the_models_have_the_layers_that_the_papers_print() {
        let reported = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        let lenet = [
            "conv",
            "subsampling",
            "conv",
            "subsampling",
            "conv",
            "affine",
            "RBF & softmax",
        ];
        assert!(agree(&reported(&lenet), &layers("lenet5-1998")));
        assert!(!agree(&reported(&lenet[1..]), &layers("lenet5-1998")));
        assert_eq!(layers("bn-cnn").len(), 6);
        assert_eq!(layers("lenet5-1998").len(), 7);
    }
}
