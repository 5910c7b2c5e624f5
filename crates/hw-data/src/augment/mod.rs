//! Small random changes that make other handwriting of the same handwriting: shifted, turned, scaled,
//! sheared, bent elastically, partly erased. For training images only.
//!
//! Every change is one map of the plane, so an image is sampled once however many there are. What
//! happens to an image depends on (seed, epoch, image) alone, not on threads, batches or order.
//!
//! ```
//! use hw_data::augment::{Augment, Augmenter};
//! use hw_data::preprocess::Draw;
//!
//! let augment: Augment = "shift=2,rotate=10,elastic=1".parse()?;
//! let augmenter = Augmenter::new(&augment, [1, 28, 28], 42)?;
//! let image: Vec<u8> = (0..784).map(|i| if (350..420).contains(&i) { 255 } else { 0 }).collect();
//! let mut first = vec![0.0; 784];
//! augmenter.apply(&image, Draw { seed: 42, epoch: 0, index: 7 }, &mut first);
//! let mut again = vec![0.0; 784];
//! augmenter.apply(&image, Draw { seed: 42, epoch: 0, index: 7 }, &mut again);
//! assert_eq!(first, again);
//! augmenter.apply(&image, Draw { seed: 42, epoch: 1, index: 7 }, &mut again);
//! assert_ne!(first, again);
//! # Ok::<(), hw_data::DataError>(())
//! ```

mod field;
mod warp;

use crate::DataError;
use crate::preprocess::Draw;
use field::Field;
use hw_core::{Member, Named, RegisterError, Registry, Rng};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;
use std::str::FromStr;
use warp::{Affine, Canvas};

/// How much of each change is drawn for an image; 0 leaves a change out. Distances are in pixels of
/// the data set's images, angles in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Furthest shift along each axis; even in `-shift..=shift`.
    pub shift: f32,
    /// Largest rotation either way.
    pub rotate: f32,
    /// Largest change of size: the factor is even in logarithm between `1 / (1 + scale)` and `1 + scale`,
    /// drawn for each axis by itself.
    pub scale: f32,
    /// Largest slant either way.
    pub shear: f32,
    /// Root mean square of the elastic displacement along each axis (Simard, Steinkraus & Platt 2003
    /// use 1.38 on 28x28: their alpha of 34 at sigma 4).
    pub elastic: f32,
    /// Standard deviation of the Gaussian that smooths the elastic displacement.
    pub sigma: f32,
    /// Probability that a rectangle is erased (Zhong et al. 2020).
    pub erase: f32,
    /// Largest share of the image that is erased; the smallest is a tenth of it.
    pub erase_area: f32,
    /// How a value between pixels is made.
    #[serde(skip_serializing_if = "Interpolation::is_linear")]
    pub interpolation: Interpolation,
    /// One that another crate has [registered](register), done last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered: Option<Registered>,
}

/// A way to change images of another crate.
pub trait Augmentation: Named + Sync {
    /// The largest amount that makes sense; 0 is the smallest, and changes nothing.
    fn most(&self) -> f32;

    /// Changes an image in place, `amount` strongly: pixels on the 0..=1 scale, `shape` their
    /// `[channels, height, width]`. All that is random comes from `rng`, which is the image's own.
    fn apply(&self, image: &mut [f32], shape: [usize; 3], amount: f32, rng: &mut Rng);
}

/// An [`Augmentation`] of another crate and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// Which.
    #[serde(rename = "name", deserialize_with = "by_name")]
    pub augmentation: Member<dyn Augmentation>,
    /// How much, as the augmentation counts it.
    pub amount: f32,
}

static REGISTERED: Registry<dyn Augmentation> = Registry::new("augmentation", |name| {
    Augment::names().any(|own| own == name)
});

/// Adds a way to change images to those that are found by name. To be called when the program starts.
///
/// # Errors
/// [`RegisterError`] when the name is taken or cannot be written on a command line.
pub fn register(augmentation: &'static dyn Augmentation) -> Result<(), RegisterError> {
    REGISTERED.add(augmentation)
}

fn by_name<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Member<dyn Augmentation>, D::Error> {
    let name = String::deserialize(deserializer)?;
    let unknown = || de::Error::custom(format!("unknown augmentation \"{name}\""));
    REGISTERED.find(&name).ok_or_else(unknown)
}

