//! Every colour that text is written in can be read on the page, in light and in dark (WCAG 2.2,
//! contrast 4.5 to 1), and the first lines of a chart can be seen (3 to 1).

use std::collections::BTreeMap;

/// The variables of the light and of the dark palette.
fn palettes() -> [BTreeMap<String, String>; 2] {
    let css = include_str!("../src/style/palette.css");
    let (light, dark) = css.split_once("@media").expect("a dark palette");
    [light, dark].map(|part| {
        let declarations = part
            .split([';', '{'])
            .filter_map(|line| line.trim().split_once(": #"));
        let named = declarations.filter(|(name, _)| name.starts_with("--"));
        named
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    })
}

fn luminance(hex: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("a colour")) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
}

fn contrast(a: &str, b: &str) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn text_is_readable_in_light_and_in_dark() {
    for palette in palettes() {
        let words = [
            "ink", "muted", "faint", "link", "good", "bad", "warn", "t1", "t2", "t3", "t4", "t5",
            "t6", "t7",
        ];
        for ground in ["--bg", "--sunken"] {
            for name in words {
                let ratio = contrast(&palette[&format!("--{name}")], &palette[ground]);
                assert!(ratio >= 4.5, "--{name} on {ground}: {ratio:.2}");
            }
        }
    }
}

#[test]
fn lines_are_visible_in_light_and_in_dark() {
    for palette in palettes() {
        for name in ["c1", "c2", "c3", "c7"] {
            let ratio = contrast(&palette[&format!("--{name}")], &palette["--bg"]);
            assert!(ratio >= 3.0, "--{name}: {ratio:.2}");
        }
    }
}

#[test]
fn both_palettes_declare_the_same_colours() {
    let [light, dark] = palettes();
    assert!(light.keys().eq(dark.keys()));
}
