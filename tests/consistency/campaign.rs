use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::check::{Checked, check};
use super::run::{Plan, run};

/// Runs that go on at the same time.
const RUNS_AT_A_TIME: u64 = 2;

/// Runs and checks so many seeds, every other one on disk.
fn campaign(first_seed: u64, seeds: u64, operations: usize) -> Checked {
    let next = AtomicU64::new(first_seed);
    let sum = Mutex::new(Checked::default());
    std::thread::scope(|threads| {
        for _ in 0..RUNS_AT_A_TIME {
            threads.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first_seed + seeds {
                        return;
                    }
                    let plan = Plan {
                        seed,
                        operations,
                        on_disk: seed.is_multiple_of(2),
                        plant: None,
                        runtimes: 1,
                    };
                    let checked = check(&run(&plan));
                    let checked = checked.unwrap_or_else(|anomaly| panic!("{plan:?}: {anomaly}"));
                    *sum.lock().expect("no other run failed") += checked;
                    if seed.is_multiple_of(20) {
                        println!("{} seeds are done", seed - first_seed);
                    }
                }
            });
        }
    });
    sum.into_inner().expect("no run failed")
}

/// The campaign must come to what it is there for.
fn assert_worth_it(checked: Checked, operations: usize) {
    println!("{checked:?}");
    assert!(checked.operations >= operations, "{checked:?}");
    let share = |count: usize| count * 1_000 / checked.operations;
    assert!(share(checked.done) > 300, "{checked:?}");
    assert!(share(checked.transactions_done) > 50, "{checked:?}");
    assert!(share(checked.rejected) > 100, "{checked:?}");
    assert!(share(checked.not_recorded) > 10, "{checked:?}");
    assert!(checked.unknown_recorded > 0, "{checked:?}");
    assert!(checked.unknown_lost > 0, "{checked:?}");
}

#[test]
fn what_callers_are_told_is_consistent_whatever_fails() {
    assert_worth_it(campaign(1, 10, 2_000), 20_000);
}

/// `cargo test --release -p foldhouse-tests consistency -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes; see its documentation"]
fn what_callers_are_told_is_consistent_over_200_seeds_of_10_000_operations() {
    assert_worth_it(campaign(1_000, 200, 10_000), 2_000_000);
}
