//! Which OpenCL devices are here, and which one a name means.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use opencl3::device::{CL_DEVICE_TYPE_ACCELERATOR, CL_DEVICE_TYPE_ALL, CL_DEVICE_TYPE_GPU, Device};
use opencl3::error_codes::{
    CL_DEVICE_NOT_FOUND, CL_PLATFORM_NOT_FOUND_KHR, ClError, DLOPEN_FUNCTION_NOT_AVAILABLE,
    DLOPEN_RUNTIME_LOAD_FAILED,
};
use opencl3::platform::{Platform, get_platforms};

const GET_LIBRARY: &str = "install the loader (Debian and Ubuntu: `apt install ocl-icd-libopencl1`) and a driver, or \
    name the library in OPENCL_DYLIB_PATH";
const GET_DRIVER: &str = "install one: the GPU vendor's, `intel-opencl-icd`, or for the CPU `pocl-opencl-icd` (Debian \
    and Ubuntu)";

/// An OpenCL device that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name that means this device and no other: `opencl:0:0`.
    pub name: String,
    /// The platform's own name: `Portable Computing Language`.
    pub platform: String,
    /// The device's own name.
    pub device: String,
}

/// The OpenCL devices of this machine, in the order of their indices.
///
/// # Errors
///
/// Without a library, a platform or a device: a sentence that says which is missing and how to get it.
pub fn list() -> Result<Vec<Listed>, String> {
    Ok(all()?.iter().map(Found::listed).collect())
}

/// A device that is here, and what it says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) device: Device,
    place: Place,
    driver: String,
    version: String,
    pub(crate) compute_units: usize,
    pub(crate) memory_bytes: u64,
    /// The largest single memory object.
    pub(crate) buffer_bytes_max: u64,
    /// Whether its memory is the host's.
    pub(crate) shares_memory: bool,
    pub(crate) has_compiler: bool,
    /// The most work items of a group, in each dimension.
    pub(crate) group_max: Vec<usize>,
    is_available: bool,
    is_little_endian: bool,
}

/// Where a device is among the others, and what it is called.
#[derive(Clone, Debug)]
struct Place {
    platform_index: usize,
    platform: String,
    device_index: usize,
    device: String,
    is_accelerator: bool,
}

impl Found {
    fn new(platform: (usize, &str), index: usize, device: Device) -> Result<Self, ClError> {
        let kind = device.dev_type()?;
        Ok(Found {
            place: Place {
                platform_index: platform.0,
                platform: platform.1.to_owned(),
                device_index: index,
                device: text(device.name()?),
                is_accelerator: kind & (CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR) != 0,
            },
            driver: text(device.driver_version()?),
            version: text(device.version()?),
            compute_units: device.max_compute_units()? as usize,
            memory_bytes: device.global_mem_size()?,
            buffer_bytes_max: device.max_mem_alloc_size()?,
            // Deprecated since OpenCL 2.0, so that a driver may refuse to say.
            shares_memory: device.host_unified_memory().unwrap_or(false),
            has_compiler: device.compiler_available()?,
            group_max: device.max_work_item_sizes()?,
            is_available: device.available()?,
            is_little_endian: device.endian_little()?,
            device,
        })
    }

    fn listed(&self) -> Listed {
        let Place { platform_index, platform, device_index, device, .. } = &self.place;
        Listed {
            name: format!("opencl:{platform_index}:{device_index}"),
            platform: platform.clone(),
            device: device.clone(),
        }
    }

    /// What keeps this device from being used, if anything does.
    pub(crate) fn refusal(&self) -> Option<String> {
        if !self.is_available {
            return Some(format!("the driver says that {} is not available now", self.place.device));
        }
        (!self.is_little_endian)
            .then(|| format!("{} is big-endian, and tensors are little-endian", self.place.device))
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { platform, device, .. } = &self.place;
        write!(f, "{device} of {platform}, driver {}, {}", self.driver, self.version)
    }
}

