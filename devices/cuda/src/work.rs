//! What a lane does between write and read: a kernel of the model's own, or a copy.

use std::ffi::CString;
use std::fs;
use std::sync::Arc;

use nbuffer_runtime::DeviceError;
use nbuffer_runtime::model::{Argument, Code, DeviceCode, Kernel, KernelProgram, Model};

use crate::buffers::Buffer;
use crate::driver::{Attribute, Context, Dim3, Failure, Function, Module, Stream};
use crate::nvrtc;

/// Work items of a block where neither the model nor the kernel says otherwise, by the number of dimensions.
const LOCAL: [&[u32]; 3] = [&[256], &[16, 16], &[8, 8, 4]];

/// What is done on the device with an item's tensors.
#[derive(Debug)]
pub(crate) enum Work {
    /// Outputs are the inputs.
    Copy,
    /// A kernel.
    Launch { function: Function, grid: Dim3, block: Dim3, args: Vec<Argument> },
}

impl Work {
    /// Loads what a model computes.
    ///
    /// # Errors
    ///
    /// When the model has nothing for CUDA, or its code does not load or does not fit the device.
    pub(crate) fn of(model: &Model, device: &str, context: &Arc<Context>) -> Result<Self, DeviceError> {
        let unsupported = |why: String| DeviceError::Unsupported { device: device.to_owned(), why };
        match &model.kernel {
            Kernel::Identity => Ok(Work::Copy),
            Kernel::Program(program) => match &program.cuda {
                Some(code) => Work::load(program, code, context)
                    .map_err(|why| unsupported(format!("model `{}`: {why}", model.name))),
                None => Err(unsupported(format!(
                    "model `{}` has no code for CUDA; add `cuda` to its `program` in model.json",
                    model.name
                ))),
            },
            Kernel::Onnx(_) | Kernel::Checksum | Kernel::Compiled(_) => Err(unsupported(format!(
                "model `{}` is no kernel for CUDA: a CUDA lane runs models with a `program` that has `cuda`, and `identity`",
                model.name
            ))),
        }
    }

    fn load(program: &KernelProgram, code: &DeviceCode, context: &Arc<Context>) -> Result<Self, String> {
        let path = match &code.code {
            Code::Source(path) | Code::Binary(path) => path,
        };
        let in_file = |why: String| format!("{}: {why}", path.display());
        let text = fs::read(path).map_err(|error| in_file(error.to_string()))?;
        let image = match &code.code {
            Code::Binary(_) => text,
            Code::Source(_) => {
                let text = String::from_utf8(text).map_err(|_| in_file("it is no UTF-8 text".into()))?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let capability = capability(context).map_err(Failure::with_advice)?;
                nvrtc::compile(&text, &name, &code.options, capability).map_err(in_file)?
            }
        };
        let module = Module::load(context, &image).map_err(in_file)?;
        let entry =
            CString::new(code.entry.as_str()).map_err(|_| "`entry` has a zero byte in it".to_owned())?;
        let function = module
            .function(&entry)
            .map_err(|failure| in_file(format!("entry `{}`: {}", code.entry, failure.with_advice())))?;
        let limits = Limits::of(context, &function).map_err(Failure::with_advice)?;
        let (grid, block) = geometry(&program.global, program.local.as_deref(), &limits)?;
        Ok(Work::Launch { function, grid, block, args: program.args.clone() })
    }

    /// Gives the work to `stream`.
    ///
    /// # Safety
    ///
    /// Until it is over the buffers must exist, their device memory may not be used by other work, and the inputs must be
    /// written before it begins.
    pub(crate) unsafe fn issue(
        &self,
        stream: &Stream,
        inputs: &[&Buffer],
        outputs: &[&Buffer],
    ) -> Result<(), Failure> {
        match self {
            Work::Copy => {
                for (output, input) in outputs.iter().zip(inputs) {
                    // SAFETY: the caller keeps them. Opening a model has seen that the sizes agree.
                    unsafe { stream.copy(&output.device, &input.device)? };
                }
                Ok(())
            }
            Work::Launch { function, grid, block, args } => {
                let mut args: Vec<u64> = args.iter().map(|&arg| as_bytes(arg, inputs, outputs)).collect();
                // SAFETY: the model's maker answers for the order and the types of the arguments, as for what the kernel
                // does with them; the caller keeps the memory.
                unsafe { function.launch(*grid, *block, stream, &mut args) }
            }
        }
    }
}

/// An argument's bytes, from the first one in memory on.
fn as_bytes(arg: Argument, inputs: &[&Buffer], outputs: &[&Buffer]) -> u64 {
    let four = |[a, b, c, d]: [u8; 4]| u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0]);
    match arg {
        Argument::Input(idx) => inputs[idx].device.address(),
        Argument::Output(idx) => outputs[idx].device.address(),
        Argument::U32(value) => four(value.to_ne_bytes()),
        Argument::I32(value) => four(value.to_ne_bytes()),
        Argument::F32(value) => four(value.to_ne_bytes()),
        Argument::U64(value) => value,
    }
}

/// A GPU's compute capability: 90 is 9.0.
fn capability(context: &Context) -> Result<u32, Failure> {
    let gpu = context.gpu();
    Ok(gpu.attribute(Attribute::COMPUTE_CAPABILITY_MAJOR)? * 10
        + gpu.attribute(Attribute::COMPUTE_CAPABILITY_MINOR)?)
}

