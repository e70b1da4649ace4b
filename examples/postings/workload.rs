use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use foldhouse::{CommandMeta, CommandOptions};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::args::Args;
use crate::bank_file::{BankFile, BankRow};

/// What is to be posted, and the books that are kept on the side to check the ledger against.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) kind: Kind,
    /// By account, the sum of all changes that were accepted: kept here, without looking at the ledger.
    sums_minor: Vec<AtomicI64>,
    /// By account, how many postings are in the ledger.
    counts: Vec<AtomicU64>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Bank {
        file: BankFile,
        next_account: AtomicUsize,
    },
    Simulated {
        postings: u64,
        callers: u32,
        seed: u64,
    },
}

/// One posting to make.
#[derive(Debug)]
pub(crate) struct Posting<'a> {
    pub(crate) account: usize,
    /// Positive for money in.
    pub(crate) change_minor: i64,
    /// The transaction that it comes from.
    pub(crate) row: Option<&'a BankRow>,
}

impl Workload {
    pub(crate) fn simulated(args: &Args) -> Self {
        let kind = Kind::Simulated {
            postings: args.postings,
            callers: args.callers,
            seed: args.seed,
        };
        Self::new(kind, args.accounts as usize)
    }

    pub(crate) fn bank(file: BankFile) -> Self {
        let accounts = file.accounts.len();
        Self::new(
            Kind::Bank {
                file,
                next_account: AtomicUsize::new(0),
            },
            accounts,
        )
    }

    fn new(kind: Kind, accounts: usize) -> Self {
        Self {
            kind,
            sums_minor: (0..accounts).map(|_| AtomicI64::new(0)).collect(),
            counts: (0..accounts).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(crate) fn accounts(&self) -> usize {
        self.sums_minor.len()
    }

    pub(crate) fn account_id(&self, account: usize) -> String {
        match &self.kind {
            Kind::Bank { file, .. } => file.accounts[account].id.clone(),
            Kind::Simulated { .. } => (account + 1).to_string(),
        }
    }

    pub(crate) fn postings(&self) -> u64 {
        match &self.kind {
            Kind::Bank { file, .. } => file
                .accounts
                .iter()
                .map(|account| account.rows.len() as u64)
                .sum(),
            Kind::Simulated { postings, .. } => *postings,
        }
    }

    pub(crate) fn invalid(&self) -> &[String] {
        match &self.kind {
            Kind::Bank { file, .. } => &file.invalid,
            Kind::Simulated { .. } => &[],
        }
    }

    /// Notes a posting that is in the ledger.
    pub(crate) fn note(&self, posting: &Posting<'_>) {
        self.sums_minor[posting.account].fetch_add(posting.change_minor, Ordering::Relaxed);
        self.counts[posting.account].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sum_minor(&self, account: usize) -> i64 {
        self.sums_minor[account].load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, account: usize) -> u64 {
        self.counts[account].load(Ordering::Relaxed)
    }

    /// What the balance of an account must be: as the bank says where it does, else as the sums have it.
    pub(crate) fn expected_minor(&self, account: usize) -> i64 {
        match &self.kind {
            Kind::Bank { file, .. } => {
                let rows = &file.accounts[account].rows;
                rows.last().map_or(0, |row| row.balance_minor)
            }
            Kind::Simulated { .. } => self.sum_minor(account),
        }
    }

    /// The postings of one caller, in the order in which it makes them.
    pub(crate) fn postings_of(
        &self,
        caller: u32,
    ) -> Box<dyn Iterator<Item = Posting<'_>> + Send + '_> {
        match &self.kind {
            Kind::Bank { file, next_account } => Box::new(bank_postings(self, file, next_account)),
            Kind::Simulated {
                postings,
                callers,
                seed,
            } => {
                let (callers, caller) = (u64::from(*callers), u64::from(caller));
                let count = postings / callers + u64::from(caller < postings % callers);
                Box::new(simulated_postings(self.accounts(), count, *seed, caller))
            }
        }
    }
}

/// Takes one account after the other: each is posted to by one caller, in file order.
fn bank_postings<'a>(
    workload: &'a Workload,
    file: &'a BankFile,
    next_account: &'a AtomicUsize,
) -> impl Iterator<Item = Posting<'a>> + Send {
    let accounts = std::iter::from_fn(move || {
        let account = next_account.fetch_add(1, Ordering::Relaxed);
        file.accounts
            .get(account)
            .map(|bank_account| (account, bank_account))
    });
    accounts.flat_map(|(account, bank_account)| {
        // An earlier run may have posted the first rows.
        let done = usize::try_from(workload.count(account)).unwrap_or(usize::MAX);
        bank_account.rows.iter().skip(done).map(move |row| Posting {
            account,
            change_minor: row.change_minor,
            row: Some(row),
        })
    })
}

/// Deposits and, somewhat rarer, withdrawals, of which some find too little money.
fn simulated_postings<'a>(
    accounts: usize,
    count: u64,
    seed: u64,
    caller: u64,
) -> impl Iterator<Item = Posting<'a>> + Send {
    let mut random = StdRng::seed_from_u64(seed.rotate_left(32) ^ caller);
    (0..count).map(move |_| {
        let account = random.random_range(0..accounts);
        let amount = random.random_range(1..=1_000_000);
        let change_minor = if random.random_ratio(9, 20) {
            -amount
        } else {
            amount
        };
        Posting {
            account,
            change_minor,
            row: None,
        }
    })
}

impl Posting<'_> {
    /// What is recorded beside the amount: when the row counts, and where it comes from.
    pub(crate) fn options(&self) -> CommandOptions {
        let Some(row) = self.row else {
            return CommandOptions::new();
        };
        let mut meta = CommandMeta::new()
            .effective_at(row.effective_at)
            .user("bank-import")
            .with("transaction_id", &row.transaction_id)
            .with("operation", &row.operation);
        for (key, value) in [
            ("purpose", &row.purpose),
            ("counterparty", &row.counterparty),
        ] {
            if !value.is_empty() {
                meta = meta.with(key, value);
            }
        }
        if row.rounding_minor != 0 {
            meta = meta.with("rounding_minor", row.rounding_minor.to_string());
        }
        meta.into()
    }
}