/// How the value between pixels is made when an image is moved, turned or bent.
///
/// It decides how sharp a changed image is. Bilinear values are means of neighbours, so that a
/// network sees blurred images only, and is then tested on sharp ones; cubic ones keep the sharpness
/// of what is not changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// From four neighbours.
    #[default]
    Linear,
    /// From sixteen, by cubic convolution (Keys 1981), cut off at black and white.
    Cubic,
}

impl Interpolation {
    /// Every one, by name.
    pub const ALL: [(&'static str, Self); 2] = [("linear", Self::Linear), ("cubic", Self::Cubic)];

    fn is_linear(&self) -> bool {
        *self == Self::Linear
    }
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(_, one)| one == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

impl Default for Augment {
    /// Nothing changes.
    fn default() -> Self {
        Self {
            shift: 0.0,
            rotate: 0.0,
            scale: 0.0,
            shear: 0.0,
            elastic: 0.0,
            sigma: 4.0,
            erase: 0.0,
            erase_area: 0.2,
            interpolation: Interpolation::Linear,
            registered: None,
        }
    }
}

/// One way to change an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The field of [`Augment`] that says how much of it.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// Who proposed it; "-" where it is older than its papers.
    pub source: &'static str,
    /// The fields that shape it.
    pub constants: &'static [&'static str],
}

impl Change {
    const fn new(name: &'static str, about: &'static str, source: &'static str) -> Self {
        Self {
            name,
            about,
            source,
            constants: &[],
        }
    }
}

/// A field of [`Augment`] as the command line knows it.
struct Knob {
    name: &'static str,
    /// The largest value that makes sense; 0 is the smallest.
    most: f32,
    get: fn(&Augment) -> f32,
    set: fn(&mut Augment, f32),
}

macro_rules! knobs {
    ($($name:ident up to $most:expr),* $(,)?) => {
        /// Every field, declared once: reading, writing and checking go through this list.
        const KNOBS: &[Knob] = &[$(Knob {
            name: stringify!($name),
            most: $most,
            get: |augment| augment.$name,
            set: |augment, value| augment.$name = value,
        }),*];
    };
}

knobs! {
    shift up to 64.0,
    rotate up to 180.0,
    scale up to 4.0,
    shear up to 80.0,
    elastic up to 32.0,
    sigma up to 16.0,
    erase up to 1.0,
    erase_area up to 1.0,
}

/// The one field of [`Augment`] that is no number, by its name on the command line.
const INTERPOLATION: &str = "interpolation";

impl Augment {
    /// What usually helps with handwriting of 28x28 pixels, and what "standard" stands for.
    pub fn standard() -> Self {
        Self {
            shift: 2.0,
            rotate: 10.0,
            scale: 0.1,
            shear: 10.0,
            elastic: 1.0,
            interpolation: Interpolation::Cubic,
            ..Self::default()
        }
    }

    /// Ours of the names that [`str::parse`] understands, for messages and help.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let knobs = KNOBS.iter().map(|knob| knob.name);
        knobs.chain([INTERPOLATION])
    }

    /// The changes that can be asked for: ours, then those registered.
    pub fn changes() -> Vec<Change> {
        let registered = REGISTERED.all().into_iter();
        let registered = registered.map(|own| Change::new(own.name(), own.about(), own.source()));
        Self::CHANGES.into_iter().chain(registered).collect()
    }

    /// Our changes.
    pub const CHANGES: [Change; 7] = [
        Change::new(
            "shift",
            "moved along each axis by up to so many pixels",
            "-",
        ),
        Change::new(
            "rotate",
            "turned about the middle by up to so many degrees",
            "-",
        ),
        Change::new(
            "scale",
            "each axis by a factor between 1 / (1 + x) and 1 + x",
            "-",
        ),
        Change::new("shear", "slanted by up to so many degrees", "-"),
        Change {
            constants: &["sigma"],
            ..Change::new(
                "elastic",
                "bent by a smooth displacement of this root mean square, in pixels",
                "Simard, Steinkraus & Platt 2003",
            )
        },
        Change {
            constants: &["erase_area"],
            ..Change::new(
                "erase",
                "a rectangle of random size and place erased with this probability",
                "Zhong et al. 2020",
            )
        },
        Change::new(
            INTERPOLATION,
            "values between pixels: linear, which blurs, or cubic, which keeps images sharp",
            "Keys 1981",
        ),
    ];

