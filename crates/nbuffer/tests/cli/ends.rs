//! Runs that are ended from outside: Ctrl-C, and readers that have gone.

use std::io::pipe;
use std::process::{Command, Stdio};

use crate::fixtures::{Desk, digits};
#[cfg(unix)]
use crate::fixtures::{items, some_images};
use crate::process::{Process, args, nbuffer};

/// A pipe that nobody reads.
fn no_reader() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

#[cfg(unix)]
#[test]
fn an_interrupt_writes_what_is_finished() {
    let desk = Desk::new();
    let (output, summary) = (desk.path("o.jsonl"), desk.path("s.json"));
    let mut command = nbuffer(args![
        "run",
        desk.identity(8),
        desk.images(4),
        "--device",
        "sim:metis",
        "--repeat",
        "100000",
        "--output",
        output,
        "--summary",
        summary,
    ]);
    let process = Process::start(&mut command);
    process.next_line();
    process.interrupt();
    let ran = process.finish().exit(130);
    assert!(ran.stderr.contains("interrupted: "), "{}", ran.stderr);

    let summary = desk.summary("s.json");
    let [taken, ok, failed, cancelled] = items(&summary);
    assert_eq!((summary["interrupted"].as_bool(), failed), (Some(true), 0));
    assert!(taken < 400_000);
    let lines = desk.output_in_order("o.jsonl");
    assert_eq!(lines.len() as u64, taken);
    assert_eq!(
        lines.iter().filter(|line| line.get("error").is_some_and(|e| e == "cancelled")).count() as u64,
        cancelled
    );
    // One line was read before the interrupt.
    assert_eq!(ran.results().len() as u64 + 1, ok);
}

#[cfg(unix)]
#[test]
fn an_interrupt_does_not_wait_for_stdin() {
    let desk = Desk::new();
    let mut command = nbuffer(args!["run", desk.identity(8), "-", "--device", "sim:metis"]);
    let mut process = Process::start(command.stdin(Stdio::piped()));
    process.give(&some_images(1)[0]);
    process.next_line();
    process.interrupt();
    process.finish().exit(130);
}

#[cfg(unix)]
#[test]
fn a_second_interrupt_does_not_wait_for_the_device() {
    let desk = Desk::new();
    let device = desk.faulty_device("kind = \"hang\"\nlane = 0\ncall = 0");
    let mut command = nbuffer(args!["run", desk.identity(8), "-", "--device", device, "--no-double-buffer"]);
    command.args(["--cores", "2", "--host-threads", "1", "--order", "completed", "--watchdog", "none"]);
    let mut process = Process::start(command.stdin(Stdio::piped()));
    some_images(2).iter().for_each(|image| process.give(image));
    // The other lane is done with its image: this one has its own, and keeps it.
    process.next_line();
    process.interrupt();
    assert!(process.next_note().starts_with("interrupted: "));
    assert!(process.is_running());
    process.interrupt();
    process.finish().exit(130);
}

fn endless(desk: &Desk) -> Command {
    let repeat = ["--device", "sim:metis", "--repeat", "100000"];
    let mut command = nbuffer(args!["run", desk.identity(8), desk.images(4)]);
    command.args(repeat);
    command
}

#[test]
fn a_reader_that_has_gone_ends_the_run() {
    let desk = Desk::new();
    let summary = desk.path("s.json");
    let mut command = endless(&desk);
    let ran = Process::start(command.arg("--summary").arg(summary).stdout(no_reader())).finish().exit(130);
    assert!(ran.stderr.contains("note: stdout was closed; the run stops here"), "{}", ran.stderr);
    assert_eq!(desk.summary("s.json")["interrupted"], true);
}

#[test]
fn a_reader_that_reads_some_ends_the_run() {
    let desk = Desk::new();
    let (reader, writer) = pipe().unwrap();
    let process = Process::start(endless(&desk).stdout(writer));
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(reader));
    assert!(lines.next().unwrap().unwrap().contains(".png\t"));
    drop(lines);
    process.finish().exit(130);
}

/// As behind `2>&1 | head -1`.
#[test]
fn nobody_reading_notes_is_no_panic() {
    let desk = Desk::new();
    let mut command = endless(&desk);
    Process::start(command.stdout(no_reader()).stderr(no_reader())).finish().exit(130);
    let mut command = nbuffer(args!["run", digits(), desk.images(2)]);
    Process::start(command.stderr(no_reader())).finish().exit(0);
    let bad = desk.write("bad.png", "no image");
    let mut command = nbuffer(args!["run", digits(), bad]);
    Process::start(command.stderr(no_reader())).finish().exit(1);
    let mut command = nbuffer(args!["run", digits(), desk.path("nowhere")]);
    Process::start(command.stderr(no_reader())).finish().exit(2);
}

#[test]
fn results_go_on_to_the_file_when_stdout_is_closed() {
    let desk = Desk::new();
    let output = desk.path("o.jsonl");
    let mut command =
        nbuffer(args!["run", desk.identity(8), desk.images(4), "--repeat", "200", "--output", output]);
    let ran = Process::start(command.stdout(no_reader())).finish().exit(0);
    assert!(ran.stderr.contains("note: stdout was closed; results go on to"), "{}", ran.stderr);
    let lines = desk.output_in_order("o.jsonl");
    assert_eq!(lines.len(), 800);
    assert!(lines.iter().all(|line| line.get("result").is_some()));
}

#[test]
fn a_disk_that_is_full_is_named() {
    let full = std::path::Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let desk = Desk::new();
    let mut command = nbuffer(args!["run", desk.identity(8), desk.images(2), "--output", full]);
    let ran = Process::start(&mut command).finish().exit(2);
    assert!(ran.stderr.contains("error: cannot write --output `/dev/full`"), "{}", ran.stderr);
    let mut command = nbuffer(args!["run", desk.identity(8), desk.images(2)]);
    let stdout = std::fs::File::options().write(true).open(full).unwrap();
    let ran = Process::start(command.stdout(stdout)).finish().exit(2);
    assert!(ran.stderr.contains("error: cannot write to stdout"), "{}", ran.stderr);
}

#[test]
fn texts_for_a_reader_that_has_gone_are_no_error() {
    for command in [
        args!["devices"].to_vec(),
        args!["inspect", digits()].to_vec(),
        args!["inspect", digits(), "--json"].to_vec(),
        args!["--help"].to_vec(),
        args!["--version"].to_vec(),
    ] {
        let ran = Process::start(nbuffer(&command).stdout(no_reader())).finish().exit(0);
        assert_eq!(ran.stderr, "");
    }
}
