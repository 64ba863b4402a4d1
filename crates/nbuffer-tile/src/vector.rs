//! Vector instructions, in the form with a count and in the one with a mask and repeats.

use std::panic::Location;

use crate::copy::{check_alignment, check_range};
use crate::core::Core;
use crate::element::{DType, Element};
use crate::error::{ErrorKind, KernelError};
use crate::instruction::{Comparison, Op, Operand, Rounding, Selection, Shape, Vector, VectorOp};
use crate::position::Space;
use crate::tensor::Local;

/// Which elements a vector instruction works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// So many, one after the other.
    Count(u32),
    /// In each of `repeat` repeats of 256 bytes those whose bit is set.
    Masked {
        /// A bit for each element of a repeat; 128 of them for 2-byte elements.
        mask: [u64; 2],
        /// Repeats, up to 255. None is an instruction that does nothing and takes its time.
        repeat: u8,
        /// Strides, in blocks of 32 bytes.
        strides: Strides,
    },
}

impl From<u32> for Extent {
    fn from(count: u32) -> Self {
        Extent::Count(count)
    }
}

/// From one block of 32 bytes to the next, and from one repeat to the next, in blocks of 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strides {
    /// Within a repeat: destination and sources.
    pub block: [u16; 3],
    /// From repeat to repeat. 0 at a source reads the same again.
    pub repeat: [u16; 3],
}

impl Default for Strides {
    /// One after the other.
    fn default() -> Self {
        Strides { block: [1; 3], repeat: [8; 3] }
    }
}

impl Extent {
    /// The first `count` elements of each of `repeat` repeats.
    pub fn first(count: u32, repeat: u8, strides: Strides) -> Self {
        let bits = |from: u32| match count.saturating_sub(from).min(64) {
            64 => u64::MAX,
            n => (1 << n) - 1,
        };
        Extent::Masked { mask: [bits(0), bits(64)], repeat, strides }
    }
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident => $op:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        ///
        /// Elements beyond an operand, operands that overlap in part or are not aligned.
        #[track_caller]
        pub fn $name<T: Element>(
            &self,
            dst: Local<'_, T>,
            a: Local<'_, T>,
            b: Local<'_, T>,
            extent: impl Into<Extent>,
        ) -> Result<(), KernelError> {
            self.vector(stringify!($name), VectorOp::$op, dst, &[a, b], 0.0, extent.into(), Location::caller())
        }
    )*};
}

macro_rules! with_scalar {
    ($($(#[$doc:meta])* $name:ident => $op:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        ///
        /// As [`add`](Core::add).
        #[track_caller]
        pub fn $name<T: Element>(
            &self,
            dst: Local<'_, T>,
            a: Local<'_, T>,
            scalar: f32,
            extent: impl Into<Extent>,
        ) -> Result<(), KernelError> {
            self.vector(stringify!($name), VectorOp::$op, dst, &[a], scalar, extent.into(), Location::caller())
        }
    )*};
}

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident => $op:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        ///
        /// As [`add`](Core::add).
        #[track_caller]
        pub fn $name<T: Element>(
            &self,
            dst: Local<'_, T>,
            a: Local<'_, T>,
            extent: impl Into<Extent>,
        ) -> Result<(), KernelError> {
            self.vector(stringify!($name), VectorOp::$op, dst, &[a], 0.0, extent.into(), Location::caller())
        }
    )*};
}

impl Core {
    binary! {
        /// `dst = a + b`
        add => Add;
        /// `dst = a - b`
        sub => Sub;
        /// `dst = a * b`
        mul => Mul;
        /// `dst = a / b`
        div => Div;
        /// `dst = max(a, b)`
        max => Max;
        /// `dst = min(a, b)`
        min => Min;
        /// `dst = a & b`, bit by bit
        and => And;
        /// `dst = a | b`, bit by bit
        or => Or;
    }

    with_scalar! {
        /// `dst = a + scalar`
        adds => Adds;
        /// `dst = a * scalar`
        muls => Muls;
        /// `dst = max(a, scalar)`
        maxs => Maxs;
        /// `dst = min(a, scalar)`
        mins => Mins;
        /// `dst = a` where `a >= 0`, else `a * scalar`
        leaky_relu => LeakyRelu;
    }

