use foldhouse_store::{Position, ReadError, Store, Timestamp};

/// The position of the first event up to `head` that was recorded at this time or later; the one behind `head` if there
/// is none. Recorded times never go back over positions, so it is found by halving.
pub(super) async fn first_recorded_from(
    store: &dyn Store,
    at: Timestamp,
    head: Position,
) -> Result<Position, ReadError> {
    let (mut low, mut high) = (1, head.get() + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let page = store.read_all(Position::new(middle - 1), 1).await?;
        match page.events.first() {
            Some(event) if event.recorded_at < at => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(Position::new(low))
}
