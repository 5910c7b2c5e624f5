//! Aligned memory for packed panels, kept per thread so that repeated products allocate nothing.

use std::cell::Cell;

/// One cache line: what every panel is aligned to.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

/// A growable buffer of `f32`, aligned to 64 bytes.
#[derive(Clone, Default)]
pub(super) struct Aligned(Vec<Line>);

impl Aligned {
    /// A buffer of `len` zeros (rounded up to whole cache lines).
    pub(super) fn zeroed(len: usize) -> Self {
        Self(vec![Line([0.0; LINE]); len.div_ceil(LINE)])
    }

    pub(super) fn as_slice(&self) -> &[f32] {
        // SAFETY: a `Line` is exactly `LINE` floats without padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LINE) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as in `as_slice`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LINE) }
    }
}

thread_local! {
    static POOL: Cell<Aligned> = const { Cell::new(Aligned(Vec::new())) };
}

/// Calls `work` with at least `len` floats of this thread's scratch, of any content.
///
/// The buffer is taken out of the thread for the time of the call, so a product started inside
/// `work` (a packing source may do so) gets one of its own.
pub(super) fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = POOL.take();
    if buffer.as_slice().len() < len {
        buffer = Aligned::zeroed(len);
    }
    let result = work(buffer.as_mut_slice());
    POOL.set(buffer);
    result
}
