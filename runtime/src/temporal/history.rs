use std::ops::{ControlFlow, Range};

use foldhouse_store::{RecordedEvent, StreamId};
use uuid::Uuid;

use super::as_of::{AsOf, Pinned};
use super::cause::Causes;
use super::error::PastError;
use super::past::Past;
use super::walk::{Walk, fold};
use crate::aggregate::Aggregate;

/// The most changes on one page, whatever the limit says.
pub const HISTORY_PAGE_CHANGES_MAX: usize = 10_000;
/// So many if nothing is said.
const LIMIT: usize = 1_000;
/// The events that are looked at between two looks at whether the page is full.
const STRIDE_EVENTS: u64 = 1_000;

/// Which changes are asked for: those by the events that count at the moment `to` and did not at the moment `from`, in the
/// order in which the state at `to` is folded.
///
/// Between two versions or recorded times these are the events recorded in between. Between two effective times it is a
/// statement of account by value date. Between what was known once and what is known now of one effective time, it is what
/// was recorded late: why the figure of December is another one today.
///
/// ```
/// use foldhouse::{AsOf, HistoryQuery, Version};
///
/// let first_ten = HistoryQuery::between(AsOf::BEGINNING, AsOf::Version(Version::new(10)));
/// let the_same: HistoryQuery = (AsOf::BEGINNING..AsOf::Version(Version::new(10))).into();
/// assert_eq!(first_ten, the_same);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct HistoryQuery {
    from: AsOf,
    to: AsOf,
    limit: usize,
    cursor: Option<HistoryCursor>,
}

impl HistoryQuery {
    /// Between two moments, 1,000 changes a page.
    pub fn between(from: AsOf, to: AsOf) -> Self {
        Self {
            from,
            to,
            limit: LIMIT,
            cursor: None,
        }
    }

    /// The most changes of one page; 1 to [`HISTORY_PAGE_CHANGES_MAX`].
    pub fn limit(mut self, changes: usize) -> Self {
        self.limit = changes.clamp(1, HISTORY_PAGE_CHANGES_MAX);
        self
    }

    /// Goes on where a page ended. What is recorded between two pages does not come into them: both moments stay what they
    /// were for the first page.
    pub fn behind(mut self, cursor: HistoryCursor) -> Self {
        self.cursor = Some(cursor);
        self
    }
}

impl From<Range<AsOf>> for HistoryQuery {
    fn from(moments: Range<AsOf>) -> Self {
        Self::between(moments.start, moments.end)
    }
}

/// Where the next page of a history begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryCursor {
    stream: StreamId,
    from: Pinned,
    to: Pinned,
    place: u64,
}

/// One change, and its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<V> {
    /// The event as it is recorded: when, by whom, in which business transaction, caused by what.
    /// [`decode_event`](crate::decode_event) reads it.
    pub event: RecordedEvent,
    /// The id of the command that recorded it, as the event's id has it. It means nothing for an event that something else
    /// than a runtime has written.
    pub command_id: Uuid,
    /// What was seen of the state before it,
    pub before: V,
    /// and behind it.
    pub after: V,
}

/// Changes between two moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPage<V> {
    /// The changes.
    pub changes: Vec<Change<V>>,
    /// What was seen of the state before the first event of this page: an opening balance.
    pub opening: V,
    /// What was seen of it behind the last one: a closing balance.
    pub closing: V,
    /// Where to go on; `None` when nothing follows.
    pub next: Option<HistoryCursor>,
}

impl<A: Aggregate> Past<A> {
    /// The changes between two moments, each with its event, the command that recorded it, and what `view` sees of the state
    /// before and behind it: `Clone::clone` for all of it, `|account| account.balance()` for a figure.
    ///
    /// The whole is not a transaction: it is read page by page. But nothing that is recorded changes, so the pages fit.
    ///
    /// # Errors
    /// As for [`Past::state`]; [`PastError::OtherStream`] for a cursor that came from elsewhere.
    pub async fn history<V>(
        &self,
        query: &HistoryQuery,
        view: impl FnMut(&A) -> V + Send,
    ) -> Result<HistoryPage<V>, PastError>
    where
        V: Clone + Send,
    {
        self.changes(query, view, |_, _| true).await
    }

    /// The events that make up a figure: only the changes behind which it was another one, each with the figure before and
    /// behind it.
    ///
    /// From one page's `opening` to its `closing` they add up without a gap, unless `from` lies in another order of
    /// time than `to` (see [`HistoryQuery`]): then the figure also moves by what counted before, and the page has only
    /// what is new.
    ///
    /// # Errors
    /// As for [`Past::history`].
    pub async fn explain<F>(
        &self,
        query: &HistoryQuery,
        figure: impl FnMut(&A) -> F + Send,
    ) -> Result<HistoryPage<F>, PastError>
    where
        F: Clone + PartialEq + Send,
    {
        self.changes(query, figure, |before, after| before != after)
            .await
    }

    async fn changes<V: Clone + Send>(
        &self,
        query: &HistoryQuery,
        mut view: impl FnMut(&A) -> V + Send,
        mut is_shown: impl FnMut(&V, &V) -> bool + Send,
    ) -> Result<HistoryPage<V>, PastError> {
        let (from, to, begin) = self.moments(query).await?;
        let (sequence, held) = self.sequence(to).await?;
        let place = match begin {
            Some(place) => place,
            None if to.effective.is_some() => {
                let first = |marks: &[_]| sequence.first_not_in(marks, from);
                self.marks.up_to(&self.source, to.version, first).await?.0
            }
            None if from.effective.is_none() => from.version.min(to.version).get(),
            // By effective time, but in the order of recording: each event tells for itself.
            None => 0,
        };
        let mut walk = Walk::<A>::at(&self.source, sequence, held, place).await?;
        let mut causes = Causes::before(&self.source, walk.next_version()).await?;
        let opening = view(&walk.state);
        let mut seen = opening.clone();
        let mut changes = Vec::new();
        while changes.len() < query.limit && !walk.is_at_end() {
            let stride = walk.place.saturating_add(STRIDE_EVENTS);
            let step = |state: &mut A, event: &RecordedEvent| {
                fold(state, event)?;
                let command_id = causes.command_of(event);
                let after = view(state);
                let before = std::mem::replace(&mut seen, after.clone());
                let is_new = !from.counts(event.version, event.effective_at);
                if is_new && is_shown(&before, &after) {
                    changes.push(Change {
                        event: event.clone(),
                        command_id,
                        before,
                        after,
                    });
                }
                let is_full = changes.len() >= query.limit;
                Ok(match is_full {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                })
            };
            walk.advance(stride, step).await?;
        }
        let next = (!walk.is_at_end()).then(|| HistoryCursor {
            stream: self.source.stream.clone(),
            from,
            to,
            place: walk.place,
        });
        Ok(HistoryPage {
            changes,
            opening,
            closing: seen,
            next,
        })
    }

    /// Both moments, and where the page begins if that is known already.
    async fn moments(
        &self,
        query: &HistoryQuery,
    ) -> Result<(Pinned, Pinned, Option<u64>), PastError> {
        let Some(cursor) = &query.cursor else {
            let from = self.pin(query.from).await?;
            return Ok((from, self.pin(query.to).await?, None));
        };
        if cursor.stream != self.source.stream {
            return Err(PastError::OtherStream {
                stream: self.source.stream.clone(),
                cursor: cursor.stream.clone(),
            });
        }
        Ok((cursor.from, cursor.to, Some(cursor.place)))
    }
}
