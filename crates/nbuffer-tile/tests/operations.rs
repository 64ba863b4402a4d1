//! Every operation beside plain Rust, on values of all kinds. A case that fails is printed with all it takes to repeat it.

use std::sync::{Arc, LazyLock};

use half::f16;
use nbuffer_tile::*;
use proptest::prelude::*;

/// Carries out an instruction on these sources, over what is at its destination, and gives what is there then.
fn apply<U: Element, T: Element>(
    before: &[U],
    sources: &[&[T]],
    op: impl Fn(&Core, Local<'_, U>, &[Local<'_, T>]) -> Result<(), KernelError> + Sync,
) -> Vec<U> {
    let profile = Arc::new(Profile::named("910B1").unwrap());
    let mut memory = GlobalMemory::new();
    let dst = memory.tensor(before);
    let sources: Vec<_> = sources.iter().map(|source| memory.tensor(source)).collect();
    let run = launch(&profile, &mut memory, &Launch::on(1), |core| {
        let pipe = TPipe::new(core)?;
        let all_of =
            |bytes: u64| DataCopyPadParams { block_count: 1, block_len: bytes as u32, ..Default::default() };
        let bytes = dst.count() * u64::from(U::DTYPE.size());
        let to: TBuf<'_, VecOut> = pipe.init_tbuf(bytes)?;
        core.data_copy_pad_in(to.get(), dst, all_of(bytes), None)?;
        let mut buffers = Vec::new();
        for source in &sources {
            let bytes = source.count() * u64::from(T::DTYPE.size());
            let buffer: TBuf<'_, VecIn> = pipe.init_tbuf(bytes)?;
            core.data_copy_pad_in(buffer.get(), *source, all_of(bytes), None)?;
            buffers.push(buffer);
        }
        core.pipe_barrier_all()?;
        let views: Vec<Local<'_, T>> = buffers.iter().map(TBuf::get).collect();
        op(core, to.get(), &views)?;
        core.pipe_barrier_all()?;
        core.data_copy_pad_out(dst, to.get(), all_of(bytes))
    });
    assert!(run.unwrap().hazards.is_empty());
    memory.read(dst).to_vec()
}

/// The same values, bit by bit; any NaN is as good as another.
#[track_caller]
fn assert_same<T: Element>(found: &[T], expected: &[T], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let both_nan = found.to_f64().is_nan() && expected.to_f64().is_nan();
        let same = bytemuck::bytes_of(found) == bytemuck::bytes_of(expected);
        assert!(same || both_nan, "{what}: element {index} is {found} instead of {expected}");
    }
}