    unary! {
        /// `dst = |a|`
        abs => Abs;
        /// `dst = e^a`
        exp => Exp;
        /// `dst = ln a`
        ln => Ln;
        /// `dst = sqrt a`
        sqrt => Sqrt;
        /// `dst = 1 / sqrt a`
        rsqrt => Rsqrt;
        /// `dst = 1 / a`
        reciprocal => Reciprocal;
        /// `dst = max(a, 0)`
        relu => Relu;
        /// `dst = !a`, bit by bit
        not => Not;
        /// `dst = a`, within the unified buffer
        copy => Copy;
    }

    /// `dst += a * b`, rounded once
    ///
    /// # Errors
    ///
    /// As [`add`](Core::add).
    #[track_caller]
    pub fn mul_add_dst<T: Element>(
        &self,
        dst: Local<'_, T>,
        a: Local<'_, T>,
        b: Local<'_, T>,
        extent: impl Into<Extent>,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        self.vector("mul_add_dst", VectorOp::MulAddDst, dst, &[a, b, dst], 0.0, extent.into(), at)
    }

    /// Every element of `dst` becomes `value`
    ///
    /// # Errors
    ///
    /// As [`add`](Core::add).
    #[track_caller]
    pub fn duplicate<T: Element>(
        &self,
        dst: Local<'_, T>,
        value: f32,
        extent: impl Into<Extent>,
    ) -> Result<(), KernelError> {
        self.vector::<T, T>(
            "duplicate",
            VectorOp::Duplicate,
            dst,
            &[],
            value,
            extent.into(),
            Location::caller(),
        )
    }

    /// `dst = a` as another type
    ///
    /// # Errors
    ///
    /// As [`add`](Core::add).
    #[track_caller]
    pub fn cast<U: Element, T: Element>(
        &self,
        dst: Local<'_, U>,
        a: Local<'_, T>,
        rounding: Rounding,
        extent: impl Into<Extent>,
    ) -> Result<(), KernelError> {
        self.vector("cast", VectorOp::Cast(rounding), dst, &[a], 0.0, extent.into(), Location::caller())
    }

    /// A bit of `dst` for each element: whether the comparison of `a` with `b` holds
    ///
    /// # Errors
    ///
    /// As [`add`](Core::add), and sources whose size is no multiple of 256 bytes.
    #[track_caller]
    pub fn compare<T: Element>(
        &self,
        dst: Local<'_, u8>,
        a: Local<'_, T>,
        b: Local<'_, T>,
        comparison: Comparison,
        count: u32,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        let bytes = count * T::DTYPE.size();
        check_range(bytes.is_multiple_of(256), "bytes compared", bytes.into(), "a multiple of 256", at)?;
        self.vector("compare", VectorOp::Compare(comparison), dst, &[a, b], 0.0, Extent::Count(count), at)
    }

    /// `dst = a` where the bit of `mask` is 1, else `b`
    ///
    /// # Errors
    ///
    /// As [`add`](Core::add).
    #[track_caller]
    pub fn select<T: Element>(
        &self,
        dst: Local<'_, T>,
        mask: Local<'_, u8>,
        a: Local<'_, T>,
        b: Local<'_, T>,
        count: u32,
    ) -> Result<(), KernelError> {
        let bits = Local::new(mask.space, mask.address, mask.count.saturating_mul(8));
        let op = VectorOp::Select(Selection::Tensors);
        self.vector("select", op, dst, &[bits, a, b], 0.0, Extent::Count(count), Location::caller())
    }

    /// `dst = a` where the bit of `mask` is 1, else `scalar`
    ///
    /// # Errors
    ///
    /// As [`add`](Core::add).
    #[track_caller]
    pub fn select_or<T: Element>(
        &self,
        dst: Local<'_, T>,
        mask: Local<'_, u8>,
        a: Local<'_, T>,
        scalar: f32,
        count: u32,
    ) -> Result<(), KernelError> {
        let bits = Local::new(mask.space, mask.address, mask.count.saturating_mul(8));
        let op = VectorOp::Select(Selection::TensorOrScalar);
        self.vector("select_or", op, dst, &[bits, a], scalar, Extent::Count(count), Location::caller())
    }

    /// `dst[0]` = the sum of `count` elements, added up as a tree of pairs
    ///
    /// # Errors
    ///
    /// As [`add`](Core::add).
    #[track_caller]
    pub fn reduce_sum<T: Element>(
        &self,
        dst: Local<'_, T>,
        a: Local<'_, T>,
        count: u32,
    ) -> Result<(), KernelError> {
        self.vector(
            "reduce_sum",
            VectorOp::ReduceSum,
            dst,
            &[a],
            0.0,
            Extent::Count(count),
            Location::caller(),
        )
    }

