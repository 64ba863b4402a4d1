//! Damaged files are refused or opened, and never bring the loader down.

use std::fs;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::files::ModelFiles;

/// One way a file gets damaged.
#[derive(Clone, Debug)]
enum Damage {
    Overwrite(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Truncate(Index),
    /// Swaps a digit for text that JSON numbers, or their wrong relatives, are made of.
    Number(Index, &'static str),
}

const NUMBERS: [&str; 9] =
    ["-1", "0", "1e999", "18446744073709551615", "18446744073709551616", "NaN", "null", "[]", "1e-400"];

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Overwrite(at, byte)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        any::<Index>().prop_map(Damage::Remove),
        any::<Index>().prop_map(Damage::Truncate),
        (any::<Index>(), proptest::sample::select(&NUMBERS[..]))
            .prop_map(|(at, number)| Damage::Number(at, number)),
    ]
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Damage::Overwrite(at, byte) => *at.get_mut(bytes) = *byte,
            Damage::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Damage::Remove(at) => {
                bytes.remove(at.index(bytes.len()));
            }
            Damage::Truncate(at) => bytes.truncate(at.index(bytes.len())),
            Damage::Number(at, number) => {
                let digits: Vec<usize> = (0..bytes.len()).filter(|&i| bytes[i].is_ascii_digit()).collect();
                if !digits.is_empty() {
                    let at = *at.get(&digits);
                    bytes.splice(at..=at, number.bytes());
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn damaged_json_never_panics(
        file in proptest::sample::select(&["model.json", "manifest.json", "labels.txt"][..]),
        damages in proptest::collection::vec(damage(), 1..4),
    ) {
        let files = ModelFiles::digits();
        files.open().unwrap();
        let mut bytes = fs::read(files.path(file)).unwrap();
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        files.write(file, bytes);
        match files.open_as_written() {
            // What opens is usable: the first dimension is the batch, and sizes are those of the shapes.
            Ok(model) => {
                for tensor in model.inputs.iter().chain(&model.outputs) {
                    prop_assert_eq!(tensor.shape()[0], model.batch);
                    prop_assert!(model.batch > 0 && tensor.size() > 0);
                }
            }
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.contains(&files.path("").display().to_string()), "{}", message);
            }
        }
    }
}
