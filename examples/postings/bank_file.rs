use std::collections::HashMap;
use std::path::Path;

use foldhouse::Timestamp;
use foldhouse_examples::{Columns, CsvError, read_csv};
use serde::Deserialize;

use crate::own_account::OwnAccount;

/// The real transactions of a bank, by account.
#[derive(Debug, Default)]
pub(crate) struct BankFile {
    /// In the order in which they first occur.
    pub(crate) accounts: Vec<BankAccount>,
    /// What is wrong with the rows that were left out, each with its line number.
    pub(crate) invalid: Vec<String>,
}

/// One account and its rows in file order.
#[derive(Debug)]
pub(crate) struct BankAccount {
    pub(crate) id: String,
    pub(crate) rows: Vec<BankRow>,
}

/// One transaction.
#[derive(Debug)]
pub(crate) struct BankRow {
    pub(crate) line: u64,
    pub(crate) transaction_id: String,
    pub(crate) effective_at: Timestamp,
    /// What the row adds to the customer's balance, in 1/100 CZK: the amount, and the bank's own rounding beside it.
    pub(crate) amount_minor: i64,
    pub(crate) rounding_minor: i64,
    /// The other side of the amount.
    pub(crate) counter: OwnAccount,
    /// What the bank says the balance is after this row.
    pub(crate) balance_minor: i64,
    pub(crate) operation: String,
    pub(crate) purpose: String,
    pub(crate) counterparty: String,
}

impl BankRow {
    /// What the row adds to the customer's balance in all. It fits: a row for which it does not is left out.
    pub(crate) fn change_minor(&self) -> i64 {
        self.amount_minor.saturating_add(self.rounding_minor)
    }
}

#[derive(Debug, Deserialize)]
struct RawRow {
    transaction_id: String,
    account_id: String,
    date: String,
    operation: String,
    purpose: String,
    amount_minor: i64,
    rounding_minor: i64,
    balance_minor: i64,
    counterparty_bank: String,
    counterparty_account: String,
}

const COLUMNS: Columns = Columns {
    needed: &[
        "transaction_id",
        "account_id",
        "date",
        "amount_minor",
        "rounding_minor",
        "balance_minor",
    ],
    expected: "transaction_id, account_id, date, operation, purpose, amount_minor, rounding_minor, balance_minor, \
               counterparty_bank and counterparty_account",
};

impl BankFile {
    /// Reads a file; a row that makes no sense is noted and left out.
    pub(crate) fn read(path: &Path) -> Result<Self, CsvError> {
        let mut file = Self::default();
        let mut index_by_id = HashMap::new();
        read_csv(path, COLUMNS, |line, row: Result<RawRow, String>| match row
            .and_then(|row| check(line, row))
        {
            Ok((account, row)) => file.add(&mut index_by_id, account, row),
            Err(what) => file.invalid.push(format!("line {line}: {what}")),
        })?;
        Ok(file)
    }

    fn add(&mut self, index_by_id: &mut HashMap<String, usize>, account: String, row: BankRow) {
        let accounts = &mut self.accounts;
        let index = *index_by_id.entry(account).or_insert_with_key(|id| {
            accounts.push(BankAccount {
                id: id.clone(),
                rows: Vec::new(),
            });
            accounts.len() - 1
        });
        self.accounts[index].rows.push(row);
    }
}

fn check(line: u64, row: RawRow) -> Result<(String, BankRow), String> {
    if row.account_id.is_empty() || row.transaction_id.is_empty() {
        return Err("transaction_id and account_id must not be empty".to_owned());
    }
    if OwnAccount::has_id(&row.account_id) {
        return Err(format!(
            "account_id {:?} is one of the bank's own accounts",
            row.account_id
        ));
    }
    let change_minor = row.amount_minor.checked_add(row.rounding_minor);
    // Each amount is booked on the other side, too, so its opposite must fit.
    let opposites = [
        Some(row.amount_minor),
        Some(row.rounding_minor),
        change_minor,
    ]
    .map(|minor_units| minor_units.and_then(i64::checked_neg));
    if opposites.contains(&None) {
        return Err("amount_minor and rounding_minor together are out of range".to_owned());
    }
    if change_minor == Some(0) {
        return Err("the row moves no money".to_owned());
    }
    let date = chrono::NaiveDate::parse_from_str(&row.date, "%Y-%m-%d")
        .map_err(|error| format!("date {:?}: {error}", row.date))?;
    let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc();
    let counterparty = [row.counterparty_bank, row.counterparty_account]
        .join(" ")
        .trim()
        .to_owned();
    let bank_row = BankRow {
        line,
        transaction_id: row.transaction_id,
        effective_at: midnight.into(),
        amount_minor: row.amount_minor,
        rounding_minor: row.rounding_minor,
        counter: OwnAccount::of(&row.operation, &row.purpose),
        balance_minor: row.balance_minor,
        operation: row.operation,
        purpose: row.purpose,
        counterparty,
    };
    Ok((row.account_id, bank_row))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "transaction_id,account_id,date,operation,purpose,amount_minor,rounding_minor,balance_minor,\
                          counterparty_bank,counterparty_account";

    fn read(lines: &[&str], line_end: &str) -> Result<BankFile, CsvError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bank.csv");
        std::fs::write(&path, lines.join(line_end)).unwrap();
        BankFile::read(&path)
    }

    #[test]
    fn a_malformed_row_is_left_out_with_its_line_and_the_rest_is_read() {
        let lines = [
            HEADER,
            "1,7,1993-01-01,cash-deposit,,90000,0,90000,,",
            "garbage",
            "2,7,1993-13-01,cash-deposit,,1,0,90001,,",
            "3,7,1993-01-02,cash-deposit,,one,0,90001,,",
            ",7,1993-01-02,cash-deposit,,1,0,90001,,",
            "4,7,1993-01-02,cash-deposit,,5,-5,90000,,",
            "5,7,1993-01-02,other,interest,100,-30,90070,AB,123",
            "6,own:cash,1993-01-02,cash-deposit,,5,0,5,,",
            "7,7,1993-01-02,cash-deposit,,9223372036854775807,1,0,,",
            "8,7,1993-01-02,cash-deposit,,-9223372036854775808,0,0,,",
        ];
        for line_end in ["\n", "\r\n"] {
            let file = read(&lines, line_end).unwrap();
            let places: Vec<_> = file
                .invalid
                .iter()
                .map(|what| what.split(':').next().unwrap())
                .collect();
            assert_eq!(
                places,
                [
                    "line 3", "line 4", "line 5", "line 6", "line 7", "line 9", "line 10",
                    "line 11"
                ],
                "{line_end:?}"
            );
            let [account] = file.accounts.as_slice() else {
                panic!("{:?}", file.accounts);
            };
            let changes: Vec<_> = account
                .rows
                .iter()
                .map(|row| (row.line, row.change_minor(), row.balance_minor))
                .collect();
            assert_eq!(
                changes,
                [(2, 90_000, 90_000), (8, 70, 90_070)],
                "{line_end:?}"
            );
        }
    }

    #[test]
    fn a_file_without_a_needed_column_is_refused_by_its_name() {
        let refused = read(&["account_id,date", "1,1993-01-01"], "\n").unwrap_err();
        assert!(
            refused.to_string().contains("no column \"transaction_id\""),
            "{refused}"
        );
    }
}
