use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use super::account::Account;

/// Later than everything: there was no answer yet.
pub(super) const NEVER: u64 = u64::MAX;

/// What callers did and were told, with every call and every answer in one order.
#[derive(Default)]
pub(super) struct History {
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    /// Counts calls and answers.
    now: u64,
    operations: Vec<Operation>,
}

/// Something that one caller asked for.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) way: Way,
    pub(super) steps: Vec<Step>,
    pub(super) called: u64,
    /// When it was answered. If it was not, or by "unknown": when it was certain that it could have no further effect.
    pub(super) answered: u64,
    pub(super) outcome: Outcome,
    /// The operation that was given before it in the same call, and takes effect before it.
    pub(super) behind: Option<usize>,
}

/// How an operation is put to the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A command or query to one account.
    Alone,
    /// A transaction.
    Together,
    /// A transaction that records nothing.
    DryRun,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) account: usize,
    pub(super) action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Changes the balance, by so many events.
    Change(Vec<i64>),
    /// Goes on if the balance is at least this.
    AtLeast(i64),
    Read,
    Panic,
}

impl Action {
    pub(super) fn event_count(&self) -> usize {
        match self {
            Self::Change(parts) => parts.len(),
            _ => 0,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Done {
        /// For each step the state that it was decided on.
        seen: Vec<Seen>,
        /// The position that the caller was told.
        position: Option<u64>,
        /// The version that the caller was told.
        version: Option<u64>,
    },
    /// This step was refused, on this state.
    Rejected { step: usize, seen: Account },
    /// It has no effect, and the caller was told so.
    NotRecorded,
    /// It may have taken effect or not.
    Unknown,
}

/// What a caller came to know of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Not known if it only asked for the version.
    pub(super) balance: Option<i64>,
    pub(super) changes: u64,
}

impl Seen {
    pub(super) fn is(self, state: Account) -> bool {
        self.changes == state.changes && self.balance.is_none_or(|balance| balance == state.balance)
    }
}

impl From<Account> for Seen {
    fn from(state: Account) -> Self {
        Self {
            balance: Some(state.balance),
            changes: state.changes,
        }
    }
}

impl Operation {
    /// Whether it leaves events if it takes effect.
    pub(super) fn records(&self) -> bool {
        self.way != Way::DryRun && self.steps.iter().any(|step| step.action.event_count() > 0)
    }

    /// Its accounts, in the order of their first steps.
    pub(super) fn accounts(&self) -> Vec<usize> {
        let mut accounts = Vec::new();
        for step in &self.steps {
            if !accounts.contains(&step.account) {
                accounts.push(step.account);
            }
        }
        accounts
    }
}

/// The id of an operation's command.
pub(super) fn command_id(operation: usize) -> Uuid {
    Uuid::from_u128((operation as u128 + 1) << 64)
}

impl History {
    /// An operation is about to be called; gives its number.
    pub(super) fn call(&self, way: Way, steps: Vec<Step>) -> usize {
        let mut log = self.log();
        let called = log.tick();
        log.operations.push(Operation {
            way,
            steps,
            called,
            answered: NEVER,
            outcome: Outcome::Unknown,
            behind: None,
        });
        log.operations.len() - 1
    }

    /// The one stands behind the other in one call of several.
    pub(super) fn is_behind(&self, operation: usize, before: usize) {
        self.log().operations[operation].behind = Some(before);
    }

    /// It has been answered.
    pub(super) fn answer(&self, operation: usize, outcome: Outcome) {
        let mut log = self.log();
        let now = log.tick();
        let operation = &mut log.operations[operation];
        if !matches!(outcome, Outcome::Unknown) {
            operation.answered = now;
        }
        operation.outcome = outcome;
    }

    /// Whatever is open now has taken effect, or never will.
    pub(super) fn settle(&self) {
        let mut log = self.log();
        let now = log.tick();
        for operation in &mut log.operations {
            operation.answered = operation.answered.min(now);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.log().operations.len()
    }

    pub(super) fn take(&self) -> Vec<Operation> {
        std::mem::take(&mut self.log().operations)
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }
}
