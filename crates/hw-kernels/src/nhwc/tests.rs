//! Held against plain loops in f64 over all shapes: odd sizes, strides, uneven padding, channels
//! that fill no register.

use super::*;
use crate::geometry::{Conv2dConfig, Padding, Windows};
use hw_core::Rng;
use proptest::prelude::{Strategy, any, prop_assert, proptest};

pub(super) fn draws(rng: &mut Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.normal()).collect()
}

/// The sum of products of two vectors, in f64.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
    products.sum()
}

/// For every product of a convolution: indices into x, w (kh, kw, channel, output) and y.
fn products(conv: &Conv, images: usize, mut each: impl FnMut(usize, (usize, usize), usize)) {
    let w = &conv.windows;
    let (c, o) = (conv.channels, conv.outputs);
    for n in 0..images {
        for (oy, ox) in (0..w.output[0]).flat_map(|y| (0..w.output[1]).map(move |x| (y, x))) {
            for (i, j) in (0..w.kernel[0]).flat_map(|i| (0..w.kernel[1]).map(move |j| (i, j))) {
                let y = (oy * w.stride[0] + i).wrapping_sub(w.padding.top);
                let x = (ox * w.stride[1] + j).wrapping_sub(w.padding.left);
                if y >= w.input[0] || x >= w.input[1] {
                    continue;
                }
                for (ch, out) in (0..c).flat_map(|ch| (0..o).map(move |out| (ch, out))) {
                    let from = ((n * w.input[0] + y) * w.input[1] + x) * c + ch;
                    let to = ((n * w.output[0] + oy) * w.output[1] + ox) * o + out;
                    each(from, ((i * w.kernel[1] + j) * c + ch, out), to);
                }
            }
        }
    }
}

pub(super) fn close(ours: &[f32], exact: &[f64]) -> Result<(), String> {
    let scale = exact.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (a, b)) in ours.iter().zip(exact).enumerate() {
        let off = (f64::from(*a) - b).abs();
        if off.is_nan() || off > 2e-5 * scale {
            return Err(format!("element {i}: {a}, should be {b}"));
        }
    }
    Ok(())
}

fn shapes() -> impl Strategy<Value = (Conv, usize, u64)> {
    let sizes = (1usize..5, 1usize..5, 1usize..3, 1usize..3);
    let pads = (0usize..3, 0usize..3, 0usize..3, 0usize..3);
    let rest = (
        1usize..20,
        1usize..20,
        1usize..40,
        1usize..70,
        1usize..5,
        any::<u64>(),
    );
    // A few shapes have channels enough for the way tap by tap.
    (sizes, pads, rest, 0usize..4).prop_map(
        |((kh, kw, sh, sw), (t, b, l, r), (h, w, c, o, n, seed), wide)| {
            let (h, w, c, o) = if wide == 0 {
                (h % 4 + 1, w % 4 + 1, 90 + c, 90 + o)
            } else {
                (h, w, c, o)
            };
            let padding = Padding {
                top: t.min(kh - 1),
                bottom: b.min(kh - 1),
                left: l.min(kw - 1),
                right: r.min(kw - 1),
            };
            let stride = [sh, sw];
            let config = Conv2dConfig { stride, padding };
            let windows = Windows::of_conv([h.max(kh), w.max(kw)], [kh, kw], &config).unwrap();
            (Conv::new(c, o, windows), n, seed)
        },
    )
}

