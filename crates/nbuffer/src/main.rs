//! The nbuffer command line. Data goes to stdout, words and the progress bar to stderr.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
