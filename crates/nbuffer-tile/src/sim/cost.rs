//! How many cycles an instruction takes.

use crate::element::DType;
use crate::instruction::{Copy, Mmad, Operand, Route, Shape, Vector, VectorOp};
use crate::position::Space;
use crate::profile::{CopyCurve, Profile};

/// A vector instruction's cycles, and how full its repeats are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct VectorCost {
    pub(super) startup: f64,
    pub(super) work: f64,
    pub(super) conflicts: f64,
    pub(super) elements: u64,
    pub(super) elements_max: u64,
}

impl VectorCost {
    pub(super) fn cycles(&self) -> f64 {
        self.startup + self.work + self.conflicts
    }
}

/// Rows of 32 bytes in a repeat.
const ROWS: u32 = 8;

impl Vector {
    /// Elements that it works on, and those that its repeats have room for.
    fn occupancy(&self) -> (u64, u64) {
        let room = self.repeats() * u64::from(self.per_repeat());
        match self.shape {
            Shape::Count(count) => (count.into(), room),
            Shape::Masked { mask, repeats } => {
                let set: u32 = mask.iter().map(|bits| bits.count_ones()).sum();
                ((u64::from(set) * u64::from(repeats)).min(room), room)
            }
        }
    }

    fn cost(&self, profile: &Profile) -> VectorCost {
        let repeats = self.repeats() as f64;
        let each = cycles_of_repeat(profile, self.op, self.dtype);
        let reads = f64::from(self.read_cycles(profile.vector.bank_groups));
        let (elements, elements_max) = self.occupancy();
        VectorCost {
            startup: profile.vector.startup,
            work: repeats * each,
            // Reading beyond the first cycle holds up an operation that would else take a cycle.
            conflicts: repeats * (reads - each).max(0.0),
            elements,
            elements_max,
        }
    }

    /// Cycles in which a repeat's rows can be read: as many as the fullest bank group has rows.
    fn read_cycles(&self, groups: u32) -> u32 {
        if groups == 0 || self.n_sources < 2 {
            return 1;
        }
        let mut rows = [0_u8; 64];
        let groups = groups.min(64);
        for Operand { address, block_stride, .. } in &self.sources[..usize::from(self.n_sources)] {
            for row in 0..ROWS {
                let group = (address / 32 + row * u32::from(*block_stride)) % groups;
                rows[group as usize] += 1;
            }
        }
        rows[..groups as usize].iter().copied().max().unwrap_or(1).into()
    }
}

fn cycles_of_repeat(profile: &Profile, op: VectorOp, dtype: DType) -> f64 {
    let cycles = &profile.vector_cycles;
    let name = op.key();
    let typed = cycles.get(&format!("{name}.{dtype}"));
    *typed.or_else(|| cycles.get(name)).or_else(|| cycles.get("default")).expect("a profile has a default")
}

/// Costs of vector instructions, with those worked out last at hand: a kernel repeats a few of them.
#[derive(Debug, Default)]
pub(super) struct VectorCosts {
    known: [Option<(CostKey, VectorCost)>; KNOWN],
    next: usize,
}

const KNOWN: usize = 8;

/// All that a cost depends on.
type CostKey = (VectorOp, DType, DType, Shape, [Operand; 3], u8);

impl VectorCosts {
    pub(super) fn of(&mut self, profile: &Profile, vector: &Vector) -> VectorCost {
        let Vector { op, dtype, dst_dtype, shape, sources, n_sources, .. } = *vector;
        let key = (op, dtype, dst_dtype, shape, sources, n_sources);
        if let Some((_, cost)) = self.known.iter().flatten().find(|(known, _)| *known == key) {
            return *cost;
        }
        let cost = vector.cost(profile);
        self.known[self.next] = Some((key, cost));
        self.next = (self.next + 1) % KNOWN;
        cost
    }
}

impl Copy {
    /// Its curve, if it goes to or comes from global memory.
    pub(super) fn curve<'a>(&self, profile: &'a Profile) -> Option<&'a CopyCurve> {
        let copies = &profile.copies;
        match self.route {
            Route::In(Space::Ub) => Some(&copies.gm_to_ub),
            Route::In(_) => Some(&copies.gm_to_l1),
            Route::Out => Some(&copies.ub_to_gm),
            Route::Fixpipe(_) => Some(&copies.l0c_to_gm),
            Route::Load(_) => None,
        }
    }

    /// Cycles of a copy within the core.
    pub(super) fn load_cycles(&self, profile: &Profile) -> f64 {
        let copies = &profile.copies;
        let rate = if self.route == Route::Load(Space::L0a) { copies.l1_to_l0a } else { copies.l1_to_l0b };
        self.bytes() as f64 / rate
    }
}

impl Mmad {
    /// `startup + ceil(m / 16) ceil(n / 16) ceil(k / rate)` cycles (vendor table of cube instructions).
    pub(super) fn cost(&self, profile: &Profile) -> f64 {
        let cube = &profile.cube;
        let rate = match self.dtype {
            DType::I8 => cube.k_i8,
            DType::F32 => cube.k_f32,
            _ => cube.k_f16,
        };
        let blocks = |size: u16| f64::from(size.div_ceil(16));
        cube.startup + blocks(self.m) * blocks(self.n) * (f64::from(self.k) / rate).ceil()
    }
}
