use std::collections::HashMap;

use uuid::Uuid;

use crate::append::Append;
use crate::memory::log::Log;
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

/// The most streams whose versions in the base are kept although the fork has no events of them, and the most command ids
/// that are known not to be there. What is forgotten is looked up again.
const KNOWN_MAX: usize = 500_000;

/// Which command ids the base has. They do not change.
#[derive(Default)]
pub(super) struct KnownCommands {
    by_id: HashMap<Uuid, bool>,
}

/// What has to be looked up in the base before an append can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Version(StreamId),
    Command(Uuid),
}

impl KnownCommands {
    pub(super) fn insert(&mut self, id: Uuid, is_there: bool) {
        if self.by_id.len() >= KNOWN_MAX {
            self.by_id.clear();
        }
        self.by_id.insert(id, is_there);
    }

    pub(super) fn has(&self, id: Uuid) -> bool {
        self.by_id.get(&id).is_some_and(|is_there| *is_there)
    }
}

/// The first thing that is not known.
pub(super) fn missing(append: &Append, log: &Log, commands: &KnownCommands) -> Option<Missing> {
    if log.before() == Position::BEFORE_FIRST {
        return None;
    }
    if let Some(command) = &append.command
        && !commands.by_id.contains_key(&command.id)
    {
        return Some(Missing::Command(command.id));
    }
    let mut streams = append.streams.iter().map(|part| &part.stream);
    let unknown = streams.find(|stream| log.continued(stream).is_none());
    unknown.map(|stream| Missing::Version(stream.clone()))
}

/// Notes a stream's version in the base.
pub(super) fn note_version(log: &mut Log, stream: StreamId, version: Version) {
    log.forget_untouched(KNOWN_MAX);
    log.continue_stream(stream, version);
}
