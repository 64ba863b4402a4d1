//! `nbuffer tile devices`: what AI Cores are known, and how well.

use nbuffer_tile::{Profile, Source, names};

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
            say!(out, "  {name:<7}{:>5} MHz  {}", profile.clock_mhz, profile.description);
        }
        say!(out, "\nEvery number of one with its source: nbuffer tile devices NAME");
        return emit(&out);
    };
    let profile = Profile::named(name)?;
    say!(out, "{}: {}", profile.name, profile.description);
    let mut known: Option<&Source> = None;
    for number in profile.numbers() {
        // A source stands once above the numbers that come from it.
        if known != Some(number.source) {
            say!(out, "");
            let Source { kind, from } = number.source;
            row(&mut out, "source", &format!("{}: {from}", kind.name()));
            known = Some(number.source);
        }
        let line = format!("    {:<32}{:>14} {}", number.key, number.value, number.unit);
        say!(out, "{}", line.trim_end());
    }
    emit(&out)
}
