//! What is to go wrong.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

/// How something goes wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Code(u32),
    Hang,
}

struct Faults {
    planned: HashMap<(String, u64), Fault>,
    counts: Mutex<HashMap<String, u64>>,
}

/// Counts one more `what`, and says whether it is to fail.
pub(crate) fn strike(what: &str) -> Option<Fault> {
    static FAULTS: OnceLock<Faults> = OnceLock::new();
    let faults = FAULTS.get_or_init(|| {
        let text = std::env::var("NBUFFER_STAND_IN_FAULTS").unwrap_or_default();
        let planned = text.split(',').filter(|fault| !fault.is_empty()).map(|fault| {
            parse(fault).unwrap_or_else(|| {
                panic!("NBUFFER_STAND_IN_FAULTS: `{fault}` is no fault, like `kernel@3=700`")
            })
        });
        Faults { planned: planned.collect(), counts: Mutex::default() }
    });
    if faults.planned.is_empty() {
        return None;
    }
    let mut counts = faults.counts.lock().unwrap();
    let count = counts.entry(what.to_owned()).or_default();
    *count += 1;
    faults.planned.get(&(what.to_owned(), *count)).copied()
}

fn parse(fault: &str) -> Option<((String, u64), Fault)> {
    let (what, rest) = fault.split_once('@')?;
    let (count, how) = rest.split_once('=')?;
    let how = match how {
        "hang" => Fault::Hang,
        code => Fault::Code(code.parse().ok()?),
    };
    Some(((what.to_owned(), count.parse().ok()?), how))
}