/// A convolution and all its gradients against the sums of their definition.
fn check(conv: &Conv, n: usize, seed: u64) {
    let mut rng = Rng::stream(seed, "test", 0);
    let x = draws(&mut rng, n * conv.input_len());
    let w = draws(&mut rng, conv.taps() * conv.outputs);
    let bias = draws(&mut rng, conv.outputs);
    let dy = draws(&mut rng, n * conv.output_len());
    let weight = |(row, out): (usize, usize)| row * conv.outputs + out;
    let mut y: Vec<f64> = (0..n * conv.output_len())
        .map(|i| f64::from(bias[i % conv.outputs]))
        .collect();
    let mut dw = vec![0.0f64; w.len()];
    let mut dx = vec![0.0f64; x.len()];
    products(conv, n, |from, tap, to| {
        y[to] += f64::from(x[from]) * f64::from(w[weight(tap)]);
        dw[weight(tap)] += f64::from(x[from]) * f64::from(dy[to]);
        dx[from] += f64::from(w[weight(tap)]) * f64::from(dy[to]);
    });

    let panels = conv.panels();
    let mut packed = vec![0.0; panels.len()];
    panels.fill(&mut packed, |row, out| w[weight((row, out))]);
    let mut ours = vec![f32::NAN; n * conv.output_len()];
    let finish = Finish {
        bias: Some(&bias),
        ..Finish::default()
    };
    forward(conv, &x, &packed, finish, &mut ours, n);
    close(&ours, &y).unwrap();
    let finish = Finish {
        accumulate: true,
        relu: true,
        bias: Some(&bias),
    };
    forward(conv, &x, &packed, finish, &mut ours, n);
    let twice: Vec<f64> = y.iter().map(|v| (2.0 * v).max(0.0)).collect();
    close(&ours, &twice).unwrap();

    let mut ours = vec![0.0f32; panels.len()];
    let mut scratch = vec![f32::NAN; conv.weight_scratch()];
    let all = conv.weight_blocks();
    for (times, add) in [(1.0, false), (2.0, true)] {
        for blocks in [0..all / 2, all / 2..all] {
            let (to, scratch) = (ours.as_mut_ptr(), &mut scratch);
            // SAFETY: one thread, and room for all panels.
            unsafe { conv.weight_gradient(&x, &dy, to, add, n, scratch, blocks) };
        }
        let unpacked: Vec<f32> = (0..w.len())
            .map(|i| ours[panels.at(i / conv.outputs, i % conv.outputs)])
            .collect();
        let expected: Vec<f64> = dw.iter().map(|v| times * v).collect();
        close(&unpacked, &expected).unwrap();
    }
    assert!(
        (0..conv.taps()).all(|row| {
            let (last, stride, real) = panels.panel(panels.count() - 1);
            ours[last + row * stride + real..last + (row + 1) * stride]
                .iter()
                .all(|v| *v == 0.0)
        }),
        "padding columns get no gradient"
    );

    let back = InputGradient::new(conv);
    let mut turned = vec![0.0; back.turned_len()];
    for unit in 0..back.transpose_units() {
        // SAFETY: one thread, and room for all panels.
        unsafe { back.transpose_unit(unit, &packed, turned.as_mut_ptr()) };
    }
    let mut ours = vec![f32::NAN; x.len()];
    let mut scratch = vec![f32::NAN; back.scratch()];
    back.run(&dy, &turned, false, &mut ours, n, &mut scratch);
    close(&ours, &dx).unwrap();
    back.run(&dy, &turned, true, &mut ours, n, &mut scratch);
    close(&ours, &dx.iter().map(|v| 2.0 * v).collect::<Vec<_>>()).unwrap();
}

/// As the name says.
fn forward(conv: &Conv, x: &[f32], packed: &[f32], finish: Finish<'_>, y: &mut [f32], n: usize) {
    if !conv.has_winograd() {
        let mut scratch = vec![f32::NAN; conv.forward_scratch()];
        return conv.forward(x, packed, finish, y, n, &mut scratch);
    }
    let mut prepared = vec![f32::NAN; conv.prepared_len()];
    let mut scratch = vec![f32::NAN; conv.prepared_scratch()];
    // SAFETY: one thread, and room for all weights and images.
    unsafe {
        for unit in 0..conv.prepare_units() {
            conv.prepare_unit(unit, packed, prepared.as_mut_ptr());
        }
        conv.forward_prepared(x, &prepared, finish, y.as_mut_ptr(), n, &mut scratch);
    }
}