/// What a launch may not exceed.
struct Limits {
    grid: Dim3,
    block: Dim3,
    /// Work items of a block in all.
    threads: u32,
}

impl Limits {
    fn of(context: &Context, function: &Function) -> Result<Self, Failure> {
        let all = |[x, y, z]: [Attribute; 3]| {
            let of = |attribute| context.gpu().attribute(attribute);
            Ok([of(x)?, of(y)?, of(z)?])
        };
        Ok(Limits {
            grid: all(Attribute::GRID_MAX)?,
            block: all(Attribute::BLOCK_MAX)?,
            threads: function.threads_max(),
        })
    }
}

/// Blocks of the grid and work items of a block. Where the model leaves the block open and the kernel cannot have as many
/// work items as usual, it is halved along x.
fn geometry(global: &[usize], local: Option<&[usize]>, limits: &Limits) -> Result<(Dim3, Dim3), String> {
    let mut block = [1_u32; 3];
    match local {
        Some(local) => {
            for (size, &asked) in block.iter_mut().zip(local) {
                *size = u32::try_from(asked).unwrap_or(u32::MAX);
            }
        }
        None => {
            let usual = LOCAL[global.len().clamp(1, 3) - 1];
            block[..usual.len()].copy_from_slice(usual);
            while block[0] > 1 && block.iter().product::<u32>() > limits.threads {
                block[0] /= 2;
            }
        }
    }
    let threads = block.iter().map(|&size| u64::from(size)).fold(1, u64::saturating_mul);
    let too_wide = block.iter().zip(limits.block).any(|(&size, most)| size > most);
    if threads > u64::from(limits.threads) || too_wide {
        return Err(format!(
            "`program.local` {block:?} is {threads} work items in a block; this kernel can have {} on this device, no more \
             than {:?} along x, y and z",
            limits.threads, limits.block
        ));
    }
    let mut grid = [1_u32; 3];
    for ((blocks, &work_items), &size) in grid.iter_mut().zip(global).zip(&block) {
        *blocks = u32::try_from(work_items.div_ceil(size as usize)).unwrap_or(u32::MAX);
    }
    if grid.iter().zip(limits.grid).any(|(&blocks, most)| blocks > most) {
        return Err(format!(
            "`program.global` {global:?} is {grid:?} blocks of {block:?} work items; this device takes no more than {:?}",
            limits.grid
        ));
    }
    Ok((grid, block))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { grid: [2_147_483_647, 65_535, 65_535], block: [1024, 1024, 64], threads: 1024 };

    #[test]
    fn a_grid_covers_all_work_items() {
        let check = |global: &[usize], local: Option<&[usize]>, grid: Dim3, block: Dim3| {
            assert_eq!(geometry(global, local, &LIMITS), Ok((grid, block)), "{global:?} {local:?}");
        };
        check(&[1024], Some(&[256]), [4, 1, 1], [256, 1, 1]);
        check(&[1025], Some(&[256]), [5, 1, 1], [256, 1, 1]);
        check(&[1], None, [1, 1, 1], [256, 1, 1]);
        check(&[100, 33], None, [7, 3, 1], [16, 16, 1]);
        check(&[8, 8, 9], None, [1, 1, 3], [8, 8, 4]);
        check(&[4_294_967_295], Some(&[1024]), [4_194_304, 1, 1], [1024, 1, 1]);
    }

    #[test]
    fn a_kernel_with_many_registers_gets_smaller_blocks() {
        let limits = Limits { threads: 100, ..LIMITS };
        assert_eq!(geometry(&[1000], None, &limits), Ok(([16, 1, 1], [64, 1, 1])));
        assert_eq!(geometry(&[64, 64], None, &limits), Ok(([16, 4, 1], [4, 16, 1])));
        let error = geometry(&[1000], Some(&[128]), &limits).unwrap_err();
        assert!(error.contains("`program.local` [128, 1, 1]") && error.contains("can have 100"), "{error}");
    }

    #[test]
    fn what_a_device_cannot_launch_is_refused() {
        let error = geometry(&[1, 1, 128], Some(&[1, 1, 128]), &LIMITS).unwrap_err();
        assert!(error.contains("[1024, 1024, 64]"), "{error}");
        let error = geometry(&[16, 16 * 70_000], None, &LIMITS).unwrap_err();
        assert!(error.contains("`program.global` [16, 1120000] is [1, 70000, 1] blocks"), "{error}");
    }

    #[test]
    fn numbers_start_at_the_first_byte() {
        assert_eq!(as_bytes(Argument::U32(7), &[], &[]).to_ne_bytes()[..4], 7_u32.to_ne_bytes());
        assert_eq!(as_bytes(Argument::I32(-7), &[], &[]).to_ne_bytes()[..4], (-7_i32).to_ne_bytes());
        assert_eq!(as_bytes(Argument::F32(0.5), &[], &[]).to_ne_bytes()[..4], 0.5_f32.to_ne_bytes());
        assert_eq!(as_bytes(Argument::U64(1 << 40), &[], &[]), 1 << 40);
    }
}
