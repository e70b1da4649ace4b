//! Several snapshots of a stream: which are kept, found, listed and deleted.

use std::sync::Arc;

use super::snapshots::{
    delete_fitting, load, load_fitting, save_beside, snapshots_of as ten_snapshots_of,
};
use super::support::{assert_event_count, patterned, stream, stream_of};
use crate::clock::Timestamp;
use crate::event::Payload;
use crate::position::Version;
use crate::read_model::Store;
use crate::snapshot::{Snapshot, SnapshotCriteria, SnapshotInfo};
use crate::stream_id::StreamId;

/// More than any case saves.
const ALL_OF_THEM: u16 = 1_000;

fn version(number: u64) -> Version {
    Version::new(number)
}

/// When the suite's snapshot of this version was taken, or a microsecond beside that.
fn taken_at(version: u64, beside: i64) -> Timestamp {
    Timestamp::from_unix_micros(i64::try_from(version).expect("a small one") * 10 + beside)
}

/// A stream that keeps the snapshots of versions 1 to 5 of its ten, saved in an order that is not theirs.
async fn five_kept<S: Store + ?Sized>(store: &Arc<S>, stream: &StreamId) -> Vec<Snapshot> {
    let mut snapshots = ten_snapshots_of(store, stream).await;
    snapshots.truncate(5);
    for index in [2, 0, 4, 1, 3] {
        save_beside(store, &snapshots[index], ALL_OF_THEM).await;
    }
    snapshots
}

async fn listed<S: Store + ?Sized>(
    store: &Arc<S>,
    stream: &StreamId,
    criteria: SnapshotCriteria,
) -> Vec<SnapshotInfo> {
    store
        .snapshots(stream, criteria)
        .await
        .unwrap_or_else(|error| panic!("the snapshots of {stream} must be listed: {error}"))
}

/// The versions of all snapshots of a stream, newest first, each of which must load.
async fn versions<S: Store + ?Sized>(store: &Arc<S>, stream: &StreamId) -> Vec<u64> {
    let mut found = Vec::new();
    for info in listed(store, stream, SnapshotCriteria::ALL).await {
        let one = load_fitting(store, stream, SnapshotCriteria::of(info.version)).await;
        assert_eq!(one.map(|one| one.version), Some(info.version));
        found.push(info.version.get());
    }
    found
}

/// Every combination of bounds, against what a plain search of the list gives.
fn all_criteria() -> impl Iterator<Item = SnapshotCriteria> {
    let bounds = |high: u64| (0..=high).flat_map(move |from| (0..=high).map(move |to| (from, to)));
    bounds(6).flat_map(move |(from, to)| {
        bounds(6).map(move |(taken_from, taken_to)| SnapshotCriteria {
            from: version(from),
            to: version(to),
            taken_from: taken_at(taken_from, 0),
            taken_to: taken_at(taken_to, 0),
        })
    })
}

/// The newest snapshot within the bounds is found, and all within them are listed, whatever the bounds.
pub async fn the_newest_snapshot_within_any_bounds_is_found<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let snapshots = five_kept(store, &account).await;
    assert_eq!(load(store, &account).await.as_ref(), snapshots.last());
    for criteria in all_criteria() {
        let fitting: Vec<&Snapshot> = snapshots
            .iter()
            .rev()
            .filter(|snapshot| criteria.fit(snapshot.version, snapshot.taken_at))
            .collect();
        let found = load_fitting(store, &account, criteria).await;
        assert_eq!(found.as_ref(), fitting.first().copied(), "{criteria:?}");
        let listed: Vec<_> = listed(store, &account, criteria).await;
        let listed: Vec<_> = listed.iter().map(|info| info.version).collect();
        let expected: Vec<_> = fitting.iter().map(|snapshot| snapshot.version).collect();
        assert_eq!(listed, expected, "{criteria:?}");
    }
}

