use bytes::Bytes as Shared;

use super::super::tests::{blobs, open, stream, version};
use super::*;
use crate::clock::Timestamp;
use crate::event::{Codec, Payload};
use uuid::Uuid;

fn snapshot(stream: &StreamId, number: u64, state: Vec<u8>) -> Snapshot {
    Snapshot {
        stream: stream.clone(),
        version: version(number),
        event_id: Uuid::from_u128(u128::from(number) << 64 | 5),
        taken_at: Timestamp::from_unix_micros(i64::try_from(number * 10).unwrap()),
        state_schema: 3,
        payload: Payload {
            codec: Codec::MessagePack,
            key_id: NonZeroU32::new(9),
            bytes: Shared::from(state),
        },
    }
}

const ONE: NonZeroU16 = NonZeroU16::MIN;

fn load(sidecar: &Sidecar, stream: &StreamId) -> Option<Snapshot> {
    sidecar
        .load_snapshot(stream, SnapshotCriteria::ALL)
        .unwrap()
}

/// Bytes that do not repeat.
fn state(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn entries(sidecar: &Sidecar) -> Vec<(Bytes, Bytes)> {
    let mut range = sidecar.engine.range(Table::Snapshots, &[], &[255]).unwrap();
    let mut entries = Vec::new();
    while let Some(entry) = range.forward().unwrap() {
        entries.push(entry);
    }
    entries
}

#[test]
fn snapshots_of_all_sizes_come_back_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let sizes = [
        0,
        1,
        INLINE_BYTES_MAX,
        INLINE_BYTES_MAX + 1,
        VALUE_BYTES_MAX,
        2 * VALUE_BYTES_MAX,
        2 * VALUE_BYTES_MAX + 1,
        3_000_000,
    ];
    let saved: Vec<Snapshot> = sizes
        .iter()
        .map(|size| snapshot(&stream(size), 7, state(*size)))
        .collect();
    for snapshot in &saved {
        sidecar.save_snapshot(snapshot, ONE).unwrap();
    }
    sidecar.close().unwrap();
    let sidecar = open(directory.path());
    for snapshot in &saved {
        let loaded = load(&sidecar, &snapshot.stream);
        assert_eq!(loaded.as_ref(), Some(snapshot));
    }
    assert_eq!(load(&sidecar, &stream("other")), None);
    assert!(
        entries(&sidecar)
            .iter()
            .all(|(_, value)| value.len() <= VALUE_BYTES_MAX)
    );
    assert_eq!(blobs(directory.path()), 0);
}

#[test]
fn a_snapshot_takes_the_place_of_an_older_one_and_of_all_its_parts() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let account = stream("1");
    sidecar
        .save_snapshot(&snapshot(&stream("10"), 1, state(9_000)), ONE)
        .unwrap();
    let others = entries(&sidecar).len();
    for (number, size, parts) in [(1, 50_000, 13), (2, 9_000, 3), (3, 10, 0), (4, 5_000, 2)] {
        let newer = snapshot(&account, number, state(size));
        sidecar.save_snapshot(&newer, ONE).unwrap();
        assert_eq!(load(&sidecar, &account), Some(newer));
        assert_eq!(entries(&sidecar).len(), others + 1 + parts);
    }
    // The same version with another shape of the state counts as newer, an older version does not.
    let mut reshaped = snapshot(&account, 4, state(20));
    reshaped.state_schema = 4;
    sidecar.save_snapshot(&reshaped, ONE).unwrap();
    sidecar
        .save_snapshot(&snapshot(&account, 3, state(30)), ONE)
        .unwrap();
    assert_eq!(load(&sidecar, &account), Some(reshaped));
}

#[test]
fn a_deleted_snapshot_leaves_nothing_and_others_stay() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let kept = snapshot(&stream("10"), 1, state(9_000));
    sidecar.save_snapshot(&kept, ONE).unwrap();
    let others = entries(&sidecar).len();
    for size in [10, 20_000] {
        let account = stream("1");
        sidecar
            .save_snapshot(&snapshot(&account, 1, state(size)), ONE)
            .unwrap();
        sidecar
            .delete_snapshots(&account, SnapshotCriteria::ALL)
            .unwrap();
        assert_eq!(load(&sidecar, &account), None);
        assert_eq!(entries(&sidecar).len(), others);
        sidecar
            .delete_snapshots(&account, SnapshotCriteria::ALL)
            .unwrap();
    }
    assert_eq!(load(&sidecar, &kept.stream), Some(kept));
}