/// Shapes to which Winograd's algorithm applies.
fn square_windows() -> impl Strategy<Value = (Conv, usize, u64)> {
    let sizes = (3usize..15, 3usize..15, 1usize..3, 2usize..5, 1usize..7);
    (sizes, any::<[bool; 4]>(), any::<u64>()).prop_map(|((h, w, c, o, n), pads, seed)| {
        let [top, bottom, left, right] = pads.map(usize::from);
        let padding = Padding {
            top,
            bottom,
            left,
            right,
        };
        let stride = [1, 1];
        let config = Conv2dConfig { stride, padding };
        let windows = Windows::of_conv([h, w], [3, 3], &config).unwrap();
        let conv = Conv::new(32 * c, 16 * o, windows).with_winograd();
        (conv, n, seed)
    })
}

proptest! {
    #[test]
    fn a_convolution_and_its_gradients_are_the_sums_of_their_definition((conv, n, seed) in shapes()) {
        check(&conv, n, seed);
    }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(32))]
    #[test]
    fn winograds_way_gives_the_same_sums((conv, n, seed) in square_windows()) {
        check(&conv, n, seed);
    }
}

proptest! {
    #[test]
    fn moments_do_not_lose_small_spreads_far_from_zero(seed in any::<u64>(), rows in 2usize..300) {
        let mut rng = Rng::stream(seed, "test", 0);
        let x: Vec<f32> = (0..rows * 3).map(|i| 1000.0 * (i % 3) as f32 + rng.normal()).collect();
        let mut moments = norm::Moments::new(3);
        let (first, second) = x.split_at(rows / 3 * 3);
        moments.add_rows(first);
        let mut other = norm::Moments::new(3);
        other.add_rows(second);
        moments.add(&other);
        for channel in 0..3 {
            let values: Vec<f64> = x.iter().skip(channel).step_by(3).map(|v| f64::from(*v)).collect();
            let mean = values.iter().sum::<f64>() / rows as f64;
            let spread: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
            prop_assert!((f64::from(moments.mean[channel]) - mean).abs() < 1e-3);
            prop_assert!((f64::from(moments.spread[channel]) - spread).abs() < 2e-3 * spread + 1e-3);
        }
        prop_assert!(moments.count == rows);
    }
}

proptest! {
    #[test]
    fn the_gradients_of_an_affine_map_are_the_sums_of_their_definition(
        rows in 1usize..60, c in 1usize..40, seed in any::<u64>(),
    ) {
        let mut rng = Rng::stream(seed, "test", 0);
        let [x, dy] = [(); 2].map(|()| draws(&mut rng, rows * c));
        let [scale, before] = [(); 2].map(|()| draws(&mut rng, c));
        let (mut dscale, mut dshift) = (before.clone(), before.clone());
        norm::affine_sums(&x, &dy, &mut dscale, &mut dshift);
        let mut dx = vec![f32::NAN; x.len()];
        norm::scale_channels(&dy, &scale, &mut dx);
        let sum = |channel: usize, term: &dyn Fn(usize) -> f64| -> f64 {
            let terms = (0..rows).map(|row| term(row * c + channel));
            f64::from(before[channel]) + terms.sum::<f64>()
        };
        let at = |values: &[f32], i: usize| f64::from(values[i]);
        let expected = |term: &dyn Fn(usize) -> f64| -> Vec<f64> {
            (0..c).map(|channel| sum(channel, term)).collect()
        };
        close(&dscale, &expected(&|i| at(&x, i) * at(&dy, i))).unwrap();
        close(&dshift, &expected(&|i| at(&dy, i))).unwrap();
        let expected: Vec<f64> = (0..x.len()).map(|i| at(&dy, i) * at(&scale, i % c)).collect();
        close(&dx, &expected).unwrap();
    }
}
