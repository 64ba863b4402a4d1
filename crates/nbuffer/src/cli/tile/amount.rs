//! Numbers of elements as a user writes them.

use std::str::FromStr;

/// A number of elements: `20480`, `20K`, `80M`. `K`, `M` and `G` count in 1024, as the vendor's samples do: their 80M is 80 x 2^20.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount(pub(super) u64);

/// More would take longer than anybody waits.
const MOST: u64 = 1 << 40;

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, shift) = match text.char_indices().last() {
            Some((at, 'K' | 'k')) => (&text[..at], 10),
            Some((at, 'M' | 'm')) => (&text[..at], 20),
            Some((at, 'G' | 'g')) => (&text[..at], 30),
            _ => (text, 0),
        };
        let number = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift));
        let number = number.filter(|n| (1..=MOST).contains(n));
        number.map(Amount).ok_or_else(|| {
            "a whole number of elements from 1 to 1024G is expected, as in 20480, 20K or 80M (1K = 1024)"
                .to_owned()
        })
    }
}

/// A tile: as many elements as a block may hold.
pub(super) fn tile(text: &str) -> Result<u32, String> {
    let Amount(elements) = text.parse()?;
    u32::try_from(elements)
        .ok()
        .filter(|tile| *tile <= 1 << 28)
        .ok_or_else(|| "a tile of up to 256M elements is expected".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_count_in_1024() {
        for (text, amount) in [("1", 1), ("20480", 20480), ("20K", 20480), ("80M", 80 << 20), ("1g", 1 << 30)]
        {
            assert_eq!(text.parse(), Ok(Amount(amount)));
        }
        for bad in ["", "K", "0", "-1", "1.5M", "1025G", "99999999999999999999", "3µ"] {
            assert!(bad.parse::<Amount>().is_err(), "{bad}");
        }
        assert!(tile("256M").is_ok() && tile("257M").is_err());
    }
}
