use std::borrow::Borrow;
use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::ops::RangeBounds;

/// The rows of a projection, in the order of their keys.
pub struct Table<Key, Row> {
    entries: BTreeMap<Key, Entry<Row>>,
    /// How many entries have a row.
    len: usize,
    journal: Journal<Key, Row>,
}

/// What has changed since the current step began, and since the last commit.
struct Journal<Key, Row> {
    /// The entries that the step has touched, as they were before.
    undo: Vec<(Key, Option<Row>)>,
    /// The keys whose rows may differ from what the store keeps.
    changed: Vec<Key>,
    /// The keys whose rows are on their way to the store.
    committing: Vec<Key>,
    /// Numbers the steps, so that an entry knows without a search whether it stands in `undo`.
    step: u64,
    /// Numbers the commits, in the same way for `changed`.
    commit: u64,
}

impl<Key, Row: Clone> Journal<Key, Row> {
    fn note(&mut self, entry: &mut Entry<Row>, key: impl Fn() -> Key) {
        if entry.touched_in_step != self.step {
            self.undo.push((key(), entry.row.clone()));
            entry.touched_in_step = self.step;
        }
        if entry.changed_in_commit != self.commit {
            self.changed.push(key());
            entry.changed_in_commit = self.commit;
        }
    }
}

/// A key's row; `None` behind a removal that is not committed yet.
struct Entry<Row> {
    row: Option<Row>,
    touched_in_step: u64,
    changed_in_commit: u64,
}

impl<Row> Entry<Row> {
    fn absent() -> Self {
        Self {
            row: None,
            touched_in_step: 0,
            changed_in_commit: 0,
        }
    }
}

impl<Key: Ord + Clone, Row: Clone> Table<Key, Row> {
    pub(crate) fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            len: 0,
            journal: Journal {
                undo: Vec::new(),
                changed: Vec::new(),
                committing: Vec::new(),
                step: 1,
                commit: 1,
            },
        }
    }

    /// Puts in a row that the store keeps already.
    pub(super) fn load(&mut self, key: Key, row: Row) {
        let entry = Entry {
            row: Some(row),
            ..Entry::absent()
        };
        if self.entries.insert(key, entry).is_none() {
            self.len += 1;
        }
    }

    /// Ends a step: from here on, its changes are not taken back.
    pub(crate) fn end_step(&mut self) {
        self.journal.undo.clear();
        self.journal.step += 1;
    }

    /// Takes back what the current step has changed, and begins it anew.
    pub(crate) fn take_back(&mut self) {
        for (key, before) in std::mem::take(&mut self.journal.undo) {
            if let Some(entry) = self.entries.get_mut(&key) {
                match (&entry.row, &before) {
                    (None, Some(_)) => self.len += 1,
                    (Some(_), None) => self.len = self.len.saturating_sub(1),
                    _ => {}
                }
                entry.row = before;
            }
        }
        self.journal.step += 1;
    }

    /// What the store does not keep yet: keys with their rows, without one if it is removed.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&Key, Option<&Row>)> {
        let changed = self.journal.changed.iter();
        changed.map(|key| {
            (
                key,
                self.entries.get(key).and_then(|entry| entry.row.as_ref()),
            )
        })
    }

    /// How many keys [`Table::changes`] gives.
    pub(super) fn change_count(&self) -> usize {
        self.journal.changed.len()
    }

    /// All changes are on their way to the store; from here on others are collected.
    pub(super) fn begin_commit(&mut self) {
        self.journal.committing = std::mem::take(&mut self.journal.changed);
        self.journal.commit += 1;
    }

    /// The store keeps what was on its way, or does not: then it is to be sent again.
    pub(super) fn end_commit(&mut self, kept: bool) {
        let commit = self.journal.commit;
        for key in std::mem::take(&mut self.journal.committing) {
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            if entry.changed_in_commit == commit {
                // It has changed again meanwhile and goes with the next commit anyway.
            } else if !kept {
                entry.changed_in_commit = commit;
                self.journal.changed.push(key);
            } else if entry.row.is_none() {
                self.entries.remove(&key);
            }
        }
    }

    /// For a table that no store keeps: nothing of what has changed is to be taken back or kept.
    pub(crate) fn forget_changes(&mut self) {
        self.end_step();
        self.begin_commit();
        self.end_commit(true);
    }

    /// The row of a key.
    pub fn get<Q>(&self, key: &Q) -> Option<&Row>
    where
        Key: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.entries.get(key)?.row.as_ref()
    }

    /// Changes the row of a key; the default row if there is none yet. Gives what `change` gives.
    pub fn update<Q, T>(&mut self, key: &Q, change: impl FnOnce(&mut Row) -> T) -> T
    where
        Key: Borrow<Q>,
        Q: Ord + ToOwned<Owned = Key> + ?Sized,
        Row: Default,
    {
        if let Some(entry) = self.entries.get_mut(key) {
            self.journal.note(entry, || key.to_owned());
            if entry.row.is_none() {
                self.len += 1;
            }
            return change(entry.row.get_or_insert_with(Row::default));
        }
        let mut row = Row::default();
        // A panic in here leaves the table as it was.
        let given = change(&mut row);
        self.insert(key.to_owned(), row);
        given
    }

    /// Changes the row of a key if there is one, and gives what `change` gives.
    pub fn change<Q, T>(&mut self, key: &Q, change: impl FnOnce(&mut Row) -> T) -> Option<T>
    where
        Key: Borrow<Q>,
        Q: Ord + ToOwned<Owned = Key> + ?Sized,
    {
        let entry = self.entries.get_mut(key)?;
        entry.row.as_ref()?;
        self.journal.note(entry, || key.to_owned());
        entry.row.as_mut().map(change)
    }

    /// Puts a row in place of what the key had, and gives that.
    pub fn insert(&mut self, key: Key, row: Row) -> Option<Row> {
        let journal = &mut self.journal;
        let before = match self.entries.entry(key) {
            btree_map::Entry::Occupied(mut entry) => {
                let key = entry.key().clone();
                journal.note(entry.get_mut(), || key.clone());
                entry.get_mut().row.replace(row)
            }
            btree_map::Entry::Vacant(vacant) => {
                let key = vacant.key().clone();
                let entry = vacant.insert(Entry::absent());
                journal.note(entry, || key.clone());
                entry.row.replace(row)
            }
        };
        if before.is_none() {
            self.len += 1;
        }
        before
    }

    /// Removes a key's row, and gives it.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<Row>
    where
        Key: Borrow<Q>,
        Q: Ord + ToOwned<Owned = Key> + ?Sized,
    {
        let entry = self.entries.get_mut(key)?;
        entry.row.as_ref()?;
        self.journal.note(entry, || key.to_owned());
        self.len = self.len.saturating_sub(1);
        entry.row.take()
    }

    /// All rows, in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Key, &Row)> {
        self.entries
            .iter()
            .filter_map(|(key, entry)| Some((key, entry.row.as_ref()?)))
    }

    /// The rows whose keys are in a range, in order.
    pub fn range<Q, R>(&self, range: R) -> impl DoubleEndedIterator<Item = (&Key, &Row)>
    where
        Key: Borrow<Q>,
        Q: Ord + ?Sized,
        R: RangeBounds<Q>,
    {
        self.entries
            .range(range)
            .filter_map(|(key, entry)| Some((key, entry.row.as_ref()?)))
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<Key: fmt::Debug + Ord + Clone, Row: fmt::Debug + Clone> fmt::Debug for Table<Key, Row> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
