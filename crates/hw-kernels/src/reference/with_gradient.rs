//! Operations whose gradient is told, not derived.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp2, Layout, MetalStorage, Result, Shape};
use candle_core::{Storage, Tensor};
use std::sync::Mutex;

/// A function of `x` and `w` whose value is known: `value`, as a tensor on the tape of `x` and `w`,
/// whose gradients in both are `backward(x, w, gradient in the value)`.
pub(super) fn with_gradient<F>(x: &Tensor, w: &Tensor, value: Tensor, backward: F) -> Result<Tensor>
where
    F: Fn(&Tensor, &Tensor, &Tensor) -> Result<[Option<Tensor>; 2]> + Send + Sync + 'static,
{
    let value = Mutex::new(Some(value.detach()));
    x.apply_op2(w, WithGradient { value, backward })
}

struct WithGradient<F> {
    /// Taken by the forward pass, so that the tape does not keep a second copy.
    value: Mutex<Option<Tensor>>,
    backward: F,
}

impl<F> WithGradient<F> {
    /// The value's storage as candle wants it, picked from the right kind by `of`.
    fn storage<S: BackendStorage>(&self, of: fn(&Storage) -> Option<&S>) -> Result<(S, Shape)> {
        let mut value = self.value.lock().expect("nothing panics while it is held");
        let value = value.take().expect("an operation is applied once");
        let value = value.force_contiguous()?;
        let (storage, layout) = value.storage_and_layout();
        let storage = of(&storage).expect("computed on the device of its arguments");
        Ok((storage.try_clone(layout)?, layout.shape().clone()))
    }
}

impl<F> CustomOp2 for WithGradient<F>
where
    F: Fn(&Tensor, &Tensor, &Tensor) -> Result<[Option<Tensor>; 2]>,
{
    fn name(&self) -> &'static str {
        "with_gradient"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.storage(|storage| match storage {
            Storage::Cpu(storage) => Some(storage),
            _ => None,
        })
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.storage(|storage| match storage {
            Storage::Cuda(storage) => Some(storage),
            _ => None,
        })
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        self.storage(|storage| match storage {
            Storage::Metal(storage) => Some(storage),
            _ => None,
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dw] = (self.backward)(x, w, gradient)?;
        Ok((dx, dw))
    }
}
