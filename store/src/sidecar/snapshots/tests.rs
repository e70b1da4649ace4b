use bytes::Bytes as Shared;

use super::super::tests::{blobs, open, stream, version};
use super::*;

fn snapshot(stream: &StreamId, number: u64, state: Vec<u8>) -> Snapshot {
    Snapshot {
        stream: stream.clone(),
        version: version(number),
        event_id: Uuid::from_u128(u128::from(number) << 64 | 5),
        state_schema: 3,
        payload: Payload {
            codec: Codec::MessagePack,
            key_id: NonZeroU32::new(9),
            bytes: Shared::from(state),
        },
    }
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
        sidecar.save_snapshot(snapshot).unwrap();
    }
    sidecar.close().unwrap();
    let sidecar = open(directory.path());
    for snapshot in &saved {
        let loaded = sidecar.load_snapshot(&snapshot.stream).unwrap();
        assert_eq!(loaded.as_ref(), Some(snapshot));
    }
    assert_eq!(sidecar.load_snapshot(&stream("other")).unwrap(), None);
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
        .save_snapshot(&snapshot(&stream("10"), 1, state(9_000)))
        .unwrap();
    let others = entries(&sidecar).len();
    for (number, size, parts) in [(1, 50_000, 13), (2, 9_000, 3), (3, 10, 0), (4, 5_000, 2)] {
        let newer = snapshot(&account, number, state(size));
        sidecar.save_snapshot(&newer).unwrap();
        assert_eq!(sidecar.load_snapshot(&account).unwrap(), Some(newer));
        assert_eq!(entries(&sidecar).len(), others + 1 + parts);
    }
    // The same version with another shape of the state counts as newer, an older version does not.
    let mut reshaped = snapshot(&account, 4, state(20));
    reshaped.state_schema = 4;
    sidecar.save_snapshot(&reshaped).unwrap();
    sidecar
        .save_snapshot(&snapshot(&account, 3, state(30)))
        .unwrap();
    assert_eq!(sidecar.load_snapshot(&account).unwrap(), Some(reshaped));
}

#[test]
fn a_deleted_snapshot_leaves_nothing_and_others_stay() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let kept = snapshot(&stream("10"), 1, state(9_000));
    sidecar.save_snapshot(&kept).unwrap();
    let others = entries(&sidecar).len();
    for size in [10, 20_000] {
        let account = stream("1");
        sidecar
            .save_snapshot(&snapshot(&account, 1, state(size)))
            .unwrap();
        sidecar.delete_snapshot(&account).unwrap();
        assert_eq!(sidecar.load_snapshot(&account).unwrap(), None);
        assert_eq!(entries(&sidecar).len(), others);
        sidecar.delete_snapshot(&account).unwrap();
    }
    assert_eq!(sidecar.load_snapshot(&kept.stream).unwrap(), Some(kept));
}

#[test]
fn a_damaged_snapshot_is_ignored_and_can_be_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let account = stream("1");
    for size in [100, 10_000] {
        let whole = snapshot(&account, 5, state(size));
        sidecar.save_snapshot(&whole).unwrap();
        for (key, value) in entries(&sidecar) {
            for at in (0..value.len()).step_by(value.len() / 50) {
                let mut changed = value.to_vec();
                changed[at] ^= 1;
                sidecar
                    .engine
                    .put(Table::Snapshots, &key, &changed)
                    .unwrap();
                assert_eq!(
                    sidecar.load_snapshot(&account).unwrap(),
                    None,
                    "{key:?} {at}"
                );
            }
            sidecar
                .engine
                .put(Table::Snapshots, &key, &value[..value.len() - 1])
                .unwrap();
            assert_eq!(sidecar.load_snapshot(&account).unwrap(), None);
            sidecar.engine.remove(Table::Snapshots, &key).unwrap();
            assert_eq!(sidecar.load_snapshot(&account).unwrap(), None);
            sidecar.engine.put(Table::Snapshots, &key, &value).unwrap();
            assert_eq!(
                sidecar.load_snapshot(&account).unwrap().as_ref(),
                Some(&whole)
            );
        }
        // A header that cannot be read is no newer snapshot.
        sidecar
            .engine
            .put(Table::Snapshots, &header_key(&account), b"rubbish")
            .unwrap();
        let older = snapshot(&account, 2, state(size));
        sidecar.save_snapshot(&older).unwrap();
        assert_eq!(sidecar.load_snapshot(&account).unwrap(), Some(older));
    }
}

#[test]
fn a_snapshot_above_the_limit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let account = stream("1");
    let fault = sidecar
        .save_snapshot(&snapshot(&account, 1, vec![0; SNAPSHOT_BYTES_MAX + 1]))
        .unwrap_err();
    assert!(fault.to_string().contains(account.as_str()), "{fault}");
    assert_eq!(entries(&sidecar).len(), 0);
}

#[test]
fn a_claim_of_length_gets_little_room_before_the_parts_are_there() {
    let state = join_parts(b"acme\0", u32::MAX, SNAPSHOT_BYTES_MAX, || Ok(None)).unwrap();
    assert!(state.is_empty() && state.capacity() <= UNSEEN_BYTES_MAX);
}
