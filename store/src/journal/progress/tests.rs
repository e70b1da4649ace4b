use std::path::Path;
use std::sync::Mutex;

use super::*;
use crate::append::Append;
use crate::event::{NewEvent, Payload};
use crate::event_store::EventStoreExt;
use crate::journal::{JournalOptions, JournalStore};
use crate::position::ExpectedVersion;
use crate::stream_id::StreamId;

const SEGMENT_BYTES: u64 = 4 << 20;

fn open(directory: &Path) -> (JournalStore, Vec<OpenProgress>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let store = JournalOptions::new()
        .segment_bytes(SEGMENT_BYTES)
        .on_progress(move |progress| listener.lock().unwrap().push(progress))
        .open(directory)
        .unwrap();
    let told = told.lock().unwrap().clone();
    (store, told)
}

fn of(told: &[OpenProgress], step: OpenStep) -> Vec<OpenProgress> {
    let of_step = told.iter().filter(|progress| progress.step == step);
    of_step.copied().collect()
}

/// From nothing to everything, never back, and in small steps.
fn goes_from_nothing_to_everything(told: &[OpenProgress]) {
    let (first, last) = (told[0], told[told.len() - 1]);
    assert_eq!((first.segments_done, first.bytes_done), (0, 0));
    assert_eq!(last.segments_done, last.segments_total);
    assert_eq!(last.bytes_done, last.bytes_total);
    for pair in told.windows(2) {
        assert!(pair[0].bytes_done <= pair[1].bytes_done, "{pair:?}");
        assert!(pair[0].segments_done <= pair[1].segments_done, "{pair:?}");
        assert!(pair[1].bytes_done - pair[0].bytes_done <= 2 * BYTES_BETWEEN_CALLS);
    }
}

#[tokio::test]
async fn an_opening_tells_how_far_it_has_come() {
    let directory = tempfile::tempdir().unwrap();
    let (store, told) = open(directory.path());
    assert_eq!(of(&told, OpenStep::IndexSealedSegments), []);
    for number in 0..32_u128 {
        let stream = StreamId::new("acme", "account", "1").unwrap();
        let payload = Payload::raw(vec![7; 1 << 20]);
        let event = NewEvent::new(uuid::Uuid::from_u128(1 + number), "Noted", payload);
        let append = Append::to(stream, ExpectedVersion::Any, [event]);
        store.append(append).await.unwrap();
    }
    store.close();

    // Nothing but the active segment has to be read.
    let (store, told) = open(directory.path());
    assert_eq!(of(&told, OpenStep::IndexSealedSegments), []);
    let active = of(&told, OpenStep::ScanActiveSegment);
    goes_from_nothing_to_everything(&active);
    assert_eq!(active[0].segments_total, 1);
    assert_eq!(active[0].bytes_total, SEGMENT_BYTES);
    let sealed = store.recovery().segments - 1;
    assert!(sealed >= 8, "{sealed}");
    store.close();

    std::fs::remove_dir_all(directory.path().join("index")).unwrap();
    let (store, told) = open(directory.path());
    let last = of(&told, OpenStep::ReadLastSegments);
    goes_from_nothing_to_everything(&last);
    let indexing = of(&told, OpenStep::IndexSealedSegments);
    goes_from_nothing_to_everything(&indexing);
    let totals = (last[0].segments_total, indexing[0].segments_total);
    assert_eq!(totals, (6, sealed - 6));
    assert_eq!(store.recovery().segments_indexed_again, sealed);
    // Each MiB, not only each segment.
    assert!(last.len() + indexing.len() > 2 * sealed, "{indexing:?}");
    store.close();
}
