//! Every gradient against finite differences of the forward pass in double precision, and single
//! precision against double.
#![allow(clippy::unwrap_used)] // in the helpers of tests, too

use candle_core::{DType, Device, Tensor, Var};
use hw_core::rng::Rng;
use hw_kernels::{Activation, Conv2dConfig, LossTerms, Padding, Pool2dConfig, Result, Windows};

type Op = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;

/// An operation with the shapes of its arguments.
struct Subject {
    name: String,
    shapes: Vec<Vec<usize>>,
    op: Op,
}

fn subject(
    name: impl ToString,
    shapes: &[&[usize]],
    op: impl Fn(&[Tensor]) -> Result<Tensor> + 'static,
) -> Subject {
    Subject {
        name: name.to_string(),
        shapes: shapes.iter().map(|shape| shape.to_vec()).collect(),
        op: Box::new(op),
    }
}

const UNEVEN: Padding = Padding {
    top: 1,
    bottom: 0,
    left: 2,
    right: 1,
};

fn subjects() -> Vec<Subject> {
    let mut all = vec![
        subject("linear", &[&[5, 7], &[3, 7], &[3]], |t| {
            hw_kernels::linear(&t[0], &t[1], Some(&t[2]))
        }),
        subject("rbf", &[&[4, 19], &[5, 19]], |t| {
            hw_kernels::rbf(&t[0], &t[1])
        }),
        subject("channel_scale_shift", &[&[2, 3, 4, 5], &[3], &[3]], |t| {
            hw_kernels::channel_scale_shift(&t[0], &t[1], &t[2])
        }),
        subject("global_avg_pool", &[&[2, 3, 5, 7]], |t| {
            hw_kernels::global_avg_pool(&t[0])
        }),
        subject("softmax", &[&[4, 6]], |t| hw_kernels::softmax(&t[0])),
        subject("log_softmax", &[&[4, 6]], |t| {
            hw_kernels::log_softmax(&t[0])
        }),
        subject("cross-entropy", &[&[4, 6]], |t| {
            let labels = Tensor::new(&[5u32, 0, 3, 3], &Device::Cpu)?;
            hw_kernels::softmax_cross_entropy(&t[0], &labels)
        }),
        subject("loss with all terms", &[&[4, 6]], |t| {
            let labels = Tensor::new(&[5u32, 0, 3, 3], &Device::Cpu)?;
            let terms = LossTerms {
                gamma: 1.5,
                smoothing: 0.1,
                class_weights: Some([1.0f32, 2.0, 0.5, 3.0, 1.0, 0.25][..].into()),
            };
            hw_kernels::softmax_loss(&t[0], &labels, &terms)
        }),
        subject("dropout", &[&[4, 50]], |t| {
            hw_kernels::dropout(&t[0], 0.3, 9)
        }),
    ];
    for shape in [&[9usize, 4][..], &[3, 4, 5, 3]] {
        all.push(subject("batch_norm_train", &[shape, &[4], &[4]], |t| {
            Ok(hw_kernels::batch_norm_train(&t[0], &t[1], &t[2], 1e-3)?.0)
        }));
        all.push(subject("batch_norm_eval", &[shape, &[4], &[4]], |t| {
            let mean = Tensor::new(&[0.1f32, -0.2, 0.3, 0.0], &Device::Cpu)?;
            let variance = Tensor::new(&[1f32, 0.5, 2.0, 0.1], &Device::Cpu)?;
            let [mean, variance] = [mean, variance].map(|m| m.to_dtype(t[0].dtype()));
            hw_kernels::batch_norm_eval(&t[0], &t[1], &t[2], &mean?, &variance?, 1e-3)
        }));
    }
    for activation in Activation::ALL {
        all.push(subject(activation, &[&[3, 17]], move |t| {
            hw_kernels::activate(&t[0], &activation)
        }));
    }
    for (kernel, stride, padding) in [
        ([5, 5], [1, 1], Padding::zero()),
        ([3, 4], [1, 1], UNEVEN),
        ([3, 3], [2, 3], UNEVEN),
        ([3, 3], [2, 2], Padding::symmetric(1)),
    ] {
        let config = Conv2dConfig { stride, padding };
        let weights = [4, 2, kernel[0], kernel[1]];
        all.push(subject(
            format!("conv2d {kernel:?}"),
            &[&[3, 2, 8, 9], &weights, &[4]],
            move |t| hw_kernels::conv2d(&t[0], &t[1], Some(&t[2]), &config),
        ));
        let pool = Pool2dConfig {
            kernel,
            stride,
            padding,
        };
        all.push(subject(
            format!("max_pool2d {kernel:?}"),
            &[&[2, 3, 8, 9]],
            move |t| hw_kernels::max_pool2d(&t[0], &pool),
        ));
        for with_pad in [false, true] {
            all.push(subject(
                format!("avg_pool2d {kernel:?}"),
                &[&[2, 3, 8, 9]],
                move |t| hw_kernels::avg_pool2d(&t[0], &pool, with_pad),
            ));
        }
    }
    all
}

