use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::{Failure, fail};

/// How many latencies a caller keeps to itself before it adds them to those of all: a histogram for each caller would
/// take megabytes that the processor's caches are needed for, and a lock for each call would be measured as well.
const KEPT: usize = 64;

/// The latencies of all callers.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    nanos: Arc<Mutex<Histogram<u64>>>,
}

/// What one caller adds to them.
#[derive(Debug)]
pub(crate) struct Recorder {
    all: Latencies,
    kept_nanos: Vec<u64>,
}

impl Latencies {
    pub(crate) fn new() -> Result<Self, Failure> {
        let nanos = Histogram::new(3).map_err(fail)?;
        Ok(Self {
            nanos: Arc::new(Mutex::new(nanos)),
        })
    }

    pub(crate) fn recorder(&self) -> Recorder {
        Recorder {
            all: self.clone(),
            kept_nanos: Vec::with_capacity(KEPT),
        }
    }

    /// The latency that a share `quantile` of all calls stayed within, in microseconds.
    pub(crate) fn micros_at(&self, quantile: f64) -> f64 {
        let nanos = self.nanos.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_nanos(nanos.value_at_quantile(quantile)).as_secs_f64() * 1e6
    }
}

impl Recorder {
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.kept_nanos.push(nanos);
        if self.kept_nanos.len() >= KEPT {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let mut all = self
            .all
            .nanos
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for nanos in self.kept_nanos.drain(..) {
            // It grows as it needs to: every latency fits.
            let _ = all.record(nanos);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.flush();
    }
}
