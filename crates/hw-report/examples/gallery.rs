//! One of everything a report can show, from invented numbers: `cargo run -p hw-report --example
//! gallery -- FOLDER` writes `gallery.html` and `gallery.md` there.

use hw_core::Rng;
use hw_report::plots::{
    Axis, Band, Bin, Comparison, ComparisonRow, ConfusionMatrix, Estimate, Forest, ForestAxis,
    ForestRow, GridImage, ImageGrid, Layer, LayerDiagram, LayerKind, LineChart, Point, Reliability,
    Scatter, ScatterPoint, Series, Style, Unit,
};
use hw_report::{
    Answer, BadgeKind, Block, Cell, Column, Document, Figure, KeyFigure, Notice, NoticeKind, Row,
    RowKind, Section, Table, Text, format,
};
use std::path::Path;

fn main() -> Result<(), hw_report::ReportError> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "results".into());
    let written = hw_report::write(&gallery(), Path::new(&folder), "gallery")?;
    println!("{}\n{}", written.html.display(), written.markdown.display());
    Ok(())
}

fn gallery() -> Document {
    Document {
        title: "A gallery of everything a report can show".into(),
        subtitle: "Invented numbers throughout: this page shows forms, not results".into(),
        banner: Some(Notice::new(
            NoticeKind::Synthetic,
            "Nothing on this page was measured. Every number comes from a random generator.",
        )),
        lead: lead(),
        sections: vec![
            text_section(),
            claims_section(),
            table_section(),
            plot_section(),
            image_section(),
        ],
        footer: Text::from("Made by ")
            .code("cargo run -p hw-report --example gallery")
            .plain("; no machine, no seeds, no data."),
    }
}

fn lead() -> Vec<Block> {
    let figure = |label: &str, value: String, detail: Text| KeyFigure::new(label, value, detail);
    vec![
        Block::paragraph(
            Text::from("A report opens with what a reader wants to know first: how many claims ")
                .badge(BadgeKind::Good, "reproduced")
                .plain(" and how many did not, on what scale, and where to ")
                .link("look closer", "#tables")
                .plain("."),
        ),
        answer(
            "Batch normalization on MNIST",
            [3, 1, 0, 0, 2, 1],
            "Decided on MNIST and EMNIST Digits at 10 000 to 60 000 training images, 5 seeds each.",
        ),
        answer(
            "A paper with a claim of every kind",
            [14, 2, 5, 3, 1, 1],
            "Synthetic data, 1000 images.",
        ),
        answer("A paper whose runs have not begun", [0, 0, 0, 0, 0, 9], ""),
        Block::KeyFigures(vec![
            figure(
                "Test accuracy",
                format::percent(0.9922, 2),
                Text::from("± 0.05 over 3 seeds; reported 99.22"),
            ),
            figure("Claims", "2 of 3".into(), Text::from("one within noise")),
            figure(
                "Training time",
                format::duration(43.7),
                Text::from("20 epochs, 2 cores"),
            ),
            figure(
                "Parameters",
                format::count(433_890),
                Text::from("of which 200 in batch normalization"),
            ),
        ]),
    ]
}

fn answer(title: &str, counts: [usize; 6], note: &str) -> Block {
    let counts = BadgeKind::ALL.into_iter().zip(counts);
    let title = Text::new().link(title, "#claims");
    Block::Answer(Answer::new(counts).title(title).note(note))
}

fn text_section() -> Section {
    Section::new(
        "Text",
        vec![
            Block::paragraph(
                Text::from("Running text has ")
                    .strong("important")
                    .plain(" and ")
                    .emphasis("stressed")
                    .plain(" words, ")
                    .code("names_to_be_typed")
                    .plain(", and whatever else it holds is shown as it is: <b>, a|b, $x$, *y*."),
            ),
            Block::notice(
                NoticeKind::Info,
                "A remark that is good to know, set apart from the running text.",
            ),
            Block::notice(
                NoticeKind::Warning,
                "The two test files share 16 478 images: a model selected on one knows part of the other.",
            ),
            Block::List {
                ordered: true,
                items: vec!["First this.".into(), "Then that.".into()],
            },
            Block::Code("hw train --model bn-cnn --dataset mnist \\\n  --optimizer momentum --lr 0.1 --batch 100 --epochs 20 --seed 1 --out runs/bn-cnn".into()),
            Block::details(
                "How the verdicts are decided",
                vec![Block::paragraph("By Welch's test over seeds at the 5 % level, say.")],
            ),
        ],
    )
}

