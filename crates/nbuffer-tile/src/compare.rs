//! Comparing elements, and choosing by the bits of a comparison.

use std::panic::Location;

use crate::copy::check_range;
use crate::core::Core;
use crate::element::Element;
use crate::error::KernelError;
use crate::instruction::{Comparison, Selection, VectorOp};
use crate::scalar::Value;
use crate::tensor::Local;
use crate::vector::Call;

impl Core {
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
        let bytes = i64::from(count) * i64::from(T::DTYPE.size());
        check_range(bytes % 256 == 0, "bytes compared", bytes, "a multiple of 256", at)?;
        let call = Call::new("compare", VectorOp::Compare(comparison), count);
        self.vector(call, dst, &[a.into(), b.into()], at)
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
        let call = Call::new("select", VectorOp::Select(Selection::Tensors), count);
        self.vector(call, dst, &[mask.into(), a.into(), b.into()], Location::caller())
    }

    /// `dst = a` where the bit of `mask` is 1, else `scalar`
    ///
    /// # Errors
    ///
    /// As [`add`](Core::add).
    #[track_caller]
    pub fn select_or<'s, T: Element>(
        &self,
        dst: Local<'_, T>,
        mask: Local<'_, u8>,
        a: Local<'_, T>,
        scalar: impl Into<Value<'s, T>>,
        count: u32,
    ) -> Result<(), KernelError> {
        let call = Call::new("select_or", VectorOp::Select(Selection::TensorOrScalar), count).with(scalar);
        self.vector(call, dst, &[mask.into(), a.into()], Location::caller())
    }
}
