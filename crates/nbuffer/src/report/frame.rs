//! The file itself: styles, scripts, data, and the policy that forbids every request.

use std::io;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use nbuffer_core::summary::Summary;
use serde::Serialize;

use super::latency::Histogram;
use super::picture::Picture;
use super::plan::Curve;

/// A page around what it says.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    pub(super) summaries: &'a [Embedded<'a>],
    /// What its charts draw, if it has any.
    pub(super) data: Option<&'a Data<'a>>,
    pub(super) body: Markup,
}

/// A summary that can be read back from the page.
pub(super) struct Embedded<'a> {
    pub(super) id: &'static str,
    pub(super) summary: &'a Summary,
}

/// What the charts draw. Times of the pipeline are nanoseconds, all others seconds.
#[derive(Serialize)]
pub(super) struct Data<'a> {
    pub(super) pipeline: Option<&'a Picture>,
    pub(super) latency: Option<&'a Histogram>,
    pub(super) throughput: Option<&'a Curve>,
}

const STYLE: &str = include_str!("report.css");
/// The part of Observable Plot that `report.js` uses; see `vendor/`.
const PLOT: &str = include_str!("vendor/plot.min.js");
const LICENSES: &str = include_str!("vendor/LICENSES.txt");
const SCRIPT: &str = include_str!("report.js");

/// Only these two scripts run, whatever else a page may come to hold: their SHA-256 as policies write it. Nothing is
/// loaded from anywhere. The charts set styles of their own, so that styles may be anywhere in the page.
const PLOT_HASH: &str = "UDakPZgRv3GUUS9cH2Xfw4QT1vP3D13e9StvGrrh6nk=";
const SCRIPT_HASH: &str = "rV+wPk+Yrv+dby2lbTN3w7mJHFuhWVr+pR3jRXRrXGg=";

fn policy() -> String {
    format!(
        "default-src 'none'; script-src 'sha256-{PLOT_HASH}' 'sha256-{SCRIPT_HASH}'; style-src 'unsafe-inline'; \
         base-uri 'none'; form-action 'none'"
    )
}

impl Frame<'_> {
    pub(super) fn write(self, mut out: impl io::Write) -> io::Result<()> {
        let draws = self.data.is_some();
        let mut embedded = Vec::new();
        for Embedded { id, summary } in self.summaries {
            embedded.push((*id, json(summary)?));
        }
        if let Some(data) = self.data {
            embedded.push(("data", json(data)?));
        }
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy());
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="generator" content=(concat!("nbuffer ", env!("CARGO_PKG_VERSION")));
                    title { (self.title) " \u{2013} nbuffer" }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    main {
                        header { p .kind { "nbuffer report" } h1 { (self.title) } }
                        (self.body)
                    }
                    footer {
                        p { "Written by nbuffer " (env!("CARGO_PKG_VERSION")) ". This file loads nothing and sends nothing." }
                        @if draws {
                            details { summary { "Licences of what draws the charts" } pre { (LICENSES) } }
                        }
                    }
                    @for (id, json) in &embedded {
                        script type="application/json" id=(id) { (PreEscaped(json)) }
                    }
                    @if draws {
                        script { (PreEscaped(PLOT)) }
                        script { (PreEscaped(SCRIPT)) }
                    }
                }
            }
        };
        out.write_all(page.into_string().as_bytes())
    }
}

/// JSON that can stand in a script element: nothing in it ends one or begins a comment.
fn json(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_policy_lets_exactly_these_scripts_run() {
        let hash = |script: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(script));
        assert_eq!(PLOT_HASH, hash(PLOT), "of vendor/plot.min.js: put the right one into PLOT_HASH");
        assert_eq!(SCRIPT_HASH, hash(SCRIPT), "of report.js: put the right one into SCRIPT_HASH");
    }

    #[test]
    fn scripts_and_styles_stay_within_their_elements() {
        for text in [PLOT, SCRIPT, STYLE] {
            let lower = text.to_lowercase();
            assert!(!lower.contains("</script") && !lower.contains("</style") && !lower.contains("<!--"));
        }
    }

    #[test]
    fn json_cannot_leave_its_element() {
        let names = ["</script><script>alert(1)</script>", "<!--"];
        let json = json(&names).unwrap();
        assert!(!json.contains('<'), "{json}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), names);
    }
}
