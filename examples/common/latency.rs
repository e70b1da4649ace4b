use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// How long callers waited for their answers, in microseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// Half of them waited no longer.
    pub p50: f64,
    /// 99 of 100 waited no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Latency {
    /// From a histogram of nanoseconds.
    #[must_use]
    pub fn of(nanos: &Histogram<u64>) -> Self {
        let micros = |value: u64| Duration::from_nanos(value).as_secs_f64() * 1e6;
        Self {
            p50: micros(nanos.value_at_quantile(0.5)),
            p99: micros(nanos.value_at_quantile(0.99)),
            max: micros(nanos.max()),
        }
    }
}

/// So many in that time, a second.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "a rate for people to read")]
pub fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(f64::MIN_POSITIVE)
}
