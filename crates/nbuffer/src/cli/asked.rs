//! `plan` and `simulate` for a program: it asks with the flags of the command line, and gets numbers.

use std::ffi::OsString;

use clap::Parser;
use nbuffer::measure::Durations;
use nbuffer::summary::Summary;
use nbuffer::trace::Trace;

use super::{Cli, Command, plan, simulate};

/// What `nbuffer plan --json` prints with these flags.
///
/// # Errors
///
/// What the command would print instead.
pub fn planned(flags: impl IntoIterator<Item = OsString>) -> Result<String, String> {
    match parsed("plan", flags)? {
        Command::Plan(args) => plan::json(&args).map_err(|error| format!("{error:#}")),
        _ => unreachable!("the command was named"),
    }
}

/// What became of a stream in virtual time.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// In the format of a run's summary.
    pub summary: Summary,
    /// What each item did when.
    pub trace: Trace,
    /// From take to result, for each item.
    pub latencies: Durations,
}

/// What `nbuffer simulate` does with these flags.
///
/// # Errors
///
/// What the command would print instead.
pub fn simulated(flags: impl IntoIterator<Item = OsString>) -> Result<Simulated, String> {
    match parsed("simulate", flags)? {
        Command::Simulate(args) => simulate::simulated(&args).map_err(|error| format!("{error:#}")),
        _ => unreachable!("the command was named"),
    }
}

fn parsed(command: &str, flags: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let args = [OsString::from("nbuffer"), command.into()].into_iter().chain(flags);
    match Cli::try_parse_from(args) {
        Ok(cli) => Ok(cli.command),
        Err(error) => {
            let text = error.to_string();
            // What follows is how to use a command line.
            let why = text.split("\n\n").next().unwrap_or_default();
            Err(why.trim_start_matches("error: ").to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags<'a>(text: &'a str) -> impl Iterator<Item = OsString> + use<'a> {
        text.split_whitespace().map(OsString::from)
    }

    #[test]
    fn a_program_gets_what_the_command_says() {
        let plan = planned(flags("--k 2ms --ip 1ms --host-threads 1")).unwrap();
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        assert_eq!((&plan["plan"]["binding"], &plan["plan"]["period_s"]), (&"device".into(), &0.002.into()));
        let simulated = simulated(flags("--k 2ms --ip 1ms --items 50")).unwrap();
        assert_eq!((simulated.summary.items.ok, simulated.trace.journeys.len()), (50, 50));
        assert_eq!(simulated.latencies.count(), 50);
    }

    #[test]
    fn and_the_reason_where_there_is_none() {
        let said = planned(flags("--k fast")).unwrap_err();
        assert!(
            said.starts_with("invalid value 'fast' for '--k <TIME>'") && !said.contains("Usage"),
            "{said}"
        );
        let said = planned(flags("--ip 0s")).unwrap_err();
        assert!(said.contains("--ip"), "{said}");
        let said = simulated(flags("--k 1ms --fail 200 --items 5")).unwrap_err();
        assert!(said.contains("no item 200"), "{said}");
    }
}
