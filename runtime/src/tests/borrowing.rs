//! Who decides on an aggregate that is not its actor, and what comes in between.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use super::counter::*;
use super::held_store::HeldStore;
use super::transaction_durability::{held, transfer};
use super::transactions::at;
use super::*;
use crate::*;

/// Whether the future is pending after being polled once, with no other task having run.
async fn is_pending(future: &mut Pin<&mut impl Future>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[tokio::test]
async fn a_command_to_an_idle_aggregate_is_decided_where_it_is_sent() {
    let (store, _runtime, [a, _], submitted) = held().await;
    let mut first = pin!(a.send(Add(1)));
    let mut second = pin!(a.send(Add(1)));
    assert!(is_pending(&mut first).await);
    assert_eq!(store.submitted(), submitted + 1);
    // It does not wait for the disk, nor for a task.
    assert!(is_pending(&mut second).await);
    assert_eq!(store.submitted(), submitted + 2);
    store.let_go();
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (2, 3));
}

#[tokio::test]
async fn a_transaction_over_idle_aggregates_is_decided_where_it_is_sent() {
    let (store, runtime, [a, b], submitted) = held().await;
    let mut transfer = pin!(runtime.transact((b.step(Add(1)), a.step(Add(2)))));
    assert!(is_pending(&mut transfer).await);
    assert_eq!(store.submitted(), submitted + 1);
    let mut single = pin!(a.send(Add(1)));
    assert!(is_pending(&mut single).await);
    assert_eq!(store.submitted(), submitted + 2);
    store.let_go();
    assert_eq!(transfer.await.unwrap(), (2, 3));
    assert_eq!(single.await.unwrap(), 4);
}

#[tokio::test]
async fn nothing_is_lent_past_what_waits_in_the_mailbox() {
    let (store, runtime, [a, b], submitted) = held().await;
    store.set_ready(false);
    let mut waiting = pin!(a.send(Add(1)));
    assert!(is_pending(&mut waiting).await);
    store.set_ready(true);
    // The actor has not run yet.
    let mut behind = pin!(a.send(Add(10)));
    assert!(is_pending(&mut behind).await);
    let mut transfer = pin!(runtime.transact((a.step(Add(100)), b.step(Add(1)))));
    assert!(is_pending(&mut transfer).await);
    assert_eq!(store.submitted(), submitted);
    store.let_go();
    let replies = tokio::join!(waiting, behind, transfer);
    assert_eq!(replies.0.unwrap(), 2);
    assert_eq!(replies.1.unwrap(), 12);
    assert_eq!(replies.2.unwrap(), (112, 2));
}

#[tokio::test]
async fn a_panic_where_a_command_is_sent_reaches_its_caller_as_an_error_and_ends_the_actor() {
    let (store, _runtime, [a, b], _) = held().await;
    store.let_go();
    let mut panicking = pin!(a.send(Panic::InDecide));
    let Poll::Ready(Err(error)) =
        poll_fn(|context| Poll::Ready(panicking.as_mut().poll(context))).await
    else {
        panic!("it is decided at once");
    };
    assert!(matches!(error, CommandError::Panicked { .. }), "{error}");
    // The next actor has the state that is durable; the other aggregate has noticed nothing.
    assert_eq!(super::transactions::count(&a).await, 1);
    assert_eq!(super::transactions::count(&b).await, 1);
}

#[test]
fn a_tokio_runtime_that_ends_while_an_aggregate_is_lent_leaves_nobody_waiting() {
    let store = HeldStore::new();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let outside = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (a, transfer) = tokio.block_on(async {
        let runtime = start(&store).await;
        let a = at(&runtime, "a");
        a.send(Add(1)).await.unwrap();
        store.hold();
        let submitted = store.submitted();
        // `a` is lent, and `b` hydrates, which the store holds back.
        let transfer = transfer(&runtime, [(&a, 1), (&at(&runtime, "b"), 1)]);
        store.until_submitted(submitted + 1).await;
        (a, transfer)
    });
    let waits = a.clone();
    let waits = std::thread::spawn(move || outside.block_on(waits.send(Add(1))));
    drop(tokio);
    // It may have come between the end of the transfer and that of the actor: then it was decided, and waits for the store
    // alone.
    store.let_go();
    match waits.join().unwrap() {
        Ok(count) => assert_eq!(count, 2),
        Err(error) => assert!(matches!(error, CommandError::NotRecorded { .. }), "{error}"),
    }
    drop(transfer);
    let slot = Arc::downgrade(a.slot());
    drop(a);
    assert_eq!(slot.strong_count(), 0);
}
