use proptest::prelude::*;

use super::super::tests::{blobs, open};
use super::super::value::VALUE_BYTES_MAX;
use super::*;

fn at(position: u64) -> Checkpoint {
    Checkpoint {
        position: Position::new(position),
        model_version: 2,
    }
}

fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Change {
    Change {
        key: key.as_ref().to_vec(),
        value: Some(value.as_ref().to_vec()),
    }
}

fn remove(key: impl AsRef<[u8]>) -> Change {
    Change {
        key: key.as_ref().to_vec(),
        value: None,
    }
}

fn rows(sidecar: &Sidecar, projection: &str) -> Vec<Row> {
    sidecar.rows(projection, None, usize::MAX).unwrap()
}

fn entry_count(sidecar: &Sidecar) -> usize {
    let mut range = sidecar.engine.range(Table::Models, &[], &[255]).unwrap();
    let mut count = 0;
    while let Some((_, value)) = range.forward().unwrap() {
        assert!(value.len() <= VALUE_BYTES_MAX);
        count += 1;
    }
    count
}

#[test]
fn rows_and_checkpoint_come_back_together_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    assert_eq!(sidecar.checkpoint("balances").unwrap(), None);
    let changes = vec![
        put("b", "2"),
        put("a", "1"),
        put("", "empty key"),
        put("c", ""),
    ];
    sidecar.commit("balances", at(7), changes).unwrap();
    let changes = vec![remove("b"), remove("never there"), put("a", "one")];
    sidecar.commit("balances", at(9), changes).unwrap();
    sidecar.close().unwrap();
    let sidecar = open(directory.path());
    assert_eq!(sidecar.checkpoint("balances").unwrap(), Some(at(9)));
    let row = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    let all = [row("", "empty key"), row("a", "one"), row("c", "")];
    assert_eq!(rows(&sidecar, "balances"), all);
    // Pages.
    for (after, limit, wanted) in [
        (None, 2, &all[..2]),
        (Some(&b""[..]), 9, &all[1..]),
        (Some(b"a"), 9, &all[2..]),
        (Some(b"ab"), 1, &all[2..]),
        (Some(b"c"), 9, &[]),
        (None, 0, &[]),
    ] {
        assert_eq!(sidecar.rows("balances", after, limit).unwrap(), wanted);
    }
}

#[test]
fn of_two_changes_to_one_row_the_later_one_counts() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let large = vec![7; 20_000];
    let changes = vec![
        put("a", &large),
        put("a", "small"),
        put("b", "x"),
        remove("b"),
    ];
    sidecar.commit("p", at(1), changes).unwrap();
    assert_eq!(rows(&sidecar, "p"), [(b"a".to_vec(), b"small".to_vec())]);
    assert_eq!(entry_count(&sidecar), 2);
}

#[test]
fn no_projection_sees_the_rows_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let names = ["a", "aa", "a\u{1}", "a\u{1}k", "b", "\u{1}a", "\u{2}"];
    let large = vec![1; 9_000];
    for name in names {
        let changes = vec![put("k", name), put([1, b'k'], name), put("large", &large)];
        sidecar.commit(name, at(1), changes).unwrap();
    }
    sidecar.reset("a").unwrap();
    for name in names {
        let expected = if name == "a" { 0 } else { 3 };
        let found = rows(&sidecar, name);
        assert_eq!(found.len(), expected, "{name:?}");
        assert!(
            found
                .iter()
                .all(|(key, value)| key == b"large" || value == name.as_bytes())
        );
        assert_eq!(sidecar.checkpoint(name).unwrap().is_some(), name != "a");
    }
}

#[test]
fn large_values_are_kept_in_parts_that_go_with_them() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let value = |length: usize| {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    };
    for (length, entries) in [
        (4_091, 2),
        (4_092, 3),
        (4_096, 3),
        (4_097, 4),
        (1_000_000, 2 + 245),
        (8_193, 5),
        (3, 2),
        (0, 2),
        (12_288, 5),
    ] {
        let value = value(length);
        sidecar.commit("p", at(1), vec![put("k", &value)]).unwrap();
        assert_eq!(rows(&sidecar, "p"), [(b"k".to_vec(), value)]);
        assert_eq!(entry_count(&sidecar), entries, "{length}");
    }
    // A key that looks like the key of a part.
    let changes = vec![
        put([b'k', 0, 0, 0, 0], value(9_000)),
        put([0, 1, b'k'], "x"),
    ];
    sidecar.commit("p", at(2), changes).unwrap();
    assert_eq!(rows(&sidecar, "p").len(), 3);
    sidecar.commit("p", at(3), vec![remove("k")]).unwrap();
    assert_eq!(rows(&sidecar, "p").len(), 2);
    assert_eq!(entry_count(&sidecar), 1 + 1 + 3 + 1);
    assert_eq!(blobs(directory.path()), 0);
}

