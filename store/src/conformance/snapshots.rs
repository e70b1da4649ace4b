//! The latest snapshot of each stream, when no older ones are kept.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use super::support::{append_many, fresh_id, patterned, read_whole, stream, stream_of};
use crate::clock::Timestamp;
use crate::event::{Codec, Payload};
use crate::position::Version;
use crate::read_model::Store;
use crate::snapshot::{Snapshot, SnapshotCriteria};
use crate::stream_id::StreamId;

/// A stream with ten events, and a snapshot of each of its versions: of version n taken at n times ten microseconds.
pub(super) async fn snapshots_of<S: Store + ?Sized>(
    store: &Arc<S>,
    stream: &StreamId,
) -> Vec<Snapshot> {
    append_many(store, stream, 10).await;
    read_whole(store, stream)
        .await
        .into_iter()
        .zip((10..).step_by(10))
        .map(|(event, taken_at)| Snapshot {
            stream: stream.clone(),
            version: event.version,
            event_id: event.id,
            taken_at: Timestamp::from_unix_micros(taken_at),
            state_schema: 1,
            payload: Payload::raw(format!("{stream} at {}", event.version)),
        })
        .collect()
}

/// Saves a snapshot beside older ones.
pub(super) async fn save_beside<S: Store + ?Sized>(store: &Arc<S>, snapshot: &Snapshot, keep: u16) {
    let keep = NonZeroU16::new(keep).expect("a suite keeps at least one");
    store
        .save_snapshot(snapshot.clone(), keep)
        .await
        .unwrap_or_else(|error| {
            panic!("the snapshot of {} must be saved: {error}", snapshot.stream)
        });
}

/// Saves a snapshot as the only one.
async fn save<S: Store + ?Sized>(store: &Arc<S>, snapshot: &Snapshot) {
    save_beside(store, snapshot, 1).await;
}

/// Loads the newest snapshot that fits.
pub(super) async fn load_fitting<S: Store + ?Sized>(
    store: &Arc<S>,
    stream: &StreamId,
    criteria: SnapshotCriteria,
) -> Option<Snapshot> {
    store
        .load_snapshot(stream, criteria)
        .await
        .unwrap_or_else(|error| panic!("the snapshot of {stream} must load: {error}"))
}

pub(super) async fn load<S: Store + ?Sized>(store: &Arc<S>, stream: &StreamId) -> Option<Snapshot> {
    load_fitting(store, stream, SnapshotCriteria::ALL).await
}

pub(super) async fn delete_fitting<S: Store + ?Sized>(
    store: &Arc<S>,
    stream: &StreamId,
    criteria: SnapshotCriteria,
) {
    store
        .delete_snapshots(stream, criteria)
        .await
        .unwrap_or_else(|error| panic!("the snapshots of {stream} must be deleted: {error}"));
}

async fn delete<S: Store + ?Sized>(store: &Arc<S>, stream: &StreamId) {
    delete_fitting(store, stream, SnapshotCriteria::ALL).await;
}

/// A stream has no snapshot until one is saved, whether it has events or not.
pub async fn a_stream_has_no_snapshot_at_first<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    snapshots_of(store, &account).await;
    assert_eq!(load(store, &account).await, None);
    assert_eq!(load(store, &stream("unknown")).await, None);
}

/// A snapshot comes back with every fact as it was given.
pub async fn a_snapshot_comes_back_as_it_was_saved<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let mut snapshots = snapshots_of(store, &account).await;
    snapshots[1].state_schema = u32::MAX;
    snapshots[2].state_schema = 0;
    snapshots[3].payload.codec = Codec::MessagePack;
    snapshots[4].payload.codec = Codec::Json;
    snapshots[5].payload.key_id = NonZeroU32::new(7);
    snapshots[6].payload.key_id = Some(NonZeroU32::MAX);
    snapshots[7].payload.bytes = bytes::Bytes::new();
    snapshots[8].payload.bytes = bytes::Bytes::from_static(b"\0\xff\0");
    snapshots[8].taken_at = Timestamp::from_unix_micros(i64::MIN);
    snapshots[9].taken_at = Timestamp::from_unix_micros(i64::MAX);
    for snapshot in snapshots {
        save(store, &snapshot).await;
        assert_eq!(load(store, &account).await, Some(snapshot));
    }
}

/// A newer snapshot takes the place of an older one, and an older one does not take that of a newer one.
pub async fn the_newest_snapshot_stays<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let snapshots = snapshots_of(store, &account).await;
    let mut newest = 0;
    for index in [3, 0, 5, 4, 5, 1, 9, 8, 2] {
        save(store, &snapshots[index]).await;
        newest = newest.max(index);
        assert_eq!(
            load(store, &account).await.as_ref(),
            Some(&snapshots[newest]),
            "after saving version {}",
            snapshots[index].version
        );
    }
}

