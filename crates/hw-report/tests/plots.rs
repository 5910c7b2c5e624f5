//! Whatever numbers and labels a plot is given, it gives a well-formed drawing, the same each time.

mod common;

use common::hostile;
use hw_report::BadgeKind;
use hw_report::plots::{
    Axis, Band, Bin, Comparison, ComparisonRow, ConfusionMatrix, Estimate, Forest, ForestAxis,
    ForestRow, GridImage, ImageGrid, Layer, LayerDiagram, LayerKind, LineChart, NARROW, Plot,
    Point, Reliability, Scatter, ScatterPoint, Series, Style, Unit, WIDE,
};
use hw_report::svg::{Svg, text_width};
use proptest::collection::vec;
use proptest::prelude::*;

/// Any number, with a liking for those that break things.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        0.0..1.0f64,
        prop::sample::select(
            &[
                0.0,
                -0.0,
                1.0,
                -1.0,
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::MAX,
                f64::MIN,
                f64::MIN_POSITIVE,
                5e-324,
                1e150,
                1e-150,
                0.99,
            ][..]
        ),
    ]
}

fn axis() -> impl Strategy<Value = Axis> {
    let units = [
        Unit::Number,
        Unit::Whole,
        Unit::Percent,
        Unit::Seconds,
        Unit::Count,
    ];
    let unit = prop::sample::select(units.to_vec());
    (
        hostile(),
        unit,
        (0..4u8, number(), any::<bool>()),
        vec(number(), 0..4),
        proptest::option::of((number(), number())),
    )
        .prop_map(|(label, unit, (scale, linear, signed), ticks, range)| {
            let axis = Axis::new(label).unit(unit);
            let axis = match scale {
                0 => axis,
                1 => axis.log(),
                2 => axis.symlog(linear),
                _ => axis.ticks(ticks),
            };
            let axis = if signed { axis.signed() } else { axis };
            match range {
                Some((low, high)) => axis.range(low, high),
                None => axis,
            }
        })
}

fn forest_row() -> impl Strategy<Value = ForestRow> {
    let estimate = (number(), number(), number());
    let kind = prop::sample::select(BadgeKind::ALL.to_vec());
    let reported = proptest::option::of((number(), any::<usize>()));
    let margin = proptest::option::of((number(), number()));
    let ours = proptest::option::of(estimate);
    (hostile(), kind, reported, ours, margin).prop_map(|(label, kind, reported, ours, margin)| {
        let mut row = ForestRow::new(label, kind);
        if let Some((value, decimals)) = reported {
            row = row.reported(value, decimals);
        }
        if let Some((value, low, high)) = ours {
            row = row.ours(Estimate::interval(value, low, high));
        }
        match margin {
            Some((low, high)) => row.margin(low, high),
            None => row,
        }
    })
}

/// Draws wide and narrow, and checks what must hold of every drawing.
fn check(plot: &dyn Plot) -> Result<(), TestCaseError> {
    for width in [WIDE, NARROW, 0.0, f64::NAN] {
        let svg = plot.draw(width);
        prop_assert_eq!(&svg, &plot.draw(width), "two drawings differ");
        check_svg(&svg)?;
    }
    Ok(())
}

