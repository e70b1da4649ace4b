use foldhouse::{Aggregate, Command, CommandContext, Decided, Decision, Never};
use serde::{Deserialize, Serialize};

/// The highest balance that an account may have; the lowest is 0.
pub(super) const BALANCE_MAX: i64 = 1_000;

/// An account that says of itself how often it was changed, so that every answer tells which state it rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) balance: i64,
    pub(super) changes: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum AccountEvent {
    /// The number of the operation says to whom it belongs.
    Changed { by: i64, operation: usize },
}

impl Aggregate for Account {
    const TYPE: &'static str = "checked-account";
    type Event = AccountEvent;

    fn apply(&mut self, AccountEvent::Changed { by, .. }: &AccountEvent) {
        self.balance += by;
        self.changes += 1;
    }
}

/// The account as it was when it said no.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("the balance of {} would leave its bounds", .0.balance)]
pub(super) struct Refused(pub(super) Account);

/// Changes the balance by the sum of its parts, each an event; replies with the account as it was before.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) operation: usize,
    pub(super) parts: Vec<i64>,
}

impl Command for Change {
    type Aggregate = Account;
    type Reply = Account;
    type Rejection = Refused;

    fn decide(&self, account: &Account, _: &CommandContext) -> Decided<Self> {
        let after = account.balance + self.parts.iter().sum::<i64>();
        if !(0..=BALANCE_MAX).contains(&after) {
            return Err(Refused(*account));
        }
        let operation = self.operation;
        let changed = |by: &i64| AccountEvent::Changed { by: *by, operation };
        let events = self.parts.iter().map(changed);
        Ok(Decision::events(events, *account))
    }
}

/// Panics while it is decided.
pub(super) struct Panic;

impl Command for Panic {
    type Aggregate = Account;
    type Reply = ();
    type Rejection = Never;

    fn decide(&self, _: &Account, _: &CommandContext) -> Decided<Self> {
        panic!("it was told to panic")
    }
}
