//! What calls give: values, lag, and what a call that fails leaves.

use nbuffer::objects::{Context, DeviceChoice, ErrorKind, InstanceOptions, Settings};

use super::fixtures::{checksum, engine, load, lockstep, numbered, simulated};

const DOUBLE: InstanceOptions = InstanceOptions {
    double_buffer: true,
    num_sub_devices: 0,
    aipu_cores: 0,
    dma_buf: false,
    async_mode: false,
    without_effect: Vec::new(),
};

#[test]
fn without_lag_each_call_gives_its_own_result_on_every_kind_of_device() {
    let queued = "class = \"queued\"\ncores = 2\nkernel_time = \"50us\"\n\
                  [link]\nduplex = \"full\"\nwrite_time = \"10us\"\nread_time = \"10us\"\n";
    let cpu = Context::open(["cpu"], &engine(), Settings::default()).unwrap();
    for context in [cpu, lockstep(""), simulated(queued)] {
        let (_, instance) = load(&context, "checksum", &InstanceOptions::default());
        assert_eq!(instance.lag(), 0);
        for number in 0..20 {
            assert_eq!(numbered(&instance, number).unwrap(), checksum(number), "{context:?}, call {number}");
        }
    }
}

#[test]
fn with_double_buffering_call_k_gives_the_result_of_call_k_minus_2() {
    let context = lockstep("");
    let (_, instance) = load(&context, "checksum", &DOUBLE);
    assert_eq!(instance.lag(), 2);
    for number in 0..20 {
        let expected = if number < 2 { [0; 64] } else { checksum(number - 2) };
        assert_eq!(numbered(&instance, number).unwrap(), expected, "call {number}");
    }
}

#[test]
fn poison_marks_what_is_no_result() {
    let settings = Settings { poison: true, ..Settings::default() };
    let context = Context::open(["sim:metis"], &engine(), settings).unwrap();
    let (_, instance) = load(&context, "checksum", &DOUBLE);
    let given = [0, 1, 2].map(|number| numbered(&instance, number).unwrap());
    assert_eq!(given, [[0xa5; 64], [0xa5; 64], checksum(0)]);
}

#[test]
fn a_call_that_fails_is_as_if_it_had_not_been_made() {
    let context = lockstep("[[fault]]\nkind = \"fail\"\nlane = 0\ncall = 3\n");
    let (_, instance) = load(&context, "checksum", &DOUBLE);
    for number in 0..3 {
        numbered(&instance, number).unwrap();
    }
    let error = numbered(&instance, 3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Runtime);
    assert_eq!(error.to_string(), "device call failed: planned fault in call 3 of lane 0");
    let later = [4, 5, 6].map(|number| numbered(&instance, number).unwrap());
    assert_eq!(later, [checksum(1), checksum(2), checksum(4)]);
}

#[test]
fn a_device_that_is_lost_stays_lost() {
    let context = lockstep("[[fault]]\nkind = \"disappear\"\nlane = 0\ncall = 1\n");
    let (_, instance) = load(&context, "checksum", &InstanceOptions::default());
    numbered(&instance, 0).unwrap();
    for number in 1..4 {
        let error = numbered(&instance, number).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Connection, "device lost: lane 0 disappeared in call 1")
        );
    }
}

#[test]
fn instances_of_one_connection_run_side_by_side() {
    let context = lockstep("");
    let model = context.load_model(super::fixtures::model_path("checksum")).unwrap();
    let connection =
        context.device_connect(DeviceChoice::Named(&context.list_devices().unwrap()[0].name), 4).unwrap();
    let instances = [(); 4].map(|()| connection.load_model_instance(&model, &DOUBLE).unwrap());
    std::thread::scope(|scope| {
        for (lane, instance) in instances.iter().enumerate() {
            scope.spawn(move || {
                for call in 0..50 {
                    let number = call * 4 + lane as u64;
                    let given = numbered(instance, number).unwrap();
                    if call >= 2 {
                        assert_eq!(given, checksum(number - 8), "lane {lane}, call {call}");
                    }
                }
            });
        }
    });
}
