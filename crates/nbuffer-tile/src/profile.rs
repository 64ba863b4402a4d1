//! Device profiles: what a simulated AI Core has and how long it takes, as data. Every number carries its source.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::pipe::{Event, Pipe};
use crate::position::Space;

/// Generations of the architecture, by the vendor's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Arch {
    /// Ascend 910, the first generation: vector and cube share a core.
    #[serde(rename = "1001")]
    A1001,
    /// Ascend 310P.
    #[serde(rename = "2002")]
    A2002,
    /// Ascend 910B: separate vector and cube cores.
    #[serde(rename = "2201")]
    A2201,
}

impl Arch {
    /// The vendor's number.
    pub const fn name(self) -> &'static str {
        match self {
            Arch::A1001 => "1001",
            Arch::A2002 => "2002",
            Arch::A2201 => "2201",
        }
    }

    /// Whether a core has this pipe.
    pub(crate) fn has(self, pipe: Pipe) -> bool {
        pipe != Pipe::Fix || self == Arch::A2201
    }

    /// Whether the pipes of an event are on different cores: vector pipes on one, cube pipes on the other.
    pub(crate) fn splits(self, event: Event) -> bool {
        let is_cube = |pipe| matches!(pipe, Pipe::M | Pipe::Mte1 | Pipe::Fix);
        let Event { from, to } = event;
        self == Arch::A2201 && (from == Pipe::V && is_cube(to) || is_cube(from) && to == Pipe::V)
    }

    /// Ids of an event that the system keeps, one bit each: 0 to 2 of M_MTE1 on 2201 (vendor source, kernel_macros.h).
    pub(crate) fn reserved_ids(self, event: Event) -> u16 {
        if self == Arch::A2201 && event == Event::new(Pipe::M, Pipe::Mte1) { 0b111 } else { 0 }
    }
}

impl std::fmt::Display for Arch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How well a number is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// A vendor's document or configuration file says it.
    VendorStated,
    /// Measured, and published.
    Measured,
    /// Derived or assumed.
    Guessed,
}

impl Provenance {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Provenance::VendorStated => "vendor-stated",
            Provenance::Measured => "measured",
            Provenance::Guessed => "guessed",
        }
    }
}

/// Where a number comes from.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// How well it is known.
    pub kind: Provenance,
    /// Where it stands, or how it was found.
    pub from: String,
}

/// How long a copy of so many bytes takes a core on its own: `max(latency + bytes / rate, floor + bytes / peak)` cycles.
///
/// The form and the numbers of 910B1 are fits to the vendor's measured tables (KPP), within 6 %.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CopyCurve {
    /// Cycles before the first byte of a small copy.
    pub latency: f64,
    /// Bytes a cycle of small copies, beyond that.
    pub rate: f64,
    /// Cycles before the first byte of a large copy.
    pub floor: f64,
    /// Bytes a cycle at most.
    pub peak: f64,
}

impl CopyCurve {
    /// Cycles for so many bytes.
    pub fn cycles(&self, bytes: u64) -> f64 {
        let bytes = bytes as f64;
        (self.latency + bytes / self.rate).max(self.floor + bytes / self.peak)
    }
}

/// Bytes of the memories of a core.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Unified buffer.
    pub ub: u64,
    /// Bytes of it that the system keeps.
    pub ub_reserved: u64,
    /// L1.
    pub l1: u64,
    /// L0A.
    pub l0a: u64,
    /// L0B.
    pub l0b: u64,
    /// L0C.
    pub l0c: u64,
}

/// The copies of a core.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Copies {
    /// Global memory to the unified buffer.
    pub gm_to_ub: CopyCurve,
    /// The unified buffer to global memory.
    pub ub_to_gm: CopyCurve,
    /// Global memory to L1.
    pub gm_to_l1: CopyCurve,
    /// L0C to global memory.
    pub l0c_to_gm: CopyCurve,
    /// L1 to L0A, bytes a cycle.
    pub l1_to_l0a: f64,
    /// L1 to L0B, bytes a cycle.
    pub l1_to_l0b: f64,
    /// Copies that MTE2 has in flight at once.
    pub in_flight: u32,
    /// Cycles between the starts of two copies of one pipe.
    pub interval: f64,
}

/// The vector unit. Cycles of operations are in [`Profile::vector_cycles`].
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct VectorUnit {
    /// Cycles before an instruction's first repeat.
    pub startup: f64,
    /// Bank groups of the unified buffer: one row of 32 bytes is read from each in a cycle. 0 leaves conflicts out.
    pub bank_groups: u32,
}

