//! Who comes too late is not decided, and is told so. Time is tokio's, and passes when the test says so.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::counter::*;
use super::held_store::{HeldStore, not_recorded};
use super::*;
use crate::*;
use tokio::time::{Instant, advance};

const SOON: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_millis(51);

fn soon() -> CommandOptions {
    CommandOptions::new().deadline(SOON)
}

/// Counts how often it is decided.
struct Watched(Arc<AtomicUsize>);

impl Command for Watched {
    type Aggregate = Counter;
    type Reply = u64;
    type Rejection = Never;

    fn decide(&self, state: &Counter, _: &CommandContext) -> Decided<Self> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let count = state.count + 1;
        Ok(Decision::event(CounterEvent::Added { by: 1 }, count))
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_whose_turn_comes_after_its_deadline_is_not_decided() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    // The store takes nothing, so the actor decides nothing.
    store.set_ready(false);
    let decided = Arc::new(AtomicUsize::new(0));
    let (sending, watched) = (counter.clone(), Watched(decided.clone()));
    let late = tokio::spawn(async move { sending.execute(watched, soon()).await });
    let (sending, watched) = (counter.clone(), Watched(decided.clone()));
    let in_time = CommandOptions::new().deadline(Instant::now() + 2 * LATER);
    let in_time = tokio::spawn(async move { sending.execute(watched, in_time).await });
    settle().await;
    advance(LATER).await;
    store.set_ready(true);
    let error = late.await.unwrap().unwrap_err();
    assert!(matches!(error, CommandError::Expired { .. }), "{error}");
    assert!(error.is_retry_safe());
    assert!(error.to_string().contains(counter.stream().as_str()));
    assert_eq!(in_time.await.unwrap().unwrap().reply, 2);
    assert_eq!(decided.load(Ordering::SeqCst), 1);
    assert_eq!(counter.version().await.unwrap(), Version::new(2));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_waits_for_a_place_is_answered_at_its_deadline() {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| {
        builder.commands_in_flight_per_aggregate_max(1)
    })
    .await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let sending = counter.clone();
    let holds_the_place = tokio::spawn(async move { sending.send(Add(1)).await });
    store.until_submitted(submitted + 1).await;

    let sent = Instant::now();
    let error = counter.execute(Add(10), soon()).await.unwrap_err();
    assert!(matches!(error, CommandError::Expired { .. }), "{error}");
    assert!(sent.elapsed() >= SOON && sent.elapsed() < 2 * SOON);
    let other: AggregateRef<Counter> = runtime.aggregate("acme", "2").unwrap();
    let steps = (other.step(Add(100)), counter.step(Add(100)));
    let error = runtime.transact_with(steps, soon()).await.unwrap_err();
    assert!(matches!(error, TransactionError::Expired { .. }), "{error}");
    let options = QueryOptions::new().deadline(SOON);
    let error = counter.query_with(|state| state.count, options).await;
    assert!(matches!(error, Err(QueryError::Expired { .. })));

