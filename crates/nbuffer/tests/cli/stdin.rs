//! Paths on stdin: a stream that may pause, and ends when it ends.

use std::fs::File;
use std::process::Stdio;

use crate::fixtures::{Desk, digits, items, some_images};
use crate::process::{Process, args, nbuffer};

#[test]
fn every_line_is_an_image() {
    let desk = Desk::new();
    let images = some_images(5);
    let list: Vec<_> = images.iter().map(|image| image.to_str().unwrap()).collect();
    let stdin = File::open(desk.write("list.txt", list.join("\n"))).unwrap();
    let mut command = nbuffer(args!["run", desk.identity(8), "-", "--device", "sim:metis"]);
    let ran = Process::start(command.stdin(stdin)).finish().exit(0);
    let files: Vec<_> = ran.results().iter().map(|(file, _)| *file).collect();
    assert_eq!(files, list);
}

#[test]
fn no_line_is_a_run_of_no_items() {
    let desk = Desk::new();
    for device in ["cpu", "sim:metis", "sim:fpga"] {
        let (output, summary) = (desk.path("o.jsonl"), desk.path("s.json"));
        let mut command = nbuffer(args![
            "run",
            digits(),
            "-",
            "--device",
            device,
            "--output",
            output,
            "--summary",
            summary
        ]);
        let ran = Process::start(command.stdin(Stdio::null())).finish().exit(0);
        assert_eq!(ran.stdout, "");
        assert!(desk.output_in_order("o.jsonl").is_empty());
        assert_eq!(items(&desk.summary("s.json")), [0; 4]);
    }
}

#[test]
fn a_source_that_pauses_holds_no_result_back() {
    let desk = Desk::new();
    let output = desk.path("o.jsonl");
    // Double-buffered lanes give a result two calls late, unless a pause makes them flush.
    let mut command = nbuffer(args![
        "run",
        desk.identity(8),
        "-",
        "--device",
        "sim:metis",
        "--double-buffer",
        "on",
        "--output",
        output
    ]);
    let mut process = Process::start(command.stdin(Stdio::piped()));
    let images = some_images(6);
    for round in images.chunks(3) {
        round.iter().for_each(|image| process.give(image));
        for image in round {
            let line = process.next_line();
            assert!(line.starts_with(&format!("{}\t", image.display())), "{line}");
        }
    }
    assert!(process.is_running());
    assert_eq!(desk.output_in_order("o.jsonl").len(), 6, "the file has them as well");
    process.close_stdin();
    process.finish().exit(0);
}

#[test]
fn a_limit_ends_the_run_while_stdin_stays_open() {
    let desk = Desk::new();
    let mut command = nbuffer(args!["run", desk.identity(8), "-", "--device", "sim:metis", "--limit", "2"]);
    let mut process = Process::start(command.stdin(Stdio::piped()));
    some_images(2).iter().for_each(|image| process.give(image));
    assert_eq!(process.finish().exit(0).results().len(), 2);
}

#[cfg(unix)]
#[test]
fn stdin_that_cannot_be_read_is_no_empty_list() {
    let desk = Desk::new();
    let folder = File::open(desk.images(1)).unwrap();
    let mut command = nbuffer(args!["run", digits(), "-"]);
    let ran = Process::start(command.stdin(folder)).finish().exit(1);
    assert!(ran.stderr.contains("error: the run ended early: cannot read stdin: "), "{}", ran.stderr);
}

#[test]
fn a_missing_file_costs_its_item() {
    let desk = Desk::new();
    let mut command = nbuffer(args!["run", desk.identity(8), "-", "--device", "sim:metis"]);
    let mut process = Process::start(command.stdin(Stdio::piped()));
    let images = some_images(2);
    process.give(&images[0]);
    process.give("no/such.png");
    process.give(&images[1]);
    process.close_stdin();
    let ran = process.finish().exit(1);
    assert_eq!(ran.results().len(), 2);
    assert!(ran.stderr.contains("error: item 1 (`no/such.png`): "), "{}", ran.stderr);
}
