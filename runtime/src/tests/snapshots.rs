use super::counter::*;
use super::held_store::{HeldStore, not_recorded};
use super::*;
use crate::*;
use foldhouse_store::{Payload, Snapshot, SnapshotCriteria, SnapshotStore};
use std::num::NonZeroU16;

fn stream() -> StreamId {
    StreamId::new("acme", "counter", "1").unwrap()
}

async fn snapshot_at(store: &MemoryStore, version: u64) -> Snapshot {
    loop {
        if let Some(snapshot) = store
            .load_snapshot(&stream(), SnapshotCriteria::ALL)
            .await
            .unwrap()
            && snapshot.version >= Version::new(version)
        {
            return snapshot;
        }
        tokio::task::yield_now().await;
    }
}

/// A store with ten events and the snapshot of the tenth.
async fn ten_events() -> (Arc<MemoryStore>, Snapshot) {
    let store = Arc::new(MemoryStore::new());
    let runtime = start_with(&store, |builder| builder.snapshot_every_events(10)).await;
    let counter = counter(&runtime);
    for _ in 0..10 {
        counter.send(Add(1)).await.unwrap();
    }
    let snapshot = snapshot_at(&store, 10).await;
    runtime.shutdown(PATIENCE).await.unwrap();
    (store, snapshot)
}

async fn count_with(store: &Arc<MemoryStore>, snapshot: Snapshot) -> u64 {
    store
        .save_snapshot(snapshot, NonZeroU16::MIN)
        .await
        .unwrap();
    let runtime = start(store).await;
    counter(&runtime).send(Add(1)).await.unwrap()
}

#[tokio::test]
async fn a_snapshot_is_saved_after_so_many_events_with_the_id_of_the_last() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start_with(&store, |builder| builder.snapshot_every_events(10)).await;
    let counter = counter(&runtime);
    for _ in 0..9 {
        counter.send(Add(1)).await.unwrap();
    }
    settle().await;
    assert!(
        store
            .load_snapshot(&stream(), SnapshotCriteria::ALL)
            .await
            .unwrap()
            .is_none()
    );
    let id = uuid::Uuid::from_u128(5);
    let options = CommandOptions::new().command_id(id);
    counter.execute(AddOneByOne(3), options).await.unwrap();
    let snapshot = snapshot_at(&store, 12).await;
    assert_eq!(snapshot.version, Version::new(12));
    assert_eq!(snapshot.event_id, event_id(id, &stream(), 2));
    for _ in 0..10 {
        counter.send(Add(1)).await.unwrap();
    }
    assert_eq!(snapshot_at(&store, 22).await.version, Version::new(22));
}

#[tokio::test]
async fn a_snapshot_is_saved_only_when_its_last_event_is_durable() {
    for fails in [false, true] {
        let store = HeldStore::new();
        let runtime = start_with(&store, |builder| builder.snapshot_every_events(2)).await;
        let counter = counter(&runtime);
        counter.send(Add(1)).await.unwrap();
        store.hold();
        let submitted = store.submitted();
        let sending = counter.clone();
        let second = tokio::spawn(async move { sending.send(Add(1)).await });
        store.until_submitted(submitted + 1).await;
        settle().await;
        let saved = || {
            store
                .inner
                .load_snapshot(counter.stream(), SnapshotCriteria::ALL)
        };
        assert!(saved().await.unwrap().is_none());
        if fails {
            store.fail_one(not_recorded());
            store.let_go();
            second.await.unwrap().unwrap_err();
            settle().await;
            assert!(saved().await.unwrap().is_none());
            // Another one may be taken, by the next actor.
            counter.send(AddOneByOne(2)).await.unwrap();
        } else {
            store.let_go();
            second.await.unwrap().unwrap();
        }
        snapshot_at(&store.inner, 2).await;
    }
}

#[tokio::test]
async fn a_snapshot_is_where_hydrating_starts() {
    let (store, mut snapshot) = ten_events().await;
    // A state that the events do not lead to shows that it was used.
    snapshot.payload = Payload::message_pack(b"\x91\xcd\x03\xe8".to_vec());
    assert_eq!(count_with(&store, snapshot).await, 1_001);
}

#[tokio::test]
async fn a_snapshot_of_another_schema_history_or_shape_is_not_used() {
    let (store, snapshot) = ten_events().await;
    let forged = Payload::message_pack(b"\x91\xcd\x03\xe8".to_vec());
    let forge = |change: &dyn Fn(&mut Snapshot)| {
        let mut other = snapshot.clone();
        other.payload = forged.clone();
        change(&mut other);
        other
    };
    let unusable = [
        forge(&|snapshot| snapshot.state_schema = 2),
        forge(&|snapshot| snapshot.event_id = uuid::Uuid::from_u128(1)),
        forge(&|snapshot| snapshot.payload = Payload::raw(b"\x91\xcd\x03\xe8".to_vec())),
        forge(&|snapshot| {
            snapshot.payload = Payload::message_pack(b"\x91\xcd\x03\xe8\x00".to_vec())
        }),
        forge(&|snapshot| snapshot.payload = Payload::message_pack(b"\x91".to_vec())),
        forge(&|snapshot| snapshot.version = Version::new(1_000)),
    ];
    for (count, snapshot) in (11..).zip(unusable) {
        assert_eq!(count_with(&store, snapshot).await, count);
    }
}
