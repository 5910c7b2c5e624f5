//! Label spaces are merged downwards only, and shared images are found whatever their labels.

use crate::support::{classes, dataset, real_data};
use hw_data::catalogue::{BYCLASS, BYMERGE, DIGITS, HIRAGANA, LETTERS};
use hw_data::label_space::CommonSpace;
use hw_data::{Split, load, overlap};

fn common(model: &str, test: &str) -> CommonSpace {
    CommonSpace::of(&classes(model), &classes(test)).unwrap()
}

#[test]
fn the_smaller_space_is_the_common_one_whichever_side_has_it() {
    let spaces = [BYCLASS, BYMERGE, LETTERS, DIGITS];
    for model in &spaces[..2] {
        for test in &spaces {
            let space = common(model, test);
            let smaller = model.chars().count().min(test.chars().count());
            assert_eq!(space.classes().len(), smaller);
            assert_eq!(space.is_identity(), model == test);
        }
    }
}

#[test]
fn what_the_common_space_lacks_is_no_answer_and_no_question() {
    // A model of digits cannot be asked about letters; a model of all must not answer with them.
    let asked = common(DIGITS, BYCLASS);
    assert_eq!(asked.of_test().iter().flatten().count(), 10);
    let answers = common(BYCLASS, DIGITS);
    assert_eq!(answers.of_model().iter().flatten().count(), 10);
}

#[test]
fn spaces_without_a_common_one_are_refused() {
    for (model, test) in [(DIGITS, HIRAGANA), (LETTERS, DIGITS)] {
        let error = CommonSpace::of(&classes(model), &classes(test)).unwrap_err();
        assert!(error.to_string().contains("cannot be merged"), "{error}");
    }
}

#[test]
fn a_shared_image_is_found_and_a_pixel_of_difference_is_not_shared() {
    let train = dataset(30, 5);
    let mut test = train.subset(&[7, 2]);
    test.labels = vec![1, 1];
    assert_eq!(overlap::shared_with(&test, &train), [true, true]);
    let mut pixels = test.images.bytes().to_vec();
    pixels[24] ^= 1;
    test.images = hw_data::Images::new(pixels, 2, 1, 5, 5).unwrap();
    assert_eq!(overlap::shared_with(&test, &train), [false, true]);
}

#[test]
fn most_bymerge_test_images_are_byclass_training_images() {
    let Some(dirs) = real_data() else { return };
    let load = |name: &str, split| load(&name.parse().unwrap(), split, &dirs).unwrap();
    let train = load("emnist-byclass", Split::Train);
    let test = load("emnist-bymerge", Split::Test);
    let shared = overlap::shared_with(&test, &train);
    let share = shared.iter().filter(|&&shared| shared).count() as f64 / test.len() as f64;
    assert!((0.85..0.87).contains(&share), "{share}");
}
