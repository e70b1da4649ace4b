use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};

use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use shuttle::thread;

use crate::admission::Gate;

/// So many orders of each kind: at random, and with few changes at bad moments.
fn check(test: fn()) {
    shuttle::check_random(test, 2_000);
    shuttle::check_pct(test, 2_000, 3);
}

#[test]
fn nobody_is_let_in_beyond_the_limit_and_nobody_is_forgotten() {
    check(|| {
        let gate = Arc::new(Gate::new(2));
        let inside = Arc::new(AtomicUsize::new(0));
        let entering: Vec<_> = (0..4)
            .map(|_| {
                let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
                thread::spawn(move || {
                    block_on(gate.enter());
                    assert!(inside.fetch_add(1, SeqCst) < 2);
                    inside.fetch_sub(1, SeqCst);
                    gate.leave();
                })
            })
            .collect();
        for thread in entering {
            thread.join().unwrap();
        }
        assert_eq!(gate.inside(), 0);
        assert!(gate.try_enter(), "nobody waits");
    });
}

#[test]
fn who_gives_up_while_it_is_let_in_takes_no_place_along() {
    check(|| {
        let gate = Arc::new(Gate::new(1));
        assert!(gate.try_enter());
        let gives_up = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let mut entering = Box::pin(gate.enter());
                let first = entering
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
                drop(entering);
                if first.is_ready() {
                    gate.leave();
                }
            })
        };
        let waits = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                block_on(gate.enter());
                gate.leave();
            })
        };
        gate.leave();
        gives_up.join().unwrap();
        waits.join().unwrap();
        assert_eq!(gate.inside(), 0);
        assert!(gate.try_enter(), "nobody waits");
    });
}

#[test]
fn who_waits_until_all_have_left_is_told_when_they_have_and_not_before() {
    check(|| {
        let gate = Arc::new(Gate::new(1));
        assert!(gate.try_enter());
        let entering: Vec<_> = (0..2)
            .map(|_| {
                let gate = Arc::clone(&gate);
                thread::spawn(move || {
                    block_on(gate.enter());
                    gate.leave();
                })
            })
            .collect();
        let left = Arc::new(AtomicUsize::new(0));
        let empties = {
            let (gate, left) = (Arc::clone(&gate), Arc::clone(&left));
            thread::spawn(move || {
                block_on(gate.until_empty());
                assert_eq!(left.load(SeqCst), 1);
            })
        };
        left.store(1, SeqCst);
        gate.leave();
        for thread in entering {
            thread.join().unwrap();
        }
        empties.join().unwrap();
        assert_eq!(gate.inside(), 0);
    });
}

/// The checks see what they are for: a place that is taken without a look back goes beyond the limit.
#[test]
#[should_panic(expected = "beyond the limit")]
fn a_gate_that_looks_before_it_steps_is_caught() {
    shuttle::check_random(
        || {
            let inside = Arc::new(AtomicUsize::new(0));
            let entering: Vec<_> = (0..2)
                .map(|_| {
                    let inside = Arc::clone(&inside);
                    thread::spawn(move || {
                        if inside.load(SeqCst) < 1 {
                            let before = inside.fetch_add(1, SeqCst);
                            assert!(before < 1, "beyond the limit");
                        }
                    })
                })
                .collect();
            for thread in entering {
                thread.join().unwrap();
            }
        },
        1_000,
    );
}