    store.let_go();
    assert_eq!(holds_the_place.await.unwrap().unwrap(), 2);
    // They hold no place, and nothing of them is left.
    assert_eq!(counter.send(Add(1)).await.unwrap(), 3);
    assert_eq!(other.send(Add(1)).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_was_decided_in_time_is_answered_whatever_the_deadline() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let sending = counter.clone();
    let recorded = tokio::spawn(async move { sending.execute(Add(1), soon()).await });
    let sending = counter.clone();
    let failed = tokio::spawn(async move { sending.execute(Add(1), soon()).await });
    store.until_submitted(submitted + 2).await;
    advance(10 * LATER).await;
    store.release_one();
    assert_eq!(recorded.await.unwrap().unwrap().reply, 2);
    store.fail_one(not_recorded());
    let error = failed.await.unwrap().unwrap_err();
    assert!(matches!(error, CommandError::NotRecorded { .. }), "{error}");
    store.let_go();
}

#[tokio::test(start_paused = true)]
async fn a_transaction_whose_turn_comes_after_its_deadline_changes_no_aggregate() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let one = counter(&runtime);
    let two: AggregateRef<Counter> = runtime.aggregate("acme", "2").unwrap();
    runtime
        .transact((one.step(Add(1)), two.step(Add(1))))
        .await
        .unwrap();
    store.set_ready(false);
    let steps = (one.step(Add(1)), two.step(Add(1)));
    let running = runtime.clone();
    let late = tokio::spawn(async move { running.transact_with(steps, soon()).await });
    settle().await;
    advance(LATER).await;
    store.set_ready(true);
    let error = late.await.unwrap().unwrap_err();
    assert!(matches!(error, TransactionError::Expired { .. }), "{error}");
    assert!(error.is_retry_safe());
    // Nobody is held, and nothing has changed.
    assert_eq!(one.send(Add(1)).await.unwrap(), 2);
    assert_eq!(two.send(Add(1)).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_came_too_late_keeps_its_place_while_it_waits_in_a_mailbox() {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| {
        builder.commands_in_flight_per_aggregate_max(2)
    })
    .await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.set_ready(false);
    for _ in 0..2 {
        let late = runtime.transact_with(counter.step(Add(1)), soon()).await;
        assert!(matches!(late, Err(TransactionError::Expired { .. })));
    }
    // Or the mailbox would grow for as long as nothing is taken out of it.
    let refused = soon().when_full(WhenFull::Refuse);
    let error = runtime.transact_with(counter.step(Add(1)), refused.clone());
    let error = error.await.unwrap_err();
    assert!(
        matches!(error, TransactionError::Overloaded { .. }),
        "{error}"
    );
    store.set_ready(true);
    settle().await;
    let added = runtime.transact_with(counter.step(Add(1)), refused).await;
    assert_eq!(added.unwrap().replies, 2);
}

#[tokio::test(start_paused = true)]
async fn a_query_whose_turn_comes_after_its_deadline_is_not_run() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.set_ready(false);
    let (asking, ran) = (counter.clone(), Arc::new(AtomicUsize::new(0)));
    let counting = ran.clone();
    let late = tokio::spawn(async move {
        let query = move |_: &Counter| counting.fetch_add(1, Ordering::SeqCst);
        let options = QueryOptions::new().deadline(SOON);
        asking.query_with(query, options).await
    });
    settle().await;
    advance(LATER).await;
    store.set_ready(true);
    let error = late.await.unwrap().unwrap_err();
    assert!(matches!(error, QueryError::Expired { .. }), "{error}");
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_no_clock_reaches_never_passes() {
    let runtime = start(&HeldStore::new()).await;
    let for_ever = CommandOptions::new().deadline(Duration::MAX);
    let committed = counter(&runtime).execute(Add(3), for_ever).await.unwrap();
    assert_eq!(committed.reply, 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_after_its_deadline_is_not_begun_although_nothing_is_in_its_way() {
    let runtime = start(&HeldStore::new()).await;
    let counter = counter(&runtime);
    // The aggregate rests, so all of these would be decided at once.
    counter.send(Add(1)).await.unwrap();
    let past = CommandOptions::new().deadline(Instant::now());
    let error = counter.execute(Add(1), past.clone()).await.unwrap_err();
    assert!(matches!(error, CommandError::Expired { .. }), "{error}");
    let id = runtime.new_command_id();
    let error = counter.execute_once(Add(1), id, past.clone()).await;
    assert!(matches!(error, Err(CommandError::Expired { .. })));
    let error = runtime.transact_with(counter.step(Add(1)), past.clone());
    assert!(matches!(error.await, Err(TransactionError::Expired { .. })));
    let error = runtime.dry_run(counter.step(Add(1)), past);
    assert!(matches!(error.await, Err(TransactionError::Expired { .. })));
    let past = QueryOptions::new().deadline(Instant::now());
    let error = counter.query_with(|state| state.count, past).await;
    assert!(matches!(error, Err(QueryError::Expired { .. })));
    assert_eq!(counter.send_once(Add(1), id).await.unwrap(), 2);
}

#[test]
fn a_caller_outside_of_tokio_may_wait_with_a_deadline() {
    let store = HeldStore::new();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let runtime = tokio.block_on(start_with(&store, |builder| {
        builder.commands_in_flight_per_aggregate_max(1)
    }));
    let counter = counter(&runtime);
    tokio.block_on(counter.send(Add(1))).unwrap();
    store.hold();
    let submitted = store.submitted();
    let in_flight = tokio.spawn({
        let counter = counter.clone();
        async move { counter.send(Add(1)).await }
    });
    tokio.block_on(store.until_submitted(submitted + 1));
    // This thread is on no tokio runtime.
    let options = CommandOptions::new().deadline(Duration::from_millis(20));
    let mut waiting = Box::pin(counter.execute(Add(1), options));
    let waker = std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    let outcome = loop {
        match waiting.as_mut().poll(&mut context) {
            std::task::Poll::Ready(outcome) => break outcome,
            std::task::Poll::Pending => std::thread::park(),
        }
    };
    assert!(matches!(outcome, Err(CommandError::Expired { .. })));
    store.let_go();
    assert_eq!(tokio.block_on(in_flight).unwrap().unwrap(), 2);
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