fn f16s(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<f16>> {
    prop::collection::vec(any::<u16>().prop_map(f16::from_bits), len)
}

fn f32s(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(prop::num::f32::ANY, len)
}

fn i32s(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<i32>> {
    prop::collection::vec(any::<i32>(), len)
}

type Binary<T> =
    for<'a, 'b> fn(&'a Core, Local<'b, T>, Local<'b, T>, Local<'b, T>, u32) -> Result<(), KernelError>;

#[track_caller]
fn check_binary<T: Element>(what: &str, [a, b]: [&[T]; 2], op: Binary<T>, of: impl Fn(T, T) -> T) {
    let found = apply(&vec![T::default(); a.len()], &[a, b], |core, dst, sources| {
        op(core, dst, sources[0], sources[1], a.len() as u32)
    });
    let expected: Vec<T> = a.iter().zip(b).map(|(a, b)| of(*a, *b)).collect();
    assert_same(&found, &expected, what);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn f16_rounds_after_every_operation(a in f16s(200), b in f16s(200)) {
        let ab = [&a[..], &b[..]];
        check_binary("add", ab, |core, d, a, b, n| core.add(d, a, b, n), |a, b| a + b);
        check_binary("sub", ab, |core, d, a, b, n| core.sub(d, a, b, n), |a, b| a - b);
        check_binary("mul", ab, |core, d, a, b, n| core.mul(d, a, b, n), |a, b| a * b);
        check_binary("div", ab, |core, d, a, b, n| core.div(d, a, b, n), |a, b| a / b);
        check_binary("max", ab, |core, d, a, b, n| core.max(d, a, b, n), f16::max);
        check_binary("min", ab, |core, d, a, b, n| core.min(d, a, b, n), f16::min);
        let and = |a: f16, b: f16| f16::from_bits(a.to_bits() & b.to_bits());
        check_binary("and", ab, |core, d, a, b, n| core.and(d, a, b, n), and);
        let sqrt = |a: f16, _| f16::from_f64(a.to_f64().sqrt());
        check_binary("sqrt", ab, |core, d, a, _, n| core.sqrt(d, a, n), sqrt);
    }

    #[test]
    fn f32_is_that_of_rust(a in f32s(100), b in f32s(100)) {
        let ab = [&a[..], &b[..]];
        check_binary("add", ab, |core, d, a, b, n| core.add(d, a, b, n), |a, b| a + b);
        check_binary("sub", ab, |core, d, a, b, n| core.sub(d, a, b, n), |a, b| a - b);
        check_binary("mul", ab, |core, d, a, b, n| core.mul(d, a, b, n), |a, b| a * b);
        check_binary("div", ab, |core, d, a, b, n| core.div(d, a, b, n), |a, b| a / b);
        check_binary("adds", ab, |core, d, a, _, n| core.adds(d, a, 0.1, n), |a, _| a + 0.1);
        check_binary("muls", ab, |core, d, a, _, n| core.muls(d, a, 0.1, n), |a, _| a * 0.1);
        check_binary("exp", ab, |core, d, a, _, n| core.exp(d, a, n), |a, _| a.exp());
        check_binary("ln", ab, |core, d, a, _, n| core.ln(d, a, n), |a, _| a.ln());
        check_binary("abs", ab, |core, d, a, _, n| core.abs(d, a, n), |a, _| a.abs());
        check_binary("rsqrt", ab, |core, d, a, _, n| core.rsqrt(d, a, n), |a, _| 1.0 / a.sqrt());
        check_binary("reciprocal", ab, |core, d, a, _, n| core.reciprocal(d, a, n), |a, _| 1.0 / a);
    }

    #[test]
    fn i32_wraps_and_loses_no_digit(a in i32s(100), b in i32s(100)) {
        let ab = [&a[..], &b[..]];
        check_binary("add", ab, |core, d, a, b, n| core.add(d, a, b, n), i32::wrapping_add);
        check_binary("sub", ab, |core, d, a, b, n| core.sub(d, a, b, n), i32::wrapping_sub);
        check_binary("mul", ab, |core, d, a, b, n| core.mul(d, a, b, n), i32::wrapping_mul);
        check_binary("max", ab, |core, d, a, b, n| core.max(d, a, b, n), i32::max);
        check_binary("or", ab, |core, d, a, b, n| core.or(d, a, b, n), |a, b| a | b);
        check_binary("not", ab, |core, d, a, _, n| core.not(d, a, n), |a, _| !a);
        check_binary("abs", ab, |core, d, a, _, n| core.abs(d, a, n), |a, _| a.wrapping_abs());
        check_binary("relu", ab, |core, d, a, _, n| core.relu(d, a, n), |a, _| a.max(0));
        let scalar = 0x0123_4567;
        check_binary("adds", ab, |core, d, a, _, n| core.adds(d, a, 0x0123_4567, n), |a, _| a.wrapping_add(scalar));
        check_binary("maxs", ab, |core, d, a, _, n| core.maxs(d, a, 0x0123_4567, n), |a, _| a.max(scalar));
    }

    #[test]
    fn mul_add_dst_rounds_once(a in f16s(100), b in f16s(100), c in f16s(100)) {
        let found = apply(&c, &[&a, &b], |core, dst, of| core.mul_add_dst(dst, of[0], of[1], 100_u32));
        let sum = |i: usize| f16::from_f64(a[i].to_f64() * b[i].to_f64() + c[i].to_f64());
        assert_same(&found, &(0..100).map(sum).collect::<Vec<_>>(), "f16");
        let [a, b, c] = [&a, &b, &c].map(|f16s| f16s.iter().map(|x| x.to_f32()).collect::<Vec<f32>>());
        let found = apply(&c, &[&a, &b], |core, dst, of| core.mul_add_dst(dst, of[0], of[1], 100_u32));
        assert_same(&found, &(0..100).map(|i| a[i].mul_add(b[i], c[i])).collect::<Vec<_>>(), "f32");
    }
}

/// Where an element of a masked instruction lies, if the mask takes it.
fn places(mask: [u64; 2], repeat: u8, block: u16, repeat_stride: u16, size: usize) -> Vec<Option<usize>> {
    let per_repeat = 256 / size;
    let per_block = 32 / size;
    let place = |i: usize| {
        let (repeat, within) = (i / per_repeat, i % per_repeat);
        let blocks = repeat * usize::from(repeat_stride) + within / per_block * usize::from(block);
        let is_taken = mask[within / 64] >> (within % 64) & 1 == 1;
        is_taken.then_some(blocks * per_block + within % per_block)
    };
    (0..usize::from(repeat) * per_repeat).map(place).collect()
}

fn mask() -> impl Strategy<Value = [u64; 2]> {
    prop_oneof![
        any::<[u64; 2]>(),
        (0_u32..=128).prop_map(|n| match Extent::first(n, 1, Strides::default()) {
            Extent::Masked { mask, .. } => mask,
            Extent::Count(_) => unreachable!(),
        })
    ]
}

const ROOM: usize = 4096;

type Reduction<E> = fn(&Core, Local<'_, i32>, Local<'_, i32>, E) -> Result<(), KernelError>;
type Fold = fn(&[i32]) -> i32;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn masks_and_strides_reach_the_elements_they_say(
        mask in mask(),
        repeat in 0_u8..6,
        blocks in ([1_u16..4, 0..4, 0..4], [32_u16..40, 0..20, 0..20]),
        seed in any::<u16>(),
    ) {
        let ([b0, b1, b2], [r0, r1, r2]) = blocks;
        let strides = Strides { block: [b0, b1, b2], repeat: [r0, r1, r2] };
        let extent = Extent::Masked { mask, repeat, strides };
        let number = |i: usize, k: usize| ((i * k + usize::from(seed)) % 509) as f64 - 250.0;
        fn check<T: Element>(
            mask: [u64; 2], repeat: u8, strides: Strides, extent: Extent, number: impl Fn(usize, usize) -> f64,
        ) {
            let elements = |k| (0..ROOM).map(|i| T::of_f64(number(i, k))).collect::<Vec<T>>();
            let (a, b, mut expected) = (elements(7), elements(11), elements(13));
            let found = apply(&expected, &[&a, &b], |core, dst, of| core.sub(dst, of[0], of[1], extent));
            let size = T::DTYPE.size() as usize;
            let of = |which: usize| places(mask, repeat, strides.block[which], strides.repeat[which], size);
            for ((to, a_at), b_at) in of(0).into_iter().zip(of(1)).zip(of(2)) {
                if let (Some(to), Some(a_at), Some(b_at)) = (to, a_at, b_at) {
                    expected[to] = T::of_f64(a[a_at].to_f64() - b[b_at].to_f64());
                }
            }
            assert_same(&found, &expected, T::DTYPE.name());
        }
        check::<f16>(mask, repeat, strides, extent, number);
        let mask = [mask[0], 0];
        let extent = Extent::Masked { mask, repeat, strides };
        check::<f32>(mask, repeat, strides, extent, number);
        check::<i32>(mask, repeat, strides, extent, number);
    }

    #[test]
    fn a_reduction_of_each_repeat_leaves_masked_elements_out(
        mask in any::<u64>().prop_map(|bits| [bits, 0]),
        repeat in 1_u8..6,
        block in 1_u16..3,
        apart in 1_u16..5,
        elements in prop::collection::vec(-1000_i32..0, ROOM),
    ) {
        let strides = Strides { block: [1, block, 1], repeat: [apart, 16, 1] };
        let extent = Extent::Masked { mask, repeat, strides };
        let at: Vec<Option<usize>> = places(mask, repeat, block, 16, 4);
        let taken = |r: usize| at[64 * r..][..64].iter().flatten().map(|i| elements[*i]).collect::<Vec<i32>>();
        let ops: [(&str, Reduction<Extent>, Fold); 3] = [
            ("sum", |core, dst, a, extent| core.whole_reduce_sum(dst, a, extent), |taken| taken.iter().sum()),
            ("max", |core, dst, a, extent| core.whole_reduce_max(dst, a, extent), |taken| *taken.iter().max().unwrap_or(&0)),
            ("min", |core, dst, a, extent| core.whole_reduce_min(dst, a, extent), |taken| *taken.iter().min().unwrap_or(&0)),
        ];
        for (what, op, of) in ops {
            let mut expected = vec![7; 64];
            let found = apply(&expected, &[&elements], |core, dst, sources| op(core, dst, sources[0], extent));
            for r in 0..usize::from(repeat) {
                expected[r * usize::from(apart)] = of(&taken(r));
            }
            assert_same(&found, &expected, what);
        }
    }

    #[test]
    fn reductions_of_a_count(elements in i32s(1..500), halves in prop::collection::vec(-8_i8..8, 1..2000)) {
        let count = elements.len() as u32;
        let sum = elements.iter().fold(0, |sum: i32, a| sum.wrapping_add(*a));
        let (max, min) = (*elements.iter().max().unwrap(), *elements.iter().min().unwrap());
        let result = |op: Reduction<u32>| {
            apply(&[9, 9], &[&elements], |core, dst, of| op(core, dst, of[0], count))
        };
        assert_same(&result(|core, dst, a, n| core.reduce_sum(dst, a, n)), &[sum, 9], "sum");
        assert_same(&result(|core, dst, a, n| core.reduce_max(dst, a, n)), &[max, 9], "max");
        assert_same(&result(|core, dst, a, n| core.reduce_min(dst, a, n)), &[min, 9], "min");
        let parts: Vec<i32> = elements.chunks(64).map(|part| *part.iter().max().unwrap()).collect();
        let found = apply(&[3; 8], &[&elements], |core, dst, of| core.whole_reduce_max(dst, of[0], count));
        assert_same(&found[..parts.len()], &parts, "of each repeat");
        // Sums that f16 holds at every step, whatever the order.
        let numbers: Vec<f16> = halves.iter().map(|a| f16::from_f64(f64::from(*a) / 8.0)).collect();
        let sum: f64 = numbers.iter().map(|a| a.to_f64()).sum();
        let found = apply(&[f16::ZERO], &[&numbers], |core, dst, of| core.reduce_sum(dst, of[0], halves.len() as u32));
        if sum.abs() < 256.0 {
            prop_assert!((found[0].to_f64() - sum).abs() <= 2.0, "{} for {sum}", found[0]);
        }
    }

    #[test]
    fn comparisons_and_choices(a in prop::collection::vec(-5_i32..5, 128), b in prop::collection::vec(-5_i32..5, 128)) {
        use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
        type Holds = fn(&i32, &i32) -> bool;
        let all: [(Comparison, Holds); 6] =
            [(Lt, i32::lt), (Gt, i32::gt), (Le, i32::le), (Ge, i32::ge), (Eq, i32::eq), (Ne, i32::ne)];
        // Beyond the digits of f32, so that nothing may pass through it.
        let big = |of: &[i32]| of.iter().map(|i| i + 0x0700_0000).collect::<Vec<i32>>();
        let (a, b) = (big(&a), big(&b));
        for (comparison, holds) in all {
            let bits = apply(&[0_u8; 32], &[&a, &b], |core, dst, of| core.compare(dst, of[0], of[1], comparison, 128));
            let mut expected = [0; 32];
            for i in 0..128 {
                expected[i / 8] |= u8::from(holds(&a[i], &b[i])) << (i % 8);
            }
            assert_same(&bits, &expected, "bits");
            let chosen = |scalar: Option<i32>| {
                apply(&[0; 128], &[&a, &b], |core, dst, of| {
                    // The destination holds the bits until the choice is made in a's place.
                    core.compare(dst.cast(), of[0], of[1], comparison, 128)?;
                    match scalar {
                        None => core.select(of[0], dst.cast(), of[0], of[1], 128)?,
                        Some(scalar) => core.select_or(of[0], dst.cast(), of[0], scalar, 128)?,
                    }
                    core.copy(dst, of[0], 128_u32)
                })
            };
            let expected: Vec<i32> = (0..128).map(|i| if holds(&a[i], &b[i]) { a[i] } else { b[i] }).collect();
            assert_same(&chosen(None), &expected, "select");
            let expected: Vec<i32> = (0..128).map(|i| if holds(&a[i], &b[i]) { a[i] } else { 0x0765_4321 }).collect();
            assert_same(&chosen(Some(0x0765_4321)), &expected, "select_or");
        }
    }
}

#[test]
fn duplicate_and_brcb() {
    let found = apply::<i32, i32>(&[1; 40], &[], |core, dst, _| core.duplicate(dst, 0x0123_4567, 33_u32));
    let expected: Vec<i32> = (0..40).map(|i| if i < 33 { 0x0123_4567 } else { 1 }).collect();
    assert_same(&found, &expected, "duplicate");

    let numbers: Vec<f16> = (0..16).map(|i| f16::from_f32(i as f32)).collect();
    let strides = Strides { block: [2, 1, 1], repeat: [16, 8, 8] };
    let found = apply(&[f16::ONE; 512], &[&numbers], |core, dst, of| core.brcb(dst, of[0], 2, strides));
    let expected: Vec<f16> =
        (0..512).map(|i| if i / 16 % 2 == 0 { numbers[i / 32] } else { f16::ONE }).collect();
    assert_same(&found, &expected, "brcb");
}

const ROUNDINGS: [Rounding; 6] =
    [Rounding::None, Rounding::Rint, Rounding::Floor, Rounding::Ceil, Rounding::Round, Rounding::Trunc];

/// Of two neighbours of a value, the one that a rounding gives. `is_even` says which of them is it at a tie.
fn choose(rounding: Rounding, value: f64, [below, above]: [f64; 2], above_is_even: bool) -> f64 {
    let (down, up) = (value - below, above - value);
    let nearest = |tie: f64| {
        if down < up {
            below
        } else if up < down {
            above
        } else {
            tie
        }
    };
    match rounding {
        Rounding::Floor => below,
        Rounding::Ceil => above,
        Rounding::Trunc => {
            if value < 0.0 {
                above
            } else {
                below
            }
        }
        Rounding::Round => nearest(if value < 0.0 { below } else { above }),
        Rounding::None | Rounding::Rint => nearest(if above_is_even { above } else { below }),
    }
}

fn to_integer(rounding: Rounding, value: f64) -> f64 {
    let (below, above) = (value.floor(), value.ceil());
    choose(rounding, value, [below, above], above % 2.0 == 0.0)
}

/// By looking through all f16.
fn to_f16(rounding: Rounding, value: f64) -> f16 {
    static FINITE: LazyLock<Vec<f16>> = LazyLock::new(|| {
        let mut finite: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).filter(|x| x.is_finite()).collect();
        finite.sort_by(|a, b| a.total_cmp(b));
        finite
    });
    let below = FINITE[FINITE.partition_point(|x| x.to_f64() <= value) - 1];
    let above = FINITE[FINITE.partition_point(|x| x.to_f64() < value)];
    f16::from_f64(choose(rounding, value, [below, above].map(f16::to_f64), above.to_bits().is_multiple_of(2)))
}

