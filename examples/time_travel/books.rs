use std::collections::HashMap;
use std::path::Path;

use foldhouse::{CommandMeta, Timestamp};
use foldhouse_examples::Failure;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::args::Args;
use crate::bank_file::{BankFile, BankRow};
use crate::own_account::OwnAccount;

/// What is to be posted, and what is known of it without the ledger.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) accounts: Vec<Account>,
    pub(crate) currency: &'static str,
    /// What is wrong with the rows that were left out.
    pub(crate) invalid: Vec<String>,
}

/// An account and its rows in the order in which they are posted.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: String,
    /// From when on its opening counts: no later than any row.
    pub(crate) opened_at: Timestamp,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug)]
pub(crate) struct Row {
    /// When it counts. No two rows of an account count at the same moment.
    pub(crate) effective_at: Timestamp,
    /// What it adds to the customer's balance: the amount, and the bank's own rounding beside it.
    pub(crate) amount_minor: i64,
    pub(crate) rounding_minor: i64,
    pub(crate) counter: OwnAccount,
    /// The balance that the bank says is there behind it, at its version and at its moment alike.
    pub(crate) stated_minor: Option<i64>,
    pub(crate) user: &'static str,
    /// What else is recorded with it.
    pub(crate) facts: Vec<(&'static str, String)>,
}

const DAY_MICROS: i64 = 86_400_000_000;
const MINUTE_MICROS: i64 = 60_000_000;

impl Row {
    pub(crate) fn change_minor(&self) -> i64 {
        self.amount_minor.saturating_add(self.rounding_minor)
    }

    pub(crate) fn meta(&self) -> CommandMeta {
        let meta = CommandMeta::new()
            .effective_at(self.effective_at)
            .user(self.user);
        let facts = self.facts.iter();
        facts.fold(meta, |meta, (key, value)| meta.with(*key, value))
    }
}

impl Books {
    /// The transactions of a bank. The file has dates only, and some accounts have several rows on one day: the first counts
    /// a minute past midnight, the next a minute later, in the order in which the bank booked them. An account counts as
    /// opened at midnight of its first row's day.
    pub(crate) fn of_file(path: &Path) -> Result<Self, Failure> {
        let file = BankFile::read(path).map_err(|error| Failure::Usage(error.to_string()))?;
        let accounts = file.accounts.into_iter();
        let accounts = accounts.map(|account| {
            let mut rows_of_day = HashMap::<Timestamp, i64>::new();
            let days = account.rows.iter().map(|row| row.effective_at);
            let opened_at = days.min().unwrap_or_default();
            let rows = account.rows.into_iter().map(|row| {
                let number = rows_of_day.entry(row.effective_at).or_default();
                *number += 1;
                let minutes = *number * MINUTE_MICROS;
                of_bank_row(row, minutes)
            });
            Account {
                id: account.id,
                opened_at,
                rows: rows.collect(),
            }
        });
        Ok(Self {
            accounts: accounts.collect(),
            currency: "CZK",
            invalid: file.invalid,
        })
    }

    /// Deposits and withdrawals over a year, day by day: most count when they are posted, some are back-dated by up to two
    /// months, a few are entered ahead.
    pub(crate) fn made_up(args: &Args) -> Self {
        let mut random = StdRng::seed_from_u64(args.seed);
        let new_year = 1_704_067_200_000_000;
        let accounts = (1..=args.accounts).map(|number| Account {
            id: number.to_string(),
            opened_at: Timestamp::from_unix_micros(new_year - 100 * DAY_MICROS),
            rows: Vec::new(),
        });
        let mut accounts: Vec<_> = accounts.collect();
        for posting in 0..i64::from(args.postings) {
            let account = random.random_range(0..accounts.len());
            let posted_at = new_year + 365 * DAY_MICROS * posting / i64::from(args.postings);
            let shift_days = match random.random_range(0..10) {
                0..7 => 0,
                7..9 => -random.random_range(1..60),
                _ => random.random_range(1..30),
            };
            // The posting's own number makes the moment its own.
            let effective = posted_at / DAY_MICROS * DAY_MICROS + shift_days * DAY_MICROS + posting;
            let amount = random.random_range(1..=100_000);
            let is_withdrawal = random.random_ratio(9, 20);
            accounts[account].rows.push(Row {
                effective_at: Timestamp::from_unix_micros(effective),
                amount_minor: if is_withdrawal { -amount } else { amount },
                rounding_minor: 0,
                counter: OwnAccount::Cash,
                stated_minor: None,
                user: ["ada", "grace", "edsger"][random.random_range(0..3)],
                facts: vec![("shift_days", shift_days.to_string())],
            });
        }
        Self {
            accounts,
            currency: "EUR",
            invalid: Vec::new(),
        }
    }

    pub(crate) fn row_count(&self) -> usize {
        self.accounts.iter().map(|account| account.rows.len()).sum()
    }
}

fn of_bank_row(row: BankRow, within_day_micros: i64) -> Row {
    let midnight = row.effective_at.unix_micros();
    let facts = [
        ("transaction_id", row.transaction_id),
        ("operation", row.operation),
        ("purpose", row.purpose),
        ("counterparty", row.counterparty),
    ];
    let given = facts.into_iter().filter(|(_, value)| !value.is_empty());
    Row {
        effective_at: Timestamp::from_unix_micros(midnight + within_day_micros),
        amount_minor: row.amount_minor,
        rounding_minor: row.rounding_minor,
        counter: row.counter,
        stated_minor: Some(row.balance_minor),
        user: "bank-import",
        facts: given.collect(),
    }
}
