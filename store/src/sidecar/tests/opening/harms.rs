use super::*;

#[test]
fn a_link_to_nowhere_is_moved_aside() {
    let directory = tempfile::tempdir().unwrap();
    let index = directory.path().join("index");
    std::os::unix::fs::symlink("/nowhere/at/all", &index).unwrap();
    let (sidecar, outcome) = try_open(directory.path()).unwrap();
    let OpenOutcome::MovedAside { to, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(fs::symlink_metadata(to).unwrap().is_symlink());
    assert!(is_empty(&sidecar));
    drop(sidecar);
    assert!(is_empty(&open(directory.path())));
}

#[test]
fn the_settings_of_another_database_are_moved_aside() {
    let directory = filled();
    let other = tempfile::tempdir().unwrap();
    let config = sled::Config::new().path(other.path());
    drop(config.segment_size(512 * 1024).open().unwrap());
    let conf = directory.path().join("index/conf");
    fs::copy(other.path().join("conf"), conf).unwrap();
    moved_aside(directory.path(), 1);
}

#[test]
fn damage_that_shows_only_when_all_is_read_does_not_keep_the_store_from_opening() {
    let directory = tempfile::tempdir().unwrap();
    let options = || crate::JournalOptions::new().segment_bytes(256 << 10);
    options().open(directory.path()).unwrap().close();
    let receipt = Receipt::open(&directory.path().join("index")).unwrap();
    let store_id = receipt.unwrap().slot().store_id;
    let (sidecar, _) = Sidecar::open(directory.path(), store_id, CACHE_BYTES).unwrap();
    // No read model has such a key.
    sidecar.engine.put(Table::Models, &[200], b"?").unwrap();
    sidecar.close().unwrap();

    let store = options().open(directory.path()).unwrap();
    let moved = store.recovery().index_moved_aside.clone();
    assert!(moved.is_some_and(|(to, why)| to.exists() && why.contains("damaged")));
    store.close();
    let store = options().open(directory.path()).unwrap();
    assert_eq!(store.recovery().index_moved_aside, None);
}
