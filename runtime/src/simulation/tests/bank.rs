//! Accounts whose money goes from one to another, and ways to get that wrong.

use std::sync::Mutex;

use foldhouse_store::RecordedEvent;
use serde::{Deserialize, Serialize};

use crate::simulation::{Caller, Process, Random, Scenario, World};
use crate::*;

/// Every account begins with this much.
pub(super) const START: i64 = 100;
const ACCOUNTS: u64 = 3;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Account(pub(super) i64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum AccountEvent {
    /// With words of some length, so that a frame takes some sectors and can be torn.
    Changed { by: i64, memo: String },
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Event = AccountEvent;
    fn apply(&mut self, AccountEvent::Changed { by, .. }: &AccountEvent) {
        self.0 += by;
    }
}

#[derive(Debug, thiserror::Error)]
#[error("there are {0}")]
pub(super) struct TooLittle(i64);

/// Changes a balance, which does not go below `-START` unless it is let.
pub(super) struct Change {
    pub(super) by: i64,
    pub(super) checked: bool,
}

impl Command for Change {
    type Aggregate = Account;
    type Reply = i64;
    type Rejection = TooLittle;
    fn decide(&self, account: &Account, _: &CommandContext) -> Decided<Self> {
        let after = account.0 + self.by;
        if self.checked && after < -START {
            return Err(TooLittle(account.0));
        }
        let memo = "moved ".repeat(usize::try_from(self.by.unsigned_abs() % 50 * 6).unwrap());
        Ok(Decision::event(
            AccountEvent::Changed { by: self.by, memo },
            after,
        ))
    }
}

/// The balances, as rows.
#[derive(Clone, Copy)]
pub(super) struct Balances;

impl Projection for Balances {
    const NAME: &'static str = "balances";
    type Key = StreamId;
    type Row = i64;
    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<StreamId, i64>,
    ) -> Result<(), ProjectionError> {
        if let Some(decoded) = decode_event::<Account>(event) {
            let AccountEvent::Changed { by, .. } = decoded?;
            table.update(&event.stream, |balance| *balance += by);
        }
        Ok(())
    }
}

/// How a transfer is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Both sides at once.
    Transaction,
    /// One side after the other: a crash in between leaves a half.
    TwoCommands,
    /// By what was found a moment ago: two at a time overdraw.
    AskedBefore,
}

pub(super) struct Bank(pub(super) Way);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Transfer { from: u64, to: u64, amount: i64 },
    Ask(u64),
}

impl Scenario for Bank {
    type Operation = Operation;

    fn operation(&self, random: &mut Random) -> Operation {
        let from = random.number(0..=ACCOUNTS - 1);
        if random.chance(20) {
            return Operation::Ask(from);
        }
        Operation::Transfer {
            from,
            to: (from + random.number(1..=ACCOUNTS - 1)) % ACCOUNTS,
            amount: i64::try_from(random.number(1..=60)).unwrap(),
        }
    }

    async fn perform(&self, operation: Operation, caller: &Caller) {
        let account = |id: u64| {
            caller
                .aggregate::<Account>("bank", &id.to_string())
                .unwrap()
        };
        let (from, to, amount) = match operation {
            Operation::Transfer { from, to, amount } => (account(from), account(to), amount),
            Operation::Ask(id) => {
                let _ = caller.query(&account(id), |account| account.0).await;
                return;
            }
        };
        let change = |by, checked| Change { by, checked };
        match self.0 {
            Way::Transaction => {
                let steps = (
                    from.step(change(-amount, true)),
                    to.step(change(amount, true)),
                );
                let _ = caller.transact(steps).await;
            }
            Way::TwoCommands => {
                if caller.send(&from, change(-amount, true)).await.is_ok() {
                    let _ = caller.send(&to, change(amount, false)).await;
                }
            }
            Way::AskedBefore => {
                let balance = caller.query(&from, |account| account.0).await;
                if balance.is_ok_and(|balance| balance - amount >= -START) {
                    let steps = (
                        from.step(change(-amount, false)),
                        to.step(change(amount, false)),
                    );
                    let _ = caller.transact(steps).await;
                }
            }
        }
    }

    async fn start(&self, process: &Process) {
        process.project(Balances).await.unwrap();
    }

    fn check(&self, world: &World<'_>) -> Result<(), String> {
        let accounts = world.states::<Account>()?;
        let sum: i64 = accounts.iter().map(|(_, account)| account.0).sum();
        if sum != 0 {
            return Err(format!("all accounts together have {sum}"));
        }
        match accounts.iter().find(|(_, account)| account.0 < -START) {
            Some((stream, account)) => Err(format!("{stream} is overdrawn: {}", account.0)),
            None => Ok(()),
        }
    }
}

/// How often anything was applied: what no apply may know.
static APPLIED: Mutex<u64> = Mutex::new(0);

/// A counter that counts every hundredth event twice, whenever that comes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Moody(u64);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Counted {
    One,
}

impl Aggregate for Moody {
    const TYPE: &'static str = "moody";
    type Event = Counted;
    fn apply(&mut self, Counted::One: &Counted) {
        let mut applied = APPLIED.lock().unwrap();
        *applied += 1;
        self.0 += if applied.is_multiple_of(100) { 2 } else { 1 };
    }
}

pub(super) struct Count;

impl Command for Count {
    type Aggregate = Moody;
    type Reply = ();
    type Rejection = Never;
    fn decide(&self, _: &Moody, _: &CommandContext) -> Decided<Self> {
        Ok(Decision::event(Counted::One, ()))
    }
}

pub(super) struct Counting;

impl Scenario for Counting {
    type Operation = ();

    fn operation(&self, _: &mut Random) {}

    async fn perform(&self, (): (), caller: &Caller) {
        let counter = caller.aggregate::<Moody>("t", "1").unwrap();
        let _ = caller.send(&counter, Count).await;
    }

    fn check(&self, _: &World<'_>) -> Result<(), String> {
        Ok(())
    }
}
