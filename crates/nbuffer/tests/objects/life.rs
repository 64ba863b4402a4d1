//! Who owns what, and what releasing it means.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nbuffer::objects::{Context, DeviceChoice, Error, ErrorKind, InstanceOptions, Object, Settings};

use super::fixtures::{Gate, engine, load, lockstep, model_path, numbered};

fn check_released<T: std::fmt::Debug>(used: Result<T, Error>, object: Object) {
    let error = used.unwrap_err();
    assert!(matches!(error, Error::Released { object: found } if found == object), "{error}");
    assert_eq!(error.kind(), ErrorKind::Runtime);
    assert_eq!(error.to_string(), format!("the {object} has been released"));
}

#[test]
fn releasing_a_context_releases_all_it_owns() {
    let context = lockstep("");
    let (model, instance) = load(&context, "checksum", &InstanceOptions::default());
    let connection = context.device_connect(DeviceChoice::First, 2).unwrap();
    context.release();
    context.release();
    check_released(numbered(&instance, 0), Object::ModelInstance);
    check_released(model.inputs(), Object::Model);
    check_released(context.list_devices(), Object::Context);
    check_released(context.load_model(model_path("checksum")), Object::Context);
    check_released(context.device_connect(DeviceChoice::First, 1), Object::Context);
    let other = lockstep("");
    let (other_model, _) = load(&other, "checksum", &InstanceOptions::default());
    assert!(matches!(
        connection.load_model_instance(&other_model, &InstanceOptions::default()),
        Err(Error::OtherContext)
    ));
}

#[test]
fn a_connection_takes_its_instances_along_and_frees_its_cores() {
    let context = lockstep("");
    let model = context.load_model(model_path("checksum")).unwrap();
    for _ in 0..3 {
        let connection = context.device_connect(DeviceChoice::First, 4).unwrap();
        let instance = connection.load_model_instance(&model, &InstanceOptions::default()).unwrap();
        assert!(context.list_devices().unwrap()[0].in_use);
        connection.release();
        connection.release();
        check_released(numbered(&instance, 0), Object::ModelInstance);
        check_released(
            connection.load_model_instance(&model, &InstanceOptions::default()),
            Object::Connection,
        );
        assert!(!context.list_devices().unwrap()[0].in_use);
    }
}

#[test]
fn an_instance_that_is_released_makes_room_for_the_next() {
    let context = lockstep("");
    let model = context.load_model(model_path("checksum")).unwrap();
    let connection = context.device_connect(DeviceChoice::First, 1).unwrap();
    let load = || connection.load_model_instance(&model, &InstanceOptions::default());
    for number in 0..5 {
        let instance = load().unwrap();
        numbered(&instance, number).unwrap();
        let error = load().unwrap_err();
        assert!(matches!(error, Error::ConnectionFull { needed: 1, free: 0, cores: 1 }), "{error}");
        instance.release();
        instance.release();
    }
}

#[test]
fn a_released_model_leaves_its_instances_running() {
    let context = lockstep("");
    let (model, instance) = load(&context, "checksum", &InstanceOptions::default());
    model.release();
    numbered(&instance, 0).unwrap();
}

#[test]
fn children_live_as_long_as_their_context_whoever_drops_them() {
    let context = lockstep("");
    let (_, instance) = load(&context, "checksum", &InstanceOptions::default());
    // The Connection's handle is gone by now, and the Context's goes next: the instance keeps both.
    drop(context);
    numbered(&instance, 0).unwrap();
    let info = instance.context().list_devices().unwrap();
    assert!(info[0].in_use, "{info:?}");
}

#[test]
fn a_context_that_nobody_refers_to_frees_its_cores() {
    let open = || Context::open(["sim:fpga"], &engine(), Settings::default()).unwrap();
    let watching = open();
    let cores = watching.list_devices().unwrap()[0].cores;
    drop(open().device_connect(DeviceChoice::First, cores).unwrap());
    assert!(!watching.list_devices().unwrap()[0].in_use);
}

