//! Objects are counted while they are there, and none stays behind. Alone in its process, since it counts all.

use nbuffer::objects::{Alive, Context, DeviceChoice, InstanceOptions, Settings, alive};

#[test]
fn no_object_stays_behind() {
    let engine = nbuffer::engine("rten", None).unwrap();
    for round in 0..3 {
        let context = Context::open(["sim:metis"], &engine, Settings::default()).unwrap();
        let model = context.load_model("../../models/checksum").unwrap();
        let connection = context.device_connect(DeviceChoice::First, 2).unwrap();
        let load = || connection.load_model_instance(&model, &InstanceOptions::default()).unwrap();
        let instances = [load(), load()];
        assert_eq!(alive(), Alive { contexts: 1, connections: 1, models: 1, instances: 2 });
        instances[0].release();
        assert_eq!(alive(), Alive { contexts: 1, connections: 1, models: 1, instances: 1 });
        if round == 0 {
            context.release();
            assert_eq!(alive(), Alive { contexts: 1, ..Alive::default() });
        }
        drop((context, model, connection, instances));
        assert_eq!(alive(), Alive::default(), "round {round}");
    }
}