/// A claim in words, its parts, and the size at which it was decided.
struct Claim {
    words: &'static str,
    verdict: BadgeKind,
    parts: Vec<ForestRow>,
    size: &'static str,
}

fn claims() -> Vec<Claim> {
    let part = |label: &str, kind, reported, value: f64, half: f64| {
        let ours = Estimate::interval(value, value - half, value + half);
        ForestRow::new(label, kind).reported(reported, 2).ours(ours)
    };
    let claim = |words, verdict, parts, size| Claim {
        words,
        verdict,
        parts,
        size,
    };
    vec![
        claim(
            "1. Batch normalization makes the network of fully connected layers more accurate.",
            BadgeKind::Good,
            vec![part("", BadgeKind::Good, 1.58, 4.02, 0.41)],
            "10 000 images, 5 seeds",
        ),
        claim(
            "2. It helps the convolutional network on both data sets.",
            BadgeKind::Bad,
            vec![
                part("MNIST", BadgeKind::Good, 0.52, 0.61, 0.13),
                part("EMNIST Digits", BadgeKind::Bad, 0.87, -0.44, 0.15),
            ],
            "60 000 images, 5 seeds",
        ),
        claim(
            "3. Dropout after the last layer changes nothing.",
            BadgeKind::Neutral,
            vec![part("", BadgeKind::Neutral, 0.02, 0.04, 0.19)],
            "60 000 images, 5 seeds",
        ),
        claim(
            "4. The larger batch is as accurate as the smaller one.",
            BadgeKind::TooSmall,
            vec![part("", BadgeKind::TooSmall, -0.1, -1.3, 9.0)],
            "1000 images, 2 seeds",
        ),
        claim(
            "5. Augmentation brings ten points.",
            BadgeKind::Undecidable,
            vec![part("", BadgeKind::Undecidable, 10.4, 2.2, 0.5)],
            "10 000 images, 5 seeds",
        ),
        claim(
            "6. An ensemble of seven is better than the best of its members.",
            BadgeKind::Muted,
            vec![ForestRow::new("", BadgeKind::Muted).reported(0.21, 2)],
            "not run",
        ),
    ]
}

fn claims_section() -> Section {
    let claims = claims();
    let axis = ForestAxis::new("accuracy difference", "points")
        .margin(-0.2, 0.2)
        .range(-3.0, 6.0);
    let columns = vec![
        Column::text("claim"),
        Column::text("difference")
            .unit("points; diamond: reported, mark: ours")
            .figure(axis.heading()),
        Column::text("verdict"),
        Column::text("decided at"),
    ];
    let mut table = Table::new("The claims of an invented paper", columns)
        .with_id("claims-table")
        .scale("MNIST and EMNIST Digits; 20 epochs; intervals of 95 % over seeds and test images.");
    for claim in claims {
        let drawn = claim.parts.iter().map(|row| axis.cell(row).captioned());
        let figures = drawn.fold(Cell::default(), Cell::figure);
        let badge = Text::new().badge(claim.verdict, claim.verdict.label());
        let cells = vec![
            Cell::new(claim.words),
            figures,
            badge.into(),
            claim.size.into(),
        ];
        let row = Row::new(cells);
        table.rows.push(match claim.verdict {
            BadgeKind::Muted => row,
            _ => row.details("Tests and sizes", claim_details()),
        });
    }
    let table =
        table.note("The gray band is the margin within which a difference does not matter.");
    let mut forest = Forest::new(
        ForestAxis::new("accuracy difference", "points")
            .margin(-0.2, 0.2)
            .symlog(1.0),
    )
    .whiskers("95 % interval over 5 seeds");
    for index in 0..20u32 {
        let mut rng = Rng::stream(u64::from(index), "gallery forest", 0);
        let kind = BadgeKind::ALL[index as usize % 6];
        let value = f64::from(rng.normal()) * 1.6f64.powi(index as i32 / 2);
        let half = 0.1 + 0.3 * value.abs() * f64::from(rng.uniform());
        let label = match index % 3 {
            0 => "Short label".to_owned(),
            1 => format!("Claim {index}: a label of middling length with numbers"),
            _ => format!(
                "Claim {index}: convolutional network with batch normalization after every layer, on images shifted by up to four pixels, over the same network without"
            ),
        };
        let row = ForestRow::new(label, kind).reported(value * 0.8 + 0.3, 2);
        forest = forest.row(match kind {
            BadgeKind::Muted => row,
            _ => row.ours(Estimate::interval(value, value - half, value + half)),
        });
    }
    let alt = forest.words();
    Section::new(
        "Claims",
        vec![
            Block::Table(table),
            Block::Figure(Figure::new(
                "forest",
                "Many claims as a forest plot.",
                alt,
                &forest,
            )),
            sizes(),
        ],
    )
    .with_id("claims")
}

