//! The periods that the queues' flags allow, exact in cycles, on a core where copies and computation take whole numbers of
//! cycles and nothing else takes any.
//!
//! `max(I, C, O, (I + C) / n_in, (C + O) / n_out)` for copy-in I, computation C and copy-out O: the law of split buffer sets.

mod exact;

use std::sync::Arc;

use exact::{profile, run};
use nbuffer_tile::*;

/// Cycles a tile takes once the pipeline is full.
fn period(profile: &Arc<Profile>, num_in: u32, num_out: u32, barriers: bool) -> f64 {
    // A multiple of what the bounds are divided by.
    let [short, long] = [24, 48].map(|tiles| run(profile, num_in, num_out, tiles, barriers).cycles);
    (long - short) / 24.0
}

#[test]
fn every_pair_of_nums_has_the_period_of_the_law() {
    for [i, c, o] in
        [[12, 12, 12], [24, 12, 6], [6, 24, 12], [12, 6, 24], [30, 6, 6], [6, 6, 30], [18, 24, 30]]
    {
        let profile = profile(i, c, o);
        let [i, c, o] = [i, c, o].map(f64::from);
        for (num_in, num_out) in [(1, 1), (2, 1), (1, 2), (2, 2), (3, 2), (2, 3), (3, 3)] {
            let (n_in, n_out) = (f64::from(num_in), f64::from(num_out));
            // One block each: the copy in of the next tile runs beside the copy out of this one.
            let law = match (num_in, num_out) {
                (1, 1) => c + i.max(o),
                (_, 1) => i.max(c + o),
                (1, _) => o.max(i + c),
                _ => i.max(c).max(o).max((i + c) / n_in).max((c + o) / n_out),
            };
            let found = period(&profile, num_in, num_out, false);
            assert_eq!(found, law, "I, C, O = {i}, {c}, {o}; num {num_in} and {num_out}");
        }
        assert_eq!(period(&profile, 2, 2, true), i + c + o, "with barriers of all pipes");
    }
}

#[test]
fn equal_stages_take_what_the_vendors_table_says() {
    let profile = profile(12, 12, 12);
    let busy = |run: &Run| run.cores[0].pipe(Pipe::V).busy / run.cycles;
    for tiles in [1_u32, 2, 3, 16] {
        let n = f64::from(tiles);
        let [one, two, three] = [1, 2, 3].map(|num| run(&profile, num, num, tiles.into(), false));
        assert_eq!((one.cycles, two.cycles), ((2.0 * n + 1.0) * 12.0, (n + 2.0) * 12.0), "{tiles} tiles");
        assert_eq!((busy(&one), busy(&two)), (n / (2.0 * n + 1.0), n / (n + 2.0)));
        assert_eq!(three.cycles, two.cycles, "a third block brings nothing");
        let serial = run(&profile, 2, 2, tiles.into(), true);
        assert_eq!((serial.cycles, busy(&serial)), (3.0 * n * 12.0, 1.0 / 3.0));
    }
    // One tile only: nothing to overlap.
    assert_eq!(run(&profile, 1, 1, 1, false).cycles, run(&profile, 2, 2, 1, false).cycles);
}