/// A bound that lies between two snapshots, or beyond all, is a bound like any other.
pub async fn a_snapshot_beyond_a_bound_is_not_loaded<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    five_kept(store, &account).await;
    let by_time = SnapshotCriteria::taken_by;
    for (criteria, found) in [
        (SnapshotCriteria::up_to(version(3)), Some(3)),
        (SnapshotCriteria::up_to(version(0)), None),
        (SnapshotCriteria::of(version(4)), Some(4)),
        (SnapshotCriteria::of(version(6)), None),
        (by_time(taken_at(1, -1)), None),
        (by_time(taken_at(1, 0)), Some(1)),
        (by_time(taken_at(4, -1)), Some(3)),
        (by_time(taken_at(4, 0)), Some(4)),
        (by_time(taken_at(4, 1)), Some(4)),
        (by_time(taken_at(9, 0)), Some(5)),
    ] {
        let loaded = load_fitting(store, &account, criteria).await;
        let loaded = loaded.map(|snapshot| snapshot.version.get());
        assert_eq!(loaded, found, "{criteria:?}");
        let unknown = stream("unknown");
        assert_eq!(load_fitting(store, &unknown, criteria).await, None);
        assert_eq!(listed(store, &unknown, criteria).await, []);
    }
}

/// The list names version, time, shape and size of each snapshot.
pub async fn the_list_tells_what_each_snapshot_is_and_takes<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let mut snapshots = ten_snapshots_of(store, &account).await;
    assert_eq!(listed(store, &account, SnapshotCriteria::ALL).await, []);
    let sizes = [0, 1, 4_096, 100_000];
    for ((snapshot, size), schema) in snapshots.iter_mut().zip(sizes).zip(5..) {
        snapshot.payload = Payload::raw(patterned(size));
        snapshot.state_schema = schema;
        save_beside(store, snapshot, ALL_OF_THEM).await;
    }
    let expected: Vec<_> = snapshots[..4]
        .iter()
        .rev()
        .map(|snapshot| SnapshotInfo {
            version: snapshot.version,
            taken_at: snapshot.taken_at,
            state_schema: snapshot.state_schema,
            bytes: snapshot.payload.bytes.len() as u64,
        })
        .collect();
    assert_eq!(
        listed(store, &account, SnapshotCriteria::ALL).await,
        expected
    );
}

/// So many of the newest stay as the last save asks for, in whatever order they come.
pub async fn as_many_snapshots_stay_as_the_last_save_asks_for<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let snapshots = ten_snapshots_of(store, &account).await;
    for (saved, keep, left) in [
        (3, 3, &[3][..]),
        (1, 3, &[3, 1]),
        (5, 3, &[5, 3, 1]),
        (6, 3, &[6, 5, 3]),
        // Older than all that are kept: there is no place for it.
        (1, 3, &[6, 5, 3]),
        (1, 4, &[6, 5, 3, 1]),
        (4, 4, &[6, 5, 4, 3]),
        // The same version again takes no further place.
        (5, 4, &[6, 5, 4, 3]),
        (6, 4, &[6, 5, 4, 3]),
        (7, 2, &[7, 6]),
        // A smaller number counts also if the saved one itself does not stay.
        (2, 1, &[7]),
        (9, u16::MAX, &[9, 7]),
    ] {
        save_beside(store, &snapshots[saved - 1], keep).await;
        assert_eq!(
            versions(store, &account).await,
            left,
            "after saving {saved} of {keep}"
        );
    }
}

/// A snapshot of a version that is there replaces it, whatever it says, and the others stay.
pub async fn a_snapshot_of_a_kept_version_replaces_just_that_one<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    let account = stream(1);
    let mut snapshots = five_kept(store, &account).await;
    for size in [300_000, 10, 5_000] {
        snapshots[2].payload = Payload::raw(patterned(size));
        snapshots[2].taken_at = taken_at(3, i64::try_from(size).expect("a small one"));
        snapshots[2].state_schema += 1;
        save_beside(store, &snapshots[2], ALL_OF_THEM).await;
        for snapshot in &snapshots {
            let criteria = SnapshotCriteria::of(snapshot.version);
            let loaded = load_fitting(store, &account, criteria).await;
            assert!(
                loaded.as_ref() == Some(snapshot),
                "version {} came back otherwise",
                snapshot.version
            );
        }
    }
    assert_eq!(versions(store, &account).await, [5, 4, 3, 2, 1]);
}

