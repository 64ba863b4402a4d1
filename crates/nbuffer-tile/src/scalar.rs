//! The scalar core's own access to data: elements read, computed with and written.
//!
//! A kernel's program runs before its instructions do, so that it never sees a value: it holds a [`Scalar`], which stands for one. The scalar
//! core reads the element when the simulation comes there, and hands it on to the instructions that are given the `Scalar`. What
//! a program cannot do is to branch on it.
//!
//! As on hardware, nothing orders the scalar core with the other pipes but flags: a value that V computes is read behind V_S, one that is
//! written is used by V behind S_V. The data cache between the scalar core and global memory is taken to be coherent.

use std::marker::PhantomData;
use std::ops::{Add, Div, Mul, Sub};
use std::panic::Location;

use half::f16;

use crate::core::Core;
use crate::element::Element;
use crate::error::{ErrorKind, KernelError};
use crate::instruction::{Number, Op, Scalar as Instruction, Spot, VectorOp};
use crate::position::Space;
use crate::tensor::{GlobalTensor, Local};
use crate::vector::check_bounds;

/// A value in a register of the scalar core, which the kernel's program does not know.
///
/// It can be computed with, and given to instructions in place of a number.
#[derive(Debug)]
pub struct Scalar<'c, T: Element> {
    core: &'c Core,
    register: u32,
    element: PhantomData<T>,
}

impl<T: Element> Drop for Scalar<'_, T> {
    fn drop(&mut self) {
        self.core.free_register(self.register);
    }
}

/// A number for an instruction: known, or a [`Scalar`].
#[derive(Clone, Copy, Debug)]
pub struct Value<'s, T> {
    pub(crate) number: Number,
    of: PhantomData<&'s T>,
}

impl<T: Element> From<T> for Value<'_, T> {
    fn from(value: T) -> Self {
        let mut bytes = [0; 4];
        bytes[..T::DTYPE.size() as usize].copy_from_slice(bytemuck::bytes_of(&value));
        Value { number: Number::Known(bytes), of: PhantomData }
    }
}

impl<'s, T: Element> From<&'s Scalar<'_, T>> for Value<'s, T> {
    fn from(scalar: &'s Scalar<'_, T>) -> Self {
        Value { number: Number::Register(scalar.register), of: PhantomData }
    }
}

/// What has elements that the scalar core reaches: the unified buffer and global memory.
pub trait Elements<T>: sealed::Spots {}

impl<T: Element> Elements<T> for Local<'_, T> {}
impl<T: Element> Elements<T> for GlobalTensor<T> {}

mod sealed {
    use super::*;

    pub trait Spots {
        #[expect(private_interfaces, reason = "nobody else implements it")]
        fn spot(
            &self,
            core: &Core,
            call: &'static str,
            index: u64,
            at: &'static Location<'static>,
        ) -> Result<Spot, KernelError>;
    }

    impl<T: Element> Spots for Local<'_, T> {
        #[expect(private_interfaces, reason = "nobody else implements it")]
        fn spot(
            &self,
            _core: &Core,
            call: &'static str,
            index: u64,
            at: &'static Location<'static>,
        ) -> Result<Spot, KernelError> {
            if self.space != Space::Ub {
                let (what, expected) = ("the tensor", "UB or global memory");
                let kind = ErrorKind::Place { call, what, space: self.space, expected };
                return Err(KernelError::new(kind, at));
            }
            check_bounds("the tensor", index.saturating_add(1), self.count.into(), T::DTYPE, at)?;
            Ok(Spot::Local(self.address + index as u32 * T::DTYPE.size()))
        }
    }

    impl<T: Element> Spots for GlobalTensor<T> {
        #[expect(private_interfaces, reason = "nobody else implements it")]
        fn spot(
            &self,
            core: &Core,
            _call: &'static str,
            index: u64,
            at: &'static Location<'static>,
        ) -> Result<Spot, KernelError> {
            let size = u64::from(T::DTYPE.size());
            check_bounds("the global tensor", index.saturating_add(1), self.count, T::DTYPE, at)?;
            let (element, there) = (self.offset + index, core.tensor_bytes(self.buffer) / size);
            check_bounds("a tensor of another GlobalMemory", element.saturating_add(1), there, T::DTYPE, at)?;
            Ok(Spot::Global(self.buffer, element * size))
        }
    }
}

