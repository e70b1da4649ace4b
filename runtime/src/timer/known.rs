use std::collections::HashMap;
use std::sync::Arc;

use foldhouse_store::Position;
use uuid::Uuid;

/// With so many names and more, those whose changes are durable are forgotten.
const NAMES_MAX: usize = 128;

/// What an aggregate in memory knows of its timers: what it has changed since it was hydrated. That runs ahead of the
/// index, as the state runs ahead of the disk.
#[derive(Debug)]
pub(crate) struct KnownTimers {
    /// Everything up to here is durable and not in `changed`: who has read so far has seen it.
    since: Position,
    /// By name: the timer that is pending, or none. Made for the first change.
    #[allow(
        clippy::box_collection,
        reason = "every aggregate has the room of the box"
    )]
    changed: Option<Box<HashMap<Arc<str>, Option<Uuid>>>>,
}

/// Whether a timer is still to fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    Pending,
    /// It was cancelled or replaced, or has fired; the index will show that when it is durable.
    Gone,
    /// What it was read from is too old to tell.
    Stale,
}

impl KnownTimers {
    /// Of an aggregate that is just hydrated: everything that it ever changed is at or before the store's head.
    pub(crate) fn since(head: Position) -> Self {
        Self {
            since: head,
            changed: None,
        }
    }

    /// Takes in what a decision has changed. `durable_head` is the store's head if everything before this decision is
    /// durable.
    pub(crate) fn note(
        &mut self,
        changes: impl IntoIterator<Item = (Arc<str>, Option<Uuid>)>,
        durable_head: Option<Position>,
    ) {
        let changed = self.changed.get_or_insert_default();
        if changed.len() >= NAMES_MAX
            && let Some(head) = durable_head
        {
            changed.clear();
            self.since = head;
        }
        changed.extend(changes);
    }

    /// Whether the timer with this id is still pending under its name; `as_of` is up to where was read that it is.
    pub(super) fn judge(&self, name: &str, id: Uuid, as_of: Position) -> Judged {
        let changed = self.changed.as_ref().and_then(|changed| changed.get(name));
        match changed {
            Some(pending) if *pending == Some(id) => Judged::Pending,
            Some(_) => Judged::Gone,
            None if as_of >= self.since => Judged::Pending,
            None => Judged::Stale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn what_was_changed_since_counts_and_what_was_read_before_that_is_stale() {
        let mut known = KnownTimers::since(Position::new(10));
        assert_eq!(known.judge("a", id(1), Position::new(9)), Judged::Stale);
        assert_eq!(known.judge("a", id(1), Position::new(10)), Judged::Pending);
        known.note([("a".into(), None)], None);
        assert_eq!(known.judge("a", id(1), Position::new(99)), Judged::Gone);
        known.note([("a".into(), Some(id(2)))], None);
        assert_eq!(known.judge("a", id(1), Position::new(99)), Judged::Gone);
        assert_eq!(known.judge("a", id(2), Position::new(1)), Judged::Pending);
    }

    #[test]
    fn many_names_are_forgotten_only_when_they_are_durable() {
        let mut known = KnownTimers::since(Position::new(0));
        for number in 0..NAMES_MAX {
            known.note([(number.to_string().into(), None)], None);
        }
        known.note([("more".into(), None)], None);
        assert_eq!(known.judge("7", id(1), Position::new(99)), Judged::Gone);
        known.note([("last".into(), None)], Some(Position::new(50)));
        assert_eq!(known.judge("7", id(1), Position::new(49)), Judged::Stale);
        assert_eq!(known.judge("7", id(1), Position::new(50)), Judged::Pending);
        assert_eq!(known.judge("last", id(1), Position::new(99)), Judged::Gone);
    }
}