/// The cube unit.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CubeUnit {
    /// Cycles before an instruction's first block.
    pub startup: f64,
    /// Values of k that a cycle takes, for 16 x 16 results, in f16.
    pub k_f16: f64,
    /// In i8.
    pub k_i8: f64,
    /// In f32.
    pub k_f32: f64,
}

/// The scalar core.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ScalarUnit {
    /// Cycles to issue an instruction.
    pub issue: f64,
    /// Cycles of the code behind a call of a queue.
    pub queue_call: f64,
    /// Cycles from a flag's set to the end of a wait for it.
    pub flag: f64,
    /// Instructions that may wait in front of a pipe.
    pub fifo: usize,
    /// Cycles to read an element of the unified buffer, and until a written one is there.
    pub local_access: f64,
    /// The same of global memory.
    pub global_access: f64,
}

/// Global memory, which all cores share.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalUnit {
    /// Bytes a second of all cores, past the L2 cache.
    pub bytes_per_s: f64,
    /// Bytes a second of all cores, within the L2 cache.
    pub l2_bytes_per_s: f64,
    /// Bytes of the L2 cache.
    pub l2_bytes: u64,
    /// Bytes a cycle of one core's copies in and out together.
    pub core_bytes_per_cycle: f64,
    /// Microseconds from launch to the first instruction, with all cores.
    pub launch_us: f64,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Its architecture.
    pub arch: Arch,
    /// Clock in MHz.
    pub clock_mhz: f64,
    /// Cores that a kernel can be launched on.
    pub cores: usize,
    /// Ids of each type of event.
    pub event_ids: u32,
    /// Memories of a core.
    pub sizes: Sizes,
    /// Copies.
    pub copies: Copies,
    /// The vector unit.
    pub vector: VectorUnit,
    /// Cycles a repeat of 256 bytes takes, by operation and element type (`add.f16`), by operation (`exp`), or `default`.
    pub vector_cycles: BTreeMap<String, f64>,
    /// The cube unit.
    pub cube: CubeUnit,
    /// The scalar core.
    pub scalar: ScalarUnit,
    /// Global memory.
    pub global: GlobalUnit,
    /// Where each number comes from, by key (`copies.gm_to_ub`). A section's key stands for all its numbers.
    pub source: BTreeMap<String, Source>,
}

/// A number of a profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Number<'p> {
    /// Its key: `copies.gm_to_ub.latency`.
    pub key: String,
    /// Its value.
    pub value: f64,
    /// What it is in; empty for a count.
    pub unit: &'static str,
    /// Where it comes from.
    pub source: &'p Source,
}

fn collect(key: &str, value: &toml::Value, found: &mut Vec<(String, f64)>) {
    match value {
        toml::Value::Integer(number) => found.push((key.to_owned(), *number as f64)),
        toml::Value::Float(number) => found.push((key.to_owned(), *number)),
        toml::Value::Table(table) => {
            table.iter().for_each(|(name, value)| collect(&format!("{key}.{name}"), value, found));
        }
        _ => {}
    }
}

/// The unit of a number, which follows from its key.
fn unit(key: &str) -> &'static str {
    match key.rsplit('.').next().unwrap_or(key) {
        "clock_mhz" => "MHz",
        "launch_us" => "us",
        "bytes_per_s" | "l2_bytes_per_s" => "B/s",
        "rate" | "peak" | "l1_to_l0a" | "l1_to_l0b" | "core_bytes_per_cycle" => "B/cycle",
        "latency" | "floor" | "interval" | "startup" | "issue" | "queue_call" | "flag" | "local_access"
        | "global_access" => "cycles",
        "l2_bytes" => "B",
        _ if key.starts_with("sizes.") => "B",
        _ if key.starts_with("vector_cycles.") => "cycles a repeat",
        "k_f16" | "k_i8" | "k_f32" => "k a cycle",
        _ => "",
    }
}

