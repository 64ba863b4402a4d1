//! Values of options: how they are read, and what is said when they cannot be.

use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;

/// `auto`, or a number from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AutoOr {
    Auto,
    Count(usize),
}

impl FromStr for AutoOr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(AutoOr::Auto);
        }
        count(text).map(AutoOr::Count).map_err(|error| format!("{error}, or `auto`"))
    }
}

/// A number from 1 to the most a schedule takes.
pub(super) fn count(text: &str) -> Result<usize, String> {
    const LIMIT: usize = nbuffer::schedule::LIMIT;
    match text.parse::<usize>() {
        Ok(n) if (1..=LIMIT).contains(&n) => Ok(n),
        _ => Err(format!("a whole number from 1 to {LIMIT} is expected")),
    }
}

/// A whole number from 1.
pub(super) fn at_least_one(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("a whole number from 1 is expected".to_owned()),
    }
}

/// A number of rounds, from 1.
pub(super) fn rounds(text: &str) -> Result<usize, String> {
    match text.parse::<u16>() {
        Ok(n) if n > 0 => Ok(n.into()),
        _ => Err(format!("a whole number from 1 to {} is expected", u16::MAX)),
    }
}

/// `auto`, `on` or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    Auto,
    On,
    Off,
}

impl Switch {
    pub(super) fn forced(self) -> Option<bool> {
        match self {
            Switch::Auto => None,
            Switch::On => Some(true),
            Switch::Off => Some(false),
        }
    }
}

/// In which order results come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OrderArg {
    InOrder,
    Completed,
}

/// What becomes of a lost lane's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RetryArg {
    Never,
    OtherLane,
}

/// A time with its unit, as in `500ms`, or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeOrNone(pub(super) Option<Duration>);

impl FromStr for TimeOrNone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(TimeOrNone(None));
        }
        match humantime::parse_duration(text) {
            Ok(time) if time >= Duration::from_millis(1) => Ok(TimeOrNone(Some(time))),
            Ok(_) => Err("at least 1ms is expected".to_owned()),
            Err(error) => Err(format!("{error}; a time with its unit is expected, as in 500ms, or `none`")),
        }
    }
}

/// Three numbers with commas between them.
pub(super) fn three(text: &str) -> Result<[f32; 3], String> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|n| n.trim().parse::<f32>()).collect();
    match numbers.as_deref() {
        Ok(&[a, b, c]) if [a, b, c].iter().all(|n| n.is_finite()) => Ok([a, b, c]),
        _ => Err("three numbers with commas between them are expected, as in 0.485,0.456,0.406".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_from_one_or_auto() {
        assert_eq!("auto".parse(), Ok(AutoOr::Auto));
        assert_eq!("4".parse(), Ok(AutoOr::Count(4)));
        for bad in ["0", "-1", "65537", "99999999999999999999", "x", ""] {
            let expected = Err("a whole number from 1 to 65536 is expected, or `auto`".to_owned());
            assert_eq!(bad.parse::<AutoOr>(), expected);
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!("none".parse(), Ok(TimeOrNone(None)));
        assert_eq!("1500ms".parse(), Ok(TimeOrNone(Some(Duration::from_millis(1500)))));
        assert!("5".parse::<TimeOrNone>().unwrap_err().contains("a time with its unit is expected"));
        assert_eq!("10us".parse::<TimeOrNone>().unwrap_err(), "at least 1ms is expected");
    }

    #[test]
    fn three_numbers() {
        assert_eq!(three("0.5, 1,2"), Ok([0.5, 1.0, 2.0]));
        assert!(three("1,2").is_err() && three("1,2,nan").is_err() && three("1,2,3,4").is_err());
    }
}