#[test]
fn a_reset_forgets_rows_and_checkpoint_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let changes: Vec<Change> = (0..2_500_u32)
        .map(|n| put(n.to_be_bytes(), n.to_string()))
        .chain([put("large", vec![1; 30_000])])
        .collect();
    sidecar.commit("p", at(5), changes).unwrap();
    sidecar.reset("p").unwrap();
    sidecar.reset("never there").unwrap();
    drop(sidecar);
    let sidecar = open(directory.path());
    assert_eq!(sidecar.checkpoint("p").unwrap(), None);
    assert_eq!(rows(&sidecar, "p"), []);
    assert_eq!(entry_count(&sidecar), 0);
}

#[test]
fn a_reset_that_was_cut_short_is_ended_by_the_next_commit() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    sidecar
        .commit("p", at(5), vec![put("old", "1"), put("older", "2")])
        .unwrap();
    // As far as a crash let it come.
    let prefix = Prefix::of("p").unwrap();
    let key = prefix.key(CHECKPOINT, &[]);
    let begun = Progress {
        resetting: true,
        ..Progress::default()
    };
    let value = begun.encode(&key);
    sidecar.engine.put(Table::Models, &key, &value).unwrap();
    sidecar
        .engine
        .remove(Table::Models, &prefix.key(ROWS, b"old"))
        .unwrap();
    sidecar.close().unwrap();

    let sidecar = open(directory.path());
    assert_eq!(sidecar.checkpoint("p").unwrap(), None);
    assert_eq!(rows(&sidecar, "p"), []);
    sidecar.commit("p", at(1), vec![put("new", "3")]).unwrap();
    assert_eq!(rows(&sidecar, "p"), [(b"new".to_vec(), b"3".to_vec())]);
    assert_eq!(sidecar.checkpoint("p").unwrap(), Some(at(1)));
}

#[test]
fn rows_without_a_checkpoint_do_not_get_into_a_model_that_starts_over() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    sidecar.commit("p", at(5), vec![put("old", "1")]).unwrap();
    let key = Prefix::of("p").unwrap().key(CHECKPOINT, &[]);
    sidecar.engine.remove(Table::Models, &key).unwrap();
    assert_eq!(sidecar.checkpoint("p").unwrap(), None);
    assert_eq!(rows(&sidecar, "p"), []);
    sidecar.commit("p", at(1), vec![put("new", "2")]).unwrap();
    assert_eq!(rows(&sidecar, "p"), [(b"new".to_vec(), b"2".to_vec())]);
}

#[test]
fn what_exceeds_a_limit_is_refused_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    sidecar.commit("p", at(1), vec![put("k", "v")]).unwrap();
    let long_name = "n".repeat(PROJECTION_NAME_BYTES_MAX + 1);
    for name in ["", &long_name] {
        assert!(sidecar.commit(name, at(1), vec![]).is_err());
        assert!(sidecar.checkpoint(name).is_err());
        assert!(sidecar.rows(name, None, 1).is_err());
        assert!(sidecar.reset(name).is_err());
    }
    let value = vec![0; ROW_BYTES_MAX + 1];
    let half = vec![0; ROW_BYTES_MAX];
    let many: Vec<Change> = (0..=COMMIT_BYTES_MAX / ROW_BYTES_MAX)
        .map(|n| put(n.to_le_bytes(), &half))
        .collect();
    for changes in [
        vec![
            put("k", "new"),
            put(vec![1; READ_MODEL_KEY_BYTES_MAX + 1], "v"),
        ],
        vec![put("k", "new"), put("large", &value)],
        many,
    ] {
        let fault = sidecar.commit("p", at(2), changes).unwrap_err();
        assert!(fault.to_string().contains("projection p"), "{fault}");
    }
    assert_eq!(sidecar.checkpoint("p").unwrap(), Some(at(1)));
    assert_eq!(rows(&sidecar, "p"), [(b"k".to_vec(), b"v".to_vec())]);
    // The longest that are allowed.
    let key = vec![255; READ_MODEL_KEY_BYTES_MAX];
    let name = &long_name[1..];
    sidecar.commit(name, at(3), vec![put(&key, "v")]).unwrap();
    assert_eq!(rows(&sidecar, name), [(key, b"v".to_vec())]);
}

#[test]
fn a_damaged_row_or_checkpoint_is_a_fault_that_names_the_projection() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let prefix = Prefix::of("p").unwrap();
    sidecar
        .commit("p", at(1), vec![put("k", vec![1; 5_000])])
        .unwrap();
    for key in [
        part_key(&prefix, b"k", 1),
        prefix.key(ROWS, b"k"),
        prefix.key(CHECKPOINT, &[]),
    ] {
        let value = sidecar.engine.get(Table::Models, &key).unwrap().unwrap();
        let mut changed = value.to_vec();
        changed[0] ^= 64;
        sidecar.engine.put(Table::Models, &key, &changed).unwrap();
        let fault = sidecar.rows("p", None, 9).unwrap_err();
        assert!(fault.to_string().contains("projection p"), "{fault}");
        sidecar.engine.put(Table::Models, &key, &value).unwrap();
        assert_eq!(rows(&sidecar, "p").len(), 1);
    }
}

