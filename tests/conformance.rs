mod memory {
    use std::sync::Arc;

    foldhouse_store::conformance_tests!(async {
        (Arc::new(foldhouse_store::MemoryStore::new()), ())
    });
}

mod journal {
    use std::sync::Arc;

    use foldhouse_store::JournalOptions;

    // Small enough that the heavier cases fill several segments, large enough for the largest event.
    foldhouse_store::conformance_tests!(async {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store = JournalOptions::new()
            .segment_bytes(40 << 20)
            .open(directory.path())
            .unwrap();
        (Arc::new(store), directory)
    });
}

/// A fork of an empty journal, and what is appended to it.
mod fork {
    use std::sync::Arc;

    use foldhouse_store::{JournalOptions, OverlayStore, Position};

    foldhouse_store::conformance_tests!(async {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let options = JournalOptions::new().segment_bytes(1 << 20);
        let base = Arc::new(options.open(directory.path()).unwrap());
        let fork = OverlayStore::fork(base, Position::BEFORE_FIRST).await;
        (Arc::new(fork.unwrap()), directory)
    });
}
