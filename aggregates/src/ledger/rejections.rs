use crate::memo::MemoTooLong;
use crate::money::Money;
use crate::total::Total;

/// Why an account is not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenRejection {
    /// It exists, with the same terms or others.
    #[error("the account is already open; post to it, or open one under another id")]
    AlreadyOpen,
    /// It existed; its history stays as it is.
    #[error("the account was closed and stays closed; open one under another id")]
    Closed,
    /// The highest balance is not negative: no account could ever be opened below it.
    #[error("the highest balance is {limit}; give it as zero or a positive amount")]
    NegativeBalanceMax {
        /// The limit as given.
        limit: Money,
    },
    /// The name is too long.
    #[error(transparent)]
    NameTooLong(#[from] MemoTooLong),
    /// An overdraft limit says how far below zero, so it is not negative itself.
    #[error("the overdraft limit is {limit}; give it as zero or a positive amount")]
    NegativeOverdraftLimit {
        /// The limit as given.
        limit: Money,
    },
}

/// Why a debit, a credit or a line of an entry is not posted or held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostingRejection {
    /// There is no such account yet.
    #[error("the account is not open; open it first")]
    NotOpen,
    /// The account takes no more postings.
    #[error("the account is closed; post to another one")]
    Closed,
    /// The account is kept in another currency.
    #[error("the account takes {}, not {amount}; convert the amount first", .account.code())]
    WrongCurrency {
        /// The account's currency.
        account: crate::Currency,
        /// The amount that came.
        amount: Money,
    },
    /// The amount is zero or negative. Correct a posting by one on the other side.
    #[error("{amount} cannot be posted; give a positive amount, on the other side to take back")]
    NotPositive {
        /// The amount that came.
        amount: Money,
    },
    /// The memo is too long.
    #[error(transparent)]
    MemoTooLong(#[from] MemoTooLong),
    /// The balance would fall below what the account's overdraft policy allows.
    #[error(
        "{amount} would overdraw the account: its balance is {balance}, the lowest allowed is {lowest}"
    )]
    Overdrawn {
        /// The amount that came.
        amount: Money,
        /// The balance before it, on the normal side.
        balance: Money,
        /// The lowest balance that the policy allows.
        lowest: Money,
    },
    /// With what is held already, the balance would fall below what the account's overdraft policy allows.
    #[error(
        "{amount} would overdraw the account: its balance is {balance}, of which {held} is held, \
         the lowest allowed is {lowest}"
    )]
    OverdrawnByHolds {
        /// The amount that came.
        amount: Money,
        /// The posted balance before it, on the normal side.
        balance: Money,
        /// What holds would take from it.
        held: Total,
        /// The lowest balance that the policy allows.
        lowest: Money,
    },
    /// The balance would rise above the account's highest, its credit limit say.
    #[error(
        "{amount} exceeds the account's limit: its balance is {balance}, {held} more is held, \
         the highest allowed is {highest}"
    )]
    AboveMaximum {
        /// The amount that came.
        amount: Money,
        /// The posted balance before it, on the normal side.
        balance: Money,
        /// What holds would add to it.
        held: Total,
        /// The highest balance allowed.
        highest: Money,
    },
    /// It only sums up the accounts below it.
    #[error("a control account takes no postings; post to one of the accounts below it")]
    ControlAccount,
    /// It belongs to a chart of accounts, where every posting has its other side.
    #[error("the account belongs to a chart of accounts; post a journal entry to it")]
    OnlyByEntry,
    /// More is to be released than is held.
    #[error("{amount} is to be released, but only {held} is held; look at the hold")]
    NotHeld {
        /// The amount that came.
        amount: Money,
        /// What is held on that side.
        held: Total,
    },
    /// The balance would not fit 64 bits of minor units.
    #[error("the balance would become {balance}, more than an account holds; split the account")]
    Overflow {
        /// What the balance would be, on the normal side.
        balance: Total,
    },
}

/// Why an account is not closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseRejection {
    /// There is no such account yet.
    #[error("the account is not open; there is nothing to close")]
    NotOpen,
    /// It is closed already.
    #[error("the account is already closed")]
    AlreadyClosed,
    /// Something is held on it.
    #[error("holds of {held} are open on the account; post or void them before closing")]
    Held {
        /// What is held, both sides together.
        held: Total,
    },
    /// It still holds something.
    #[error("the account has a balance of {balance}; post it to another account before closing")]
    BalanceNotZero {
        /// The balance, on the normal side.
        balance: Total,
    },
}
