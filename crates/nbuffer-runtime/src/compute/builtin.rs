//! Kernels without weights: cheap, exact, and enough to tell one item's result from another's.

use crate::buffer::HostBuffer;
use crate::engine::{EngineError, Session};

/// Outputs are the inputs, byte for byte. `Compute` has checked that sizes are equal.
pub(super) struct Identity;

impl Session for Identity {
    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<(), EngineError> {
        for (input, output) in inputs.iter().zip(outputs) {
            output.bytes_mut().copy_from_slice(input.bytes());
        }
        Ok(())
    }
}

/// The first 8 output bytes are the checksum of all input bytes, the rest zero. `Compute` has checked that
/// there is one output and room for the sum.
pub(super) struct Checksum;

impl Session for Checksum {
    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<(), EngineError> {
        let sum = inputs.iter().fold(FNV_OFFSET, |sum, input| fnv1a(sum, input.bytes()));
        for output in outputs {
            let (head, rest) = output.bytes_mut().split_at_mut(size_of_val(&sum));
            head.copy_from_slice(&sum.to_le_bytes());
            rest.fill(0);
        }
        Ok(())
    }
}

/// Offset basis and prime of 64-bit FNV-1a (Fowler, Noll and Vo).
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn fnv1a(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv1a_gives_the_published_values() {
        // From the test suite of the authors' reference code.
        assert_eq!(fnv1a(FNV_OFFSET, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(FNV_OFFSET, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(FNV_OFFSET, b"foobar"), 0x8594_4171_f739_67e8);
    }
}
