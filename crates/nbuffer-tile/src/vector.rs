//! Vector instructions, in the form with a count and in the one with a mask and repeats.

use std::panic::Location;

use crate::copy::check_range;
use crate::core::Core;
use crate::element::{DType, Element};
use crate::error::{ErrorKind, KernelError};
use crate::instruction::{Number, Op, Operand, Rounding, Shape, Vector, VectorOp};
use crate::position::Space;
use crate::scalar::Value;
use crate::tensor::Local;

/// Which elements a vector instruction works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// So many, one after the other.
    Count(u32),
    /// In each of `repeat` repeats of 256 bytes those whose bit is set.
    Masked {
        /// A bit for each element of a repeat: 128 of them for elements of 2 bytes, 64 for those of 4 bytes.
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
            let call = Call::new(stringify!($name), VectorOp::$op, extent);
            self.vector(call, dst, &[a.into(), b.into()], Location::caller())
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
        pub fn $name<'s, T: Element>(
            &self,
            dst: Local<'_, T>,
            a: Local<'_, T>,
            scalar: impl Into<Value<'s, T>>,
            extent: impl Into<Extent>,
        ) -> Result<(), KernelError> {
            let call = Call::new(stringify!($name), VectorOp::$op, extent).with(scalar);
            self.vector(call, dst, &[a.into()], Location::caller())
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
            let call = Call::new(stringify!($name), VectorOp::$op, extent);
            self.vector(call, dst, &[a.into()], Location::caller())
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
        let call = Call::new("mul_add_dst", VectorOp::MulAddDst, extent);
        self.vector(call, dst, &[a.into(), b.into(), dst.into()], at)
    }

    /// Every element of `dst` becomes `value`
    ///
    /// # Errors
    ///
    /// As [`add`](Core::add).
    #[track_caller]
    pub fn duplicate<'s, T: Element>(
        &self,
        dst: Local<'_, T>,
        value: impl Into<Value<'s, T>>,
        extent: impl Into<Extent>,
    ) -> Result<(), KernelError> {
        let call = Call::new("duplicate", VectorOp::Duplicate, extent).with(value);
        self.vector(call, dst, &[], Location::caller())
    }

    /// Each element of `a` fills a block of 32 bytes of `dst`: 8 of them in each of `repeat` repeats. How a value of each row meets
    /// the row's elements (`Brcb`), read with a block stride of 0.
    ///
    /// # Errors
    ///
    /// As [`add`](Core::add), and elements of 1 byte.
    #[track_caller]
    pub fn brcb<T: Element>(
        &self,
        dst: Local<'_, T>,
        a: Local<'_, T>,
        repeat: u8,
        strides: Strides,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        if T::DTYPE.size() == 1 {
            let why = format!("there is none for {}", T::DTYPE);
            return Err(KernelError::new(ErrorKind::Unsupported { call: "brcb", why }, at));
        }
        let call = Call::new("brcb", VectorOp::Brcb, Extent::first(256 / T::DTYPE.size(), repeat, strides));
        self.vector(call, dst, &[a.into()], at)
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
        let call = Call::new("cast", VectorOp::Cast(rounding), extent);
        self.vector(call, dst, &[a.into()], Location::caller())
    }

    pub(crate) fn vector<T: Element>(
        &self,
        call: Call,
        dst: Local<'_, T>,
        sources: &[Given],
        at: &'static Location<'static>,
    ) -> Result<(), KernelError> {
        let vector = call.instruction(dst.into(), sources, at)?;
        self.issue(Op::Vector(vector), at)
    }
}

/// A mask as one number.
pub(crate) fn mask_bits([low, high]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// An operand as it was given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given {
    space: Space,
    address: u32,
    count: u32,
    dtype: DType,
}

impl<T: Element> From<Local<'_, T>> for Given {
    fn from(local: Local<'_, T>) -> Self {
        Given { space: local.space, address: local.address, count: local.count, dtype: T::DTYPE }
    }
}

/// A vector instruction as it was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    name: &'static str,
    op: VectorOp,
    extent: Extent,
    scalar: Number,
}

impl Call {
    pub(crate) fn new(name: &'static str, op: VectorOp, extent: impl Into<Extent>) -> Self {
        Call { name, op, extent: extent.into(), scalar: Number::Known([0; 4]) }
    }

