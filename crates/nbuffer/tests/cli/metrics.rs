//! Live figures: what a scrape says, and that nothing a client does disturbs the run.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use crate::fixtures::{Desk, digits, items, some_images};
use crate::process::{Process, args, nbuffer, run};

/// Where a run serves its figures.
struct Scraped(String);

impl Scraped {
    /// Of a run that has just been started with `--metrics 127.0.0.1:0`.
    #[track_caller]
    fn of(process: &Process) -> Self {
        let note = process.next_note();
        let address =
            note.strip_prefix("metrics are at http://").and_then(|url| url.strip_suffix("/metrics"));
        Scraped(address.unwrap_or_else(|| panic!("no address in `{note}`")).to_owned())
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.0).expect("the run serves its figures")
    }

    /// Status line, headers and body of the answer to what is sent.
    #[track_caller]
    fn send(&self, request: &str) -> (String, String, String) {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the server answers with text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head ends with an empty line");
        let (status, headers) = head.split_once("\r\n").expect("a status line comes first");
        let length = headers.lines().find_map(|header| header.strip_prefix("Content-Length: "));
        let length: usize = length.expect("a length").parse().expect("a number of bytes");
        assert!(body.len() == length || request.starts_with("HEAD"), "{} of {length} bytes", body.len());
        (status.to_owned(), headers.to_owned(), body.to_owned())
    }

    #[track_caller]
    fn figures(&self) -> Figures {
        let (status, headers, body) = self.send("GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert!(headers.contains("Content-Type: text/plain; version=0.0.4"), "{headers}");
        Figures::read(&body)
    }
}

/// A scrape, read strictly: every sample by its name and labels as they were written.
struct Figures(BTreeMap<String, f64>);

impl Figures {
    #[track_caller]
    fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line is whole");
        let mut samples = BTreeMap::new();
        let mut kinds: Vec<(&str, &str)> = Vec::new();
        let mut helped = None;
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                helped = help.split_once(' ').filter(|(_, words)| words.ends_with('.')).map(|(name, _)| name);
                assert!(helped.is_some(), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a name and a type");
                assert_eq!(helped.take(), Some(name), "help comes right before the type");
                assert!(name.starts_with("nbuffer_"), "{line}");
                assert!(kinds.iter().all(|(other, _)| *other != name), "{name} comes once");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                kinds.push((name, kind));
            } else {
                let (name, value) = line.rsplit_once(' ').expect("a name and a value");
                let &(family, kind) = kinds.last().expect("a type comes before its samples");
                let bare = name.split('{').next().unwrap();
                let part = bare.strip_prefix(family).unwrap_or_else(|| panic!("{line} under {family}"));
                let parts: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                assert!(parts.contains(&part), "{line} under {family}");
                let value: f64 = value.parse().expect("a number");
                assert!(value.is_finite() && value >= 0.0, "{line}");
                assert!(samples.insert(name.to_owned(), value).is_none(), "{name} comes once");
            }
        }
        let figures = Figures(samples);
        for (name, _) in kinds.iter().filter(|(_, kind)| *kind == "histogram") {
            figures.check_histogram(name, text);
        }
        figures
    }

    /// Buckets grow from bound to bound, and the last one has everything.
    #[track_caller]
    fn check_histogram(&self, name: &str, text: &str) {
        let start = format!("{name}_bucket{{");
        let mut of_series: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for line in text.lines().filter_map(|line| line.strip_prefix(&start)) {
            let (labels, count) = line.split_once("} ").unwrap();
            let (others, bound) = labels.split_once("le=\"").expect("a bucket has a bound");
            let bound: f64 = bound.trim_end_matches('"').parse().expect("a number, or +Inf");
            let series = others.trim_end_matches(',').to_owned();
            of_series.entry(series).or_default().push((bound, count.parse().unwrap()));
        }
        assert!(!of_series.is_empty(), "{name} has buckets");
        for (series, buckets) in of_series {
            assert!(
                buckets.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1),
                "{name} {series}: {buckets:?}"
            );
            let labels = if series.is_empty() { String::new() } else { format!("{{{series}}}") };
            let count = self.of(&format!("{name}_count{labels}"));
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)), "{name} {series}");
        }
    }

    #[track_caller]
    fn of(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("no {name} in {:#?}", self.0))
    }

    /// The sum over all samples whose name begins like this.
    fn sum(&self, start: &str) -> f64 {
        self.0.iter().filter(|(name, _)| name.starts_with(start)).map(|(_, value)| value).sum()
    }

    /// Items taken, ok, failed and cancelled.
    #[track_caller]
    fn items(&self) -> [u64; 4] {
        let of = |outcome| self.of(&format!("nbuffer_items_total{{outcome=\"{outcome}\"}}")) as u64;
        [self.of("nbuffer_items_taken_total") as u64, of("ok"), of("failed"), of("cancelled")]
    }
}