fn claim_details() -> Vec<Block> {
    let columns = vec![
        Column::text("training images"),
        Column::number("difference").unit("points"),
        Column::number("p"),
    ];
    let table = Table::new("By size", columns)
        .row(vec![
            "1000".into(),
            "+5.1 [+3.9, +6.3]".into(),
            "0.0004".into(),
        ])
        .row(vec![
            "10 000".into(),
            "+4.0 [+3.6, +4.4]".into(),
            "0.0001".into(),
        ]);
    vec![
        Block::paragraph("Welch's t-test over five seeds, with Holm's correction for two sizes."),
        Block::Table(table),
    ]
}

/// A learning curve by size: differences at a few numbers of training images.
fn sizes() -> Block {
    let sizes = [1000.0, 3000.0, 10_000.0, 30_000.0, 60_000.0];
    let arm = |label: &str, first: f64, fall: f64| {
        let point = |(index, &x): (usize, &f64)| {
            let y = first - fall * index as f64;
            let half = 0.9 / (index as f64 + 1.0);
            Point {
                x,
                y,
                low: y - half,
                high: y + half,
            }
        };
        Series::with_band(label, sizes.iter().enumerate().map(point)).error_bars()
    };
    let x = Axis::new("training images")
        .unit(Unit::Count)
        .log()
        .ticks(sizes);
    let chart = LineChart::new(x, Axis::new("accuracy difference, points").signed())
        .series(arm("fully connected", 5.1, 0.55))
        .series(arm("convolutional", 2.4, 0.5))
        .series(arm("residual", 0.6, 0.2))
        .baseline(0.0)
        .reference("reported", 1.58);
    figure(
        "sizes",
        "The difference that batch normalization makes, by the number of training images: the mean \
         over five seeds and its 95 % interval.",
        &chart,
    )
}

fn table_section() -> Section {
    let verdict = |kind, words: &str| Cell::new(Text::new().badge(kind, words));
    let sub = "20 epochs, 3 seeds";
    let cells = |name: &str, year: &str, reported: &str, ours: Cell, verdict: Cell| {
        vec![
            name.into(),
            Cell::new(year),
            Cell::new(reported),
            ours,
            verdict,
        ]
    };
    let mut table = Table::new(
        "Table 1. Earlier work beside ours",
        vec![
            Column::text("model"),
            Column::text("authors"),
            Column::number("reported").unit("test accuracy, %"),
            Column::number("ours").unit("test accuracy, %"),
            Column::text("verdict"),
        ],
    )
    .with_id("table-1")
    .row(cells(
        "LeNet-5",
        "LeCun et al. 1998",
        "99.05",
        Cell::new("98.97 ± 0.08").detail(sub),
        verdict(BadgeKind::Neutral, "within noise"),
    ))
    .row(cells(
        "ANN with batch normalization (5 hidden layers of 100, sigmoid)",
        "Ioffe & Szegedy 2015",
        "95.2",
        Cell::new("97.81 ± 0.11").detail(sub),
        verdict(BadgeKind::Bad, "contradicted"),
    ))
    .row(cells(
        "CNN on noisy digits",
        "Han et al. 2019",
        "93",
        Cell::new("–"),
        verdict(BadgeKind::Muted, "not run"),
    ));
    let heading = Row::new(vec!["The paper's own model".into()]).kind(RowKind::Header);
    let own = Row::new(cells(
        "bn-cnn",
        "this paper",
        "99.22",
        Cell::new("99.18 ± 0.05").detail(sub),
        verdict(BadgeKind::Good, "reproduced"),
    ));
    table.rows.push(heading);
    table.rows.push(own.kind(RowKind::Emphasized));
    let table = table.note("Whiskers and ± are sample standard deviations over seeds.");
    Section::new(
        "Tables",
        vec![Block::Table(table), Block::Table(long_table())],
    )
    .with_id("tables")
}

