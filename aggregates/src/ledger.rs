//! The general ledger: one aggregate per account.
//!
//! | file | idea |
//! |---|---|
//! | `terms.rs` | what an account is opened with: its normal side and its overdraft policy |
//! | `events.rs` | what is recorded |
//! | `account.rs` | the state, and what each event does to it |
//! | `commands.rs` | what can be asked, and the rules |
//! | `samples.rs` | an event of each type and shape, for fingerprints of the state and golden files |
//! | `idempotent.rs` | the commands' names, under which a retry takes effect once |
//! | `rejections.rs` | how the rules say no |
//! | `balances.rs` | the read model row: the balance of an account |
//! | `trial_balance.rs` | the trial balance over such rows |

mod account;
mod balances;
mod commands;
mod events;
mod idempotent;
mod rejections;
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
pub use balances::{AccountBalance, Balances};
pub use commands::{CloseAccount, ClosedAccount, Credit, Debit, OpenAccount, Posting};
pub use events::GlEvent;
pub use rejections::{CloseRejection, OpenRejection, PostingRejection};
pub use terms::{OverdraftPolicy, Side};
pub use trial_balance::{TrialBalance, TrialLine, TrialSection};
