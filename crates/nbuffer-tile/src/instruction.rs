//! Instructions: what a kernel, run in program order, leaves for the pipes.

use crate::element::DType;
use crate::pipe::{Event, Pipe};
use crate::position::Space;
use crate::profile::ScalarUnit;

/// What a kernel gives the core to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Set(Event, u8),
    Wait(Event, u8),
    /// The pipe finishes what it has before it goes on.
    Barrier(Pipe),
    /// All pipes finish what they have before anything else is issued.
    BarrierAll,
    Copy(Copy),
    Vector(Vector),
    Mmad(Mmad),
    Scalar(Scalar),
}

/// What a pipe works on, and for some time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work<'a> {
    Copy(&'a Copy),
    Vector(&'a Vector),
    Mmad(&'a Mmad),
    Scalar(&'a Scalar),
}

/// What kind of work it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Copy(Route),
    Vector(VectorOp),
    Mmad,
    ScalarLoad,
    ScalarStore,
    ScalarCompute,
}

/// From where to where a copy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    /// Global memory to a memory of the core.
    In(Space),
    /// The unified buffer to global memory.
    Out,
    /// L1 to L0A or L0B.
    Load(Space),
    /// L0C to global memory, as this type.
    Fixpipe(DType),
}

impl Route {
    pub(crate) fn pipe(self) -> Pipe {
        match self {
            Route::In(_) => Pipe::Mte2,
            Route::Out => Pipe::Mte3,
            Route::Load(_) => Pipe::Mte1,
            Route::Fixpipe(_) => Pipe::Fix,
        }
    }
}

/// Blocks of bytes from one place to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copy {
    pub(crate) route: Route,
    /// The tensor in global memory; its L2 hint.
    pub(crate) buffer: u32,
    pub(crate) bypasses_l2: bool,
    /// First byte in global memory, or in L1 for a load.
    pub(crate) far: u64,
    /// First byte in the memory of the core.
    pub(crate) near: u32,
    pub(crate) blocks: u16,
    /// Bytes of a block that are copied.
    pub(crate) len: u32,
    /// From one block's start to the next, in bytes, on either side.
    pub(crate) far_stride: u64,
    pub(crate) near_stride: u64,
    /// Bytes before and after each block on the side of the core that are filled.
    pub(crate) pad: (u8, u8),
    /// What with; `None` leaves it to the block's first element.
    pub(crate) filler: Option<[u8; 4]>,
    pub(crate) dtype: DType,
}

impl Copy {
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.blocks) * u64::from(self.len)
    }
}

/// An operand of a vector instruction: an address and its strides in blocks of 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operand {
    pub(crate) address: u32,
    pub(crate) block_stride: u16,
    pub(crate) repeat_stride: u16,
}

/// What a vector instruction does to elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum VectorOp {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    And,
    Or,
    /// dst += a * b
    MulAddDst,
    Adds,
    Muls,
    Maxs,
    Mins,
    LeakyRelu,
    Abs,
    Exp,
    Ln,
    Sqrt,
    Rsqrt,
    Reciprocal,
    Relu,
    Not,
    Duplicate,
    Copy,
    /// Each element fills a block of 32 bytes.
    Brcb,
    Cast(Rounding),
    Compare(Comparison),
    Select(Selection),
    ReduceSum,
    ReduceMax,
    ReduceMin,
    /// One result a repeat.
    RepeatReduceSum,
    RepeatReduceMax,
    RepeatReduceMin,
}

/// How a cast rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// As the types need it: to the nearest even one where something is lost.
    None,
    /// To the nearest; ties to even.
    Rint,
    /// Down.
    Floor,
    /// Up.
    Ceil,
    /// To the nearest; ties away from zero.
    Round,
    /// Towards zero.
    Trunc,
}

/// How elements are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// a < b
    Lt,
    /// a > b
    Gt,
    /// a <= b
    Le,
    /// a >= b
    Ge,
    /// a == b
    Eq,
    /// a != b
    Ne,
}

/// What a `select` chooses between, bit by bit of its mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Selection {
    /// Two tensors.
    Tensors,
    /// A tensor, or a scalar where the bit is 0.
    TensorOrScalar,
}

/// A vector instruction: repeats of up to 256 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vector {
    pub(crate) op: VectorOp,
    /// Of the sources.
    pub(crate) dtype: DType,
    /// Of the destination.
    pub(crate) dst_dtype: DType,
    pub(crate) dst: Operand,
    /// As many as the operation has; the others are as the first.
    pub(crate) sources: [Operand; 3],
    pub(crate) n_sources: u8,
    /// As an element of the sources.
    pub(crate) scalar: Number,
    pub(crate) shape: Shape,
    /// Bytes from the first to the last of the destination, and of each source. They lie within the unified buffer.
    pub(crate) dst_len: u32,
    pub(crate) source_lens: [u32; 3],
}

/// A number, in the first bytes of these, or in a register of the scalar core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    Known([u8; 4]),
    Register(u32),
}

/// An element of a tensor, as the scalar core reaches it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spot {
    /// The byte in the unified buffer.
    Local(u32),
    /// The tensor in global memory, and the byte.
    Global(u32, u64),
}

/// What the scalar core does to data.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scalar {
    /// Reads an element into a register.
    Load { from: Spot, dtype: DType, to: u32 },
    /// Writes an element.
    Store { value: Number, dtype: DType, to: Spot },
    /// Computes with two numbers.
    Compute { op: VectorOp, dtype: DType, a: Number, b: Number, to: u32 },
}

