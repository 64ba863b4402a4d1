//! Flags and barriers.

use expect_test::expect;
use nbuffer_tile::*;

use crate::*;

#[test]
fn flags_that_cannot_be() {
    let set = |from, to, id| move |core: &Core, _: Tensors| core.set_flag(Event::new(from, to), id);
    check(
        set(Pipe::V, Pipe::V, 0),
        expect!["flag V_V with id 0: a pipe does not wait for itself; use pipe_barrier"],
    );
    check(
        set(Pipe::V, Pipe::Mte2, 8),
        expect!["flag V_MTE2 with id 8: there are fewer ids of an event on this device"],
    );
    check(
        set(Pipe::V, Pipe::M, 0),
        expect!["flag V_M with id 0: these pipes are on different cores of this architecture"],
    );
    check(set(Pipe::M, Pipe::Mte1, 2), expect!["flag M_MTE1 with id 2: the system keeps this id"]);
    check_on(
        "910",
        1,
        set(Pipe::V, Pipe::Mte2, 4),
        expect!["flag V_MTE2 with id 4: there are fewer ids of an event on this device"],
    );
    check_on(
        "910",
        1,
        set(Pipe::M, Pipe::Fix, 0),
        expect!["flag M_FIX with id 0: this architecture has no pipe FIX"],
    );
}

#[test]
fn a_flag_set_twice() {
    check(
        |core, _| {
            core.set_flag(MTE2_V, 3)?;
            core.set_flag(MTE2_V, 3)
        },
        expect![
            "set_flag MTE2_V 3: it is set already and nobody waited for it; what hardware does then is undefined"
        ],
    );
}

#[test]
fn a_flag_that_nobody_waits_for() {
    check(
        |core, _| core.set_flag(MTE2_V, 1),
        expect!["set_flag MTE2_V 1: the kernel ends and nobody waited for it"],
    );
}

#[test]
fn a_wait_for_a_flag_that_is_never_set() {
    check(
        |core, _| core.wait_flag(MTE2_V, 1),
        expect!["wait_flag MTE2_V 1: nothing sets it; on hardware pipe V hangs"],
    );
}

#[test]
fn a_second_wait_for_a_flag_that_is_set_once() {
    check(
        |core, _| {
            core.set_flag(MTE2_V, 1)?;
            core.wait_flag(MTE2_V, 1)?;
            core.wait_flag(MTE2_V, 1)?;
            core.wait_flag(MTE2_V, 1)
        },
        expect!["wait_flag MTE2_V 1: nothing sets it; on hardware pipe V hangs"],
    );
}

/// The flags of a single-buffered loop, with nothing to say before it that the buffer is free.
fn without_an_initial_set(tiles: u32) -> impl Fn(&Core, Tensors) -> Outcome {
    move |core, _| {
        for _ in 0..tiles {
            core.wait_flag(V_MTE2, 0)?;
            core.set_flag(MTE2_V, 0)?;
            core.wait_flag(MTE2_V, 0)?;
            core.set_flag(V_MTE2, 0)?;
        }
        Ok(())
    }
}

#[test]
fn a_first_wait_without_an_initial_set() {
    let told = expect![
        "pipe MTE2 waits for ever: nothing sets flag V_MTE2 0 that does not itself wait for MTE2; a loop's first wait needs a flag that is set before the loop"
    ];
    check(without_an_initial_set(4), told);
    // Longer than what lies between program and pipes: the program is stopped, and the error is still the deadlock.
    let error = try_on("910B1", 1, without_an_initial_set(100_000)).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Deadlock { pipe: Pipe::Mte2, .. }), "{error}");
}

#[test]
fn a_barrier_of_the_scalar_pipe() {
    check(
        |core, _| core.pipe_barrier(Pipe::S),
        expect!["pipe_barrier of pipe S: it is not allowed; the scalar core runs in order"],
    );
    check_on(
        "310P3",
        1,
        |core, _| core.pipe_barrier(Pipe::Fix),
        expect![
            "pipe_barrier: architecture 2002 of device 310P3 has no pipe FIX; the way from L0C through V that it has is not modelled"
        ],
    );
}
