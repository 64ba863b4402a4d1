//! `--log`: everything on stderr is an event, one a line.

use serde_json::Value;

use crate::fixtures::{Desk, digits};
use crate::process::{Process, Ran, args, nbuffer, run};

/// The events on stderr, each line of which must be a JSON object with all that an event has.
#[track_caller]
fn events(ran: &Ran) -> Vec<Value> {
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in `{line}`"));
        for field in ["timestamp", "level", "target", "message"] {
            assert!(event[field].is_string(), "{field} in {line}");
        }
        event
    };
    assert!(ran.stderr.is_empty() || ran.stderr.ends_with('\n'), "the last line is whole");
    ran.stderr.lines().map(event).collect()
}

/// Those with this message.
fn with<'a>(events: &'a [Value], message: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["message"] == message).collect()
}

#[test]
fn every_line_is_an_object_whatever_happens() {
    let desk = Desk::new();
    let (model, images, summary) = (desk.identity(8), desk.images(30), desk.path("s.json"));
    desk.write("images/99.png", "no image");
    // Left to nbuffer, a run this long chooses its buffer sets; one lane of four is lost.
    let device = desk.faulty_device("kind = \"disappear\"\nlane = 1\ncall = 20");
    let mut command = nbuffer(args!["run", model, images, "--device", device, "--summary", summary]);
    command.args(["--repeat", "40", "--log", "json"]);
    let ran = Process::start(&mut command).finish().exit(1);
    let (events, summary) = (events(&ran), desk.summary("s.json"));

    let [started] = with(&events, "run started")[..] else { panic!("{events:#?}") };
    assert_eq!(
        (&started["level"], &started["model"], &started["lanes"]),
        (&"INFO".into(), &"identity".into(), &4.into())
    );
    let [lost] = with(&events, "lane lost")[..] else { panic!("{events:#?}") };
    assert_eq!((&lost["level"], &lost["lane"]), (&"ERROR".into(), &1.into()));
    let failed = with(&events, "item failed");
    assert_eq!(failed.len() as u64, summary["items"]["failed"].as_u64().unwrap());
    assert!(failed.iter().all(|event| event["level"] == "WARN" && event["sequence"].is_u64()));
    let bad = failed.iter().filter(|event| event["path"].as_str().unwrap().ends_with("99.png"));
    assert_eq!(bad.count(), 40, "each is listed");
    let chosen = with(&events, "buffer sets and host threads chosen");
    let changes = summary["buffers"]["changes"].as_array().unwrap();
    assert!(!changes.is_empty(), "something was chosen");
    let inputs = |of: &[&Value]| of.iter().map(|one| one["inputs"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(inputs(&chosen), inputs(&changes.iter().collect::<Vec<_>>()));
    let [ended] = with(&events, "run ended")[..] else { panic!("{events:#?}") };
    for field in ["taken", "ok", "failed", "cancelled"] {
        assert_eq!(ended[field], summary["items"][field], "{field}");
    }
    assert_eq!(ended["wall_s"], summary["wall_s"]);
}

#[test]
fn a_device_that_is_gone_and_a_watchdog_are_told() {
    let desk = Desk::new();
    for (fault, message) in [
        ("kind = \"hang\"\nlane = 0\ncall = 1", "the watchdog gives a call up"),
        ("kind = \"disappear\"\nlane = 0\ncall = 1", "lane lost"),
    ] {
        let mut command = nbuffer(args!["run", desk.identity(8), desk.images(4), "--log=json"]);
        command.arg("--device").arg(desk.faulty_device(fault));
        command.args(["--cores", "1", "--buffers", "2", "--watchdog", "300ms", "--double-buffer", "off"]);
        let ran = Process::start(&mut command).finish().exit(1);
        let events = events(&ran);
        assert_eq!(with(&events, message).len(), 1, "{events:#?}");
        let ended_early = |event: &Value| {
            event["level"] == "ERROR"
                && event["message"].as_str().unwrap().starts_with("the run ended early: ")
        };
        assert!(events.iter().any(ended_early), "{events:#?}");
    }
}

#[test]
fn levels_choose_what_is_said() {
    let desk = Desk::new();
    let count = |level: &str| {
        let mut command = nbuffer(args!["run", desk.identity(8), desk.images(3), "--device", "sim:metis"]);
        command.args(["--double-buffer", "on", "--log", "json", "--log-level", level]);
        let ran = Process::start(&mut command).finish().exit(0);
        assert_eq!(ran.results().len(), 3, "results are as ever");
        let events = events(&ran);
        let is_known =
            |event: &Value| ["INFO", "DEBUG", "TRACE"].iter().any(|level| event["level"] == *level);
        assert!(events.iter().all(is_known), "{events:#?}");
        (
            with(&events, "run ended").len(),
            with(&events, "lane opened").len(),
            !with(&events, "flush call").is_empty(),
        )
    };
    for silent in ["error", "warn"] {
        assert_eq!(count(silent), (0, 0, false));
    }
    assert_eq!(count("info"), (1, 0, false));
    // Four lanes, and results that only flush calls bring out.
    for all in ["debug", "trace"] {
        assert_eq!(count(all), (1, 4, true));
    }
}

#[test]
fn what_is_refused_is_an_event_too() {
    let desk = Desk::new();
    let missing = desk.path("nowhere");
    for (all, words) in [
        (args!["--log", "json", "run", missing, missing].to_vec(), "nowhere"),
        (args!["inspect", missing, "--log=json"].to_vec(), "nowhere"),
        (args!["run", digits(), "--log", "json"].to_vec(), "<INPUTS>"),
        (args!["walk", "--log=json"].to_vec(), "walk"),
        (args!["plan", "--log=json", "--log-level", "loud"].to_vec(), "error, warn, info, debug or trace"),
    ] {
        let ran = run(all).exit(2);
        let [event] = &events(&ran)[..] else { panic!("{ran:#?}") };
        assert_eq!(event["level"], "ERROR");
        assert!(event["message"].as_str().unwrap().contains(words), "{event}");
    }
}

#[test]
fn the_environment_asks_for_it_as_well() {
    let desk = Desk::new();
    let mut command = nbuffer(args!["run", desk.identity(8), desk.images(1), "--cores", "1"]);
    command.env("NBUFFER_LOG", "json").env("NBUFFER_LOG_LEVEL", "debug");
    let ran = Process::start(&mut command).finish().exit(0);
    assert_eq!(with(&events(&ran), "lane opened").len(), 1);
    // What is given prevails.
    let ran = Process::start(command.args(["--log-level", "info"])).finish().exit(0);
    assert_eq!(with(&events(&ran), "lane opened").len(), 0);
    let mut unread = nbuffer(args!["walk"]);
    let ran = Process::start(unread.env("NBUFFER_LOG", "json")).finish().exit(2);
    assert_eq!(events(&ran).len(), 1);
}

#[test]
fn text_is_a_line_an_event() {
    let desk = Desk::new();
    let bad = desk.write("bad.png", "no image");
    let ran = run(args!["run", digits(), bad, desk.images(1), "--log", "text"]).exit(1);
    let lines: Vec<_> = ran.stderr.lines().collect();
    let [started, failed, ended] = lines[..] else { panic!("{lines:#?}") };
    for (line, level, words) in [
        (started, " INFO ", "run started"),
        (failed, " WARN ", "item failed"),
        (ended, " INFO ", "run ended"),
    ] {
        assert!(line.contains(level) && line.contains(words), "{line}");
    }
    assert!(!ran.stderr.contains('\u{1b}'), "no colours");
}

#[test]
fn without_it_there_are_words_alone() {
    let desk = Desk::new();
    let ran = run(args!["run", desk.identity(8), desk.images(2), "--log-level", "trace"]).exit(0);
    assert!(ran.stderr.starts_with("  items       2 ok"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("run started"));
}