/// A tensor whose values are all different and none within `gap / 2` of zero, so that a small step
/// passes no kink of ReLU or of a maximum.
fn spread(shape: &[usize], gap: f32, rng: &mut Rng) -> Tensor {
    let count: usize = shape.iter().product();
    let order = rng.permutation(count);
    let values = order
        .into_iter()
        .map(|i| gap * (i as f32 + 0.5 - (count / 2) as f32));
    Tensor::from_vec(values.collect::<Vec<f32>>(), shape, &Device::Cpu).unwrap()
}

fn normal(shape: &[usize], rng: &mut Rng) -> Tensor {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    let [a, b] = [a, b].map(|t| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap());
    (a * b).unwrap().sum_all().unwrap().to_scalar().unwrap()
}

fn double(t: &Tensor) -> Tensor {
    t.to_dtype(DType::F64).unwrap()
}

fn numbers(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

impl Subject {
    fn arguments(&self, rng: &mut Rng) -> Vec<Tensor> {
        let first = spread(&self.shapes[0], 0.02, rng);
        let others = self.shapes[1..].iter().map(|shape| normal(shape, rng));
        std::iter::once(first)
            .chain(others.collect::<Vec<_>>())
            .collect()
    }

    /// The gradients of `Σ dy op(arguments)`, computed in `dtype`.
    fn gradients(&self, arguments: &[Tensor], dy: Option<&Tensor>, dtype: DType) -> Vec<Tensor> {
        let variable = |t: &Tensor| Var::from_tensor(&t.to_dtype(dtype).unwrap()).unwrap();
        let variables: Vec<Var> = arguments.iter().map(variable).collect();
        let tensors: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
        let y = (self.op)(&tensors).unwrap();
        let dy = dy.map(|dy| dy.to_dtype(dtype).unwrap());
        let loss = dy
            .map_or(y.clone(), |dy| (y * dy).unwrap())
            .sum_all()
            .unwrap();
        let gradients = loss.backward().unwrap();
        variables
            .iter()
            .map(|v| gradients.get(v).unwrap().clone())
            .collect()
    }
}

#[test]
fn gradients_are_those_of_double_precision() {
    let mut rng = Rng::stream(7, "gradients", 0);
    for subject in subjects() {
        let arguments = subject.arguments(&mut rng);
        let y = (subject.op)(&arguments).unwrap();
        let dy = normal(y.dims(), &mut rng);
        let ours = subject.gradients(&arguments, Some(&dy), DType::F32);
        let truth = subject.gradients(&arguments, Some(&dy), DType::F64);
        for (i, (ours, truth)) in ours.iter().zip(&truth).enumerate() {
            let difference = (ours.to_dtype(DType::F64).unwrap() - truth).unwrap();
            let error = (dot(&difference, &difference) / dot(truth, truth).max(1e-3)).sqrt();
            assert!(error < 2e-6, "{}, argument {i}: {error:e}", subject.name);
        }
    }
}

#[test]
fn gradients_predict_what_a_small_step_does() {
    let mut rng = Rng::stream(7, "gradients", 1);
    for subject in subjects() {
        let arguments = subject.arguments(&mut rng);
        let dy = normal((subject.op)(&arguments).unwrap().dims(), &mut rng);
        let gradients = subject.gradients(&arguments, Some(&dy), DType::F64);
        let arguments: Vec<Tensor> = arguments.iter().map(double).collect();
        for (i, gradient) in gradients.iter().enumerate() {
            let direction = double(&normal(arguments[i].dims(), &mut rng));
            let step = 2f64.powi(-16);
            let value = |factor: f64| {
                let mut moved = arguments.clone();
                let offset = (&direction * (factor * step)).unwrap();
                moved[i] = (&moved[i] + offset).unwrap();
                dot(&(subject.op)(&moved).unwrap(), &dy)
            };
            let measured = (value(1.0) - value(-1.0)) / (2.0 * step);
            let predicted = dot(gradient, &direction);
            let size = (dot(gradient, gradient)).sqrt() + 0.1;
            let error = (measured - predicted).abs() / size;
            assert!(
                error < 1e-8,
                "{}, argument {i}: {measured} for {predicted}, {error:e}",
                subject.name
            );
        }
    }
}

/// What a stride skips and padding hides is easy to get wrong by a cell.
#[test]
fn a_convolution_and_its_gradients_are_the_sums_of_their_definition_whatever_the_windows() {
    let mut rng = Rng::stream(7, "gradients", 4);
    let mut below = |n: usize| rng.below(n);
    for case in 0..200 {
        let [kh, kw, h, w] = [4, 4, 6, 6].map(|most| 1 + below(most));
        let [top, bottom, left, right] = [(); 4].map(|()| below(6));
        let config = Conv2dConfig {
            stride: [1 + below(3), 1 + below(3)],
            padding: Padding {
                top,
                bottom,
                left,
                right,
            },
        };
        let Ok(windows) = Windows::of_conv([h, w], [kh, kw], &config) else {
            continue;
        };
        let [n, c, o] = [(); 3].map(|()| 1 + below(3));
        let mut rng = Rng::stream(case, "windows", 0);
        let subject = subject(
            format!("{windows:?}"),
            &[&[n, c, h, w], &[o, c, kh, kw], &[o]],
            move |t| hw_kernels::conv2d(&t[0], &t[1], Some(&t[2]), &config),
        );
        let arguments = subject.arguments(&mut rng);
        let dy = normal(&[n, o, windows.output[0], windows.output[1]], &mut rng);
        let gradients = subject.gradients(&arguments, Some(&dy), DType::F64);
        let ours: Vec<Vec<f64>> = gradients.iter().map(numbers).collect();
        let [x, weights, _] = [0, 1, 2].map(|i| numbers(&double(&arguments[i])));
        let dys = numbers(&double(&dy));
        let [mut dx, mut dw] = [vec![0.0; x.len()], vec![0.0; weights.len()]];
        products(&windows, [n, c, o], |from, tap, to| {
            dx[from] += weights[tap] * dys[to];
            dw[tap] += x[from] * dys[to];
        });
        for (i, (ours, truth)) in ours.iter().zip([&dx, &dw]).enumerate() {
            for (a, b) in ours.iter().zip(truth) {
                assert!(
                    (a - b).abs() < 1e-9,
                    "{}, argument {i}: {a} for {b}",
                    subject.name
                );
            }
        }
    }
}

/// For every product of a convolution: indices into x, w and y.
fn products(g: &Windows, [n, c, o]: [usize; 3], mut each: impl FnMut(usize, usize, usize)) {
    let [[h, w], [kh, kw], [oh, ow]] = [g.input, g.kernel, g.output];
    for to in 0..n * o * oh * ow {
        let (image, out, oy, ox) = (
            to / (o * oh * ow),
            to / (oh * ow) % o,
            to / ow % oh,
            to % ow,
        );
        for tap in 0..c * kh * kw {
            let (channel, i, j) = (tap / (kh * kw), tap / kw % kh, tap % kw);
            let y = (oy * g.stride[0] + i).wrapping_sub(g.padding.top);
            let x = (ox * g.stride[1] + j).wrapping_sub(g.padding.left);
            if y < h && x < w {
                each(
                    ((image * c + channel) * h + y) * w + x,
                    out * c * kh * kw + tap,
                    to,
                );
            }
        }
    }
}

#[test]
fn arguments_that_are_not_contiguous_give_the_same_result_and_gradient() {
    let mut rng = Rng::stream(7, "gradients", 2);
    for subject in subjects() {
        let arguments = subject.arguments(&mut rng);
        let straight = subject.gradients(&arguments, None, DType::F32);
        // The same values behind a transposed layout and at an offset.
        let variables: Vec<Var> = arguments
            .iter()
            .map(|t| {
                let last = t.rank() - 1;
                let turned = t.transpose(0, last).unwrap().contiguous().unwrap();
                Var::from_tensor(&Tensor::cat(&[&turned, &turned], 0).unwrap()).unwrap()
            })
            .collect();
        let views: Vec<Tensor> = variables
            .iter()
            .map(|v| {
                let half = v.dim(0).unwrap() / 2;
                let tail = v.narrow(0, half, half).unwrap();
                tail.transpose(0, v.rank() - 1).unwrap()
            })
            .collect();
        let y = (subject.op)(&views).unwrap();
        let plain = (subject.op)(&arguments).unwrap();
        let difference = (&y - &plain).unwrap();
        assert_eq!(dot(&difference, &difference), 0.0, "{}", subject.name);
        let gradients = y.sum_all().unwrap().backward().unwrap();
        for (variable, straight) in variables.iter().zip(&straight) {
            let half = variable.dim(0).unwrap() / 2;
            let gradient = gradients.get(variable).unwrap();
            let gradient = gradient.narrow(0, half, half).unwrap();
            let gradient = gradient.transpose(0, variable.rank() - 1).unwrap();
            let difference = (gradient - straight).unwrap();
            assert_eq!(dot(&difference, &difference), 0.0, "{}", subject.name);
        }
    }
}

#[test]
fn only_tracked_arguments_get_a_gradient() {
    let mut rng = Rng::stream(7, "gradients", 3);
    let x = normal(&[2, 1, 8, 8], &mut rng);
    let w = Var::from_tensor(&normal(&[3, 1, 3, 3], &mut rng)).unwrap();
    let y = hw_kernels::conv2d(&x, &w, None, &Conv2dConfig::default()).unwrap();
    let gradients = y.sum_all().unwrap().backward().unwrap();
    assert!(gradients.get(&x).is_none() && gradients.get(&w).is_some());
}
