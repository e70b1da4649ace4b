//! When the events of an aggregate count, kept in the store beside its snapshots, so that a question by effective time need
//! not read the events for it: 24 bytes each instead.
//!
//! | key | value |
//! |---|---|
//! | stream, `00`, number of the chunk (8 bytes, big-endian) | id of its last event (16 bytes), then of each event: position, recorded at, effective at (8 bytes each, little-endian, in microseconds) |
//!
//! A chunk is 256 events of one stream, and never changes. Only derived: what is missing, or does not fit the events, is read
//! from them.

use foldhouse_store::{
    Change, Checkpoint, Position, ReadError, Store, StreamId, StreamQuery, Timestamp, Version,
};
use uuid::Uuid;

use super::marks::Mark;

/// The name of its read model in the store.
const NAME: &str = "~times";
const MODEL_VERSION: u32 = 1;
/// So many events are in a chunk.
const CHUNK_EVENTS: u64 = 256;
/// So many chunks are read at a time.
const PAGE_CHUNKS: usize = 64;
const ID_BYTES: usize = 16;
const MARK_BYTES: usize = 24;

fn first_key(stream: &StreamId) -> Vec<u8> {
    let mut key = stream.as_str().as_bytes().to_vec();
    // No stream's name has this byte.
    key.push(0);
    key
}

fn key(stream: &StreamId, chunk: u64) -> Vec<u8> {
    let mut key = first_key(stream);
    key.extend(chunk.to_be_bytes());
    key
}

/// A key behind which that of the chunk is the first.
fn before(stream: &StreamId, chunk: u64) -> Vec<u8> {
    match chunk.checked_sub(1) {
        Some(before) => key(stream, before),
        None => first_key(stream),
    }
}

/// Keeps the times of all whole chunks up to a version that are not kept yet.
pub(crate) async fn keep(
    store: &dyn Store,
    stream: &StreamId,
    up_to: Version,
) -> Result<(), ReadError> {
    let chunks = up_to.get() / CHUNK_EVENTS;
    let mut missing = chunks;
    while let Some(chunk) = missing.checked_sub(1) {
        if is_kept(store, stream, chunk).await? {
            break;
        }
        missing = chunk;
    }
    for chunk in missing..chunks {
        keep_chunk(store, stream, chunk).await?;
    }
    Ok(())
}

async fn is_kept(store: &dyn Store, stream: &StreamId, chunk: u64) -> Result<bool, ReadError> {
    let rows = store.rows(NAME, Some(&before(stream, chunk)), 1).await?;
    Ok(rows
        .first()
        .is_some_and(|(found, _)| *found == key(stream, chunk)))
}

async fn keep_chunk(store: &dyn Store, stream: &StreamId, chunk: u64) -> Result<(), ReadError> {
    let mut from = Version::new(chunk * CHUNK_EVENTS).next();
    let end = Version::new((chunk + 1) * CHUNK_EVENTS);
    let (mut marks, mut last) = (Vec::new(), None);
    while from <= end {
        let mut query = StreamQuery::since(stream.clone(), from, 256);
        query.to = end;
        let page = store.read_stream(query).await?;
        for event in &page.events {
            for number in [
                event.position.get().to_le_bytes(),
                event.recorded_at.unix_micros().to_le_bytes(),
                event.effective_at.unix_micros().to_le_bytes(),
            ] {
                marks.extend(number);
            }
            from = event.version.next();
            last = Some((event.id, event.position));
        }
        if page.events.is_empty() {
            // Not all of them are there, though it was said that they are: nothing is kept of these.
            return Ok(());
        }
    }
    let Some((id, position)) = last else {
        return Ok(());
    };
    let mut value = id.as_bytes().to_vec();
    value.extend(marks);
    let checkpoint = Checkpoint {
        position,
        model_version: MODEL_VERSION,
    };
    let kept = Change {
        key: key(stream, chunk),
        value: Some(value),
    };
    store.commit(NAME, checkpoint, vec![kept]).await
}

/// The marks that are kept of the events behind `behind` up to a version, without a gap: none if there are none, or if they
/// are not of these events.
pub(super) async fn kept(
    store: &dyn Store,
    stream: &StreamId,
    behind: Version,
    up_to: Version,
) -> Result<Vec<Mark>, ReadError> {
    let first = behind.get() / CHUNK_EVENTS;
    let mut chunk = first;
    let (mut marks, mut last) = (Vec::new(), None);
    'pages: while (chunk + 1) * CHUNK_EVENTS <= up_to.get() {
        let after = before(stream, chunk);
        let rows = store.rows(NAME, Some(&after), PAGE_CHUNKS).await?;
        if rows.is_empty() {
            break;
        }
        for (found, value) in rows {
            let is_next = found == key(stream, chunk) && (chunk + 1) * CHUNK_EVENTS <= up_to.get();
            let read = is_next.then(|| read_chunk(&value, &mut marks)).flatten();
            let Some(id) = read else { break 'pages };
            last = Some(id);
            chunk += 1;
        }
    }
    let Some(id) = last else {
        return Ok(Vec::new());
    };
    if !is_of(store, stream, Version::new(chunk * CHUNK_EVENTS), id).await? {
        tracing::warn!(%stream, "the times that are kept are not those of its events; they are not used");
        return Ok(Vec::new());
    }
    let known = usize::try_from(behind.get() % CHUNK_EVENTS).unwrap_or(usize::MAX);
    marks.drain(..known.min(marks.len()));
    Ok(marks)
}

