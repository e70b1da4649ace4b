use std::collections::{BTreeMap, BTreeSet};

use foldhouse_store::{Change, Checkpoint, Position, ReadError, Store, StreamId};
use serde::{Deserialize, Serialize};

/// The version of its rows.
const MODEL_VERSION: u32 = 1;
const PAGE_ROWS: usize = 1_000;
const OPEN: u8 = 1;
const PARKED: u8 = 2;

/// What is kept of a process: how far it has read, which instances have commands to send, and which are parked. One read
/// model in the store, changed in one step.
///
/// Keys: `01` or `02`, and the instance's stream. A lost one is made anew by reading from the first event, which instances
/// know.
pub(super) struct Rows {
    name: String,
    pub(super) position: Position,
    /// Instances that may have commands to send.
    pub(super) open: BTreeSet<StreamId>,
    pub(super) parked: BTreeMap<StreamId, Parked>,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    kept: Position,
}

/// Before which event an instance is parked, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parked {
    pub(super) position: u64,
    pub(super) event_type: String,
    pub(super) error: String,
}

impl Rows {
    pub(super) async fn load(store: &dyn Store, process: &str) -> Result<Self, ReadError> {
        let name = format!("~process:{process}");
        let mut rows = Self {
            position: Position::BEFORE_FIRST,
            open: BTreeSet::new(),
            parked: BTreeMap::new(),
            changes: BTreeMap::new(),
            kept: Position::BEFORE_FIRST,
            name,
        };
        let checkpoint = store.checkpoint(&rows.name).await?;
        let Some(checkpoint) = checkpoint.filter(|kept| kept.model_version == MODEL_VERSION) else {
            return Ok(rows);
        };
        rows.position = checkpoint.position;
        rows.kept = checkpoint.position;
        let mut after = None;
        loop {
            let page = store.rows(&rows.name, after.as_deref(), PAGE_ROWS).await?;
            for (key, value) in &page {
                rows.take(key, value);
            }
            match page.into_iter().last() {
                Some((last, _)) => after = Some(last),
                None => return Ok(rows),
            }
        }
    }

    fn take(&mut self, key: &[u8], value: &[u8]) {
        let Some((kind, stream)) = key.split_first() else {
            return;
        };
        let stream = std::str::from_utf8(stream).ok();
        let Some(stream) = stream.and_then(|stream| stream.parse::<StreamId>().ok()) else {
            return;
        };
        match *kind {
            OPEN => {
                self.open.insert(stream);
            }
            PARKED => {
                // One that cannot be read any more is parked all the same.
                let parked = rmp_serde::from_slice(value).unwrap_or_else(|error| Parked {
                    position: 0,
                    event_type: String::new(),
                    error: format!("why it is parked cannot be read: {error}"),
                });
                self.parked.insert(stream, parked);
            }
            _ => {}
        }
    }

    pub(super) fn opened(&mut self, stream: &StreamId) {
        if self.open.insert(stream.clone()) {
            self.changes.insert(key(OPEN, stream), Some(Vec::new()));
        }
    }

    pub(super) fn closed(&mut self, stream: &StreamId) {
        if self.open.remove(stream) {
            self.changes.insert(key(OPEN, stream), None);
        }
    }

    pub(super) fn park(&mut self, stream: &StreamId, parked: Parked) {
        let value = rmp_serde::to_vec_named(&parked).unwrap_or_default();
        self.changes.insert(key(PARKED, stream), Some(value));
        self.parked.insert(stream.clone(), parked);
    }

    pub(super) fn release(&mut self, stream: &StreamId) {
        if self.parked.remove(stream).is_some() {
            self.changes.insert(key(PARKED, stream), None);
        }
    }

    /// How many events it has read since its place was kept.
    pub(super) fn unkept(&self) -> u64 {
        self.position.get().saturating_sub(self.kept.get())
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Keeps what has changed, and how far it is.
    pub(super) async fn keep(&mut self, store: &dyn Store) -> Result<(), ReadError> {
        let checkpoint = Checkpoint {
            position: self.position,
            model_version: MODEL_VERSION,
        };
        let changes = self.changes.iter();
        let changes = changes.map(|(key, value)| Change {
            key: key.clone(),
            value: value.clone(),
        });
        store
            .commit(&self.name, checkpoint, changes.collect())
            .await?;
        self.changes.clear();
        self.kept = self.position;
        Ok(())
    }
}

fn key(kind: u8, stream: &StreamId) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(stream.as_str().as_bytes());
    key
}