/// Why a profile is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No profile has this name.
    #[error("no AI Core is called `{name}`: choose {}, or a file that ends in .toml", names().join(", "))]
    Unknown {
        /// The name given.
        name: String,
    },
    /// The file cannot be read.
    #[error("cannot read device profile `{file}`")]
    Read {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no TOML, or has a key or type that a profile does not have.
    #[error("device profile `{file}` is not valid: {why}")]
    Syntax {
        /// The file.
        file: String,
        /// What the parser said, with the line.
        why: String,
    },
    /// A number that cannot be.
    #[error("device profile `{file}`: `{key}` is {value}: {range} is possible")]
    Number {
        /// The file.
        file: String,
        /// The key.
        key: &'static str,
        /// The number.
        value: f64,
        /// What is possible.
        range: &'static str,
    },
    /// A number without a source.
    #[error(
        "device profile `{file}`: `{key}` has no source; add `\"{key}\" = {{ kind = \"...\", from = \"...\" }}` to [source]"
    )]
    NoSource {
        /// The file.
        file: String,
        /// The key.
        key: &'static str,
    },
}

macro_rules! built_in {
    ($($name:literal),*) => {
        const BUILT_IN: &[(&str, &str)] = &[$(($name, include_str!(concat!("../profiles/", $name, ".toml")))),*];
    };
}

built_in!("910B1", "910B3", "910B4", "310P3", "910");

/// The names of the profiles that are built in.
pub fn names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|(name, _)| *name).collect()
}

/// The sections and numbers that need a source.
const SOURCED: [&str; 11] = [
    "clock_mhz",
    "cores",
    "event_ids",
    "sizes",
    "copies",
    "vector.startup",
    "vector.bank_groups",
    "vector_cycles",
    "cube",
    "scalar",
    "global",
];

impl Profile {
    /// The profile of this name, or of the file of this name if it ends in `.toml`.
    ///
    /// # Errors
    ///
    /// See [`ProfileError`].
    pub fn named(name: &str) -> Result<Profile, ProfileError> {
        if name.ends_with(".toml") {
            let text = std::fs::read_to_string(Path::new(name))
                .map_err(|source| ProfileError::Read { file: name.to_owned(), source })?;
            return Profile::parse(&text, name);
        }
        let found = BUILT_IN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let (known, text) = found.ok_or_else(|| ProfileError::Unknown { name: name.to_owned() })?;
        Profile::parse(text, known)
    }

    /// The profile that `text` describes; `file` names it in errors.
    ///
    /// # Errors
    ///
    /// See [`ProfileError`].
    pub fn parse(text: &str, file: &str) -> Result<Profile, ProfileError> {
        let profile: Profile = toml::from_str(text)
            .map_err(|error| ProfileError::Syntax { file: file.to_owned(), why: error.to_string() })?;
        profile.check(file)?;
        Ok(profile)
    }

    /// Bytes of a memory.
    pub fn size(&self, space: Space) -> u64 {
        match space {
            Space::Ub => self.sizes.ub,
            Space::L1 => self.sizes.l1,
            Space::L0a => self.sizes.l0a,
            Space::L0b => self.sizes.l0b,
            Space::L0c => self.sizes.l0c,
        }
    }

    /// Bytes of a memory that a kernel may use.
    pub fn usable(&self, space: Space) -> u64 {
        let reserved = if space == Space::Ub { self.sizes.ub_reserved } else { 0 };
        self.size(space).saturating_sub(reserved)
    }

    /// Microseconds of so many cycles.
    pub fn us(&self, cycles: f64) -> f64 {
        cycles / self.clock_mhz
    }

