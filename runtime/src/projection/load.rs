use foldhouse_store::{Position, ReadError, Row, Store};

use super::{Projection, Table, TableOf};
use crate::event_codec::decode_value;

/// Rows of one read.
const PAGE_ROWS: usize = 1_000;

/// The rows as the store keeps them, and how far they have come. A model that does not fit is forgotten, and made anew.
pub(super) async fn load<P: Projection>(
    store: &dyn Store,
) -> Result<(TableOf<P>, Position), ReadError> {
    let Some(checkpoint) = store.checkpoint(P::NAME).await? else {
        return Ok((Table::new(), Position::BEFORE_FIRST));
    };
    let head = store.head();
    let unfit = if checkpoint.model_version != P::MODEL_VERSION {
        Some("it has another model version")
    } else if checkpoint.position == Position::BEFORE_FIRST {
        Some("it was cut off while it was kept for the first time")
    } else if checkpoint.position > head {
        Some("it is ahead of the journal")
    } else {
        None
    };
    if let Some(reason) = unfit {
        return start_over::<P>(store, reason).await;
    }
    let mut table = Table::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = store.rows(P::NAME, after.as_deref(), PAGE_ROWS).await?;
        let Some((last, _)) = rows.last() else {
            return Ok((table, checkpoint.position));
        };
        after = Some(last.clone());
        for row in &rows {
            match decode_row::<P>(row) {
                Ok((key, row)) => table.load(key, row),
                Err(error) => return start_over::<P>(store, &error).await,
            }
        }
    }
}

fn decode_row<P: Projection>((key, row): &Row) -> Result<(P::Key, P::Row), String> {
    Ok((decode_value(key)?, decode_value(row)?))
}

async fn start_over<P: Projection>(
    store: &dyn Store,
    reason: &str,
) -> Result<(TableOf<P>, Position), ReadError> {
    tracing::warn!(
        projection = P::NAME,
        reason,
        "a read model is made anew from the first event"
    );
    store.reset(P::NAME).await?;
    Ok((Table::new(), Position::BEFORE_FIRST))
}
