//! The rules of an account once more, for the checkers: short, sequential, and not the code that they check.

use super::account::{Account, BALANCE_MAX};
use super::history::Action;

/// What an action leads to on this state; none if the rules forbid it.
pub(super) fn after(state: Account, action: &Action) -> Option<Account> {
    match action {
        Action::Read => Some(state),
        Action::AtLeast(balance) => (state.balance >= *balance).then_some(state),
        Action::Change(parts) => {
            let after = Account {
                balance: state.balance + parts.iter().sum::<i64>(),
                changes: state.changes + parts.len() as u64,
            };
            (0..=BALANCE_MAX).contains(&after.balance).then_some(after)
        }
        Action::Panic => None,
    }
}
