//! What goes wrong with objects, and the result codes of a vendor's runtime that it stands for.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use nbuffer_core::tensor::DType;
use nbuffer_runtime::DeviceError;
use nbuffer_runtime::model::ModelError;

/// A kind of object, by its class name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// [`Context`](super::Context).
    Context,
    /// [`Connection`](super::Connection).
    Connection,
    /// [`Model`](super::Model).
    Model,
    /// [`ModelInstance`](super::ModelInstance).
    ModelInstance,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A side of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What goes in.
    Input,
    /// What comes out.
    Output,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Side::Input { "input" } else { "output" })
    }
}

/// The result codes of a vendor's runtime: what an [`Error`] is to a program that asks for no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A call failed, or an object was used in a state that forbids it.
    Runtime,
    /// Bad parameters, too many cores, buffers that do not fit.
    InvalidArgument,
    /// No connection to the device, or none any more.
    Connection,
    /// The cores are reserved by somebody else.
    DeviceInUse,
    /// The model needs what the device does not have.
    IncompatibleDevice,
    /// A value that a device cannot be configured to.
    InvalidConfiguration,
    /// Asked for what is not there.
    NotImplemented,
    /// A defect of nbuffer or of the device's code.
    Internal,
}

/// Why an object cannot do what it was asked for. Nothing has changed then, except where a device call failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object, or an owner of it, has been released.
    #[error("the {object} has been released")]
    Released {
        /// What was used.
        object: Object,
    },
    /// A second thread called `run` while the first was still in it.
    #[error(
        "the ModelInstance is running in another thread; an instance takes one call at a time, so load one per thread"
    )]
    Busy,
    /// The context has no such device.
    #[error("there is no device {wanted}; the context has {}", list(.known))]
    NoSuchDevice {
        /// The name or number.
        wanted: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// More cores than the device has, or none.
    #[error("device `{device}` has {cores} cores, {wanted} were asked for; connect with 1 to {cores}")]
    Cores {
        /// The device.
        device: String,
        /// Cores asked for.
        wanted: usize,
        /// Cores it has.
        cores: usize,
    },
    /// Enough cores, but not enough free ones.
    #[error("device `{device}` has {free} of {cores} cores free, {wanted} are needed; in use by {}", list(.holders))]
    DeviceInUse {
        /// The device; several, when any would have done.
        device: String,
        /// Cores asked for.
        wanted: usize,
        /// Cores that are free.
        free: usize,
        /// Cores it has.
        cores: usize,
        /// Who has them.
        holders: Vec<String>,
    },
    /// Reserving a core among processes failed.
    #[error("cannot reserve a core among processes in {}; name a folder of your own in NBUFFER_LOCK_DIR", file.display())]
    Reservation {
        /// The lock.
        file: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The cores of a Connection are too few for one instance more.
    #[error(
        "the instance needs {needed} cores, the Connection has {free} of {cores} free; release an instance or connect with more cores"
    )]
    ConnectionFull {
        /// Cores the instance needs.
        needed: usize,
        /// Cores no instance has.
        free: usize,
        /// Cores the Connection reserved.
        cores: usize,
    },
    /// The device has no room for this model, however many cores a Connection has.
    #[error(
        "model `{model}` of batch {batch} does not fit the {cores} cores of this Connection; connect with more"
    )]
    TooFewCores {
        /// The model.
        model: String,
        /// Items of one call.
        batch: usize,
        /// Cores the Connection reserved.
        cores: usize,
    },
    /// A Model of one Context and a Connection of another.
    #[error("the Model belongs to another Context than the Connection; load it there")]
    OtherContext,
    /// A property nobody knows.
    #[error("Invalid properties: Unknown property key: {key}")]
    UnknownProperty {
        /// The key.
        key: String,
    },
    /// A property with a value it cannot have.
    #[error("Invalid properties: {key}={value}, which takes {takes}")]
    Property {
        /// The key.
        key: &'static str,
        /// The value given.
        value: String,
        /// What it takes.
        takes: &'static str,
    },
    /// A configuration nobody knows, or a value it cannot have.
    #[error("device `{device}` cannot be configured to {key}={value}: {why}")]
    Configuration {
        /// The device.
        device: String,
        /// The key.
        key: String,
        /// The value given.
        value: String,
        /// What it takes.
        why: String,
    },
    /// A feature that this device does not have.
    #[error("{feature} is not there on device `{device}`: {advice}")]
    NotImplemented {
        /// The feature.
        feature: &'static str,
        /// The device.
        device: String,
        /// What to do instead.
        advice: &'static str,
    },
    /// The wrong number of buffers.
    #[error("{given} {side} buffers were given, the model has {expected} {side}s")]
    BufferCount {
        /// Which side.
        side: Side,
        /// Buffers given.
        given: usize,
        /// Tensors there are.
        expected: usize,
    },
    /// A buffer of the wrong size. Shapes are not looked at.
    #[error(
        "{side} {idx} (`{name}`) has {given} B, {expected} B are needed: {dtype} of the padded shape {shape:?}"
    )]
    BufferSize {
        /// Which side.
        side: Side,
        /// Which buffer, from 0.
        idx: usize,
        /// The tensor's name.
        name: String,
        /// Bytes given.
        given: usize,
        /// Bytes of the padded tensor.
        expected: usize,
        /// The tensor's element type.
        dtype: DType,
        /// The tensor's padded shape.
        shape: Vec<usize>,
    },
    /// The model does not load.
    #[error(transparent)]
    Model(#[from] Arc<ModelError>),
    /// What the device said.
    #[error(transparent)]
    Device(#[from] Arc<DeviceError>),
    /// The name of a device is wrong, or it does not open.
    #[error(transparent)]
    Open(#[from] Arc<crate::OpenError>),
    /// The lane gave back something else than it was given.
    #[error("device `{device}` broke the contract of lanes: {how}; this is a defect of nbuffer")]
    Contract {
        /// The device.
        device: String,
        /// How.
        how: &'static str,
    },
}

impl From<DeviceError> for Error {
    fn from(error: DeviceError) -> Self {
        Error::Device(Arc::new(error))
    }
}

impl Error {
    /// The result code it stands for.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Released { .. } | Error::Busy => ErrorKind::Runtime,
            Error::NoSuchDevice { known, .. } if known.is_empty() => ErrorKind::Connection,
            Error::NoSuchDevice { .. }
            | Error::Cores { .. }
            | Error::ConnectionFull { .. }
            | Error::TooFewCores { .. }
            | Error::OtherContext
            | Error::UnknownProperty { .. }
            | Error::Property { .. }
            | Error::BufferCount { .. }
            | Error::BufferSize { .. }
            | Error::Model(_)
            | Error::Open(_) => ErrorKind::InvalidArgument,
            Error::DeviceInUse { .. } => ErrorKind::DeviceInUse,
            Error::Reservation { .. } => ErrorKind::Connection,
            Error::Configuration { .. } => ErrorKind::InvalidConfiguration,
            Error::NotImplemented { .. } => ErrorKind::NotImplemented,
            Error::Contract { .. } => ErrorKind::Internal,
            Error::Device(error) => match **error {
                DeviceError::Unavailable { .. } | DeviceError::Lost { .. } => ErrorKind::Connection,
                DeviceError::Unsupported { .. } | DeviceError::Graph(_) => ErrorKind::IncompatibleDevice,
                DeviceError::Panicked { .. } => ErrorKind::Internal,
                _ => ErrorKind::Runtime,
            },
        }
    }

    /// The error and everything it came from, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }
}

/// Names in a sentence.
fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
