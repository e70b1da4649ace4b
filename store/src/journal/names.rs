use std::collections::HashMap;
use std::sync::Arc;

use crate::journal::record::StreamParts;
use crate::stream_id::StreamId;

/// How many names one reader remembers before it starts over.
const NAMES_MAX: usize = 16_384;

/// Names that a reader has met: decoding the millionth event of a stream shares the name of the first.
#[derive(Debug, Default)]
pub(crate) struct Names {
    streams: HashMap<u64, StreamId>,
    event_types: HashMap<Box<str>, Arc<str>>,
    hasher: std::hash::RandomState,
}

impl Names {
    /// The stream id of these parts; `None` if they do not make one.
    pub(crate) fn stream(&mut self, parts: StreamParts<'_>) -> Option<StreamId> {
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
