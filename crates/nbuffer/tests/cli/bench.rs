//! `nbuffer bench`: ways to buffer, side by side.

use std::ffi::OsString;
use std::path::Path;

use serde_json::{Value, json};

use crate::fixtures::{Desk, digit_images, digits};
use crate::process::{Process, args, nbuffer, run};

/// One of the simulated devices of the repository, with a kernel of 2 ms.
fn example(name: &str) -> String {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../devices/sim/profiles/examples");
    format!("sim:{}", profiles.join(name).display())
}

/// A benchmark of the model with these options.
fn bench(model: &Path, images: &Path, options: &[&str]) -> Vec<OsString> {
    let mut all = args!["bench", model, images].to_vec();
    all.extend(options.iter().map(Into::into));
    all
}

/// What it says as JSON, checked for what holds of all of them.
#[track_caller]
fn measured(all: Vec<OsString>) -> Value {
    let ran = run(all.into_iter().chain(args!["--json"])).exit(0);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&report["format"], &report["interrupted"]), (&json!(1), &json!(false)));
    let rounds = report["rounds"].as_u64().unwrap();
    let modes = report["modes"].as_array().unwrap();
    assert_eq!(report["runs_checked"], (rounds + 1) * modes.len() as u64, "one round warms up");
    for mode in modes {
        let runs = mode["runs"].as_array().unwrap();
        assert_eq!(runs.len() as u64, rounds);
        for run in runs {
            assert_eq!(run["items"]["ok"], report["items"], "{mode}");
        }
        for spread in ["overall_s", "ratio"] {
            let [min, median, max] = ["min", "median", "max"].map(|at| mode[spread][at].as_f64().unwrap());
            assert!(0.0 < min && min <= median && median <= max, "{mode}");
        }
        let median = &runs[mode["median_run"].as_u64().unwrap() as usize];
        assert_eq!(median["wall_s"], mode["overall_s"]["median"]);
    }
    assert_eq!(modes[0]["ratio"], json!({"median": 1.0, "min": 1.0, "max": 1.0}), "with itself");
    report
}