/// Drivers pad their texts.
fn text(said: String) -> String {
    said.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned()
}

/// The device that `name` means: `opencl`, `opencl:PLATFORM` or `opencl:PLATFORM:DEVICE`.
///
/// Without a device it is the first GPU or accelerator of those meant, or else the first device at all.
pub(crate) fn find(name: &str) -> Result<Found, String> {
    let found = all()?;
    let places: Vec<&Place> = found.iter().map(|found| &found.place).collect();
    let chosen = choose(name, &places)?;
    Ok(found[chosen].clone())
}

/// All devices, or why there is none.
fn all() -> Result<Vec<Found>, String> {
    // Asked by two threads at first, PoCL 3.1 shows the second one devices that are half set up.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one_at_a_time = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let platforms = get_platforms().map_err(|error| no_platforms(&error))?;
    if platforms.is_empty() {
        return Err(no_platforms(&ClError(CL_PLATFORM_NOT_FOUND_KHR)));
    }
    let mut found = Vec::new();
    let mut without = Vec::new();
    for (index, platform) in platforms.iter().enumerate() {
        let name = platform.name().map_or_else(|_| format!("platform {index}"), text);
        match devices_of(platform, (index, &name)) {
            Ok(devices) if devices.is_empty() => without.push(format!("{name}: none")),
            Ok(devices) => found.extend(devices),
            Err(error) => without.push(format!("{name}: {error} ({})", error.0)),
        }
    }
    if found.is_empty() {
        return Err(format!(
            "no OpenCL platform has a device ({}): see whether the hardware is there and this user may open it, or {}",
            without.join("; "),
            GET_DRIVER
        ));
    }
    Ok(found)
}

/// What is missing when not even platforms can be asked for.
fn no_platforms(error: &ClError) -> String {
    match error.0 {
        DLOPEN_RUNTIME_LOAD_FAILED => format!("there is no OpenCL library (libOpenCL.so.1): {GET_LIBRARY}"),
        DLOPEN_FUNCTION_NOT_AVAILABLE => {
            "what OPENCL_DYLIB_PATH names is no OpenCL library: name one, or unset it".to_owned()
        }
        CL_PLATFORM_NOT_FOUND_KHR => {
            format!("the OpenCL library is here, but no driver (no platform): {GET_DRIVER}")
        }
        code => format!("clGetPlatformIDs: {error} ({code})"),
    }
}

fn devices_of(platform: &Platform, of: (usize, &str)) -> Result<Vec<Found>, ClError> {
    match platform.get_devices(CL_DEVICE_TYPE_ALL) {
        Err(ClError(CL_DEVICE_NOT_FOUND)) => Ok(Vec::new()),
        Err(error) => Err(error),
        Ok(ids) => {
            ids.into_iter().enumerate().map(|(index, id)| Found::new(of, index, Device::new(id))).collect()
        }
    }
}

/// Which of these devices `name` means. A platform or device is told by its index or by a part of its name.
fn choose(name: &str, places: &[&Place]) -> Result<usize, String> {
    let mut asked = name.split(':').skip(1);
    let (platform, device, rest) = (asked.next(), asked.next(), asked.next());
    if rest.is_some() || platform == Some("") || device == Some("") {
        return Err(format!("`{name}` is not of the form opencl, opencl:PLATFORM or opencl:PLATFORM:DEVICE"));
    }
    let meant = |place: &Place| {
        is_meant(platform, place.platform_index, &place.platform)
            && is_meant(device, place.device_index, &place.device)
    };
    let candidates: Vec<usize> = (0..places.len()).filter(|&index| meant(places[index])).collect();
    let first_platform = candidates.first().map(|&first| places[first].platform_index);
    let first = candidates
        .iter()
        .copied()
        .find(|&index| places[index].is_accelerator)
        .or(candidates.first().copied())
        .ok_or_else(|| format!("no OpenCL device fits `{name}`; here are {}", listing(places)))?;
    let of_several_platforms =
        candidates.iter().any(|&index| Some(places[index].platform_index) != first_platform);
    // What was named must be one thing; what was left open may be chosen.
    let is_ambiguous =
        (platform.is_some() && of_several_platforms) || (device.is_some() && candidates.len() > 1);
    if is_ambiguous {
        let these: Vec<&Place> = candidates.iter().map(|&index| places[index]).collect();
        return Err(format!("`{name}` fits several OpenCL devices: {}", listing(&these)));
    }
    Ok(first)
}

