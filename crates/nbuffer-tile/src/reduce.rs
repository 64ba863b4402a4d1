//! Reductions: of all elements to one, and of each repeat to one.

use std::panic::Location;

use crate::core::Core;
use crate::element::Element;
use crate::error::KernelError;
use crate::instruction::VectorOp;
use crate::tensor::Local;
use crate::vector::{Call, Extent};

macro_rules! reductions {
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
            count: u32,
        ) -> Result<(), KernelError> {
            let call = Call::new(stringify!($name), VectorOp::$op, count);
            self.vector(call, dst, &[a.into()], Location::caller())
        }
    )*};
}

macro_rules! repeat_reductions {
    ($($(#[$doc:meta])* $name:ident => $op:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// With a count the results lie one after the other, and the last is of what is left. With a mask they are of the elements
        /// whose bits are set, and lie as many elements apart as the destination's repeat stride says.
        ///
        /// # Errors
        ///
        /// As [`add`](Core::add); the destination need only be aligned to an element.
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
    reductions! {
        /// `dst[0]` = the sum of `count` elements, added up as a tree of pairs (`ReduceSum`)
        reduce_sum => ReduceSum;
        /// `dst[0]` = the greatest of `count` elements (`ReduceMax`)
        reduce_max => ReduceMax;
        /// `dst[0]` = the least of `count` elements (`ReduceMin`)
        reduce_min => ReduceMin;
    }

    repeat_reductions! {
        /// An element of `dst` for each repeat: its sum, added up as a tree of pairs (`WholeReduceSum`, `RepeatReduceSum`)
        whole_reduce_sum => RepeatReduceSum;
        /// An element of `dst` for each repeat: its greatest (`WholeReduceMax`)
        whole_reduce_max => RepeatReduceMax;
        /// An element of `dst` for each repeat: its least (`WholeReduceMin`)
        whole_reduce_min => RepeatReduceMin;
    }
}
