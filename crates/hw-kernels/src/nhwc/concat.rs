//! The channels of two images side by side, pixel by pixel.

/// `y [pixels, first + second]`: the channels of `a [pixels, first]`, then those of `b [pixels,
/// second]`.
///
/// # Panics
/// When the slices do not have the same number of whole pixels.
pub fn join([first, second]: [usize; 2], a: &[f32], b: &[f32], y: &mut [f32]) {
    check([first, second], [a.len(), b.len(), y.len()]);
    let pairs = a.chunks_exact(first).zip(b.chunks_exact(second));
    for ((a, b), y) in pairs.zip(y.chunks_exact_mut(first + second)) {
        let (to_a, to_b) = y.split_at_mut(first);
        to_a.copy_from_slice(a);
        to_b.copy_from_slice(b);
    }
}

/// The opposite of [`join`], and so its gradient: `a` and `b` are overwritten.
///
/// # Panics
/// As [`join`].
pub fn split([first, second]: [usize; 2], y: &[f32], a: &mut [f32], b: &mut [f32]) {
    check([first, second], [a.len(), b.len(), y.len()]);
    let pairs = a.chunks_exact_mut(first).zip(b.chunks_exact_mut(second));
    for ((a, b), y) in pairs.zip(y.chunks_exact(first + second)) {
        let (from_a, from_b) = y.split_at(first);
        a.copy_from_slice(from_a);
        b.copy_from_slice(from_b);
    }
}

fn check([first, second]: [usize; 2], lengths: [usize; 3]) {
    let pixels = lengths[2] / (first + second);
    let expected = [first, second, first + second].map(|channels| pixels * channels);
    assert_eq!(lengths, expected, "concat: lengths of a, b and y");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_lie_side_by_side_in_each_pixel_and_come_back_apart() {
        let (a, b) = ([1., 2., 3., 4.], [10., 20., 30., 40., 50., 60.]);
        let mut y = [0.0; 10];
        join([2, 3], &a, &b, &mut y);
        assert_eq!(y, [1., 2., 10., 20., 30., 3., 4., 40., 50., 60.]);
        let (mut first, mut second) = ([0.0; 4], [0.0; 6]);
        split([2, 3], &y, &mut first, &mut second);
        assert_eq!((first, second), (a, b));
    }

    #[test]
    #[should_panic(expected = "lengths of a, b and y")]
    fn slices_of_other_lengths_are_refused() {
        join([1, 2], &[0.0; 3], &[0.0; 4], &mut [0.0; 9]);
    }
}
