//! A core on which copies and computation take whole numbers of cycles, and nothing else takes any.

use std::sync::Arc;

use nbuffer_tile::*;

/// Elements of a tile: one repeat of f32.
const TILE: u32 = 64;

/// A 910B1 on which a copy in takes `copy_in` cycles whatever its size, a repeat `compute`, a copy out `copy_out`.
pub(crate) fn profile(copy_in: u32, compute: u32, copy_out: u32) -> Arc<Profile> {
    let mut profile = Profile::named("910B1").unwrap();
    let fixed = |cycles: u32| CopyCurve { latency: cycles.into(), rate: 1e18, floor: 0.0, peak: 1e18 };
    profile.copies.gm_to_ub = fixed(copy_in);
    profile.copies.ub_to_gm = fixed(copy_out);
    profile.copies.in_flight = 1;
    profile.copies.gm_to_l1.peak = 1e18;
    profile.vector.startup = 0.0;
    profile.vector_cycles = [("default".to_owned(), compute.into())].into();
    profile.scalar = ScalarUnit { issue: 0.0, queue_call: 0.0, flag: 0.0, fifo: 64, ..profile.scalar };
    profile.global.bytes_per_s = 1e18;
    profile.global.l2_bytes_per_s = 1e18;
    profile.global.core_bytes_per_cycle = 1e18;
    Arc::new(profile)
}

/// One core over so many tiles; the values are checked.
pub(crate) fn run(profile: &Arc<Profile>, num_in: u32, num_out: u32, tiles: u64, barriers: bool) -> Run {
    let mut memory = GlobalMemory::new();
    let elements: Vec<f32> = (0..tiles * u64::from(TILE)).map(|i| i as f32).collect();
    let x = memory.tensor(&elements);
    let y = memory.zeros::<f32>(x.count());
    let run = launch(profile, &mut memory, &Launch::on(1), |core| {
        let pipe = TPipe::new(core)?;
        let input: TQue<'_, VecIn> = pipe.init_buffer(num_in, 4 * u64::from(TILE))?;
        let output: TQue<'_, VecOut> = pipe.init_buffer(num_out, 4 * u64::from(TILE))?;
        let barrier = || if barriers { core.pipe_barrier_all() } else { Ok(()) };
        for tile in 0..tiles {
            let at = tile * u64::from(TILE);
            let local = input.alloc_tensor::<f32>()?;
            core.data_copy_in(local.view(), x.at(at), TILE)?;
            input.enque(local)?;
            barrier()?;
            let (local, result) = (input.deque::<f32>()?, output.alloc_tensor::<f32>()?);
            core.adds(result.view(), local.view(), 1.0, TILE)?;
            output.enque(result)?;
            input.free_tensor(local)?;
            barrier()?;
            let result = output.deque::<f32>()?;
            core.data_copy_out(y.at(at), result.view(), TILE)?;
            output.free_tensor(result)?;
            barrier()?;
        }
        Ok(())
    });
    let run = run.unwrap();
    assert!(run.hazards.is_empty(), "{}", run.hazards[0]);
    assert!(memory.read(y).iter().zip(&elements).all(|(y, x)| *y == x + 1.0));
    run
}