fn long_table() -> Table {
    let columns = vec![
        Column::text("class"),
        Column::number("images"),
        Column::number("precision").unit("%"),
        Column::number("recall").unit("%"),
        Column::number("F1").unit("%"),
        Column::number("AUROC"),
        Column::number("most often taken for"),
        Column::number("time per image").unit("batch 1"),
    ];
    let mut rng = Rng::stream(2, "gallery", 0);
    let mut table = Table::new("A long table keeps its header in sight", columns);
    for class in ('0'..='9').chain('A'..='Z') {
        let mut share = || Cell::new(format::fixed(f64::from(rng.range(90.0, 99.9)), 2));
        let cells = vec![
            Cell::new(class.to_string()),
            Cell::new(format::count(1000 + 37 * class as u64)),
            share(),
            share(),
            share(),
            Cell::new("0.9998"),
            Cell::new("4 (1.2 %)"),
            Cell::new(format::duration(3.8e-5)),
        ];
        table = table.row(cells);
    }
    table
}

fn plot_section() -> Section {
    let figures = [
        ("Learning curves", learning_curves()),
        ("Comparisons", comparisons()),
        ("Confusion", confusion()),
        ("Costs and confidence", scatter()),
        ("Networks", vec![layers()]),
    ];
    let sections = figures.map(|(title, blocks)| Section::new(title, blocks));
    Section::new("Plots", Vec::new()).with_subsections(sections.to_vec())
}

/// Falling curves of a few seeds, from `start` towards `end`.
fn runs(start: f64, end: f64, pace: f64, noise: f32, stream: u64) -> Vec<Vec<f64>> {
    (0..3)
        .map(|seed| {
            let mut rng = Rng::stream(seed, "gallery", stream);
            let fall = |epoch: f64| end + (start - end) * (-epoch / pace).exp();
            (0..20)
                .map(|epoch| fall(f64::from(epoch)) * f64::from(1.0 + noise * rng.normal()))
                .collect()
        })
        .collect()
}

fn learning_curves() -> Vec<Block> {
    let epochs = || Axis::new("epoch").unit(Unit::Whole);
    let right = |wrong: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
        let invert = |run: Vec<f64>| run.into_iter().map(|share| 1.0 - share).collect();
        wrong.into_iter().map(invert).collect()
    };
    let series = |name: &str, runs: &[Vec<f64>]| Series::over_seeds(name, runs, Band::MinMax);
    let accuracy = LineChart::new(epochs(), Axis::new("accuracy").percent())
        .series(series("training", &right(runs(0.05, 0.0004, 3.0, 0.12, 1))))
        .series(series(
            "validation",
            &right(runs(0.034, 0.0105, 2.4, 0.05, 2)),
        ))
        .series(series("test", &right(runs(0.031, 0.0085, 2.4, 0.05, 3))))
        .reference("reported", 0.9922)
        .mark(14.0, "best epoch");
    let loss = LineChart::new(epochs(), Axis::new("cross-entropy").log())
        .series(series("training", &runs(0.2, 0.0003, 2.2, 0.2, 4)))
        .series(series("validation", &runs(0.11, 0.035, 2.4, 0.05, 5)))
        .mark(14.0, "best epoch");
    let noisy = |name: &str, fall: f64| {
        let at = move |level: i32| 0.991 - fall * (f64::from(level) / 8.0).powi(2);
        let point = move |level: i32| Point {
            x: f64::from(level) * 0.1,
            y: at(level),
            low: at(level) - 0.01 * f64::from(level) * 0.5,
            high: (at(level) + 0.01 * f64::from(level) * 0.4).min(1.0),
        };
        Series::with_band(name, (0..9).map(point))
    };
    let noise = LineChart::new(
        Axis::new("noise, standard deviation"),
        Axis::new("accuracy").percent(),
    )
    .series(noisy("trained on clean images", 0.55))
    .series(noisy("trained on noisy images", 0.12).dashed());
    vec![
        figure(
            "accuracy",
            "Accuracy by epoch: mean of three seeds, band from lowest to highest.",
            &accuracy,
        ),
        figure("loss", "Loss by epoch on a logarithmic scale.", &loss),
        figure(
            "noise",
            "Accuracy under noise. Labels too long for line ends become a legend.",
            &noise,
        ),
        Block::Columns(vec![
            plain_figure("theirs", "Theirs, redrawn from the reported values.", &loss),
            plain_figure("ours", "Ours, three seeds.", &accuracy),
        ]),
    ]
}

