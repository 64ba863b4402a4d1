//! The figures of a run while it goes on, for Prometheus.
//!
//! [`Metrics`] puts what an [`Observer`] sees into Prometheus' text format; a [`Listener`] serves it over HTTP at
//! `/metrics`. Names begin with `nbuffer_` and say their unit; all times are seconds.
//!
//! # A pipeline that can be watched
//!
//! ```
//! use nbuffer::BufferedMap;
//! use nbuffer::metrics::{Listener, Metrics};
//!
//! // Before anything runs, so that a port in use costs nothing.
//! let listener = Listener::bind("127.0.0.1:0")?;
//! println!("figures at {}", listener.url());
//!
//! let squares = (0..1000_u64).buffered_map(2, |x| x * x);
//! let metrics = Metrics::new(squares.observer(), vec![("model", "squares".to_owned())]);
//! let server = listener.serve(metrics)?;
//! assert_eq!(squares.count(), 1000);
//! drop(server); // nobody listens any more
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod families;
mod listener;
mod request;
mod server;

use std::sync::Arc;

use nbuffer_core::schedule::Totals;
use nbuffer_runtime::{Observer, Snapshot};

pub use listener::{BindError, Listener};
pub use server::Server;

/// Counts the items of a run, where they are not the pipeline's own: a batch is one item to the pipeline.
type Count = Arc<dyn Fn(&Snapshot) -> Totals + Send + Sync>;

/// The figures of a run, as often as they are asked for.
#[derive(Clone)]
pub struct Metrics {
    observer: Observer,
    info: Vec<(&'static str, String)>,
    lane_devices: Vec<String>,
    count: Count,
}

impl Metrics {
    /// The figures of the pipeline that `observer` sees. `info` is said of the run as labels of `nbuffer_run_info`,
    /// beside nbuffer's `version`: names of letters, digits and underscores, with any values.
    pub fn new(observer: Observer, info: Vec<(&'static str, String)>) -> Self {
        Metrics { observer, info, lane_devices: Vec::new(), count: Arc::new(|snapshot| snapshot.totals) }
    }

    /// The same for a run whose items are counted by `count`, on lanes of these devices.
    pub(crate) fn of_run(
        self,
        lane_devices: Vec<String>,
        count: impl Fn(&Snapshot) -> Totals + Send + Sync + 'static,
    ) -> Self {
        Metrics { lane_devices, count: Arc::new(count), ..self }
    }

    /// How the pipeline stands, and its items as they are counted here.
    pub(crate) fn look(&self) -> Option<(Snapshot, Totals)> {
        let snapshot = self.observer.snapshot()?;
        let items = (self.count)(&snapshot);
        Some((snapshot, items))
    }

    /// All figures in Prometheus' text format, version 0.0.4; `None` once the pipeline is gone.
    ///
    /// The pipeline is not held up: see [`Snapshot`].
    pub fn text(&self) -> Option<String> {
        let (snapshot, items) = self.look()?;
        let families = self.families(&snapshot, items);
        let text = prometheus::TextEncoder::new().encode_to_string(&families);
        Some(text.expect("every family has a name and a metric"))
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("info", &self.info).finish_non_exhaustive()
    }
}
