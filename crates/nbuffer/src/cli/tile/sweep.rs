//! `nbuffer tile sweep`: a kernel with other numbers of blocks and other tiles.

use std::str::FromStr;

use nbuffer_tile::Advice;
use nbuffer_tile::catalog::Task;
use nbuffer_tile::{ErrorKind, GlobalMemory, KernelError, Launch, Pipe, Profile, Run, launch};

use super::super::{Status, emit};
use super::amount::tile;
use super::task::TaskArgs;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: nbuffer tile sweep add --elements 80M --repeat-op 8 --sweep num=1..3,tile=1024..32768"
)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    task: TaskArgs,
    /// Numbers of blocks, each from the first to the last, and tiles, each twice the one before, as in num=1..3,tile=1K..32K;
    /// or lists, as in tile=1024,1152
    #[arg(long, value_name = "SWEEP", default_value = "num=1..2,tile=1K..32K")]
    sweep: Sweep,
}

/// The numbers of blocks and the tiles that are tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sweep {
    nums: Vec<u32>,
    tiles: Vec<u32>,
}

/// The most settings of one sweep.
const SETTINGS_MAX: usize = 1000;

impl FromStr for Sweep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut sweep = Sweep::default();
        let mut is_num = None;
        for part in text.split(',') {
            let values = match part.split_once('=') {
                Some((name, values)) => {
                    is_num = Some(match name.trim() {
                        "num" => true,
                        "tile" => false,
                        name => return Err(format!("`{name}` is unknown; known are num, tile")),
                    });
                    values.trim()
                }
                None => part.trim(),
            };
            let is_num =
                is_num.ok_or("num or tile with its values is expected, as in num=1..3,tile=1K..32K")?;
            let number = |text: &str| {
                let number = if is_num { text.parse().map_err(|_| String::new()) } else { tile(text) };
                number.ok().filter(|n| *n > 0 && (!is_num || *n <= 64)).ok_or_else(|| {
                    let range = if is_num {
                        "a number of blocks from 1 to 64"
                    } else {
                        "a number of elements from 1"
                    };
                    format!("`{text}`: {range} is expected")
                })
            };
            let list = if is_num { &mut sweep.nums } else { &mut sweep.tiles };
            match values.split_once("..") {
                None => list.push(number(values)?),
                Some((first, last)) => {
                    let (first, last) = (number(first)?, number(last)?);
                    if first > last {
                        return Err(format!("`{values}` is empty"));
                    }
                    let next = |n: &u32| if is_num { n.checked_add(1) } else { n.checked_mul(2) };
                    list.extend(std::iter::successors(Some(first), next).take_while(|n| *n <= last));
                }
            }
        }
        if sweep.nums.len().max(1) * sweep.tiles.len().max(1) > SETTINGS_MAX {
            return Err(format!("more than {SETTINGS_MAX} settings are too many"));
        }
        Ok(sweep)
    }
}

pub(super) fn main(args: &Args) -> anyhow::Result<Status> {
    let chosen = args.task.chosen()?;
    let or = |values: &[u32], one: u32| if values.is_empty() { vec![one] } else { values.to_vec() };
    let nums = or(&args.sweep.nums, chosen.task.num);
    let tiles = or(&args.sweep.tiles, chosen.task.tile);
    let mut out = String::new();
    say!(
        out,
        "{:>4}{:>9}{:>11}{:>7}{:>8}{:>8}{:>8}{:>11}  limit",
        "num",
        "tile",
        "us",
        "V %",
        "MTE2 %",
        "MTE3 %",
        "GB/s",
        "planned"
    );
    for &num in &nums {
        for &tile in &tiles {
            let task = Task { num, tile, ..chosen.task };
            if let Err(why) = chosen.kernel.check(&task) {
                say!(out, "{num:>4}{tile:>9}  {why}");
                continue;
            }
            let mut memory = GlobalMemory::hollow();
            let prepared = chosen.kernel.prepare(&task, &mut memory);
            let run = launch(&chosen.profile, &mut memory, &Launch::on(chosen.cores), prepared.program);
            let run = match run {
                Ok(run) => run,
                Err(KernelError {
                    kind: kind @ (ErrorKind::Overflow { .. } | ErrorKind::Ids { .. }),
                    ..
                }) => {
                    let why = match kind {
                        ErrorKind::Overflow { space, .. } => format!("does not fit into {space}"),
                        _ => "has too few event ids".to_owned(),
                    };
                    say!(out, "{num:>4}{tile:>9}  {why}");
                    continue;
                }
                Err(error) => {
                    anyhow::bail!("kernel {}, num {num}, tile {tile}: {error}", chosen.kernel.name())
                }
            };
            let advice = Advice::plan(&chosen.profile, chosen.kernel, &task, chosen.cores)?;
            let (planned, limit) = advice.map_or((String::new(), ""), |choice| {
                let us = chosen.profile.us(choice.plan.cycles);
                (format!("{us:.1}"), choice.plan.binding.name())
            });
            say!(out, "{}{planned:>11}  {limit}", measured(num, tile, &run, &chosen.profile));
        }
    }
    emit(&out)
}

fn measured(num: u32, tile: u32, run: &Run, profile: &Profile) -> String {
    let mean = |of: &dyn Fn(&nbuffer_tile::CoreReport) -> f64| {
        run.cores.iter().map(of).sum::<f64>() / run.cores.len() as f64
    };
    let busy = |pipe| 100.0 * mean(&|core| core.pipe(pipe).busy) / run.cycles;
    let [v, mte2, mte3] = [Pipe::V, Pipe::Mte2, Pipe::Mte3].map(busy);
    let bytes: u64 =
        run.cores.iter().map(|core| core.pipe(Pipe::Mte2).bytes + core.pipe(Pipe::Mte3).bytes).sum();
    let us = profile.us(run.cycles);
    let gb_per_s = bytes as f64 / us / 1e3;
    format!("{num:>4}{tile:>9}{us:>11.2}{v:>7.1}{mte2:>8.1}{mte3:>8.1}{gb_per_s:>8.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nums_count_and_tiles_double() {
        let sweep: Sweep = "num=1..3,tile=1K..5000,4608".parse().unwrap();
        assert_eq!(sweep, Sweep { nums: vec![1, 2, 3], tiles: vec![1024, 2048, 4096, 4608] });
        for (bad, words) in [
            ("1..3", "num or tile"),
            ("nums=1", "`nums` is unknown"),
            ("num=0..2", "from 1 to 64"),
            ("num=1..65", "from 1 to 64"),
            ("tile=4096..1024", "is empty"),
            ("num=1..64,tile=1..1M", "too many"),
        ] {
            let error = bad.parse::<Sweep>().unwrap_err();
            assert!(error.contains(words), "{bad}: {error}");
        }
    }
}
