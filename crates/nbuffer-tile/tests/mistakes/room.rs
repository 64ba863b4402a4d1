//! What lies in a core's memories.

use expect_test::expect;
use nbuffer_tile::*;

use crate::*;

#[test]
fn the_unified_buffer_is_too_small() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let _x: TQue<'_, VecIn> = pipe.init_buffer(2, 40960)?;
            let _y: TQue<'_, VecIn> = pipe.init_buffer(2, 40950)?;
            let _t: TBuf<'_, VecCalc> = pipe.init_tbuf(1000)?;
            let _z: TQue<'_, VecOut> = pipe.init_buffer(2, 40960)?;
            Ok(())
        },
        expect![[r#"
            UB overflow: 246784 B are needed, 188160 B are there (the system keeps 8448 B more)
              VECIN 0        2 x    40960 B =     81920 B   43.5 %
              VECIN 1        2 x    40960 B =     81920 B   43.5 %
              VECCALC 0      1 x     1024 B =      1024 B    0.5 %
              VECOUT 0       2 x    40960 B =     81920 B   43.5 %
              VECOUT 0 fits with 2 x 11648 B; all fit with blocks of 76.2 % of their size"#]],
    );
}

#[test]
fn nothing_is_left_for_another_queue() {
    check_on(
        "310P3",
        1,
        |core, _| {
            let pipe = TPipe::new(core)?;
            let _x: TQue<'_, VecIn> = pipe.init_buffer(1, 262_144)?;
            let _y: TQue<'_, VecOut> = pipe.init_buffer(4, u64::MAX)?;
            Ok(())
        },
        expect![[r#"
            UB overflow: 18446744073709551615 B are needed, 262144 B are there
              VECIN 0        1 x   262144 B =    262144 B  100.0 %
              VECOUT 0       4 x 18446744073709551615 B = 18446744073709551615 B 7036874417766400.0 %
              nothing is left for VECOUT 0; all fit with blocks of 0.0 % of their size"#]],
    );
}

#[test]
fn l1_and_l0_have_room_of_their_own() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let _a: TQue<'_, A1> = pipe.init_buffer(2, 128 << 10)?;
            let _b: TQue<'_, B1> = pipe.init_buffer(2, 128 << 10)?;
            let _a: TQue<'_, A2> = pipe.init_buffer(2, 48 << 10)?;
            Ok(())
        },
        expect![[r#"
            L0A overflow: 98304 B are needed, 65536 B are there
              A2 0           2 x    49152 B =     98304 B  150.0 %
              A2 0 fits with 1 x 49152 B or with 2 x 32768 B; all fit with blocks of 66.6 % of their size"#]],
    );
}

#[test]
fn blocks_that_are_none() {
    for (num, len) in [(0, 32), (65, 32), (1, 0)] {
        let error = try_on("910B1", 1, |core, _| {
            let _x: TQue<'_, VecIn> = TPipe::new(core)?.init_buffer(num, len)?;
            Ok(())
        });
        let message = error.unwrap_err().kind.to_string();
        let begins = format!("init_buffer of VECIN 0 with {num} blocks of {len} B: from 1 to 64 blocks");
        assert!(message.starts_with(&begins), "{message}");
    }
}

#[test]
fn more_blocks_than_a_pipe_holds() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let _x: TQue<'_, VecIn> = pipe.init_buffer(60, 32)?;
            let _t: TBuf<'_, VecCalc> = pipe.init_tbuf(32)?;
            let _y: TQue<'_, VecOut> = pipe.init_buffer(4, 32)?;
            Ok(())
        },
        expect!["65 blocks over all queues: a TPipe holds 64; merge inputs into one block, with offsets"],
    );
}

#[test]
fn a_second_pipe() {
    check(
        |core, _| {
            let _first = TPipe::new(core)?;
            TPipe::new(core).map(|_| ())
        },
        expect!["a second TPipe: a kernel has one at a time"],
    );
}
