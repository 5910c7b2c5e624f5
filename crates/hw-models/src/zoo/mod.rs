//! The networks, one file each, and their catalogue: the only place where a model is declared.

pub mod ann;
pub mod bn_cnn;
pub mod compact_vgg;
pub mod custom_resnet;
pub mod custom_vgg;
pub mod ji_cnn;
pub mod lenet5;
pub mod lenet5_1998;
pub mod lenet5_tanh;
pub mod plain_cnn;
pub mod residual;
pub mod resnet50;
pub mod settings;
pub mod simple_cnn;
pub mod vgg16;
pub mod wavemix_lite;

use crate::error::{ModelError, Result};
use crate::spec::ModelSpec;
use settings::{Recipe, Setting};
use std::collections::BTreeMap;

/// Values of a network's settings, by name.
pub type Settings = BTreeMap<String, String>;

/// A network that can be asked for by name.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name used on the command line, in config files and in checkpoints.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    build: Build,
}

#[derive(Clone, Copy, Debug)]
enum Build {
    Fixed(fn([usize; 3], usize) -> ModelSpec),
    Configurable {
        settings: fn() -> Vec<Setting>,
        default: fn([usize; 3], usize) -> ModelSpec,
        with: fn([usize; 3], usize, &Settings) -> std::result::Result<ModelSpec, String>,
    },
}

impl Entry {
    const fn fixed(
        name: &'static str,
        about: &'static str,
        source: &'static str,
        spec: fn([usize; 3], usize) -> ModelSpec,
    ) -> Self {
        let build = Build::Fixed(spec);
        Self {
            name,
            about,
            source,
            build,
        }
    }

    const fn of<R: Recipe>(name: &'static str, about: &'static str, source: &'static str) -> Self {
        let build = Build::Configurable {
            settings: R::settings,
            default: |input, classes| R::default().spec(input, classes),
            with: |input, classes, values| {
                let mut recipe = R::default();
                for (name, value) in values {
                    recipe.set(name, value)?;
                }
                Ok(recipe.spec(input, classes))
            },
        };
        Self {
            name,
            about,
            source,
            build,
        }
    }

    /// What can be set, with its defaults.
    pub fn settings(&self) -> Vec<Setting> {
        match self.build {
            Build::Fixed(_) => vec![],
            Build::Configurable { settings, .. } => settings(),
        }
    }

    /// The network for images of `input` (channels, height, width) and `classes` classes. The spec
    /// is not checked yet; [`ModelSpec::lower`] does that.
    pub fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec {
        match self.build {
            Build::Fixed(spec) => spec(input, classes),
            Build::Configurable { default, .. } => default(input, classes),
        }
    }

    /// As [`Self::spec`], with some settings other than by default.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting that the network does not have or a value that it does
    /// not take.
    pub fn spec_with(
        &self,
        input: [usize; 3],
        classes: usize,
        values: &Settings,
    ) -> Result<ModelSpec> {
        let refuse = |problem| ModelError::Setting {
            model: self.name.into(),
            problem,
        };
        match (self.build, values.keys().next()) {
            (Build::Fixed(_), Some(name)) => {
                Err(refuse(format!("no setting '{name}'; it has none")))
            }
            (Build::Fixed(spec), None) => Ok(spec(input, classes)),
            (Build::Configurable { with, .. }, _) => with(input, classes, values).map_err(refuse),
        }
    }
}

