//! What training minimises.

use crate::choice::{self, Choice};
use crate::error::{Result, TrainError};
use hw_core::{Member, Named, RegisterError, Registry};
use hw_kernels::LossTerms;
use hw_kernels::cpu::softmax;
use hw_models::{LossFunction, cross_entropy};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::str::FromStr;

/// The loss of a step: the mean over its images of `-w_y Σ_j t_j (1-p_j)^γ log p_j`, where `p` is the
/// softmax of the logits, `y` the label, `t` the smoothed target, and `w` the class weights. Scores
/// (validation, test) are always plain cross-entropy, so that runs can be compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Loss {
    /// γ of the focal loss (Lin et al. 2017); 0 for cross-entropy.
    #[serde(skip_serializing_if = "is_zero")]
    pub focal: f32,
    /// The share of the target that is spread over all classes (Szegedy et al. 2016).
    #[serde(skip_serializing_if = "is_zero")]
    pub label_smoothing: f32,
    /// How much each class counts.
    #[serde(skip_serializing_if = "ClassWeights::is_equal")]
    pub class_weights: ClassWeights,
    /// One that another crate has [registered](register), in the place of `-Σ_j t_j (1-p_j)^γ log p_j`.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "registered"
    )]
    pub function: Option<Member<dyn ImageLoss>>,
}

/// A loss of another crate: a function of one image's logits. The batch's is the mean.
pub trait ImageLoss: Named + Sync {
    /// The loss of an image with this label; writes its derivative by each logit to `gradient`.
    fn evaluate(&self, logits: &[f32], label: usize, gradient: &mut [f32]) -> f32;
}

static REGISTERED: Registry<dyn ImageLoss> = Registry::new("loss", |name| {
    LOSSES.iter().any(|choice| choice.name == name)
});

/// Adds a loss to those that are found by name. To be called when the program starts.
///
/// # Errors
/// [`RegisterError`] when the name is taken or cannot be written on a command line.
pub fn register(loss: &'static dyn ImageLoss) -> std::result::Result<(), RegisterError> {
    REGISTERED.add(loss)
}

fn registered<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Member<dyn ImageLoss>>, D::Error> {
    let name = String::deserialize(deserializer)?;
    let loss = REGISTERED.find(&name);
    let unknown = || {
        de::Error::custom(format!(
            "unknown variant `{name}`: no loss of that name is registered"
        ))
    };
    loss.map(Some).ok_or_else(unknown)
}

/// How much each class counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// All the same.
    #[default]
    Equal,
    /// `n / (classes · n_class)` over the images trained on, as scikit-learn's "balanced".
    Balanced,
    /// Given, one a class.
    Given(Vec<f32>),
}

impl ClassWeights {
    fn is_equal(&self) -> bool {
        *self == Self::Equal
    }
}

fn is_zero(value: &f32) -> bool {
    *value == 0.0
}

/// A loss in words; they combine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LossKind {
    /// `-log p_y`.
    CrossEntropy {},
    /// Cross-entropy where rare classes count more.
    ClassWeighted {},
    /// `-(1-p_y)^γ log p_y`.
    Focal {
        /// γ.
        gamma: f32,
    },
    /// Cross-entropy with a smoothed target.
    LabelSmoothing {
        /// The share that is spread.
        amount: f32,
    },
    /// One that another crate has [registered](register); configurations have it in [`Loss::function`].
    #[serde(skip)]
    Registered(Member<dyn ImageLoss>),
}

/// Our losses.
pub const LOSSES: [Choice<LossKind>; 4] = [
    Choice {
        name: "cross-entropy",
        about: "-log p_y, the mean over the batch",
        source: "Shannon 1948",
        value: LossKind::CrossEntropy {},
    },
    Choice {
        name: "class-weighted",
        about: "cross-entropy times n / (classes n_class): rare classes count more",
        source: "King & Zeng 2001; emnist-ablation, section 5",
        value: LossKind::ClassWeighted {},
    },
    Choice {
        name: "focal",
        about: "-(1-p_y)^gamma log p_y: what is known already counts less",
        source: "Lin, Goyal, Girshick, He & Dollár 2017; emnist-ablation, section 5",
        value: LossKind::Focal { gamma: 2.0 },
    },
    Choice {
        name: "label-smoothing",
        about: "cross-entropy with `amount` of the target spread over all classes",
        source: "Szegedy et al. 2016",
        value: LossKind::LabelSmoothing { amount: 0.1 },
    },
];