#[test]
fn a_damaged_snapshot_is_ignored_and_can_be_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let account = stream("1");
    for size in [100, 10_000] {
        let whole = snapshot(&account, 5, state(size));
        sidecar.save_snapshot(&whole, ONE).unwrap();
        for (key, value) in entries(&sidecar) {
            for at in (0..value.len()).step_by(value.len() / 50) {
                let mut changed = value.to_vec();
                changed[at] ^= 1;
                sidecar
                    .engine
                    .put(Table::Snapshots, &key, &changed)
                    .unwrap();
                assert_eq!(load(&sidecar, &account), None, "{key:?} {at}");
            }
            sidecar
                .engine
                .put(Table::Snapshots, &key, &value[..value.len() - 1])
                .unwrap();
            assert_eq!(load(&sidecar, &account), None);
            sidecar.engine.remove(Table::Snapshots, &key).unwrap();
            assert_eq!(load(&sidecar, &account), None);
            sidecar.engine.put(Table::Snapshots, &key, &value).unwrap();
            assert_eq!(load(&sidecar, &account).as_ref(), Some(&whole));
        }
        // A header that cannot be read is no newer snapshot.
        sidecar
            .engine
            .put(
                Table::Snapshots,
                &header_key(&account, version(5)),
                b"rubbish",
            )
            .unwrap();
        let older = snapshot(&account, 2, state(size));
        sidecar.save_snapshot(&older, ONE).unwrap();
        assert_eq!(load(&sidecar, &account), Some(older));
    }
}

#[test]
fn a_snapshot_above_the_limit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let account = stream("1");
    let fault = sidecar
        .save_snapshot(&snapshot(&account, 1, vec![0; SNAPSHOT_BYTES_MAX + 1]), ONE)
        .unwrap_err();
    assert!(fault.to_string().contains(account.as_str()), "{fault}");
    assert_eq!(entries(&sidecar).len(), 0);
}

/// A snapshot as the first build wrote it: the only one of its stream, without a time.
fn save_in_first_format(sidecar: &Sidecar, snapshot: &Snapshot) {
    let key = kept::single_key(&snapshot.stream);
    let mut header = Header::new(snapshot.version, snapshot.event_id, snapshot.taken_at);
    header.format = 1;
    header.state_schema = snapshot.state_schema;
    header.codec = snapshot.payload.codec.byte();
    header.key_id = snapshot.payload.key_id.map_or(0, NonZeroU32::get);
    let state = &snapshot.payload.bytes;
    header.length = u32::try_from(state.len()).unwrap();
    let parts = PartKeys::of_single(&snapshot.stream);
    if state.len() <= INLINE_BYTES_MAX {
        header.inline = state;
    } else {
        for part in state.chunks(VALUE_BYTES_MAX) {
            let key = parts.key(header.parts);
            sidecar.engine.put(Table::Snapshots, &key, part).unwrap();
            header.parts += 1;
        }
    }
    header.hash = header.hash(&key, state);
    let value = header.encode(&key);
    sidecar.engine.put(Table::Snapshots, &key, &value).unwrap();
}