fn comparisons() -> Vec<Block> {
    let names = ["Momentum", "Adam", "AdaGrad", "SGD"];
    let values = [0.9921, 0.9915, 0.9902, 0.9869];
    let reported = [Some(0.9922), None, Some(0.9895), Some(0.9931)];
    let mut forest = Comparison::new(Style::Dots, Axis::new("test accuracy").percent())
        .whiskers("95 % interval");
    let mut bars = Comparison::new(Style::Bars, Axis::new("training time").unit(Unit::Seconds))
        .series(["ours", "PyTorch"])
        .whiskers("lowest to highest of 3 runs");
    for (index, name) in names.into_iter().enumerate() {
        let value = values[index];
        let estimate = Estimate::interval(value, value - 0.0011, value + 0.0009);
        let mut row = ComparisonRow::new(name, Some(estimate));
        if let Some(value) = reported[index] {
            row = row.reported(value);
        }
        forest = forest.row(if index == 0 { row.strong() } else { row });
        let time = 43.0 + 9.0 * index as f64;
        let pair = vec![
            Some(Estimate::interval(time, time - 2.0, time + 4.0)),
            (index != 2).then(|| Estimate::interval(2.3 * time, 2.2 * time, 2.5 * time)),
        ];
        bars = bars.row(ComparisonRow::of_series(name, pair));
    }
    let label = "The same with weights drawn as He et al. and a name too long for its column";
    forest = forest.row(ComparisonRow::new(label, None).reported(0.9905));
    vec![
        figure(
            "dots",
            "Small differences: dots with whiskers on a fitted axis.",
            &forest,
        ),
        figure("bars", "Amounts: bars from zero.", &bars),
    ]
}

fn matrix(classes: &[String], per_class: u64) -> ConfusionMatrix {
    let size = classes.len();
    let mut rng = Rng::stream(5, "gallery", size as u64);
    let counts = (0..size).map(|truth| {
        let mut row = vec![0u64; size];
        let errors = rng.below(per_class as usize / 12 + 1) as u64;
        for _ in 0..errors {
            // Squaring favors the first few classes after the true one.
            let step = (rng.uniform() * rng.uniform() * size as f32) as usize + 1;
            row[(truth + step) % size] += 1;
        }
        row[truth] += per_class - errors;
        row
    });
    let counts = counts.collect();
    ConfusionMatrix::new(classes.iter().cloned(), counts)
}

fn confusion() -> Vec<Block> {
    let all: Vec<String> = ('0'..='9')
        .chain('A'..='Z')
        .chain('a'..='z')
        .map(String::from)
        .collect();
    let digits = matrix(&all[..10], 1000);
    let letters = matrix(&all[10..36], 400);
    let everything = matrix(&all, 900);
    let mut blocks = vec![
        figure("confusion-10", "Ten classes: counts in the cells.", &digits),
        figure("confusion-26", "Twenty-six classes.", &letters),
        figure(
            "confusion-62",
            "Sixty-two classes: shades only; a phone scrolls it.",
            &everything,
        ),
    ];
    let kana = [
        "お o", "き ki", "す su", "つ tsu", "な na", "は ha", "ま ma", "や ya", "れ re", "を wo",
    ];
    let kana = matrix(&kana.map(String::from), 1000);
    blocks.push(Block::Columns(vec![
        plain_figure("kana", "Long class names stand upright.", &kana),
        plain_figure("digits-again", "Side by side.", &digits),
    ]));
    blocks
}

