//! What a simulated device is like: a TOML file of units, times, limits and planned faults.
//!
//! Times are strings with a unit (`"750us"`), bandwidths are bytes a second. A file is checked whole when it
//! is read, so that nothing later meets a number that makes no sense.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::fault::FaultPlan;

mod raw;

/// The profiles that come with this crate, by name.
const BUILT_IN: [(&str, &str); 3] = [
    ("metis", include_str!("../profiles/metis.toml")),
    ("fpga", include_str!("../profiles/fpga.toml")),
    ("gpu", include_str!("../profiles/gpu.toml")),
];

/// Names of the profiles that come with this crate: `metis`, `fpga`, `gpu`.
pub fn built_in() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|&(name, _)| name)
}

/// How a simulated device takes its work.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Class {
    /// Calls block; a lane is one instance on cores of its own.
    Lockstep {
        /// Whether lanes offer double buffering.
        double_buffer: bool,
        /// Level-2 memory that the transfer buffers of all lanes share, where it is limited.
        l2_bytes: Option<u64>,
        /// What a call costs on the host.
        host: HostCost,
    },
    /// Submits return at once; write, kernel and read engines take items in turn.
    Queued {
        /// How long the kernel engine idles before each kernel.
        launch_time: Duration,
    },
}

/// What a blocking call costs on the host, besides transfers and kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostCost {
    /// All of it, per call.
    pub call_time: Duration,
    /// The share that runs beside transfer and kernel when double buffering is on.
    pub overlap_share: f64,
    /// The share that only one lane of the device can be in at a time.
    pub serial_share: f64,
}

/// How long one transfer takes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Transfer {
    /// This long, whatever its size.
    Fixed(Duration),
    /// A cost per transfer and then so many bytes a second.
    Bandwidth {
        /// Cost per transfer.
        transfer_time: Duration,
        /// Bytes a second.
        bytes_per_s: f64,
    },
}

impl Transfer {
    /// Seconds a transfer of `bytes` takes.
    pub fn seconds(&self, bytes: usize) -> f64 {
        match *self {
            Transfer::Fixed(time) => time.as_secs_f64(),
            Transfer::Bandwidth { transfer_time, bytes_per_s } => {
                transfer_time.as_secs_f64() + bytes as f64 / bytes_per_s
            }
        }
    }
}

/// The link between host and device, shared by all lanes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Whether only one transfer runs at a time, of either direction.
    pub half_duplex: bool,
    /// Host to device.
    pub write: Transfer,
    /// Device to host.
    pub read: Transfer,
}

/// A simulated device, described and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// One line for people: what it stands for and where its numbers come from.
    pub description: String,
    /// How it takes work.
    pub class: Class,
    /// Cores (lockstep), or kernel instances shared by the lanes (queued).
    pub cores: usize,
    /// How long one kernel call takes where the model does not declare it.
    pub kernel_time: Duration,
    /// Device memory, where it is limited.
    pub memory_bytes: Option<u64>,
    /// The link.
    pub link: Link,
    /// What goes wrong, and when.
    pub faults: FaultPlan,
    /// Where numbers come from, by key (`link.write_bytes_per_s`).
    pub sources: BTreeMap<String, String>,
}

/// Why a profile is refused. Each message names the file and the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No profile has this name.
    #[error("no simulated device is called `{name}`: choose metis, fpga, gpu or a file that ends in .toml")]
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
    /// A key that must be there is not.
    #[error("device profile `{file}`: key `{key}` is missing: {why}")]
    Missing {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// What it is for.
        why: &'static str,
    },
    /// A key that does not go with the rest of the profile.
    #[error("device profile `{file}`: key `{key}` does not belong here: {why}")]
    Misplaced {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// What it does not go with.
        why: &'static str,
    },
    /// A value out of its limits.
    #[error("device profile `{file}`: `{key}` is {value}, it must be {limit}")]
    Value {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// The value given.
        value: String,
        /// What it may be.
        limit: &'static str,
    },
}

impl Profile {
    /// A profile that comes with this crate (`metis`, `fpga`, `gpu`), or the file of the user's own at a
    /// path that ends in `.toml`.
    ///
    /// # Errors
    ///
    /// See [`ProfileError`]; each variant names the file and the key.
    pub fn load(name: &str) -> Result<Self, ProfileError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
            return Profile::parse(name, text);
        }
        if !Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
            return Err(ProfileError::Unknown { name: name.into() });
        }
        let text = std::fs::read_to_string(name)
            .map_err(|source| ProfileError::Read { file: name.into(), source })?;
        Profile::parse(name, &text)
    }

    /// Reads a profile from `text`; `file` names it in errors.
    ///
    /// # Errors
    ///
    /// See [`ProfileError`]; each variant names the file and the key.
    pub fn parse(file: &str, text: &str) -> Result<Self, ProfileError> {
        raw::Reader { file }.profile(text)
    }
}

#[cfg(test)]
mod tests;
