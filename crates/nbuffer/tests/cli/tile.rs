//! `tile`: what it says, what it writes, what it refuses.

use std::ffi::OsString;
use std::fs;

use serde_json::Value;

use crate::process::{Ran, run};

fn tile(options: &str) -> Vec<OsString> {
    std::iter::once("tile").chain(options.split_whitespace()).map(OsString::from).collect()
}

#[track_caller]
fn said(options: &str) -> Ran {
    let ran = run(tile(options)).exit(0);
    assert_eq!(ran.stderr, "");
    for line in ran.stdout.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    ran
}

#[track_caller]
fn json_of(options: &str) -> Value {
    serde_json::from_str(&run(tile(&format!("{options} --json"))).exit(0).stdout).unwrap()
}

#[track_caller]
fn check_refused(options: &str, words: &[&str]) {
    let ran = run(tile(options)).exit(2);
    assert_eq!(ran.stdout, "");
    for word in words {
        assert!(ran.stderr.contains(word), "`{word}` in: {}", ran.stderr);
    }
}

fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_run_says_what_bounds_it_and_what_would_help() {
    let ran = said("run add --cores 8 --elements 1M --tile 20480 --num 1 --repeat-op 8 --timeline");
    let text = unwrapped(&ran.stdout);
    for words in [
        "on 8 cores of 910B4",
        "V waits",
        "limit too few input blocks",
        "double buffering is worth",
        "1048576 compared with a plain reference, all equal",
        "link in is MTE2",
    ] {
        assert!(text.contains(words), "`{words}` in: {text}");
    }
}

#[test]
fn a_kernel_that_memory_bounds_is_told_so() {
    let ran = said("run add --elements 80M --tile 10240 --no-values");
    let text = unwrapped(&ran.stdout);
    assert!(text.contains("limit bandwidth of global memory"), "{text}");
    assert!(text.contains("double buffering gains less than 8 % here because the bandwidth"), "{text}");
}

#[test]
fn json_adds_up() {
    let found = json_of("run add --cores 3 --elements 96K --tile 2048 --dtype f32 --repeat-op 2");
    assert_eq!(found["values"]["checked"], "all");
    assert_eq!(found["values"]["compared"], 96 << 10);
    // Two inputs, one output.
    assert_eq!(found["bytes"], 3 * 4 * (96 << 10));
    let number = |value: &Value| value.as_f64().unwrap();
    let waits: f64 = found["vector"]["waits"].as_object().unwrap().values().map(number).sum();
    assert!((waits + number(&found["vector"]["busy"]) - 1.0).abs() < 1e-9, "{found:#}");
    let us = number(&found["cycles"]) / 1650.0;
    assert!((number(&found["time_us"]) - us).abs() < 1e-9);
    assert_eq!(found["hazards"]["count"], 0);
    assert!(found["plan"]["recommended"]["num"].is_u64());
}

#[test]
fn a_trace_has_the_vendors_names_and_arrows() {
    let desk = tempfile::tempdir().unwrap();
    let path = desk.path().join("trace.json");
    let mut all = tile("run add --cores 2 --elements 16K --tile 1024 --no-values --trace");
    all.push(path.clone().into());
    run(all).exit(0);
    let file: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let events = file["traceEvents"].as_array().unwrap();
    let count = |key: &str, is: &str| events.iter().filter(|event| event[key] == is).count();
    let named = |name: &str| events.iter().any(|event| event["args"]["name"] == name);
    assert!(["core0.veccore0", "core0.veccore1", "VECTOR", "MTE2", "MTE3"].into_iter().all(named));
    // 8 tiles a core: two copies in, an addition, a copy out.
    let begun =
        |name: &str| events.iter().filter(|event| event["ph"] == "B" && event["name"] == name).count();
    assert_eq!([begun("MOV_OUT_TO_UB"), begun("VADD"), begun("MOV_UB_TO_OUT")], [32, 16, 16]);
    // An arrow for each flag that is waited for: 3 of a tile's blocks are handed on, and taken again but for the first two.
    assert_eq!([count("ph", "s"), count("ph", "f")], [2 * (8 * 3 + 6 * 3); 2]);
}