/// A run over paths on stdin, which is held open.
fn live(desk: &Desk, model: impl AsRef<std::ffi::OsStr>, options: &[&str]) -> (Process, Scraped) {
    let summary = desk.path("s.json");
    let mut command = nbuffer(args!["run", model.as_ref(), "-", "--summary", summary]);
    command.args(["--metrics", "127.0.0.1:0"]).args(options).stdin(Stdio::piped());
    let process = Process::start(&mut command);
    let scraped = Scraped::of(&process);
    (process, scraped)
}

#[test]
fn figures_are_those_of_the_summary() {
    let desk = Desk::new();
    let options = [
        "--device",
        "sim:metis",
        "--cores",
        "2",
        "--buffers",
        "3",
        "--host-threads",
        "2",
        "--double-buffer",
        "off",
    ];
    let (mut process, scraped) = live(&desk, desk.identity(8), &options);
    let before = scraped.figures();
    assert_eq!(before.items(), [0; 4]);
    assert_eq!(before.of("nbuffer_item_latency_seconds_count"), 0.0);

    let images = some_images(6);
    images[..3].iter().for_each(|image| process.give(image));
    process.give("no/such.png");
    images[3..].iter().for_each(|image| process.give(image));
    images.iter().for_each(|_| drop(process.next_line()));
    // Results come in order, so the one that failed has been delivered as well.
    let figures = scraped.figures();
    assert_eq!(figures.items(), [7, 6, 1, 0]);
    assert_eq!(figures.sum("nbuffer_items_waiting"), 0.0);
    for (lane, side) in [(0, "input"), (0, "output"), (1, "input"), (1, "output")] {
        let sets = |state| {
            figures.of(&format!(r#"nbuffer_buffer_sets{{lane="{lane}",side="{side}",state="{state}"}}"#))
        };
        assert_eq!((sets("free"), sets("in_flight")), (3.0, 0.0), "{side} sets of lane {lane}");
        assert_eq!(figures.of(&format!("nbuffer_buffer_sets_configured{{side=\"{side}\"}}")), 3.0);
        assert_eq!(figures.of(&format!(r#"nbuffer_lane_up{{lane="{lane}",device="sim:metis"}}"#)), 1.0);
    }
    assert_eq!(figures.of("nbuffer_host_threads"), 2.0);
    let version = env!("CARGO_PKG_VERSION");
    let info = figures.0.keys().find(|name| name.starts_with("nbuffer_run_info{")).unwrap();
    let labels =
        [("version", version), ("model", "identity\""), ("device", "sim:metis\""), ("engine", "identity ")];
    for (label, value) in labels {
        assert!(info.contains(&format!("{label}=\"{value}")), "{label} in {info}");
    }

    process.close_stdin();
    process.finish().exit(1);
    let summary = desk.summary("s.json");
    assert_eq!(figures.items(), items(&summary));
    let is = |name: &str, pointer: &str| {
        let (scraped, told) = (figures.sum(name), summary.pointer(pointer).unwrap().as_f64().unwrap());
        assert!((scraped - told).abs() < 1e-9, "{name} is {scraped}, {pointer} is {told}");
    };
    for stage in ["preprocess", "write", "kernel", "read", "postprocess"] {
        let name = format!("nbuffer_stage_duration_seconds_sum{{stage=\"{stage}\"}}");
        is(&name, &format!("/stages/{stage}/busy_s"));
    }
    is("nbuffer_compute_busy_seconds_total", "/kernel/busy_s");
    is("nbuffer_compute_downtime_seconds_total", "/kernel/downtime_s");
    assert_eq!(figures.sum("nbuffer_kernels_total"), 6.0);
    let mean =
        figures.of("nbuffer_item_latency_seconds_sum") / figures.of("nbuffer_item_latency_seconds_count");
    assert!((mean - summary["latency_s"]["mean"].as_f64().unwrap()).abs() < 1e-9);
}

#[test]
fn images_of_a_batch_are_counted_one_by_one() {
    let desk = Desk::new();
    let (mut process, scraped) = live(&desk, digits().join("batch4"), &["--device", "cpu"]);
    let images = some_images(7);
    images[..5].iter().for_each(|image| process.give(image));
    process.give("no/such.png");
    images[5..].iter().for_each(|image| process.give(image));
    images.iter().for_each(|_| drop(process.next_line()));
    // The eighth came after the one that failed; no more batch is there.
    assert_eq!(scraped.figures().items(), [8, 7, 1, 0]);
    assert_eq!(scraped.figures().of("nbuffer_stage_duration_seconds_count{stage=\"kernel\"}"), 2.0);
    process.close_stdin();
    process.finish().exit(1);
    assert_eq!(items(&desk.summary("s.json")), [8, 7, 1, 0]);
}

#[test]
fn a_lost_lane_is_seen() {
    let desk = Desk::new();
    let device = desk.faulty_device("kind = \"disappear\"\nlane = 0\ncall = 0");
    let options = ["--device", &device, "--cores", "2", "--buffers", "2", "--double-buffer", "off"];
    let (mut process, scraped) = live(&desk, desk.identity(8), &options);
    let up = |figures: &Figures, lane| {
        figures.of(&format!(r#"nbuffer_lane_up{{lane="{lane}",device="{device}"}}"#))
    };
    let before = scraped.figures();
    assert_eq!((up(&before, 0), up(&before, 1)), (1.0, 1.0));
    process.give(&some_images(1)[0]);
    assert!(process.next_note().starts_with("error: item 0 "));
    let figures = scraped.figures();
    assert_eq!((up(&figures, 0), up(&figures, 1)), (0.0, 1.0));
    assert_eq!(figures.items(), [1, 0, 1, 0]);
    let retired =
        |side| figures.of(&format!(r#"nbuffer_buffer_sets{{lane="0",side="{side}",state="retired"}}"#));
    assert_eq!((retired("input"), retired("output")), (2.0, 2.0));
    process.close_stdin();
    process.finish().exit(1);
}

#[test]
fn addresses_that_cannot_be_served() {
    let desk = Desk::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    // No machine has an address of this range, which is kept for documentation.
    let cases = [
        (taken.as_str(), ["cannot listen at", taken.as_str(), "another port"]),
        ("nowhere", ["`nowhere`", "a host and a port", "127.0.0.1:9464"]),
        ("127.0.0.1:99999", ["`127.0.0.1:99999`", "a host and a port", "127.0.0.1:9464"]),
        ("192.0.2.1:9464", ["cannot listen at", "192.0.2.1:9464", "an address of this machine"]),
    ];
    let output = desk.write("o.jsonl", "an old result\n");
    for (address, words) in cases {
        let ran =
            run(args!["run", desk.identity(8), desk.images(2), "--metrics", address, "--output", output]);
        let ran = ran.exit(2);
        assert_eq!(ran.stdout, "", "nothing ran");
        assert!(ran.stderr.starts_with("error: --metrics: "), "{}", ran.stderr);
        words.iter().for_each(|word| assert!(ran.stderr.contains(word), "`{word}` in {}", ran.stderr));
    }
    assert_eq!(std::fs::read_to_string(output).unwrap(), "an old result\n");
}

#[test]
fn clients_that_misbehave_are_answered_or_turned_away() {
    let desk = Desk::new();
    let (mut process, scraped) = live(&desk, desk.identity(8), &["--device", "sim:metis"]);
    let check = |request: &str, status: &str, words: &str| {
        let (is, _, body) = scraped.send(request);
        assert!(is.starts_with(&format!("HTTP/1.1 {status} ")), "{is} to {request:?}");
        assert!(body.contains(words), "{body}");
    };
    check("GET / HTTP/1.1\r\n\r\n", "404", "/metrics");
    check("GET /metrics/more HTTP/1.1\r\n\r\n", "404", "/metrics");
    check("GET /metrics?name=a HTTP/1.1\r\n\r\n", "200", "nbuffer_items_total");
    check("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405", "GET");
    check("HEAD /metrics HTTP/1.1\r\n\r\n", "200", "");
    check("no request\r\n\r\n", "400", "no HTTP request");
    check("\u{0}\u{1}\u{2}", "400", "no HTTP request");
    check(&format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000)), "431", "8192 bytes");
    check(&format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100)), "431", "64 headers");

    // Clients that say nothing, stop half-way, go away at once, or do not read what they asked for.
    let mut visitors: Vec<TcpStream> = (0..6).map(|_| scraped.connect()).collect();
    visitors[1].write_all(b"GET /metr").unwrap();
    visitors[2].write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    visitors[3].write_all(b"GET /metrics HTTP/1.1\r\nA: b").unwrap();
    drop(visitors.split_off(4));
    assert_eq!(scraped.figures().items(), [0; 4], "others are answered meanwhile");

    let images = some_images(4);
    images.iter().for_each(|image| process.give(image));
    images.iter().for_each(|_| drop(process.next_line()));
    assert_eq!(scraped.figures().items(), [4, 4, 0, 0]);
    process.close_stdin();
    process.finish().exit(0);
}

#[test]
fn a_thousand_scrapes_cost_no_result() {
    let desk = Desk::new();
    let (mut process, scraped) = live(&desk, desk.identity(8), &["--device", "sim:metis", "--buffers", "3"]);
    let images = some_images(10);
    let mut last = [0; 4];
    for scrape in 0..1_000 {
        if scrape % 100 == 0 {
            process.give(&images[scrape / 100]);
        }
        let figures = scraped.figures();
        let now = figures.items();
        assert!(
            now.iter().zip(last).all(|(now, last)| *now >= last),
            "counters only grow: {last:?}, {now:?}"
        );
        assert!(now[1..].iter().sum::<u64>() <= now[0], "{now:?}");
        last = now;
    }
    images.iter().for_each(|_| drop(process.next_line()));
    assert_eq!(scraped.figures().items(), [10, 10, 0, 0]);
    process.close_stdin();
    process.finish().exit(0);
}

#[test]
fn scrapes_of_a_run_at_full_speed_add_up() {
    let desk = Desk::new();
    let mut command: Command =
        nbuffer(args!["run", desk.identity(8), desk.images(10), "--device", "sim:fpga"]);
    command.args(["--repeat", "200", "--metrics", "127.0.0.1:0"]).arg("--summary").arg(desk.path("s.json"));
    let process = Process::start(&mut command);
    let scraped = Scraped::of(&process);
    // The run may be over before the last of them.
    for _ in 0..10 {
        let Ok(mut stream) = TcpStream::connect(&scraped.0) else { break };
        let mut text = String::new();
        let asked = stream
            .write_all(b"GET /metrics HTTP/1.1\r\n\r\n")
            .and_then(|()| stream.read_to_string(&mut text));
        let Some((_, body)) =
            text.split_once("\r\n\r\n").filter(|(head, _)| asked.is_ok() && head.contains(" 200 "))
        else {
            break;
        };
        let [taken, ok, failed, cancelled] = Figures::read(body).items();
        assert!(ok + failed + cancelled <= taken && failed + cancelled == 0);
    }
    let ran = process.finish().exit(0);
    assert_eq!(ran.results().len(), 2_000);
    assert_eq!(items(&desk.summary("s.json")), [2_000, 2_000, 0, 0]);
}