    pub(crate) fn with<'s, T: Element>(self, scalar: impl Into<Value<'s, T>>) -> Self {
        Call { scalar: scalar.into().number, ..self }
    }

    /// The instruction, if everything about it is as it must be.
    fn instruction(
        self,
        dst: Given,
        sources: &[Given],
        at: &'static Location<'static>,
    ) -> Result<Vector, KernelError> {
        let (shape, strides) = match self.extent {
            Extent::Count(count) => (Shape::Count(count), Strides::default()),
            Extent::Masked { mask, repeat, strides } => {
                let moves = strides.block[0] > 0 && strides.repeat[0] > 0;
                check_range(moves, "destination stride", 0, "from 1", at)?;
                (Shape::Masked { mask, repeats: repeat }, strides)
            }
        };
        let operand = |given: Given, which: usize| Operand {
            address: given.address,
            block_stride: strides.block[which],
            repeat_stride: strides.repeat[which],
        };
        let mut operands = [operand(dst, 0); 3];
        for (index, source) in sources.iter().enumerate() {
            // What is added to is read as it is written.
            let which = if self.op == VectorOp::MulAddDst && index == 2 { 0 } else { (index + 1).min(2) };
            operands[index] = operand(*source, which);
        }
        let mut vector = Vector {
            op: self.op,
            // That of a choice is behind its mask.
            dtype: sources.last().map_or(dst.dtype, |source| source.dtype),
            dst_dtype: dst.dtype,
            dst: operand(dst, 0),
            sources: operands,
            n_sources: sources.len() as u8,
            scalar: self.scalar,
            shape,
            dst_len: 0,
            source_lens: [0; 3],
        };
        self.check_type(&vector, at)?;
        if let Shape::Masked { mask, .. } = shape {
            let (elements, most) = (128 - mask_bits(mask).leading_zeros(), vector.per_repeat());
            let what = "elements of a repeat that the mask reaches";
            let range = if most < 128 { "up to 64, with elements of 4 bytes," } else { "up to 128" };
            check_range(elements <= most, what, elements.into(), range, at)?;
        }
        // The results of repeats lie element by element.
        let of_elements = vector.is_repeat_reduction();
        let alignment = if of_elements { dst.dtype.size() } else { Space::Ub.alignment() };
        let len = vector.dst_extent();
        self.check("the destination", dst, len, alignment, at)?;
        vector.dst_len = len as u32;
        for (index, source) in sources.iter().enumerate() {
            let len = vector.source_extent(index);
            self.check("a source", *source, len, Space::Ub.alignment(), at)?;
            vector.source_lens[index] = len as u32;
            self.check_overlap(&vector, index, at)?;
        }
        Ok(vector)
    }

    fn check_type(&self, vector: &Vector, at: &'static Location<'static>) -> Result<(), KernelError> {
        let dtype = vector.dtype;
        let why = if dtype == DType::U8 || (vector.dst_dtype == DType::U8 && !self.makes_bytes()) {
            "there is no arithmetic on bytes; they hold the bits of comparisons".to_owned()
        } else if matches!(dtype, DType::I32 | DType::I8) && !self.op.takes_integers() {
            format!("there is none for {dtype}; cast to f16 or f32 before")
        } else {
            return Ok(());
        };
        Err(KernelError::new(ErrorKind::Unsupported { call: self.name, why }, at))
    }

    fn makes_bytes(&self) -> bool {
        matches!(self.op, VectorOp::Compare(_) | VectorOp::Cast(_))
    }

    fn check(
        &self,
        what: &'static str,
        given: Given,
        bytes: u64,
        alignment: u32,
        at: &'static Location<'static>,
    ) -> Result<(), KernelError> {
        let Given { space, address, count, dtype } = given;
        if space != Space::Ub {
            let kind = ErrorKind::Place { call: self.name, what, space, expected: "UB" };
            return Err(KernelError::new(kind, at));
        }
        if !address.is_multiple_of(alignment) {
            return Err(KernelError::new(ErrorKind::Unaligned { what, address, space, alignment }, at));
        }
        check_bounds(what, bytes.div_ceil(dtype.size().into()), count.into(), dtype, at)
    }

    /// Source and destination are the same or apart: what a repeat writes, no later repeat may read.
    fn check_overlap(
        &self,
        vector: &Vector,
        index: usize,
        at: &'static Location<'static>,
    ) -> Result<(), KernelError> {
        let (dst, source) = (vector.dst, vector.sources[index]);
        let is_bits = matches!(self.op, VectorOp::Select(_)) && index == 0;
        let same = dst == source && vector.dst_dtype.size() == vector.dtype.size() && !is_bits;
        let end = |operand: Operand, len: u32| operand.address + len;
        let apart = end(dst, vector.dst_len) <= source.address
            || end(source, vector.source_lens[index]) <= dst.address;
        if same || apart {
            return Ok(());
        }
        Err(KernelError::new(ErrorKind::Overlap { call: self.name }, at))
    }
}

pub(crate) fn check_bounds(
    what: &'static str,
    needed: u64,
    limit: u64,
    dtype: DType,
    at: &'static Location<'static>,
) -> Result<(), KernelError> {
    if needed <= limit {
        return Ok(());
    }
    Err(KernelError::new(ErrorKind::OutOfBounds { what, needed, limit, dtype }, at))
}
