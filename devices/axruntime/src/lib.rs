//! The Axelera Metis as a device of nbuffer, through the vendor's runtime library.
//!
//! `libaxruntime.so` is loaded at run time; without it this crate builds, and says what is missing. Blocking calls, with
//! or without double buffering, and the asynchronous call where the library has it. Structs of the library are checked
//! against a known model before anything in them is relied on.
//!
//! **It has not met the real hardware.** The vendor's library and header are not public, so all of it is written from the
//! documentation and tested against a stand-in of this project's own with the same C interface. The `README.md` beside
//! this crate says what that leaves open.
//!
//! ```
//! use nbuffer_axruntime::AxDevice;
//! use nbuffer_runtime::Device;
//!
//! let device = AxDevice::new(None, Some("/no/such/libaxruntime.so".as_ref()));
//! let why = device.check().unwrap_err().to_string();
//! assert!(why.contains("AXRUNTIME_DYLIB_PATH"), "{why}");
//! ```

mod call;
mod context;
mod device;
mod failure;
mod instance;
mod layout;
mod library;
mod loaded;
mod queue;
mod sys;

pub use device::AxDevice;
