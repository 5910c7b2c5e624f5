//! Whatever numbers and labels a plot is given, it gives a well-formed drawing, the same each time.

mod common;

use common::hostile;
use hw_report::BadgeKind;
use hw_report::plots::{
    Axis, Band, Bin, Comparison, ComparisonRow, ConfusionMatrix, Estimate, GridImage, ImageGrid,
    Layer, LayerDiagram, LayerKind, LineChart, NARROW, Plot, Reliability, Scatter, ScatterPoint,
    Series, Style, Unit, WIDE,
};
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
        any::<bool>(),
        proptest::option::of((number(), number())),
    )
        .prop_map(|(label, unit, log, range)| {
            let axis = Axis::new(label).unit(unit);
            let axis = if log { axis.log() } else { axis };
            match range {
                Some((low, high)) => axis.range(low, high),
                None => axis,
            }
        })
}

/// Draws wide and narrow, and checks what must hold of every drawing.
fn check(plot: &dyn Plot) -> Result<(), TestCaseError> {
    for width in [WIDE, NARROW, 0.0, f64::NAN] {
        let svg = plot.draw(width);
        prop_assert_eq!(&svg, &plot.draw(width), "two drawings differ");
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
            .series(Series::over_seeds(labels[1].clone(), &runs, Band::StandardDeviation).dashed())
            .series(Series::new(labels[2].clone(), free).colour(usize::MAX));
        for (at, label) in marks {
            chart = chart.mark(at, label.clone()).reference(label, at);
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
        for (label, values, printed) in rows {
            let estimate = |(value, low, high)| Estimate::interval(value, low, high);
            let values = values.into_iter().map(|value| value.map(estimate)).collect();
            chart = chart.row(ComparisonRow::of_series(label, values).printed(printed));
        }
        check(&chart)?;
    }

    #[test]
    fn a_scatter_plot_never_fails(
        (x, y) in (axis(), axis()),
        points in vec((hostile(), number(), number(), any::<usize>(), any::<bool>()), 0..12),
    ) {
        let mut plot = Scatter::new(x, y).front();
        for (label, x, y, series, printed) in points {
            let point = ScatterPoint::new(label, x, y).series(series);
            plot = plot.point(if printed { point.printed() } else { point });
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
