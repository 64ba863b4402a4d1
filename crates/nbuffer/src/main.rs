//! The nbuffer command line. Data goes to stdout, words and the progress bar to stderr.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(nbuffer::cli::main(std::env::args_os()))
}
