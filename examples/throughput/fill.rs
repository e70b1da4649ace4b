use foldhouse::{
    Aggregate, AggregateRef, EventStore, EventStoreExt, ExpectedVersion, JournalStore,
    RecordedEvent, Runtime, StreamId, StreamQuery,
};
use foldhouse_aggregates::{Credit, GlAccount, Money, OpenAccount, Side};
use foldhouse_store::{APPEND_STREAMS_MAX, Append, NewEvent};

use crate::bench::{Bench, shut_down};
use crate::ledger::{CURRENCY, TENANT, id_of};
use crate::{Failure, fail};

/// The account whose events the others are copies of.
const TEMPLATE: &str = "template";
/// How many different postings there are.
const POSTINGS: i64 = 64;
/// How many events share an append.
const APPEND_EVENTS: usize = 512;
const _: () = assert!(
    APPEND_EVENTS <= APPEND_STREAMS_MAX,
    "an append takes no more"
);

/// Accounts as commands would have made them, written straight into the store.
#[derive(Debug)]
pub(crate) struct Fill {
    pub(crate) streams: Vec<StreamId>,
    /// By account.
    pub(crate) balances_minor: Vec<i64>,
}

/// What one command recorded.
struct Template {
    event: NewEvent,
    change_minor: i64,
}

impl Fill {
    /// Writes an opening for each account, and then postings to one after the other until there are so many events.
    pub(crate) async fn write(
        bench: &Bench,
        accounts: usize,
        events: u64,
    ) -> Result<Self, Failure> {
        let templates = templates(bench).await?;
        let [opening, postings @ ..] = templates.as_slice() else {
            return Err(fail("the template account has no events"));
        };
        let streams = (0..accounts).map(|account| stream(&id_of(account)));
        let mut fill = Self {
            streams: streams.collect::<Result<_, _>>()?,
            balances_minor: vec![0; accounts],
        };
        let mut todo = usize::try_from(events).map_err(fail)?;
        let mut postings = postings.iter().cycle();
        let mut next = vec![opening];
        while todo > 0 {
            let accounts = fill.streams.len().min(todo);
            fill.append(&bench.store, &next, accounts).await?;
            todo -= accounts * next.len();
            // Where there are few accounts, several events of one stand side by side, as those of a busy one do.
            let side_by_side = (APPEND_EVENTS / accounts).min(todo / accounts).max(1);
            next = postings.by_ref().take(side_by_side).collect();
        }
        Ok(fill)
    }

    /// Appends the same events to each of the first accounts.
    async fn append(
        &mut self,
        store: &JournalStore,
        templates: &[&Template],
        accounts: usize,
    ) -> Result<(), Failure> {
        for streams in self.streams[..accounts].chunks(APPEND_EVENTS) {
            let mut append = Append::default();
            for stream in streams {
                let events = templates.iter().map(|template| NewEvent {
                    id: store.clock().new_id(),
                    ..template.event.clone()
                });
                append = append.and(stream.clone(), ExpectedVersion::Any, events);
            }
            store.append(append).await.map_err(fail)?;
        }
        let change_minor: i64 = templates.iter().map(|template| template.change_minor).sum();
        for balance_minor in &mut self.balances_minor[..accounts] {
            *balance_minor += change_minor;
        }
        Ok(())
    }
}

fn stream(id: &str) -> Result<StreamId, Failure> {
    StreamId::new(TENANT, GlAccount::TYPE, id).map_err(fail)
}

/// Lets commands record an opening and some postings.
async fn templates(bench: &Bench) -> Result<Vec<Template>, Failure> {
    let runtime = bench.runtime().await?;
    let account = runtime
        .aggregate::<GlAccount>(TENANT, TEMPLATE)
        .map_err(fail)?;
    let open = OpenAccount::new(CURRENCY, Side::Credit);
    account.send(open).await.map_err(fail)?;
    let amounts: Vec<_> = (1..=POSTINGS).map(|number| number * 12_345).collect();
    for amount in &amounts {
        let credit = Credit::new(Money::new(*amount, CURRENCY));
        account.send(credit).await.map_err(fail)?;
    }
    let query = StreamQuery::whole(account.stream().clone(), amounts.len() + 1);
    let page = bench.store.read_stream(query).await.map_err(fail)?;
    shut_down(&runtime).await?;
    let changes = std::iter::once(0).chain(amounts);
    Ok(page
        .events
        .into_iter()
        .zip(changes)
        .map(|(event, change_minor)| Template {
            event: new_event(event),
            change_minor,
        })
        .collect())
}

fn new_event(recorded: RecordedEvent) -> NewEvent {
    NewEvent {
        schema_version: recorded.schema_version,
        correlation_id: recorded.correlation_id,
        causation_id: recorded.causation_id,
        user: recorded.user,
        metadata: recorded.metadata,
        ..NewEvent::new(recorded.id, recorded.event_type, recorded.payload)
    }
}

/// A handle on an account for which no actor was started yet.
pub(crate) fn account(
    runtime: &Runtime,
    stream: &StreamId,
) -> Result<AggregateRef<GlAccount>, Failure> {
    runtime.aggregate_of(stream.clone()).map_err(fail)
}

/// The balance of an account in minor units.
pub(crate) async fn balance_minor(
    account: &AggregateRef<GlAccount>,
) -> Result<Option<i64>, Failure> {
    account
        .query(|account| account.balance().map(Money::minor_units))
        .await
        .map_err(fail)
}
