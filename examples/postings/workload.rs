use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use foldhouse::{CommandMeta, CommandOptions};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::args::Args;
use crate::bank_file::{BankFile, BankRow};
use crate::own_account::OwnAccount;

/// What is to be posted, and the books that are kept on the side to check the ledger against.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) kind: Kind,
    customers: Vec<Kept>,
    own: [Kept; OwnAccount::ALL.len()],
}

/// What is kept of one account, without looking at the ledger.
#[derive(Debug, Default)]
struct Kept {
    /// The sum of all credits that were accepted, less the debits.
    credit_minor: AtomicI64,
    /// How many postings are in the ledger.
    count: AtomicU64,
}

/// An account of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// By its number in the workload.
    Customer(usize),
    Own(OwnAccount),
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

/// One posting to make: a journal entry over a customer's account and the bank's own.
#[derive(Debug)]
pub(crate) struct Posting<'a> {
    pub(crate) customer: usize,
    /// Positive for money in.
    pub(crate) amount_minor: i64,
    /// What the bank adds by its own rounding.
    pub(crate) rounding_minor: i64,
    /// The other side of the amount.
    pub(crate) counter: OwnAccount,
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
            customers: (0..accounts).map(|_| Kept::default()).collect(),
            own: Default::default(),
        }
    }

    /// How many customers there are.
    pub(crate) fn customers(&self) -> usize {
        self.customers.len()
    }

    /// The customers' accounts, and behind them the bank's own.
    pub(crate) fn all_accounts(&self) -> impl Iterator<Item = Account> + use<> {
        let own = OwnAccount::ALL.into_iter().map(Account::Own);
        (0..self.customers()).map(Account::Customer).chain(own)
    }

    pub(crate) fn account_id(&self, account: Account) -> String {
        match (account, &self.kind) {
            (Account::Customer(number), Kind::Bank { file, .. }) => {
                file.accounts[number].id.clone()
            }
            (Account::Customer(number), Kind::Simulated { .. }) => (number + 1).to_string(),
            (Account::Own(own), _) => own.id(),
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

    fn kept(&self, account: Account) -> &Kept {
        match account {
            Account::Customer(number) => &self.customers[number],
            Account::Own(own) => &self.own[own.number()],
        }
    }

    /// Notes a posting that is in the ledger.
    pub(crate) fn note(&self, posting: &Posting<'_>) {
        for (account, credit_minor) in posting.lines() {
            let kept = self.kept(account);
            kept.credit_minor.fetch_add(credit_minor, Ordering::Relaxed);
            kept.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn credit_minor(&self, account: Account) -> i64 {
        self.kept(account).credit_minor.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, account: Account) -> u64 {
        self.kept(account).count.load(Ordering::Relaxed)
    }

    /// What the balance of an account must be: as the bank says where it does, else as the sums have it.
    pub(crate) fn expected_minor(&self, account: Account) -> i64 {
        match (account, &self.kind) {
            (Account::Customer(number), Kind::Bank { file, .. }) => {
                let rows = &file.accounts[number].rows;
                rows.last().map_or(0, |row| row.balance_minor)
            }
            _ => self.credit_minor(account),
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
                Box::new(simulated_postings(self.customers(), count, *seed, caller))
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
        let customer = next_account.fetch_add(1, Ordering::Relaxed);
        file.accounts
            .get(customer)
            .map(|bank_account| (customer, bank_account))
    });
    accounts.flat_map(|(customer, bank_account)| {
        // An earlier run may have posted the first rows.
        let done = workload.count(Account::Customer(customer));
        let done = usize::try_from(done).unwrap_or(usize::MAX);
        let rows = bank_account.rows.iter().skip(done);
        rows.map(move |row| Posting::of_row(customer, row))
    })
}

/// Deposits and, somewhat rarer, withdrawals, of which some find too little money. Most are in cash.
fn simulated_postings<'a>(
    customers: usize,
    count: u64,
    seed: u64,
    caller: u64,
) -> impl Iterator<Item = Posting<'a>> + Send {
    let mut random = StdRng::seed_from_u64(seed.rotate_left(32) ^ caller);
    (0..count).map(move |_| {
        let customer = random.random_range(0..customers);
        let amount = random.random_range(1..=1_000_000);
        let is_withdrawal = random.random_ratio(9, 20);
        let counter = match random.random_range(0..10) {
            0..7 => OwnAccount::Cash,
            7..9 => OwnAccount::Clearing,
            _ if is_withdrawal => OwnAccount::Fees,
            _ => OwnAccount::InterestExpense,
        };
        Posting {
            customer,
            amount_minor: if is_withdrawal { -amount } else { amount },
            rounding_minor: 0,
            counter,
            row: None,
        }
    })
}

impl<'a> Posting<'a> {
    pub(crate) fn of_row(customer: usize, row: &'a BankRow) -> Self {
        Self {
            customer,
            amount_minor: row.amount_minor,
            rounding_minor: row.rounding_minor,
            counter: row.counter,
            row: Some(row),
        }
    }
}

impl Posting<'_> {
    /// The lines of the entry, the customer's first: each account with what it is credited, or debited below zero. They
    /// add up to zero.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (Account, i64)> + use<> {
        let (amount, rounding) = (self.amount_minor, self.rounding_minor);
        let lines = [
            (
                Account::Customer(self.customer),
                amount.saturating_add(rounding),
            ),
            (Account::Own(self.counter), amount.saturating_neg()),
            (
                Account::Own(OwnAccount::Rounding),
                rounding.saturating_neg(),
            ),
        ];
        lines
            .into_iter()
            .filter(|(_, credit_minor)| *credit_minor != 0)
    }

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
