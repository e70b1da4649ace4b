use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use foldhouse_store::{
    Codec, Direction, EventKind, EventStore, EventStoreExt, JournalOptions, LookUp, LookUpBy,
    OpenError, Payload, Position, ReadError, ReadOnlyJournal, RecordedEvent, StreamId, Timestamp,
    Until,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::Outcome;
use crate::verify::hex;

/// Events of one look-up.
const PAGE_EVENTS: usize = 512;

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// The directory of a store (also one in use) or of a backup.
    directory: PathBuf,
    /// Only events of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Only events of aggregates of this type.
    #[arg(long)]
    aggregate_type: Option<String>,
    /// Only events of this stream, `tenant/aggregate type/aggregate id`.
    #[arg(long)]
    stream: Option<StreamId>,
    /// Only events with this name; give it several times for any of them.
    #[arg(long = "type", value_name = "EVENT_TYPE")]
    event_types: Vec<String>,
    /// Only events of this business transaction.
    #[arg(long, value_name = "ID")]
    correlation: Option<Uuid>,
    /// Only events that this command or event caused.
    #[arg(long, value_name = "ID")]
    causation: Option<Uuid>,
    /// Only events that this user asked for.
    #[arg(long)]
    user: Option<String>,
    /// Only events whose metadata have this; give it several times for all of them.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    metadata: Vec<(String, String)>,
    /// The first to look at: a position (4711), or a time of recording (2026-03-31T23:59:59Z).
    #[arg(long, value_name = "POINT")]
    from: Option<Until>,
    /// The last to look at, inclusive: `head`, a position or a time of recording.
    #[arg(long, value_name = "POINT", default_value = "head")]
    until: Until,
    /// Only events that count from this time on, or later.
    #[arg(long, value_name = "TIME", value_parser = time)]
    effective_from: Option<Timestamp>,
    /// Only events that count from this time on, or earlier.
    #[arg(long, value_name = "TIME", value_parser = time)]
    effective_until: Option<Timestamp>,
    /// Begin with the event that was recorded last.
    #[arg(long)]
    newest_first: bool,
    /// Stop after so many events.
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("it takes KEY=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

fn time(text: &str) -> Result<Timestamp, String> {
    match text.parse() {
        Ok(Until::Time(at)) => Ok(at),
        _ => Err("it takes a time (2026-03-31T23:59:59Z)".to_owned()),
    }
}

pub(crate) fn run(search: &Search) -> Result<Outcome, String> {
    let journal = match JournalOptions::new().open_read_only(&search.directory) {
        Ok(journal) => journal,
        Err(error @ OpenError::Corrupt(_)) => return Ok(needs_attention(&error.to_string())),
        Err(error) => return Err(error.to_string()),
    };
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| error.to_string())?;
    match tokio.block_on(print_all(&journal, search)) {
        Ok(()) => Ok(Outcome::Done),
        Err(Stop::Read(error @ ReadError::Corrupt(_))) => Ok(needs_attention(&error.to_string())),
        Err(Stop::Read(error)) => Err(error.to_string()),
        Err(Stop::Write(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(Outcome::Done),
        Err(Stop::Write(error)) => Err(error.to_string()),
    }
}

fn needs_attention(message: &str) -> Outcome {
    crate::complain(message);
    Outcome::NeedsAttention
}

/// Why not all was printed.
enum Stop {
    Read(ReadError),
    Write(std::io::Error),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Write(error)
    }
}

async fn print_all(journal: &ReadOnlyJournal, search: &Search) -> Result<(), Stop> {
    let mut look_up = LookUp {
        by: search.look_up_by(),
        from: search.first(journal).await?,
        to: search.last(journal).await?,
        direction: match search.newest_first {
            true => Direction::Backward,
            false => Direction::Forward,
        },
        limit: PAGE_EVENTS,
        examined_max: LookUp::EXAMINED_MAX,
    };
    let mut out = std::io::stdout().lock();
    let mut left = search.limit.unwrap_or(u64::MAX);
    loop {
        let found = journal.look_up(look_up.clone()).await?;
        for event in found.events.iter().filter(|event| search.matches(event)) {
            if left == 0 {
                return Ok(());
            }
            writeln!(out, "{}", to_json(event))?;
            left -= 1;
        }
        match (found.next, look_up.direction) {
            (Some(next), Direction::Forward) => look_up.from = next,
            (Some(next), Direction::Backward) => look_up.to = next,
            (None, _) => return Ok(()),
        }
    }
}

impl Search {
    fn look_up_by(&self) -> LookUpBy {
        match (self.correlation, &self.stream) {
            (Some(id), _) => LookUpBy::Correlation(id),
            (None, Some(stream)) => LookUpBy::Stream(stream.clone()),
            (None, None) => LookUpBy::Kind(self.kind()),
        }
    }

    fn kind(&self) -> EventKind {
        EventKind {
            tenant: self.tenant.as_deref().map(Arc::from),
            aggregate_type: self.aggregate_type.as_deref().map(Arc::from),
            event_types: self
                .event_types
                .iter()
                .map(|name| Arc::from(&**name))
                .collect(),
        }
    }

    async fn first(&self, journal: &ReadOnlyJournal) -> Result<Position, ReadError> {
        match self.from {
            None => Ok(Position::new(1)),
            Some(Until::Head) => Ok(journal.head()),
            Some(Until::Position(position)) => Ok(position),
            Some(Until::Time(at)) => journal.first_recorded_from(at).await,
        }
    }

    async fn last(&self, journal: &ReadOnlyJournal) -> Result<Position, ReadError> {
        match self.until {
            Until::Head => Ok(journal.head()),
            Until::Position(position) => Ok(position),
            Until::Time(at) => {
                let later = Timestamp::from_unix_micros(at.unix_micros().saturating_add(1));
                let behind = journal.first_recorded_from(later).await?;
                Ok(Position::new(behind.get().saturating_sub(1)))
            }
        }
    }

    fn matches(&self, event: &RecordedEvent) -> bool {
        let is = |wanted: Option<Uuid>, id| wanted.is_none_or(|wanted| id == Some(wanted));
        let has = |(key, value): &(String, String)| event.metadata.get(key) == Some(value);
        LookUpBy::Kind(self.kind()).matches(event)
            && self
                .stream
                .as_ref()
                .is_none_or(|stream| *stream == event.stream)
            && is(self.correlation, event.correlation_id)
            && is(self.causation, event.causation_id)
            && self
                .user
                .as_deref()
                .is_none_or(|user| event.user.as_deref() == Some(user))
            && self.metadata.iter().all(has)
            && self
                .effective_from
                .is_none_or(|at| event.effective_at >= at)
            && self
                .effective_until
                .is_none_or(|at| event.effective_at <= at)
    }
}

fn to_json(event: &RecordedEvent) -> Value {
    let mut shown = json!({
        "position": event.position.get(),
        "stream": event.stream.as_str(),
        "version": event.version.get(),
        "id": event.id,
        "type": &*event.event_type,
        "schema_version": event.schema_version,
        "recorded_at": event.recorded_at.to_string(),
        "effective_at": event.effective_at.to_string(),
    });
    if let Value::Object(fields) = &mut shown {
        put_optional(fields, event);
        let (key, payload) = payload(&event.payload);
        fields.insert(key.to_owned(), payload);
    }
    shown
}

fn put_optional(fields: &mut Map<String, Value>, event: &RecordedEvent) {
    let facts = [
        ("correlation_id", event.correlation_id.map(|id| json!(id))),
        ("causation_id", event.causation_id.map(|id| json!(id))),
        ("user", event.user.as_deref().map(|user| json!(user))),
        (
            "metadata",
            (!event.metadata.is_empty()).then(|| json!(event.metadata)),
        ),
    ];
    for (key, value) in facts {
        if let Some(value) = value {
            fields.insert(key.to_owned(), value);
        }
    }
}

/// The payload as it is read, or its bytes if this tool cannot.
fn payload(payload: &Payload) -> (&'static str, Value) {
    if payload.bytes.is_empty() && payload.key_id.is_none() {
        return ("payload", Value::Null);
    }
    let read: Option<Value> = match (payload.key_id, payload.codec) {
        (None, Codec::MessagePack) => rmp_serde::from_slice(&payload.bytes).ok(),
        (None, Codec::Json) => serde_json::from_slice(&payload.bytes).ok(),
        _ => None,
    };
    match read {
        Some(read) => ("payload", read),
        None => ("payload_hex", json!(hex(&payload.bytes))),
    }
}
