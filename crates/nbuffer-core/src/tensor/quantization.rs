//! The two formulas between reals and int8, over slices, and how they are made fast without unsafe code.
//!
//! The loops are plain; `multiversion` compiles each of them for several instruction sets and picks one when
//! the program runs. What stands in the way of vector code is avoided by arithmetic that gives the same bits:
//!
//! - **Rounding.** Adding 1.5 x 2^23 to a float of small magnitude leaves its nearest integer, ties to even,
//!   in the low bits of the sum. That holds below 2^22, so values are clipped first. Clipping to integers
//!   and rounding commute, because rounding is monotone and leaves integers where they are.
//! - **Division.** Dividing by a number known in advance takes one multiplication by its reciprocal and two
//!   fused multiply-adds that correct the result; see [`divide`].
//! - **NaN.** It is let through to the sum, where one bit tells it from every other result. The loops collect
//!   that bit, which costs half an instruction, and a slice that had a NaN is done again the slow way.

use multiversion::multiversion;
use multiversion::target::target_cfg_f;

use super::TensorInfo;
use super::layout::Level;

/// 1.5 x 2^23. Its low byte as bits is zero, so the low byte of a sum is the rounded integer itself.
const ROUND: f32 = 12_582_912.0;

/// Set in the bits of every NaN, clear in those of [`ROUND`] plus any int8.
const NAN_BIT: u32 = 1 << 29;

/// Scale and zero point of one tensor, as `f32` like the formulas that use them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantization {
    scale: f32,
    zero_point: f32,
    reciprocal: Option<Reciprocal>,
}

/// What replaces the division for scales and zero points of ordinary size.
#[derive(Clone, Copy, Debug)]
struct Reciprocal {
    /// `1 / scale`, rounded to nearest.
    value: f32,
    /// A real that quantises to -128; below it everything saturates.
    low: f32,
    /// A real that quantises to 127; above it everything saturates.
    high: f32,
}

impl Quantization {
    pub(super) fn of(info: &TensorInfo) -> Self {
        Quantization::new(info.scale() as f32, info.zero_point() as f32)
    }

    fn new(scale: f32, zero_point: f32) -> Self {
        // Within these limits no step of `divide` over- or underflows where it matters, and the rounding
        // errors of `low` and `high` stay far below the half step that would change their integer.
        let ordinary = (2f32.powi(-64)..=2f32.powi(64)).contains(&scale) && zero_point.abs() <= 65_536.0;
        let reciprocal = ordinary.then(|| Reciprocal {
            value: 1.0 / scale,
            low: (-128.0 - zero_point) * scale,
            high: (127.0 - zero_point) * scale,
        });
        Quantization { scale, zero_point, reciprocal }
    }

    /// `clip(round(x / scale + zero_point), -128, 127)` of each real; NaN counts as 0.0.
    ///
    /// The slices have equal lengths.
    pub(super) fn quantize(self, reals: &[f32], integers: &mut [i8]) {
        quantize(self, reals, integers);
    }

    /// As [`Quantization::quantize`], into rows of pixels with one channel of padding after every three.
    pub(super) fn quantize_pixel_rows(self, row: Level, reals: &[f32], padded: &mut [i8], pad: i8) {
        quantize_pixel_rows(self, row, reals, padded, pad);
    }

    /// `(q - zero_point) * scale` of each integer.
    ///
    /// The slices have equal lengths.
    pub(super) fn dequantize(self, integers: &[i8], reals: &mut [f32]) {
        dequantize(self, integers, reals);
    }

    /// The integer in the low byte.
    #[inline(always)]
    fn by_division(self, real: f32) -> u32 {
        let real = if real.is_nan() { 0.0 } else { real };
        round(clip(real / self.scale + self.zero_point, -128.0, 127.0))
    }

    /// The integer in the low byte, and [`NAN_BIT`] if the real was NaN.
    ///
    /// Clips the real instead of the quotient, which keeps infinities out of [`divide`]. It is the same by
    /// monotony: beyond `low` and `high` the formula gives -128 and 127 too.
    #[inline(always)]
    fn by_reciprocal(self, real: f32, reciprocal: Reciprocal) -> u32 {
        let real = clip(real, reciprocal.low, reciprocal.high);
        round(divide(real, self.scale, reciprocal.value) + self.zero_point)
    }
}

