use foldhouse::{AddressError, Position, QueryError, TransactionError, WaitError};

use super::book::BookRejection;
use super::chart::ParentRejection;
use super::entry::EntryFault;
use super::hold::HoldRejection;
use super::journal_entry::EntryRejection;
use super::names::{AccountId, EntryId, HoldId};
use super::recurring::RecurringRejection;
use super::rejections::{OpenRejection, PostingRejection};
use crate::currency::Currency;

/// Why the ledger did not do what was asked. Nothing was recorded, but for [`TransactionError::Unknown`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// An account refuses a line.
    #[error("line {line} ({account}): {rejection}")]
    Line {
        /// Which line of the entry or hold, from 1.
        line: usize,
        /// Its account.
        account: AccountId,
        /// Why.
        rejection: PostingRejection,
    },
    /// The entry or hold is wrong in itself.
    #[error(transparent)]
    Fault(#[from] EntryFault),
    /// The book or its fiscal periods say no.
    #[error(transparent)]
    Book(#[from] BookRejection),
    /// An entry is posted already, is missing, or is reversed or corrected already.
    #[error(transparent)]
    Entry(#[from] EntryRejection),
    /// A hold is placed already, is missing, or has ended.
    #[error(transparent)]
    Hold(#[from] HoldRejection),
    /// An entry does not recur.
    #[error(transparent)]
    Recurring(#[from] RecurringRejection),
    /// The account is not added to the chart.
    #[error("account {account}: {rejection}")]
    Account {
        /// The account.
        account: AccountId,
        /// Why.
        rejection: OpenRejection,
    },
    /// The account cannot stand below its parent.
    #[error(transparent)]
    Parent(#[from] ParentRejection),
    /// Another entry was posted under this id. Give yours one of its own.
    #[error("another entry was posted under the id {entry}; give yours an id of its own")]
    EntryIdTaken {
        /// The id.
        entry: EntryId,
    },
    /// Another hold was placed under this id. Give yours one of its own.
    #[error("another hold was placed under the id {hold}; give yours an id of its own")]
    HoldIdTaken {
        /// The id.
        hold: HoldId,
    },
    /// There is nothing to transfer, revalue or carry forward.
    #[error("{what}; nothing was posted")]
    Nothing {
        /// What there is not.
        what: String,
    },
    /// An amount would not fit 64 bits of minor units.
    #[error("an amount of {} does not fit 64 bits of minor units; post it in parts", .currency.code())]
    Overflow {
        /// The currency.
        currency: Currency,
    },
    /// The accounts moved again and again while the amount was worked out. Try again.
    #[error("the accounts moved {attempts} times while the amount was worked out; try again")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// The read model is behind.
    #[error("the read model is not at position {position} yet: {error}")]
    Behind {
        /// Up to where it has to be.
        position: Position,
        /// Why it is not.
        error: String,
    },
    /// A name cannot name a stream.
    #[error("{id:?} cannot be used as a name: {error}")]
    Address {
        /// The name.
        id: String,
        /// Why not.
        error: AddressError,
    },
    /// The accounts could not be asked.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The runtime or the store says no; [`TransactionError::is_retry_safe`] tells whether to try again.
    #[error(transparent)]
    Transaction(TransactionError),
}

/// Something moved between its being looked at and the transaction that rests on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has moved meanwhile")]
pub(super) struct Moved;

impl From<TransactionError> for LedgerError {
    fn from(error: TransactionError) -> Self {
        if let Some(rejection) = error.rejection::<BookRejection>() {
            return rejection.clone().into();
        }
        if let Some(rejection) = error.rejection::<EntryRejection>() {
            return match rejection.clone() {
                EntryRejection::Fault(fault) => fault.into(),
                rejection => rejection.into(),
            };
        }
        if let Some(rejection) = error.rejection::<HoldRejection>() {
            return match rejection.clone() {
                HoldRejection::Fault(fault) => fault.into(),
                rejection => rejection.into(),
            };
        }
        if let Some(rejection) = error.rejection::<ParentRejection>() {
            return rejection.clone().into();
        }
        if error.rejection::<Moved>().is_some() {
            return Self::Contended { attempts: 1 };
        }
        Self::Transaction(error)
    }
}

impl LedgerError {
    /// With a rejection of the opening told as that account's.
    pub(super) fn of_account(self, account: &AccountId) -> Self {
        match &self {
            Self::Transaction(error) => match error.rejection::<OpenRejection>() {
                Some(rejection) => Self::Account {
                    account: account.clone(),
                    rejection: rejection.clone(),
                },
                None => self,
            },
            _ => self,
        }
    }

    pub(super) fn behind(position: Position, error: &WaitError) -> Self {
        Self::Behind {
            position,
            error: error.to_string(),
        }
    }
}
