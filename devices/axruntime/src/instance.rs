//! One model instance on a connection of its own: what a lane runs.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

use nbuffer_runtime::{DeviceError, HostBuffer};

use crate::context::Context;
use crate::failure::Failure;
use crate::library::setup;
use crate::loaded::Loaded;
use crate::sys::{self, Argument, Callback, SUCCESS};

/// What an instance is opened with.
#[derive(Clone, Debug)]
pub(crate) struct Properties {
    /// Cores of the connection and of the instance: the model's batch.
    pub(crate) cores: usize,
    /// Transfers overlap with the kernel, and results come two calls late.
    pub(crate) double_buffer: bool,
    /// How many submits may be inside: in flight, and waiting. `None` is an instance whose calls block.
    pub(crate) queue: Option<(usize, usize)>,
}

impl std::fmt::Display for Properties {
    /// As the library takes them. `aipu_cores` is a share of the level-2 memory, a quarter each.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Properties { cores, double_buffer, queue } = *self;
        write!(f, "num_sub_devices={cores};aipu_cores={cores};double_buffer={}", u8::from(double_buffer))?;
        match queue {
            Some((in_flight, pending)) => {
                write!(f, ";async_mode=1;max_inflight={in_flight};max_pending={pending}")
            }
            None => Ok(()),
        }
    }
}

/// A model instance. One thread at a time runs it, which its `&mut self` sees to.
///
/// It has a connection of its own, because instances that share one were seen to fail
/// (`Failed to wait for MSI`), and because an instance keeps one core busy however many its connection holds.
pub(crate) struct Instance {
    device: String,
    properties: Properties,
    loaded: Arc<Loaded>,
    connection: NonNull<sys::Connection>,
    /// `None` between the end of one instance and the beginning of the next.
    instance: Option<NonNull<sys::ModelInstance>>,
}

// SAFETY: the vendor ties neither to a thread. It asks for one thread at a time per instance, which owning it sees to.
unsafe impl Send for Instance {}

impl Instance {
    /// Reserves cores on the device called `wanted`, or on the first, and loads an instance there.
    ///
    /// # Errors
    ///
    /// When the cores are taken, the device is not there, or the library refuses the model or the properties.
    pub(crate) fn open(
        loaded: &Arc<Loaded>,
        device: &str,
        wanted: Option<&str>,
        properties: Properties,
    ) -> Result<Self, DeviceError> {
        let context = &*loaded.context;
        let _setup = setup();
        // SAFETY: the lock is held.
        let connection = unsafe { connect(context, device, wanted, &properties) }?;
        // SAFETY: the lock is held, and the connection has just been made.
        match unsafe { load(loaded, connection, device, &properties) } {
            Ok(instance) => Ok(Instance {
                device: device.to_owned(),
                properties,
                loaded: Arc::clone(loaded),
                connection,
                instance: Some(instance),
            }),
            Err(error) => {
                // SAFETY: the connection is alive and has no instance.
                unsafe { (context.library.destroy)(connection.as_ptr().cast_const().cast()) };
                Err(error)
            }
        }
    }

    /// Ends the instance, with whatever is inside it, and loads another in its place. On failure there is none.
    ///
    /// # Errors
    ///
    /// When the library does not load it again.
    pub(crate) fn reload(&mut self) -> Result<(), DeviceError> {
        let _setup = setup();
        self.end();
        // SAFETY: the lock is held, and the connection lives as long as `self`.
        let loaded = unsafe { load(&self.loaded, self.connection, &self.device, &self.properties) };
        self.instance = Some(loaded?);
        Ok(())
    }

    /// One blocking call. `arguments` is memory to use for it.
    ///
    /// # Errors
    ///
    /// What the library says.
    pub(crate) fn run(
        &mut self,
        arguments: &mut Vec<Argument>,
        inputs: &[HostBuffer],
        outputs: &mut [HostBuffer],
    ) -> Result<(), Failure> {
        const CALL: &str = "axr_run_model_instance";
        let Some(instance) = self.instance else {
            return Err(Failure::of_code_alone(CALL, Failure::GONE));
        };
        arguments.clear();
        arguments.extend(inputs.iter().map(input).chain(outputs.iter_mut().map(output)));
        let (ins, outs) = arguments.split_at_mut(inputs.len());
        // SAFETY: the instance is alive and `&mut self` keeps other threads away. The arguments point to buffers of the
        // sizes they state, borrowed for the call: `inputs` shared and only read, `outputs` exclusively.
        let code = unsafe {
            (self.loaded.context.library.run_model_instance)(
                instance.as_ptr(),
                ins.as_ptr(),
                ins.len(),
                outs.as_mut_ptr(),
                outs.len(),
            )
        };
        self.outcome(instance, CALL, code)
    }

