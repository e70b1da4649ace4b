use std::sync::Arc;

use foldhouse_store::{Change, StreamId, Timestamp, Version};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One pending timer in the index.
///
/// | key | value |
/// |---|---|
/// | `01`, when it is tried (8 bytes, big-endian, in order), number (8 bytes) | the entry as MessagePack |
/// | `02`, stream, `00`, name, `01` | when it is tried, number (8 bytes each) |
///
/// The number is the version of the event that scheduled it, in the stream of timers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(skip)]
    pub(super) number: Version,
    /// When it is tried: when it is due, or later if it has failed.
    #[serde(skip)]
    pub(super) try_at: Timestamp,
    pub(super) id: Uuid,
    pub(super) stream: StreamId,
    pub(super) name: Arc<str>,
    pub(super) due: Timestamp,
    pub(super) command: Arc<str>,
    /// How often it was tried in vain.
    #[serde(default)]
    pub(super) failures: u32,
    /// What failed last.
    #[serde(default)]
    pub(super) error: Option<Arc<str>>,
}

pub(super) const META: &[u8] = &[0];
pub(super) const BY_TIME: u8 = 1;
pub(super) const BY_NAME: u8 = 2;

/// A time as bytes that sort as times do, also before 1970.
fn time_bytes(at: Timestamp) -> [u8; 8] {
    (at.unix_micros() ^ i64::MIN).to_be_bytes()
}

/// The key of a timer by time.
pub(super) fn time_key(try_at: Timestamp, number: Version) -> Vec<u8> {
    let mut key = vec![BY_TIME];
    key.extend(time_bytes(try_at));
    key.extend(number.get().to_be_bytes());
    key
}

/// What the keys by name of one aggregate start with.
pub(super) fn names_prefix(stream: &StreamId) -> Vec<u8> {
    let mut key = vec![BY_NAME];
    key.extend_from_slice(stream.as_str().as_bytes());
    key.push(0);
    key
}

/// The key of a timer by name. Neither streams nor names have control characters, so it stands for one pair only.
pub(super) fn name_key(stream: &StreamId, name: &str) -> Vec<u8> {
    let mut key = names_prefix(stream);
    key.extend_from_slice(name.as_bytes());
    key.push(1);
    key
}

/// A key behind which that of [`name_key`] is the first.
pub(super) fn before(name_key: &[u8]) -> Vec<u8> {
    let mut key = name_key.to_vec();
    if let Some(last) = key.last_mut() {
        *last = 0;
    }
    key
}

/// When a timer is tried and which one it is, from a value by name.
pub(super) fn read_place(value: &[u8]) -> Option<(Timestamp, Version)> {
    let (at, number) = value.split_first_chunk::<8>()?;
    let at = Timestamp::from_unix_micros(i64::from_be_bytes(*at) ^ i64::MIN);
    let number = u64::from_be_bytes(number.try_into().ok()?);
    Some((at, Version::new(number)))
}

impl Entry {
    /// The rows that it takes.
    pub(super) fn rows(&self) -> Result<[Change; 2], String> {
        let value = rmp_serde::to_vec_named(self).map_err(|error| error.to_string())?;
        let mut place = time_bytes(self.try_at).to_vec();
        place.extend(self.number.get().to_be_bytes());
        Ok([
            Change {
                key: time_key(self.try_at, self.number),
                value: Some(value),
            },
            Change {
                key: name_key(&self.stream, &self.name),
                value: Some(place),
            },
        ])
    }

    /// Reads a row by time; `None` if it is none.
    pub(super) fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let (kind, place) = key.split_first()?;
        let (try_at, number) = read_place(place).filter(|_| *kind == BY_TIME)?;
        let entry: Self = rmp_serde::from_slice(value).ok()?;
        Some(Self {
            number,
            try_at,
            ..entry
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_and_keys_sort_by_time_and_then_by_number() {
        let entry = Entry {
            number: Version::new(7),
            try_at: Timestamp::from_unix_micros(-5),
            id: Uuid::from_u128(3),
            stream: StreamId::new("acme", "counter", "1").unwrap(),
            name: "later".into(),
            due: Timestamp::from_unix_micros(-9),
            command: "add".into(),
            failures: 2,
            error: Some("it failed".into()),
        };
        let [by_time, by_name] = entry.rows().unwrap();
        let read = Entry::read(&by_time.key, &by_time.value.unwrap());
        assert_eq!(read.as_ref(), Some(&entry));
        let place = read_place(&by_name.value.unwrap());
        assert_eq!(place, Some((entry.try_at, entry.number)));
        assert!(before(&by_name.key) < by_name.key);
        let key = |at: i64, number| time_key(Timestamp::from_unix_micros(at), Version::new(number));
        let sorted = [
            key(i64::MIN, 9),
            key(-1, 9),
            key(0, 1),
            key(0, 2),
            key(7, 1),
        ];
        assert!(sorted.is_sorted());
    }
}
