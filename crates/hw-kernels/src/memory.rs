//! Keeping freed memory: the tensors of one training step are as large as those of the next.

/// Asks the C library's allocator to keep what is freed instead of giving it back to the system.
///
/// A training step frees and allocates tens of megabytes. Given back and taken anew, every page of
/// them costs a fault, which can take longer than the arithmetic on it. A binary that trains calls
/// this once, first thing in `main`. It changes no result; on other systems than Linux with glibc
/// it does nothing.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // From <malloc.h>.
        const M_TRIM_THRESHOLD: i32 = -1;
        const M_MMAP_THRESHOLD: i32 = -3;
        const M_ARENA_MAX: i32 = -8;
        unsafe extern "C" {
            fn mallopt(parameter: i32, value: i32) -> i32;
        }
        // Other arenas than the main one give memory back whatever the thresholds; 32 MiB is the
        // largest threshold for blocks outside the heap.
        let settings = [
            (M_ARENA_MAX, 1),
            (M_TRIM_THRESHOLD, i32::MAX),
            (M_MMAP_THRESHOLD, 32 << 20),
        ];
        for (parameter, value) in settings {
            // SAFETY: mallopt may be called at any time; it returns 0 for what it does not know.
            unsafe { mallopt(parameter, value) };
        }
    }
}
