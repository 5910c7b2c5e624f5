//! A data set and an augmentation of another crate. Alone in their process: what is registered is listed
//! everywhere.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use hw_core::{Named, RegisterError, Rng};
use hw_data::augment::{self, Augmentation, Augmenter};
use hw_data::catalogue::{self, DataSource};
use hw_data::preprocess::Draw;
use hw_data::{Augment, DataDirs, DataError, Dataset, DatasetId, Images, Split};
use std::sync::Arc;

/// Two classes: dark images and light ones.
struct Shades;

impl Named for Shades {
    fn name(&self) -> &'static str {
        "shades"
    }

    fn about(&self) -> &'static str {
        "dark and light images"
    }

    fn source(&self) -> &'static str {
        "drawn for this test"
    }
}

impl DataSource for Shades {
    fn classes(&self) -> Arc<[String]> {
        ["dark", "light"].map(String::from).into()
    }

    fn load(&self, split: Split, _: &DataDirs) -> Result<Dataset, DataError> {
        let pixels = [[20; 4], [220; 4]].concat();
        let images = Images::new(pixels, 2, 1, 2, 2)?;
        Dataset::new(self.name(), split, images, vec![0, 1], self.classes())
    }

    fn is_synthetic(&self) -> bool {
        true
    }
}

#[test]
fn a_registered_data_set_is_found_loaded_and_listed_by_its_name() {
    assert!("shades".parse::<DatasetId>().is_err());
    catalogue::register(&Shades).unwrap();
    assert!(matches!(
        catalogue::register(&Shades),
        Err(RegisterError::Taken { .. })
    ));
    let id: DatasetId = "shades".parse().unwrap();
    assert_eq!(serde_json::to_string(&id).unwrap(), r#""shades""#);
    assert_eq!(
        serde_json::from_str::<DatasetId>(r#""shades""#).unwrap(),
        id
    );
    assert_eq!(
        (id.about(), id.is_synthetic()),
        ("dark and light images", true)
    );
    assert_eq!(id.classes().unwrap().len(), 2);
    assert!(DatasetId::all().contains(&id));

    let dirs = DataDirs::default();
    assert_eq!(hw_data::load(&id, Split::Test, &dirs).unwrap().len(), 2);
    let all = hw_data::load_all(&[id], &dirs).unwrap();
    assert_eq!(
        all.iter().map(|part| part.split).collect::<Vec<_>>(),
        [Split::Train, Split::Test]
    );
    let misspelt = "shadess".parse::<DatasetId>().unwrap_err().to_string();
    assert!(misspelt.contains("\"shades\""), "{misspelt}");
}

/// Lightens an image by up to `amount`.
struct Lighten;

impl Named for Lighten {
    fn name(&self) -> &'static str {
        "lighten"
    }

    fn about(&self) -> &'static str {
        "lighter by up to x"
    }

    fn source(&self) -> &'static str {
        "-"
    }
}

impl Augmentation for Lighten {
    fn most(&self) -> f32 {
        1.0
    }

    fn apply(&self, image: &mut [f32], shape: [usize; 3], amount: f32, rng: &mut Rng) {
        assert_eq!(shape, [1, 2, 2]);
        let by = rng.range(0.0, amount);
        image.iter_mut().for_each(|pixel| *pixel += by);
    }
}

#[test]
fn a_registered_augmentation_is_asked_for_checked_and_drawn_like_ours() {
    assert!("lighten=0.5".parse::<Augment>().is_err());
    augment::register(&Lighten).unwrap();
    assert!(augment::register(&Lighten).is_err());
    let lighten: Augment = "lighten=0.5".parse().unwrap();
    assert!(!lighten.is_none());
    assert_eq!(lighten.get("lighten"), Some(0.5));
    assert_eq!(lighten.to_string().parse::<Augment>().unwrap(), lighten);
    assert!("lighten=2".parse::<Augment>().is_err());
    assert!("lighten=much".parse::<Augment>().is_err());
    assert!("lighten=0".parse::<Augment>().unwrap().is_none());
    assert!(
        Augment::changes()
            .iter()
            .any(|change| change.name == "lighten")
    );

    let json = serde_json::to_value(lighten).unwrap();
    assert_eq!(
        json["registered"],
        serde_json::json!({"name": "lighten", "amount": 0.5})
    );
    assert_eq!(serde_json::from_value::<Augment>(json).unwrap(), lighten);
    let plain = serde_json::to_value(Augment::standard()).unwrap();
    assert!(plain.get("registered").is_none());

    let augmenter = Augmenter::new(&lighten, [1, 2, 2], 7).unwrap();
    let changed = |epoch| {
        let mut out = [0.0; 4];
        let draw = Draw {
            seed: 7,
            epoch,
            index: 3,
        };
        augmenter.apply(&[0, 51, 102, 0], draw, &mut out);
        out
    };
    let first = changed(0);
    assert!(first[0] > 0.0 && first[0] < 0.5 && first[0] == first[3]);
    assert_eq!(first, changed(0));
    assert_ne!(first, changed(1));
}
