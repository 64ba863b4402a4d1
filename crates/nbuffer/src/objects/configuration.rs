//! What a device can be configured to. A simulated device keeps the values and goes on as its profile says.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use super::error::Error;

const CLOCKS_MHZ: [u64; 6] = [100, 200, 400, 600, 700, 800];

/// The configuration of one device, by the vendor's keys.
#[derive(Debug)]
pub(super) struct Configuration(Mutex<BTreeMap<String, u64>>);

impl Default for Configuration {
    /// What a device has when nobody configured it.
    fn default() -> Self {
        let per_core =
            |key: &'static str, value| (0..4).map(move |core| (format!("{key}_core_{core}"), value));
        let values = [("clock_profile".to_owned(), 800), ("ddr_size".to_owned(), 0x4000_0000)].into_iter();
        let values = values.chain(per_core("clock_profile", 800)).chain(per_core("mvm_utilisation", 100));
        Configuration(Mutex::new(values.collect()))
    }
}

impl Configuration {
    /// Takes all of these values, or none.
    pub(super) fn set(&self, device: &str, values: &[(String, String)]) -> Result<(), Error> {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = now.clone();
        for (key, value) in values {
            let refused = |why: String| {
                let (device, key, value) = (device.to_owned(), key.clone(), value.clone());
                Error::Configuration { device, key, value, why }
            };
            let Some(number) = number(value) else {
                return Err(refused("a whole number that is not negative is needed".to_owned()));
            };
            // Reloads the firmware there is, which leaves nothing behind.
            if key == "device_firmware" {
                continue;
            }
            let Some(current) = next.get_mut(key) else {
                let known: Vec<&str> = now.keys().map(String::as_str).collect();
                return Err(refused(format!("no such key; known are {}, device_firmware", known.join(", "))));
            };
            if key.starts_with("clock_profile") && !CLOCKS_MHZ.contains(&number) {
                return Err(refused(format!("clocks are one of {CLOCKS_MHZ:?} MHz")));
            }
            if key.starts_with("mvm_utilisation") && !(1..=100).contains(&number) {
                return Err(refused("a limit is 1 to 100 percent".to_owned()));
            }
            *current = number;
            if key == "clock_profile" {
                (0..4).for_each(|core| *next.entry(format!("{key}_core_{core}")).or_default() = number);
            }
        }
        *now = next;
        Ok(())
    }

    pub(super) fn read(&self) -> BTreeMap<String, String> {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
    }
}

/// A number as people write sizes: decimal, or hexadecimal with `0x`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(configuration: &Configuration, key: &str, value: &str) -> Result<(), String> {
        let values = [("ddr_size".to_owned(), "0x80000000".to_owned()), (key.to_owned(), value.to_owned())];
        configuration.set("sim", &values).map_err(|error| error.to_string())
    }

    #[test]
    fn a_clock_for_all_is_one_for_each() {
        let configuration = Configuration::default();
        set(&configuration, "clock_profile", "400").unwrap();
        let values = configuration.read();
        assert_eq!(
            (values["clock_profile_core_3"].as_str(), values["ddr_size"].as_str()),
            ("400", "2147483648")
        );
    }

    #[test]
    fn one_wrong_value_changes_nothing() {
        for (key, value, why) in [
            ("clock_profile", "123", "clocks are one of"),
            ("mvm_utilisation_core_1", "101", "1 to 100 percent"),
            ("turbo", "1", "no such key"),
            ("ddr_size", "much", "a whole number"),
        ] {
            let configuration = Configuration::default();
            let said = set(&configuration, key, value).unwrap_err();
            assert!(said.contains(why) && said.contains(&format!("{key}={value}")), "{said}");
            assert_eq!(configuration.read(), Configuration::default().read());
        }
    }
}