impl Core {
    /// Reads an element (`GetValue`), for instructions that come behind. The scalar core goes on when it has it.
    ///
    /// # Errors
    ///
    /// An element beyond the tensor, a tensor that is neither in the unified buffer nor in global memory.
    #[track_caller]
    pub fn get_value<T: Element>(
        &self,
        from: impl Elements<T>,
        index: u64,
    ) -> Result<Scalar<'_, T>, KernelError> {
        let at = Location::caller();
        let from = from.spot(self, "get_value", index, at)?;
        let scalar = self.register();
        self.issue(Op::Scalar(Instruction::Load { from, dtype: T::DTYPE, to: scalar.register }), at)?;
        Ok(scalar)
    }

    /// Writes an element (`SetValue`). The scalar core goes on at once; a flag that it sets waits until the element is there.
    ///
    /// # Errors
    ///
    /// As [`get_value`](Core::get_value).
    #[track_caller]
    pub fn set_value<'s, T: Element>(
        &self,
        to: impl Elements<T>,
        index: u64,
        value: impl Into<Value<'s, T>>,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        let to = to.spot(self, "set_value", index, at)?;
        self.issue(Op::Scalar(Instruction::Store { value: value.into().number, dtype: T::DTYPE, to }), at)
    }

    /// A register that is not in use.
    fn register<T: Element>(&self) -> Scalar<'_, T> {
        Scalar { core: self, register: self.take_register(), element: PhantomData }
    }

    /// An error that ends the launch is what the next call returns: an operator cannot.
    fn compute<T: Element>(
        &self,
        op: VectorOp,
        a: Number,
        b: Number,
        at: &'static Location<'static>,
    ) -> Scalar<'_, T> {
        let result = self.register();
        let to = result.register;
        let _ = self.issue(Op::Scalar(Instruction::Compute { op, dtype: T::DTYPE, a, b, to }), at);
        result
    }
}

macro_rules! operators {
    ($($type:ty: $($trait:ident $method:ident),*;)*) => {$($(
        impl<'c> $trait<&Scalar<'c, $type>> for &Scalar<'c, $type> {
            type Output = Scalar<'c, $type>;

            #[track_caller]
            fn $method(self, other: &Scalar<'c, $type>) -> Scalar<'c, $type> {
                let (a, b) = (Value::from(self).number, Value::from(other).number);
                self.core.compute(VectorOp::$trait, a, b, Location::caller())
            }
        }

        impl<'c> $trait<$type> for &Scalar<'c, $type> {
            type Output = Scalar<'c, $type>;

            #[track_caller]
            fn $method(self, other: $type) -> Scalar<'c, $type> {
                let (a, b) = (Value::from(self).number, Value::from(other).number);
                self.core.compute(VectorOp::$trait, a, b, Location::caller())
            }
        }

        impl<'c> $trait<&Scalar<'c, $type>> for $type {
            type Output = Scalar<'c, $type>;

            #[track_caller]
            fn $method(self, other: &Scalar<'c, $type>) -> Scalar<'c, $type> {
                let (a, b) = (Value::from(self).number, Value::from(other).number);
                other.core.compute(VectorOp::$trait, a, b, Location::caller())
            }
        }
    )*)*};
}

operators! {
    f16: Add add, Sub sub, Mul mul, Div div;
    f32: Add add, Sub sub, Mul mul, Div div;
    i32: Add add, Sub sub, Mul mul;
    i8: Add add, Sub sub, Mul mul;
}
