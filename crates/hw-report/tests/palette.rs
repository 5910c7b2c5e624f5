//! Every color that text is written in can be read on the page, in light and in dark (WCAG 2.2,
//! contrast 4.5 to 1), and the first lines of a chart can be seen (3 to 1).

use std::collections::BTreeMap;

/// The verdicts' colors: text, fill and mark.
const VERDICTS: [&str; 6] = ["good", "bad", "neutral", "undecidable", "toosmall", "unrun"];

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
        let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("a color")) / 255.0;
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
            "ink", "muted", "faint", "link", "warn", "t1", "t2", "t3", "t4", "t5", "t6", "t7",
        ];
        let words = words.into_iter().chain(VERDICTS);
        for ground in ["--bg", "--sunken"] {
            for name in words.clone() {
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
fn both_palettes_declare_the_same_colors() {
    let [light, dark] = palettes();
    assert!(light.keys().eq(dark.keys()));
}

/// Linear red, green and blue of a color.
fn linear(hex: &str) -> [f64; 3] {
    [0, 2, 4].map(|at| {
        let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("a color")) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    })
}

fn times(matrix: &[[f64; 3]; 3], vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
}

/// CIE L*a*b* of linear sRGB under D65.
fn lab(rgb: [f64; 3]) -> [f64; 3] {
    const TO_XYZ: [[f64; 3]; 3] = [
        [0.412_456_4, 0.357_576_1, 0.180_437_5],
        [0.212_672_9, 0.715_152_2, 0.072_175_0],
        [0.019_333_9, 0.119_192_0, 0.950_304_1],
    ];
    let [x, y, z] = times(&TO_XYZ, rgb);
    let scaled = [x / 0.950_47, y, z / 1.088_83].map(|t: f64| {
        if t > 216.0 / 24_389.0 {
            t.cbrt()
        } else {
            (24_389.0 / 27.0 * t + 16.0) / 116.0
        }
    });
    let [x, y, z] = scaled;
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// What a person without one kind of cone sees (Machado, Oliveira and Fernandes 2009, severity 1,
/// on linear sRGB), and what others see.
const EYES: [(&str, [[f64; 3]; 3]); 4] = [
    (
        "normal",
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    ),
    (
        "protanopia",
        [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ],
    ),
    (
        "deuteranopia",
        [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_820, 0.042_940, 0.968_881],
        ],
    ),
    (
        "tritanopia",
        [
            [1.255_528, -0.076_749, -0.178_779],
            [-0.078_411, 0.930_809, 0.147_602],
            [0.004_733, 0.691_367, 0.303_900],
        ],
    ),
];

#[test]
fn any_two_verdicts_differ_for_every_kind_of_eye() {
    for palette in palettes() {
        for (eye, matrix) in &EYES {
            let seen = VERDICTS.map(|name| {
                let rgb = times(matrix, linear(&palette[&format!("--{name}")]));
                lab(rgb.map(|channel| channel.clamp(0.0, 1.0)))
            });
            for (first, second) in (0..6).flat_map(|a| (0..a).map(move |b| (a, b))) {
                let squares = seen[first].iter().zip(seen[second]);
                let distance = squares.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                let names = (VERDICTS[first], VERDICTS[second]);
                // 2.3 is a just noticeable difference of large patches side by side.
                assert!(distance >= 15.0, "{eye}: {names:?} {distance:.1}");
            }
        }
    }
}

#[test]
fn the_counts_in_a_verdict_bar_are_readable() {
    for palette in palettes() {
        for name in VERDICTS {
            let ratio = contrast(&palette["--on"], &palette[&format!("--{name}")]);
            assert!(ratio >= 4.5, "--on in --{name}: {ratio:.2}");
        }
    }
}
