//! CUDA C++ to PTX, by NVRTC where it is installed.

use std::ffi::{CStr, CString, c_char, c_int, c_uint};
use std::ptr;
use std::sync::OnceLock;

use cudarc::nvrtc::sys::{self, nvrtcProgram};

const ERROR_COMPILATION: c_uint = 6;

/// NVRTC's functions, with codes as numbers, as in `driver/functions.rs` and for its reasons.
macro_rules! functions {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {
        #[allow(non_snake_case)] // as `nvrtc.h` has them
        struct Nvrtc {
            $($name: unsafe extern "C" fn($($type),*) -> c_uint,)*
        }

        impl Nvrtc {
            fn of_library() -> Result<Self, String> {
                // SAFETY: the caller has seen that the library is present, so this does not panic.
                let library = unsafe { sys::culib() };
                Ok(Nvrtc {$(
                    // SAFETY: the type is that of the function of this name in `nvrtc.h`.
                    $name: *unsafe {
                        library.get::<unsafe extern "C" fn($($type),*) -> c_uint>(stringify!($name).as_bytes())
                    }
                    .map_err(|_| format!("NVRTC has no {}: it is older than CUDA 11.4; update it", stringify!($name)))?,
                )*})
            }
        }
    };
}

functions! {
    nvrtcVersion(major: *mut c_int, minor: *mut c_int);
    nvrtcGetNumSupportedArchs(count: *mut c_int);
    nvrtcGetSupportedArchs(archs: *mut c_int);
    nvrtcCreateProgram(
        program: *mut nvrtcProgram,
        source: *const c_char,
        name: *const c_char,
        headers_len: c_int,
        headers: *const *const c_char,
        include_names: *const *const c_char
    );
    nvrtcCompileProgram(program: nvrtcProgram, options_len: c_int, options: *const *const c_char);
    nvrtcDestroyProgram(program: *mut nvrtcProgram);
    nvrtcGetProgramLogSize(program: nvrtcProgram, size: *mut usize);
    nvrtcGetProgramLog(program: nvrtcProgram, log: *mut c_char);
    nvrtcGetPTXSize(program: nvrtcProgram, size: *mut usize);
    nvrtcGetPTX(program: nvrtcProgram, ptx: *mut c_char);
}

fn nvrtc() -> Result<&'static Nvrtc, &'static str> {
    static NVRTC: OnceLock<Result<Nvrtc, String>> = OnceLock::new();
    let load = || {
        // SAFETY: it opens shared libraries by NVRTC's names, which runs their initialisers and nothing of ours.
        if !unsafe { sys::is_culib_present() } {
            return Err("CUDA C++ needs NVRTC (libnvrtc.so), which is not here: install the CUDA toolkit or \
                        `pip install nvidia-cuda-nvrtc-cu12` and add its folder to LD_LIBRARY_PATH, or give the model \
                        PTX"
                .into());
        }
        Nvrtc::of_library()
    };
    NVRTC.get_or_init(load).as_ref().map_err(String::as_str)
}

/// A source on its way through NVRTC.
struct Program {
    nvrtc: &'static Nvrtc,
    raw: nvrtcProgram,
}

/// Compiles CUDA C++ for a GPU of this compute capability (90 is 9.0), with options as on NVRTC's command line. An
/// architecture among the options goes before that of the GPU.
///
/// # Errors
///
/// What is missing, or what the compiler said.
pub(crate) fn compile(source: &str, name: &str, options: &str, capability: u32) -> Result<Vec<u8>, String> {
    let nvrtc = nvrtc()?;
    let c_string = |text: &str, what| CString::new(text).map_err(|_| format!("{what} has a zero byte in it"));
    let (source, name) = (c_string(source, "the source")?, c_string(name, "the name")?);
    let mut arguments = Vec::new();
    for option in options.split_whitespace() {
        arguments.push(c_string(option, "an option")?);
    }
    if !options.contains("-arch") && !options.contains("--gpu-architecture") {
        arguments
            .push(c_string(&format!("--gpu-architecture=compute_{}", nvrtc.newest_for(capability)?), "")?);
    }
    let program = Program::new(nvrtc, &source, &name)?;
    program.compile(&arguments)?;
    program.ptx()
}

