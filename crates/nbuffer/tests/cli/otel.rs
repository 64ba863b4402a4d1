//! `--otel`: what a collector gets, and that none is needed for a run.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::fixtures::{Desk, items};
use crate::process::{args, run};

/// What a collector was sent: the path of a request and its body.
type Sent = (String, Vec<u8>);

/// A collector that takes everything, and gives its address and what it took.
fn collector() -> (String, Receiver<Sent>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, sent) = channel();
    // Both end with the test's process; the run under test closes its connections.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            thread::spawn(move || take(&stream.expect("a connection"), &sender));
        }
    });
    (endpoint, sent)
}

/// Takes the requests of one connection.
fn take(mut stream: &TcpStream, sender: &Sender<Sent>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut start, mut length) = (String::new(), 0);
        if reader.read_line(&mut start).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).expect("a header");
            let Some((name, value)) = header.trim().split_once(": ") else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().expect("a number of bytes");
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("the whole body");
        let ["POST", path, "HTTP/1.1"] = start.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("no POST: {start}");
        };
        sender.send((path.to_owned(), body)).expect("the test listens");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("the exporter reads");
    }
}

fn holds(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_collector_gets_spans_and_metrics() {
    let desk = Desk::new();
    let (endpoint, sent) = collector();
    desk.write("images/99.png", "no image");
    let (images, summary) = (desk.images(5), desk.path("s.json"));
    let ran = run(args![
        "run",
        desk.identity(8),
        images,
        "--device",
        "sim:metis",
        "--otel",
        endpoint,
        "--summary",
        summary
    ]);
    let ran = ran.exit(1);
    assert!(!ran.stderr.contains("--otel"), "{}", ran.stderr);
    assert_eq!(items(&desk.summary("s.json")), [6, 5, 1, 0]);

    let sent: Vec<Sent> = sent.try_iter().collect();
    let spans: Vec<_> = sent.iter().filter(|(path, _)| path == "/v1/traces").map(|(_, body)| body).collect();
    let metrics: Vec<_> =
        sent.iter().filter(|(path, _)| path == "/v1/metrics").map(|(_, body)| body).collect();
    assert_eq!(spans.len() + metrics.len(), sent.len(), "nothing else was sent");
    let any = |bodies: &[&Vec<u8>], text: &str| bodies.iter().any(|body| holds(body, text));
    for text in [
        "nbuffer",
        "run identity",
        "sim:metis",
        "nbuffer.items.ok",
        "nbuffer.wall_s",
        "1 of the items failed",
    ] {
        assert!(any(&spans, text), "`{text}` in what was sent");
    }
    // The stages of the items are there, each as a span.
    for text in ["item", "preprocess", "write", "kernel", "read", "postprocess", "sequence"] {
        assert!(any(&spans, text), "`{text}` in what was sent");
    }
    for text in ["nbuffer.items", "nbuffer.stage.time", "nbuffer.compute.busy", "nbuffer.lane.up", "outcome"]
    {
        assert!(any(&metrics, text), "`{text}` in what was sent");
    }
}

#[test]
fn a_collector_that_cannot_be_reached_costs_a_warning() {
    let desk = Desk::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // It is connected to, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [nobody, silent.local_addr().unwrap()] {
        let endpoint = format!("http://{address}");
        let ran = run(args!["run", desk.identity(8), desk.images(3), "--otel", endpoint]).exit(0);
        assert_eq!(ran.results().len(), 3);
        assert!(ran.stderr.contains("3 ok"), "{}", ran.stderr);
        let warning = format!("note: --otel: the collector at {endpoint} did not take everything: ");
        assert_eq!(ran.stderr.matches(&warning).count(), 1, "{}", ran.stderr);
    }
}

#[test]
fn addresses_that_are_none() {
    let desk = Desk::new();
    for endpoint in
        ["https://127.0.0.1:4318", "127.0.0.1:4318", "http://", "http://:4318", "http://a b", "grpc://x"]
    {
        let ran = run(args!["run", desk.identity(8), desk.images(1), "--otel", endpoint]).exit(2);
        assert_eq!(ran.stdout, "", "nothing ran");
        assert!(ran.stderr.starts_with("error: --otel: "), "{}", ran.stderr);
        assert!(ran.stderr.contains(endpoint), "{}", ran.stderr);
    }
}
