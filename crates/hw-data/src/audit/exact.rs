//! Equal images: grouped by hash, confirmed byte by byte.

use super::All;
use rayon::prelude::*;
use std::cmp::Ordering;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The different pictures among all images.
pub(super) struct Pictures {
    /// Each image's picture.
    of: Vec<u32>,
    /// All images, those of one picture together.
    by_picture: Vec<u32>,
    /// Where each picture's images begin in `by_picture`, and where the last one's end.
    starts: Vec<u32>,
    /// Each picture's parts, one bit each.
    parts: Vec<u64>,
}

impl Pictures {
    pub(super) fn group(all: &All<'_>) -> Self {
        let mut hashed: Vec<(u64, u32)> = (0..all.len())
            .into_par_iter()
            .map(|image| (hash(all, image), image as u32))
            .collect();
        // Hashes that collide are told apart by the images themselves.
        hashed.par_sort_unstable_by(|a, b| match a.0.cmp(&b.0) {
            Ordering::Equal => content(all, a.1)
                .cmp(&content(all, b.1))
                .then(a.1.cmp(&b.1)),
            order => order,
        });
        let mut starts: Vec<u32> = (0..hashed.len())
            .filter(|&i| i == 0 || !equal(all, hashed[i - 1], hashed[i]))
            .map(|i| i as u32)
            .collect();
        starts.push(hashed.len() as u32);
        let by_picture: Vec<u32> = hashed.into_iter().map(|(_, image)| image).collect();
        let mut of = vec![0; by_picture.len()];
        let mut parts = vec![0; starts.len() - 1];
        for (picture, ends) in starts.windows(2).enumerate() {
            for &image in &by_picture[ends[0] as usize..ends[1] as usize] {
                of[image as usize] = picture as u32;
                parts[picture] |= 1 << all.place(image as usize).0;
            }
        }
        Self {
            of,
            by_picture,
            starts,
            parts,
        }
    }

    /// How many different pictures there are.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// The picture of an image.
    pub(super) fn of(&self, image: usize) -> usize {
        self.of[image] as usize
    }

    /// The images of a picture, in order.
    pub(super) fn images(&self, picture: usize) -> &[u32] {
        &self.by_picture[self.starts[picture] as usize..self.starts[picture + 1] as usize]
    }

    /// The parts a picture is in, one bit each.
    pub(super) fn parts(&self, picture: usize) -> u64 {
        self.parts[picture]
    }

    pub(super) fn is_in(&self, picture: usize, part: usize) -> bool {
        self.parts[picture] >> part & 1 == 1
    }

    /// How many different pictures a part has.
    pub(super) fn of_part(&self, part: usize) -> usize {
        (0..self.len()).filter(|&p| self.is_in(p, part)).count()
    }

    /// How many different pictures two parts have in common.
    pub(super) fn shared(&self, first: usize, second: usize) -> usize {
        (0..self.len())
            .filter(|&p| self.is_in(p, first) && self.is_in(p, second))
            .count()
    }
}

fn hash(all: &All<'_>, image: usize) -> u64 {
    let [channels, height, width] = all.shape(image).map(|side| side as u64);
    let shape = (channels << 48) ^ (height << 24) ^ width;
    xxh3_64_with_seed(all.pixels(image), shape)
}

fn content<'a>(all: &All<'a>, image: u32) -> ([usize; 3], &'a [u8]) {
    (all.shape(image as usize), all.pixels(image as usize))
}

fn equal(all: &All<'_>, a: (u64, u32), b: (u64, u32)) -> bool {
    a.0 == b.0 && content(all, a.1) == content(all, b.1)
}