fn check_svg(svg: &Svg) -> Result<(), TestCaseError> {
    prop_assert!(svg.width().is_finite() && svg.height().is_finite());
    let file = svg.to_standalone("<alt> & \"text\"");
    let parsed = roxmltree::Document::parse(&file);
    let parsed = parsed.map_err(|error| TestCaseError::fail(error.to_string()))?;
    for node in parsed.descendants().filter(|node| node.is_element()) {
        let name = node.tag_name().name();
        prop_assert!(
            !["script", "foreignObject", "a", "use"].contains(&name),
            "<{name}>"
        );
        for attribute in node.attributes() {
            prop_assert!(!attribute.name().starts_with("on"));
            prop_assert!(attribute.name() != "id", "an id could clash on the page");
            let coordinates = !["href", "class", "style", "role"].contains(&attribute.name());
            let odd = ["NaN", "inf"]
                .iter()
                .any(|word| attribute.value().contains(word));
            prop_assert!(!(coordinates && odd), "{}", attribute.value());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_line_chart_never_fails(
        (x, y) in (axis(), axis()),
        runs in vec(vec(number(), 0..20), 0..4),
        free in vec((number(), number()), 0..20),
        marks in vec((number(), hostile()), 0..3),
        labels in vec(hostile(), 3),
    ) {
        let mut chart = LineChart::new(x, y)
            .series(Series::over_seeds(labels[0].clone(), &runs, Band::MinMax))
            .series(
                Series::over_seeds(labels[1].clone(), &runs, Band::StandardDeviation)
                    .dashed()
                    .error_bars(),
            )
            .series(Series::new(labels[2].clone(), free).color(usize::MAX).error_bars());
        for (at, label) in marks {
            chart = chart.mark(at, label.clone()).reference(label, at).baseline(at);
        }
        check(&chart)?;
    }

    #[test]
    fn a_comparison_never_fails(
        axis in axis(),
        bars: bool,
        rows in vec((hostile(), vec(proptest::option::of((number(), number(), number())), 0..3), number()), 0..6),
        names in vec(hostile(), 0..3),
    ) {
        let style = if bars { Style::Bars } else { Style::Dots };
        let mut chart = Comparison::new(style, axis).series(names).whiskers("95 % interval");
        for (label, values, reported) in rows {
            let estimate = |(value, low, high)| Estimate::interval(value, low, high);
            let values = values.into_iter().map(|value| value.map(estimate)).collect();
            chart = chart.row(ComparisonRow::of_series(label, values).reported(reported));
        }
        check(&chart)?;
    }

    #[test]
    fn a_forest_plot_never_fails_in_a_figure_or_in_a_cell(
        (label, unit, words) in (hostile(), hostile(), hostile()),
        symlog in proptest::option::of(number()),
        range in proptest::option::of((number(), number())),
        margin in (number(), number()),
        ratio: bool,
        rows in vec(forest_row(), 0..6),
    ) {
        let mut axis = match ratio {
            true => ForestAxis::ratio(label, unit),
            false => ForestAxis::new(label, unit),
        };
        axis = axis.margin(margin.0, margin.1);
        if let Some(linear) = symlog {
            axis = axis.symlog(linear);
        }
        if let Some((low, high)) = range {
            axis = axis.range(low, high);
        }
        let shared = axis.clone().fit(&rows);
        let mut forest = Forest::new(axis.clone()).whiskers(words);
        for row in rows {
            for axis in [&axis, &shared] {
                let cell = axis.cell(&row);
                check_svg(&cell.svg)?;
                prop_assert!(cell.svg.body().len() < 1500, "{}", cell.svg.body());
                check_svg(&axis.heading().svg)?;
            }
            forest = forest.row(row);
        }
        check(&forest)?;
    }

    #[test]
    fn a_scatter_plot_never_fails(
        (x, y) in (axis(), axis()),
        points in vec((hostile(), number(), number(), any::<usize>(), any::<bool>()), 0..12),
    ) {
        let mut plot = Scatter::new(x, y).front();
        for (label, x, y, series, reported) in points {
            let point = ScatterPoint::new(label, x, y).series(series);
            plot = plot.point(if reported { point.reported() } else { point });
        }
        check(&plot)?;
    }

    #[test]
    fn a_confusion_matrix_never_fails(
        names in vec(hostile(), 0..40),
        counts in vec(vec(prop_oneof![Just(0), 0u64..50, any::<u64>()], 0..40), 0..40),
    ) {
        check(&ConfusionMatrix::new(names, counts))?;
    }

    #[test]
    fn a_reliability_diagram_never_fails(
        bins in vec((number(), number(), any::<u64>()), 0..12),
        note in hostile(),
    ) {
        let bin = |(confidence, accuracy, count)| Bin { confidence, accuracy, count };
        check(&Reliability::new(bins.into_iter().map(bin)).note(note))?;
    }

    #[test]
    fn a_layer_diagram_never_fails(
        layers in vec((hostile(), hostile(), vec(any::<usize>(), 0..5), any::<u64>()), 0..12),
    ) {
        let layer = |(name, detail, shape, count): (String, String, Vec<usize>, u64)| {
            Layer::new(LayerKind::Dense, name, &shape).detail(detail).parameters(count)
        };
        check(&LayerDiagram::new(layers.into_iter().map(layer)))?;
    }

    #[test]
    fn an_image_grid_never_fails(
        images in vec((vec(any::<u8>(), 0..40), 0usize..7, 0usize..7, hostile()), 0..12),
        tile in number(),
    ) {
        let image = |(pixels, width, height, caption): (Vec<u8>, usize, usize, String)| {
            GridImage::new(pixels, width, height, caption).verdict(BadgeKind::Muted)
        };
        check(&ImageGrid::new(images.into_iter().map(image)).tile(tile))?;
    }
}

#[test]
fn plots_of_the_usual_size_stay_within_the_width_they_are_given() {
    let counts = vec![vec![7; 10]; 10];
    let matrix = ConfusionMatrix::new((0..10).map(|index| index.to_string()), counts);
    let runs = [vec![0.9, 0.95, 0.99]];
    let chart = LineChart::new(
        Axis::new("epoch").unit(Unit::Whole),
        Axis::new("accuracy").percent(),
    )
    .series(Series::over_seeds("test", &runs, Band::MinMax));
    let plots: [&dyn Plot; 2] = [&matrix, &chart];
    for (plot, width) in plots.iter().flat_map(|plot| [(plot, WIDE), (plot, NARROW)]) {
        assert!(plot.draw(width).width() <= width);
    }
}

/// The texts of a drawing as boxes: left, top, right, bottom, and the words.
fn text_boxes(svg: &Svg) -> Vec<([f64; 4], String)> {
    let file = svg.to_standalone("");
    let parsed = roxmltree::Document::parse(&file).expect("a well-formed drawing");
    let texts = parsed
        .descendants()
        .filter(|node| node.has_tag_name("text"));
    texts
        .map(|node| {
            let at = |name| -> f64 {
                let value = node.attribute(name).expect("a place");
                value.parse().expect("a number")
            };
            let words = node.first_child().and_then(|child| child.text());
            let words = words.unwrap_or_default().to_owned();
            let class = node.attribute("class").unwrap_or_default();
            let has = |name| class.split(' ').any(|one| one == name);
            let size = if has("small") { 11.5 } else { 13.0 };
            let wide = text_width(&words, size);
            let left = match () {
                () if has("end") => at("x") - wide,
                () if has("mid") => at("x") - wide / 2.0,
                () => at("x"),
            };
            let (top, bottom) = (at("y") - 0.75 * size, at("y") + 0.22 * size);
            ([left, top, left + wide, bottom], words)
        })
        .collect()
}

/// Twenty claims with labels from one word to five lines.
fn many_rows() -> Vec<ForestRow> {
    let long = "convolutional network with batch normalization after every layer, over none; ";
    (0..20)
        .map(|index| {
            let value = f64::from(index - 8) * 1.37;
            let kind = BadgeKind::ALL[index as usize % 6];
            ForestRow::new(
                format!("{index}. {}", long.repeat(index as usize % 5)),
                kind,
            )
            .reported(-value, 2)
            .ours(Estimate::interval(value, value - 0.123, value + 12.0))
        })
        .collect()
}

#[test]
fn no_texts_of_a_forest_plot_touch_each_other_or_leave_it() {
    let axes = [
        ForestAxis::new("accuracy difference", "points"),
        ForestAxis::new("accuracy difference", "points").symlog(0.5),
        ForestAxis::ratio("training time", "times").range(0.5, 2.0),
    ];
    for (axis, width) in axes
        .iter()
        .flat_map(|axis| [(axis, WIDE), (axis, NARROW), (axis, 320.0)])
    {
        let forest = many_rows()
            .into_iter()
            .fold(Forest::new(axis.clone()), Forest::row);
        let svg = forest.whiskers("95 % interval over 5 seeds").draw(width);
        assert_eq!(svg.width(), width);
        let boxes = text_boxes(&svg);
        assert!(boxes.len() > 60 || width < WIDE, "{}", boxes.len());
        for (index, (a, words)) in boxes.iter().enumerate() {
            assert!(
                a[0] > -0.5 && a[2] < width + 0.5,
                "{words:?} leaves the plot at {width}: {a:?}"
            );
            assert!(a[1] >= 0.0 && a[3] <= svg.height(), "{words:?} at {width}");
            for (b, others) in &boxes[..index] {
                let apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
                assert!(
                    apart,
                    "{words:?} and {others:?} touch at {width}: {a:?} {b:?}"
                );
            }
        }
    }
}

#[test]
fn cells_on_a_shared_axis_have_their_zero_in_one_place() {
    let rows = many_rows();
    let axis = ForestAxis::new("difference", "points").fit(&rows);
    let zero = |row: &ForestRow| {
        let body = axis.cell(row).svg.body().to_owned();
        let from = body.find("<line class=\"axis\"").expect("a zero line");
        body[from..].split("/>").next().unwrap().to_owned()
    };
    let lines: std::collections::BTreeSet<String> = rows.iter().map(zero).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn a_value_beyond_the_axis_is_an_arrow_at_its_end() {
    let axis = ForestAxis::new("difference", "points").range(-1.0, 1.0);
    let cell = |reported, value| {
        let row = ForestRow::new("", BadgeKind::Good).reported(reported, 1);
        axis.cell(&row.ours(Estimate::exact(value))).svg
    };
    let inside = cell(0.5, -0.5);
    // The axis runs from 10 to 210: half a unit is 50 pixels.
    assert!(
        inside.body().contains("M160 4.5L165 9.5L160 14.5L155 9.5Z"),
        "{}",
        inside.body()
    );
    assert!(
        inside.body().contains("cx=\"60\" cy=\"24.5\""),
        "{}",
        inside.body()
    );
    let beyond = cell(40.0, -40.0);
    assert!(
        beyond.body().contains("M218 9.5L210 5.5L210 13.5Z"),
        "{}",
        beyond.body()
    );
    assert!(
        beyond.body().contains("M1 24.5L10 20.5L10 28.5Z"),
        "{}",
        beyond.body()
    );
    assert!(!beyond.body().contains("<circle"));
}

#[test]
fn an_axis_is_fitted_to_every_value_but_not_to_every_interval() {
    let row = |value: f64, half: f64| {
        ForestRow::new("", BadgeKind::TooSmall)
            .reported(1.0, 1)
            .ours(Estimate::interval(value, value - half, value + half))
    };
    let rows = [row(-1.0, 0.1), row(2.0, 500.0)];
    let axis = ForestAxis::new("difference", "").fit(&rows);
    let svg = axis.cell(&rows[1]).svg;
    // Points from −1 to 2, three apart: the interval may reach three further on either side, and
    // 3 % of that are left free. Zero is at 10 + 200 · 4.27 / 9.54.
    assert!(
        svg.body().contains("<line class=\"axis\" x1=\"99.52\""),
        "{}",
        svg.body()
    );
    assert!(svg.body().contains("<circle"), "{}", svg.body());
    // Both ends of the interval are open arrows at the ends of the axis.
    assert!(
        svg.body().contains("M14 19L10 24.5L14 30"),
        "{}",
        svg.body()
    );
    assert!(
        svg.body().contains("M206 19L210 24.5L206 30"),
        "{}",
        svg.body()
    );
}

#[test]
fn no_two_verdicts_share_a_mark() {
    let axis = ForestAxis::new("", "").range(-1.0, 1.0);
    let mark = |kind: BadgeKind| {
        let row = ForestRow::new("", kind).ours(Estimate::exact(0.0));
        let body = axis.cell(&row).svg.body().to_owned();
        // The shape without its color.
        body.replace("good", "")
            .replace("bad", "")
            .replace("neutral", "")
            .replace("undecidable", "")
            .replace("toosmall", "")
            .replace("muted", "")
    };
    let marks: std::collections::BTreeSet<String> = BadgeKind::ALL.into_iter().map(mark).collect();
    assert_eq!(marks.len(), 6);
}

#[test]
fn error_bars_of_two_arms_at_one_size_stand_side_by_side() {
    let arm = |label: &str, y: f64| {
        let point = |x: f64| Point {
            x,
            y,
            low: y - 0.5,
            high: y + 0.5,
        };
        Series::with_band(label, [1000.0, 10_000.0].map(point)).error_bars()
    };
    let x = Axis::new("training images")
        .unit(Unit::Count)
        .log()
        .ticks([1000.0, 10_000.0]);
    let chart = LineChart::new(x, Axis::new("difference").signed())
        .series(arm("a", 1.0))
        .series(arm("b", 1.2))
        .baseline(0.0)
        .reference("reported", 1.58);
    let body = chart.draw(WIDE).body().to_owned();
    let starts: Vec<f64> = ["s1 whisker\" d=\"M", "s2 whisker\" d=\"M"]
        .iter()
        .map(|start| {
            let (_, rest) = body.split_once(start).expect("error bars");
            rest.split(' ').next().unwrap().parse().unwrap()
        })
        .collect();
    assert!((starts[1] - starts[0] - 7.0).abs() < 0.02, "{starts:?}");
    assert!(!body.contains("band"));
    assert!(body.contains("reported +1.58"), "{body}");
    assert!(body.contains(">0.0<") && body.contains(">+1.0<"), "{body}");
}