#[test]
fn every_kernel_runs_and_its_values_are_checked() {
    for (options, compared) in [
        ("two_source --elements 10K --tile 1008 --num 1", 10 << 10),
        ("two_source --elements 10K --tile 512 --num 2 --repeat-op 3 --dtype i32", 10 << 10),
        ("leaky_relu --elements 10007 --tile 1000 --dtype f32", 10007),
        ("softmax --elements 30K --columns 480 --tile 960", 30 << 10),
        ("softmax --elements 12K --tile 2K --dtype f32 --num 1", 12 << 10),
        ("reduce_sum --elements 100007 --tile 1000", 3),
        ("reduce_sum --elements 64K --tile 2K --dtype f32 --num 3", 3),
        ("matmul --elements 12K --columns 96 --inner 200 --tile 64", 12 << 10),
        ("matmul --elements 4K --columns 64 --inner 64 --tile 32 --dtype i8 --num 1", 4 << 10),
        ("move --elements 10007 --tile 1000 --dtype i8", 10007),
    ] {
        let found = json_of(&format!("run {options} --cores 3"));
        let values = &found["values"];
        assert_eq!((&values["checked"], &values["differing"]), (&"all".into(), &0.into()), "{options}");
        assert_eq!(values["compared"], compared, "{options}");
        assert_eq!(found["hazards"]["count"], 0, "{options}");
        assert!(found["limit"]["resource"].is_string(), "{options}");
    }
}

#[test]
fn every_kernel_can_be_swept() {
    for kernel in ["two_source", "leaky_relu", "softmax", "reduce_sum", "move"] {
        let ran = said(&format!(
            "sweep {kernel} --elements 64K --cores 4 --sweep num=1..2,tile=2K..4K --dtype f32"
        ));
        assert_eq!(ran.stdout.lines().count(), 5, "{kernel}: {}", ran.stdout);
    }
    let ran = said("sweep matmul --elements 16K --columns 128 --cores 1 --sweep num=1..2,tile=64..128");
    assert_eq!(ran.stdout.lines().count(), 5, "{}", ran.stdout);
}

#[test]
fn a_sweep_doubles_tiles() {
    let ran = said("sweep add --elements 4M --cores 8 --repeat-op 8 --sweep num=1..2,tile=4K..32K");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 9);
    assert!(lines[4].contains("does not fit into UB"), "{}", lines[4]);
}

#[test]
fn every_number_of_a_device_has_its_source() {
    assert!(said("devices").stdout.contains("310P3"));
    let text = said("devices 910B4").stdout;
    for words in ["vendor-stated", "measured", "guessed", "copies.gm_to_ub.latency", "vector_cycles.exp.f16"]
    {
        assert!(text.contains(words), "`{words}` in: {text}");
    }
}

#[test]
fn the_published_measurement_stands_beside_the_simulation() {
    let found = json_of("compare-published");
    let far: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .filter(|figure| figure["is_near"] == false)
        .map(|figure| (figure["name"].as_str().unwrap(), figure["double_buffering"] == true))
        .collect();
    // What the model is known not to reach.
    assert_eq!(far, [("MTE2 busy", true)]);
    // Every number that no table stands behind is tried out another way.
    let text = said("compare-published").stdout;
    let what_ifs = ["clock of 1500", "V starts in 6", "flags take no time", "one copy in"];
    assert!(what_ifs.iter().all(|what_if| text.contains(what_if)), "{text}");
}

#[test]
fn mistakes_are_told() {
    check_refused("run add --tile 200K", &["UB overflow", "VECIN 0", "435.4 %"]);
    check_refused("run sub", &["no kernel is called `sub`: choose add"]);
    check_refused("run add --dtype i8", &["--dtype i8: add takes f16, f32, i32"]);
    check_refused("run leaky_relu --repeat-op 2", &["--repeat-op: leaky_relu has no such setting"]);
    check_refused("run softmax --columns 1000", &["--tile 4096", "rows of --columns 1000"]);
    check_refused("run matmul --elements 1000", &["--elements 1000", "whole rows of --columns 1024"]);
    check_refused("run matmul --device 310P3", &["has no pipe FIX", "is not modelled"]);
    check_refused("run add --device 910X", &["--device", "no AI Core is called `910X`"]);
    check_refused("run add --cores 41", &["--cores 41: device 910B4 has 40"]);
    check_refused("run add --elements 0", &["--elements", "1K = 1024"]);
    check_refused("run add --trace here.txt", &["--trace"]);
    check_refused("sweep add --sweep blocks=1", &["`blocks` is unknown; known are num, tile"]);
}
