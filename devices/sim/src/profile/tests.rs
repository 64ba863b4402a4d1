use super::*;
use crate::fault::FaultKind;

const LOCKSTEP: &str = include_str!("../../profiles/examples/lockstep-2ms.toml");
const FAULTS: &str = include_str!("../../profiles/examples/faults.toml");

/// Parses `base` with one piece of text replaced, and checks what the error says.
fn check_refused(base: &str, [from, to]: [&str; 2], message_has: &[&str]) {
    assert!(base.contains(from), "`{from}` is not in the profile");
    let error = Profile::parse("mine.toml", &base.replacen(from, to, 1)).unwrap_err().to_string();
    for part in message_has.iter().chain(&["mine.toml"]) {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn every_number_of_a_built_in_profile_has_a_source() {
    for (name, text) in BUILT_IN {
        let profile = Profile::parse(name, text).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let mut keys: Vec<String> = Vec::new();
        for (key, value) in &table {
            match value {
                toml::Value::Table(section) if key != "source" => {
                    keys.extend(section.keys().map(|inner| format!("{key}.{inner}")));
                }
                toml::Value::Integer(_) | toml::Value::Float(_) => keys.push(key.clone()),
                toml::Value::String(_) if key.ends_with("_time") => keys.push(key.clone()),
                _ => {}
            }
        }
        let sources: Vec<&String> = profile.sources.keys().collect();
        keys.sort();
        assert_eq!(sources, keys.iter().collect::<Vec<_>>(), "profile `{name}`");
    }
}

#[test]
fn the_examples_are_valid() {
    for text in [LOCKSTEP, FAULTS, include_str!("../../profiles/examples/queued-2ms.toml")] {
        Profile::parse("example", text).unwrap();
    }
}

#[test]
fn a_profile_says_what_the_file_says() {
    let profile = Profile::load("metis").unwrap();
    assert_eq!((profile.cores, profile.kernel_time), (4, Duration::from_micros(1950)));
    assert_eq!(profile.memory_bytes, Some(1 << 30));
    assert!(!profile.link.half_duplex);
    let bandwidth = Transfer::Bandwidth { transfer_time: Duration::ZERO, bytes_per_s: 3.9e9 };
    assert_eq!((profile.link.write, profile.link.read), (bandwidth, bandwidth));
    let Class::Lockstep { double_buffer, l2_bytes, host } = profile.class else { panic!("{profile:?}") };
    assert_eq!((double_buffer, l2_bytes), (true, Some(32 << 20)));
    assert_eq!(host.call_time, Duration::from_micros(754));
    let fpga = Profile::load("fpga").unwrap();
    assert_eq!(fpga.class, Class::Queued { launch_time: Duration::from_micros(50) });
}

#[test]
fn faults_are_read() {
    let profile = Profile::parse("faults", FAULTS).unwrap();
    assert!(profile.link.half_duplex);
    assert_eq!(profile.faults.strikes(0, 3), Some(FaultKind::Fail));
    assert_eq!(profile.faults.strikes(1, 4), Some(FaultKind::Hang { limit: None }));
    assert_eq!(profile.faults.strikes(2, 6), Some(FaultKind::Disappear { device: false }));
}

#[test]
fn a_transfer_takes_its_cost_and_then_its_bytes() {
    let link = Transfer::Bandwidth { transfer_time: Duration::from_micros(10), bytes_per_s: 2e9 };
    assert!((link.seconds(4_000_000) - 2.01e-3).abs() < 1e-12);
    assert_eq!(Transfer::Fixed(Duration::from_micros(500)).seconds(4_000_000), 500e-6);
}

#[test]
fn a_name_that_is_no_device_is_refused() {
    let error = Profile::load("metys").unwrap_err().to_string();
    assert!(error.contains("metys") && built_in().all(|name| error.contains(name)), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Profile::load("/nowhere/at/all.toml").unwrap_err();
    assert!(matches!(&error, ProfileError::Read { file, .. } if file == "/nowhere/at/all.toml"), "{error}");
}

#[test]
fn a_file_that_is_no_toml_is_refused() {
    check_refused(LOCKSTEP, ["class = \"lockstep\"", "class lockstep"], &["line"]);
    check_refused(LOCKSTEP, ["class = \"lockstep\"", "class = \"quick\""], &["quick", "lockstep", "queued"]);
}

#[test]
fn unknown_keys_are_named() {
    check_refused(LOCKSTEP, ["cores = 4", "cores = 4\nspeed = 9"], &["speed"]);
    check_refused(LOCKSTEP, ["[link]", "[link]\nlanes = 4"], &["lanes"]);
    check_refused(FAULTS, ["call = 3", "call = 3\nwhen = 3"], &["when"]);
}

#[test]
fn missing_keys_are_named() {
    check_refused(LOCKSTEP, ["cores = 4", ""], &["cores"]);
    check_refused(LOCKSTEP, ["write_time = \"500us\"", ""], &["link.write_bytes_per_s"]);
    check_refused(FAULTS, ["seed = 1", ""], &["fault[1].seed"]);
    check_refused(FAULTS, ["by = \"20ms\"", ""], &["fault[1].by"]);
    check_refused(FAULTS, ["call = 3", ""], &["fault[0].call"]);
}

#[test]
fn numbers_out_of_their_limits_are_refused() {
    let limits = [
        ["cores = 4", "cores = 0"],
        ["cores = 4", "cores = 1025"],
        ["cores = 4", "cores = -4"],
        ["cores = 4", "cores = 4\nmemory_bytes = 0"],
        ["cores = 4", "cores = 4\nl2_bytes = -1"],
        ["kernel_time = \"2ms\"", "kernel_time = \"0s\""],
        ["kernel_time = \"2ms\"", "kernel_time = \"-2ms\""],
        ["kernel_time = \"2ms\"", "kernel_time = \"2\""],
        ["kernel_time = \"2ms\"", "kernel_time = \"3 days\""],
        ["write_time = \"500us\"", "write_bytes_per_s = nan"],
        ["write_time = \"500us\"", "write_bytes_per_s = inf"],
        ["write_time = \"500us\"", "write_bytes_per_s = 0"],
        ["write_time = \"500us\"", "write_bytes_per_s = -1e9"],
    ];
    for [from, to] in limits {
        let key = to.lines().last().unwrap().split(' ').next().unwrap();
        check_refused(LOCKSTEP, [from, to], &[key, "must be"]);
    }
    check_refused(LOCKSTEP, ["cores = 4", "cores = 1.5"], &["line"]);
    check_refused(
        FAULTS,
        ["probability = 0.02", "probability = 1.5"],
        &["fault[1].probability", "from 0 to 1"],
    );
    check_refused(FAULTS, ["call = 3", "call = -3"], &["fault[0].call"]);
    check_refused(FAULTS, ["lane = 0", "lane = -1"], &["fault[0].lane"]);
    for host in ["overlap_share = 0.6\nserial_share = 0.6", "overlap_share = nan\nserial_share = 0"] {
        let host = format!("[host]\ncall_time = \"1ms\"\n{host}\n[link]");
        check_refused(LOCKSTEP, ["[link]", &host], &["host.", "_share"]);
    }
}

#[test]
fn keys_that_do_not_go_together_are_refused() {
    check_refused(LOCKSTEP, ["cores = 4", "cores = 4\nlaunch_time = \"1us\""], &["launch_time", "queued"]);
    check_refused(FAULTS, ["cores = 4", "cores = 4\nl2_bytes = 9"], &["l2_bytes", "lockstep"]);
    check_refused(FAULTS, ["cores = 4", "cores = 4\ndouble_buffer = true"], &["double_buffer"]);
    check_refused(LOCKSTEP, ["[link]", "[link]\nwrite_bytes_per_s = 1e9"], &["link.write_bytes_per_s"]);
    check_refused(LOCKSTEP, ["[link]", "[link]\ntransfer_time = \"1us\""], &["link.transfer_time"]);
    check_refused(FAULTS, ["call = 3", "call = 3\nprobability = 0.5"], &["fault[0].probability"]);
    check_refused(FAULTS, ["call = 3", "call = 3\nseed = 5"], &["fault[0].seed"]);
    check_refused(FAULTS, ["call = 3", "call = 3\nby = \"1ms\""], &["fault[0].by", "late"]);
    check_refused(FAULTS, ["call = 3", "call = 3\nfor = \"1ms\""], &["fault[0].for", "hang"]);
    check_refused(FAULTS, ["call = 3", "call = 3\ndevice = true"], &["fault[0].device", "disappear"]);
}

#[test]
fn a_source_of_no_key_is_refused() {
    let source = "[source]\n\"link.wirte_time\" = \"slip\"\n[link]";
    check_refused(LOCKSTEP, ["[link]", source], &["link.wirte_time"]);
}
