//! Rows and checkpoints of projections.

use std::sync::Arc;

use super::support::{PAGE_LIMITS, patterned};
use crate::error::ReadError;
use crate::position::Position;
use crate::read_model::{
    Change, Checkpoint, PROJECTION_NAME_BYTES_MAX, READ_MODEL_KEY_BYTES_MAX, Row, Store,
};

fn at(position: u64) -> Checkpoint {
    Checkpoint {
        position: Position::new(position),
        model_version: 1,
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

fn row(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Row {
    (key.as_ref().to_vec(), value.as_ref().to_vec())
}

async fn commit<S: Store + ?Sized>(
    store: &Arc<S>,
    projection: &str,
    checkpoint: Checkpoint,
    changes: impl IntoIterator<Item = Change>,
) {
    store
        .commit(projection, checkpoint, changes.into_iter().collect())
        .await
        .unwrap_or_else(|error| panic!("the commit of {projection:?} must succeed: {error}"));
}

async fn checkpoint<S: Store + ?Sized>(store: &Arc<S>, projection: &str) -> Option<Checkpoint> {
    store
        .checkpoint(projection)
        .await
        .unwrap_or_else(|error| panic!("the checkpoint of {projection:?} must be read: {error}"))
}

/// All rows over pages, which must be full but for the last.
async fn paged<S: Store + ?Sized>(store: &Arc<S>, projection: &str, limit: usize) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let after = rows.last().map(|(key, _)| key.as_slice());
        let page = store
            .rows(projection, after, limit)
            .await
            .unwrap_or_else(|error| panic!("the rows of {projection:?} must be read: {error}"));
        assert!(
            page.len() <= limit,
            "limit {limit} gave {} rows",
            page.len()
        );
        if let (Some((last, _)), Some((first, _))) = (rows.last(), page.first()) {
            assert!(last < first, "behind the key {last:?} comes {first:?}");
        }
        let ended = page.len() < limit;
        rows.extend(page);
        if ended {
            return rows;
        }
    }
}

async fn rows<S: Store + ?Sized>(store: &Arc<S>, projection: &str) -> Vec<Row> {
    paged(store, projection, 1_000).await
}

/// A projection that never committed has neither rows nor a checkpoint.
pub async fn a_new_projection_has_no_rows_and_no_checkpoint<S: Store + ?Sized>(store: &Arc<S>) {
    assert_eq!(checkpoint(store, "balances").await, None);
    assert_eq!(rows(store, "balances").await, []);
}

/// A commit writes new rows over old ones, takes removed ones away, leaves the others, and moves the checkpoint.
pub async fn a_commit_writes_rows_and_checkpoint<S: Store + ?Sized>(store: &Arc<S>) {
    let name = "balances";
    commit(
        store,
        name,
        at(3),
        [put("b", "2"), put("a", "1"), put("c", "3")],
    )
    .await;
    assert_eq!(checkpoint(store, name).await, Some(at(3)));
    let expected = [row("a", "1"), row("b", "2"), row("c", "3")];
    assert_eq!(rows(store, name).await, expected);

    let changes = [
        remove("a"),
        put("b", "two"),
        remove("never there"),
        put("d", "4"),
    ];
    commit(store, name, at(9), changes).await;
    assert_eq!(checkpoint(store, name).await, Some(at(9)));
    let expected = [row("b", "two"), row("c", "3"), row("d", "4")];
    assert_eq!(rows(store, name).await, expected);
}

/// A commit without changes moves the checkpoint only.
pub async fn a_commit_without_changes_moves_the_checkpoint<S: Store + ?Sized>(store: &Arc<S>) {
    commit(store, "balances", at(3), []).await;
    assert_eq!(checkpoint(store, "balances").await, Some(at(3)));
    commit(store, "balances", at(4), [put("a", "1")]).await;
    commit(store, "balances", at(5), []).await;
    assert_eq!(checkpoint(store, "balances").await, Some(at(5)));
    assert_eq!(rows(store, "balances").await, [row("a", "1")]);
}

/// A checkpoint keeps both of its numbers, whatever they are; it may also go back (a projection that starts over).
pub async fn a_checkpoint_comes_back_as_it_was_committed<S: Store + ?Sized>(store: &Arc<S>) {
    for (position, model_version) in [(u64::MAX, u32::MAX), (0, 0), (1 << 40, 3), (7, 256)] {
        let given = Checkpoint {
            position: Position::new(position),
            model_version,
        };
        commit(store, "balances", given, []).await;
        assert_eq!(checkpoint(store, "balances").await, Some(given));
    }
}

/// Of several changes to one row in one commit, the last counts.
pub async fn the_last_change_of_a_row_counts<S: Store + ?Sized>(store: &Arc<S>) {
    let changes = [
        put("a", "first"),
        put("b", "first"),
        remove("c"),
        put("a", "last"),
        remove("b"),
        put("c", patterned(20_000)),
        put("d", patterned(20_000)),
        put("d", "short"),
    ];
    commit(store, "balances", at(1), changes).await;
    let expected = [
        row("a", "last"),
        row("c", patterned(20_000)),
        row("d", "short"),
    ];
    assert!(
        rows(store, "balances").await == expected,
        "not the last changes"
    );
}

/// Rows come in the order of their keys' bytes, page by page, behind any key whether it is there or not.
pub async fn rows_are_paged_in_the_order_of_their_keys<S: Store + ?Sized>(store: &Arc<S>) {
    let keys: [&[u8]; 12] = [
        b"",
        b"\0",
        b"\0\0",
        b"\0\x01",
        b"\x01",
        b"a",
        b"a\0",
        b"a\0b",
        b"a\xff",
        b"b",
        b"\xff",
        b"\xff\xff",
    ];
    let backwards = keys
        .iter()
        .rev()
        .map(|key| put(key, [b"value of ", *key].concat()));
    commit(store, "balances", at(1), backwards).await;
    let ordered: Vec<_> = keys
        .iter()
        .map(|key| row(key, [b"value of ", *key].concat()))
        .collect();
    for limit in PAGE_LIMITS {
        assert_eq!(
            paged(store, "balances", limit).await,
            ordered,
            "limit {limit}"
        );
    }
    for (number, key) in keys.iter().enumerate() {
        let behind = store.rows("balances", Some(key), 100).await.unwrap();
        assert_eq!(behind, ordered[number + 1..], "behind {key:?}");
    }
    let behind = store.rows("balances", Some(b"a\x01"), 2).await.unwrap();
    assert_eq!(behind, ordered[8..10], "behind a key that is not there");
    assert_eq!(store.rows("balances", None, 0).await.unwrap(), []);
}

/// An empty value is a row, and not an absent one.
pub async fn an_empty_value_is_a_row<S: Store + ?Sized>(store: &Arc<S>) {
    commit(store, "balances", at(1), [put("a", ""), put("b", "")]).await;
    assert_eq!(rows(store, "balances").await, [row("a", ""), row("b", "")]);
    commit(store, "balances", at(2), [remove("a")]).await;
    assert_eq!(rows(store, "balances").await, [row("b", "")]);
}

/// Values of some hundred KiB are kept whole, also in place of shorter and longer ones, and removed whole.
pub async fn large_values_are_kept_whole<S: Store + ?Sized>(store: &Arc<S>) {
    let sizes = [
        100 * 1024,
        0,
        4_095,
        4_096,
        4_097,
        300 * 1024,
        10,
        100 * 1024,
    ];
    for (position, size) in (1..).zip(sizes) {
        let large = patterned(size);
        let changes = [put("a", "before"), put("large", &large), put("z", "behind")];
        commit(store, "balances", at(position), changes).await;
        for limit in [1, 2, 10] {
            let expected = [row("a", "before"), row("large", &large), row("z", "behind")];
            assert!(
                paged(store, "balances", limit).await == expected,
                "a value of {size} bytes came back otherwise, limit {limit}"
            );
        }
    }
    commit(store, "balances", at(9), [remove("large")]).await;
    let expected = [row("a", "before"), row("z", "behind")];
    assert_eq!(rows(store, "balances").await, expected);
}

/// Projections whose names begin alike do not see each other's rows, whatever their keys are.
pub async fn projections_do_not_leak_into_each_other<S: Store + ?Sized>(store: &Arc<S>) {
    let names = [
        "a",
        "ab",
        "a/",
        "a/b",
        "a\0b",
        "a\u{1}",
        "b",
        "é",
        &"n".repeat(PROJECTION_NAME_BYTES_MAX),
    ];
    for (position, name) in (1..).zip(names) {
        let changes = ["", "b", "\0b", "/b", "\u{ff}"].map(|key| put(key, name));
        commit(store, name, at(position), changes).await;
    }
    let expected = |name: &str| ["", "\0b", "/b", "b", "\u{ff}"].map(|key| row(key, name));
    for (position, name) in (1..).zip(names) {
        assert_eq!(rows(store, name).await, expected(name), "of {name:?}");
        assert_eq!(
            checkpoint(store, name).await,
            Some(at(position)),
            "of {name:?}"
        );
    }
    store.reset("a").await.unwrap();
    assert_eq!(rows(store, "a").await, []);
    assert_eq!(checkpoint(store, "a").await, None);
    for (position, name) in (1..).zip(names).skip(1) {
        assert_eq!(rows(store, name).await, expected(name), "of {name:?}");
        assert_eq!(
            checkpoint(store, name).await,
            Some(at(position)),
            "of {name:?}"
        );
    }
}

/// A reset forgets everything of a projection, which may then start over.
pub async fn a_reset_projection_starts_over<S: Store + ?Sized>(store: &Arc<S>) {
    let name = "balances";
    // There is nothing to forget yet, which is no error.
    store.reset(name).await.unwrap();
    let many = (0..500).map(|number| put(format!("{number:04}"), "old"));
    commit(
        store,
        name,
        at(500),
        many.chain([put("large", patterned(50_000))]),
    )
    .await;
    store.reset(name).await.unwrap();
    assert_eq!(checkpoint(store, name).await, None);
    assert_eq!(rows(store, name).await, []);

    commit(store, name, at(1), [put("0001", "new")]).await;
    assert_eq!(checkpoint(store, name).await, Some(at(1)));
    assert_eq!(rows(store, name).await, [row("0001", "new")]);
}

/// A key or a name at its limit is taken; one byte more is refused, and nothing of that commit is written.
pub async fn a_key_or_name_is_taken_up_to_its_limit<S: Store + ?Sized>(store: &Arc<S>) {
    let name = "n".repeat(PROJECTION_NAME_BYTES_MAX);
    let key = vec![0xff; READ_MODEL_KEY_BYTES_MAX];
    commit(store, &name, at(1), [put(&key, "1")]).await;
    assert_eq!(rows(store, &name).await, [row(&key, "1")]);

    let too_long = |key_bytes| vec![0xff; key_bytes];
    let refused = store
        .commit(
            &name,
            at(2),
            vec![
                put("before", "2"),
                put(too_long(READ_MODEL_KEY_BYTES_MAX + 1), "2"),
                remove(&key),
            ],
        )
        .await;
    assert!(
        matches!(refused, Err(ReadError::TooLong { .. })),
        "a key too long must be refused: {refused:?}"
    );
    assert_eq!(rows(store, &name).await, [row(&key, "1")]);
    assert_eq!(checkpoint(store, &name).await, Some(at(1)));

    let refused = store
        .commit(&format!("{name}n"), at(3), vec![put("a", "3")])
        .await;
    assert!(
        matches!(refused, Err(ReadError::TooLong { .. })),
        "a name too long must be refused: {refused:?}"
    );
    assert_eq!(rows(store, &name).await, [row(&key, "1")]);
}

/// Who reads while a projection commits never sees a row ahead of its checkpoint, nor a checkpoint ahead of its rows.
pub async fn rows_and_checkpoint_change_in_one_step<S: Store + ?Sized>(store: &Arc<S>) {
    const COMMITS: u64 = 100;
    let write = |position: u64| ["a", "b", "c"].map(|key| put(key, position.to_be_bytes()));
    commit(store, "balances", at(1), write(1)).await;
    let writing = {
        let store = store.clone();
        tokio::spawn(async move {
            for position in 2..=COMMITS {
                commit(&store, "balances", at(position), write(position)).await;
            }
        })
    };
    let mut before = at(1);
    while before.position.get() < COMMITS {
        before = checkpoint(store, "balances")
            .await
            .expect("it was committed");
        let seen = rows(store, "balances").await;
        let after = checkpoint(store, "balances")
            .await
            .expect("it was committed");
        assert_eq!(seen.len(), 3);
        for (key, value) in seen {
            let of_row = u64::from_be_bytes(value.try_into().unwrap());
            assert!(
                (before.position.get()..=after.position.get()).contains(&of_row),
                "row {key:?} is of position {of_row}, but the checkpoint was at {} before it and at {} behind it",
                before.position,
                after.position
            );
        }
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}