/// A snapshot of the same version takes the place of the one before: the state's shape may have changed since.
pub async fn a_snapshot_of_the_same_version_replaces_the_one_before<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    let account = stream(1);
    let old_shape = snapshots_of(store, &account).await.remove(9);
    let new_shape = Snapshot {
        state_schema: 2,
        payload: Payload::message_pack("of another shape"),
        ..old_shape.clone()
    };
    save(store, &old_shape).await;
    save(store, &new_shape).await;
    assert_eq!(load(store, &account).await, Some(new_shape));
}

/// A deleted snapshot is gone, and any other may follow it, an older one too.
pub async fn a_deleted_snapshot_is_gone<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let snapshots = snapshots_of(store, &account).await;
    // There is nothing to delete yet, which is no error.
    delete(store, &account).await;
    for version in [8, 3, 5] {
        save(store, &snapshots[version]).await;
        assert_eq!(
            load(store, &account).await.as_ref(),
            Some(&snapshots[version])
        );
        delete(store, &account).await;
        assert_eq!(load(store, &account).await, None);
    }
    delete(store, &account).await;
    assert_eq!(
        read_whole(store, &account).await.len(),
        10,
        "its events stay"
    );
}

/// Snapshots of some hundred KiB are kept whole, also in place of larger and smaller ones.
pub async fn a_large_snapshot_is_kept_whole<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let snapshots = snapshots_of(store, &account).await;
    let sizes = [10, 300 * 1024, 4_096, 4_097, 1 << 20, 1, 300 * 1024];
    for (mut snapshot, size) in snapshots.into_iter().zip(sizes) {
        snapshot.payload = Payload::raw(patterned(size));
        save(store, &snapshot).await;
        let loaded = load(store, &account).await.expect("it was just saved");
        assert_eq!(loaded.version, snapshot.version);
        assert!(
            loaded == snapshot,
            "a snapshot of {size} bytes came back otherwise"
        );
    }
    delete(store, &account).await;
    assert_eq!(load(store, &account).await, None);
}

/// Each stream has its own snapshot, however alike the names are.
pub async fn snapshots_of_streams_do_not_mix<S: Store + ?Sized>(store: &Arc<S>) {
    let alike = [
        stream_of("a", "b", "1"),
        stream_of("a", "b", "10"),
        stream_of("a", "b", "1:0"),
        stream_of("a", "bb", "1"),
        stream_of("aa", "b", "1"),
        stream_of("b", "a", "1"),
    ];
    let mut saved = Vec::new();
    for (name, version) in alike.iter().zip([9, 3, 5, 1, 7, 2]) {
        let snapshot = snapshots_of(store, name).await.swap_remove(version);
        save(store, &snapshot).await;
        saved.push(snapshot);
    }
    for (name, snapshot) in alike.iter().zip(&saved) {
        assert_eq!(load(store, name).await.as_ref(), Some(snapshot));
    }
    delete(store, &alike[0]).await;
    assert_eq!(load(store, &alike[0]).await, None);
    for (name, snapshot) in alike.iter().zip(&saved).skip(1) {
        assert_eq!(load(store, name).await.as_ref(), Some(snapshot));
    }
}

/// A snapshot never counts as an event: neither versions, positions nor listings see it.
pub async fn a_snapshot_changes_nothing_that_is_read<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let snapshots = snapshots_of(store, &account).await;
    let before = read_whole(store, &account).await;
    save(store, &snapshots[4]).await;
    assert_eq!(read_whole(store, &account).await, before);
    assert_eq!(store.head().get(), 10);
    let version = store.stream_version(&account).await.unwrap();
    assert_eq!(version, Version::new(10));
    let listed = store.streams("acme", "account", None, 10).await.unwrap();
    assert_eq!(listed, [account]);
}

/// Whoever saves at the same time, the newest snapshot is the one that stays.
pub async fn the_newest_of_snapshots_saved_at_once_stays<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let snapshots = snapshots_of(store, &account).await;
    let newest = snapshots[9].clone();
    let saving: Vec<_> = snapshots
        .into_iter()
        .map(|mut snapshot| {
            let store = store.clone();
            if snapshot.version != Version::new(10) {
                // Large ones, so that a store which writes in several steps is caught between them.
                snapshot.payload = Payload::raw(patterned(100_000));
                snapshot.event_id = fresh_id();
            }
            tokio::spawn(async move { save(&store, &snapshot).await })
        })
        .collect();
    for saved in saving {
        saved.await.unwrap();
    }
    assert!(
        load(store, &account).await == Some(newest),
        "not the newest snapshot stayed, or not whole"
    );
}