/// Written as comparisons, which are one instruction each and let NaN through.
#[inline(always)]
fn clip(value: f32, low: f32, high: f32) -> f32 {
    let value = if low > value { low } else { value };
    if high < value { high } else { value }
}

/// The bits of `value + ROUND`: the rounded integer is their low byte.
#[inline(always)]
fn round(value: f32) -> u32 {
    (value + ROUND).to_bits()
}

/// `x / divisor`, correctly rounded, given `reciprocal` = `1 / divisor` rounded to nearest.
///
/// The method is known (Brisebarre, Muller and Raina, "Accelerating correctly rounded floating-point division
/// when the divisor is known in advance", IEEE Transactions on Computers 53(8), 2004). It needs that nothing
/// over- or underflows. The first product is off by less than 1.5 units in the last place, and the corrected
/// sum is off by less than 5 times the least distance a quotient can have from the midpoint of two floats; so
/// the only quotients that could round wrongly are those within 5 such distances. The tests go through all of
/// them.
#[inline(always)]
fn divide(x: f32, divisor: f32, reciprocal: f32) -> f32 {
    let quotient = x * reciprocal;
    let remainder = (-quotient).mul_add(divisor, x);
    remainder.mul_add(reciprocal, quotient)
}

/// Whether this version of a multiversioned function has fused multiply-add as an instruction. Without it,
/// `mul_add` is a library call and slower than a division.
macro_rules! has_fused {
    () => {
        target_cfg_f!(any(target_feature = "fma", target_arch = "aarch64"))
    };
}

#[multiversion(targets = "simd")]
fn quantize(quantization: Quantization, reals: &[f32], integers: &mut [i8]) {
    if has_fused!()
        && let Some(reciprocal) = quantization.reciprocal
    {
        let mut seen = 0;
        for (integer, &real) in integers.iter_mut().zip(reals) {
            let bits = quantization.by_reciprocal(real, reciprocal);
            seen |= bits;
            *integer = bits as i8;
        }
        if seen & NAN_BIT == 0 {
            return;
        }
    }
    for (integer, &real) in integers.iter_mut().zip(reals) {
        *integer = quantization.by_division(real) as i8;
    }
}

#[multiversion(targets = "simd")]
fn quantize_pixel_rows(quantization: Quantization, row: Level, reals: &[f32], padded: &mut [i8], pad: i8) {
    if has_fused!()
        && let Some(reciprocal) = quantization.reciprocal
    {
        let seen = each_pixel(row, reals, padded, pad, |real| quantization.by_reciprocal(real, reciprocal));
        if seen & NAN_BIT == 0 {
            return;
        }
    }
    each_pixel(row, reals, padded, pad, |real| quantization.by_division(real));
}

/// Writes the low bytes of what `convert` gives and returns the union of all their bits.
#[inline(always)]
fn each_pixel(row: Level, reals: &[f32], padded: &mut [i8], pad: i8, convert: impl Fn(f32) -> u32) -> u32 {
    // One word of bits per pixel of a group, so that they are united once at the end.
    let mut seen = [0; 16];
    let mut pixels = |reals: &[[f32; 3]], padded: &mut [[i8; 4]]| {
        for ((padded, &[r, g, b]), seen) in padded.iter_mut().zip(reals).zip(&mut seen) {
            let [r, g, b] = [convert(r), convert(g), convert(b)];
            *seen |= r | g | b;
            *padded = low_bytes(r, g, b, pad);
        }
    };
    row.write_each(reals, padded, pad, |reals, padded| {
        // Groups of a fixed size keep the compiler from unrolling further, which leaves long remainders: the
        // rows of an image are a few hundred pixels.
        let (reals, reals_rest) = reals.as_chunks().0.as_chunks::<16>();
        let (padded, padded_rest) = padded.as_chunks_mut().0.as_chunks_mut::<16>();
        for (padded, reals) in padded.iter_mut().zip(reals) {
            pixels(reals, padded);
        }
        pixels(reals_rest, padded_rest);
    });
    seen.iter().fold(0, |all, bits| all | bits)
}

/// `[r as i8, g as i8, b as i8, pad]`, as arithmetic on one word: that becomes better vector code.
#[inline(always)]
fn low_bytes(r: u32, g: u32, b: u32, pad: i8) -> [i8; 4] {
    let pad = u32::from(pad.cast_unsigned());
    let word = (r & 0xff) | (g & 0xff) << 8 | (b & 0xff) << 16 | pad << 24;
    word.to_le_bytes().map(u8::cast_signed)
}

