use std::ops::ControlFlow;

use foldhouse_store::{RecordedEvent, Version};

use super::error::PastError;
use super::marks::Held;
use super::sequence::Sequence;
use super::source::Source;
use super::start::nearest;
use crate::aggregate::Aggregate;

/// The most events that are held in memory to be folded in the order in which they count. Events in front of the first
/// that is out of order are not among them.
pub const REORDERED_EVENTS_MAX: u64 = 1_000_000;
/// The most bytes that these may take.
pub const REORDERED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Events that are no further apart than this are read at once, with those between them.
const NEAR_EVENTS: u64 = 64;
/// What an event takes besides its payload, about.
const EVENT_BYTES: u64 = 256;

/// A state on its way through a sequence of events.
pub(super) struct Walk<'a, A> {
    source: &'a Source,
    sequence: Sequence,
    held: Held,
    /// The events that are out of order, in the order in which they count; read when they are come to.
    reordered: Option<Vec<RecordedEvent>>,
    pub(super) state: A,
    /// How many events of the sequence are in the state.
    pub(super) place: u64,
    /// The version of the snapshot that it began with.
    pub(super) snapshot: Version,
}

impl<'a, A: Aggregate> Walk<'a, A> {
    /// The state behind so many events.
    pub(super) async fn at(
        source: &'a Source,
        sequence: Sequence,
        held: Held,
        place: u64,
    ) -> Result<Self, PastError> {
        let up_to = sequence.in_order.get().min(place);
        let (state, snapshot) = nearest::<A>(source, Version::new(up_to)).await;
        let mut walk = Self {
            source,
            sequence,
            held,
            reordered: None,
            state,
            place: snapshot.get(),
            snapshot,
        };
        walk.advance(place, |state, event| {
            fold(state, event).map(|()| ControlFlow::Continue(()))
        })
        .await?;
        Ok(walk)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.place >= self.sequence.len()
    }

    /// The version of the event that comes next.
    pub(super) fn next_version(&self) -> Option<Version> {
        match self.place.checked_sub(self.sequence.in_order.get()) {
            None => Some(Version::new(self.place).next()),
            Some(behind) => {
                let behind = usize::try_from(behind).ok()?;
                self.sequence.reordered.get(behind).copied()
            }
        }
    }

    /// Hands over each event up to a place, or until it is told to break.
    pub(super) async fn advance(
        &mut self,
        to: u64,
        mut step: impl FnMut(&mut A, &RecordedEvent) -> Result<ControlFlow<()>, PastError> + Send,
    ) -> Result<(), PastError> {
        let to = to.min(self.sequence.len());
        let in_order = self.sequence.in_order.get();
        let mut broken = false;
        if self.place < in_order {
            let from = Version::new(self.place).next();
            let until = Version::new(to.min(in_order));
            let (state, place) = (&mut self.state, &mut self.place);
            let mut take = |event: &RecordedEvent| {
                if !broken {
                    *place += 1;
                    broken = step(state, event)?.is_break();
                }
                Ok(())
            };
            match self.held.range(from, until) {
                Some(held) => held.iter().try_for_each(&mut take)?,
                None => self.source.each(from, until, |event| take(&event)).await?,
            }
        }
        if broken || self.place >= to {
            return Ok(());
        }
        let reordered = match self.reordered.take() {
            Some(reordered) => reordered,
            None => self.read_reordered().await?,
        };
        let index = |place: u64| usize::try_from(place - in_order).unwrap_or(usize::MAX);
        let due = reordered.get(index(self.place)..index(to));
        for event in due.unwrap_or_default() {
            self.place += 1;
            if step(&mut self.state, event)?.is_break() {
                break;
            }
        }
        self.reordered = Some(reordered);
        Ok(())
    }

    async fn read_reordered(&self) -> Result<Vec<RecordedEvent>, PastError> {
        let wanted = &self.sequence.reordered;
        let mut by_version: Vec<_> = wanted.iter().copied().zip(0..).collect();
        by_version.sort_unstable();
        let Some((first, _)) = by_version.first().copied() else {
            return Ok(Vec::new());
        };
        let too_many = |events: u64, bytes: u64| PastError::TooManyReordered {
            stream: self.source.stream.clone(),
            from: first,
            events,
            bytes,
        };
        if wanted.len() as u64 > REORDERED_EVENTS_MAX {
            return Err(too_many(wanted.len() as u64, 0));
        }
        let mut places: Vec<Option<RecordedEvent>> = vec![None; wanted.len()];
        let mut bytes = 0u64;
        let mut read = 0u64;
        let is_near = |(one, _): &(Version, usize), (other, _): &(Version, usize)| {
            other.get() - one.get() <= NEAR_EVENTS
        };
        for run in by_version.chunk_by(is_near) {
            let (Some((from, _)), Some((to, _))) = (run.first(), run.last()) else {
                continue;
            };
            let mut due = run.iter().peekable();
            let mut take = |event: &RecordedEvent| {
                let place = due.next_if(|(version, _)| *version == event.version);
                if let Some(place) = place.and_then(|(_, place)| places.get_mut(*place)) {
                    read += 1;
                    bytes += EVENT_BYTES + event.payload.bytes.len() as u64;
                    if bytes > REORDERED_BYTES_MAX {
                        return Err(too_many(read, bytes));
                    }
                    *place = Some(event.clone());
                }
                Ok(())
            };
            match self.held.range(*from, *to) {
                Some(held) => held.iter().try_for_each(&mut take)?,
                None => {
                    let source = self.source;
                    source.each(*from, *to, |event| take(&event)).await?;
                }
            }
        }
        let events: Option<Vec<_>> = places.into_iter().collect();
        events.ok_or_else(|| self.source.gap(first))
    }
}

/// Applies an event to the state, as everywhere.
pub(super) fn fold<A: Aggregate>(state: &mut A, event: &RecordedEvent) -> Result<(), PastError> {
    crate::fold::fold(state, event)
        .map_err(|unreadable| PastError::Unreadable(std::sync::Arc::new(unreadable)))
}