impl Nvrtc {
    fn check(call: &str, code: c_uint) -> Result<(), String> {
        if code == 0 { Ok(()) } else { Err(format!("{call} failed with NVRTC error {code}")) }
    }

    /// The newest architecture this NVRTC compiles for that a GPU of this capability runs.
    fn newest_for(&self, capability: u32) -> Result<c_int, String> {
        let mut count = 0;
        // SAFETY: `count` outlives the call that writes it.
        Nvrtc::check("nvrtcGetNumSupportedArchs", unsafe { (self.nvrtcGetNumSupportedArchs)(&mut count) })?;
        let mut archs = vec![0; usize::try_from(count).unwrap_or(0)];
        // SAFETY: the call writes as many as it has just said.
        Nvrtc::check("nvrtcGetSupportedArchs", unsafe { (self.nvrtcGetSupportedArchs)(archs.as_mut_ptr()) })?;
        let fitting =
            archs.iter().copied().filter(|&arch| u32::try_from(arch).is_ok_and(|a| a <= capability));
        fitting.max().ok_or_else(|| {
            let (mut major, mut minor) = (0, 0);
            // SAFETY: both outlive the call that writes them.
            unsafe { (self.nvrtcVersion)(&mut major, &mut minor) };
            format!(
                "NVRTC {major}.{minor} no longer compiles for GPUs of compute capability {}.{}; use an older one",
                capability / 10,
                capability % 10
            )
        })
    }
}

impl Program {
    fn new(nvrtc: &'static Nvrtc, source: &CStr, name: &CStr) -> Result<Self, String> {
        let mut raw = ptr::null_mut();
        // SAFETY: both texts end with a zero, there are no headers, and `raw` outlives the call that writes it.
        let code = unsafe {
            (nvrtc.nvrtcCreateProgram)(&mut raw, source.as_ptr(), name.as_ptr(), 0, ptr::null(), ptr::null())
        };
        Nvrtc::check("nvrtcCreateProgram", code)?;
        Ok(Program { nvrtc, raw })
    }

    fn compile(&self, options: &[CString]) -> Result<(), String> {
        let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: the program exists, and each option is a text that ends with a zero and outlives the call.
        let code =
            unsafe { (self.nvrtc.nvrtcCompileProgram)(self.raw, pointers.len() as c_int, pointers.as_ptr()) };
        match code {
            ERROR_COMPILATION => Err(format!("it does not compile:\n{}", self.log().trim())),
            code => Nvrtc::check("nvrtcCompileProgram", code).map_err(|error| match self.log().trim() {
                "" => error,
                log => format!("{error}: {log}"),
            }),
        }
    }

    fn log(&self) -> String {
        let mut size = 0;
        // SAFETY: the program exists, and `size` outlives the call that writes it.
        if unsafe { (self.nvrtc.nvrtcGetProgramLogSize)(self.raw, &mut size) } != 0 {
            return String::new();
        }
        let mut log = vec![0_u8; size];
        // SAFETY: the call writes as many bytes as it has just said.
        unsafe { (self.nvrtc.nvrtcGetProgramLog)(self.raw, log.as_mut_ptr().cast()) };
        String::from_utf8_lossy(&log).trim_end_matches('\0').to_owned()
    }

    fn ptx(&self) -> Result<Vec<u8>, String> {
        let mut size = 0;
        // SAFETY: the program is compiled, and `size` outlives the call that writes it.
        Nvrtc::check("nvrtcGetPTXSize", unsafe { (self.nvrtc.nvrtcGetPTXSize)(self.raw, &mut size) })?;
        let mut ptx = vec![0_u8; size];
        // SAFETY: the call writes as many bytes as it has just said.
        Nvrtc::check("nvrtcGetPTX", unsafe { (self.nvrtc.nvrtcGetPTX)(self.raw, ptx.as_mut_ptr().cast()) })?;
        Ok(ptx)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: it was created once, and nothing of it is used any more.
        unsafe { (self.nvrtc.nvrtcDestroyProgram)(&mut self.raw) };
    }
}
