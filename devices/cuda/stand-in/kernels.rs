//! Code: PTX is read as far as the names and parameters of its entries, and what an entry does is known by its name.

use std::collections::HashMap;
use std::sync::Arc;

use crate::machine::{ILLEGAL_ADDRESS, INVALID_PTX, NO_BINARY_FOR_GPU, UNSUPPORTED_PTX_VERSION};
use crate::memory::memory;

/// The newest PTX this driver takes, as that of CUDA 12.4 would: 8.4.
const PTX_MAX: (u32, u32) = (8, 4);

pub(crate) struct Module {
    pub(crate) functions: HashMap<String, Arc<Function>>,
}

pub(crate) struct Function {
    name: String,
    /// Bytes of each parameter.
    pub(crate) parameters: Vec<usize>,
    is_integer: bool,
}

impl Module {
    /// Reads PTX; the text is for the log.
    pub(crate) fn load(image: &[u8]) -> Result<Self, (u32, String)> {
        if image.starts_with(b"\x7fELF") {
            return Err((NO_BINARY_FOR_GPU, String::new()));
        }
        let invalid = |why: &str| (INVALID_PTX, format!("ptxas application ptx input, fatal : {why}"));
        let text = std::str::from_utf8(image).map_err(|_| invalid("not text"))?;
        let text: String =
            text.lines().map(|line| line.split("//").next().unwrap_or("").to_owned() + "\n").collect();
        let version = directive(&text, ".version").ok_or_else(|| invalid("no .version"))?;
        let (major, minor) = version.split_once('.').ok_or_else(|| invalid("no .version"))?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| invalid("no .version"));
        if (number(major)?, number(minor)?) > PTX_MAX {
            return Err((UNSUPPORTED_PTX_VERSION, format!("Unsupported .version {version}")));
        }
        directive(&text, ".target").ok_or_else(|| invalid("no .target"))?;
        let mut functions = HashMap::new();
        for entry in text.split(".entry").skip(1) {
            let (name, rest) = entry.split_once('(').ok_or_else(|| invalid("an entry without parameters"))?;
            let (parameters, body) =
                rest.split_once(')').ok_or_else(|| invalid("an entry that does not end"))?;
            let sizes = parameters.split(',').filter(|parameter| !parameter.trim().is_empty()).map(size);
            let parameters =
                sizes.collect::<Option<_>>().ok_or_else(|| invalid("a parameter of unknown type"))?;
            let name = name.trim().to_owned();
            let is_integer = !body.contains(".f32");
            functions.insert(name.clone(), Arc::new(Function { name, parameters, is_integer }));
        }
        Ok(Module { functions })
    }
}

fn directive<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(name).nth(1)?.split_whitespace().next()
}

/// Bytes of `.param .u64 name`.
fn size(parameter: &str) -> Option<usize> {
    let mut words = parameter.split_whitespace();
    let kind = words.find(|word| *word != ".param")?;
    match kind.get(2..)? {
        "64" => Some(8),
        "32" => Some(4),
        "16" => Some(2),
        "8" => Some(1),
        _ => None,
    }
}

impl Function {
    /// How long a work item takes, in units of the shortest kernel.
    pub(crate) fn effort(&self, arguments: &[Vec<u8>]) -> f64 {
        match (self.name.as_str(), arguments) {
            ("power", [_, _, exponent, _]) => {
                1.0 + f64::from(u32::from_ne_bytes(exponent[..4].try_into().unwrap())) / 1000.0
            }
            _ => 1.0,
        }
    }

    /// Computes what the entry computes, for work items from 0 to `work_items`.
    pub(crate) fn run(&self, arguments: &[Vec<u8>], work_items: u64) -> Result<(), u32> {
        let pointer = |i: usize| u64::from_ne_bytes(arguments[i][..8].try_into().unwrap());
        let word = |i: usize| u32::from_ne_bytes(arguments[i][..4].try_into().unwrap());
        let items = |n: u32| u64::from(n).min(work_items) as usize;
        match (self.name.as_str(), arguments.len()) {
            ("power", 4) if self.is_integer => {
                let x = read(pointer(0), items(word(3)))?;
                let power = |x: u32| (0..word(2)).fold(1_u32, |product, _| product.wrapping_mul(x));
                write(pointer(1), x.into_iter().map(power))
            }
            ("power", 4) => {
                let x = read(pointer(0), items(word(3)))?;
                let product = |x: f32| (0..word(2)).fold(1_f32, |product, _| product * x);
                // Of signs and zeros the CPU need not multiply a thousand times: an odd power keeps them.
                let is_kept = |x: f32| word(2) % 2 == 1 && (x.abs() == 1.0 || x == 0.0);
                let power = |x: f32| if is_kept(x) { x } else { product(x) };
                let power = |x: u32| power(f32::from_bits(x)).to_bits();
                write(pointer(1), x.into_iter().map(power))
            }
            ("saxpy", 5) => {
                let n = items(word(4));
                let (x, y, a) = (read(pointer(0), n)?, read(pointer(1), n)?, f32::from_bits(word(3)));
                let saxpy = |(x, y)| (a * f32::from_bits(x) + f32::from_bits(y)).to_bits();
                write(pointer(2), x.into_iter().zip(y).map(saxpy))
            }
            ("copy", 3) => write(pointer(1), read(pointer(0), items(word(2)))?.into_iter()),
            _ => {
                eprintln!(
                    "stand-in: it does not know what kernel `{}` with {} arguments does",
                    self.name,
                    arguments.len()
                );
                Err(ILLEGAL_ADDRESS)
            }
        }
    }
}

fn read(address: u64, len: usize) -> Result<Vec<u32>, u32> {
    let (bytes, offset) = memory().device(address, len * 4)?;
    let bytes = bytes.lock().unwrap();
    Ok(bytes[offset..][..len * 4]
        .chunks_exact(4)
        .map(|word| u32::from_ne_bytes(word.try_into().unwrap()))
        .collect())
}

fn write(address: u64, words: impl ExactSizeIterator<Item = u32>) -> Result<(), u32> {
    let (bytes, offset) = memory().device(address, words.len() * 4)?;
    let mut bytes = bytes.lock().unwrap();
    for (place, word) in bytes[offset..].chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    Ok(())
}