#[test]
fn a_snapshot_of_the_first_format_is_one_among_the_others_until_it_goes() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let account = stream("1");
    let versions = || -> Vec<u64> {
        let listed = sidecar
            .snapshots_of(&account, SnapshotCriteria::ALL)
            .unwrap();
        listed.iter().map(|info| info.version.get()).collect()
    };
    let three = ONE.saturating_add(2);
    for size in [100, 20_000] {
        let mut old = snapshot(&account, 5, state(size));
        old.taken_at = Timestamp::from_unix_micros(i64::MAX);
        save_in_first_format(&sidecar, &old);
        assert_eq!(load(&sidecar, &account), Some(old.clone()));
        // Its time is not known: it is never taken for older than a bound on time.
        let by_time = SnapshotCriteria::taken_by(Timestamp::from_unix_micros(i64::MAX - 1));
        assert_eq!(sidecar.load_snapshot(&account, by_time).unwrap(), None);

        let before = snapshot(&account, 4, state(5_000));
        sidecar.save_snapshot(&before, three).unwrap();
        assert_eq!(load(&sidecar, &account), Some(old.clone()));
        assert_eq!(versions(), [5, 4]);
        let up_to = SnapshotCriteria::up_to(version(4));
        assert_eq!(
            sidecar.load_snapshot(&account, up_to).unwrap(),
            Some(before)
        );

        let after = snapshot(&account, 6, state(5_000));
        sidecar.save_snapshot(&after, three).unwrap();
        assert_eq!(versions(), [6, 5, 4]);
        // The same version in the current format replaces it.
        let again = snapshot(&account, 5, state(10));
        sidecar.save_snapshot(&again, three).unwrap();
        assert_eq!(versions(), [6, 5, 4]);
        let of_five = SnapshotCriteria::of(version(5));
        assert_eq!(
            sidecar.load_snapshot(&account, of_five).unwrap(),
            Some(again)
        );
        assert_eq!(entries(&sidecar).len(), 3 + 2 + 2, "headers and parts");

        sidecar
            .delete_snapshots(&account, SnapshotCriteria::ALL)
            .unwrap();
        save_in_first_format(&sidecar, &old);
        sidecar.save_snapshot(&after, ONE).unwrap();
        assert_eq!(versions(), [6]);
        assert_eq!(entries(&sidecar).len(), 1 + 2, "its parts went with it");
        save_in_first_format(&sidecar, &old);
        sidecar
            .delete_snapshots(&account, SnapshotCriteria::ALL)
            .unwrap();
        assert_eq!(entries(&sidecar).len(), 0);
    }
}

#[test]
fn behind_a_damaged_snapshot_the_one_before_it_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let account = stream("1");
    let three = ONE.saturating_add(2);
    let saved: Vec<_> = [(3, 10), (5, 9_000), (7, 9_000), (9, 10)]
        .map(|(number, size)| snapshot(&account, number, state(size)))
        .into();
    for snapshot in &saved {
        sidecar.save_snapshot(snapshot, three).unwrap();
    }
    // Of the newest the header, of the next one a part.
    let newest = header_key(&account, version(9));
    sidecar
        .engine
        .put(Table::Snapshots, &newest, b"rubbish")
        .unwrap();
    assert_eq!(load(&sidecar, &account).as_ref(), Some(&saved[2]));
    let part = PartKeys::of(&account, version(7)).key(1);
    sidecar.engine.remove(Table::Snapshots, &part).unwrap();
    assert_eq!(load(&sidecar, &account).as_ref(), Some(&saved[1]));
    // One that cannot be read takes no place of the kept ones, and is cleared away.
    let older = snapshot(&account, 4, state(10));
    sidecar.save_snapshot(&older, three).unwrap();
    let listed = sidecar
        .snapshots_of(&account, SnapshotCriteria::ALL)
        .unwrap();
    let listed: Vec<_> = listed.iter().map(|info| info.version.get()).collect();
    assert_eq!(listed, [7, 5, 4]);
    assert_eq!(sidecar.engine.get(Table::Snapshots, &newest).unwrap(), None);
}

#[test]
fn a_part_that_belongs_to_no_snapshot_goes_with_the_next_save() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let account = stream("1");
    sidecar
        .save_snapshot(&snapshot(&account, 5, state(9_000)), ONE)
        .unwrap();
    let whole = entries(&sidecar);
    for lost in [1, 5, 8, u64::MAX] {
        for part in [3, 70_000, u32::MAX] {
            let key = PartKeys::of(&account, version(lost)).key(part);
            sidecar.engine.put(Table::Snapshots, &key, b"lost").unwrap();
        }
    }
    let single = PartKeys::of_single(&account).key(2);
    sidecar
        .engine
        .put(Table::Snapshots, &single, b"lost")
        .unwrap();
    sidecar
        .save_snapshot(&snapshot(&account, 5, state(9_000)), ONE)
        .unwrap();
    assert_eq!(entries(&sidecar), whole);
}

#[test]
fn a_claim_of_length_gets_little_room_before_the_parts_are_there() {
    let keys = PartKeys::of(&stream("1"), version(5));
    let state = reading::join_parts(&keys, u32::MAX, SNAPSHOT_BYTES_MAX, || Ok(None)).unwrap();
    assert!(state.is_empty() && state.capacity() <= super::super::value::UNSEEN_BYTES_MAX);
}
