//! What the sidecar knows of how far the journal had come.
//!
//! sled never decides what is true, but it may bear witness: whatever is written here follows events that were durable,
//! so a journal that ends before them has lost its newest part, or is an older copy of itself. Nothing within a journal
//! can tell that.

use std::path::Path;

use super::directory::Directory;
use super::receipt::Receipt;
use super::{Sidecar, meta};
use crate::error::Fault;
use crate::position::Position;

/// Something beside the journal that follows an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Witness {
    /// What it is.
    pub(crate) what: String,
    /// The event.
    pub(crate) position: Position,
}

impl Sidecar {
    /// The witness of the furthest event, if there is any.
    pub(crate) fn witness(&self) -> Result<Option<Witness>, Fault> {
        let mut witnesses = Vec::new();
        if let Some(position) = meta::journal_head(&self.engine)? {
            let what = "the index, when the store was closed last,".to_owned();
            witnesses.push(Witness { what, position });
        }
        for mark in self.indexed_segments()? {
            witnesses.push(Witness {
                what: format!("the index of segment {}", mark.number),
                position: mark.last_position,
            });
        }
        for (projection, checkpoint) in self.checkpoints()? {
            witnesses.push(Witness {
                what: format!("the read model {projection:?}"),
                position: checkpoint.position,
            });
        }
        let furthest =
            witnesses
                .into_iter()
                .reduce(|one, other| match other.position > one.position {
                    true => other,
                    false => one,
                });
        Ok(furthest)
    }

    /// Whether there is an index in the store's directory that was once made from a journal.
    pub(crate) fn is_in(directory: &Path) -> Result<bool, Fault> {
        let receipt = Receipt::open(Directory::of_store(directory).index())?;
        Ok(receipt.is_some_and(|receipt| receipt.slot().generation > 0))
    }

    /// Notes that the journal has come to `head`; durable with the next flush.
    pub(crate) fn note_journal_head(&self, head: Position) -> Result<(), Fault> {
        meta::put_journal_head(&self.engine, head)
    }
}
