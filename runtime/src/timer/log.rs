use std::collections::BTreeMap;

use foldhouse_store::{Change, Timestamp, Version};

use super::entry::NameKey;
use super::pending::Step;

/// So many steps stand in one row.
const ROW_STEPS: usize = 1_024;
/// So many more steps than twice what is pending may stand in the log before the oldest rows are gone through.
const SPARE_STEPS: usize = 16 * ROW_STEPS;
/// So many of the oldest rows are gone through by one commit: more than it adds, so that it gets ahead.
pub(super) const OLD_ROWS: usize = 12;

const STEP: u8 = 1;
const ADD: u8 = 1;
const REMOVE: u8 = 2;
const ADD_BYTES: usize = 41;
const REMOVE_BYTES: usize = 17;

/// How the steps are kept: rows of them, one after the other, in a read model of the store. What is still pending of the
/// oldest rows is written once more at the end now and then, and the rows removed, so that the log stays in proportion to
/// what is pending (Rosenblum and Ousterhout, "The design and implementation of a log-structured file system", 1992).
///
/// | key | value |
/// |---|---|
/// | `01`, number of the row (8 bytes, big-endian) | steps, one after the other |
///
/// A step is `01`, stream's half of the key, name's half, number, due, half of the id, or `02` and the key: each 8 bytes,
/// little-endian.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// How many steps each row has.
    rows: BTreeMap<u64, usize>,
    steps: usize,
}

/// The first key that a row can have.
pub(super) const BEFORE_ROWS: &[u8] = &[STEP];

fn row_key(row: u64) -> Vec<u8> {
    let mut key = vec![STEP];
    key.extend(row.to_be_bytes());
    key
}

impl Log {
    /// Takes in a row that is there, and gives its steps; `None` if it is none.
    pub(super) fn read(&mut self, key: &[u8], value: &[u8]) -> Option<Vec<Step>> {
        let (kind, row) = key.split_first()?;
        let row = u64::from_be_bytes(row.try_into().ok()?);
        let steps = read_steps(value).filter(|_| *kind == STEP)?;
        self.note(row, steps.len());
        Some(steps)
    }

    fn note(&mut self, row: u64, steps: usize) {
        self.rows.insert(row, steps);
        self.steps += steps;
    }

    /// Whether the oldest rows are to be gone through with the next commit.
    pub(super) fn has_waste(&self, pending: usize) -> bool {
        self.steps > pending.saturating_mul(2) + SPARE_STEPS
    }

    /// Removes the oldest row of which this is the key.
    pub(super) fn forget(&mut self, key: Vec<u8>) -> Change {
        if let Some((_, steps)) = self.rows.pop_first() {
            self.steps -= steps;
        }
        Change { key, value: None }
    }

    /// Rows for these steps, behind all others.
    pub(super) fn append(&mut self, steps: &[Step]) -> Vec<Change> {
        let mut changes = Vec::new();
        for chunk in steps.chunks(ROW_STEPS) {
            let last = self.rows.last_key_value();
            let row = last.map_or(0, |(row, _)| row + 1);
            self.note(row, chunk.len());
            changes.push(Change {
                key: row_key(row),
                value: Some(write_steps(chunk)),
            });
        }
        changes
    }
}

fn write_steps(steps: &[Step]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(steps.len() * ADD_BYTES);
    for step in steps {
        match *step {
            Step::Add {
                key,
                due,
                number,
                id_half,
            } => {
                bytes.push(ADD);
                put_key(&mut bytes, key);
                bytes.extend(number.get().to_le_bytes());
                bytes.extend(due.unix_micros().to_le_bytes());
                bytes.extend(id_half.to_le_bytes());
            }
            Step::Remove { key } => {
                bytes.push(REMOVE);
                put_key(&mut bytes, key);
            }
        }
    }
    bytes
}

fn put_key(bytes: &mut Vec<u8>, key: NameKey) {
    bytes.extend(key.stream.to_le_bytes());
    bytes.extend(key.name.to_le_bytes());
}

fn read_steps(mut bytes: &[u8]) -> Option<Vec<Step>> {
    let mut steps = Vec::with_capacity(bytes.len() / ADD_BYTES);
    while let Some(kind) = bytes.first() {
        let length = match *kind {
            ADD => ADD_BYTES,
            REMOVE => REMOVE_BYTES,
            _ => return None,
        };
        let (step, rest) = bytes.split_at_checked(length)?;
        let field = |at: usize| {
            let field = step.get(1 + at * 8..9 + at * 8)?;
            Some(u64::from_le_bytes(field.try_into().ok()?))
        };
        let key = NameKey {
            stream: field(0)?,
            name: field(1)?,
        };
        steps.push(match *kind {
            ADD => Step::Add {
                key,
                number: Version::new(field(2)?),
                due: Timestamp::from_unix_micros(field(3)?.cast_signed()),
                id_half: field(4)?,
            },
            _ => Step::Remove { key },
        });
        bytes = rest;
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(name: u64) -> Step {
        Step::Add {
            key: NameKey { stream: 7, name },
            due: Timestamp::from_unix_micros(-5),
            number: Version::new(name),
            id_half: u64::MAX,
        }
    }

    fn remove(name: u64) -> Step {
        Step::Remove {
            key: NameKey { stream: 7, name },
        }
    }

    #[test]
    fn steps_are_read_as_they_were_written() {
        let steps = [add(1), remove(1), add(u64::MAX)];
        let mut log = Log::default();
        let rows = log.append(&steps);
        assert_eq!(rows.len(), 1);
        let bytes = rows[0].value.as_deref().unwrap();
        assert_eq!(Log::default().read(&rows[0].key, bytes).unwrap(), steps);
        for end in 1..bytes.len() {
            let read = read_steps(&bytes[..end]);
            let whole = end == ADD_BYTES || end == ADD_BYTES + REMOVE_BYTES;
            assert_eq!(read.is_some(), whole, "{end}");
        }
    }

    #[test]
    fn a_log_of_more_than_twice_what_is_pending_has_waste() {
        let mut log = Log::default();
        let steps: Vec<_> = (0..40_000).map(add).collect();
        let rows = log.append(&steps);
        assert_eq!(rows.len(), 40);
        assert!(!log.has_waste(20_000));
        assert!(log.has_waste(10_000));
        for row in rows.into_iter().take(30) {
            assert_eq!(log.forget(row.key).value, None);
        }
        assert!(!log.has_waste(0));
        assert_eq!(log.append(&[remove(1)])[0].key, row_key(40));
    }
}
