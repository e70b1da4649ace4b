//! A read model that is made for the first time is kept in parts.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::held_store::HeldStore;
use super::projections::{Counts, add};
use super::*;
use crate::*;
use foldhouse_store::ReadModelStore;

/// Counters, each with one event.
const MANY: u64 = 3_500;

async fn add_to_many(runtime: &Runtime) -> Position {
    let mut last = Position::BEFORE_FIRST;
    for counter in 0..MANY {
        last = add(runtime, &format!("{counter:05}"), counter + 1).await;
    }
    last
}

fn assert_counts_many(counts: &ProjectionRef<Counts>) {
    counts.read(|table| {
        let counts: Vec<_> = table.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, (1..=MANY).collect::<Vec<_>>());
    });
}

#[tokio::test]
async fn a_model_of_many_rows_is_kept_in_parts_of_which_the_last_one_counts() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let head = add_to_many(&runtime).await;
    store.fail_commits(1);
    let counts = runtime.project(Counts::default()).await.unwrap();
    counts.wait_for(head, PATIENCE).await.unwrap();
    runtime.shutdown(PATIENCE).await.unwrap();
    let checkpoint = store.checkpoint("counts").await.unwrap().unwrap();
    assert_eq!(checkpoint.position, head);

    let applied = Arc::new(AtomicUsize::new(0));
    let runtime = start(&store).await;
    let counts = runtime
        .project(Counts {
            applied: Arc::clone(&applied),
            ..Counts::default()
        })
        .await
        .unwrap();
    assert_counts_many(&counts);
    counts.wait_for(head, PATIENCE).await.unwrap();
    assert_eq!(applied.load(Ordering::SeqCst), 0, "an event was read twice");
}

#[tokio::test]
async fn a_model_that_was_cut_off_in_the_making_is_made_anew() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let head = add_to_many(&runtime).await;
    runtime.shutdown(PATIENCE).await.unwrap();
    // The first part of it, and of a later moment than the events that it would be made of again.
    let key = rmp_serde::to_vec_named("00000").unwrap();
    let value = Some(rmp_serde::to_vec_named(&77_u64).unwrap());
    let first_part = vec![foldhouse_store::Change { key, value }];
    let checkpoint = foldhouse_store::Checkpoint {
        position: Position::BEFORE_FIRST,
        model_version: 1,
    };
    store
        .commit("counts", checkpoint, first_part)
        .await
        .unwrap();

    let runtime = start(&store).await;
    let counts = runtime.project(Counts::default()).await.unwrap();
    counts.wait_for(head, PATIENCE).await.unwrap();
    assert_counts_many(&counts);
}
