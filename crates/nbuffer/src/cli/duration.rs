//! Times and sizes as a user writes them: `4ms`, `1.5s`, `10MiB`.

use std::str::FromStr;

use bytesize::ByteSize;

/// A time with its unit, in seconds. Negative ones and what is not a number cannot be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seconds(pub(super) f64);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = humantime::parse_duration(text);
        let time = time.map_err(|error| {
            format!("a time with its unit is expected, as in 4ms, 1.5s, 500us or 80ns ({error})")
        })?;
        Ok(Seconds(time.as_secs_f64()))
    }
}

/// A time of more than nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SomeSeconds(pub(super) f64);

impl FromStr for SomeSeconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Seconds(s) if s > 0.0 => Ok(SomeSeconds(s)),
            _ => Err("more than no time is expected".to_owned()),
        }
    }
}

/// A number of bytes, with or without a unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bytes(pub(super) u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<ByteSize>() {
            Ok(size) if size.as_u64() > 0 => Ok(Bytes(size.as_u64())),
            _ => Err("a number of bytes from 1 is expected, as in 640, 10MB or 1.5MiB".to_owned()),
        }
    }
}

/// Bytes with the unit that suits them.
pub(super) fn bytes(n: u64) -> String {
    ByteSize(n).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_fractions() {
        for (text, seconds) in [("4ms", 0.004), ("500us", 0.0005), ("1.5s", 1.5), ("80ns", 8e-8), ("0s", 0.0)]
        {
            assert_eq!(text.parse(), Ok(Seconds(seconds)), "{text}");
        }
        for bad in
            ["", "4", "-4ms", "NaN", "inf", "4 parsecs", "0.1ns", "ms", "1e400s", "99999999999999999999s"]
        {
            let error = bad.parse::<Seconds>().unwrap_err();
            assert!(error.contains("a time with its unit is expected"), "{bad}: {error}");
        }
        assert!("0ms".parse::<SomeSeconds>().is_err() && "1ns".parse::<SomeSeconds>().is_ok());
    }

    #[test]
    fn sizes_have_units_or_are_bytes() {
        for (text, n) in [("640", 640), ("10 MB", 10_000_000), ("1.5MiB", 1_572_864), ("1GiB", 1 << 30)] {
            assert_eq!(text.parse(), Ok(Bytes(n)), "{text}");
        }
        for bad in ["", "0", "-1", "NaN", "1 furlong", "MiB"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
    }
}
