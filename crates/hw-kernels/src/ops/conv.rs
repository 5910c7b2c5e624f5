//! Convolution, alone or with ReLU and maximum pooling.

use super::access::{floats, ours, output, slice, with_scratch};
use super::{activate, check_shape, dims4, linear, max_pool2d};
use crate::activation::Activation;
use crate::cpu::conv::{ConvPlan, Gradients, Output, Source};
use crate::cpu::parallel::workers;
use crate::error::{KernelError, Result};
use crate::fallback;
use crate::geometry::{Conv2dConfig, Padding, Pool2dConfig, Windows};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor};
use std::sync::OnceLock;

/// Two-dimensional cross-correlation: `y[n,o] = bias[o] + Σ_c w[o,c] ⋆ x[n,c]`.
///
/// Shapes: `x [n, c, h, w]`, `w [o, c, kh, kw]`, `bias [o]`, result `[n, o, oh, ow]`.
///
/// # Errors
/// [`KernelError`] when shapes do not agree or the window does not fit (see [`Windows`]).
pub fn conv2d(
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    config: &Conv2dConfig,
) -> Result<Tensor> {
    let windows = check(x, w, bias, config)?;
    if !ours(&[x, w, bias.unwrap_or(w)]) {
        return Ok(fallback::conv::conv2d(x, w, bias, &windows)?);
    }
    if windows.output == [1, 1]
        && windows.padding == Padding::zero()
        && windows.kernel == windows.input
    {
        // One window that sees everything is a dense layer.
        let y = linear(&x.flatten_from(1)?, &w.flatten_from(1)?, bias)?;
        return Ok(y.reshape((x.dim(0)?, w.dim(0)?, 1, 1))?);
    }
    let plan = ConvPlan::new(x.dim(1)?, w.dim(0)?, windows);
    apply(x, w, bias, Conv { plan, pool: None })
}

/// `max_pool2d(relu(conv2d(x, w, bias)))` in one pass: the same bits (but for the gradient of the
/// bias, which is summed in another order), while the large maps between the steps never leave the
/// cache.
///
/// Shapes: as [`conv2d`], then as [`max_pool2d`].
///
/// # Errors
/// As [`conv2d`] and [`max_pool2d`].
pub fn conv2d_relu_max_pool2d(
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    conv: &Conv2dConfig,
    pool: &Pool2dConfig,
) -> Result<Tensor> {
    let windows = check(x, w, bias, conv)?;
    let pool_windows = Windows::of_pool("max_pool2d", windows.output, pool)?;
    // Winners are stored in a byte each.
    if !ours(&[x, w, bias.unwrap_or(w)]) || pool_windows.kernel_size() > 255 {
        let maps = conv2d(x, w, bias, conv)?;
        return max_pool2d(&activate(&maps, &Activation::Relu)?, pool);
    }
    let plan = ConvPlan::new(x.dim(1)?, w.dim(0)?, windows);
    let pool = Some(Pool {
        windows: pool_windows,
        winners: OnceLock::new(),
    });
    apply(x, w, bias, Conv { plan, pool })
}

fn check(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, config: &Conv2dConfig) -> Result<Windows> {
    let [_, c, height, width] = dims4("conv2d", "x", x)?;
    let [o, wc, kh, kw] = dims4("conv2d", "w", w)?;
    if wc != c {
        return Err(KernelError::Shape {
            op: "conv2d",
            argument: "w",
            actual: w.dims().to_vec(),
            expected: format!("[outputs, {c}, height, width]"),
        });
    }
    if let Some(bias) = bias {
        check_shape("conv2d", "bias", bias, &[o])?;
    }
    Windows::of_conv([height, width], [kh, kw], config)
}

fn apply(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, op: Conv) -> Result<Tensor> {
    let (x, w) = (x.contiguous()?, w.contiguous()?);
    Ok(match bias {
        Some(bias) => x.apply_op3(&w, &bias.contiguous()?, op)?,
        None => x.apply_op2(&w, op)?,
    })
}

struct Conv {
    plan: ConvPlan,
    pool: Option<Pool>,
}

struct Pool {
    windows: Windows,
    /// Left by the forward pass for the backward pass.
    winners: OnceLock<Vec<u8>>,
}

impl Conv {
    fn forward(
        &self,
        x: &[f32],
        w: &[f32],
        bias: Option<&[f32]>,
        n: usize,
        outputs: usize,
    ) -> (CpuStorage, Shape) {
        let windows = self
            .pool
            .as_ref()
            .map_or(self.plan.windows(), |p| &p.windows);
        let [height, width] = windows.output;
        let mut y = vec![0.0; n * outputs * height * width];
        with_scratch(
            self.plan.forward_scratch(workers(n)),
            |scratch| match &self.pool {
                None => self
                    .plan
                    .forward(x, w, bias, n, Output::Maps(&mut y), scratch),
                Some(pool) => {
                    let mut winners = vec![0; y.len()];
                    let output = Output::Pooled {
                        y: &mut y,
                        winners: &mut winners,
                        windows: &pool.windows,
                    };
                    self.plan.forward(x, w, bias, n, output, scratch);
                    // An operation is applied once, so the cell is empty.
                    let _ = pool.winners.set(winners);
                }
            },
        );
        output(y, (n, outputs, height, width))
    }

    fn backward(
        &self,
        x: &Tensor,
        w: &Tensor,
        bias: Option<&Tensor>,
        grad: &Tensor,
    ) -> candle_core::Result<[Option<Tensor>; 3]> {
        let (n, grad) = (x.dim(0)?, grad.contiguous()?);
        let (xs, ws, dy) = (floats(x)?, floats(w)?, floats(&grad)?);
        let wanted = |t: &Tensor| t.track_op().then(|| vec![0.0; t.elem_count()]);
        let (mut dx, mut dw, mut db) = (wanted(x), wanted(w), bias.and_then(wanted));
        let source = match &self.pool {
            None => Source::Maps(&dy),
            Some(pool) => Source::Pooled {
                dy: &dy,
                winners: pool.winners.get().map_or(&[], |winners| winners),
                windows: &pool.windows,
            },
        };
        let gradients = Gradients {
            dx: dx.as_deref_mut(),
            dw: dw.as_deref_mut(),
            db: db.as_deref_mut(),
        };
        with_scratch(self.plan.backward_scratch(n, workers(n)), |scratch| {
            self.plan.backward(&xs, &ws, n, source, gradients, scratch);
        });
        let tensor = |values: Option<Vec<f32>>, like: &Tensor| {
            values
                .map(|values| super::access::tensor(values, like.shape()))
                .transpose()
        };
        Ok([
            tensor(dx, x)?,
            tensor(dw, w)?,
            tensor(db, bias.unwrap_or(w))?,
        ])
    }
}

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, o) = (xl.dims()[0], wl.dims()[0]);
        Ok(self.forward(slice(x, xl)?, slice(w, wl)?, None, n, o))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, _] = self.backward(x, w, None, grad)?;
        Ok((dx, dw))
    }
}

impl CustomOp3 for Conv {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        bias: &CpuStorage,
        bl: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, o) = (xl.dims()[0], wl.dims()[0]);
        Ok(self.forward(slice(x, xl)?, slice(w, wl)?, Some(slice(bias, bl)?), n, o))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, db] = self.backward(x, w, Some(bias), grad)?;
        Ok((dx, dw, db))
    }
}