#[multiversion(targets = "simd")]
fn dequantize(quantization: Quantization, integers: &[i8], reals: &mut [f32]) {
    for (real, &integer) in reals.iter_mut().zip(integers) {
        *real = (f32::from(integer) - quantization.zero_point) * quantization.scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula as it is written down, in the order it is written down.
    fn formula(real: f32, scale: f32, zero_point: f32) -> i8 {
        let real = if real.is_nan() { 0.0 } else { real };
        (real / scale + zero_point).round_ties_even().clamp(-128.0, 127.0) as i8
    }

    /// Every way the formula is computed here gives what the formula gives.
    fn check(real: f32, scale: f32, zero_point: f32) {
        let quantization = Quantization::new(scale, zero_point);
        let expected = formula(real, scale, zero_point);
        let context = || format!("x = {real:e}, scale = {scale:e}, zero point = {zero_point}");
        assert_eq!(quantization.by_division(real) as i8, expected, "by division: {}", context());
        if let Some(reciprocal) = quantization.reciprocal {
            let bits = quantization.by_reciprocal(real, reciprocal);
            assert_eq!(bits & NAN_BIT != 0, real.is_nan(), "NaN bit: {}", context());
            assert!(real.is_nan() || bits as i8 == expected, "by reciprocal: {}", context());
        }
        let (mut selected, mut pixel) = ([0], [0; 4]);
        quantization.quantize(&[real], &mut selected);
        assert_eq!(selected, [expected], "as selected for this machine: {}", context());
        quantization.quantize_pixel_rows(Level::pixels(1), &[real; 3], &mut pixel, 5);
        assert_eq!(pixel, [expected, expected, expected, 5], "as a pixel: {}", context());
    }

    /// How much a test does: in an optimised build, in a plain one, and under an interpreter.
    fn effort(optimised: usize, plain: usize, interpreted: usize) -> usize {
        match (cfg!(miri), cfg!(debug_assertions)) {
            (true, _) => interpreted,
            (false, true) => plain,
            (false, false) => optimised,
        }
    }

    /// A small generator of its own keeps the tests exact repeats of each other.
    fn random(state: &mut u64) -> u32 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 32) as u32
    }

    #[test]
    fn both_sides_of_every_threshold_are_exact() {
        let mut state = 1;
        let scales =
            [1.0, 0.5, 1.0 / 255.0, 0.003_919_653_6, 0.018_658_448, 0.1, 3.0, 2f32.powi(-64), 2f32.powi(64)];
        let random_scales =
            std::iter::from_fn(|| Some(f32::from_bits((random(&mut state) % (1 << 29)) + 0x3000_0000)));
        for scale in scales.into_iter().chain(random_scales.take(effort(60, 12, 0))) {
            for zero_point in
                [-65_536.0, -200.0, -129.0, -128.0, -127.0, -1.0, 0.0, 3.0, 127.0, 128.0, 146.0, 65_536.0]
            {
                for integer in -129..=128 {
                    let mut real = (integer as f32 + 0.5 - zero_point) * scale;
                    for _ in 0..3 {
                        real = real.next_down();
                    }
                    for _ in 0..7 {
                        check(real, scale, zero_point);
                        real = real.next_up();
                    }
                }
            }
        }
    }

    #[test]
    fn any_bits_at_all_are_exact() {
        let mut state = 2;
        for _ in 0..effort(1_000_000, 200_000, 200) {
            let real = f32::from_bits(random(&mut state));
            let scale = f32::from_bits(random(&mut state) & 0x7fff_ffff);
            let zero_point = random(&mut state) as i32 >> (random(&mut state) % 32);
            if scale.is_normal() {
                check(real, scale, zero_point as f32);
            }
        }
    }

    #[test]
    fn nan_is_real_zero_and_infinities_saturate() {
        for zero_point in [i32::MIN, -200, -128, 0, 3, 127, 146, i32::MAX] {
            for scale in [1e-30, 0.02, 1.0, 1e30] {
                for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001), f32::from_bits(0xffff_ffff)] {
                    check(nan, scale, zero_point as f32);
                    assert_eq!(formula(nan, scale, zero_point as f32), zero_point.clamp(-128, 127) as i8);
                }
                check(f32::INFINITY, scale, zero_point as f32);
                check(f32::NEG_INFINITY, scale, zero_point as f32);
                check(f32::MAX, scale, zero_point as f32);
                check(f32::MIN_POSITIVE, scale, zero_point as f32);
                check(-0.0, scale, zero_point as f32);
            }
        }
    }

    #[test]
    fn one_nan_anywhere_is_noticed() {
        let quantization = Quantization::new(0.02, -14.0);
        for position in 0..3 * 37 {
            let mut reals = [0.5; 3 * 37];
            reals[position] = f32::NAN;
            let expected = |i| if i == position { -14 } else { 11 };
            let (mut integers, mut padded) = ([0; 3 * 37], [0; 4 * 37]);
            quantization.quantize(&reals, &mut integers);
            assert_eq!(integers, std::array::from_fn(expected), "NaN at {position}");
            quantization.quantize_pixel_rows(Level::pixels(37), &reals, &mut padded, 5);
            let pixels = std::array::from_fn(|i| if i % 4 == 3 { 5 } else { expected(i / 4 * 3 + i % 4) });
            assert_eq!(padded, pixels, "NaN at {position} of pixels");
        }
    }

    /// Inverse of an odd number modulo 2^32.
    fn inverse(odd: u32) -> u32 {
        // Each step doubles the number of correct low bits; an odd number is its own inverse modulo 8.
        (0..4).fold(odd, |inverse, _| inverse.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(inverse))))
    }

    /// Mantissas `X` whose quotient by the mantissa `S` lies `distance` smallest steps off the midpoint of
    /// two floats: `X * 2^shift - N * S = distance` with `N` an odd number of 25 bits.
    fn hard_dividends(divisor: u32, shift: u32, distance: i64) -> impl Iterator<Item = u32> {
        let twos = divisor.trailing_zeros();
        let solvable = distance.trailing_zeros() >= twos;
        let modulus = 1i64 << (shift - twos.min(shift));
        let odd = i64::from(inverse(divisor >> twos));
        let first = (-(distance >> twos)).wrapping_mul(odd).rem_euclid(modulus);
        let start = first + ((1i64 << 24) - first).max(0).div_euclid(modulus) * modulus;
        let numbers = (0..).map(move |i| start + i * modulus).take_while(move |&n| solvable && n < 1 << 25);
        numbers.filter(|&n| n >= 1 << 24 && n % 2 == 1).filter_map(move |n| {
            let scaled = n * i64::from(divisor) + distance;
            let dividend = scaled >> shift;
            (dividend << shift == scaled && (1 << 23..1 << 24).contains(&dividend)).then_some(dividend as u32)
        })
    }

    #[test]
    fn the_hardest_quotients_are_divided_exactly() {
        // All 2^23 divisors take seconds when optimised and minutes when not.
        let step = effort(1, 101, 400_009);
        let mut divided = 0u64;
        for divisor in (1u32 << 23..1 << 24).step_by(step) {
            let float = divisor as f32;
            let reciprocal = 1.0 / float;
            for shift in [24, 25] {
                for distance in (-8..=8).filter(|&distance| distance != 0) {
                    for dividend in hard_dividends(divisor, shift, distance) {
                        let x = dividend as f32;
                        assert_eq!(divide(x, float, reciprocal), x / float, "{x} / {float}");
                        divided += 1;
                    }
                }
            }
        }
        assert!(divided > (1 << 23) / step as u64, "only {divided} quotients were found");
    }

    #[test]
    fn dequantize_is_exact_for_all_integers() {
        let integers: Vec<i8> = (i8::MIN..=i8::MAX).collect();
        for zero_point in [-200, -128, 0, 3, 146, 1 << 20] {
            for scale in [1.0, 0.018_658_448, 1e-30, 1e30] {
                let mut reals = vec![0.0; 256];
                Quantization::new(scale, zero_point as f32).dequantize(&integers, &mut reals);
                for (&integer, real) in integers.iter().zip(reals) {
                    let expected = (i32::from(integer) - zero_point) as f32 * scale;
                    assert_eq!(real.to_bits(), expected.to_bits(), "{integer} - {zero_point} times {scale}");
                }
            }
        }
    }
}
