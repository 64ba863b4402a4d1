//! Values of the flags, which a TOML file holds too.

use std::fmt;
use std::str::FromStr;

use nbuffer::plan::{CV_MAX, Overlap};
use nbuffer::schedule::Duplex;
use serde::de::{Deserialize, Deserializer, Visitor};

use super::super::values::count;

/// Reads what a flag would read, from a text or a number.
pub(super) fn scalar<'de, D: Deserializer<'de>, T: FromStr<Err = String>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    struct Scalar;
    impl Visitor<'_> for Scalar {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a number")
        }

        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_i64<E>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_u64<E>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_f64<E>(self, number: f64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }
    let text = from.deserialize_any(Scalar)?;
    text.parse().map(Some).map_err(|error| serde::de::Error::custom(format!("`{text}`: {error}")))
}

/// A coefficient of variation.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
pub(super) struct Ratio(pub(super) f64);

impl FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            Ok(ratio) if (0.0..=CV_MAX).contains(&ratio) => Ok(Ratio(ratio)),
            _ => Err(format!("a number from 0 to {CV_MAX} is expected, as in 0.3")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Count(pub(super) usize);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        count(text).map(Count)
    }
}

/// `3` for both, or `2+1` for one and the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum OneOrTwo {
    One(usize),
    Two(usize, usize),
}

impl FromStr for OneOrTwo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('+') {
            Some((a, b)) => Ok(OneOrTwo::Two(count(a.trim())?, count(b.trim())?)),
            None => Ok(OneOrTwo::One(count(text)?)),
        }
    }
}

impl fmt::Display for OneOrTwo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OneOrTwo::One(n) => write!(f, "{n}"),
            OneOrTwo::Two(a, b) => write!(f, "{a}+{b}"),
        }
    }
}

/// Buffer sets: so many, or those that nbuffer chooses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum BuffersArg {
    Auto,
    Sets(OneOrTwo),
}

impl FromStr for BuffersArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(BuffersArg::Auto),
            sets => sets.parse().map(BuffersArg::Sets),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OverlapArg(pub(super) Overlap);

impl FromStr for OverlapArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "queued" => Ok(OverlapArg(Overlap::Queued)),
            "blocking" => Ok(OverlapArg(Overlap::None)),
            // As a flag, and as in a summary.
            "double-buffer" | "double_buffered" => Ok(OverlapArg(Overlap::InLane)),
            _ => Err("queued, blocking or double-buffer is expected".to_owned()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DuplexArg(pub(super) Duplex);

impl FromStr for DuplexArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "full" => Ok(DuplexArg(Duplex::Full)),
            "half" => Ok(DuplexArg(Duplex::Half)),
            _ => Err("full or half is expected".to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for DuplexArg {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Layout {
    Joint,
    Split,
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "joint" => Ok(Layout::Joint),
            "split" => Ok(Layout::Split),
            _ => Err("joint or split is expected".to_owned()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Links {
    One,
    PerLane,
}

impl FromStr for Links {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "one" => Ok(Links::One),
            "per-lane" => Ok(Links::PerLane),
            _ => Err("one or per-lane is expected".to_owned()),
        }
    }
}
