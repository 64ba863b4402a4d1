//! What is not modelled.

use expect_test::expect;
use nbuffer_tile::*;

use crate::*;

#[test]
fn calls_that_are_not_modelled_say_so() {
    let cores = "cores do not wait for each other within a launch; give each its own part of the output, and launch once more on \
                 what they left";
    let message = |call: &(dyn Fn(&Core, Local<'_, f32>) -> Outcome + Sync)| {
        let kernel = |core: &Core, _: Tensors| {
            let pipe = TPipe::new(core)?;
            let buffer: TBuf<'_, VecCalc> = pipe.init_tbuf(256)?;
            call(core, buffer.get())
        };
        try_on("910B1", 2, kernel).unwrap_err().kind.to_string()
    };
    for (call, said) in [
        ("cross_core_set_flag", message(&|core, _| core.cross_core_set_flag(Pipe::Mte3, 0))),
        ("cross_core_wait_flag", message(&|core, _| core.cross_core_wait_flag(0))),
        ("sync_all", message(&|core, _| core.sync_all())),
    ] {
        assert_eq!(said, format!("{call} is not modelled: {cores}"));
    }
}

#[test]
fn a_queue_for_calls_in_place() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let _queue: TQue<'_, VecIn, 0> = pipe.init_buffer(1, 1024)?;
            Ok(())
        },
        expect![
            "a queue of depth 0 is not modelled: calls in place are not there; give the queue a depth of 1"
        ],
    );
}

/// A block that copies in fill and copies out empty has no flags for V between: these are set by hand, or it is a hazard.
#[test]
fn computing_in_place_between_two_copies_needs_flags_by_hand() {
    let kernel = |has_flags: bool| {
        move |core: &Core, Tensors { x, y }: Tensors| {
            let pipe = TPipe::new(core)?;
            let through: TQueBind<'_, VecIn, VecOut> = pipe.init_buffer(1, 1024)?;
            let flag = |event| {
                if has_flags {
                    core.set_flag(event, 0).and_then(|()| core.wait_flag(event, 0))
                } else {
                    Ok(())
                }
            };
            let local = through.alloc_tensor::<f32>()?;
            core.data_copy_in(local.view(), x, 256)?;
            flag(MTE2_V)?;
            core.adds(local.view(), local.view(), 1.0, 256)?;
            flag(Event::new(Pipe::V, Pipe::Mte3))?;
            through.enque(local)?;
            let local = through.deque::<f32>()?;
            core.data_copy_out(y, local.view(), 256)?;
            through.free_tensor(local)
        }
    };
    assert_eq!(try_on("910B1", 1, kernel(true)).unwrap().n_hazards, 0);
    let hazards = try_on("910B1", 1, kernel(false)).unwrap().hazards;
    assert!(hazards.iter().any(|hazard| hazard.kind == HazardKind::ReadAfterWrite), "{hazards:?}");
}