/// Reads losses by name, joined by "+": `focal:gamma=1+class-weighted`.
impl FromStr for Loss {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut loss = Self::default();
        for part in text.split('+') {
            if let Some(own) = REGISTERED.find(part) {
                loss.function = Some(own);
                continue;
            }
            match choice::parse("loss", &Self::choices(), part)? {
                LossKind::CrossEntropy {} => {}
                LossKind::ClassWeighted {} => loss.class_weights = ClassWeights::Balanced,
                LossKind::Focal { gamma } => loss.focal = gamma,
                LossKind::LabelSmoothing { amount } => loss.label_smoothing = amount,
                LossKind::Registered(own) => loss.function = Some(own),
            }
        }
        Ok(loss)
    }
}

impl Loss {
    /// All losses with their usual constants: ours, then those registered.
    pub fn choices() -> Vec<Choice<LossKind>> {
        let registered = REGISTERED.all().into_iter();
        let registered = registered.map(|own| Choice::of(&*own, LossKind::Registered(own)));
        LOSSES.into_iter().chain(registered).collect()
    }

    /// The loss of one image and its gradient, with the terms that [`Self::terms`] gave.
    pub(crate) fn of_image<'a>(&self, terms: &'a LossTerms) -> Box<dyn LossFunction + 'a> {
        let Some(function) = self.function else {
            return loss_function(terms);
        };
        Box::new(move |logits: &[f32], label: u32, gradient: &mut [f32]| {
            let weights = terms.class_weights.as_deref();
            let weight = weights.map_or(1.0, |weights| weights[label as usize]);
            let loss = function.evaluate(logits, label as usize, gradient);
            gradient.iter_mut().for_each(|slope| *slope *= weight);
            weight * loss
        })
    }

    /// The loss's numbers for training on images with these labels, each below `classes`.
    ///
    /// # Errors
    /// [`TrainError::Config`] when there is not one given weight a class.
    pub fn terms(&self, labels: impl Iterator<Item = usize>, classes: usize) -> Result<LossTerms> {
        let class_weights = match &self.class_weights {
            ClassWeights::Equal => None,
            ClassWeights::Balanced => Some(balanced(labels, classes)),
            ClassWeights::Given(weights) if weights.len() == classes => Some(weights.clone()),
            ClassWeights::Given(weights) => {
                return Err(TrainError::Config {
                    field: "the loss's class weights".into(),
                    value: format!("{} numbers", weights.len()),
                    expected: format!("one for each of {classes} classes"),
                });
            }
        };
        Ok(LossTerms {
            gamma: self.focal,
            smoothing: self.label_smoothing,
            class_weights: class_weights.map(Into::into),
        })
    }

    pub(crate) fn check(&self) -> Result<()> {
        let given = match &self.class_weights {
            ClassWeights::Given(weights) => weights.as_slice(),
            _ => &[],
        };
        let not_below = |value: f32| value.is_finite() && value >= 0.0;
        let wrong = given.iter().copied().find(|weight| !not_below(*weight));
        let checks = [
            (not_below(self.focal), "focal gamma", self.focal),
            (wrong.is_none(), "class weights", wrong.unwrap_or(0.0)),
        ];
        let refuse = |name: &str, value: f32, expected: &str| {
            Err(TrainError::Config {
                field: format!("the loss's {name}"),
                value: value.to_string(),
                expected: expected.into(),
            })
        };
        if let Some((_, name, value)) = checks.into_iter().find(|(fine, ..)| !fine) {
            return refuse(name, value, "a finite number, at least 0");
        }
        if self.function.is_some() && (self.focal, self.label_smoothing) != (0.0, 0.0) {
            let (name, value) = match self.focal {
                0.0 => ("label smoothing", self.label_smoothing),
                gamma => ("focal gamma", gamma),
            };
            return refuse(name, value, "0 with a loss that is not ours");
        }
        match (0.0..1.0).contains(&self.label_smoothing) {
            true => Ok(()),
            false => refuse("label smoothing", self.label_smoothing, "in [0, 1)"),
        }
    }
}