/// Adds a chunk's marks. The id of its last event; `None` if it is none.
fn read_chunk(value: &[u8], marks: &mut Vec<Mark>) -> Option<Uuid> {
    let (id, rows) = value.split_first_chunk::<ID_BYTES>()?;
    if rows.len() as u64 != CHUNK_EVENTS * MARK_BYTES as u64 {
        return None;
    }
    let rows = rows.as_chunks::<MARK_BYTES>().0.iter();
    marks.extend(rows.map(|row| {
        let [position, recorded_at, effective_at] = numbers(row);
        Mark {
            position: Position::new(position),
            recorded_at: Timestamp::from_unix_micros(recorded_at.cast_signed()),
            effective_at: Timestamp::from_unix_micros(effective_at.cast_signed()),
        }
    }));
    Some(Uuid::from_bytes(*id))
}

fn numbers(row: &[u8; MARK_BYTES]) -> [u64; 3] {
    let (numbers, _) = row.as_chunks::<8>();
    let number = |at: usize| {
        numbers
            .get(at)
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    [number(0), number(1), number(2)]
}

/// Whether the event of this version has this id.
async fn is_of(
    store: &dyn Store,
    stream: &StreamId,
    version: Version,
    id: Uuid,
) -> Result<bool, ReadError> {
    let page = store
        .read_stream(StreamQuery::since(stream.clone(), version, 1))
        .await?;
    let event = page.events.first();
    Ok(event.is_some_and(|event| event.version == version && event.id == id))
}

#[cfg(test)]
mod tests {
    use foldhouse_store::{
        Append, EventStore, EventStoreExt, ExpectedVersion, MemoryStore, NewEvent, Payload,
        ReadModelStore,
    };

    use super::*;

    async fn store_of(events: u64, stream: &StreamId) -> MemoryStore {
        let store = MemoryStore::new();
        for number in 1..=events {
            let id = Uuid::from_u128(number.into());
            let mut event = NewEvent::new(id, "Changed", Payload::message_pack(vec![0xc0]));
            let at = i64::try_from(number ^ 5).unwrap();
            event.effective_at = Some(Timestamp::from_unix_micros(at));
            let append = Append::to(stream.clone(), ExpectedVersion::Any, [event]);
            store.append(append).await.unwrap();
        }
        store
    }

    async fn marks(store: &MemoryStore, behind: u64, up_to: u64) -> Vec<Mark> {
        let stream = stream();
        let kept = kept(store, &stream, Version::new(behind), Version::new(up_to));
        kept.await.unwrap()
    }

    fn stream() -> StreamId {
        StreamId::new("acme", "account", "1").unwrap()
    }

    #[tokio::test]
    async fn the_times_of_whole_chunks_are_kept_and_read_from_anywhere() {
        let stream = stream();
        let store = store_of(3_000, &stream).await;
        assert_eq!(marks(&store, 0, 3_000).await, []);
        // Another one's are none of its own.
        let other = StreamId::new("acme", "account", "11").unwrap();
        keep(&store, &other, Version::new(0)).await.unwrap();
        keep(&store, &stream, Version::new(600)).await.unwrap();
        assert_eq!(marks(&store, 0, 3_000).await.len(), 512);
        keep(&store, &stream, Version::new(3_000)).await.unwrap();
        let kept = marks(&store, 0, 3_000).await;
        assert_eq!(kept.len(), 2_816);
        let query = StreamQuery::since(stream, Version::new(1), 3_000);
        let events = store.read_stream(query).await.unwrap().events;
        for (mark, event) in kept.iter().zip(&events) {
            let of_event = Mark {
                position: event.position,
                recorded_at: event.recorded_at,
                effective_at: event.effective_at,
            };
            assert_eq!(*mark, of_event);
        }
        assert_eq!(marks(&store, 0, 2_047).await, kept[..1_792]);
        assert_eq!(marks(&store, 7, 3_000).await, kept[7..]);
        assert_eq!(marks(&store, 1_500, 3_000).await, kept[1_500..]);
        assert_eq!(marks(&store, 2_816, 3_000).await, []);
    }

    #[tokio::test]
    async fn times_that_are_missing_damaged_or_of_other_events_are_not_used() {
        let stream = stream();
        let store = store_of(600, &stream).await;
        keep(&store, &stream, Version::new(600)).await.unwrap();
        let checkpoint = store.checkpoint(NAME).await.unwrap().unwrap();
        let rows = store.rows(NAME, None, 9).await.unwrap();
        assert_eq!(rows.len(), 2);
        let mut of_others = rows[1].1.clone();
        of_others[0] ^= 1;
        for (value, marks_left) in [
            (Some(of_others), 0),
            (Some(rows[1].1[..50].to_vec()), 256),
            (None, 256),
        ] {
            let change = Change {
                key: rows[1].0.clone(),
                value,
            };
            store.commit(NAME, checkpoint, vec![change]).await.unwrap();
            assert_eq!(marks(&store, 0, 600).await.len(), marks_left);
        }
        // What is missing is made up for.
        keep(&store, &stream, Version::new(600)).await.unwrap();
        assert_eq!(marks(&store, 0, 600).await.len(), 512);
    }
}