impl Scalar {
    /// Cycles until the element is read or there, if it is one.
    pub(crate) fn cycles(&self, unit: &ScalarUnit) -> f64 {
        match self {
            Scalar::Load { from: spot, .. } | Scalar::Store { to: spot, .. } => match spot {
                Spot::Local(_) => unit.local_access,
                Spot::Global(..) => unit.global_access,
            },
            Scalar::Compute { .. } => unit.issue,
        }
    }
}

/// Which elements a vector instruction works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// So many, one after the other.
    Count(u32),
    /// In each repeat those whose bit is set.
    Masked { mask: [u64; 2], repeats: u8 },
}

/// c = a x b, or c += a x b, for an m x k and a k x n matrix of fractals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mmad {
    pub(crate) a: u32,
    pub(crate) b: u32,
    pub(crate) c: u32,
    pub(crate) m: u16,
    pub(crate) n: u16,
    pub(crate) k: u16,
    pub(crate) dtype: DType,
    pub(crate) accumulates: bool,
}

impl VectorOp {
    /// Its key among a profile's cycles.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            VectorOp::Add => "add",
            VectorOp::Sub => "sub",
            VectorOp::Mul => "mul",
            VectorOp::Div => "div",
            VectorOp::Max => "max",
            VectorOp::Min => "min",
            VectorOp::And => "and",
            VectorOp::Or => "or",
            VectorOp::MulAddDst => "mul_add_dst",
            VectorOp::Adds => "adds",
            VectorOp::Muls => "muls",
            VectorOp::Maxs => "maxs",
            VectorOp::Mins => "mins",
            VectorOp::LeakyRelu => "leaky_relu",
            VectorOp::Abs => "abs",
            VectorOp::Exp => "exp",
            VectorOp::Ln => "ln",
            VectorOp::Sqrt => "sqrt",
            VectorOp::Rsqrt => "rsqrt",
            VectorOp::Reciprocal => "reciprocal",
            VectorOp::Relu => "relu",
            VectorOp::Not => "not",
            VectorOp::Duplicate => "duplicate",
            VectorOp::Copy => "copy",
            VectorOp::Brcb => "brcb",
            VectorOp::Cast(_) => "cast",
            VectorOp::Compare(_) => "compare",
            VectorOp::Select(_) => "select",
            VectorOp::ReduceSum | VectorOp::RepeatReduceSum => "reduce_sum",
            VectorOp::ReduceMax | VectorOp::RepeatReduceMax => "reduce_max",
            VectorOp::ReduceMin | VectorOp::RepeatReduceMin => "reduce_min",
        }
    }

    /// The vendor's name of the instruction, as its traces have it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            VectorOp::Add => "VADD",
            VectorOp::Sub => "VSUB",
            VectorOp::Mul => "VMUL",
            VectorOp::Div => "VDIV",
            VectorOp::Max => "VMAX",
            VectorOp::Min => "VMIN",
            VectorOp::And => "VAND",
            VectorOp::Or => "VOR",
            VectorOp::MulAddDst => "VMADD",
            VectorOp::Adds => "VADDS",
            VectorOp::Muls => "VMULS",
            VectorOp::Maxs => "VMAXS",
            VectorOp::Mins => "VMINS",
            VectorOp::LeakyRelu => "VLRELU",
            VectorOp::Abs => "VABS",
            VectorOp::Exp => "VEXP",
            VectorOp::Ln => "VLN",
            VectorOp::Sqrt => "VSQRT",
            VectorOp::Rsqrt => "VRSQRT",
            VectorOp::Reciprocal => "VREC",
            VectorOp::Relu => "VRELU",
            VectorOp::Not => "VNOT",
            VectorOp::Duplicate => "VECTOR_DUP",
            VectorOp::Copy => "VCOPY",
            VectorOp::Brcb => "VBRCB",
            VectorOp::Cast(_) => "VCONV",
            VectorOp::Compare(_) => "VCMPV",
            VectorOp::Select(_) => "VSEL",
            VectorOp::ReduceSum | VectorOp::RepeatReduceSum => "VCADD",
            VectorOp::ReduceMax | VectorOp::RepeatReduceMax => "VCMAX",
            VectorOp::ReduceMin | VectorOp::RepeatReduceMin => "VCMIN",
        }
    }
}

impl Work<'_> {
    pub(crate) fn opcode(self) -> Opcode {
        match self {
            Work::Copy(copy) => Opcode::Copy(copy.route),
            Work::Vector(vector) => Opcode::Vector(vector.op),
            Work::Mmad(_) => Opcode::Mmad,
            Work::Scalar(Scalar::Load { .. }) => Opcode::ScalarLoad,
            Work::Scalar(Scalar::Store { .. }) => Opcode::ScalarStore,
            Work::Scalar(Scalar::Compute { .. }) => Opcode::ScalarCompute,
        }
    }
}

impl Opcode {
    /// The vendor's name of the instruction, as its traces have it; of what the scalar core does to data, what it is.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Opcode::Copy(Route::In(Space::Ub)) => "MOV_OUT_TO_UB",
            Opcode::Copy(Route::In(_)) => "MOV_OUT_TO_L1",
            Opcode::Copy(Route::Out) => "MOV_UB_TO_OUT",
            Opcode::Copy(Route::Load(Space::L0a)) => "LOAD_L1_TO_L0A",
            Opcode::Copy(Route::Load(_)) => "LOAD_L1_TO_L0B",
            Opcode::Copy(Route::Fixpipe(_)) => "FIX_L0C_TO_OUT",
            Opcode::Vector(op) => op.name(),
            Opcode::Mmad => "MMAD",
            Opcode::ScalarLoad => "SCALAR_LOAD",
            Opcode::ScalarStore => "SCALAR_STORE",
            Opcode::ScalarCompute => "SCALAR_COMPUTE",
        }
    }
}
