//! The element types of tensors.

use std::fmt;

use half::f16;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DType {
    /// 16-bit floating point.
    F16,
    /// 32-bit floating point.
    F32,
    /// 32-bit integer.
    I32,
    /// 8-bit integer.
    I8,
    /// Bytes: packed bits of comparisons.
    U8,
}

impl DType {
    /// Bytes of one element.
    pub const fn size(self) -> u32 {
        match self {
            DType::F16 => 2,
            DType::F32 | DType::I32 => 4,
            DType::I8 | DType::U8 => 1,
        }
    }

    /// Its name in Rust.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F16 => "f16",
            DType::F32 => "f32",
            DType::I32 => "i32",
            DType::I8 => "i8",
            DType::U8 => "u8",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A type that tensors can hold.
pub trait Element: bytemuck::Pod + Default + PartialEq + fmt::Debug + fmt::Display + Send + Sync {
    /// Which one.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($type:ty => $dtype:ident),*) => {$(
        impl Element for $type {
            const DTYPE: DType = DType::$dtype;
        }
    )*};
}

elements! { f16 => F16, f32 => F32, i32 => I32, i8 => I8, u8 => U8 }