fn cast<U: Element, T: Element>(rounding: Rounding, numbers: &[f64], of: impl Fn(f64) -> U) {
    let from: Vec<T> = numbers.iter().map(|x| T::of_f64(*x)).collect();
    let expected: Vec<U> = from.iter().map(|x| of(x.to_f64())).collect();
    let before = vec![U::default(); from.len()];
    let found = apply(&before, &[&from], |core, dst, of| core.cast(dst, of[0], rounding, from.len() as u32));
    // 0 and -0 are the same number.
    for ((found, expected), from) in found.iter().zip(&expected).zip(&from) {
        assert_eq!(found, expected, "{from} {} as {} by {rounding:?}", T::DTYPE, U::DTYPE);
    }
}

#[test]
fn casts_round_as_they_are_told() {
    let mut numbers: Vec<f64> =
        vec![0.0, 0.5, 1.5, 2.5, 0.499, 0.501, 126.5, 1000.25, 2049.0, 2051.0, 1e-7, 3e-8, 12345.678];
    numbers.extend(numbers.clone().iter().map(|x| -x));
    let small: Vec<f64> = numbers.iter().copied().filter(|x| x.abs() < 128.0).collect();
    for rounding in ROUNDINGS {
        cast::<i32, f32>(rounding, &numbers, |x| to_integer(rounding, x) as i32);
        cast::<i32, f16>(rounding, &numbers, |x| to_integer(rounding, x) as i32);
        cast::<i8, f16>(rounding, &small, |x| to_integer(rounding, x).min(127.0) as i8);
        cast::<f16, f32>(rounding, &numbers, |x| to_f16(rounding, x));
        cast::<f16, i32>(rounding, &numbers, |x| to_f16(rounding, x));
        cast::<f32, f16>(rounding, &numbers, |x| x as f32);
        cast::<f16, i8>(rounding, &small, f16::from_f64);
        cast::<i32, i8>(rounding, &small, |x| x as i32);
        let whole = |x| if rounding == Rounding::None { x } else { to_integer(rounding, x) as f32 as f64 };
        cast::<f32, f32>(rounding, &numbers, |x| whole(x) as f32);
    }
    // Between two f32.
    let expected =
        [(Rounding::Rint, 16_777_216), (Rounding::Floor, 16_777_216), (Rounding::Ceil, 16_777_218)];
    for (rounding, whole) in expected {
        cast::<f32, i32>(rounding, &[16_777_217.0], |_| whole as f32);
    }
    // Beyond the range: the end of it.
    for rounding in ROUNDINGS {
        cast::<i32, f32>(rounding, &[1e20, -1e20], |x| if x > 0.0 { i32::MAX } else { i32::MIN });
        cast::<i8, i32>(rounding, &[300.0, -300.0], |x| if x > 0.0 { i8::MAX } else { i8::MIN });
    }
    cast::<f16, f32>(Rounding::Trunc, &[1e6], |_| f16::MAX);
    cast::<f16, f32>(Rounding::Rint, &[1e6], |_| f16::INFINITY);
}

