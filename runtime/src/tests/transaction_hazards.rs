//! What an adversary would try with transactions.

use std::future::Future;
use std::sync::Mutex;
use std::task::{Context, Poll, Wake, Waker};

use super::counter::*;
use super::held_store::not_recorded;
use super::transaction_durability::{held, transfer};
use super::transactions::{at, count, over_memory};
use super::*;
use crate::*;
use foldhouse_store::{Append, NewEvent, Payload, SnapshotCriteria, SnapshotStore};

#[tokio::test]
async fn a_step_for_another_runtime_is_refused_also_if_its_stream_is_one_of_ours() {
    let (store, runtime) = over_memory().await;
    let (_store, other) = over_memory().await;
    for [one, two] in [[&runtime, &other], [&other, &runtime]] {
        let steps = (at(one, "a").step(Add(1)), at(two, "a").step(Add(1)));
        let error = runtime.transact(steps).await.unwrap_err();
        assert!(
            matches!(error, TransactionError::OtherRuntime { .. }),
            "{error}"
        );
    }
    assert_eq!(store.head(), Position::BEFORE_FIRST);
}

#[tokio::test]
async fn nothing_is_recorded_on_a_state_that_was_voided_while_its_actor_was_held() {
    let (store, runtime, [a, _], submitted) = held().await;
    let single = tokio::spawn({
        let a = a.clone();
        async move { a.send(Add(100)).await }
    });
    store.until_submitted(submitted + 1).await;
    // `c` hydrates, which the store holds back: `a` has agreed and waits.
    let c = at(&runtime, "c");
    let transfer = transfer(&runtime, [(&a, 1), (&c, 1)]);
    store.until_submitted(submitted + 2).await;
    settle().await;
    store.fail_one(not_recorded());
    single.await.unwrap().unwrap_err();
    // Another writer takes the version of what is gone, so the store cannot tell.
    let payload = rmp_serde::to_vec_named(&CounterEvent::Added { by: 5 }).unwrap();
    let event = NewEvent::new(
        SystemClock.new_id(),
        "Added",
        Payload::message_pack(payload),
    );
    let append = Append::to(
        a.stream().clone(),
        ExpectedVersion::Exact(Version::new(1)),
        [event],
    );
    store.inner.append(append).await.unwrap();
    let head = store.head();
    store.let_go();
    let error = transfer.await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            TransactionError::NotRecorded {
                reason: NotRecorded::Voided
            }
        ),
        "{error}"
    );
    assert_eq!(store.head(), head);
    assert_eq!(count(&c).await, 0);
}

/// Looks how many places are taken at the moment in which the caller is told.
struct Told {
    counters: [AggregateRef<Counter>; 2],
    taken: Mutex<Vec<usize>>,
}

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        let taken = self.counters.iter();
        let taken = taken.map(|counter| counter.slot().admission.inside()).sum();
        self.taken.lock().unwrap().push(taken);
    }
}

async fn places_when_told<S: Steps>(
    runtime: &Runtime,
    counters: [&AggregateRef<Counter>; 2],
    steps: S,
) -> (Vec<usize>, TransactionError) {
    let told = Arc::new(Told {
        counters: counters.map(Clone::clone),
        taken: Mutex::default(),
    });
    let waker = Waker::from(Arc::clone(&told));
    let mut context = Context::from_waker(&waker);
    let mut transaction = Box::pin(runtime.transact(steps));
    let mut polled = transaction.as_mut().poll(&mut context);
    if polled.is_pending() {
        settle().await;
        polled = transaction.as_mut().poll(&mut context);
    } else {
        // Decided at once: it is told here.
        told.wake_by_ref();
    }
    let Poll::Ready(Err(error)) = polled else {
        panic!("it is answered with an error");
    };
    let taken = told.taken.lock().unwrap().clone();
    (taken, error)
}

#[tokio::test]
async fn who_is_told_of_a_failure_finds_all_places_free_again() {
    let full = || Add(LIMIT + 1);
    for round in 0..10 {
        let (_store, runtime) = over_memory().await;
        let (a, b) = (at(&runtime, "a"), at(&runtime, "b"));
        let (is_idle, round) = (round >= 5, round % 5);
        if is_idle {
            assert_eq!((count(&a).await, count(&b).await), (0, 0));
        }
        let (run, both) = (&runtime, [&a, &b]);
        let (taken, error) = match round {
            0 => places_when_told(run, both, (a.step(full()), b.step(Add(1)))).await,
            1 => places_when_told(run, both, (a.step(Add(1)), b.step(full()))).await,
            2 => places_when_told(run, both, (a.step(Panic::InDecide), b.step(Add(1)))).await,
            3 => places_when_told(run, both, (a.step(Add(1)), b.step(Panic::InDecide))).await,
            _ => places_when_told(run, both, (a.step(Add(1)), b.step(Panic::WhileEncoding))).await,
        };
        assert_eq!(taken, [0], "round {round}: {error}");
    }
}

/// Panics when it is dropped.
#[derive(Debug, thiserror::Error)]
#[error("it goes off")]
struct GoesOff;

impl Drop for GoesOff {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "dropped");
    }
}