fn mode<'a>(report: &'a Value, name: &str) -> &'a Value {
    let modes = report["modes"].as_array().unwrap();
    modes.iter().find(|mode| mode["mode"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

/// How many times as fast as with one buffer set.
fn ratio(report: &Value, name: &str) -> f64 {
    mode(report, name)["ratio"]["median"].as_f64().unwrap()
}

#[test]
fn double_buffering_inside_lanes_saves_the_transfers() {
    let desk = Desk::new();
    // A call takes 3 ms, or 2 ms when its transfers overlap with the next kernel.
    let device = example("lockstep-2ms.toml");
    let (model, images) = (desk.checksum(), desk.images(20));
    let options = ["--device", &device, "--cores", "1", "--repeat", "4", "--rounds", "3"];
    let report = measured(bench(&model, &images, &options));
    assert_eq!(report["items"], 80);
    let names: Vec<&Value> = report["modes"].as_array().unwrap().iter().map(|mode| &mode["mode"]).collect();
    assert_eq!(names, ["off", "double", "N=4", "auto"]);
    for (name, asked, double, depth) in [
        ("off", json!(1), Some(false), Some(1)),
        ("double", Value::Null, Some(true), None),
        ("N=4", json!(4), None, Some(4)),
        ("auto", Value::Null, None, None),
    ] {
        let mode = mode(&report, name);
        assert_eq!((&mode["buffers"], mode["double_buffer"].as_bool()), (&asked, double), "{name}");
        for run in mode["runs"].as_array().unwrap() {
            assert_eq!(run["double_buffer"], double.unwrap_or(true), "{name}");
            assert!(depth.is_none_or(|depth| run["buffers"]["depth"] == depth), "{name}");
        }
    }
    for name in ["double", "N=4", "auto"] {
        let ratio = ratio(&report, name);
        assert!((1.2..1.8).contains(&ratio), "{name} is {ratio} times as fast, not about 1.5");
    }
}

#[test]
fn a_device_without_double_buffering_gets_two_sets() {
    let desk = Desk::new();
    let device = example("queued-2ms.toml");
    let (model, images) = (desk.checksum(), desk.images(40));
    let options = ["--device", &device, "--rounds", "2", "--modes", "double,off,double"];
    let report = measured(bench(&model, &images, &options));
    let names: Vec<&Value> = report["modes"].as_array().unwrap().iter().map(|mode| &mode["mode"]).collect();
    assert_eq!(names, ["off", "double"], "each once, the simplest first");
    let double = mode(&report, "double");
    assert!(double["what"].as_str().unwrap().starts_with("two buffer sets"), "{double}");
    assert_eq!(double["runs"][0]["buffers"]["depth"], 2);
    assert!(ratio(&report, "double") > 1.1, "{report:#}");
}

#[test]
fn a_table_has_80_columns_and_says_what_limits() {
    let desk = Desk::new();
    let device = example("queued-2ms.toml");
    let (model, images) = (desk.checksum(), desk.images(40));
    let ran = run(bench(&model, &images, &["--device", &device, "--rounds", "1", "--buffers", "3"])).exit(0);
    let table = &ran.stdout;
    // A path is not broken.
    let fits = |line: &str| line.chars().count() <= 80 || line.contains(&device);
    assert!(table.lines().all(fits), "{table}");
    for (line, name) in table.lines().skip(1).zip(["off", "double", "N=3", "auto"]) {
        assert_eq!(line.split_whitespace().next(), Some(name), "{table}");
        assert_eq!(line.split_whitespace().count(), 10, "{table}");
    }
    let flat = table.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "auto all left to nbuffer; chose ",
        "device-bound",
        "40 items a run, with the same answers in all 8 runs",
        "1 round of 4 modes in turn, after one to warm up, which is not counted",
        "other processes took",
    ] {
        assert!(flat.contains(words), "`{words}` in {table}");
    }
    let notes: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(notes, ["warm-up round, not counted", "round 1 of 1"]);
}

#[test]
fn a_host_that_is_too_slow_is_named_and_gets_no_ring_without_end() {
    let desk = Desk::new();
    // Reading an image of this size takes many times as long as the device does.
    let image = desk.write("big.png", png(400));
    let device = desk.device_of(
        "class = \"queued\"\ncores = 1\nkernel_time = \"50us\"\n\
         [link]\nduplex = \"full\"\nwrite_time = \"50us\"\nread_time = \"50us\"\n",
    );
    let options = ["--device", &device, "--host-threads", "1", "--repeat", "80", "--rounds", "2"];
    let report = measured(bench(&desk.checksum(), &image, &[&options[..], &["--modes", "auto"]].concat()));
    for run in mode(&report, "auto")["runs"].as_array().unwrap() {
        assert_eq!(run["plan"]["binding"], "host", "{}", run["plan"]);
        let advice = run["plan"]["advice"][0].as_str().unwrap();
        assert!(advice.starts_with("host-bound: ") && advice.ends_with("more buffer sets give nothing"));
        // Two, two more for the host thread that all share, four more where times vary much.
        assert!(run["buffers"]["depth"].as_u64().unwrap() <= 8, "{}", run["buffers"]);
    }
}

/// A grey image of so many pixels a side that does not compress well.
fn png(side: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels: Vec<u8> = (0..side * side).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}

#[test]
fn digits_on_this_machine() {
    let report = measured(bench(&digits(), &digit_images(), &["--limit", "40", "--rounds", "1", "--quiet"]));
    assert_eq!((&report["device"], &report["items"]), (&json!(["cpu"]), &json!(40)));
}

#[test]
fn a_wrong_answer_ends_it_without_a_time() {
    let desk = Desk::new();
    for (fault, words) in [
        ("kind = \"corrupt\"\nlane = 0\ncall = 9", "mode off, the warm-up round: item 9 (`"),
        ("kind = \"corrupt\"\nprobability = 0.3\nseed = 3", "mode off, the warm-up round: item "),
        ("kind = \"fail\"\nlane = 0\ncall = 3", "mode off, the warm-up round: item 3 (`"),
        ("kind = \"disappear\"\nlane = 0\ncall = 3", "mode off, the warm-up round: item "),
    ] {
        let device = desk.faulty_device(fault);
        // Each image comes twice, and the fault strikes it once.
        let options = ["--device", &device, "--cores", "1", "--repeat", "2", "--rounds", "1"];
        let ran = run(bench(&desk.identity(8), &desk.images(6), &options)).exit(1);
        assert_eq!(ran.stdout, "", "no time");
        assert!(ran.stderr.contains(words), "`{words}` in {}", ran.stderr);
        assert_eq!(ran.stderr.contains("`) came to "), fault.contains("corrupt"), "{}", ran.stderr);
    }
    let bad = desk.write("bad.png", "no image");
    let ran = run(bench(&digits(), &bad, &[])).exit(1);
    assert!(ran.stderr.contains("item 0 (`") && ran.stderr.contains("bad.png"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
}

#[test]
fn what_cannot_be_benchmarked_is_refused() {
    let desk = Desk::new();
    let images = desk.images(2);
    for (options, words) in [
        (&["--rounds", "0"][..], "--rounds"),
        (&["--buffers", "auto"], "--buffers"),
        (&["--modes", "off,triple"], "--modes"),
        (&["--modes", ""], "--modes"),
        (&["--device", "abacus"], "there is no device `abacus`"),
        (&["--cores", "99"], "99 cores cannot be used"),
    ] {
        let ran = run(bench(&digits(), &images, options)).exit(2);
        assert!(ran.stderr.contains(words), "`{words}` in {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    let help = run(args!["bench", "--help"]).exit(0).stdout;
    assert!(
        help.contains("Images (PNG or JPEG) or arrays (.npy), or folders of them") && !help.contains("stdin"),
        "{help}"
    );
    let ran = run(args!["bench", digits(), "-"]).exit(2);
    assert!(ran.stderr.contains("stdin (`-`) cannot be read again"), "{}", ran.stderr);
}

#[cfg(unix)]
#[test]
fn an_interrupt_reports_the_rounds_that_were_complete() {
    let desk = Desk::new();
    // A round takes seconds, so that the first one is not complete.
    let long = ["--device", &example("queued-2ms.toml"), "--repeat", "60", "--rounds", "9"];
    let process = Process::start(&mut nbuffer(bench(&desk.checksum(), &desk.images(4), &long)));
    assert_eq!(process.next_note(), "warm-up round, not counted");
    assert_eq!(process.next_note(), "round 1 of 9");
    process.interrupt();
    let ran = process.finish().exit(130);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("before a round was complete"), "{}", ran.stderr);

    let many = ["--device", &example("queued-2ms.toml"), "--rounds", "9999", "--json"];
    let process = Process::start(&mut nbuffer(bench(&desk.checksum(), &desk.images(4), &many)));
    while process.next_note() != "round 3 of 9999" {}
    process.interrupt();
    let ran = process.finish().exit(130);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["interrupted"], true);
    let rounds = report["rounds"].as_u64().unwrap();
    assert!((2..9999).contains(&rounds));
    for mode in report["modes"].as_array().unwrap() {
        assert_eq!(mode["runs"].as_array().unwrap().len() as u64, rounds);
    }
}