/// A copy in with gaps and padding, as plain Rust.
fn padded(x: &[i8], params: DataCopyPadParams, pad: Option<Pad<i8>>, mut to: Vec<i8>) -> Vec<i8> {
    let mut at = 0;
    for block in 0..usize::from(params.block_count) {
        let from = block * (params.block_len + params.src_gap) as usize;
        let data = &x[from..][..params.block_len as usize];
        let pads = pad.unwrap_or(Pad { left: 0, right: 0, value: data.first().copied().unwrap_or(0) });
        let whole = (data.len() + usize::from(pads.left + pads.right)).next_multiple_of(32);
        to[at..at + whole].fill(pads.value);
        to[at + usize::from(pads.left)..][..data.len()].copy_from_slice(data);
        at += whole + 32 * params.dst_gap as usize;
    }
    to
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn padded_copies_put_every_byte_where_it_belongs(
        block_count in 0_u16..6,
        block_len in 1_u32..100,
        gaps in (0_u32..50, 0_u32..3),
        pad in prop::option::of((0_u8..33, 0_u8..33, any::<i8>())),
    ) {
        const BYTES: usize = 2048;
        let profile = Arc::new(Profile::named("910B1").unwrap());
        let pad = pad.map(|(left, right, value)| Pad { left, right, value });
        let into = DataCopyPadParams { block_count, block_len, src_gap: gaps.0, dst_gap: gaps.1 };
        let out = DataCopyPadParams { block_count, block_len, src_gap: gaps.1, dst_gap: gaps.0 };
        let xs: Vec<i8> = (0..BYTES).map(|i| (i * 37 % 251) as i8).collect();
        let mut memory = GlobalMemory::new();
        let x = memory.tensor(&xs);
        let (near, far) = (memory.zeros::<i8>(BYTES as u64), memory.zeros::<i8>(BYTES as u64));
        let run = launch(&profile, &mut memory, &Launch::on(1), |core| {
            let pipe = TPipe::new(core)?;
            let blocks: TBuf<'_, VecIn> = pipe.init_tbuf(BYTES as u64)?;
            // What was there before stays where no block goes.
            core.data_copy_in(blocks.get(), near, BYTES as u32)?;
            core.pipe_barrier_all()?;
            core.data_copy_pad_in(blocks.get(), x, into, pad)?;
            core.pipe_barrier_all()?;
            core.data_copy_out(near, blocks.get(), BYTES as u32)?;
            core.pipe_barrier_all()?;
            core.data_copy_in(blocks.get(), x, BYTES as u32)?;
            core.pipe_barrier_all()?;
            core.data_copy_pad_out(far, blocks.get(), out)
        });
        prop_assert!(run.unwrap().hazards.is_empty());
        assert_same(memory.read(near), &padded(&xs, into, pad, vec![0; BYTES]), "in");
        let mut expected = vec![0; BYTES];
        for block in 0..usize::from(block_count) {
            let from = block * ((block_len as usize).next_multiple_of(32) + 32 * gaps.1 as usize);
            let to = block * (block_len + gaps.0) as usize;
            expected[to..][..block_len as usize].copy_from_slice(&xs[from..][..block_len as usize]);
        }
        assert_same(memory.read(far), &expected, "out");
    }

    #[test]
    fn copies_of_blocks_leave_gaps(block_count in 0_u16..8, block_len in 0_u16..4, gaps in (0_u16..4, 0_u16..4)) {
        const COUNT: usize = 512;
        let params = DataCopyParams { block_count, block_len, src_gap: gaps.0, dst_gap: gaps.1 };
        let profile = Arc::new(Profile::named("910B1").unwrap());
        let xs: Vec<i32> = (0..COUNT as i32).collect();
        let mut memory = GlobalMemory::new();
        let (x, y) = (memory.tensor(&xs), memory.zeros::<i32>(COUNT as u64));
        let run = launch(&profile, &mut memory, &Launch::on(1), |core| {
            let pipe = TPipe::new(core)?;
            let blocks: TBuf<'_, VecIn> = pipe.init_tbuf(4 * COUNT as u64)?;
            core.duplicate::<i32>(blocks.get(), -1, COUNT as u32)?;
            core.pipe_barrier_all()?;
            core.data_copy_in_blocks(blocks.get(), x, params)?;
            core.pipe_barrier_all()?;
            // And back with the gaps the other way round.
            let back = DataCopyParams { src_gap: gaps.1, dst_gap: gaps.0, ..params };
            core.data_copy_out_blocks(y, blocks.get(), back)
        });
        prop_assert!(run.unwrap().hazards.is_empty());
        let (len, gap) = (8 * usize::from(block_len), 8 * usize::from(gaps.0));
        let is_in = |i: usize| len > 0 && i / (len + gap) < usize::from(block_count) && i % (len + gap) < len;
        let expected: Vec<i32> = (0..COUNT).map(|i| if is_in(i) { i as i32 } else { 0 }).collect();
        assert_same(memory.read(y), &expected, "there and back");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A part of a matrix through L1, L0A, L0B and L0C: f16 summed in f32, i8 in i32.
    #[test]
    fn a_product_through_the_cubes_memories(
        (m, n, k) in (1_u16..40, 1_u16..40, 1_u16..70),
        twice in any::<bool>(),
        seed in any::<u16>(),
    ) {
        fn check<T: Factor, U: FromSum<T::Sum>>([m, n, k]: [u16; 3], twice: bool, seed: u16) {
            let profile = Arc::new(Profile::named("910B1").unwrap());
            let number = |i: usize, by: usize| T::of_f64(((i * by + usize::from(seed)) % 17) as f64 - 8.0);
            let [rows, columns, depth] = [m, n, k].map(usize::from);
            let xs: Vec<T> = (0..rows * depth).map(|i| number(i, 7)).collect();
            let ys: Vec<T> = (0..depth * columns).map(|i| number(i, 5)).collect();
            let mut memory = GlobalMemory::new();
            let (a, b) = (memory.tensor(&xs), memory.tensor(&ys));
            let c = memory.zeros::<U>((rows * columns) as u64);
            let run = launch(&profile, &mut memory, &Launch::on(1), |core| {
                let pipe = TPipe::new(core)?;
                let (l1_a, l1_b): (TBuf<'_, A1>, TBuf<'_, B1>) = (pipe.init_tbuf(20480)?, pipe.init_tbuf(20480)?);
                let (l0_a, l0_b): (TBuf<'_, A2>, TBuf<'_, B2>) = (pipe.init_tbuf(20480)?, pipe.init_tbuf(20480)?);
                let l0_c: TBuf<'_, Co1> = pipe.init_tbuf(20480)?;
                let [of_a, of_b] = [k, n].map(|c| u32::from(c).next_multiple_of(32 / T::DTYPE.size()));
                let part = Nd2NzParams { rows: m, columns: k.into(), src_stride: k.into() };
                core.data_copy_nd2nz(l1_a.get(), a, part)?;
                let part = Nd2NzParams { rows: k, columns: n.into(), src_stride: n.into() };
                core.data_copy_nd2nz(l1_b.get(), b, part)?;
                core.pipe_barrier_all()?;
                core.load_data(l0_a.get::<T>(), l1_a.get(), LoadDataParams { rows: m, columns: k, src_stride: of_a })?;
                core.load_data(l0_b.get::<T>(), l1_b.get(), LoadDataParams { rows: k, columns: n, src_stride: of_b })?;
                core.pipe_barrier_all()?;
                for accumulates in [false, true].into_iter().take(1 + usize::from(twice)) {
                    core.mmad::<T>(l0_c.get(), l0_a.get(), l0_b.get(), MmadParams { m, n, k, accumulates })?;
                }
                core.pipe_barrier_all()?;
                core.fixpipe(c, l0_c.get::<T::Sum>(), FixpipeParams { m, n, dst_stride: n.into() })
            });
            assert!(run.unwrap().hazards.is_empty());
            let times = if twice { 2.0 } else { 1.0 };
            let sum = |row: usize, column: usize| {
                let product = |i: usize| xs[row * depth + i].to_f64() * ys[i * columns + column].to_f64();
                U::of_f64(times * (0..depth).map(product).fold(0.0, |sum, product| sum + product))
            };
            let expected: Vec<U> = (0..rows * columns).map(|i| sum(i / columns, i % columns)).collect();
            assert_same(memory.read(c), &expected, T::DTYPE.name());
        }
        check::<f16, f32>([m, n, k], twice, seed);
        check::<f16, f16>([m, n, k], twice, seed);
        check::<f32, f32>([m, n, k], twice, seed);
        check::<i8, i32>([m, n, k], twice, seed);
    }
}
