use foldhouse_store::{RecordedEvent, Version};

use super::as_of::{AsOf, Pinned};
use super::error::PastError;
use super::marks::Marks;
use super::source::Source;

/// Up to which event the store had come at a moment.
pub(super) async fn pin(source: &Source, marks: &Marks, as_of: AsOf) -> Result<Pinned, PastError> {
    let head = source.version().await?;
    let not_yet = || PastError::NotYet {
        stream: source.stream.clone(),
        as_of,
        version: head,
    };
    let version = match as_of {
        AsOf::Now | AsOf::Effective(_) => head,
        AsOf::Version(version) if version > head => return Err(not_yet()),
        AsOf::Version(version) => version,
        AsOf::Position(position) => {
            if position > source.events.head() {
                return Err(not_yet());
            }
            let known = marks.leading(|mark| mark.position <= position);
            last_of(source, known, head, |event| event.position <= position).await?
        }
        AsOf::Recorded(recorded) | AsOf::Bitemporal { recorded, .. } => {
            let known = marks.leading(|mark| mark.recorded_at <= recorded);
            last_of(source, known, head, |event| event.recorded_at <= recorded).await?
        }
    };
    Ok(Pinned {
        version,
        effective: as_of.effective(),
    })
}

/// What the marks say: so many events are within the moment, and whether the one behind them is known to be beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) within: Version,
    pub(super) is_last: bool,
}

/// The last event up to `head` that is within a moment, by bisecting: positions and times of recording never go back.
async fn last_of(
    source: &Source,
    known: Known,
    head: Version,
    is_within: impl Fn(&RecordedEvent) -> bool,
) -> Result<Version, PastError> {
    let mut within = known.within.get().min(head.get());
    if known.is_last || within == head.get() {
        return Ok(Version::new(within));
    }
    // Most ask about what is recent: the newest event first.
    if is_within(&source.event(head).await?) {
        return Ok(head);
    }
    let mut beyond = head.get();
    while beyond - within > 1 {
        let middle = within + (beyond - within) / 2;
        if is_within(&source.event(Version::new(middle)).await?) {
            within = middle;
        } else {
            beyond = middle;
        }
    }
    Ok(Version::new(within))
}
