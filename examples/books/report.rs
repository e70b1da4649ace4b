use serde::Serialize;

/// What an import did and found.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) file: String,
    pub(crate) transactions: u64,
    pub(crate) postings: u64,
    /// Those that have something in the end.
    pub(crate) accounts: u64,
    pub(crate) commodities: u64,
    /// Balance assertions that hold.
    pub(crate) assertions: u64,
    pub(crate) errors: u64,
    /// Transactions of the file that the books had already.
    pub(crate) already_posted: u64,
    /// Transactions in the books that the file does not have.
    pub(crate) others: u64,
    /// From the first byte read to the last transaction durable.
    pub(crate) seconds: f64,
    pub(crate) transactions_per_second: f64,
    /// Of that, reading and checking.
    pub(crate) reading_seconds: f64,
}

impl foldhouse_examples::Report for Report {
    fn holds(&self) -> bool {
        self.errors == 0
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("file", self.file.clone()),
            ("transactions", self.transactions.to_string()),
            ("postings", self.postings.to_string()),
            ("accounts", self.accounts.to_string()),
            ("commodities", self.commodities.to_string()),
            ("assertions", self.assertions.to_string()),
            ("errors", self.errors.to_string()),
            (
                "time",
                format!(
                    "{:.3} s, {:.3} s of it reading",
                    self.seconds, self.reading_seconds
                ),
            ),
            (
                "throughput",
                format!("{:.0} transactions/s", self.transactions_per_second),
            ),
        ];
        if self.already_posted > 0 {
            rows.push(("already posted", self.already_posted.to_string()));
        }
        if self.others > 0 {
            rows.push((
                "not in the file",
                format!("{} transactions of the books", self.others),
            ));
        }
        rows
    }
}
