//! The device `metis`, over the stand-in for the vendor's library.

use std::fs;

use super::fixtures::{Desk, digit_images, digits};
use super::process::{Process, Ran, args, nbuffer, run};

fn over_stand_in(args: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>, told: &str) -> Ran {
    let mut command = nbuffer(args);
    command
        .env("AXRUNTIME_DYLIB_PATH", axruntime_stand_in::library().unwrap())
        .env("AXRUNTIME_STAND_IN", told);
    Process::start(&mut command).finish()
}

/// The digits as a vendor's compiler leaves them, and where they are computed by the stand-in.
fn compiled(desk: &Desk) -> std::path::PathBuf {
    for file in ["manifest.json", "labels.txt", "digits_int8.onnx"] {
        desk.write(&format!("compiled/{file}"), fs::read(digits().join(file)).unwrap());
    }
    let text = fs::read_to_string(digits().join("model.json")).unwrap();
    let mut model: serde_json::Value = serde_json::from_str(&text).unwrap();
    model["stand_in"] = "digits_int8.onnx".into();
    let section = model["nbuffer"].as_object_mut().unwrap();
    section.remove("graph");
    section.insert("kernel".into(), "compiled".into());
    desk.write("compiled/model.json", model.to_string());
    desk.path("compiled")
}

#[test]
fn every_kind_of_call_gives_the_answers_of_the_cpu() {
    let desk = Desk::new();
    let model = compiled(&desk);
    let expected = run(args!["run", digits(), digit_images(), "--device", "cpu"]).exit(0);
    for (double_buffer, calls) in [("off", "(queued)"), ("auto", "(queued)"), ("on", "(double-buffered)")] {
        let args = args!["run", model, digit_images(), "--device", "metis", "--double-buffer", double_buffer];
        let ran = over_stand_in(args, "").exit(0);
        assert_eq!(ran.results(), expected.results());
        assert!(ran.stderr.contains(calls), "{}", ran.stderr);
    }
}

#[test]
fn a_compiled_model_on_another_device_is_refused() {
    let desk = Desk::new();
    for device in ["cpu", "sim:metis"] {
        let ran = run(args!["run", compiled(&desk), digit_images(), "--device", device]).exit(2);
        assert!(ran.stderr.contains("only the vendor's runtime can compute it"), "{}", ran.stderr);
    }
}

#[test]
fn devices_says_what_is_there_and_what_is_not() {
    let mut command = nbuffer(["devices"]);
    command.env("AXRUNTIME_DYLIB_PATH", "/no/such/libaxruntime.so");
    let without = Process::start(&mut command).finish().exit(0).stdout;
    assert!(
        without.contains("metis         not here: device `metis` is not available: dlopen failed: /no/such/"),
        "{without}"
    );
    assert!(without.contains("AXRUNTIME_DYLIB_PATH") && without.contains("none is here"), "{without}");

    let with = over_stand_in(["devices"], "devices=2").exit(0).stdout;
    assert!(with.contains("metis         4 cores, double buffering: Axelera Metis through"), "{with}");
    assert!(with.contains("here: metis-0:1:0, metis-0:2:0"), "{with}");
}

#[test]
fn a_device_of_another_name_or_in_use_is_an_error_of_the_set_up() {
    let desk = Desk::new();
    let model = compiled(&desk);
    let other = over_stand_in(args!["run", model, digit_images(), "--device", "metis:metis-9"], "").exit(2);
    assert!(
        other.stderr.contains("no device is called `metis-9`; there are metis-0:1:0"),
        "{}",
        other.stderr
    );
    let busy = over_stand_in(args!["run", model, digit_images(), "--device", "metis"], "in-use=2").exit(2);
    assert!(busy.stderr.contains("DEVICE_IN_USE"), "{}", busy.stderr);
}
