use std::fmt;

use super::account::Account;
use super::history::{Operation, Outcome, Seen, Way};
use super::journal::{Books, Effect, Entry, expected_events};
use super::{linearizability, rules, serializability};

/// All that is left of a run: what callers were told, and what is recorded.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) accounts: usize,
    pub(super) operations: Vec<Operation>,
    /// In the order of positions.
    pub(super) entries: Vec<Entry>,
}

/// What must not be. Operations are named by their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Anomaly {
    /// An operation's events are not just those that it was to leave, side by side.
    NotWhole { operation: usize, position: u64 },
    /// An operation is recorded twice.
    Twice { operation: usize },
    /// A version is missing, or given twice.
    Gap {
        account: usize,
        version: u64,
        position: u64,
    },
    /// It was confirmed, and is not recorded.
    Lost { operation: usize },
    /// It is recorded, and its caller was told that it is not.
    Phantom { operation: usize },
    /// It saw a state that never was durable, or not at one moment.
    NeverWas {
        operation: usize,
        account: usize,
        seen: Seen,
    },
    /// What it did or answered is not what the rules give.
    AgainstTheRules { operation: usize, account: usize },
    /// It told its caller another place than the one where it stands.
    WrongPlace { operation: usize },
    /// Money came or went, behind this position.
    Money { position: u64, total: i64 },
    /// No order of this account's operations explains what their callers were told.
    NotLinearizable { account: usize, stuck_at: usize },
    /// At no place in the order of positions between its call and its answer can it have seen what it saw.
    NotSerializable { operation: usize },
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What was checked, to see that it was worth it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Checked {
    pub(super) operations: usize,
    pub(super) events: usize,
    pub(super) done: usize,
    pub(super) transactions_done: usize,
    pub(super) rejected: usize,
    pub(super) not_recorded: usize,
    /// Unknown to their callers, and recorded.
    pub(super) unknown_recorded: usize,
    /// Unknown to their callers, and not recorded.
    pub(super) unknown_lost: usize,
}

impl std::ops::AddAssign for Checked {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.events += other.events;
        self.done += other.done;
        self.transactions_done += other.transactions_done;
        self.rejected += other.rejected;
        self.not_recorded += other.not_recorded;
        self.unknown_recorded += other.unknown_recorded;
        self.unknown_lost += other.unknown_lost;
    }
}

/// Checks everything.
///
/// # Errors
/// The first anomaly.
pub(super) fn check(evidence: &Evidence) -> Result<Checked, Anomaly> {
    let Evidence {
        accounts,
        operations,
        entries,
    } = evidence;
    // First what callers can tell without the journal.
    for account in 0..*accounts {
        linearizability::check(account, operations)?;
    }
    let books = Books::read(*accounts, operations, entries)?;
    answers(operations, &books)?;
    money(operations, entries)?;
    serializability::check(operations, &books)?;
    Ok(count(operations, &books))
}

/// Each answer against the journal: what is recorded, and on which state it was decided.
pub(super) fn answers(operations: &[Operation], books: &Books) -> Result<(), Anomaly> {
    for (number, operation) in operations.iter().enumerate() {
        let effect = books.effects.get(&number);
        match &operation.outcome {
            Outcome::Done {
                seen,
                position,
                version,
            } => {
                if operation.records() && effect.is_none() {
                    return Err(Anomaly::Lost { operation: number });
                }
                let firsts = first_seen(operation, seen);
                decided(number, operation, effect, &firsts, Some(seen), books)?;
                let place = (*position, *version);
                told_place(number, operation, effect, &firsts, place, books)?;
            }
            Outcome::Rejected { step, seen } => {
                rejected(number, operation, *step, *seen, books)?;
            }
            Outcome::NotRecorded => {}
            Outcome::Unknown => {
                if let Some(effect) = effect {
                    let firsts = operation.accounts().into_iter();
                    let firsts = firsts
                        .filter_map(|account| Some((account, effect.versions.get(&account)?.0)));
                    decided(
                        number,
                        operation,
                        Some(effect),
                        &firsts.collect::<Vec<_>>(),
                        None,
                        books,
                    )?;
                }
            }
        }
        let may_record = matches!(operation.outcome, Outcome::Done { .. } | Outcome::Unknown);
        if effect.is_some() && !may_record {
            return Err(Anomaly::Phantom { operation: number });
        }
    }
    Ok(())
}

/// The version of each account that an operation was decided on, as it told.
pub(super) fn first_seen(operation: &Operation, seen: &[Seen]) -> Vec<(usize, u64)> {
    let mut firsts: Vec<(usize, u64)> = Vec::new();
    for (step, seen) in operation.steps.iter().zip(seen) {
        if firsts.iter().all(|(account, _)| *account != step.account) {
            firsts.push((step.account, seen.changes));
        }
    }
    firsts
}

