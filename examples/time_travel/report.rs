use foldhouse_examples::{Failure, Latency, fail};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::long_account::LongAccount;
use crate::questions::{Asked, Tally};

/// What is asked about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Version,
    Effective,
    Recorded,
    Bitemporal,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [
        Self::Version,
        Self::Effective,
        Self::Recorded,
        Self::Bitemporal,
    ];
}

/// What a run did and found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Over all kinds.
    pub(crate) queries: u64,
    pub(crate) mismatches: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) accounts: u64,
    pub(crate) rows: u64,
    pub(crate) invalid: u64,
    /// Rows that count before one that was posted earlier.
    pub(crate) back_dated: u64,
    pub(crate) by_version: OfKind,
    pub(crate) by_effective_time: OfKind,
    pub(crate) by_recorded_time: OfKind,
    pub(crate) by_both_times: OfKind,
    pub(crate) long_account: LongAccount,
}

/// Questions of one kind.
#[derive(Debug, Serialize)]
pub(crate) struct OfKind {
    pub(crate) queries: u64,
    pub(crate) mismatches: u64,
    pub(crate) latency_us: Latency,
}

impl OfKind {
    fn of(tally: &Tally) -> Self {
        Self {
            queries: tally.nanos.len(),
            mismatches: tally.mismatches,
            latency_us: Latency::of(&tally.nanos),
        }
    }
}

/// What the books were.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) accounts: u64,
    pub(crate) rows: u64,
    pub(crate) invalid: u64,
    pub(crate) back_dated: u64,
}

impl Report {
    pub(crate) fn new(
        counts: Counts,
        asked: &Asked,
        long_account: LongAccount,
    ) -> Result<Self, Failure> {
        let mut all = Histogram::new(3).map_err(fail)?;
        for (_, tally) in &asked.kinds {
            all.add(&tally.nanos).map_err(fail)?;
        }
        let latency = Latency::of(&all);
        let kind = |kind| OfKind::of(asked.tally(kind));
        Ok(Self {
            queries: all.len(),
            mismatches: asked.wrong.count(),
            p50_us: latency.p50,
            p99_us: latency.p99,
            accounts: counts.accounts,
            rows: counts.rows,
            invalid: counts.invalid,
            back_dated: counts.back_dated,
            by_version: kind(Kind::Version),
            by_effective_time: kind(Kind::Effective),
            by_recorded_time: kind(Kind::Recorded),
            by_both_times: kind(Kind::Bitemporal),
            long_account,
        })
    }
}

impl foldhouse_examples::Report for Report {
    fn holds(&self) -> bool {
        self.mismatches == 0 && self.queries > 0
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let kind = |kind: &OfKind| {
            let Latency { p50, p99, .. } = &kind.latency_us;
            format!(
                "{} asked, {} wrong, p50 {p50:.0} us, p99 {p99:.0} us",
                kind.queries, kind.mismatches
            )
        };
        let Latency { p99, .. } = &self.long_account.without_snapshots_us.version;
        let Latency {
            p99: from_snapshot, ..
        } = &self.long_account.with_snapshots_us.version;
        vec![
            (
                "rows",
                format!(
                    "{} of {} accounts, {} back-dated, {} left out",
                    self.rows, self.accounts, self.back_dated, self.invalid
                ),
            ),
            ("by version", kind(&self.by_version)),
            ("by effective", kind(&self.by_effective_time)),
            ("by recorded", kind(&self.by_recorded_time)),
            ("by both times", kind(&self.by_both_times)),
            (
                "long account",
                format!(
                    "any of {} versions: p99 {p99:.0} us, with kept snapshots {from_snapshot:.0} us",
                    self.long_account.events
                ),
            ),
            ("mismatches", self.mismatches.to_string()),
        ]
    }
}