fn scatter() -> Vec<Block> {
    let time = Axis::new("training time, 2 cores")
        .unit(Unit::Seconds)
        .log();
    let mut plot = Scatter::new(time, Axis::new("test accuracy").percent()).front();
    let models = [
        ("ann", 9.0, 0.953),
        ("ann-bn", 14.0, 0.978),
        ("lenet5", 31.0, 0.9895),
        ("lenet5-1998", 120.0, 0.9893),
        ("bn-cnn", 44.0, 0.9918),
        ("simple-cnn", 51.0, 0.9915),
        ("ji-cnn", 160.0, 0.9921),
        ("residual", 2400.0, 0.9953),
        ("resnet50", 19_000.0, 0.9949),
        ("custom-vgg", 9000.0, 0.9957),
    ];
    for (name, seconds, accuracy) in models {
        plot = plot.point(ScatterPoint::new(name, seconds, accuracy));
    }
    plot = plot.point(ScatterPoint::new("bn-cnn, reported", 1200.0, 0.9922).reported());
    let mut rng = Rng::stream(3, "gallery", 0);
    let bins = (0..10).map(|bin| {
        let confidence = 0.05 + 0.1 * f64::from(bin);
        Bin {
            confidence,
            accuracy: (confidence - 0.12 * (1.0 - confidence) + 0.04 * f64::from(rng.normal()))
                .clamp(0.0, 1.0),
            count: if bin < 2 { 0 } else { 3u64.pow(bin) },
        }
    });
    let reliability = Reliability::new(bins).note("calibration error 1.8 %");
    vec![
        figure("pareto", "Accuracy against training time.", &plot),
        figure(
            "reliability",
            "Is the model right as often as it says?",
            &reliability,
        ),
    ]
}

fn layers() -> Block {
    let diagram = LayerDiagram::new([
        Layer::new(LayerKind::Data, "image", &[1, 28, 28]),
        Layer::new(LayerKind::Convolution, "convolution", &[30, 24, 24])
            .detail("30 at 5×5")
            .parameters(780),
        Layer::new(LayerKind::Activation, "ReLU", &[30, 24, 24]),
        Layer::new(LayerKind::Pooling, "max-pool", &[30, 12, 12]).detail("2×2, stride 2"),
        Layer::new(LayerKind::Dense, "affine", &[100]).parameters(432_100),
        Layer::new(LayerKind::Normalization, "batch norm", &[100]).parameters(200),
        Layer::new(LayerKind::Activation, "ReLU", &[100]),
        Layer::new(LayerKind::Dense, "affine", &[10]).parameters(1010),
        Layer::new(LayerKind::Data, "softmax", &[10]),
    ]);
    figure("layers", "A network, layer by layer.", &diagram)
}

fn image_section() -> Section {
    let images = (0..10).map(|index| {
        let sure = format::percent(0.99 - 0.05 * f64::from(index), 0);
        let said = (index + 3) % 10;
        let verdict = if index % 3 == 0 {
            BadgeKind::Good
        } else {
            BadgeKind::Bad
        };
        let caption = format!("true {index}, said {said}, {sure}");
        GridImage::new(stroke(index as u64), 28, 28, caption).verdict(verdict)
    });
    let grid = ImageGrid::new(images);
    Section::new(
        "Images",
        vec![figure(
            "examples",
            "Invented strokes, twenty-eight pixels square.",
            &grid,
        )],
    )
}

/// A smooth random stroke: ink falls off with the distance to a circle's arc.
fn stroke(index: u64) -> Vec<u8> {
    let mut rng = Rng::stream(index, "gallery stroke", 0);
    let (cx, cy, radius) = (
        rng.range(11.0, 17.0),
        rng.range(11.0, 17.0),
        rng.range(5.0, 9.0),
    );
    let open = rng.range(-3.0, 3.0);
    let pixel = |at: usize| {
        let (x, y) = ((at % 28) as f32 - cx, (at / 28) as f32 - cy);
        let distance = ((x * x + y * y).sqrt() - radius).abs();
        let gap = (y.atan2(x) - open).abs() < 0.7;
        let ink = if gap {
            0.0
        } else {
            (2.2 - distance).clamp(0.0, 1.0)
        };
        (ink * 255.0) as u8
    };
    (0..28 * 28).map(pixel).collect()
}

fn plain_figure(id: &str, caption: &str, plot: &dyn hw_report::plots::Plot) -> Figure {
    Figure::new(id, caption, format!("Invented data. {caption}"), plot)
}

fn figure(id: &str, caption: &str, plot: &dyn hw_report::plots::Plot) -> Block {
    Block::Figure(plain_figure(id, caption, plot))
}
