use foldhouse_examples::Latency;
use serde::Serialize;

/// What a run did and found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// All of them: reserved, refused and invalid.
    pub(crate) baskets: u64,
    /// Those that were reserved whole, and shipped: by earlier runs, too.
    pub(crate) reserved: u64,
    /// Those of which nothing was reserved, because of one product there was too little.
    pub(crate) refused: u64,
    /// Those with a row that makes no sense, of which nothing was asked for.
    pub(crate) invalid: u64,
    /// Events behind which more of a product was promised than there was.
    pub(crate) oversold: u64,
    /// Baskets that are neither whole nor absent, or are not what their caller was told.
    pub(crate) partial: u64,
    pub(crate) seconds: f64,
    pub(crate) baskets_per_second: f64,
    /// Those of the reserved ones that an earlier run had reserved.
    pub(crate) found: u64,
    pub(crate) invalid_rows: u64,
    /// Lines of the valid baskets.
    pub(crate) lines: u64,
    pub(crate) products: u64,
    pub(crate) deliveries: u64,
    /// Items whose state is not what the journal comes to.
    pub(crate) mismatches: u64,
    /// From the reservation to the shipment.
    pub(crate) latency_us: Latency,
    pub(crate) head_position: u64,
}

impl foldhouse_examples::Report for Report {
    fn holds(&self) -> bool {
        self.oversold == 0 && self.partial == 0 && self.mismatches == 0
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let Latency { p50, p99, max } = &self.latency_us;
        vec![
            ("baskets", self.baskets.to_string()),
            (
                "reserved",
                format!("{} ({} by an earlier run)", self.reserved, self.found),
            ),
            ("refused", self.refused.to_string()),
            (
                "invalid",
                format!("{} ({} rows)", self.invalid, self.invalid_rows),
            ),
            (
                "lines",
                format!("{} of {} products", self.lines, self.products),
            ),
            ("deliveries", self.deliveries.to_string()),
            ("head position", self.head_position.to_string()),
            ("time", format!("{:.3} s", self.seconds)),
            (
                "throughput",
                format!("{:.0} baskets/s", self.baskets_per_second),
            ),
            (
                "latency",
                format!("p50 {p50:.0} us, p99 {p99:.0} us, max {max:.0} us"),
            ),
            ("oversold", self.oversold.to_string()),
            ("partial", self.partial.to_string()),
            ("mismatches", self.mismatches.to_string()),
        ]
    }
}
