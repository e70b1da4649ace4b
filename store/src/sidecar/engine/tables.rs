//! The tables, and the open handles on them.

use sled::{Db, Tree};

/// The tables. Their names are on disk: never renumber, never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sidecar) enum Table {
    Streams,
    Commands,
    Facts,
    Segments,
    Snapshots,
    Models,
    Meta,
}

impl Table {
    pub(in crate::sidecar) const ALL: [Self; 7] = [
        Self::Streams,
        Self::Commands,
        Self::Facts,
        Self::Segments,
        Self::Snapshots,
        Self::Models,
        Self::Meta,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Streams => "streams",
            Self::Commands => "commands",
            Self::Facts => "facts",
            Self::Segments => "segments",
            Self::Snapshots => "snapshots",
            Self::Models => "models",
            Self::Meta => "meta",
        }
    }
}

#[derive(Clone)]
pub(super) struct Handles {
    pub(super) database: Db,
    pub(super) streams: Tree,
    pub(super) commands: Tree,
    pub(super) facts: Tree,
    pub(super) segments: Tree,
    pub(super) snapshots: Tree,
    pub(super) models: Tree,
    pub(super) meta: Tree,
}

impl Handles {
    pub(super) fn tree(&self, table: Table) -> &Tree {
        match table {
            Table::Streams => &self.streams,
            Table::Commands => &self.commands,
            Table::Facts => &self.facts,
            Table::Segments => &self.segments,
            Table::Snapshots => &self.snapshots,
            Table::Models => &self.models,
            Table::Meta => &self.meta,
        }
    }
}
