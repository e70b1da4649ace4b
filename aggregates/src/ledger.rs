//! The general ledger: accounts, journal entries, holds and fiscal periods, each an aggregate of its own.
//!
//! | file | idea |
//! |---|---|
//! | `terms.rs` | what an account is opened with: its normal side and its overdraft policy |
//! | `chart.rs` | the chart of accounts: kinds, parents, control accounts |
//! | `events.rs` | what is recorded of an account |
//! | `account.rs` | the state, and what each event does to it |
//! | `commands.rs` | what can be asked of an account, and the rules |
//! | `limits.rs` | what an account's limits let through, with what is held |
//! | `lines.rs` | the part of an entry or hold that concerns one account |
//! | `samples.rs`, `record_samples.rs` | events of each type and shape, for fingerprints of the state and golden files |
//! | `idempotent.rs` | the commands' names, under which a retry takes effect once |
//! | `rejections.rs` | how the rules of an account say no |
//! | `date.rs`, `names.rs` | effective dates, and the ids that callers give |
//! | `entry.rs` | what is posted together, and when it balances |
//! | `journal_entry.rs` | an entry in the books: posted, reversed, corrected |
//! | `hold.rs` | what is reserved, and how it ended |
//! | `book.rs`, `period.rs` | entry numbers and fiscal periods |
//! | `general_ledger.rs` | what a caller holds |
//! | `posting.rs`, `reversing.rs`, `holding.rs` | what it does, each as one transaction over all accounts |
//! | `recurring.rs` | entries that recur, and when |
//! | `falling_due.rs` | what timers say is due: expired holds, recurring entries |
//! | `balancing.rs` | transfers of what is available |
//! | `exchange.rs`, `revaluing.rs` | exact rates, and what is held at a day's rate |
//! | `ledger_error.rs` | why it did not |
//! | `closing.rs` | the carry-forward at the end of a year |
//! | `balances.rs` | the read model row: the balance of an account |
//! | `trial_balance.rs` | the trial balance over such rows |
//! | `days.rs` | the read model of what came to each account on each day |
//! | `dated_balances.rs`, `financial_statements.rs` | balances, income statement and balance sheet of any date |
//! | `account_lines.rs` | the read model of every posted line |
//! | `open_holds.rs` | the read model of the holds that have not ended, and what is due to expire |
//! | `account_statement.rs`, `open_items.rs` | account statements, the general ledger report, aged open items |
//!
//! # Whose conventions these are
//! - TigerBeetle: debits and credits, posted and pending, as four sums that only its own events change; a pending
//!   transfer counts against limits and never in their favour; it is posted in full or in part, voided or expires,
//!   once; the caller's id makes a transfer take effect once; balancing transfers.
//! - Formance: an entry of many lines is atomic, and carries references and metadata; a reversal is an entry of its own
//!   that points back, at the original's time or now.
//! - ERPNext: fiscal periods with a soft close that a role overrides, a closing entry into retained earnings, control
//!   (group) accounts that take no postings.
//! - hledger and beancount: entries balance in each currency; an exchange records both amounts, so its rate is exact.
//!   Conversion accounts in pairs are Peter Selinger's trading accounts.

mod account;
mod account_lines;
mod account_statement;
mod balances;
mod balancing;
mod book;
mod chart;
mod closing;
mod commands;
mod date;
mod dated_balances;
mod days;
mod entry;
mod events;
mod exchange;
mod falling_due;
mod financial_statements;
mod general_ledger;
mod hold;
mod holding;
mod idempotent;
mod journal_entry;
mod ledger_error;
mod limits;
mod lines;
mod names;
mod open_holds;
mod open_items;
mod period;
mod posting;
mod record_samples;
mod recurring;
mod rejections;
mod revaluing;
mod reversing;
mod samples;
mod terms;
mod trial_balance;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use account::GlAccount;
pub use account_lines::{AccountLines, LineKey, LineRow, PostedLine};
pub use account_statement::{
    AccountStatement, StatementLine, account_statement, general_ledger_report,
};
pub use balances::{AccountBalance, Balances};
pub use book::{AddPeriod, BookEvent, BookRejection, ChangePeriod, GlBook, NumberEntry, OpenBook};
pub use chart::{AccountKind, AddAccount, ChartPlace, ParentRejection};
pub use commands::{CloseAccount, ClosedAccount, Credit, Debit, OpenAccount, Posting};
pub use date::{BookDate, NotADate};
pub use dated_balances::{
    DatedBalance, balances_on, rolled_up, trial_balance_on, turnovers_between,
};
pub use days::{ChartRow, DayKey, DayRow, LedgerDays, Turnover};
pub use entry::{
    ENTRY_LINES_MAX, ENTRY_REFERENCES_MAX, ENTRY_TEXT_BYTES_MAX, Entry, EntryFault, EntryKind,
    EntryLine,
};
pub use events::GlEvent;
pub use exchange::Exchange;
pub use falling_due::LedgerDue;
pub use financial_statements::{
    BalanceSheet, IncomeStatement, StatementItem, balance_sheet, income_statement,
};
pub use general_ledger::Ledger;
pub use hold::{EndHold, GlHold, Hold, HoldDue, HoldEnd, HoldEvent, HoldRejection, PlaceHold};
pub use holding::{Held, PostedPart};
pub use journal_entry::{
    EntryEvent, EntryMark, EntryRejection, JournalEntry, MarkEntry, RecordEntry,
};
pub use ledger_error::LedgerError;
pub use lines::{AccountLine, LineAction};
pub use names::{AccountId, EntryId, HoldId, RecurringId};
pub use open_holds::{OpenHoldKey, OpenHoldRow, OpenHolds, open_holds};
pub use open_items::{AgedTotals, OpenItem, aged, open_items};
pub use period::{FISCAL_PERIODS_MAX, FiscalPeriod, PeriodRejection, PeriodStatus};
pub use posting::{LineBalance, Posted};
pub use recurring::{
    Every, Recurrence, RecurringDue, RecurringEntry, RecurringEvent, RecurringRejection,
    StartRecurring, StopRecurring,
};
pub use rejections::{CloseRejection, OpenRejection, PostingRejection};
pub use revaluing::ConversionPair;
pub use reversing::ReversalDate;
pub use terms::{OverdraftPolicy, Side};
pub use trial_balance::{TrialBalance, TrialLine, TrialSection};
