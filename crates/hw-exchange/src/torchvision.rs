//! torchvision's names for ResNet-50.
//!
//! Ours follow the layers as they are listed (`res4.body.conv1`), theirs the paper's stages
//! (`layer2.0.conv1`); order and shapes are the same.

use crate::{ExchangeError, Tensors};
use hw_models::{Graph, Layer};
use std::collections::BTreeMap;
use std::path::Path;

/// Blocks of each stage.
const STAGES: [usize; 4] = [3, 4, 6, 3];

pub(crate) fn to_their_names(model: &Graph, tensors: Tensors) -> Result<Tensors, ExchangeError> {
    let names = names(model)?;
    let renamed = tensors.into_iter().map(|(name, tensor)| {
        let (layer, what) = name.rsplit_once('.').unwrap_or((&name, ""));
        let theirs = names.get(layer).map_or(layer, String::as_str);
        (format!("{theirs}.{what}"), tensor)
    });
    Ok(renamed.collect())
}

pub(crate) fn to_our_names(
    model: &Graph,
    tensors: Tensors,
    path: &Path,
) -> Result<Tensors, ExchangeError> {
    let ours: BTreeMap<String, String> = names(model)?
        .into_iter()
        .map(|(ours, theirs)| (theirs, ours))
        .collect();
    let renamed = tensors.into_iter().map(|(name, tensor)| {
        let layer = name
            .rsplit_once('.')
            .and_then(|(layer, what)| Some((ours.get(layer)?, what)));
        let (layer, what) = layer.ok_or_else(|| ExchangeError::Unknown {
            path: path.into(),
            tensor: name.clone(),
            model: model.spec.name.clone(),
        })?;
        Ok((format!("{layer}.{what}"), tensor))
    });
    renamed.collect()
}

/// Their name of each of our layers that has tensors.
fn names(model: &Graph) -> Result<BTreeMap<String, String>, ExchangeError> {
    let refuse = |problem: &str| ExchangeError::NoCounterpart {
        format: "torchvision",
        model: model.spec.name.clone(),
        problem: format!("{problem}; it takes resnet50 with style=torchvision and hidden=0"),
    };
    let with_tensors = |layer: &&hw_models::graph::LoweredLayer| !layer.parameters.is_empty();
    let outside: Vec<_> = model.layers.iter().filter(with_tensors).collect();
    let blocks: Vec<_> = model
        .layers
        .iter()
        .filter_map(|l| l.branches.as_ref())
        .collect();
    let ([conv, bn, fc], true) = (&outside[..], blocks.len() == STAGES.iter().sum::<usize>())
    else {
        return Err(refuse("it is not a stem, 16 blocks and one affine layer"));
    };
    if !matches!(conv.layer, Layer::Conv { bias: false, .. }) {
        return Err(refuse("its convolutions have biases"));
    }
    let mut names = BTreeMap::from([
        (conv.name.clone(), "conv1".to_string()),
        (bn.name.clone(), "bn1".to_string()),
        (fc.name.clone(), "fc".to_string()),
    ]);
    let places = STAGES
        .iter()
        .zip(1..)
        .flat_map(|(&n, stage)| (0..n).map(move |b| (stage, b)));
    for ([body, shortcut], (stage, block)) in blocks.into_iter().zip(places) {
        let prefix = format!("layer{stage}.{block}");
        let body: Vec<_> = body.iter().filter(with_tensors).collect();
        let shortcut: Vec<_> = shortcut.iter().filter(with_tensors).collect();
        if body.len() != 6 || ![0, 2].contains(&shortcut.len()) {
            return Err(refuse("a block is not three convolutions with batch norm"));
        }
        for (index, pair) in body.chunks_exact(2).enumerate() {
            names.insert(pair[0].name.clone(), format!("{prefix}.conv{}", index + 1));
            names.insert(pair[1].name.clone(), format!("{prefix}.bn{}", index + 1));
        }
        for (index, layer) in shortcut.iter().enumerate() {
            names.insert(layer.name.clone(), format!("{prefix}.downsample.{index}"));
        }
    }
    Ok(names)
}
