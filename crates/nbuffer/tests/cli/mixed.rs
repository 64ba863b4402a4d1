//! Several devices in one run: least-loaded lanes, one order, each device told by itself.

use serde_json::Value;

use crate::fixtures::{Desk, items};
use crate::process::{args, run};

const ITEMS: u64 = 200;

/// A queued card whose kernels take so long.
fn card(desk: &Desk, name: &str, kernel: &str, fault: &str) -> String {
    let profile = format!(
        "class = \"queued\"\ncores = 1\nkernel_time = \"{kernel}\"\n{fault}\n\
         [link]\nduplex = \"full\"\nwrite_time = \"100us\"\nread_time = \"100us\"\n"
    );
    std::fs::write(desk.path(name), profile).unwrap();
    format!("sim:{}", desk.path(name).display())
}

/// Generated items over these devices: each output is checked on its way out, and all come in order.
#[track_caller]
fn check(desk: &Desk, devices: &[String], options: &[&str], exit: i32) -> Value {
    let model = desk.checksum();
    let mut all = args!["run", model, "--synthetic", ITEMS.to_string()].to_vec();
    for device in devices {
        all.extend(args!["--device", device]);
    }
    all.extend(args!["--output", desk.path("o.jsonl"), "--summary", desk.path("s.json")]);
    all.extend(options.iter().map(Into::into));
    run(all).exit(exit);
    let lines = desk.output_in_order("o.jsonl");
    let summary = desk.summary("s.json");
    assert_eq!(lines.len() as u64, ITEMS);
    let kernels = summary["devices"].as_array().unwrap().iter().map(|d| d["kernels"].as_u64().unwrap());
    let [taken, ok, failed, cancelled] = items(&summary);
    assert_eq!((taken, ok + failed, cancelled), (ITEMS, ITEMS, 0));
    assert_eq!(kernels.sum::<u64>(), ok, "each result was computed once");
    summary
}

#[test]
fn cards_of_different_speed_and_the_cpu_share_a_run() {
    let desk = Desk::new();
    let cards = [card(&desk, "a.toml", "4ms", ""), card(&desk, "b.toml", "40ms", ""), "cpu".to_owned()];
    let summary = check(&desk, &cards[..2], &[], 0);
    let of = |index: usize| summary["devices"][index]["kernels"].as_u64().unwrap();
    assert!(of(0) > of(1), "the faster card does more: {} and {}", of(0), of(1));
    assert_eq!(summary["devices"][1]["name"], *cards[1]);
    check(&desk, &cards, &[], 0);
}

#[test]
fn items_of_a_card_that_vanishes_begin_again_on_the_other_one() {
    let desk = Desk::new();
    let fault = "[[fault]]\nkind = \"disappear\"\nlane = 0\ncall = 10\n";
    let cards = [card(&desk, "a.toml", "1ms", ""), card(&desk, "b.toml", "1ms", fault)];
    let summary = check(&desk, &cards, &[], 1);
    let [_, _, failed, _] = items(&summary);
    assert!((1..=8).contains(&failed), "{failed} of the 4 + 4 sets of the lost card");
    assert_eq!(summary["items"].get("retried"), None);

    let summary = check(&desk, &cards, &["--retry", "other-lane"], 0);
    assert_eq!(summary["devices"][1]["lanes_lost"], 1);
    let retried = summary["items"]["retried"].as_u64().unwrap();
    assert!((1..=8).contains(&retried), "{retried} of the 4 + 4 sets of the lost card");
}
