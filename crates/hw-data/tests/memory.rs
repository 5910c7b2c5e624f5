//! How much memory loading takes, counted by the allocator: sets stay bytes, batches come and go.
#![allow(missing_docs, clippy::unwrap_used)]

use hw_data::idx::{self, IdxArray, IdxData, Packing};
use hw_data::{DataDirs, DatasetId, Loader, LoaderConfig, Split, load};
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged; counting touches no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(
            NOW.fetch_add(layout.size(), Relaxed) + layout.size(),
            Relaxed,
        );
        // SAFETY: the caller's promises are those `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        NOW.fetch_sub(layout.size(), Relaxed);
        PEAK.fetch_max(NOW.fetch_add(size, Relaxed) + size, Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` and says how far memory rose above where it started, at its highest.
fn peak_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work();
    (PEAK.load(Relaxed).saturating_sub(before), result)
}

fn write(path: &Path, shape: &[u32], bytes: Vec<u8>, packing: Packing) {
    let array = IdxArray::new(shape.to_vec(), IdxData::U8(bytes)).unwrap();
    idx::write(path, &array, packing).unwrap();
}

const COUNT: usize = 20_000;
const PIXELS: usize = COUNT * 784;

// One test, because the counts are the whole process's.
#[test]
fn a_set_stays_bytes_from_the_file_to_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let pixels = (0..PIXELS).map(|i| (i % 251) as u8).collect();
    let shape = [COUNT as u32, 28, 28];
    write(
        &path("emnist-digits-train-images-idx3-ubyte"),
        &shape,
        pixels,
        Packing::Gzip,
    );
    let labels = (0..COUNT).map(|i| (i % 10) as u8).collect();
    write(
        &path("emnist-digits-train-labels-idx1-ubyte"),
        &shape[..1],
        labels,
        Packing::Plain,
    );
    for part in ["images-idx3", "labels-idx1"] {
        let name = |split: &str| path(&format!("emnist-digits-{split}-{part}-ubyte"));
        std::fs::copy(name("train"), name("test")).unwrap();
    }

    let dirs = DataDirs::only(folder.path());
    let (peak, set) = peak_of(|| load(&DatasetId::EmnistDigits, Split::Train, &dirs).unwrap());
    // Pixels, labels as read and as kept, buffers. 814,255 images of EMNIST: below 650 MB.
    assert!(
        peak < PIXELS + 8 * COUNT + (2 << 20),
        "loading took {peak} bytes"
    );

    let config = LoaderConfig {
        shuffle_seed: Some(1),
        prefetch: 4,
        ..LoaderConfig::default()
    };
    let batch_bytes = config.batch * 784 * 4;
    let loader = Loader::new(Arc::new(set), (0..COUNT as u32).collect(), config).unwrap();
    let (peak, seen) = peak_of(|| {
        loader
            .epoch(0, 0)
            .map(|batch| batch.labels.len())
            .sum::<usize>()
    });
    assert_eq!(seen, COUNT);
    // The order, and the batches that are made, waiting and in use.
    assert!(
        peak < 4 * COUNT + 7 * batch_bytes,
        "an epoch took {peak} bytes"
    );

    declared_sizes_take_no_memory(&path("bomb.gz"));
}

/// A tiny gzip file that declares four billion images, and one that declares as much as could
/// possibly be in it.
fn declared_sizes_take_no_memory(path: &Path) {
    for declared in [u32::MAX, 40] {
        let sizes = [declared, 28, 28];
        let header = sizes
            .iter()
            .flat_map(|side| side.to_be_bytes())
            .collect::<Vec<u8>>();
        let content = [&[0, 0, 8, 3][..], &header].concat();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut gzip, &content).unwrap();
        std::fs::write(path, gzip.finish().unwrap()).unwrap();
        let (peak, result) = peak_of(|| idx::read(path));
        assert!(result.is_err());
        assert!(peak < 1 << 20, "refusing took {peak} bytes");
    }
}
