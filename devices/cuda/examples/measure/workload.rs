//! What the items are: signs that spell their number, which a copy and an odd power keep.

use std::sync::Arc;
use std::time::Instant;

use nbuffer_runtime::model::{Argument, Kernel, Model};
use nbuffer_runtime::{BoxError, HostStages, InputSet, OutputSet};

/// Elements from the front and from the back that carry the number while a run is timed: filling and looking at all of them
/// would measure the host.
const EDGE: usize = 32;

/// Fills with 1 and -1: element `i` is negative if bit `i % 32` of the item's number is set.
pub(crate) struct Signs {
    all: bool,
}

impl Signs {
    /// Every element is filled and looked at.
    pub(crate) fn all() -> Self {
        Signs { all: true }
    }

    /// The edges are.
    pub(crate) fn some() -> Self {
        Signs { all: false }
    }

    pub(crate) fn fill_all(item: u64, input: &mut InputSet) {
        write(item, input[0].as_mut_slice(), 0);
    }

    pub(crate) fn look_at_all(item: u64, output: &OutputSet) -> Result<(), String> {
        read(item, output[0].as_slice(), 0)
    }

    pub(crate) fn fill(item: u64, input: &mut InputSet) {
        let values = input[0].as_mut_slice::<f32>();
        let from = values.len() - EDGE;
        write(item, &mut values[..EDGE], 0);
        write(item, &mut values[from..], from);
    }

    pub(crate) fn look(item: u64, output: &OutputSet) -> Result<(), String> {
        let values = output[0].as_slice::<f32>();
        let from = values.len() - EDGE;
        read(item, &values[..EDGE], 0)?;
        read(item, &values[from..], from)
    }

    /// Seconds of both host stages on plain memory.
    pub(crate) fn host_seconds(model: &Model) -> f64 {
        let (mut input, mut output) = (InputSet::zeroed(&model.inputs), OutputSet::zeroed(&model.outputs));
        Signs::fill_all(0, &mut input);
        let begun = Instant::now();
        let rounds = 1000;
        for item in 0..rounds {
            Signs::fill(item, &mut input);
            output[0].bytes_mut()[..EDGE * 4].copy_from_slice(&input[0].bytes()[..EDGE * 4]);
            let from = output[0].len() - EDGE * 4;
            output[0].bytes_mut()[from..].copy_from_slice(&input[0].bytes()[from..]);
            Signs::look(item, &output).expect("what was written");
        }
        begun.elapsed().as_secs_f64() / rounds as f64
    }
}

fn sign(item: u64, i: usize) -> f32 {
    if item >> (i % 32) & 1 == 1 { -1.0 } else { 1.0 }
}

fn write(item: u64, values: &mut [f32], from: usize) {
    for (i, value) in values.iter_mut().enumerate() {
        *value = sign(item, from + i);
    }
}

fn read(item: u64, values: &[f32], from: usize) -> Result<(), String> {
    // NaN is unequal to either sign.
    match values.iter().enumerate().find(|&(i, &value)| value != sign(item, from + i)) {
        Some((i, value)) => {
            Err(format!("item {item}: element {} is {value}, not {}", from + i, sign(item, from + i)))
        }
        None => Ok(()),
    }
}

impl HostStages for Signs {
    type Item = u64;
    type InputSet = InputSet;
    type OutputSet = OutputSet;
    type Carry = u64;
    type Output = u64;

    fn preprocess(&self, item: u64, input: &mut InputSet) -> Result<u64, BoxError> {
        if self.all {
            Signs::fill_all(item, input)
        } else {
            Signs::fill(item, input)
        }
        Ok(item)
    }

    fn postprocess(&self, item: u64, output: &mut OutputSet) -> Result<u64, BoxError> {
        if self.all {
            Signs::look_at_all(item, output)?
        } else {
            Signs::look(item, output)?
        }
        // What the next item finds here is not its own.
        let values = output[0].as_mut_slice::<f32>();
        let from = values.len() - EDGE;
        values[..EDGE].fill(f32::NAN);
        values[from..].fill(f32::NAN);
        Ok(item)
    }
}

/// The power model with another exponent.
pub(crate) fn power_with(power: &Model, exponent: u32) -> Model {
    let mut model = power.clone();
    let Kernel::Program(program) = &mut model.kernel else { panic!("the power model is a program") };
    let exponent_of = Arc::make_mut(program).args.iter_mut().find(|arg| matches!(arg, Argument::U32(_)));
    *exponent_of.expect("the first number is the exponent") = Argument::U32(exponent);
    model
}

/// `power, 1001 multiplications`.
pub(crate) fn describe(model: &Model) -> String {
    match &model.kernel {
        Kernel::Program(program) => match program.args[..] {
            [_, _, Argument::U32(exponent), Argument::U32(_)] => {
                format!("{}, {exponent} multiplications", model.name)
            }
            _ => model.name.clone(),
        },
        _ => model.name.clone(),
    }
}
