use std::ops::Range;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::packed::Side;
use super::product::SPLIT_K;
use super::*;

/// Values in `[-1, 1)`, different for each seed.
fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut rng = hw_core::Rng::stream(seed, "gemm test", len as u64);
    (0..len).map(|_| rng.range(-1.0, 1.0)).collect()
}

/// A matrix with its own strides inside a larger buffer.
#[derive(Clone, Debug)]
struct Matrix {
    data: Vec<f32>,
    strides: (usize, usize),
}

impl Matrix {
    /// `layout`: 0 row-major, 1 transposed, 2 row-major with gaps, 3 every second element.
    fn new(rows: usize, columns: usize, layout: usize, seed: u64) -> Self {
        let (strides, len) = match layout {
            0 => ((columns, 1), rows * columns),
            1 => ((1, rows), rows * columns),
            2 => ((columns + 3, 1), rows * (columns + 3)),
            _ => ((2 * columns, 2), 2 * rows * columns),
        };
        Self {
            data: values(len, seed),
            strides,
        }
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        f64::from(self.data[i * self.strides.0 + j * self.strides.1])
    }

    fn lhs(&self) -> Strided<'_> {
        Strided::lhs(&self.data, self.strides)
    }

    fn rhs(&self) -> Strided<'_> {
        Strided::rhs(&self.data, self.strides)
    }
}

/// What a product should give at `(i, j)`, in double precision, without bias and ReLU.
fn reference(a: &Matrix, b: &Matrix, k: usize, i: usize, j: usize) -> f64 {
    (0..k).map(|p| a.at(i, p) * b.at(p, j)).sum()
}

fn close(got: f32, expected: f64, k: usize) -> Result<(), TestCaseError> {
    // Rounding of k + 3 additions of terms of size 1, with room.
    let bound =
        4.0 * f64::from(f32::EPSILON) * (k as f64 + 3.0).sqrt() * (k as f64 + 3.0).sqrt().max(2.0);
    prop_assert!(
        (f64::from(got) - expected).abs() <= bound,
        "{got} is not {expected}"
    );
    Ok(())
}