/// All networks.
pub const CATALOGUE: &[Entry] = &[
    Entry::of::<bn_cnn::BnCnn>(
        "bn-cnn",
        "one convolution, batch normalization after the first affine layer",
        "simple-cnn-bn (Lee & Rhee 2024)",
    ),
    Entry::of::<lenet5::Lenet5>(
        "lenet5",
        "LeNet-5 in its modern form: same-padded first convolution, ReLU, max-pooling",
        "emnist-classifier; after LeCun et al. 1998",
    ),
    Entry::fixed(
        "lenet5-1998",
        "LeNet-5 as published: 32x32, trainable subsampling, tanh, RBF output",
        "LeCun, Bottou, Bengio & Haffner 1998",
        lenet5_1998::spec,
    ),
    Entry::fixed(
        "simple-cnn",
        "two convolutions, two affine layers",
        "three-datasets (the simple network)",
        simple_cnn::spec,
    ),
    Entry::of::<lenet5_tanh::Lenet5Tanh>(
        "lenet5-tanh",
        "LeNet-5 with tanh, average pooling, a third convolution and 128 units",
        "emnist-ablation (LeNet-5); after LeCun et al. 1998",
    ),
    Entry::of::<plain_cnn::PlainCnn>(
        "plain-cnn",
        "three convolutions, two affine layers, no normalisation",
        "emnist-ablation (Our Model (CNN))",
    ),
    Entry::of::<residual::Residual>(
        "residual",
        "a stem and one to four residual units with batch normalisation and dropout",
        "emnist-ablation (Our Model (Residual))",
    ),
    Entry::of::<resnet50::Resnet50>(
        "resnet50",
        "16 bottleneck blocks, as Keras or torchvision builds them",
        "He, Zhang, Ren & Sun 2015; three-datasets, emnist-classifier, emnist-ablation",
    ),
    Entry::of::<custom_resnet::CustomResnet>(
        "custom-resnet",
        "five residual blocks of 64 filters",
        "emnist-classifier, Fig. 5; after He, Zhang, Ren & Sun 2015",
    ),
    Entry::of::<custom_vgg::CustomVgg>(
        "custom-vgg",
        "three pairs of 3x3 convolutions, then 1024 and 512 units",
        "emnist-classifier, Fig. 7; after Simonyan & Zisserman 2014",
    ),
    Entry::of::<vgg16::Vgg16>(
        "vgg16",
        "thirteen 3x3 convolutions, then 4096, 4096 units",
        "Simonyan & Zisserman 2014; emnist-classifier, Fig. 6",
    ),
    Entry::of::<wavemix_lite::WavemixLite>(
        "wavemix-lite",
        "wavelet transforms mix over space, pointwise layers over channels",
        "Jeevan & Sethi 2022; emnist-ablation (WaveMix-Lite-128/7)",
    ),
    Entry::fixed(
        "ann",
        "five sigmoid layers of 100",
        "Ioffe & Szegedy 2015, section 4.1; Lee & Rhee 2023",
        |input, classes| ann::spec(input, classes, false),
    ),
    Entry::fixed(
        "ann-bn",
        "five batch-normalised sigmoid layers of 100",
        "Ioffe & Szegedy 2015, section 4.1; Lee & Rhee 2023",
        |input, classes| ann::spec(input, classes, true),
    ),
    Entry::of::<compact_vgg::CompactVgg>(
        "compact-vgg",
        "a 5x5 stem and two pairs of batch-normalised 3x3 convolutions",
        "this project's own recipes (`beyond`); after Simonyan & Zisserman 2014",
    ),
    Entry::fixed(
        "ji-cnn",
        "ten layers: two of convolution, BN and pooling, then 625, BN, pooling",
        "Ji, Chun & Kim 2018",
        ji_cnn::spec,
    ),
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
/// [`ModelError::UnknownModel`], or as [`ModelSpec::lower`] when the images do not fit it.
pub fn spec(name: &str, input: [usize; 3], classes: usize) -> Result<ModelSpec> {
    let spec = find(name)?.spec(input, classes);
    spec.lower()?;
    Ok(spec)
}

/// As [`spec`], with some settings other than by default.
///
/// # Errors
/// As [`spec`], and [`ModelError::Setting`].
pub fn spec_with(
    name: &str,
    input: [usize; 3],
    classes: usize,
    values: &Settings,
) -> Result<ModelSpec> {
    let spec = find(name)?.spec_with(input, classes, values)?;
    spec.lower()?;
    Ok(spec)
}
