//! Matrix multiplication: from L1 to L0A and L0B, the product in L0C, and from there to global memory.
//!
//! Matrices are kept row after row in every memory of the simulated core. Hardware keeps them in fractals of 512 bytes; that order
//! is not modelled, as it changes neither values nor times. What it does change is room: a side that is no whole number of
//! fractals takes that of the next one, and is checked as such.

use std::panic::Location;

use half::f16;

use crate::copy::{BLOCKS_MAX, check_alignment, check_range};
use crate::core::Core;
use crate::element::{DType, Element};
use crate::error::{ErrorKind, KernelError};
use crate::instruction::{Copy, Mmad, Op, Route};
use crate::pipe::Pipe;
use crate::position::Space;
use crate::tensor::{GlobalTensor, Local};
use crate::vector::check_bounds;

/// Elements that matrices are multiplied of.
pub trait Factor: Element {
    /// What their products are added up in.
    type Sum: Element;
}

impl Factor for f16 {
    type Sum = f32;
}

impl Factor for f32 {
    type Sum = f32;
}

impl Factor for i8 {
    type Sum = i32;
}

/// Elements that sums can be written to global memory as.
pub trait FromSum<S: Element>: Element {}

impl FromSum<f32> for f32 {}
impl FromSum<f32> for f16 {}
impl FromSum<i32> for i32 {}

/// A part of a matrix in global memory, copied into L1 (`Nd2NzParams`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nd2NzParams {
    /// Rows, up to 4095.
    pub rows: u16,
    /// Elements of a row.
    pub columns: u32,
    /// Elements from one row to the next in global memory.
    pub src_stride: u32,
}

/// A part of a matrix in L1, copied into L0A or L0B (`LoadData2DParams`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadDataParams {
    /// Rows, up to 4095.
    pub rows: u16,
    /// Elements of a row.
    pub columns: u16,
    /// Elements from one row to the next in L1.
    pub src_stride: u32,
}

/// A multiplication (`MmadParams`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MmadParams {
    /// Rows of `a` and `c`, up to 4095.
    pub m: u16,
    /// Columns of `b` and `c`, up to 4095.
    pub n: u16,
    /// Columns of `a`, rows of `b`, up to 4095.
    pub k: u16,
    /// Whether the product is added to what `c` holds.
    pub accumulates: bool,
}

/// A matrix in L0C, written to global memory (`FixpipeParams`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FixpipeParams {
    /// Its rows, up to 4095.
    pub m: u16,
    /// Its columns.
    pub n: u16,
    /// Elements from one row to the next in global memory.
    pub dst_stride: u32,
}

/// Rows of a fractal, and bytes of one of its rows.
const FRACTAL_ROWS: u64 = 16;
const FRACTAL_BYTES: u64 = 32;

/// Elements that a matrix of `rows` rows of `columns` takes in whole fractals.
pub(crate) fn room(rows: u64, columns: u64, dtype: DType) -> u64 {
    let of_row = FRACTAL_BYTES / u64::from(dtype.size());
    rows.next_multiple_of(FRACTAL_ROWS) * columns.next_multiple_of(of_row)
}

impl Core {
    /// Copies a part of a matrix from global memory into L1 (`DataCopy` with `Nd2NzParams`). Each row begins at a multiple of 32
    /// bytes there, and zeros fill what is left of its last 32 bytes.
    ///
    /// # Errors
    ///
    /// More than there is, a place other than L1, an unaligned address, a count beyond its range.
    #[track_caller]
    pub fn data_copy_nd2nz<T: Factor>(
        &self,
        dst: Local<'_, T>,
        src: GlobalTensor<T>,
        params: Nd2NzParams,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        let Nd2NzParams { rows, columns, src_stride } = params;
        let size = u64::from(T::DTYPE.size());
        check_rows("rows", rows, at)?;
        check_place("data_copy_nd2nz", "the destination", dst, &[Space::L1], "L1", at)?;
        check_bounds(
            "the destination",
            room(rows.into(), columns.into(), T::DTYPE),
            dst.count.into(),
            T::DTYPE,
            at,
        )?;
        let len = u64::from(columns) * size;
        let copy = Copy {
            blocks: rows,
            len: len as u32,
            near_stride: len.next_multiple_of(32),
            far_stride: u64::from(src_stride) * size,
            filler: Some([0; 4]),
            ..self.begin(dst, src, Route::In(Space::L1), at)?
        };
        self.check_extents(&copy, dst, src, at)?;
        self.issue(Op::Copy(copy), at)
    }

