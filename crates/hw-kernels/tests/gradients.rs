//! Every gradient against finite differences of the forward pass, and against the gradient of the
//! same operation in double precision.
#![allow(clippy::unwrap_used)] // in the helpers of tests, too

use candle_core::{DType, Device, Tensor, Var};
use hw_core::rng::Rng;
use hw_kernels::{Activation, Conv2dConfig, Padding, Pool2dConfig, Result};

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
    ] {
        let config = Conv2dConfig { stride, padding };
        let weights = [4, 2, kernel[0], kernel[1]];
        all.push(subject(
            format!("conv2d {kernel:?}"),
            &[&[3, 2, 8, 9], &weights, &[4]],
            move |t| hw_kernels::conv2d(&t[0], &t[1], Some(&t[2]), &config),
        ));
        let pool = Pool2dConfig::square(2);
        all.push(subject(
            format!("conv2d, ReLU, pool {kernel:?}"),
            &[&[3, 2, 8, 9], &weights, &[4]],
            move |t| hw_kernels::conv2d_relu_max_pool2d(&t[0], &t[1], Some(&t[2]), &config, &pool),
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
        let y = (subject.op)(&arguments).unwrap();
        let dy = normal(y.dims(), &mut rng);
        let gradients = subject.gradients(&arguments, Some(&dy), DType::F32);
        for (i, gradient) in gradients.iter().enumerate() {
            let direction = normal(arguments[i].dims(), &mut rng);
            let direction = direction.clamp(-2f32, 2f32).unwrap();
            let step = 2f64.powi(-9);
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
                error < 2e-2,
                "{}, argument {i}: {measured} for {predicted}",
                subject.name
            );
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