/// Whether the rules let it do what it did, on the versions that it was decided on.
fn decided(
    number: usize,
    operation: &Operation,
    effect: Option<&Effect>,
    firsts: &[(usize, u64)],
    seen: Option<&[Seen]>,
    books: &Books,
) -> Result<(), Anomaly> {
    for (account, version) in firsts {
        let account = *account;
        if let Some((before, _)) = effect.and_then(|effect| effect.versions.get(&account))
            && before != version
        {
            return Err(Anomaly::AgainstTheRules {
                operation: number,
                account,
            });
        }
        let mut state = state_at(number, account, *version, books)?;
        let steps = operation.steps.iter().enumerate();
        for (index, step) in steps.filter(|(_, step)| step.account == account) {
            if let Some(seen) = seen
                && !seen[index].is(state)
            {
                return Err(Anomaly::NeverWas {
                    operation: number,
                    account,
                    seen: seen[index],
                });
            }
            state = rules::after(state, &step.action).ok_or(Anomaly::AgainstTheRules {
                operation: number,
                account,
            })?;
        }
    }
    Ok(())
}

fn state_at(
    operation: usize,
    account: usize,
    version: u64,
    books: &Books,
) -> Result<Account, Anomaly> {
    books.accounts[account]
        .state(version)
        .ok_or(Anomaly::NeverWas {
            operation,
            account,
            seen: Seen {
                balance: None,
                changes: version,
            },
        })
}

/// The version on which a rejected operation's account stood: its own earlier steps there counted up the changes.
pub(super) fn rejected_at(operation: &Operation, step: usize, seen: Account) -> Option<u64> {
    let account = operation.steps[step].account;
    let before = operation.steps[..step].iter();
    let own = before.filter(|before| before.account == account);
    let own: usize = own.map(|step| step.action.event_count()).sum();
    seen.changes.checked_sub(own as u64)
}

fn rejected(
    number: usize,
    operation: &Operation,
    step: usize,
    seen: Account,
    books: &Books,
) -> Result<(), Anomaly> {
    let account = operation.steps[step].account;
    let never_was = Anomaly::NeverWas {
        operation: number,
        account,
        seen: seen.into(),
    };
    let version = rejected_at(operation, step, seen).ok_or(never_was.clone())?;
    let against = Anomaly::AgainstTheRules {
        operation: number,
        account,
    };
    let mut state = state_at(number, account, version, books)?;
    let before = operation.steps[..step].iter();
    for step in before.filter(|before| before.account == account) {
        state = rules::after(state, &step.action).ok_or(against.clone())?;
    }
    if state != seen {
        return Err(never_was);
    }
    match rules::after(state, &operation.steps[step].action) {
        None => Ok(()),
        Some(_) => Err(against),
    }
}

/// Where the caller was told that it stands, or, if it left nothing, that all it rests on is not behind.
fn told_place(
    number: usize,
    operation: &Operation,
    effect: Option<&Effect>,
    firsts: &[(usize, u64)],
    (position, version): (Option<u64>, Option<u64>),
    books: &Books,
) -> Result<(), Anomaly> {
    let wrong = Anomaly::WrongPlace { operation: number };
    if let Some(position) = position {
        let terms = firsts
            .iter()
            .filter_map(|(account, version)| books.accounts[*account].term(*version));
        let rests_on = terms.map(|(since, _)| since);
        let fits = match effect {
            Some(effect) => position == effect.last_position,
            None => rests_on.max().unwrap_or(0) <= position && position <= books.head,
        };
        if !fits {
            return Err(wrong);
        }
    }
    if let (Some(version), [(_, before)]) = (version, firsts) {
        let own = expected_events(operation).len() as u64;
        if version != before + own {
            return Err(wrong);
        }
    }
    Ok(())
}

/// At every position between two operations the accounts hold what was paid in and not paid out.
pub(super) fn money(operations: &[Operation], entries: &[Entry]) -> Result<(), Anomaly> {
    let (mut total, mut expected) = (0, 0);
    for (index, entry) in entries.iter().enumerate() {
        if index == 0 || entries[index - 1].operation != entry.operation {
            let paid: i64 = expected_events(&operations[entry.operation])
                .iter()
                .map(|(_, by)| by)
                .sum();
            expected += paid;
        }
        total += entry.by;
        let next = entries.get(index + 1);
        let is_last = next.is_none_or(|next| next.operation != entry.operation);
        if is_last && total != expected {
            let position = index as u64 + 1;
            return Err(Anomaly::Money { position, total });
        }
    }
    Ok(())
}

fn count(operations: &[Operation], books: &Books) -> Checked {
    let mut checked = Checked {
        operations: operations.len(),
        ..Checked::default()
    };
    for account in &books.accounts {
        checked.events += account.states.len() - 1;
    }
    for (number, operation) in operations.iter().enumerate() {
        match operation.outcome {
            Outcome::Done { .. } => {
                checked.done += 1;
                checked.transactions_done += usize::from(operation.way == Way::Together);
            }
            Outcome::Rejected { .. } => checked.rejected += 1,
            Outcome::NotRecorded => checked.not_recorded += 1,
            Outcome::Unknown if books.effects.contains_key(&number) => {
                checked.unknown_recorded += 1;
            }
            Outcome::Unknown => checked.unknown_lost += 1,
        }
    }
    checked
}
