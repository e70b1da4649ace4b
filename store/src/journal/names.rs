use std::collections::HashMap;
use std::sync::Arc;

use crate::journal::record::StreamParts;
use crate::stream_id::StreamId;

/// How many names one reader remembers before it starts over.
const NAMES_MAX: usize = 16_384;

/// Names that a reader has met: decoding the millionth event of a stream shares the name of the first.
#[derive(Debug, Default)]
pub(crate) struct Names {
    streams: HashMap<u64, StreamId, ahash::RandomState>,
    event_types: HashMap<Box<str>, Arc<str>, ahash::RandomState>,
    hasher: ahash::RandomState,
    /// What the last event had: events of one stream or one type often come in a row.
    last_stream: Option<StreamId>,
    last_event_type: Option<Arc<str>>,
}

impl Names {
    /// The stream id of these parts; `None` if they do not make one.
    pub(crate) fn stream(&mut self, parts: StreamParts<'_>) -> Option<StreamId> {
        if let Some(last) = self
            .last_stream
            .as_ref()
            .filter(|last| is_named(last, parts))
        {
            return Some(last.clone());
        }
        let stream = self.known_stream(parts)?;
        self.last_stream = Some(stream.clone());
        Some(stream)
    }

    fn known_stream(&mut self, parts: StreamParts<'_>) -> Option<StreamId> {
        let key = std::hash::BuildHasher::hash_one(&self.hasher, parts);
        // Two names may share a hash: a hit counts only if the text is the same.
        if let Some(known) = self
            .streams
            .get(&key)
            .filter(|known| is_named(known, parts))
        {
            return Some(known.clone());
        }
        let stream = parts.to_stream_id()?;
        if self.streams.len() >= NAMES_MAX {
            self.streams.clear();
        }
        self.streams.insert(key, stream.clone());
        Some(stream)
    }

    pub(crate) fn event_type(&mut self, name: &str) -> Arc<str> {
        if let Some(last) = self
            .last_event_type
            .as_ref()
            .filter(|last| ***last == *name)
        {
            return Arc::clone(last);
        }
        let event_type = self.known_event_type(name);
        self.last_event_type = Some(Arc::clone(&event_type));
        event_type
    }

    fn known_event_type(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.event_types.get(name) {
            return Arc::clone(known);
        }
        if self.event_types.len() >= NAMES_MAX {
            self.event_types.clear();
        }
        let shared: Arc<str> = Arc::from(name);
        self.event_types.insert(name.into(), Arc::clone(&shared));
        shared
    }
}

fn is_named(stream: &StreamId, parts: StreamParts<'_>) -> bool {
    stream.aggregate_id() == parts.aggregate_id
        && stream.aggregate_type() == parts.aggregate_type
        && stream.tenant() == parts.tenant
}
