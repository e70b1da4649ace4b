use std::sync::Arc;

use foldhouse_store::{Checkpoint, Position, ReadError, Row, Store};

use super::Projection;
use super::commit::Place;
use super::live::Rows;
use super::slot::{Partition, Side, store_name};
use super::store_keys::{self, Kind};
use crate::event_codec::decode_value;

/// Rows of one read.
const PAGE_ROWS: usize = 1_000;

/// A model as the store keeps it.
pub(super) struct Loaded<P: Projection> {
    pub(super) rows: Rows<P>,
    pub(super) position: Position,
    pub(super) place: Place,
}

/// A place in the store with a model that may count.
struct Found {
    place: Place,
    position: Position,
}

/// The rows as the store keeps them, and how far they have come. A model that does not fit is forgotten, and made anew.
pub(super) async fn load<P: Projection>(
    store: &dyn Store,
    partition: Option<Partition>,
) -> Result<Loaded<P>, ReadError> {
    let mut newest: Option<Found> = None;
    for side in Side::BOTH {
        let Some(found) = find::<P>(store, partition, side).await? else {
            continue;
        };
        let outdated = match &newest {
            Some(other) if other.place.generation > found.place.generation => Some(found),
            _ => newest.replace(found),
        };
        if let Some(outdated) = outdated {
            // The process ended before it had removed what was replaced.
            store.reset(&outdated.place.name).await?;
        }
    }
    let Some(found) = newest else {
        return Ok(empty(partition));
    };
    match load_rows::<P>(store, &found.place.name).await? {
        Ok(rows) => Ok(Loaded {
            rows,
            position: found.position,
            place: found.place,
        }),
        Err(error) => {
            start_over::<P>(store, &found.place.name, &error).await?;
            Ok(empty(partition))
        }
    }
}

fn empty<P: Projection>(partition: Option<Partition>) -> Loaded<P> {
    Loaded {
        rows: Rows::new(),
        position: Position::BEFORE_FIRST,
        place: Place {
            name: store_name(P::NAME, partition, Side::First),
            side: Side::First,
            generation: 0,
        },
    }
}

/// The model at one place; `None`, and the place is emptied, if it does not count.
async fn find<P: Projection>(
    store: &dyn Store,
    partition: Option<Partition>,
    side: Side,
) -> Result<Option<Found>, ReadError> {
    let name = store_name(P::NAME, partition, side);
    let Some(checkpoint) = store.checkpoint(&name).await? else {
        return Ok(None);
    };
    if let Some(reason) = unfit::<P>(checkpoint, store.head(), side) {
        start_over::<P>(store, &name, reason).await?;
        return Ok(None);
    }
    let generation = generation(store, &name).await?;
    Ok(Some(Found {
        place: Place {
            name,
            side,
            generation,
        },
        position: checkpoint.position,
    }))
}

fn unfit<P: Projection>(
    checkpoint: Checkpoint,
    head: Position,
    side: Side,
) -> Option<&'static str> {
    if checkpoint.model_version != P::MODEL_VERSION {
        Some("it has another model version")
    } else if checkpoint.position == Position::BEFORE_FIRST && side == Side::First {
        Some("it was cut off while it was kept for the first time")
    } else if checkpoint.position == Position::BEFORE_FIRST {
        Some("it was cut off while it was made beside another")
    } else if checkpoint.position > head {
        Some("it is ahead of the journal")
    } else {
        None
    }
}

async fn generation(store: &dyn Store, name: &str) -> Result<u64, ReadError> {
    let before = store_keys::before_generation();
    let rows = store.rows(name, Some(&before), 1).await?;
    let number = rows
        .first()
        .filter(|(key, _)| matches!(store_keys::kind(key), Kind::Generation));
    let number = number.and_then(|(_, value)| <[u8; 8]>::try_from(value.as_slice()).ok());
    Ok(number.map_or(0, u64::from_be_bytes))
}

/// The inner error says which row cannot be read.
async fn load_rows<P: Projection>(
    store: &dyn Store,
    name: &Arc<str>,
) -> Result<Result<Rows<P>, String>, ReadError> {
    let mut loaded = Rows::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = store.rows(name, after.as_deref(), PAGE_ROWS).await?;
        let Some((last, _)) = rows.last() else {
            return Ok(Ok(loaded));
        };
        after = Some(last.clone());
        for row in &rows {
            if let Err(error) = load_row(&mut loaded, row) {
                return Ok(Err(error));
            }
        }
    }
}

fn load_row<P: Projection>(loaded: &mut Rows<P>, (key, value): &Row) -> Result<(), String> {
    match store_keys::kind(key) {
        Kind::User => loaded.table.load(decode_value(key)?, decode_value(value)?),
        Kind::DeadLetter => loaded.letters.load(value)?,
        Kind::Generation | Kind::Unknown => {}
    }
    Ok(())
}

async fn start_over<P: Projection>(
    store: &dyn Store,
    name: &str,
    reason: &str,
) -> Result<(), ReadError> {
    tracing::warn!(
        projection = P::NAME,
        reason,
        "a read model is made anew from the first event"
    );
    store.reset(name).await
}