/// One snapshot is deleted by its version alone; the one before it is then the newest up to there.
pub async fn one_snapshot_is_deleted_by_its_version<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let snapshots = five_kept(store, &account).await;
    delete_fitting(store, &account, SnapshotCriteria::of(version(3))).await;
    let up_to = load_fitting(store, &account, SnapshotCriteria::up_to(version(3))).await;
    assert_eq!(up_to.as_ref(), Some(&snapshots[1]));
    assert_eq!(versions(store, &account).await, [5, 4, 2, 1]);
    // There is none of that version any more, which is no error.
    delete_fitting(store, &account, SnapshotCriteria::of(version(3))).await;
    assert_eq!(versions(store, &account).await, [5, 4, 2, 1]);
    assert_event_count(store, 10).await;
}

/// Those within the bounds on version and time are deleted, and no others.
pub async fn snapshots_within_bounds_are_deleted<S: Store + ?Sized>(store: &Arc<S>) {
    let by = |to, taken_to| SnapshotCriteria {
        to: version(to),
        taken_to,
        ..SnapshotCriteria::ALL
    };
    let (everything, nothing) = (SnapshotCriteria::ALL, SnapshotCriteria::up_to(version(0)));
    let middle = SnapshotCriteria {
        from: version(2),
        taken_from: taken_at(3, 0),
        to: version(4),
        ..everything
    };
    for (number, (criteria, left)) in [
        (by(3, taken_at(3, 0)), &[5, 4][..]),
        // Too early for the fourth: it stays, the ones before it go.
        (by(4, taken_at(4, -1)), &[5, 4]),
        (by(2, taken_at(5, 0)), &[5, 4, 3]),
        (by(5, taken_at(1, -1)), &[5, 4, 3, 2, 1]),
        (middle, &[5, 2, 1]),
        (nothing, &[5, 4, 3, 2, 1]),
        (everything, &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let account = stream(number);
        five_kept(store, &account).await;
        delete_fitting(store, &account, criteria).await;
        assert_eq!(versions(store, &account).await, left, "{criteria:?}");
    }
}

/// What is kept and deleted of one stream leaves all others as they are, however alike the names.
pub async fn histories_of_streams_do_not_mix<S: Store + ?Sized>(store: &Arc<S>) {
    let alike = [
        stream_of("a", "b", "1"),
        stream_of("a", "b", "10"),
        stream_of("a", "b", "1!"),
        stream_of("a", "b", "1 "),
    ];
    for account in &alike {
        let mut snapshots = five_kept(store, account).await;
        snapshots[1].payload = Payload::raw(patterned(20_000));
        save_beside(store, &snapshots[1], ALL_OF_THEM).await;
    }
    let snapshots = ten_snapshots_of(store, &alike[0]).await;
    save_beside(store, &snapshots[5], 2).await;
    delete_fitting(store, &alike[2], SnapshotCriteria::ALL).await;
    for (account, left) in alike
        .iter()
        .zip([&[6, 5][..], &[5, 4, 3, 2, 1], &[], &[5, 4, 3, 2, 1]])
    {
        assert_eq!(versions(store, account).await, left, "of {account}");
    }
}

/// Whoever saves at the same time, the newest ones stay, each whole.
pub async fn the_newest_snapshots_saved_at_once_stay<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let mut snapshots = ten_snapshots_of(store, &account).await;
    for (snapshot, size) in snapshots.iter_mut().zip((0..).step_by(9_000)) {
        snapshot.payload = Payload::raw(patterned(size));
    }
    let saving: Vec<_> = snapshots
        .iter()
        .cloned()
        .map(|snapshot| {
            let store = store.clone();
            tokio::spawn(async move { save_beside(&store, &snapshot, 4).await })
        })
        .collect();
    for saved in saving {
        saved.await.unwrap();
    }
    assert_eq!(versions(store, &account).await, [10, 9, 8, 7]);
    for snapshot in &snapshots[6..] {
        let criteria = SnapshotCriteria::of(snapshot.version);
        let loaded = load_fitting(store, &account, criteria).await;
        assert!(
            loaded.as_ref() == Some(snapshot),
            "version {} is not whole",
            snapshot.version
        );
    }
}