    /// Begins one asynchronous call. If it does begin, `callback` is called with `arg` when it has ended, once, from a
    /// thread of the library.
    ///
    /// # Safety
    ///
    /// The arguments, and what they point to, stay where they are and are not touched until then; those of `outputs` are
    /// owned by whoever keeps them so. `callback` may be called with `arg` from any thread.
    ///
    /// # Errors
    ///
    /// When it does not begin: what the library says.
    pub(crate) unsafe fn begin(
        &mut self,
        inputs: &[Argument],
        outputs: &mut [Argument],
        callback: Callback,
        arg: *mut c_void,
    ) -> Result<(), Failure> {
        const CALL: &str = "axr_run_async_model_instance";
        let (Some(instance), Some(run_async)) =
            (self.instance, self.loaded.context.library.run_async_model_instance)
        else {
            return Err(Failure::of_code_alone(CALL, Failure::GONE));
        };
        // SAFETY: the instance is alive and `&mut self` keeps other submits away; the caller keeps the arguments in
        // their place until the callback.
        let code = unsafe {
            run_async(
                instance.as_ptr(),
                inputs.as_ptr(),
                inputs.len(),
                outputs.as_mut_ptr(),
                outputs.len(),
                callback,
                arg,
            )
        };
        self.outcome(instance, CALL, code)
    }

    fn outcome(
        &self,
        instance: NonNull<sys::ModelInstance>,
        call: &'static str,
        code: sys::ResultCode,
    ) -> Result<(), Failure> {
        if code == SUCCESS {
            return Ok(());
        }
        let object = instance.as_ptr().cast_const().cast();
        // SAFETY: the instance is alive, and no other call came between in this thread.
        Err(unsafe { Failure::of_code(&self.loaded.context.library, call, code, object) })
    }

    /// Destroys the instance. The lock of `setup` is held.
    fn end(&mut self) {
        if let Some(instance) = self.instance.take() {
            // SAFETY: the instance is alive and nothing runs in it: a call would borrow `self`, and the queue waits for
            // what it has begun, or never drops this.
            unsafe { (self.loaded.context.library.destroy)(instance.as_ptr().cast_const().cast()) };
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _setup = setup();
        self.end();
        // SAFETY: the connection is alive and its only instance has ended; its context outlives it.
        unsafe { (self.loaded.context.library.destroy)(self.connection.as_ptr().cast_const().cast()) };
    }
}

/// Memory the library reads.
pub(crate) fn input(buffer: &HostBuffer) -> Argument {
    let ptr = buffer.bytes().as_ptr().cast_mut().cast();
    Argument { ptr, fd: -1, offset: 0, size: buffer.len() }
}

/// Memory the library writes.
pub(crate) fn output(buffer: &mut HostBuffer) -> Argument {
    let ptr = buffer.bytes_mut().as_mut_ptr().cast();
    Argument { ptr, fd: -1, offset: 0, size: buffer.len() }
}

/// Connects to the device called `wanted`, or to the first.
///
/// # Safety
///
/// The lock of `setup` is held.
unsafe fn connect(
    context: &Context,
    device: &str,
    wanted: Option<&str>,
    properties: &Properties,
) -> Result<NonNull<sys::Connection>, DeviceError> {
    let unavailable = |why| DeviceError::Unavailable { device: device.to_owned(), why };
    // SAFETY: the lock is held, and the array is used up before the next call but for the connecting itself.
    let (names, devices) = unsafe { context.listed() }.map_err(unavailable)?;
    let idx = find(&names, wanted).map_err(unavailable)?;
    // SAFETY: the context is alive; the library's own description of the device is given back to it, and was found to
    // begin where it is taken to; it uses no properties.
    let connection = NonNull::new(unsafe {
        (context.library.device_connect)(
            context.as_ptr(),
            devices.add(idx),
            properties.cores,
            std::ptr::null_mut(),
        )
    });
    connection.ok_or_else(|| {
        // SAFETY: the context is alive, and no other call came between.
        let failure = unsafe { Failure::last(&context.library, "axr_device_connect", context.object()) };
        let cores = properties.cores;
        failure.with(&format!("for {cores} of the cores of `{}`", names[idx])).in_setup(device)
    })
}

/// Which of the devices is meant.
pub(crate) fn find(names: &[String], wanted: Option<&str>) -> Result<usize, String> {
    let Some(wanted) = wanted else { return Ok(0) };
    let found = names.iter().position(|name| name == wanted);
    found.ok_or_else(|| format!("no device is called `{wanted}`; there are {}", names.join(", ")))
}

/// Loads an instance on a connection that has none.
///
/// # Safety
///
/// The lock of `setup` is held, and the connection is alive.
unsafe fn load(
    loaded: &Loaded,
    connection: NonNull<sys::Connection>,
    device: &str,
    properties: &Properties,
) -> Result<NonNull<sys::ModelInstance>, DeviceError> {
    let context = &*loaded.context;
    // SAFETY: the lock is held for longer than these live.
    let given = unsafe { context.properties(&properties.to_string(), device) }?;
    // SAFETY: connection, model and properties are alive and of one context.
    let instance = NonNull::new(unsafe {
        (context.library.load_model_instance)(connection.as_ptr(), loaded.as_ptr(), given.as_ptr())
    });
    instance.ok_or_else(|| {
        let object = connection.as_ptr().cast_const().cast();
        // SAFETY: the connection is alive, and no other call came between.
        let failure = unsafe { Failure::last(&context.library, "axr_load_model_instance", object) };
        failure.with(&format!("with {properties}")).in_setup(device)
    })
}
