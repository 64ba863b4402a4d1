//! How an instance is to be loaded: a struct for Rust, and the vendor's properties, which are strings.

use super::error::Error;

/// How an instance is to be loaded. The default leaves the choice to nbuffer and the device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceOptions {
    /// Overlap transfer and compute: call k then writes the result of call k - 2.
    pub double_buffer: bool,
    /// Cores of this instance; 0 is as many as the model's batch needs. More than the Connection has are refused, any
    /// other number changes nothing: [`ModelInstance::remarks`](super::ModelInstance::remarks) says so.
    pub num_sub_devices: usize,
    /// The share of the device's L2 memory, in quarters; 0 leaves it to the device. No device here can be told: see
    /// the remarks again.
    pub aipu_cores: usize,
    /// Buffers are file descriptors. No device here takes them.
    pub dma_buf: bool,
    /// Calls that return at once. Not here: a [`Pipeline`](crate::Pipeline) has many in flight.
    pub async_mode: bool,
    /// Properties that were given and have no effect here.
    pub without_effect: Vec<&'static str>,
}

/// The keys that [`InstanceOptions::from_properties`] knows.
pub const PROPERTIES: [&str; 11] = [
    "aipu_cores",
    "num_sub_devices",
    "input_dmabuf",
    "output_dmabuf",
    "double_buffer",
    "device_profiling",
    "host_profiling",
    "elf_in_ddr",
    "async_mode",
    "max_inflight",
    "max_pending",
];

impl InstanceOptions {
    /// The options that a vendor's properties stand for. Numbers other than 0 switch a flag on, as there.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownProperty`], and [`Error::Property`] for a value that is no number, `true` or `false`.
    pub fn from_properties<K: AsRef<str>, V: AsRef<str>>(
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, Error> {
        let mut options = InstanceOptions::default();
        for (key, value) in properties {
            let Some(key) = PROPERTIES.into_iter().find(|&known| known == key.as_ref()) else {
                return Err(Error::UnknownProperty { key: key.as_ref().to_owned() });
            };
            let number = number(key, value.as_ref())?;
            match key {
                "aipu_cores" if number > 4 => {
                    let (value, takes) = (value.as_ref().to_owned(), "0 to 4 quarters of the L2 memory");
                    return Err(Error::Property { key, value, takes });
                }
                "aipu_cores" => options.aipu_cores = number,
                "num_sub_devices" => options.num_sub_devices = number,
                "input_dmabuf" | "output_dmabuf" => options.dma_buf |= number != 0,
                "double_buffer" => options.double_buffer = number != 0,
                "async_mode" => options.async_mode = number != 0,
                "device_profiling" | "host_profiling" if number != 0 => options.without_effect.push(key),
                // The defaults of what has no effect ask for nothing.
                _ => {}
            }
        }
        Ok(options)
    }
}

fn number(key: &'static str, value: &str) -> Result<usize, Error> {
    match value {
        "true" | "True" => Ok(1),
        "false" | "False" => Ok(0),
        number => number.trim().parse().map_err(|_| {
            let takes = "a number that is not negative, or true or false";
            Error::Property { key, value: value.to_owned(), takes }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_words_and_booleans_mean_the_same() {
        for value in ["1", "true", "True", "4"] {
            let options = InstanceOptions::from_properties([("double_buffer", value)]).unwrap();
            assert!(options.double_buffer, "{value}");
        }
        let properties = [("double_buffer", "0"), ("num_sub_devices", "4"), ("elf_in_ddr", "1")];
        let options = InstanceOptions::from_properties(properties).unwrap();
        assert_eq!(options, InstanceOptions { num_sub_devices: 4, ..InstanceOptions::default() });
    }

    #[test]
    fn an_unknown_key_has_the_vendors_words() {
        let error = InstanceOptions::from_properties([("turbo", "1")]).unwrap_err();
        assert_eq!(error.to_string(), "Invalid properties: Unknown property key: turbo");
    }

    #[test]
    fn a_value_that_cannot_be_is_refused() {
        for (key, value) in [("double_buffer", "maybe"), ("aipu_cores", "5"), ("num_sub_devices", "-1")] {
            let error = InstanceOptions::from_properties([(key, value)]).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("Invalid properties: {key}={value}, ")),
                "{error}"
            );
        }
    }
}