    /// The value of a field by the name it has on the command line.
    pub fn get(&self, name: &str) -> Option<f32> {
        let knob = KNOBS.iter().find(|knob| knob.name == name);
        let registered = self
            .registered
            .filter(|own| own.augmentation.name() == name);
        knob.map(|knob| (knob.get)(self))
            .or(registered.map(|own| own.amount))
    }

    /// Whether images stay as they are.
    pub fn is_none(&self) -> bool {
        let Self {
            shift,
            rotate,
            scale,
            shear,
            elastic,
            erase,
            registered,
            ..
        } = *self;
        let amount = registered.map_or(0.0, |own| own.amount);
        [shift, rotate, scale, shear, elastic, erase, amount] == [0.0; 7]
    }

    /// Checks every number.
    ///
    /// # Errors
    /// [`DataError::Invalid`] naming the first that is out of its range.
    pub fn check(&self) -> Result<(), DataError> {
        for knob in KNOBS {
            let value = (knob.get)(self);
            if !(0.0..=knob.most).contains(&value) {
                let problem = format!("must be in 0..={}, not {value}", knob.most);
                return Err(DataError::invalid(
                    format!("augment {}", knob.name),
                    problem,
                ));
            }
        }
        if let Some(own) = &self.registered {
            let (name, most) = (own.augmentation.name(), own.augmentation.most());
            if !(0.0..=most).contains(&own.amount) {
                let problem = format!("must be in 0..={most}, not {}", own.amount);
                return Err(DataError::invalid(format!("augment {name}"), problem));
            }
        }
        if self.elastic > 0.0 && self.sigma < 0.5 {
            let problem = format!("must be at least 0.5 with elastic, not {}", self.sigma);
            return Err(DataError::invalid("augment sigma", problem));
        }
        Ok(())
    }
}

impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = Self::default();
        let changed = KNOBS
            .iter()
            .filter(|knob| (knob.get)(self) != (knob.get)(&plain));
        let mut words: Vec<String> = changed
            .map(|knob| format!("{}={}", knob.name, (knob.get)(self)))
            .collect();
        if self.interpolation != plain.interpolation {
            words.push(format!("{INTERPOLATION}={}", self.interpolation));
        }
        if let Some(own) = &self.registered {
            words.push(format!("{}={}", own.augmentation.name(), own.amount));
        }
        match words.is_empty() {
            true => f.write_str("none"),
            false => f.write_str(&words.join(",")),
        }
    }
}

impl FromStr for Augment {
    type Err = DataError;

    /// Reads "standard", "none", or `name=value` pairs separated by commas; "standard" may come first
    /// and be changed by what follows.
    fn from_str(text: &str) -> Result<Self, DataError> {
        let mut augment = Self::default();
        for (place, word) in text.split(',').map(str::trim).enumerate() {
            match (word, word.split_once('=')) {
                ("standard", _) if place == 0 => augment = Self::standard(),
                ("none", _) if place == 0 => {}
                (_, Some((name, value))) => augment.set(name.trim(), value.trim())?,
                _ => return Err(misspelt(word)),
            }
        }
        augment.check()?;
        Ok(augment)
    }
}

impl Augment {
    fn set(&mut self, name: &str, value: &str) -> Result<(), DataError> {
        if name == INTERPOLATION {
            let named = Interpolation::ALL.iter().find(|(name, _)| *name == value);
            let (_, interpolation) = named.ok_or_else(|| {
                let names = Interpolation::ALL.map(|(name, _)| name).join(" or ");
                let problem = format!("must be {names}, not \"{value}\"");
                DataError::invalid(format!("augment {name}"), problem)
            })?;
            self.interpolation = *interpolation;
            return Ok(());
        }
        let number = value.parse::<f32>().map_err(|_| {
            DataError::invalid(
                format!("augment {name}"),
                format!("\"{value}\" is no number"),
            )
        });
        let named = |knob: &&Knob| knob.name == name || knob.name.replace('_', "-") == name;
        if let Some(knob) = KNOBS.iter().find(named) {
            (knob.set)(self, number?);
            return Ok(());
        }
        let augmentation = REGISTERED.find(name).ok_or_else(|| misspelt(name))?;
        let amount = number?;
        let one = self.registered.replace(Registered {
            augmentation,
            amount,
        });
        match one.filter(|one| one.augmentation != augmentation) {
            None => Ok(()),
            Some(one) => {
                let problem = format!("cannot go with {}: one at most", one.augmentation.name());
                Err(DataError::invalid(format!("augment {name}"), problem))
            }
        }
    }
}

