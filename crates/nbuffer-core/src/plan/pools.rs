//! Buffer sets as token pools: the period so many of them allow, and how many a period needs.
//!
//! A pool lets an item in when it has a token, and takes it back later. A token that one item holds for
//! `held` seconds allows one item each `held / n`, with `n` tokens, on each lane; and with dedicated servers
//! the largest of all such bounds is the period exactly (the circuits of the event graph are the resources'
//! loops and the pools' loops, and no others).
//!
//! | layout | pool | held from | to |
//! |---|---|---|---|
//! | joint | buffer sets | start of preprocess | end of postprocess |
//! | split | inputs | start of preprocess | end of the kernel; on a lane that blocks, the call's return |
//! | split | outputs | hand-over to the device, so start of write | end of postprocess |
//!
//! Intel's sample takes an output at the start of the kernel instead, which leaves W out of that pool.
//!
//! On a double-buffered lane a result comes out when the call after the next returns, so the set waits for the
//! calls of two later items. With `h` the time outside the lane and `c` a call:
//!
//! - from three sets on, call `j` brings back item `j - 2`, whose set is filled again for item `j - 2 + n`:
//!   one loop of `c + h` every `n - 2` items;
//! - up to three sets, the ring is full before a result comes out, and flush calls push it: three calls for
//!   `n` items, and nothing else meanwhile, `h + 3c / n`.

use super::{Overlap, Resource, Setting};
use crate::schedule::Sets;

/// One pool of tokens, of which each lane has its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pool {
    pub(super) resource: Resource,
    /// Tokens of a lane.
    pub(super) tokens: usize,
    held: Held,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Held {
    /// For so many seconds.
    For(f64),
    /// For `outside_s`, and for the call of its item and those of the next two.
    ThreeCalls { outside_s: f64, call_s: f64 },
}

impl Pool {
    /// The pools of a setting's layout.
    pub(super) fn of(setting: &Setting) -> Vec<Pool> {
        let t = &setting.times;
        // A set handed to a double-buffered lane comes back two calls late.
        let until_back = |outside_s: f64| match setting.overlap {
            Overlap::InLane => Held::ThreeCalls { outside_s, call_s: setting.call_s() },
            Overlap::None | Overlap::Queued => Held::For(outside_s + setting.in_lane_s()),
        };
        match setting.sets {
            Sets::Joint(tokens) => {
                vec![Pool { resource: Resource::Buffers, tokens, held: until_back(t.host_s()) }]
            }
            Sets::Split { inputs, outputs } => {
                let input_held = Held::For(t.preprocess_s + setting.input_in_lane_s());
                vec![
                    Pool { resource: Resource::Inputs, tokens: inputs, held: input_held },
                    Pool { resource: Resource::Outputs, tokens: outputs, held: until_back(t.postprocess_s) },
                ]
            }
        }
    }

    /// The smallest period that its tokens allow, in seconds per item of all lanes.
    pub(super) fn period_s(&self, lanes: usize) -> f64 {
        self.period_with(self.tokens, lanes)
    }

    fn period_with(&self, tokens: usize, lanes: usize) -> f64 {
        let n = tokens as f64;
        let of_lane_s = match self.held {
            Held::For(held_s) => held_s / n,
            Held::ThreeCalls { outside_s, call_s } if tokens <= 3 => outside_s + 3.0 * call_s / n,
            Held::ThreeCalls { outside_s, call_s } => (outside_s + call_s) / (n - 2.0),
        };
        of_lane_s / lanes as f64
    }

    /// The least number of tokens of a lane that allow `period_s`.
    pub(super) fn enough(&self, period_s: f64, lanes: usize) -> usize {
        let of_lane_s = period_s * lanes as f64;
        match self.held {
            Held::For(held_s) => fits(held_s, of_lane_s),
            Held::ThreeCalls { outside_s, call_s } => (1..=3)
                .find(|&n| fits(self.period_with(n, lanes), period_s) == 1)
                .unwrap_or_else(|| fits(outside_s + call_s, of_lane_s).saturating_add(2)),
        }
    }
}

impl Setting {
    /// Seconds from the start of an item's write until its input can be filled again.
    pub(super) fn input_in_lane_s(&self) -> f64 {
        match self.overlap {
            Overlap::None | Overlap::InLane => self.call_s(),
            Overlap::Queued => self.times.write_s + self.kernel_s(),
        }
    }
}

/// The least whole number of `period_s` that holds `work_s`, at least 1.
pub(super) fn fits(work_s: f64, period_s: f64) -> usize {
    if work_s <= 0.0 || period_s <= 0.0 {
        return 1;
    }
    // Measured times carry noise; a hair over a whole number is no reason for one more.
    ((work_s / period_s - 1e-9).ceil() as usize).max(1)
}