    /// `dst[0]` = the greatest of `count` elements
    ///
    /// # Errors
    ///
    /// As [`add`](Core::add).
    #[track_caller]
    pub fn reduce_max<T: Element>(
        &self,
        dst: Local<'_, T>,
        a: Local<'_, T>,
        count: u32,
    ) -> Result<(), KernelError> {
        self.vector(
            "reduce_max",
            VectorOp::ReduceMax,
            dst,
            &[a],
            0.0,
            Extent::Count(count),
            Location::caller(),
        )
    }

    /// `dst[0]` = the least of `count` elements
    ///
    /// # Errors
    ///
    /// As [`add`](Core::add).
    #[track_caller]
    pub fn reduce_min<T: Element>(
        &self,
        dst: Local<'_, T>,
        a: Local<'_, T>,
        count: u32,
    ) -> Result<(), KernelError> {
        self.vector(
            "reduce_min",
            VectorOp::ReduceMin,
            dst,
            &[a],
            0.0,
            Extent::Count(count),
            Location::caller(),
        )
    }

    #[expect(clippy::too_many_arguments, reason = "what a vector instruction is")]
    fn vector<U: Element, T: Element>(
        &self,
        call: &'static str,
        op: VectorOp,
        dst: Local<'_, U>,
        sources: &[Local<'_, T>],
        scalar: f32,
        extent: Extent,
        at: &'static Location<'static>,
    ) -> Result<(), KernelError> {
        let (shape, strides) = match extent {
            Extent::Count(count) => (Shape::Count(count), Strides::default()),
            Extent::Masked { mask, repeat, strides } => {
                check_range(
                    strides.block[0] > 0 && strides.repeat[0] > 0,
                    "destination stride",
                    0,
                    "from 1",
                    at,
                )?;
                (Shape::Masked { mask, repeats: repeat }, strides)
            }
        };
        let operand = |address: u32, which: usize| {
            let which = which.min(2);
            Operand { address, block_stride: strides.block[which], repeat_stride: strides.repeat[which] }
        };
        let first = sources.first().map_or(dst.address, |source| source.address);
        let mut operands = [operand(first, 1); 3];
        for (index, source) in sources.iter().enumerate() {
            operands[index] = operand(source.address, index + 1);
        }
        let vector = Vector {
            op,
            dtype: T::DTYPE,
            dst_dtype: U::DTYPE,
            dst: operand(dst.address, 0),
            sources: operands,
            n_sources: sources.len() as u8,
            scalar,
            shape,
        };
        if vector.dtype == DType::U8 {
            let why = "there is no arithmetic on bytes; they hold the bits of comparisons".to_owned();
            return Err(KernelError::new(ErrorKind::Unsupported { call, why }, at));
        }
        let place =
            |what, space: Space| KernelError::new(ErrorKind::Place { call, what, space, expected: "UB" }, at);
        if dst.space != Space::Ub {
            return Err(place("the destination", dst.space));
        }
        check_alignment("the destination", dst, at)?;
        check_bounds("the destination", vector.dst_extent(), dst, at)?;
        for (index, source) in sources.iter().enumerate() {
            if source.space != Space::Ub {
                return Err(place("a source", source.space));
            }
            check_alignment("a source", *source, at)?;
            let is_mask = matches!(op, VectorOp::Select(_)) && index == 0;
            let extent = vector.source_extent(index);
            check_bounds("a source", if is_mask { extent * T::DTYPE.size() } else { extent }, *source, at)?;
            let apart = |a: u32, a_len: u32, b: u32, b_len: u32| a + a_len <= b || b + b_len <= a;
            let same = source.address == dst.address && U::DTYPE.size() == T::DTYPE.size();
            if !same && !apart(dst.address, vector.dst_extent(), source.address, extent) {
                return Err(KernelError::new(ErrorKind::Overlap { call }, at));
            }
        }
        self.issue(Op::Vector(vector), at)
    }
}

fn check_bounds<T: Element>(
    what: &'static str,
    bytes: u32,
    local: Local<'_, T>,
    at: &'static Location<'static>,
) -> Result<(), KernelError> {
    let needed = u64::from(bytes.div_ceil(T::DTYPE.size()));
    let limit = u64::from(local.count);
    if needed <= limit {
        return Ok(());
    }
    Err(KernelError::new(ErrorKind::OutOfBounds { what, needed, limit, dtype: T::DTYPE }, at))
}
