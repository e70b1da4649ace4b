use foldhouse::{
    EventStore, JournalStore, Position, Projection, ProjectionError, RecordedEvent, StreamId,
    Table, decode_event, event_id,
};
use foldhouse_aggregates::{GlAccount, GlEvent, Side};
use foldhouse_examples::{Failure, fail};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Events of one read.
const PAGE_EVENTS: usize = 1_024;

/// The read model that proves the books as they are written: behind every append, all debits must equal all credits.
///
/// It has one row. All accounts of the example are in one currency, so the totals are two numbers.
pub(crate) struct TrialBalances;

impl Projection for TrialBalances {
    const NAME: &'static str = "trial-balances";
    type Key = ();
    type Row = Proof;

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<(), Proof>,
    ) -> Result<(), ProjectionError> {
        table.update(&(), |proof| proof.apply(event))
    }
}

/// The totals of the books up to an event, and what became of the checks before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proof {
    debits: i128,
    credits: i128,
    /// The append whose events come in: only behind its last one do the totals say something.
    coming_in: Option<ComingIn>,
    /// Appends that posted something: the journal entries.
    pub(crate) entries: u64,
    /// Appends behind which the totals were compared.
    pub(crate) checks: u64,
    /// Those behind which the debits were not the credits.
    pub(crate) unbalanced: u64,
    /// The last event of the first such append.
    pub(crate) first_unbalanced: Option<u64>,
}

/// An append that came in up to an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ComingIn {
    command_id: Uuid,
    stream: StreamId,
    /// How many of the stream's events have come.
    of_stream: u32,
    posts: bool,
    last: u64,
}

impl ComingIn {
    fn first(event: &RecordedEvent) -> Self {
        Self {
            // The first event of a command in a stream: `event_id` is its own inverse.
            command_id: event_id(event.id, &event.stream, 0),
            stream: event.stream.clone(),
            of_stream: 1,
            posts: false,
            last: event.position.get(),
        }
    }

    /// Takes the event in if it belongs to the same append, which is known by the id of its command.
    fn takes(&mut self, event: &RecordedEvent) -> bool {
        let index = match event.stream == self.stream {
            true => self.of_stream,
            false => 0,
        };
        if event_id(self.command_id, &event.stream, index) != event.id {
            return false;
        }
        if index == 0 {
            self.stream = event.stream.clone();
        }
        self.of_stream = index + 1;
        self.last = event.position.get();
        true
    }
}

impl Proof {
    fn apply(&mut self, event: &RecordedEvent) -> Result<(), ProjectionError> {
        let Some(decoded) = decode_event::<GlAccount>(event) else {
            return Ok(());
        };
        let (debit, credit) = match decoded? {
            GlEvent::Debited { minor_units, .. } => (minor_units, 0),
            GlEvent::Credited { minor_units, .. } => (0, minor_units),
            GlEvent::LinePosted {
                side, minor_units, ..
            } => match side {
                Side::Debit => (minor_units, 0),
                Side::Credit => (0, minor_units),
            },
            GlEvent::Opened { .. }
            | GlEvent::Closed {}
            | GlEvent::Charted(_)
            | GlEvent::LineHeld { .. }
            | GlEvent::LineReleased { .. } => (0, 0),
        };
        let belongs = self
            .coming_in
            .as_mut()
            .is_some_and(|append| append.takes(event));
        if !belongs {
            self.compare();
            self.coming_in = Some(ComingIn::first(event));
        }
        if let Some(append) = &mut self.coming_in {
            append.posts |= debit != 0 || credit != 0;
        }
        self.debits += i128::from(debit);
        self.credits += i128::from(credit);
        Ok(())
    }

    /// The append that came in is whole.
    fn compare(&mut self) {
        let Some(append) = self.coming_in.take() else {
            return;
        };
        self.entries += u64::from(append.posts);
        self.checks += 1;
        if self.debits != self.credits {
            self.unbalanced += 1;
            self.first_unbalanced.get_or_insert(append.last);
        }
    }

    /// The proof at the journal's head, where the last append is whole, too.
    pub(crate) fn at_head(mut self) -> Self {
        self.compare();
        self
    }

    /// The same from the journal itself, without a read model.
    pub(crate) async fn of_journal(store: &JournalStore) -> Result<Self, Failure> {
        let mut proof = Self::default();
        let mut after = Position::BEFORE_FIRST;
        loop {
            let page = store.read_all(after, PAGE_EVENTS).await.map_err(fail)?;
            for event in &page.events {
                proof.apply(event).map_err(fail)?;
            }
            match page.next {
                Some(next) => after = next,
                None => return Ok(proof.at_head()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