/// All ways of running a product must give these bits; the first is held against the reference.
fn check_product(
    simd: Simd,
    (m, n, k): (usize, usize, usize),
    (a_layout, b_layout): (usize, usize),
    (alpha, beta): (f32, f32),
    (bias, relu): (usize, bool),
) -> Result<(), TestCaseError> {
    let a = Matrix::new(m, k, a_layout, 1);
    let b = Matrix::new(k, n, b_layout, 2);
    let stride = n + 2;
    let before = values(m * stride, 3);
    let (row_bias, column_bias) = (values(m, 4), values(n, 5));
    let mut product = Product::new(m, n, k).alpha(alpha).beta(beta).simd(simd);
    if bias & 1 != 0 {
        product = product.row_bias(&row_bias);
    }
    if bias & 2 != 0 {
        product = product.column_bias(&column_bias);
    }
    if relu {
        product = product.relu();
    }

    let mut c = before.clone();
    product.run(a.lhs(), b.rhs(), Target::rows(&mut c, stride));
    for i in 0..m {
        for j in 0..stride {
            let (got, old) = (c[i * stride + j], before[i * stride + j]);
            if j >= n {
                prop_assert_eq!(got.to_bits(), old.to_bits(), "wrote beyond the row");
                continue;
            }
            let mut expected =
                f64::from(alpha) * reference(&a, &b, k, i, j) + f64::from(beta) * f64::from(old);
            expected += if bias & 1 != 0 {
                f64::from(row_bias[i])
            } else {
                0.0
            };
            expected += if bias & 2 != 0 {
                f64::from(column_bias[j])
            } else {
                0.0
            };
            close(got, if relu { expected.max(0.0) } else { expected }, k)?;
        }
    }

    let packed_a = Packed::new(simd, Side::Lhs, m, k, &a.lhs());
    let packed_b = Packed::new(simd, Side::Rhs, n, k, &b.rhs());
    let same = |run: &dyn Fn(Target<'_>)| {
        let mut again = before.clone();
        run(Target::rows(&mut again, stride));
        prop_assert_eq!(bits(&again), bits(&c));
        Ok(())
    };
    same(&|c| product.par_run(a.lhs(), b.rhs(), c))?;
    same(&|c| product.run(&packed_a, b.rhs(), c))?;
    same(&|c| product.run(a.lhs(), &packed_b, c))?;
    same(&|c| product.par_run(&packed_a, &packed_b, c))
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn level() -> impl Strategy<Value = Simd> {
    proptest::sample::select(Simd::available())
}

fn scale() -> impl Strategy<Value = f32> {
    proptest::sample::select(vec![0.0, 1.0, -0.5])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_small_product_matches_double_precision(
        simd in level(),
        shape in (0..70usize, 0..70usize, 0..70usize),
        layouts in (0..4usize, 0..4usize),
        scales in (scale(), scale()),
        epilogue in (0..4usize, any::<bool>()),
    ) {
        check_product(simd, shape, layouts, scales, epilogue)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_product_of_several_blocks_of_k_matches_double_precision(
        simd in level(),
        shape in (1..40usize, 1..100usize, SPLIT_K - 2..3 * SPLIT_K),
        layouts in (0..4usize, 0..4usize),
        scales in (scale(), scale()),
        epilogue in (0..4usize, any::<bool>()),
    ) {
        check_product(simd, shape, layouts, scales, epilogue)?;
    }

    #[test]
    fn a_batch_of_images_gets_the_bits_of_its_images(
        simd in level(),
        (m, columns, images, k) in (1..20usize, 1..40usize, 1..6usize, 0..300usize),
        gap in 0..5usize,
        beta in scale(),
    ) {
        let n = columns * images;
        let (a, b) = (Matrix::new(m, k, 0, 1), Matrix::new(k, n, 0, 2));
        let (row_stride, image_stride) = (columns + gap, m * (columns + gap) + gap);
        let before = values(images * image_stride, 3);
        let bias = values(m, 4);
        let product = |n| Product::new(m, n, k).beta(beta).row_bias(&bias).relu().simd(simd);

        let mut one_by_one = before.clone();
        for image in 0..images {
            let b = Strided::rhs(&b.data[(image * columns).min(b.data.len())..], b.strides);
            let c = &mut one_by_one[image * image_stride..];
            product(columns).run(a.lhs(), b, Target::rows(c, row_stride));
        }
        let mut batch = before.clone();
        let target = Target::images(&mut batch, row_stride, columns, image_stride);
        product(n).run(a.lhs(), b.rhs(), target);
        prop_assert_eq!(bits(&batch), bits(&one_by_one));
    }
}

/// A shape larger than one block in every direction, and than one parallel task.
const LARGE: (usize, usize, usize) = (921, 2111, 300);

#[test]
fn a_product_larger_than_every_cache_block_matches_double_precision() {
    let (m, n, k) = LARGE;
    let (a, b) = (Matrix::new(m, k, 0, 1), Matrix::new(k, n, 1, 2));
    for simd in Simd::available() {
        let mut c = vec![f32::NAN; m * n];
        Product::new(m, n, k)
            .simd(simd)
            .run(a.lhs(), b.rhs(), Target::rows(&mut c, n));
        for (i, j) in (0..m).flat_map(|i| (i % 37..n).step_by(37).map(move |j| (i, j))) {
            close(c[i * n + j], reference(&a, &b, k, i, j), k).unwrap();
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_bits_of_one() {
    let (m, n, k) = LARGE;
    let (a, b) = (values(m * k, 1), values(k * n, 2));
    let mut alone = vec![0.0; m * n];
    sgemm(m, n, k, 1.0, &a, (k, 1), &b, (n, 1), 0.0, &mut alone, n);
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let mut c = vec![f32::NAN; m * n];
        pool.install(|| par_sgemm(m, n, k, 1.0, &a, (k, 1), &b, (n, 1), 0.0, &mut c, n));
        assert!(bits(&c) == bits(&alone), "{threads} threads");
    }
}

#[test]
fn an_element_does_not_depend_on_the_size_of_the_batch() {
    let (m, n, k) = (33, 75, 600);
    let (a, b) = (Matrix::new(m, k, 0, 1), Matrix::new(k, n, 1, 2));
    for simd in Simd::available() {
        let mut whole = vec![0.0; m * n];
        Product::new(m, n, k)
            .simd(simd)
            .run(a.lhs(), b.rhs(), Target::rows(&mut whole, n));
        for i in 0..m {
            let mut row = vec![0.0; n];
            let a = Strided::lhs(&a.data[i * k..], a.strides);
            Product::new(1, n, k)
                .simd(simd)
                .run(a, b.rhs(), Target::rows(&mut row, n));
            assert_eq!(
                bits(&row),
                bits(&whole[i * n..][..n]),
                "row {i} on {}",
                simd.name()
            );
        }
    }
}

#[test]
fn avx2_and_avx512_give_the_same_bits() {
    let (m, n, k) = (61, 77, 530);
    let (a, b) = (Matrix::new(m, k, 0, 1), Matrix::new(k, n, 1, 2));
    let fused = Simd::available()
        .into_iter()
        .filter(|simd| simd.name() != "portable");
    let results = fused.map(|simd| {
        let mut c = values(m * n, 3);
        let product = Product::new(m, n, k).alpha(0.3).beta(0.7).simd(simd);
        product.run(a.lhs(), b.rhs(), Target::rows(&mut c, n));
        bits(&c)
    });
    let results: Vec<_> = results.collect();
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn with_beta_zero_a_nan_in_c_is_overwritten_and_otherwise_kept() {
    for simd in Simd::available() {
        for k in [0, 3, SPLIT_K + 1] {
            let (a, b) = (values(20 * k, 1), values(k * 37, 2));
            let product = Product::new(20, 37, k).simd(simd);
            let run = |product: Product<'_>| {
                let mut c = vec![f32::NAN; 20 * 37];
                let (a, b) = (Strided::lhs(&a, (k, 1)), Strided::rhs(&b, (37, 1)));
                product.run(a, b, Target::rows(&mut c, 37));
                c
            };
            assert!(
                run(product).iter().all(|value| value.is_finite()),
                "{} {k}",
                simd.name()
            );
            assert!(run(product.beta(1.0)).iter().all(|value| value.is_nan()));
        }
    }
}

#[test]
fn relu_lets_a_nan_through() {
    for simd in Simd::available() {
        let mut c = [0.0; 2];
        let b = [f32::NAN, -1.0];
        let product = Product::new(1, 2, 1).relu().simd(simd);
        product.run(
            Strided::lhs(&[1.0], (1, 1)),
            Strided::rhs(&b, (2, 1)),
            Target::rows(&mut c, 2),
        );
        assert!(c[0].is_nan(), "{}", simd.name());
        assert_eq!(c[1], 0.0);
    }
}

/// A matrix whose elements are computed while they are packed, and which multiplies on its own
/// account meanwhile.
struct Computed;

impl Computed {
    fn element(k: usize, lane: usize) -> f32 {
        ((3 * k + 7 * lane) % 11) as f32 - 5.0
    }
}

impl PackSource for Computed {
    fn pack_panel(&self, panel: &Panel, out: &mut [f32]) {
        let Range { start, end } = panel.lanes;
        let nested = [1.0; 4];
        let mut product = [0.0; 4];
        sgemm(
            2,
            2,
            2,
            1.0,
            &nested,
            (2, 1),
            &nested,
            (2, 1),
            0.0,
            &mut product,
            2,
        );
        assert_eq!(product, [2.0; 4]);
        assert_eq!(out.len(), panel.k.len() * panel.stride);
        for (p, k) in panel.k.clone().enumerate() {
            let padding = &out[p * panel.stride..][panel.lanes.len()..panel.stride];
            assert!(padding.iter().all(|value| *value == 0.0));
            for (j, lane) in (start..end).enumerate() {
                out[p * panel.stride + j] = Self::element(k, lane);
            }
        }
    }
}

#[test]
fn a_source_computed_while_packing_stands_on_either_side() {
    let (m, n, k) = (45, 83, 320);
    let mut a = vec![0.0; m * k];
    let mut b = vec![0.0; k * n];
    (0..m * k).for_each(|index| a[index] = Computed::element(index % k, index / k));
    (0..k * n).for_each(|index| b[index] = Computed::element(index / n, index % n));
    let mut expected = vec![0.0; m * n];
    for simd in Simd::available() {
        let product = Product::new(m, n, k).simd(simd);
        let (a, b) = (Strided::lhs(&a, (k, 1)), Strided::rhs(&b, (n, 1)));
        product.run(a, b, Target::rows(&mut expected, n));
        let check = |run: &dyn Fn(Target<'_>)| {
            let mut c = vec![f32::NAN; m * n];
            run(Target::rows(&mut c, n));
            assert_eq!(bits(&c), bits(&expected), "{}", simd.name());
        };
        check(&|c| product.run(Computed, b, c));
        check(&|c| product.run(a, Computed, c));
        check(&|c| product.par_run(Computed, Computed, c));
        check(&|c| product.run(Packed::new(simd, Side::Lhs, m, k, &Computed), b, c));
    }
}

#[test]
fn a_thread_packs_into_the_same_memory_again() {
    let address = |len| super::scratch::with_scratch(len, |scratch| scratch.as_ptr() as usize);
    let first = address(5000);
    assert_eq!(address(5000), first);
    assert_eq!(address(100), first);
    assert_eq!(first % 64, 0);
}

#[test]
fn a_refilled_operand_forgets_its_old_values() {
    let (m, n, k) = (20, 40, 300);
    let (old, new, b) = (values(m * k, 1), values(m * k, 2), values(k * n, 3));
    let mut packed = Packed::lhs(m, k, &Strided::lhs(&old, (k, 1)));
    packed.refill(&Strided::lhs(&new, (1, m)));
    let (mut got, mut expected) = (vec![0.0; m * n], vec![0.0; m * n]);
    let b = Strided::rhs(&b, (n, 1));
    Product::new(m, n, k).run(&packed, b, Target::rows(&mut got, n));
    Product::new(m, n, k).run(
        Strided::lhs(&new, (1, m)),
        b,
        Target::rows(&mut expected, n),
    );
    assert_eq!(bits(&got), bits(&expected));
}

mod refused {
    use super::*;

    #[test]
    #[should_panic(expected = "A has 5 elements, too few for 2 lanes (stride 3) by k = 3")]
    fn a_short_operand() {
        sgemm(
            2,
            2,
            3,
            1.0,
            &[0.0; 5],
            (3, 1),
            &[0.0; 6],
            (2, 1),
            0.0,
            &mut [0.0; 4],
            2,
        );
    }

    #[test]
    #[should_panic(expected = "B has 6 elements")]
    fn strides_whose_extent_overflows() {
        let huge = usize::MAX / 2;
        sgemm(
            2,
            2,
            4,
            1.0,
            &[0.0; 8],
            (4, 1),
            &[0.0; 6],
            (huge, 1),
            0.0,
            &mut [0.0; 4],
            2,
        );
    }

    #[test]
    #[should_panic(expected = "C has 3 elements")]
    fn a_short_target() {
        sgemm(
            2,
            2,
            1,
            1.0,
            &[0.0; 2],
            (1, 1),
            &[0.0; 2],
            (2, 1),
            0.0,
            &mut [0.0; 3],
            2,
        );
    }

    #[test]
    #[should_panic(expected = "rows of C overlap")]
    fn overlapping_rows() {
        sgemm(
            2,
            2,
            1,
            1.0,
            &[0.0; 2],
            (1, 1),
            &[0.0; 2],
            (2, 1),
            0.0,
            &mut [0.0; 4],
            1,
        );
    }

    #[test]
    #[should_panic(expected = "images of C overlap")]
    fn overlapping_images() {
        let mut c = [0.0; 100];
        let zeros = [0.0; 4];
        let (a, b) = (
            Strided::lhs(&zeros[..2], (1, 1)),
            Strided::rhs(&zeros, (4, 1)),
        );
        Product::new(2, 4, 1).run(a, b, Target::images(&mut c, 2, 2, 3));
    }

    #[test]
    #[should_panic(expected = "a bias for 2 lanes")]
    fn a_bias_of_another_length() {
        let zeros = [0.0; 4];
        let (a, b) = (
            Strided::lhs(&zeros[..2], (1, 1)),
            Strided::rhs(&zeros, (4, 1)),
        );
        Product::new(2, 4, 1)
            .row_bias(&zeros)
            .run(a, b, Target::rows(&mut [0.0; 8], 4));
    }

    #[test]
    #[should_panic(expected = "A packed as")]
    fn an_operand_packed_for_the_other_side() {
        let zeros = [0.0; 4];
        let b = Strided::rhs(&zeros, (2, 1));
        let packed = Packed::rhs(2, 2, &b);
        Product::new(2, 2, 2).run(&packed, b, Target::rows(&mut [0.0; 4], 2));
    }
}
