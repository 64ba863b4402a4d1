//! Numbers on a page: written for people, and marked with what they are, so that a program can check them.
//!
//! A number of the summary is a `<data>` element that says where in the summary it is (`data-path`) and what it is
//! there (`value`). `data-as="rest"` marks one that is shown as what is left of 1.

use maud::{Markup, html};
use nbuffer_core::plan::Time;

/// Refers to the numbers of one summary on the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    /// The element that holds the summary.
    run: &'static str,
}

impl Numbers {
    pub(super) const fn of(run: &'static str) -> Self {
        Numbers { run }
    }

    /// The id of the element that holds the summary.
    pub(super) const fn id(self) -> &'static str {
        self.run
    }

    pub(super) fn seconds(self, path: &str, value: f64) -> Markup {
        self.shown(path, value, &Time(value).to_string())
    }

    /// A fraction, in per cent.
    pub(super) fn percent(self, path: &str, value: f64) -> Markup {
        self.shown(path, value, &percent(value))
    }

    /// What a fraction leaves of 1, in per cent.
    pub(super) fn rest(self, path: &str, value: f64) -> Markup {
        html! {
            data value=(value) data-run=(self.run) data-path=(path) data-as="rest" { (percent(1.0 - value)) }
        }
    }

    pub(super) fn count(self, path: &str, value: u64) -> Markup {
        html! { data value=(value) data-run=(self.run) data-path=(path) { (count(value)) } }
    }

    /// Per second.
    pub(super) fn rate(self, path: &str, value: f64) -> Markup {
        self.shown(path, value, &rate(value))
    }

    pub(super) fn bytes(self, path: &str, value: u64) -> Markup {
        html! { data value=(value) data-run=(self.run) data-path=(path) { (bytesize::ByteSize(value)) } }
    }

    /// A number with no unit that is known.
    pub(super) fn plain(self, path: &str, value: f64) -> Markup {
        self.shown(path, value, &significant(value, 3.0))
    }

    fn shown(self, path: &str, value: f64, text: &str) -> Markup {
        html! { data value=(value) data-run=(self.run) data-path=(path) { (text) } }
    }
}

/// `85.3 %`.
pub(super) fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

/// Thousands apart, from five digits on.
pub(super) fn count(value: u64) -> String {
    grouped(&value.to_string())
}

/// Per second, to four digits or to whole numbers.
pub(super) fn rate(value: f64) -> String {
    grouped(&significant(value, 4.0))
}

/// To so many digits, and no fewer than there are before the point.
fn significant(value: f64, wanted: f64) -> String {
    let digits: f64 = if value == 0.0 { 1.0 } else { value.abs().log10().floor() + 1.0 };
    let decimals = (wanted - digits).clamp(0.0, 9.0) as usize;
    format!("{value:.decimals$}")
}

/// `1.25x`.
pub(super) fn times(factor: f64) -> String {
    if factor >= 99.5 { format!("{factor:.0}x") } else { format!("{factor:.2}x") }
}

/// `1 item`, `2 items`.
pub(super) fn plural(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{} {what}s", count(n)) }
}

/// Digits before the point in groups of three, where there are five or more: `12 345.6`, with narrow spaces that do
/// not break.
fn grouped(number: &str) -> String {
    let (whole, fraction) = number.split_at(number.find('.').unwrap_or(number.len()));
    if whole.len() < 5 || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return number.to_owned();
    }
    let mut text = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let rates = [0.0, 0.01234, 6.54321, 999.96, 6734.4, 12345.6, 1234567.8].map(rate);
        assert_eq!(
            rates,
            ["0.000", "0.01234", "6.543", "1000.0", "6734", "12\u{202f}346", "1\u{202f}234\u{202f}568"]
        );
        assert_eq!([0, 9999, 10_000].map(count), ["0", "9999", "10\u{202f}000"]);
        assert_eq!([0.853, 1.0].map(percent), ["85.3 %", "100.0 %"]);
        assert_eq!([1.254, 250.4].map(times), ["1.25x", "250x"]);
    }

    #[test]
    fn a_number_says_where_it_comes_from() {
        let shown = Numbers::of("summary").seconds("plan.period_s", 0.0025).into_string();
        assert_eq!(
            shown,
            r#"<data value="0.0025" data-run="summary" data-path="plan.period_s">2.50 ms</data>"#
        );
    }
}
