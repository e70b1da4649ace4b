use std::collections::HashMap;

use super::account::Account;
use super::check::Anomaly;
use super::history::Operation;

/// An event as it stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) account: usize,
    pub(super) version: u64,
    /// The operation whose command it belongs to, as its id says.
    pub(super) operation: usize,
    pub(super) by: i64,
}

/// The journal, read as books: every state that an account ever had, and what each operation left.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) accounts: Vec<Book>,
    /// By operation; none if it left nothing.
    pub(super) effects: HashMap<usize, Effect>,
    pub(super) head: u64,
}

/// One account.
#[derive(Debug)]
pub(super) struct Book {
    /// By version.
    pub(super) states: Vec<Account>,
    /// When each version was the account's.
    pub(super) terms: Vec<Term>,
}

/// The places in the order of positions at which a version could be seen. An operation takes effect as a whole: in the
/// midst of its events there is no such place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    /// The last position of its operation; none if that went on to a further version.
    pub(super) since: Option<u64>,
    /// The one before the first position of the next operation here.
    pub(super) until: u64,
}

/// What one operation left.
#[derive(Clone, Debug)]
pub(super) struct Effect {
    pub(super) first_position: u64,
    pub(super) last_position: u64,
    /// By account: the version before it, and the one after it.
    pub(super) versions: HashMap<usize, (u64, u64)>,
}

impl Books {
    /// Reads the entries, which are in the order of positions from 1 on.
    ///
    /// # Errors
    /// If versions have gaps, or an operation's events are not just those that it was to leave, side by side.
    pub(super) fn read(
        account_count: usize,
        operations: &[Operation],
        entries: &[Entry],
    ) -> Result<Self, Anomaly> {
        let mut books = Self {
            accounts: (0..account_count).map(|_| Book::new()).collect(),
            effects: HashMap::new(),
            head: entries.len() as u64,
        };
        let mut rest = entries;
        let mut position = 0;
        while let Some(first) = rest.first() {
            let number = first.operation;
            let expected = operations.get(number).map(expected_events);
            let expected = expected.unwrap_or_default();
            let found = &rest[..expected.len().min(rest.len())];
            let is_whole = !expected.is_empty()
                && found.len() == expected.len()
                && found.iter().zip(&expected).all(|(entry, (account, by))| {
                    (entry.operation, entry.account, entry.by) == (number, *account, *by)
                });
            if !is_whole {
                return Err(Anomaly::NotWhole {
                    operation: number,
                    position: position + 1,
                });
            }
            books.take(number, found, position)?;
            position += found.len() as u64;
            rest = &rest[found.len()..];
        }
        Ok(books)
    }

    /// Enters the events of one operation, which are behind `position`.
    fn take(&mut self, number: usize, events: &[Entry], position: u64) -> Result<(), Anomaly> {
        let mut effect = Effect {
            first_position: position + 1,
            last_position: position + events.len() as u64,
            versions: HashMap::new(),
        };
        for (event, at) in events.iter().zip(position + 1..) {
            let book = &mut self.accounts[event.account];
            let before = book.version();
            if event.version != before + 1 {
                return Err(Anomaly::Gap {
                    account: event.account,
                    version: event.version,
                    position: at,
                });
            }
            book.enter(event.by);
            let versions = effect.versions.entry(event.account);
            versions.or_insert((before, before)).1 = event.version;
        }
        for (account, (before, after)) in &effect.versions {
            let terms = &mut self.accounts[*account].terms;
            terms[index(*before)].until = position;
            terms[index(*after)].since = Some(effect.last_position);
        }
        match self.effects.insert(number, effect) {
            None => Ok(()),
            Some(_) => Err(Anomaly::Twice { operation: number }),
        }
    }
}

impl Book {
    fn new() -> Self {
        Self {
            states: vec![Account::default()],
            terms: vec![Term {
                since: Some(0),
                until: u64::MAX,
            }],
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.states.len() as u64 - 1
    }

    fn enter(&mut self, by: i64) {
        let before = self.states[self.states.len() - 1];
        self.states.push(Account {
            balance: before.balance + by,
            changes: before.changes + 1,
        });
        self.terms.push(Term {
            since: None,
            until: u64::MAX,
        });
    }

    /// The state at a version that somebody claims to have seen; none if nobody can have.
    pub(super) fn state(&self, version: u64) -> Option<Account> {
        let version = usize::try_from(version).ok()?;
        self.terms.get(version)?.since?;
        self.states.get(version).copied()
    }

    /// When a version was the account's; none if nobody can have seen it.
    pub(super) fn term(&self, version: u64) -> Option<(u64, u64)> {
        let term = self.terms.get(usize::try_from(version).ok()?)?;
        Some((term.since?, term.until))
    }
}

fn index(version: u64) -> usize {
    usize::try_from(version).expect("a version that is there")
}

/// The account and amount of each event that the operation leaves, in the order of their positions: those of an account
/// side by side, accounts in the order of their first steps.
pub(super) fn expected_events(operation: &Operation) -> Vec<(usize, i64)> {
    if !operation.records() {
        return Vec::new();
    }
    let mut events = Vec::new();
    for account in operation.accounts() {
        for step in &operation.steps {
            if let (super::history::Action::Change(parts), true) =
                (&step.action, step.account == account)
            {
                events.extend(parts.iter().map(|by| (account, *by)));
            }
        }
    }
    events
}