    /// Copies a part of a matrix from L1 into L0A or L0B (`LoadData`).
    ///
    /// # Errors
    ///
    /// More than there is, another place, an unaligned address, a count beyond its range.
    #[track_caller]
    pub fn load_data<T: Factor>(
        &self,
        dst: Local<'_, T>,
        src: Local<'_, T>,
        params: LoadDataParams,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        let LoadDataParams { rows, columns, src_stride } = params;
        let size = u64::from(T::DTYPE.size());
        check_rows("rows", rows, at)?;
        let to = [Space::L0a, Space::L0b];
        check_place("load_data", "the destination", dst, &to, "L0A or L0B", at)?;
        check_place("load_data", "the source", src, &[Space::L1], "L1", at)?;
        let needed = room(rows.into(), columns.into(), T::DTYPE);
        check_bounds("the destination", needed, dst.count.into(), T::DTYPE, at)?;
        let len = u64::from(columns) * size;
        let copy = Copy {
            route: Route::Load(dst.space),
            buffer: 0,
            bypasses_l2: false,
            far: src.address.into(),
            near: dst.address,
            blocks: rows,
            len: len as u32,
            far_stride: u64::from(src_stride) * size,
            near_stride: len,
            pad: (0, 0),
            filler: None,
            dtype: T::DTYPE,
        };
        let needed = copy.far_extent().div_ceil(size);
        check_bounds("the source", needed, src.count.into(), T::DTYPE, at)?;
        self.issue(Op::Copy(copy), at)
    }

    /// `c = a x b`, or `c += a x b` (`Mmad`). f16 and f32 are added up in f32, in the order of k, i8 in i32.
    ///
    /// # Errors
    ///
    /// More than there is, operands that are not in L0C, L0A and L0B, an unaligned address, a size beyond its range.
    #[track_caller]
    pub fn mmad<T: Factor>(
        &self,
        c: Local<'_, T::Sum>,
        a: Local<'_, T>,
        b: Local<'_, T>,
        params: MmadParams,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        let MmadParams { m, n, k, accumulates } = params;
        for (what, size) in [("m", m), ("n", n), ("k", k)] {
            check_rows(what, size, at)?;
        }
        check_place("mmad", "c", c, &[Space::L0c], "L0C", at)?;
        check_place("mmad", "a", a, &[Space::L0a], "L0A", at)?;
        check_place("mmad", "b", b, &[Space::L0b], "L0B", at)?;
        let sum = <T::Sum as Element>::DTYPE;
        // Results come in fractals of 16 x 16 whatever their type.
        let of_c = u64::from(m).next_multiple_of(FRACTAL_ROWS) * u64::from(n).next_multiple_of(FRACTAL_ROWS);
        check_bounds("c", of_c, c.count.into(), sum, at)?;
        check_bounds("a", room(m.into(), k.into(), T::DTYPE), a.count.into(), T::DTYPE, at)?;
        check_bounds("b", room(k.into(), n.into(), T::DTYPE), b.count.into(), T::DTYPE, at)?;
        let mmad = Mmad { a: a.address, b: b.address, c: c.address, m, n, k, dtype: T::DTYPE, accumulates };
        self.issue(Op::Mmad(mmad), at)
    }

    /// Writes a matrix from L0C to global memory (`Fixpipe`), f32 sums as f32 or f16, i32 sums as they are.
    ///
    /// # Errors
    ///
    /// More than there is, a source that is not in L0C, an unaligned address, a size beyond its range; an architecture without
    /// pipe FIX.
    #[track_caller]
    pub fn fixpipe<U: FromSum<S>, S: Element>(
        &self,
        dst: GlobalTensor<U>,
        src: Local<'_, S>,
        params: FixpipeParams,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        let FixpipeParams { m, n, dst_stride } = params;
        self.check_pipe("fixpipe", Pipe::Fix, at)?;
        check_rows("m", m, at)?;
        check_range(
            m < 2 || dst_stride >= n.into(),
            "dst_stride",
            dst_stride.into(),
            "at least n, so that rows do not overlap,",
            at,
        )?;
        check_place("fixpipe", "the source", src, &[Space::L0c], "L0C", at)?;
        let size = u64::from(U::DTYPE.size());
        let len = u32::from(n) * S::DTYPE.size();
        let copy = Copy {
            route: Route::Fixpipe(U::DTYPE),
            buffer: dst.buffer,
            bypasses_l2: dst.bypasses_l2,
            far: dst.offset.saturating_mul(size),
            near: src.address,
            blocks: m,
            len,
            far_stride: u64::from(dst_stride) * size,
            near_stride: len.into(),
            pad: (0, 0),
            filler: None,
            dtype: U::DTYPE,
        };
        let needed = copy.near_extent().div_ceil(u64::from(S::DTYPE.size()));
        check_bounds("the source", needed, src.count.into(), S::DTYPE, at)?;
        self.check_far(&copy, dst, at)?;
        self.issue(Op::Copy(copy), at)
    }
}

fn check_rows(what: &'static str, rows: u16, at: &'static Location<'static>) -> Result<(), KernelError> {
    check_range(rows <= BLOCKS_MAX, what, rows.into(), "up to 4095", at)
}

fn check_place<T: Element>(
    call: &'static str,
    what: &'static str,
    local: Local<'_, T>,
    spaces: &[Space],
    expected: &'static str,
    at: &'static Location<'static>,
) -> Result<(), KernelError> {
    if !spaces.contains(&local.space) {
        let kind = ErrorKind::Place { call, what, space: local.space, expected };
        return Err(KernelError::new(kind, at));
    }
    check_alignment(what, local, at)
}
