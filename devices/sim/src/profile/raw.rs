//! The profile as it stands in the file, and the checks on the way to a [`Profile`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::{Class, HostCost, Link, Profile, ProfileError, Transfer};
use crate::fault::{Fault, FaultKind, FaultPlan, Trigger};

/// Longer than any call worth simulating; keeps sums of times far from overflow.
const LONGEST: Duration = Duration::from_secs(3600);
const CORES_MAX: u64 = 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    description: Option<String>,
    class: RawClass,
    cores: i64,
    kernel_time: String,
    memory_bytes: Option<i64>,
    l2_bytes: Option<i64>,
    double_buffer: Option<bool>,
    launch_time: Option<String>,
    link: RawLink,
    host: Option<RawHost>,
    #[serde(default)]
    fault: Vec<RawFault>,
    #[serde(default)]
    source: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum RawClass {
    Lockstep,
    Queued,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawDuplex {
    Full,
    Half,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLink {
    duplex: RawDuplex,
    write_bytes_per_s: Option<f64>,
    read_bytes_per_s: Option<f64>,
    transfer_time: Option<String>,
    write_time: Option<String>,
    read_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHost {
    call_time: String,
    overlap_share: f64,
    serial_share: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFault {
    kind: RawFaultKind,
    lane: Option<i64>,
    call: Option<i64>,
    probability: Option<f64>,
    seed: Option<i64>,
    by: Option<String>,
    r#for: Option<String>,
    device: Option<bool>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum RawFaultKind {
    Fail,
    Hang,
    Late,
    Corrupt,
    Disappear,
}

/// Turns the text of one file into a profile.
pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
}

impl Reader<'_> {
    pub(super) fn profile(&self, text: &str) -> Result<Profile, ProfileError> {
        let raw: RawProfile = toml::from_str(text)
            .map_err(|error| ProfileError::Syntax { file: self.file.into(), why: error.to_string() })?;
        let class = self.class(&raw)?;
        let faults = raw.fault.iter().enumerate().map(|(i, fault)| self.fault(i, fault));
        let profile = Profile {
            description: raw.description.clone().unwrap_or_else(|| format!("profile `{}`", self.file)),
            cores: self.integer("cores", raw.cores, 1, CORES_MAX, "from 1 to 1024")? as usize,
            kernel_time: self.time_above_zero("kernel_time", &raw.kernel_time)?,
            memory_bytes: self.bytes("memory_bytes", raw.memory_bytes)?,
            link: self.link(&raw.link)?,
            faults: FaultPlan::new(faults.collect::<Result<_, _>>()?),
            sources: raw.source,
            class,
        };
        self.check_sources(&profile.sources, text)?;
        Ok(profile)
    }

    fn class(&self, raw: &RawProfile) -> Result<Class, ProfileError> {
        match raw.class {
            RawClass::Lockstep => {
                self.absent("launch_time", raw.launch_time.is_some(), "it is for class \"queued\"")?;
                let host = match &raw.host {
                    Some(host) => self.host(host)?,
                    None => HostCost { call_time: Duration::ZERO, overlap_share: 0.0, serial_share: 0.0 },
                };
                let l2_bytes = self.bytes("l2_bytes", raw.l2_bytes)?;
                Ok(Class::Lockstep { double_buffer: raw.double_buffer.unwrap_or(true), l2_bytes, host })
            }
            RawClass::Queued => {
                let lockstep_only = "it is for class \"lockstep\"";
                self.absent("host", raw.host.is_some(), lockstep_only)?;
                self.absent("l2_bytes", raw.l2_bytes.is_some(), lockstep_only)?;
                self.absent("double_buffer", raw.double_buffer.is_some(), lockstep_only)?;
                let launch_time = self.time_or_zero("launch_time", raw.launch_time.as_deref())?;
                Ok(Class::Queued { launch_time })
            }
        }
    }

    fn host(&self, raw: &RawHost) -> Result<HostCost, ProfileError> {
        let host = HostCost {
            call_time: self.time("host.call_time", &raw.call_time)?,
            overlap_share: self.share("host.overlap_share", raw.overlap_share)?,
            serial_share: self.share("host.serial_share", raw.serial_share)?,
        };
        let sum = host.overlap_share + host.serial_share;
        if sum > 1.0 {
            let limit = "at most 1 together with host.overlap_share: what is serialised does not overlap";
            return Err(self.value("host.serial_share", host.serial_share, limit));
        }
        Ok(host)
    }

    fn link(&self, raw: &RawLink) -> Result<Link, ProfileError> {
        let fixed = raw.write_time.is_some() && raw.read_time.is_some();
        self.absent(
            "link.transfer_time",
            fixed && raw.transfer_time.is_some(),
            "with a fixed `write_time` and `read_time` nothing is left for it to add to",
        )?;
        let cost = self.time_or_zero("link.transfer_time", raw.transfer_time.as_deref())?;
        Ok(Link {
            half_duplex: matches!(raw.duplex, RawDuplex::Half),
            write: self.transfer(
                ["link.write_time", "link.write_bytes_per_s"],
                raw.write_time.as_deref(),
                raw.write_bytes_per_s,
                cost,
            )?,
            read: self.transfer(
                ["link.read_time", "link.read_bytes_per_s"],
                raw.read_time.as_deref(),
                raw.read_bytes_per_s,
                cost,
            )?,
        })
    }

    fn transfer(
        &self,
        [time_key, bandwidth_key]: [&str; 2],
        time: Option<&str>,
        bandwidth: Option<f64>,
        transfer_time: Duration,
    ) -> Result<Transfer, ProfileError> {
        match (time, bandwidth) {
            (Some(time), None) => Ok(Transfer::Fixed(self.time(time_key, time)?)),
            (None, Some(bytes_per_s)) if (1e3..=1e15).contains(&bytes_per_s) => {
                Ok(Transfer::Bandwidth { transfer_time, bytes_per_s })
            }
            (None, Some(bytes_per_s)) => {
                Err(self.value(bandwidth_key, bytes_per_s, "from 1e3 to 1e15 bytes a second"))
            }
            (Some(_), Some(_)) => {
                Err(self
                    .misplaced(bandwidth_key, "the direction has a fixed time already; give one of the two"))
            }
            (None, None) => {
                Err(self
                    .missing(bandwidth_key, "give the bandwidth, or a fixed time per transfer in its place"))
            }
        }
    }

    fn fault(&self, i: usize, raw: &RawFault) -> Result<Fault, ProfileError> {
        let key = |name: &str| format!("fault[{i}].{name}");
        let integer = |name: &str, value: Option<i64>| {
            value.map(|v| self.integer(&key(name), v, 0, i64::MAX as u64, "0 or more")).transpose()
        };
        let lane = integer("lane", raw.lane)?.map(|lane| lane as usize);
        let seed = integer("seed", raw.seed)?;
        let when = match (integer("call", raw.call)?, raw.probability) {
            (Some(call), None) => {
                self.absent(&key("seed"), seed.is_some(), "`call` leaves nothing to chance")?;
                Trigger::Call(call)
            }
            (None, Some(probability)) => Trigger::Probability {
                probability: self.share(&key("probability"), probability)?,
                seed: seed
                    .ok_or_else(|| self.missing(&key("seed"), "it repeats a run with `probability`"))?,
            },
            (Some(_), Some(_)) => {
                return Err(
                    self.misplaced(&key("probability"), "`call` says when already; give one of the two")
                );
            }
            (None, None) => {
                return Err(self.missing(&key("call"), "say when: `call`, or `probability` and `seed`"));
            }
        };
        let is = |kind| raw.kind == kind;
        self.absent(&key("by"), raw.by.is_some() && !is(RawFaultKind::Late), "it is for kind \"late\"")?;
        self.absent(&key("for"), raw.r#for.is_some() && !is(RawFaultKind::Hang), "it is for kind \"hang\"")?;
        let device = raw.device.is_some() && !is(RawFaultKind::Disappear);
        self.absent(&key("device"), device, "it is for kind \"disappear\"")?;
        let kind = match raw.kind {
            RawFaultKind::Fail => FaultKind::Fail,
            RawFaultKind::Hang => {
                let limit = raw.r#for.as_deref().map(|time| self.time(&key("for"), time)).transpose()?;
                FaultKind::Hang { limit }
            }
            RawFaultKind::Late => {
                let by = raw.by.as_deref();
                let by = by.ok_or_else(|| self.missing(&key("by"), "how much later the result comes"))?;
                FaultKind::Late { by: self.time_above_zero(&key("by"), by)? }
            }
            RawFaultKind::Corrupt => FaultKind::Corrupt,
            RawFaultKind::Disappear => FaultKind::Disappear { device: raw.device.unwrap_or(false) },
        };
        Ok(Fault { kind, lane, when })
    }

    /// A source must be of a key that the file has.
    fn check_sources(&self, sources: &BTreeMap<String, String>, text: &str) -> Result<(), ProfileError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ProfileError::Syntax {
            file: self.file.into(),
            why: error.to_string(),
        })?;
        let known = |key: &str| match key.split_once('.') {
            Some((section, key)) => table.get(section).and_then(|section| section.get(key)).is_some(),
            None => table.contains_key(key),
        };
        match sources.keys().find(|key| !known(key)) {
            Some(key) => Err(self.misplaced(&format!("source.\"{key}\""), "the profile has no such key")),
            None => Ok(()),
        }
    }

    fn time(&self, key: &str, text: &str) -> Result<Duration, ProfileError> {
        let limit = "a time with its unit, like \"750us\" or \"1.5ms\", of at most 1 h";
        match humantime::parse_duration(text) {
            Ok(time) if time <= LONGEST => Ok(time),
            _ => Err(self.value(key, format_args!("\"{text}\""), limit)),
        }
    }

    fn time_or_zero(&self, key: &str, text: Option<&str>) -> Result<Duration, ProfileError> {
        text.map_or(Ok(Duration::ZERO), |text| self.time(key, text))
    }

    fn time_above_zero(&self, key: &str, text: &str) -> Result<Duration, ProfileError> {
        match self.time(key, text)? {
            Duration::ZERO => Err(self.value(key, format_args!("\"{text}\""), "longer than 0")),
            time => Ok(time),
        }
    }

    fn share(&self, key: &str, value: f64) -> Result<f64, ProfileError> {
        match (0.0..=1.0).contains(&value) {
            true => Ok(value),
            false => Err(self.value(key, value, "from 0 to 1")),
        }
    }

    fn bytes(&self, key: &str, value: Option<i64>) -> Result<Option<u64>, ProfileError> {
        value.map(|v| self.integer(key, v, 1, 1 << 50, "from 1 to 2^50 bytes")).transpose()
    }

    fn integer(
        &self,
        key: &str,
        value: i64,
        min: u64,
        max: u64,
        limit: &'static str,
    ) -> Result<u64, ProfileError> {
        match u64::try_from(value) {
            Ok(v) if (min..=max).contains(&v) => Ok(v),
            _ => Err(self.value(key, value, limit)),
        }
    }

    fn absent(&self, key: &str, present: bool, why: &'static str) -> Result<(), ProfileError> {
        if present { Err(self.misplaced(key, why)) } else { Ok(()) }
    }

    fn value(&self, key: &str, value: impl std::fmt::Display, limit: &'static str) -> ProfileError {
        ProfileError::Value { file: self.file.into(), key: key.into(), value: value.to_string(), limit }
    }

    fn missing(&self, key: &str, why: &'static str) -> ProfileError {
        ProfileError::Missing { file: self.file.into(), key: key.into(), why }
    }

    fn misplaced(&self, key: &str, why: &'static str) -> ProfileError {
        ProfileError::Misplaced { file: self.file.into(), key: key.into(), why }
    }
}