#[test]
fn rows_that_were_lost_or_came_back_are_found_and_a_reset_repairs_them() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    for name in ["a", "b", "c"] {
        let changes = vec![put("k", "1"), put("l", "2"), put("large", vec![3; 9_000])];
        sidecar.commit(name, at(1), changes).unwrap();
    }
    assert_eq!(sidecar.damaged_projections().unwrap(), Vec::<String>::new());
    let prefix = Prefix::of("b").unwrap();
    let row = prefix.key(ROWS, b"k");
    let part = part_key(&prefix, b"large", 1);
    let checkpoint = prefix.key(CHECKPOINT, &[]);
    let earlier = sidecar.engine.get(Table::Models, &row).unwrap().unwrap();
    sidecar.commit("b", at(2), vec![put("k", "new")]).unwrap();
    let damage: [(&[u8], Option<&[u8]>); 4] = [
        (&row, Some(&earlier)),
        (&row, None),
        (&part, None),
        (&checkpoint, None),
    ];
    for (key, value) in damage {
        let before = sidecar.engine.get(Table::Models, key).unwrap().unwrap();
        match value {
            Some(value) => sidecar.engine.put(Table::Models, key, value).unwrap(),
            None => sidecar.engine.remove(Table::Models, key).unwrap(),
        }
        assert_eq!(sidecar.damaged_projections().unwrap(), ["b"]);
        sidecar.engine.put(Table::Models, key, &before).unwrap();
        assert_eq!(sidecar.damaged_projections().unwrap(), Vec::<String>::new());
    }
    sidecar.engine.remove(Table::Models, &row).unwrap();
    sidecar.reset("b").unwrap();
    assert_eq!(sidecar.damaged_projections().unwrap(), Vec::<String>::new());
    sidecar.commit("b", at(1), vec![put("k", "again")]).unwrap();
    assert_eq!(sidecar.damaged_projections().unwrap(), Vec::<String>::new());
}

#[test]
fn long_keys_never_spill_into_files_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    // Neighbours that differ only at their ends, below two names that keep the inner pages from sharing a prefix.
    for name in [
        "\u{1}",
        "a-name-of-a-projection-that-is-as-long-as-a-name-may-ever-be-64b",
    ] {
        for step in 0..4_u32 {
            let changes: Vec<Change> = (0..2_000_u32)
                .map(|n| {
                    let mut key = vec![0xee; READ_MODEL_KEY_BYTES_MAX - 4];
                    key[n as usize % 8] = 0xdd;
                    key.extend_from_slice(&(n * 4 + step).to_be_bytes());
                    put(key, [1; 40])
                })
                .collect();
            sidecar.commit(name, at(1), changes).unwrap();
        }
        assert_eq!(rows(&sidecar, name).len(), 8_000);
    }
    sidecar.flush().unwrap();
    assert_eq!(blobs(directory.path()), 0);
}

#[test]
fn a_hundred_thousand_changes_are_one_commit() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let changes: Vec<Change> = (0..100_000_u32)
        .map(|n| put(n.to_be_bytes(), n.to_le_bytes()))
        .collect();
    sidecar.commit("p", at(100_000), changes).unwrap();
    drop(sidecar);
    let sidecar = open(directory.path());
    let found = rows(&sidecar, "p");
    assert_eq!(found.len(), 100_000);
    assert!(
        (0..100_000_u32)
            .zip(&found)
            .all(|(n, (key, value))| *key == n.to_be_bytes() && *value == n.to_le_bytes())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rows_are_what_all_commits_together_say(
        commits in proptest::collection::vec(
            proptest::collection::vec(
                (0_u8..12, prop_oneof![
                    2 => Just(None),
                    4 => (0_usize..100).prop_map(Some),
                    1 => (4_000_usize..20_000).prop_map(Some),
                ]),
                0..12,
            ),
            1..10,
        ),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let sidecar = open(directory.path());
        let mut truth = BTreeMap::<Vec<u8>, Vec<u8>>::new();
        for (number, changes) in (1..).zip(&commits) {
            let changes: Vec<Change> = changes
                .iter()
                .map(|(key, length)| Change {
                    key: vec![*key],
                    value: length.map(|length| vec![u8::try_from(number).unwrap(); length]),
                })
                .collect();
            for change in changes.clone() {
                match change.value {
                    Some(value) => drop(truth.insert(change.key, value)),
                    None => drop(truth.remove(&change.key)),
                }
            }
            sidecar.commit("p", at(number), changes).unwrap();
            let wanted: Vec<Row> = truth.clone().into_iter().collect();
            prop_assert_eq!(rows(&sidecar, "p"), wanted);
            prop_assert_eq!(sidecar.checkpoint("p").unwrap(), Some(at(number)));
        }
        let parts: usize = truth
            .values()
            .filter(|value| value.len() > 4_091)
            .map(|value| value.len().div_ceil(VALUE_BYTES_MAX))
            .sum();
        prop_assert_eq!(entry_count(&sidecar), 1 + truth.len() + parts);
        prop_assert_eq!(sidecar.damaged_projections().unwrap(), Vec::<String>::new());
    }
}
