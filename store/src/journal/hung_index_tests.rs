//! sled can hang for good: the store goes on without it, and what was acked is there when it is opened again.

use std::sync::Arc;

use crate::journal::test_support::{all_events, append, open};
use crate::position::Version;

#[test]
fn a_store_whose_index_hangs_takes_appends_answers_reads_and_closes() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::default());
    let store = open(directory.path(), &faults);
    append(&store, "before", 100).unwrap();
    for _ in 0..60 {
        append(&store, "a", 20_000).unwrap();
    }
    store.close();
    let store = open(directory.path(), &faults);
    store
        .reader
        .beside(|sidecar| {
            sidecar.hang_from_now_on();
            Ok(())
        })
        .unwrap();
    // More segments than may wait for the indexing thread.
    let sealed_before = store.reader.segments.count();
    for _ in 0..200 {
        append(&store, "a", 20_000).unwrap();
    }
    assert!(store.reader.segments.count() > sealed_before + 10);
    assert!(store.reader.is_index_broken(), "somebody has waited for it");
    let appended = append(&store, "before", 100).unwrap();
    assert_eq!(appended.versions[0], Version::new(2));
    let events = all_events(&store, 100);
    assert_eq!(events.len(), 262);
    store.close();

    // The files of what hangs are moved aside, and the index is made anew.
    let store = open(directory.path(), &faults);
    assert!(store.recovery().index_moved_aside.is_some());
    assert_eq!(all_events(&store, 100), events);
    store.close();
}
