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

    /// Its value, which f64 holds exactly.
    fn to_f64(self) -> f64;

    /// The element nearest to a value; an integer type's least or greatest one beyond its range.
    fn of_f64(value: f64) -> Self;
}

macro_rules! elements {
    ($($type:ty => $dtype:ident, $of_f64:expr;)*) => {$(
        impl Element for $type {
            const DTYPE: DType = DType::$dtype;

            fn to_f64(self) -> f64 {
                self.into()
            }

            fn of_f64(value: f64) -> Self {
                $of_f64(value)
            }
        }
    )*};
}

elements! {
    f16 => F16, f16::from_f64;
    f32 => F32, |value: f64| value as f32;
    i32 => I32, |value: f64| value.round_ties_even() as i32;
    i8 => I8, |value: f64| value.round_ties_even() as i8;
    u8 => U8, |value: f64| value.round_ties_even() as u8;
}