#[test]
fn two_contexts_share_the_cores_of_one_device() {
    let open = || Context::open(["sim:gpu"], &engine(), Settings::default()).unwrap();
    let (first, second) = (open(), open());
    let cores = first.list_devices().unwrap()[0].cores;
    let connection = first.device_connect(DeviceChoice::First, cores).unwrap();
    let error = second.device_connect(DeviceChoice::First, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeviceInUse);
    assert!(error.to_string().contains(&format!("in use by this process ({})", std::process::id())));
    connection.release();
    second.device_connect(DeviceChoice::First, cores).unwrap();
}

#[test]
fn release_waits_for_the_run_that_is_active() {
    let (context, began, may_end, log) = Gate::context();
    let (_, instance) = load(&context, "checksum", &InstanceOptions::default());
    thread::scope(|scope| {
        let run = scope.spawn(|| numbered(&instance, 7));
        began.recv().unwrap();
        let release = scope.spawn(|| {
            context.release();
            log.lock().unwrap().push("released");
        });
        while !instance.is_released() {
            thread::yield_now();
        }
        // Who comes now is told of the release, not of the other thread.
        check_released(numbered(&instance, 8), Object::ModelInstance);
        may_end.send(()).unwrap();
        assert_eq!(run.join().unwrap().unwrap()[0], 7);
        release.join().unwrap();
    });
    assert_eq!(*log.lock().unwrap(), ["run ended", "released"]);
}

#[test]
fn a_second_thread_in_one_instance_is_refused_at_once() {
    let (context, began, may_end, _) = Gate::context();
    let (_, instance) = load(&context, "checksum", &InstanceOptions::default());
    thread::scope(|scope| {
        let run = scope.spawn(|| numbered(&instance, 7));
        began.recv().unwrap();
        let error = numbered(&instance, 8).unwrap_err();
        assert!(matches!(error, Error::Busy), "{error}");
        assert_eq!(error.kind(), ErrorKind::Runtime);
        may_end.send(()).unwrap();
        run.join().unwrap().unwrap();
    });
    may_end.send(()).unwrap();
    numbered(&instance, 9).unwrap();
}

#[test]
fn releasing_ends_a_simulated_call_that_hangs() {
    let queued = "class = \"queued\"\ncores = 2\nkernel_time = \"50us\"\n\
                  [link]\nduplex = \"full\"\nwrite_time = \"10us\"\nread_time = \"10us\"\n\
                  [[fault]]\nkind = \"hang\"\nlane = 0\ncall = 1\n";
    for context in
        [lockstep("[[fault]]\nkind = \"hang\"\nlane = 0\ncall = 1\n"), super::fixtures::simulated(queued)]
    {
        let (_, instance) = load(&context, "checksum", &InstanceOptions::default());
        numbered(&instance, 0).unwrap();
        let (told, hears) = std::sync::mpsc::channel();
        let threads = [1, 2].map(|number| {
            let (instance, told) = (instance.clone(), told.clone());
            thread::spawn(move || told.send(numbered(&instance, number)).unwrap())
        });
        let heard = || hears.recv_timeout(Duration::from_secs(20)).unwrap().unwrap_err();
        // Whoever comes second is refused, so that the first one is known to be in the call.
        let error = heard();
        assert!(matches!(error, Error::Busy), "{error}");
        context.release();
        let error = heard();
        assert!(error.to_string().contains("hung until the program was dropped"), "{error}");
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn handles_can_be_used_from_many_threads() {
    let context = Arc::new(lockstep(""));
    let model = context.load_model(model_path("checksum")).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..5 {
                    let connection = context.device_connect(DeviceChoice::First, 1).unwrap();
                    let instance =
                        connection.load_model_instance(&model, &InstanceOptions::default()).unwrap();
                    numbered(&instance, number).unwrap();
                    connection.release();
                }
            });
        }
    });
}
