//! The networks, one file each, and their catalogue: the only place where a model is declared.

pub mod ann;
pub mod bn_cnn;
pub mod ji_cnn;
pub mod lenet5;
pub mod lenet5_1998;
pub mod simple_cnn;

use crate::error::{ModelError, Result};
use crate::spec::ModelSpec;

/// A network that can be asked for by name.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name used on the command line, in config files and in checkpoints.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    build: fn([usize; 3], usize) -> ModelSpec,
}

impl Entry {
    /// The network for images of `input` (channels, height, width) and `classes` classes. The spec
    /// is not checked yet; [`ModelSpec::resolve`] does that.
    pub fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec {
        (self.build)(input, classes)
    }
}

/// All networks.
pub const CATALOGUE: &[Entry] = &[
    Entry {
        name: "bn-cnn",
        about: "one convolution, batch normalisation after the first affine layer",
        source: "simple-cnn-bn (Lee & Rhee 2024)",
        build: bn_cnn::spec,
    },
    Entry {
        name: "lenet5",
        about: "LeNet-5 in its modern form: same-padded first convolution, ReLU, max-pooling",
        source: "emnist-classifier; after LeCun et al. 1998",
        build: |input, classes| lenet5::Lenet5::default().spec(input, classes),
    },
    Entry {
        name: "lenet5-1998",
        about: "LeNet-5 as published: 32x32, trainable subsampling, tanh, RBF output",
        source: "LeCun, Bottou, Bengio & Haffner 1998",
        build: lenet5_1998::spec,
    },
    Entry {
        name: "simple-cnn",
        about: "two convolutions, two affine layers",
        source: "three-datasets (the simple network)",
        build: simple_cnn::spec,
    },
    Entry {
        name: "ann",
        about: "five sigmoid layers of 100",
        source: "Ioffe & Szegedy 2015, section 4.1; Lee & Rhee 2023",
        build: |input, classes| ann::spec(input, classes, false),
    },
    Entry {
        name: "ann-bn",
        about: "five batch-normalised sigmoid layers of 100",
        source: "Ioffe & Szegedy 2015, section 4.1; Lee & Rhee 2023",
        build: |input, classes| ann::spec(input, classes, true),
    },
    Entry {
        name: "ji-cnn",
        about: "ten layers: two of convolution, BN and pooling, then 625, BN, pooling",
        source: "Ji, Chun & Kim 2018",
        build: ji_cnn::spec,
    },
];

/// The entry of that name.
///
/// # Errors
/// [`ModelError::UnknownModel`] listing the names there are.
pub fn find(name: &str) -> Result<&'static Entry> {
    CATALOGUE
        .iter()
        .find(|entry| entry.name == name)
        .ok_or_else(|| ModelError::UnknownModel {
            name: name.into(),
            known: CATALOGUE
                .iter()
                .map(|entry| entry.name)
                .collect::<Vec<_>>()
                .join(", "),
        })
}

/// The named network for images of `input` (channels, height, width) and `classes` classes.
///
/// # Errors
/// [`ModelError::UnknownModel`], or as [`ModelSpec::resolve`] when the images do not fit it.
pub fn spec(name: &str, input: [usize; 3], classes: usize) -> Result<ModelSpec> {
    let spec = find(name)?.spec(input, classes);
    spec.resolve()?;
    Ok(spec)
}
