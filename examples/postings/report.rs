use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// What a run did and found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) postings: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) invalid: u64,
    pub(crate) mismatches: u64,
    pub(crate) rehydrated_mismatches: u64,
    pub(crate) accounts: u64,
    pub(crate) seconds: f64,
    pub(crate) postings_per_second: f64,
    pub(crate) latency_us: Latency,
    pub(crate) raw_log_per_second: f64,
    pub(crate) head_position: u64,
    pub(crate) reopen_seconds: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Latency {
    /// From a histogram of nanoseconds.
    pub(crate) fn of(nanos: &Histogram<u64>) -> Self {
        let micros = |value: u64| Duration::from_nanos(value).as_secs_f64() * 1e6;
        Self {
            p50: micros(nanos.value_at_quantile(0.5)),
            p99: micros(nanos.value_at_quantile(0.99)),
            max: micros(nanos.max()),
        }
    }
}

impl Report {
    pub(crate) fn holds(&self) -> bool {
        self.mismatches == 0 && self.rehydrated_mismatches == 0
    }

    pub(crate) fn table(&self) -> String {
        let Latency { p50, p99, max } = &self.latency_us;
        let ratio = self.postings_per_second / self.raw_log_per_second.max(1.0);
        let rows = [
            ("postings", self.postings.to_string()),
            ("accepted", self.accepted.to_string()),
            ("rejected", self.rejected.to_string()),
            ("invalid rows", self.invalid.to_string()),
            ("accounts", self.accounts.to_string()),
            ("head position", self.head_position.to_string()),
            ("time", format!("{:.3} s", self.seconds)),
            (
                "throughput",
                format!("{:.0} postings/s", self.postings_per_second),
            ),
            (
                "raw-log limit",
                format!(
                    "{:.0} postings/s (ours is {ratio:.2} of it)",
                    self.raw_log_per_second
                ),
            ),
            (
                "latency",
                format!("p50 {p50:.0} us, p99 {p99:.0} us, max {max:.0} us"),
            ),
            ("reopened in", format!("{:.3} s", self.reopen_seconds)),
            ("mismatches", self.mismatches.to_string()),
            (
                "after reopening",
                format!("{} mismatches", self.rehydrated_mismatches),
            ),
        ];
        let line = |(name, value): &(&str, String)| format!("{name:<16} {value}\n");
        rows.iter().map(line).collect()
    }
}
