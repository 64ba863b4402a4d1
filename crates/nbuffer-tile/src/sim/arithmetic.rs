//! Arithmetic on elements: f16 rounds as f16 does after every operation, integers wrap around.

use half::f16;

use crate::element::Element;
use crate::instruction::{Comparison, Rounding, VectorOp};

/// Elements that arithmetic works on.
pub(super) trait Number: Element + PartialOrd {
    fn binary(op: VectorOp, a: Self, b: Self) -> Self;
    fn unary(op: VectorOp, a: Self) -> Self;
    /// `a * b + c`, rounded once.
    fn fused(a: Self, b: Self, c: Self) -> Self;
}

impl Number for f32 {
    fn binary(op: VectorOp, a: f32, b: f32) -> f32 {
        match op {
            VectorOp::Add | VectorOp::Adds => a + b,
            VectorOp::Sub => a - b,
            VectorOp::Mul | VectorOp::Muls => a * b,
            VectorOp::Div => a / b,
            VectorOp::Max | VectorOp::Maxs => a.max(b),
            VectorOp::Min | VectorOp::Mins => a.min(b),
            VectorOp::LeakyRelu => {
                if a >= 0.0 {
                    a
                } else {
                    a * b
                }
            }
            VectorOp::And => f32::from_bits(a.to_bits() & b.to_bits()),
            VectorOp::Or => f32::from_bits(a.to_bits() | b.to_bits()),
            _ => unreachable!("not an operation of two numbers"),
        }
    }

    fn unary(op: VectorOp, a: f32) -> f32 {
        match op {
            VectorOp::Abs => a.abs(),
            VectorOp::Exp => a.exp(),
            VectorOp::Ln => a.ln(),
            VectorOp::Sqrt => a.sqrt(),
            VectorOp::Rsqrt => 1.0 / a.sqrt(),
            VectorOp::Reciprocal => 1.0 / a,
            VectorOp::Relu => a.max(0.0),
            VectorOp::Not => f32::from_bits(!a.to_bits()),
            _ => unreachable!("not an operation of one number"),
        }
    }

    fn fused(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl Number for f16 {
    /// A sum, difference, product or quotient of two f16 in f32 has enough digits that rounding it again is the same as
    /// rounding once.
    fn binary(op: VectorOp, a: f16, b: f16) -> f16 {
        match op {
            VectorOp::And => f16::from_bits(a.to_bits() & b.to_bits()),
            VectorOp::Or => f16::from_bits(a.to_bits() | b.to_bits()),
            _ => f16::from_f32(f32::binary(op, a.to_f32(), b.to_f32())),
        }
    }

    fn unary(op: VectorOp, a: f16) -> f16 {
        match op {
            VectorOp::Not => f16::from_bits(!a.to_bits()),
            _ => f16::from_f32(f32::unary(op, a.to_f32())),
        }
    }

    /// The product is exact in f64, and where a sum of it and c lies near the middle between two f16, that is exact, too.
    fn fused(a: f16, b: f16, c: f16) -> f16 {
        f16::from_f64(a.to_f64() * b.to_f64() + c.to_f64())
    }
}

macro_rules! integer {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn binary(op: VectorOp, a: $type, b: $type) -> $type {
                match op {
                    VectorOp::Add | VectorOp::Adds => a.wrapping_add(b),
                    VectorOp::Sub => a.wrapping_sub(b),
                    VectorOp::Mul | VectorOp::Muls => a.wrapping_mul(b),
                    VectorOp::Max | VectorOp::Maxs => a.max(b),
                    VectorOp::Min | VectorOp::Mins => a.min(b),
                    VectorOp::And => a & b,
                    VectorOp::Or => a | b,
                    _ => unreachable!("not an operation of two integers"),
                }
            }

            fn unary(op: VectorOp, a: $type) -> $type {
                match op {
                    VectorOp::Abs => a.wrapping_abs(),
                    VectorOp::Relu => a.max(0),
                    VectorOp::Not => !a,
                    _ => unreachable!("not an operation of one integer"),
                }
            }

            fn fused(a: $type, b: $type, c: $type) -> $type {
                a.wrapping_mul(b).wrapping_add(c)
            }
        }
    )*};
}

integer!(i32, i8);

impl VectorOp {
    /// Whether there is such an operation on integers.
    pub(crate) const fn takes_integers(self) -> bool {
        !matches!(
            self,
            VectorOp::Div
                | VectorOp::LeakyRelu
                | VectorOp::Exp
                | VectorOp::Ln
                | VectorOp::Sqrt
                | VectorOp::Rsqrt
                | VectorOp::Reciprocal
        )
    }
}

impl Comparison {
    pub(super) fn holds<T: PartialOrd>(self, a: &T, b: &T) -> bool {
        match self {
            Comparison::Lt => a < b,
            Comparison::Gt => a > b,
            Comparison::Le => a <= b,
            Comparison::Ge => a >= b,
            Comparison::Eq => a == b,
            Comparison::Ne => a != b,
        }
    }
}

/// A sum as a tree of pairs, each rounded to the element type.
pub(super) fn tree_sum<T: Number>(elements: &[T]) -> T {
    match elements {
        [] => T::default(),
        [one] => *one,
        _ => {
            let (left, right) = elements.split_at(elements.len().next_power_of_two() / 2);
            T::binary(VectorOp::Add, tree_sum(left), tree_sum(right))
        }
    }
}

/// A floating-point type as a grid of values.
pub(super) trait Grid: Element {
    /// The next greater one.
    fn above(self) -> Self;
    /// The next smaller one.
    fn below(self) -> Self;
}

impl Grid for f32 {
    fn above(self) -> f32 {
        self.next_up()
    }

    fn below(self) -> f32 {
        self.next_down()
    }
}

impl Grid for f16 {
    fn above(self) -> f16 {
        let bits = self.to_bits();
        f16::from_bits(match bits {
            0 | 0x8000 => 1,
            0x8001.. => bits - 1,
            _ => bits + 1,
        })
    }

    fn below(self) -> f16 {
        -(-self).above()
    }
}

impl Rounding {
    /// To an integer.
    pub(super) fn to_integer(self, value: f64) -> f64 {
        match self {
            Rounding::None | Rounding::Rint => value.round_ties_even(),
            Rounding::Floor => value.floor(),
            Rounding::Ceil => value.ceil(),
            Rounding::Round => value.round(),
            Rounding::Trunc => value.trunc(),
        }
    }

    /// To a value that the type can hold.
    pub(super) fn to_grid<F: Grid>(self, value: f64) -> F {
        let nearest = F::of_f64(value);
        let found = nearest.to_f64();
        if found == value || value.is_nan() {
            return nearest;
        }
        let (below, above) =
            if found < value { (nearest, nearest.above()) } else { (nearest.below(), nearest) };
        let away = if value > 0.0 { above } else { below };
        match self {
            Rounding::None | Rounding::Rint => nearest,
            Rounding::Floor => below,
            Rounding::Ceil => above,
            Rounding::Trunc => {
                if value > 0.0 {
                    below
                } else {
                    above
                }
            }
            Rounding::Round if value - below.to_f64() == above.to_f64() - value => away,
            Rounding::Round => nearest,
        }
    }
}
