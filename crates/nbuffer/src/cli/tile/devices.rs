//! `nbuffer tile devices`: what AI Cores are known, and how well.

use nbuffer_tile::{Profile, names};

use super::super::plan::row;
use super::super::{Status, emit};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Show every number of this one, with its source; or of a profile of your own that ends in .toml
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(super) fn main(args: &Args) -> anyhow::Result<Status> {
    let mut out = String::new();
    let Some(name) = &args.name else {
        for name in names() {
            let profile = Profile::named(name)?;
            say!(
                out,
                "  {name:<8}{:>4} cores at {} MHz: {}",
                profile.cores,
                profile.clock_mhz,
                profile.description
            );
        }
        say!(out, "\nEvery number of one with its source: nbuffer tile devices NAME");
        return emit(&out);
    };
    let profile = Profile::named(name)?;
    say!(out, "{}: {}\n", profile.name, profile.description);
    let mut known: Option<&nbuffer_tile::Source> = None;
    for number in profile.numbers() {
        // A source stands once above the numbers that come from it.
        if known != Some(number.source) {
            say!(out, "");
            row(&mut out, number.source.kind.name(), &number.source.from);
            known = Some(number.source);
        }
        say!(out, "    {:<32}{:>14} {}", number.key, number.value, number.unit);
    }
    emit(&out)
}