/// `n / (classes · n_class)`; a class without images, which no step meets, counts 1.
fn balanced(labels: impl Iterator<Item = usize>, classes: usize) -> Vec<f32> {
    let mut counts = vec![0usize; classes];
    for label in labels {
        if let Some(count) = counts.get_mut(label) {
            *count += 1;
        }
    }
    let all: usize = counts.iter().sum();
    let weight = |&count: &usize| match count {
        0 => 1.0,
        _ => (all as f64 / (classes as f64 * count as f64)) as f32,
    };
    counts.iter().map(weight).collect()
}

/// The loss of one image, and its gradient, with these terms.
pub fn loss_function(terms: &LossTerms) -> Box<dyn LossFunction + '_> {
    if *terms == LossTerms::default() {
        return Box::new(cross_entropy);
    }
    Box::new(|logits: &[f32], label: u32, gradient: &mut [f32]| {
        let terms = terms.as_slices();
        softmax::loss(logits, &[label], logits.len(), terms, gradient)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_weights_give_every_class_the_same_sum() {
        // compute_class_weight("balanced", classes=[0, 1, 2], y=[0]*6 + [1]*3 + [2]) of scikit-learn
        let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2];
        let terms = Loss::from_str("class-weighted")
            .unwrap()
            .terms(labels.into_iter(), 3)
            .unwrap();
        let weights = terms.class_weights.unwrap();
        for (found, expected) in weights.iter().zip([0.555_555_6, 1.111_111, 3.333_333_3]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    struct Squares;

    impl Named for Squares {
        fn name(&self) -> &'static str {
            "squares"
        }

        fn about(&self) -> &'static str {
            "half the squared distance of the logits from the label's unit vector"
        }

        fn source(&self) -> &'static str {
            "Hui & Belkin 2021"
        }
    }

    impl ImageLoss for Squares {
        fn evaluate(&self, logits: &[f32], label: usize, gradient: &mut [f32]) -> f32 {
            for (class, (slope, logit)) in gradient.iter_mut().zip(logits).enumerate() {
                *slope = logit - f32::from(u8::from(class == label));
            }
            gradient.iter().map(|slope| slope * slope / 2.0).sum()
        }
    }

    #[test]
    fn a_registered_loss_is_one_like_ours() {
        register(&Squares).unwrap();
        assert!(register(&Squares).is_err());
        let loss: Loss = "squares".parse().unwrap();
        assert_eq!(
            serde_json::to_string(&loss).unwrap(),
            r#"{"function":"squares"}"#
        );
        let back: Loss = serde_json::from_str(r#"{"function":"squares"}"#).unwrap();
        assert_eq!(back, loss);
        assert!(serde_json::from_str::<Loss>(r#"{"function":"cubes"}"#).is_err());
        assert!("hinge".parse::<Loss>().unwrap_err().contains("squares"));

        loss.check().unwrap();
        let both: Loss = "squares+focal".parse().unwrap();
        assert!(both.check().unwrap_err().to_string().contains("focal"));

        let weighted: Loss = "class-weighted+squares".parse().unwrap();
        let terms = weighted.terms([0, 0, 0, 1].into_iter(), 2).unwrap();
        let mut gradient = [0.0; 2];
        let value = weighted
            .of_image(&terms)
            .evaluate(0, &[2.0, 0.5], 1, &mut gradient);
        // Class 1 has one image of four, where half would be its fair part.
        assert_eq!((value, gradient), (2.0 * 2.125, [2.0 * 2.0, 2.0 * -0.5]));
    }

    #[test]
    fn losses_combine_and_wrong_constants_are_refused() {
        let both: Loss = "focal:gamma=1+label-smoothing:amount=0.2".parse().unwrap();
        assert_eq!((both.focal, both.label_smoothing), (1.0, 0.2));
        assert_eq!("cross-entropy".parse(), Ok(Loss::default()));
        assert!("hinge".parse::<Loss>().unwrap_err().contains("focal"));
        let negative: Loss = "focal:gamma=-1".parse().unwrap();
        assert!(negative.check().unwrap_err().to_string().contains("gamma"));
        let all: Loss = "label-smoothing:amount=1".parse().unwrap();
        assert!(all.check().is_err());
        let few = Loss {
            class_weights: ClassWeights::Given(vec![1.0]),
            ..Loss::default()
        };
        assert!(few.terms([0].into_iter(), 2).is_err());
    }
}