fn misspelt(word: &str) -> DataError {
    let registered = REGISTERED.all();
    let registered = registered.iter().map(|own| own.name());
    let names = Augment::names().chain(registered);
    let names: Vec<String> = names.map(|name| format!("{name}=X")).collect();
    let problem = format!(
        "does not know \"{word}\"; expected standard, none, or any of {}",
        names.join(",")
    );
    DataError::invalid("augment", problem)
}

/// A checked [`Augment`] for images of one shape, ready to work.
#[derive(Clone, Debug)]
pub struct Augmenter {
    augment: Augment,
    shape: [usize; 3],
    field: Option<Field>,
}

impl Augmenter {
    /// An augmenter for images of `shape` (`[channels, height, width]`). The elastic displacements of
    /// all images are cut from one large field that `seed` decides.
    ///
    /// # Errors
    /// As [`Augment::check`].
    pub fn new(augment: &Augment, shape: [usize; 3], seed: u64) -> Result<Self, DataError> {
        augment.check()?;
        let field = (augment.elastic > 0.0)
            .then(|| Field::new(augment.elastic, augment.sigma, [shape[1], shape[2]], seed));
        Ok(Self {
            augment: *augment,
            shape,
            field,
        })
    }

    /// Writes the changed image, pixels on the 0..=1 scale, to `out`. What would come from outside
    /// the image is ground (0).
    ///
    /// # Panics
    /// When `image` or `out` has not the shape's number of pixels.
    pub fn apply(&self, image: &[u8], draw: Draw, out: &mut [f32]) {
        let [channels, height, width] = self.shape;
        assert_eq!(image.len(), channels * height * width, "image size");
        assert_eq!(out.len(), image.len(), "output size");
        let place = (draw.epoch << 32) ^ u64::from(draw.index);
        let mut rng = Rng::stream(draw.seed, "augment", place);
        let affine = self.affine(&mut rng);
        let window = self.field.as_ref().map(|field| field.window(&mut rng));
        let planes = image.chunks_exact(height * width);
        for (plane, out) in planes.zip(out.chunks_exact_mut(height * width)) {
            Canvas::of(plane, height, width).warp(
                self.augment.interpolation,
                &affine,
                window.as_ref(),
                out,
            );
        }
        if self.augment.erase > 0.0 && rng.uniform() < self.augment.erase {
            self.erase(&mut rng, out);
        }
        if let Some(own) = &self.augment.registered {
            own.augmentation
                .apply(out, self.shape, own.amount, &mut rng);
        }
    }

    /// The map from a pixel of the result to where it comes from.
    fn affine(&self, rng: &mut Rng) -> Affine {
        let Augment {
            shift,
            rotate,
            scale,
            shear,
            ..
        } = self.augment;
        let [_, height, width] = self.shape;
        let mut either_way = |most: f32| rng.range(-most, most);
        let angle = either_way(rotate).to_radians();
        let slant = either_way(shear).to_radians().tan();
        let mut factor = || (either_way(1.0) * scale.ln_1p()).exp();
        let (tall, wide) = (factor(), factor());
        let (down, right) = (either_way(shift), either_way(shift));
        Affine::new(angle, slant, [tall, wide], [down, right], [height, width])
    }

    fn erase(&self, rng: &mut Rng, out: &mut [f32]) {
        let [_, height, width] = self.shape;
        let most = self.augment.erase_area;
        let area = rng.range(0.1 * most, most) * (height * width) as f32;
        // The sides' ratio is even in logarithm from 0.3 to 1 / 0.3, as in the paper.
        let ratio = (rng.range(-1.0, 1.0) * (1.0f32 / 0.3).ln()).exp();
        let side = |wanted: f32, most: usize| (wanted.round() as usize).clamp(1, most);
        let tall = side((area * ratio).sqrt(), height);
        let wide = side((area / ratio).sqrt(), width);
        let (top, left) = (rng.below(height - tall + 1), rng.below(width - wide + 1));
        for plane in out.chunks_exact_mut(height * width) {
            for row in plane.chunks_exact_mut(width).skip(top).take(tall) {
                row[left..left + wide].fill(0.0);
            }
        }
    }
}