#[tokio::test]
async fn a_rejection_that_panics_when_it_is_dropped_does_not_reach_the_stores_thread() {
    for is_dropped in [false, true] {
        let (store, runtime, [a, b], submitted) = held().await;
        let before = tokio::spawn({
            let b = b.clone();
            async move { b.send(Add(1)).await }
        });
        store.until_submitted(submitted + 1).await;
        let rejected = tokio::spawn({
            let runtime = runtime.clone();
            let steps = (a.step(Add(1)), b.require(|_| Err::<(), GoesOff>(GoesOff)));
            async move { runtime.transact(steps).await }
        });
        store.until_submitted(submitted + 2).await;
        store.fail_one(not_recorded());
        before.await.unwrap().unwrap_err();
        if is_dropped {
            store.drop_one();
        } else {
            store.fail_one(not_recorded());
        }
        let error = rejected.await.unwrap().unwrap_err();
        assert!(error.is_retry_safe(), "{error}");
        store.let_go();
        assert_eq!((count(&a).await, count(&b).await), (1, 1));
    }
}

#[tokio::test]
async fn a_snapshot_that_could_not_be_taken_is_taken_with_the_next_transaction() {
    use std::sync::atomic::Ordering::SeqCst;
    let store = Arc::new(MemoryStore::new());
    let runtime = start_with(&store, |builder| builder.snapshot_every_events(4)).await;
    let (a, b) = (at(&runtime, "a"), at(&runtime, "b"));
    // An older one of `a` is still being saved when one is due.
    a.slot().snapshotting.store(true, SeqCst);
    for round in 1..=5 {
        a.slot().snapshotting.store(round < 5, SeqCst);
        let steps = (a.step(Add(1)), b.step(Add(1)));
        runtime.transact(steps).await.unwrap();
    }
    settle().await;
    for (counter, version) in [(&a, 5), (&b, 4)] {
        let snapshot = store
            .load_snapshot(counter.stream(), SnapshotCriteria::ALL)
            .await
            .unwrap();
        let found = snapshot.map(|snapshot| snapshot.version);
        assert_eq!(found, Some(Version::new(version)));
    }
}

#[tokio::test]
async fn too_many_events_over_all_steps_are_found_before_anything_is_void() {
    let (store, runtime) = over_memory().await;
    let (a, b) = (at(&runtime, "a"), at(&runtime, "b"));
    let steps = || (a.step(AddOneByOne(40_000)), b.step(AddOneByOne(40_000)));
    let would = runtime.dry_run(steps(), CommandOptions::new()).await;
    assert!(
        matches!(would, Err(TransactionError::InvalidEvents { .. })),
        "{would:?}"
    );
    let error = runtime.transact(steps()).await.unwrap_err();
    assert!(
        matches!(error, TransactionError::InvalidEvents { .. }),
        "{error}"
    );
    assert_eq!(store.head(), Position::BEFORE_FIRST);
    assert_eq!((count(&a).await, count(&b).await), (0, 0));
}

#[tokio::test]
async fn what_later_actors_of_an_aggregate_are_refused_does_not_void_what_rested_on_durable_state()
{
    let (store, runtime, [a, b], submitted) = held().await;
    let transaction = tokio::spawn({
        let runtime = runtime.clone();
        let steps = (
            a.require(|state| Ok::<_, Never>(state.count)),
            b.step(Add(1)),
        );
        async move { runtime.transact(steps).await }
    });
    store.until_submitted(submitted + 1).await;
    store.set_full_for_one();
    for _ in 0..3 {
        let error = a.send(Add(1)).await.unwrap_err();
        assert!(error.is_retry_safe(), "{error}");
    }
    store.let_go();
    assert_eq!(transaction.await.unwrap().unwrap(), (1, 2));
    assert_eq!((count(&a).await, count(&b).await), (1, 2));
}

/// Panics when it is cloned.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Unique;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
enum Noted {
    Once,
}

impl Clone for Unique {
    fn clone(&self) -> Self {
        panic!("clone was told to panic")
    }
}

impl Aggregate for Unique {
    const TYPE: &'static str = "unique";
    type Event = Noted;

    fn apply(&mut self, _: &Noted) {}
}

struct Note;

impl Command for Note {
    type Aggregate = Unique;
    type Reply = ();
    type Rejection = Never;

    fn decide(&self, _: &Unique, _: &CommandContext) -> Result<Decision<Noted, ()>, Never> {
        Ok(Decision::event(Noted::Once, ()))
    }
}

#[tokio::test]
async fn a_state_whose_clone_panics_fails_the_transaction_and_nothing_else() {
    let (_store, runtime) = over_memory().await;
    let a = at(&runtime, "a");
    let unique = runtime.aggregate::<Unique>("acme", "1").unwrap();
    // Only a step that follows another one needs a state of its own.
    let steps = (a.step(Add(1)), unique.step(Note), unique.step(Note));
    let error = runtime.transact(steps).await;
    assert!(
        matches!(&error, Err(TransactionError::Panicked { stream, .. }) if stream == unique.stream()),
        "{error:?}"
    );
    unique.send(Note).await.unwrap();
    let steps = (a.step(Add(1)), unique.step(Note));
    assert_eq!(runtime.transact(steps).await.unwrap().0, 1);
}
