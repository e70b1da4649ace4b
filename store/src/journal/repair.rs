//! Letting a damaged journal go on without losing a byte of it.
//!
//! A damaged journal does not open: what stands behind the damage was acknowledged once. Going on from before the damage
//! gives all that up, so it is asked for, event by event; what is given up is moved aside as whole files.
//!
//! - `cut`: what would be given up, and doing it in steps of which each leaves a journal that is damaged or whole

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Damage, Fault, OpenError};
use crate::journal::disk::Disk;
use crate::journal::opening::lock;
use crate::journal::recovery::{TornTail, cut_off};
use crate::journal::verify::{VerifiedTail, VerifyError, VerifyProgress, Walk, Walked, journal_of};
use crate::position::Position;

mod cut;

use cut::Cut;

/// What [`repair`] asks about before it does it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairStep {
    /// The first damage of the journal: everything before it holds.
    pub damage: Damage,
    /// The last event that the journal keeps.
    pub head: Position,
    /// The last event that is known to have been behind the damage; all from behind `head` up to it are given up. There
    /// may have been more.
    pub lost_up_to: Position,
    /// How many of these can still be read from the files that are moved aside.
    pub readable: u64,
    /// The files that are moved aside, relative to the store's directory; the first one is replaced by a copy of the part
    /// that holds.
    pub moves: Vec<PathBuf>,
    /// Where to.
    pub to: PathBuf,
}

impl RepairStep {
    /// How many events are given up, as far as it is known.
    #[must_use]
    pub fn events_lost(&self) -> u64 {
        self.lost_up_to.get().saturating_sub(self.head.get())
    }
}

/// The answer to a [`RepairStep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Do it.
    Given,
    /// Leave everything as it is.
    Refused,
}

/// What [`repair`] did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RepairReport {
    /// The write that did not complete when the last process died, if there was one. It is cut off, as opening does.
    pub torn_tail: Option<TornTail>,
    /// The cut that was asked for, if one was needed.
    pub step: Option<RepairStep>,
    /// Whether it was refused: the journal is as it was, and does not open.
    pub refused: bool,
    /// What was moved, from where to where; the second one is relative to the store's directory, too.
    pub moved: Vec<(PathBuf, PathBuf)>,
    /// The position of the last event in the journal now.
    pub head: Position,
    /// Findings that cost no event, and were left.
    pub left: Vec<Damage>,
}

/// Why a store could not be repaired. What was there is still there.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// Another process has it open.
    #[error("{} is open for writing by another process; close that one first", .directory.display())]
    Locked {
        /// The store's directory.
        directory: PathBuf,
    },
    /// It could not be read.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Nothing of the journal holds.
    #[error(
        "nothing of the journal can be kept: {0}; restore that file from a copy, nothing was changed"
    )]
    NothingHolds(Damage),
    /// The file system refused. Repair again once the cause is removed: it goes on from here.
    #[error("{0}; nothing is lost: see to it and repair again")]
    Io(Fault),
}

/// Makes the journal in `directory` one that opens, and gives up no more than it must.
///
/// A write that did not complete is cut off without a question; it was never acknowledged. If the journal is damaged,
/// `ask` is told what going on from before the damage gives up. Only with its consent the damaged segment and all later
/// ones are moved to `journal.damaged-N`, whole and unchanged, and `index` to `index.damaged-N`, with the snapshots and
/// read models of events that are given up; the part of the damaged segment that holds takes its place. Nothing is ever
/// deleted. If the process is killed meanwhile, repair again: it asks again for what is left to do.
///
/// It blocks for about as long as it takes to read the journal; `progress` as in [`verify`](crate::verify()).
///
/// # Errors
/// See [`RepairError`].
pub fn repair(
    directory: impl AsRef<Path>,
    progress: &mut dyn FnMut(&VerifyProgress),
    ask: &mut dyn FnMut(&RepairStep) -> Consent,
) -> Result<RepairReport, RepairError> {
    let directory = directory.as_ref();
    let disk = journal_of(directory)?;
    let _lock = lock(directory).map_err(|error| match error {
        OpenError::Locked { directory } => RepairError::Locked { directory },
        OpenError::Io(fault) => RepairError::Io(fault),
        other => RepairError::Io(Fault::new(other.to_string())),
    })?;
    let walked = Walk::new(Arc::clone(&disk), &|| false, progress).run()?;
    let mut report = RepairReport {
        torn_tail: None,
        step: None,
        refused: false,
        moved: Vec::new(),
        head: walked.report.head,
        left: Vec::new(),
    };
    let Some(cut) = Cut::of(directory, &walked)? else {
        report.torn_tail = cut_torn_tail(&*disk, &walked)?;
        report.left = walked.report.findings;
        return Ok(report);
    };
    report.refused = ask(&cut.step) == Consent::Refused;
    if !report.refused {
        report.head = cut.step.head;
        report.moved = cut.make(directory)?;
        tracing::warn!(
            head = %cut.step.head, lost_up_to = %cut.step.lost_up_to, moved_to = %cut.step.to.display(),
            "the journal goes on from before its damage; what stood behind it was moved aside"
        );
    }
    report.step = Some(cut.step);
    Ok(report)
}

fn cut_torn_tail(disk: &dyn Disk, walked: &Walked) -> Result<Option<TornTail>, RepairError> {
    let (VerifiedTail::Torn(torn), Some((header, end))) = (&walked.report.tail, &walked.last)
    else {
        return Ok(None);
    };
    let torn = cut_off(disk, header, end, torn.offset + torn.bytes);
    torn.map(Some)
        .map_err(|error| RepairError::Io(Fault::new(error.to_string())))
}