    /// Every number with its source, those of one source together.
    pub fn numbers(&self) -> Vec<Number<'_>> {
        let table = toml::Table::try_from(self).expect("a profile is a table");
        let mut found = Vec::new();
        for (key, value) in table.iter().filter(|(key, _)| *key != "source") {
            collect(key, value, &mut found);
        }
        let number = |(key, value): (String, f64)| {
            let mut of = key.as_str();
            let source = loop {
                match (self.source.get(of), of.rsplit_once('.')) {
                    (Some(source), _) => break Some(source),
                    (None, Some((section, _))) => of = section,
                    (None, None) => break None,
                }
            };
            source.map(|source| Number { unit: unit(&key), key, value, source })
        };
        let mut numbers: Vec<_> = found.into_iter().filter_map(number).collect();
        // A source's place is that of its first number.
        let first: Vec<&Source> = numbers.iter().map(|number| number.source).collect();
        numbers.sort_by_key(|number| first.iter().position(|source| *source == number.source));
        numbers
    }

    /// Bytes a cycle that global memory gives all cores together, past the L2 cache or within it.
    pub fn bytes_per_cycle(&self, within_l2: bool) -> f64 {
        let bytes_per_s = if within_l2 { self.global.l2_bytes_per_s } else { self.global.bytes_per_s };
        bytes_per_s / (self.clock_mhz * 1e6)
    }

    /// Whether so many bytes of tensors stay in the L2 cache.
    pub fn fits_l2(&self, bytes: u64) -> bool {
        bytes <= self.global.l2_bytes
    }

    fn check(&self, file: &str) -> Result<(), ProfileError> {
        let file = || file.to_owned();
        let positive = "a finite number above 0";
        let curves =
            [&self.copies.gm_to_ub, &self.copies.ub_to_gm, &self.copies.gm_to_l1, &self.copies.l0c_to_gm];
        let mut above = vec![
            ("clock_mhz", self.clock_mhz),
            ("copies.l1_to_l0a", self.copies.l1_to_l0a),
            ("copies.l1_to_l0b", self.copies.l1_to_l0b),
            ("cube.k_f16", self.cube.k_f16),
            ("cube.k_i8", self.cube.k_i8),
            ("cube.k_f32", self.cube.k_f32),
            ("global.bytes_per_s", self.global.bytes_per_s),
            ("global.l2_bytes_per_s", self.global.l2_bytes_per_s),
            ("global.core_bytes_per_cycle", self.global.core_bytes_per_cycle),
            ("cores", self.cores as f64),
            ("event_ids", f64::from(self.event_ids)),
            ("copies.in_flight", f64::from(self.copies.in_flight)),
            ("scalar.fifo", self.scalar.fifo as f64),
            ("sizes.ub", self.sizes.ub as f64),
        ];
        above.extend(
            curves.iter().flat_map(|curve| [("copies, rate", curve.rate), ("copies, peak", curve.peak)]),
        );
        above.extend(self.vector_cycles.values().map(|&cycles| ("vector_cycles", cycles)));
        if let Some((key, value)) = above.into_iter().find(|(_, value)| !(value.is_finite() && *value > 0.0))
        {
            return Err(ProfileError::Number { file: file(), key, value, range: positive });
        }
        let mut not_below = vec![
            ("copies.interval", self.copies.interval),
            ("vector.startup", self.vector.startup),
            ("cube.startup", self.cube.startup),
            ("scalar.issue", self.scalar.issue),
            ("scalar.queue_call", self.scalar.queue_call),
            ("scalar.flag", self.scalar.flag),
            ("scalar.local_access", self.scalar.local_access),
            ("scalar.global_access", self.scalar.global_access),
            ("global.launch_us", self.global.launch_us),
        ];
        not_below.extend(
            curves
                .iter()
                .flat_map(|curve| [("copies, latency", curve.latency), ("copies, floor", curve.floor)]),
        );
        if let Some((key, value)) =
            not_below.into_iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0))
        {
            return Err(ProfileError::Number { file: file(), key, value, range: "a finite number from 0" });
        }
        let limits = [
            ("event_ids", f64::from(self.event_ids), 16.0, "from 1 to 16"),
            ("cores", self.cores as f64, 1024.0, "from 1 to 1024"),
            ("sizes.ub", self.sizes.ub as f64, 16_777_216.0, "up to 16 MiB"),
            ("scalar.fifo", self.scalar.fifo as f64, 4096.0, "up to 4096"),
            ("sizes.l1", self.sizes.l1 as f64, 16_777_216.0, "up to 16 MiB"),
        ];
        if let Some((key, value, _, range)) = limits.into_iter().find(|(_, value, most, _)| value > most) {
            return Err(ProfileError::Number { file: file(), key, value, range });
        }
        if !self.vector_cycles.contains_key("default") {
            return Err(ProfileError::Number {
                file: file(),
                key: "vector_cycles.default",
                value: f64::NAN,
                range: positive,
            });
        }
        if let Some(key) = SOURCED.into_iter().find(|key| !self.is_sourced(key)) {
            return Err(ProfileError::NoSource { file: file(), key });
        }
        Ok(())
    }

    /// Whether a key, the section it is in, or all of the section's parts have a source.
    fn is_sourced(&self, key: &str) -> bool {
        let inside = |known: &String| known.starts_with(key) && known[key.len()..].starts_with('.');
        let section = key.split('.').next().unwrap_or(key);
        self.source.contains_key(key) || self.source.contains_key(section) || self.source.keys().any(inside)
    }
}
