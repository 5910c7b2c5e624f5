//! `hw cross`: leaky and leak-free side by side, and no credit for classes nobody told apart.

use crate::support::*;

#[test]
fn test_images_that_were_trained_on_are_counted_and_left_out() {
    // The test files are the training files: everything leaks.
    let leaky = folder();
    let mnist = leaky.path().join("mnist");
    std::fs::create_dir(&mnist).unwrap();
    for part in ["images-idx3", "labels-idx1"] {
        let from = small_data().join(format!("mnist/train-{part}-ubyte.gz"));
        for split in ["train", "t10k"] {
            std::fs::copy(&from, mnist.join(format!("{split}-{part}-ubyte.gz"))).unwrap();
        }
    }
    let run_folder = trained().join("run");
    let line = "cross --checkpoint {} --dataset mnist --json --data-dir {}";
    let answer = json(&run(line, &[&run_folder, leaky.path()]));
    let cell = &answer["cells"][0];
    assert_eq!(
        (&cell["shared"], &cell["leak_free"]),
        (&400.into(), &serde_json::Value::Null)
    );

    let answer = json(&run(line, &[&run_folder, small_data()]));
    let cell = &answer["cells"][0];
    assert_eq!(
        (&cell["shared"], &cell["merged"]),
        (&0.into(), &false.into())
    );
    assert_eq!(cell["all"], cell["leak_free"]);
}

#[test]
fn models_are_compared_on_the_same_images_and_in_classes_that_both_have() {
    let run_folder = trained().join("run");
    let line = "cross --checkpoint {} {} --dataset mnist glyphs --data-dir {}";
    let paths = [run_folder.as_path(), &run_folder, small_data()];
    let answer = json(&run(&format!("{line} --json"), &paths));
    assert_eq!(answer["cells"].as_array().unwrap().len(), 4);
    // Of the 62 characters only the ten digits are a question for a network of digits.
    let glyphs = &answer["cells"][2];
    assert_eq!(glyphs["classes"].as_array().unwrap().len(), 10);
    assert_eq!(glyphs["merged"], true);
    assert!(glyphs["left_out"].as_u64().unwrap() > glyphs["all"]["samples"].as_u64().unwrap());
    // A network never beats itself.
    for duel in answer["duels"].as_array().unwrap() {
        assert_eq!(
            (&duel["p_adjusted"], &duel["outcomes"]["only_first"]),
            (&1.0.into(), &0.into())
        );
    }
    let text = succeeded(&run(line, &paths));
    assert!(
        text.contains("leak-free") && text.contains("McNemar"),
        "{text}"
    );
}

#[test]
fn a_set_without_a_common_class_is_refused() {
    let line = "cross --checkpoint {} --dataset glyphs:hiragana --data-dir {}";
    let output = run(line, &[&trained().join("run"), small_data()]);
    failed(&output, &["cannot be merged"]);
}
