use foldhouse_examples::Latency;
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
    /// The customers' accounts; the bank's own are not counted.
    pub(crate) accounts: u64,
    pub(crate) seconds: f64,
    pub(crate) postings_per_second: f64,
    pub(crate) latency_us: Latency,
    /// In postings, with the events of each.
    pub(crate) raw_log_per_second: f64,
    pub(crate) head_position: u64,
    pub(crate) reopen_seconds: f64,
    /// The journal entries in the books: those of earlier runs, too.
    pub(crate) entries: u64,
    /// Appends behind which all debits were compared with all credits: the entries, and the openings of accounts.
    pub(crate) trial_balance_checks: u64,
    /// Those behind which they were not the same.
    pub(crate) unbalanced: u64,
}

impl foldhouse_examples::Report for Report {
    fn holds(&self) -> bool {
        self.mismatches == 0 && self.rehydrated_mismatches == 0 && self.unbalanced == 0
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let Latency { p50, p99, max } = &self.latency_us;
        let ratio = self.postings_per_second / self.raw_log_per_second.max(1.0);
        vec![
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
            ("journal entries", self.entries.to_string()),
            (
                "trial balance",
                format!(
                    "compared {} times, {} times not balanced",
                    self.trial_balance_checks, self.unbalanced
                ),
            ),
        ]
    }
}
