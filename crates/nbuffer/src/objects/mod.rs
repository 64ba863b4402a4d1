//! The objects of a vendor's runtime, over any nbuffer device: a [`Context`] with its devices, [`Connection`]s that
//! reserve cores, [`Model`]s and [`ModelInstance`]s whose [`run`](ModelInstance::run) blocks.
//!
//! This is the form to come from, or to write a loop of one's own with; [`Pipeline`](crate::Pipeline) is the one that
//! keeps the device busy without one. With double buffering call k writes the result of call k - 2 here, as vendors'
//! runtimes do, and pairing results with items is the caller's work.
//!
//! # Who owns what
//!
//! A Context owns its Connections and Models, and a Connection its ModelInstances: they live until they, their
//! owner, or the last handle to anything of their Context goes. Dropping one handle of a child releases nothing.
//! `release` releases an object and all it owns. It waits for a `run` that is active, does nothing the second
//! time, and leaves every handle refusing further use by name.
//!
//! ```
//! use nbuffer::objects::{Context, DeviceChoice, InstanceOptions, Settings};
//!
//! let context = Context::open(["sim:metis"], &nbuffer::engine("rten", None)?, Settings::default())?;
//! let model = context.load_model("../../models/checksum/model.json")?;
//! let connection = context.device_connect(DeviceChoice::First, 1)?;
//! let instance = connection.load_model_instance(&model, &InstanceOptions::default())?;
//!
//! let input = vec![7; model.inputs()?[0].size()];
//! let mut output = vec![0; model.outputs()?[0].size()];
//! instance.run(&[&input], &mut [&mut output])?;
//! assert_ne!(output[..8], [0; 8]);
//!
//! context.release();
//! assert_eq!(instance.run(&[&input], &mut [&mut output]).unwrap_err().to_string(), "the ModelInstance has been released");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod call;
mod card;
mod configuration;
mod connection;
mod context;
mod cores;
mod error;
mod instance;
mod life;
mod model;
mod options;

pub use card::DeviceInfo;
pub use connection::Connection;
pub use context::{Context, DeviceChoice, Settings};
pub use error::{Error, ErrorKind, Object, Side};
pub use instance::ModelInstance;
pub use life::{Alive, alive};
pub use model::{Graphs, Model};
pub use options::{InstanceOptions, PROPERTIES};
