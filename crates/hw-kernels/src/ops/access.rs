//! From candle's tensors to slices and back.

use candle_core::{CpuStorage, DType, Device, Layout, Result, Shape, Storage, Tensor};
use std::cell::RefCell;
use std::ops::{Deref, Range};

/// Whether our kernels serve these tensors: f32 on the CPU, and none of them empty.
pub(super) fn ours(tensors: &[&Tensor]) -> bool {
    tensors
        .iter()
        .all(|t| matches!(t.device(), Device::Cpu) && t.dtype() == DType::F32 && t.elem_count() > 0)
}

fn contiguous(layout: &Layout) -> Result<Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => Err(candle_core::Error::msg(
            "a kernel was given a tensor that is not contiguous",
        )),
    }
}

/// The elements of a contiguous f32 argument of a custom operation.
pub(super) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    Ok(&storage.as_slice::<f32>()?[contiguous(layout)?])
}

/// The elements of a contiguous f32 tensor on the CPU, locked for reading by `guard`.
pub(super) struct Floats<G> {
    guard: G,
    range: Range<usize>,
}

/// Opens a contiguous f32 tensor on the CPU for reading.
pub(super) fn floats(tensor: &Tensor) -> Result<Floats<impl Deref<Target = Storage>>> {
    let (guard, layout) = tensor.storage_and_layout();
    let range = contiguous(layout)?;
    match &*guard {
        Storage::Cpu(CpuStorage::F32(_)) => Ok(Floats { guard, range }),
        _ => Err(candle_core::Error::msg(
            "a kernel was given a tensor that is not f32 on the CPU",
        )),
    }
}

impl<G: Deref<Target = Storage>> Deref for Floats<G> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.guard {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.range.clone()],
            // `floats` has looked; an empty slice rather than a panic.
            _ => &[],
        }
    }
}

/// What a custom operation returns from its forward pass.
pub(super) fn output(values: Vec<f32>, shape: impl Into<Shape>) -> (CpuStorage, Shape) {
    (CpuStorage::F32(values), shape.into())
}

/// A tensor of `shape` on the CPU.
pub(super) fn tensor(values: Vec<f32>, shape: &Shape) -> Result<Tensor> {
    Tensor::from_vec(values, shape.clone(), &Device::Cpu)
}

/// Makes a tensor shaped as `like`, filled by `fill`.
pub(super) fn filled(like: &Tensor, fill: impl FnOnce(&mut [f32])) -> Result<Tensor> {
    let mut values = vec![0.0; like.elem_count()];
    fill(&mut values);
    tensor(values, like.shape())
}

/// As [`filled`] if the tensor's gradient is of interest to anyone.
pub(super) fn gradient(of: &Tensor, fill: impl FnOnce(&mut [f32])) -> Result<Option<Tensor>> {
    of.track_op().then(|| filled(of, fill)).transpose()
}

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` with `len` floats of scratch (of any content) that the thread keeps for the next
/// call: fresh memory would cost a page fault per 4 KiB each time.
pub(super) fn with_scratch<T>(len: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    let mut scratch = SCRATCH.take();
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    let result = work(&mut scratch[..len]);
    SCRATCH.set(scratch);
    result
}
