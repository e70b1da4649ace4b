use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::*;

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn who_waits_is_let_in_in_the_order_of_arrival() {
    let gate = Gate::new(1);
    assert!(gate.try_enter());
    let mut first = pin!(gate.enter());
    let mut second = pin!(gate.enter());
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    gate.leave();
    assert!(!gate.try_enter(), "those who wait come first");
    assert!(poll(second.as_mut()).is_pending());
    assert!(poll(first.as_mut()).is_ready());
    gate.leave();
    assert!(poll(second.as_mut()).is_ready());
    gate.leave();
    assert_eq!(gate.inside(), 0);
    assert!(gate.try_enter());
}

#[test]
fn who_gives_up_leaves_no_trace_even_after_being_let_in() {
    let gate = Gate::new(1);
    assert!(gate.try_enter());
    {
        let mut in_queue = pin!(gate.enter());
        assert!(poll(in_queue.as_mut()).is_pending());
    }
    assert_eq!(gate.waiting.load(SeqCst), 0);
    {
        let mut let_in = pin!(gate.enter());
        assert!(poll(let_in.as_mut()).is_pending());
        gate.leave();
        assert_eq!(gate.inside(), 1);
    }
    assert_eq!(gate.inside(), 0);
    assert!(gate.try_enter());
}

#[test]
fn until_empty_waits_for_those_inside_and_for_those_who_wait() {
    let gate = Gate::new(1);
    assert!(gate.try_enter());
    let mut entering = pin!(gate.enter());
    let mut emptied = pin!(gate.until_empty());
    assert!(poll(entering.as_mut()).is_pending());
    assert!(poll(emptied.as_mut()).is_pending());
    gate.leave();
    assert!(poll(emptied.as_mut()).is_pending());
    assert!(poll(entering.as_mut()).is_ready());
    gate.leave();
    assert!(poll(emptied.as_mut()).is_ready());
    assert!(poll(pin!(gate.until_empty())).is_ready());
}

/// Each that gives up once searched the whole line, so a line of so many would have taken minutes.
#[test]
fn any_number_may_wait_and_give_up() {
    const WAITERS: usize = 200_000;
    let gate = Gate::new(1);
    assert!(gate.try_enter());
    let mut line: Vec<_> = (0..WAITERS).map(|_| Box::pin(gate.enter())).collect();
    assert!(
        line.iter_mut()
            .all(|waiter| poll(waiter.as_mut()).is_pending())
    );
    // From the front, the back, and between, the last one last.
    let mut last = line.swap_remove(WAITERS / 2);
    drop(line);
    assert_eq!(gate.waiting.load(SeqCst), 1);
    gate.leave();
    assert!(poll(last.as_mut()).is_ready());
    gate.leave();
    assert_eq!((gate.inside(), gate.waiting.load(SeqCst)), (0, 0));
}

#[test]
fn a_turn_of_one_who_gives_up_goes_to_the_next() {
    let gate = Gate::new(1);
    assert!(gate.try_enter());
    let mut next = {
        let mut first = Box::pin(gate.enter());
        let mut next = Box::pin(gate.enter());
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(next.as_mut()).is_pending());
        gate.leave();
        next
    };
    assert!(poll(next.as_mut()).is_ready());
    assert_eq!((gate.inside(), gate.waiting.load(SeqCst)), (1, 0));
    gate.leave();
    assert!(gate.try_enter());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_than_the_limit_are_inside_and_nobody_is_forgotten() {
    const LIMIT: usize = 3;
    let gate = Arc::new(Gate::new(LIMIT));
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (gate, inside) = (gate.clone(), inside.clone());
            tokio::spawn(async move {
                for turn in 0..500 {
                    if turn % 7 == 0 {
                        // Gives up at once if it has to wait.
                        tokio::select! {
                            biased;
                            () = gate.enter() => {}
                            () = std::future::ready(()) => continue,
                        }
                    } else {
                        gate.enter().await;
                    }
                    assert!(inside.fetch_add(1, SeqCst) < LIMIT);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, SeqCst);
                    gate.leave();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(gate.inside(), 0);
}

#[test]
fn gaps_behind_one_who_waits_for_long_take_no_room() {
    let gate = Gate::new(1);
    assert!(gate.try_enter());
    let mut stays = pin!(gate.enter());
    assert!(poll(stays.as_mut()).is_pending());
    for _ in 0..100_000 {
        assert!(poll(pin!(gate.enter())).is_pending());
    }
    assert!(gate.line().capacity() < 16);
    assert_eq!(gate.waiting.load(SeqCst), 1);
    gate.leave();
    assert!(poll(stays.as_mut()).is_ready());
}

#[test]
fn the_room_of_a_long_line_is_given_back_when_it_is_empty() {
    let gate = Gate::new(1);
    assert!(gate.try_enter());
    let mut line: Vec<_> = (0..10_000).map(|_| Box::pin(gate.enter())).collect();
    for waiter in &mut line {
        assert!(poll(waiter.as_mut()).is_pending());
    }
    for waiter in &mut line {
        gate.leave();
        assert!(poll(waiter.as_mut()).is_ready());
    }
    assert_eq!(gate.line().capacity(), 0);
}

#[test]
fn the_room_is_given_back_too_when_the_last_in_the_line_gave_up() {
    let gate = Gate::new(1);
    assert!(gate.try_enter());
    let mut line: Vec<_> = (0..10_000).map(|_| Box::pin(gate.enter())).collect();
    for waiter in &mut line {
        assert!(poll(waiter.as_mut()).is_pending());
    }
    line.truncate(6_000);
    for waiter in &mut line {
        gate.leave();
        assert!(poll(waiter.as_mut()).is_ready());
    }
    assert_eq!(gate.line().capacity(), 0);
}

#[test]
fn a_turn_wakes_who_waits_now_and_not_who_waited_first() {
    let gate = Gate::new(1);
    assert!(gate.try_enter());
    let mut waits = pin!(gate.enter());
    let (first, now) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
    for woken in [&first, &now] {
        let waker = Waker::from(Arc::clone(woken));
        let polled = waits.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    gate.leave();
    let count = |woken: &Woken| woken.0.load(SeqCst);
    assert_eq!((count(&first), count(&now)), (0, 1));
    assert!(poll(waits.as_mut()).is_ready());
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}
