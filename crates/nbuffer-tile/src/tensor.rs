//! Tensors: data in global memory, blocks of a queue, and the views that instructions are given.

use std::marker::PhantomData;
use std::panic::Location;

use crate::core::Core;
use crate::element::Element;
use crate::error::{ErrorKind, KernelError};
use crate::position::{Position, Space};
use crate::queue::BlockId;

/// A tensor in global memory, or a part of one. Copied freely: it owns nothing.
#[derive(Debug)]
pub struct GlobalTensor<T> {
    pub(crate) buffer: u32,
    /// In elements.
    pub(crate) offset: u64,
    pub(crate) count: u64,
    /// Whether it goes past the L2 cache.
    pub(crate) bypasses_l2: bool,
    element: PhantomData<T>,
}

impl<T> Clone for GlobalTensor<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for GlobalTensor<T> {}

impl<T: Element> GlobalTensor<T> {
    pub(crate) fn new(buffer: u32, count: u64) -> Self {
        GlobalTensor { buffer, offset: 0, count, bypasses_l2: false, element: PhantomData }
    }

    /// Its elements.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The part that begins at element `offset`. It is empty at the end and beyond, which is found where it is used.
    pub fn at(self, offset: u64) -> Self {
        GlobalTensor {
            offset: self.offset + offset.min(self.count),
            count: self.count.saturating_sub(offset),
            ..self
        }
    }

    /// The first `count` elements, as `SetGlobalBuffer(ptr, count)` bounds a core's part.
    pub fn first(self, count: u64) -> Self {
        GlobalTensor { count: self.count.min(count), ..self }
    }

    /// The same data, read and written past the L2 cache (`SetL2CacheHint(CACHE_MODE_DISABLE)`).
    pub fn bypass_l2(self) -> Self {
        GlobalTensor { bypasses_l2: true, ..self }
    }
}

/// Elements in a memory of the core, as instructions are given them. A view cannot outlive the tensor it is of.
#[derive(Clone, Copy, Debug)]
pub struct Local<'t, T> {
    pub(crate) space: Space,
    /// In bytes.
    pub(crate) address: u32,
    /// In elements.
    pub(crate) count: u32,
    element: PhantomData<&'t T>,
}

impl<'t, T: Element> Local<'t, T> {
    pub(crate) fn new(space: Space, address: u32, count: u32) -> Self {
        Local { space, address, count, element: PhantomData }
    }

    /// Its elements.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The part that begins at element `offset`.
    ///
    /// # Errors
    ///
    /// An offset beyond its end.
    #[track_caller]
    pub fn at(self, offset: u32) -> Result<Local<'t, T>, KernelError> {
        let Some(count) = self.count.checked_sub(offset) else {
            let (what, limit) = ("view", u64::from(self.count));
            let kind = ErrorKind::OutOfBounds { what, needed: offset.into(), limit, dtype: T::DTYPE };
            return Err(KernelError::new(kind, Location::caller()));
        };
        Ok(Local::new(self.space, self.address + offset * T::DTYPE.size(), count))
    }

    /// Its bytes as another type.
    pub fn cast<U: Element>(self) -> Local<'t, U> {
        let bytes = self.count * T::DTYPE.size();
        Local::new(self.space, self.address, bytes / U::DTYPE.size())
    }
}

/// A block of a queue while the kernel holds it: taken with `alloc_tensor` or `deque`, given back with `enque` or
/// `free_tensor`.
///
/// It is moved when it is given back, so that using it later, or giving it back twice, does not compile; nor does giving it to
/// a queue of another position. One that is dropped instead ends the kernel with an error that names where it was taken.
///
/// Once is right:
///
/// ```
/// # use nbuffer_tile::*;
/// fn once(que: &TQue<'_, VecIn>, x: LocalTensor<'_, f32, VecIn>) -> Result<(), KernelError> {
///     que.free_tensor(x)
/// }
/// ```
///
/// Twice is not:
///
/// ```compile_fail,E0382
/// # use nbuffer_tile::*;
/// fn twice(que: &TQue<'_, VecIn>, x: LocalTensor<'_, f32, VecIn>) -> Result<(), KernelError> {
///     que.free_tensor(x)?;
///     que.free_tensor(x)
/// }
/// ```
///
/// Nor is another position's queue, enqueuing what was freed, or a view that outlives its tensor:
///
/// ```compile_fail,E0308
/// # use nbuffer_tile::*;
/// fn wrong(out: &TQue<'_, VecOut>, x: LocalTensor<'_, f32, VecIn>) -> Result<(), KernelError> {
///     out.enque(x)
/// }
/// ```
///
/// ```compile_fail,E0382
/// # use nbuffer_tile::*;
/// fn freed(que: &TQue<'_, VecIn>, x: LocalTensor<'_, f32, VecIn>) -> Result<(), KernelError> {
///     que.free_tensor(x)?;
///     que.enque(x)
/// }
/// ```
///
/// ```compile_fail,E0505
/// # use nbuffer_tile::*;
/// fn late(core: &Core, que: &TQue<'_, VecIn>, x: LocalTensor<'_, f32, VecIn>) -> Result<(), KernelError> {
///     let view = x.view();
///     que.free_tensor(x)?;
///     core.adds(view, view, 1.0, 64)
/// }
/// ```
#[derive(Debug)]
#[must_use = "a block that is not given back is an error"]
pub struct LocalTensor<'c, T: Element, P: Position> {
    pub(crate) core: &'c Core,
    pub(crate) block: BlockId,
    view: Local<'static, T>,
    taken_at: &'static Location<'static>,
    position: PhantomData<P>,
}

impl<'c, T: Element, P: Position> LocalTensor<'c, T, P> {
    pub(crate) fn new(
        core: &'c Core,
        block: BlockId,
        view: Local<'static, T>,
        taken_at: &'static Location<'static>,
    ) -> Self {
        LocalTensor { core, block, view, taken_at, position: PhantomData }
    }

    /// All its elements, for an instruction.
    pub fn view(&self) -> Local<'_, T> {
        self.view
    }

    /// The part that begins at element `offset`, for an instruction.
    ///
    /// # Errors
    ///
    /// An offset beyond its end.
    #[track_caller]
    pub fn at(&self, offset: u32) -> Result<Local<'_, T>, KernelError> {
        self.view.at(offset)
    }

    /// Its elements.
    pub fn count(&self) -> u32 {
        self.view.count
    }

    /// It is given back: nothing is to be said of it when it goes.
    pub(crate) fn give_back(self) -> BlockId {
        let block = self.block;
        std::mem::forget(self);
        block
    }
}

impl<T: Element, P: Position> Drop for LocalTensor<'_, T, P> {
    fn drop(&mut self) {
        self.core.forgotten(self.block, self.taken_at);
    }
}