fn is_meant(asked: Option<&str>, index: usize, name: &str) -> bool {
    asked.is_none_or(|asked| match asked.parse::<usize>() {
        Ok(number) => number == index,
        Err(_) => name.to_lowercase().contains(&asked.to_lowercase()),
    })
}

fn listing(places: &[&Place]) -> String {
    let one = |place: &&Place| {
        let Place { platform_index, platform, device_index, device, .. } = place;
        format!("opencl:{platform_index}:{device_index} ({device} of {platform})")
    };
    places.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(platform: (usize, &str), device: (usize, &str), is_accelerator: bool) -> Place {
        Place {
            platform_index: platform.0,
            platform: platform.1.to_owned(),
            device_index: device.0,
            device: device.1.to_owned(),
            is_accelerator,
        }
    }

    #[track_caller]
    fn check(name: &str, chosen: Result<usize, &str>) {
        let places = [
            place((0, "Portable Computing Language"), (0, "cpu-haswell"), false),
            place((2, "NVIDIA CUDA"), (0, "Tesla T4"), true),
            place((2, "NVIDIA CUDA"), (1, "Tesla V100"), true),
            place((3, "Portable Computing Test"), (0, "T-800"), false),
        ];
        let found = choose(name, &places.iter().collect::<Vec<_>>());
        match (&found, chosen) {
            (Err(why), Err(part)) => assert!(why.contains(part), "{name}: {why}"),
            _ => assert_eq!(found, chosen.map_err(str::to_owned), "{name}"),
        }
    }

    #[test]
    fn each_thing_that_may_be_missing_has_its_sentence() {
        for (code, words) in [
            (DLOPEN_RUNTIME_LOAD_FAILED, "no OpenCL library (libOpenCL.so.1): install the loader"),
            (DLOPEN_FUNCTION_NOT_AVAILABLE, "OPENCL_DYLIB_PATH"),
            (CL_PLATFORM_NOT_FOUND_KHR, "no driver (no platform): install one"),
            (-6, "clGetPlatformIDs: CL_OUT_OF_HOST_MEMORY (-6)"),
        ] {
            let why = no_platforms(&ClError(code));
            assert!(why.contains(words), "{why}");
        }
    }

    #[test]
    fn what_is_left_open_is_an_accelerator_first() {
        check("opencl", Ok(1));
        check("opencl:nvidia", Ok(1));
        check("opencl:0", Ok(0));
    }

    #[test]
    fn platforms_and_devices_are_told_by_index_or_by_a_part_of_their_name() {
        check("opencl:2:1", Ok(2));
        check("opencl:cuda:v100", Ok(2));
        check("opencl:Language:0", Ok(0));
    }

    #[test]
    fn what_fits_nothing_or_too_much_is_refused_with_what_there_is() {
        check("opencl:1", Err("no OpenCL device fits `opencl:1`; here are opencl:0:0 (cpu-haswell of"));
        check("opencl:portable", Err("several OpenCL devices: opencl:0:0 (cpu-haswell"));
        check("opencl:nvidia:tesla", Err("opencl:2:0 (Tesla T4 of NVIDIA CUDA), opencl:2:1"));
        check("opencl:0:0:0", Err("not of the form"));
        check("opencl:", Err("not of the form"));
    }
}
