//! Stores that are wrong, and a mistake in using a right one: the checks must see each of them in what callers are told.

use super::check::{Anomaly, Evidence, check};
use super::faulty_store::Plant;
use super::journal::Books;
use super::run::{Plan, run};
use super::{linearizability, serializability};

/// Runs that a mistake may go unseen in.
const RUNS_MAX: u64 = 30;

/// Runs seeds until the mistake is seen as what it is; gives what was left of that run.
fn caught(plant: Option<Plant>, runtimes: usize, is_it: fn(&Anomaly) -> bool) -> Evidence {
    for seed in 0..RUNS_MAX {
        let plan = Plan {
            seed,
            operations: 600,
            on_disk: seed % 4 == 3,
            plant,
            runtimes,
        };
        let evidence = run(&plan);
        if let Err(anomaly) = check(&evidence) {
            println!("{plant:?}: seed {seed}: {anomaly}");
            if is_it(&anomaly) {
                return evidence;
            }
        }
    }
    panic!("{plant:?} with {runtimes} runtimes was not caught in {RUNS_MAX} runs");
}

fn is_linearizable(evidence: &Evidence) -> bool {
    (0..evidence.accounts)
        .all(|account| linearizability::check(account, &evidence.operations).is_ok())
}

#[test]
fn a_store_that_acks_before_it_is_durable_is_caught() {
    caught(Some(Plant::AcksBeforeDurable), 1, |anomaly| {
        matches!(
            anomaly,
            Anomaly::Lost { .. } | Anomaly::NotLinearizable { .. }
        )
    });
}

#[test]
fn a_lost_update_is_caught() {
    let evidence = caught(Some(Plant::IgnoresVersions), 2, |anomaly| {
        matches!(anomaly, Anomaly::NotLinearizable { .. })
    });
    // Callers can tell without the journal, and so can the journal without the search.
    let books = Books::read(evidence.accounts, &evidence.operations, &evidence.entries)
        .expect("each is there as a whole");
    super::check::answers(&evidence.operations, &books).expect_err("the journal tells it, too");
}

#[test]
fn a_dirty_read_of_a_voided_command_is_caught() {
    caught(Some(Plant::AnswersChecksAtOnce), 1, |anomaly| {
        matches!(
            anomaly,
            Anomaly::NeverWas { .. } | Anomaly::NotLinearizable { .. }
        )
    });
}

#[test]
fn a_transaction_of_which_a_part_is_recorded_is_caught() {
    caught(Some(Plant::SplitsAppends), 1, |_| true);
}

/// Two runtimes over one store do not see each other's events before they write: what they are asked only is stale.
#[test]
fn a_stale_read_beside_another_writer_is_caught() {
    let evidence = caught(None, 2, |anomaly| {
        matches!(
            anomaly,
            Anomaly::NotLinearizable { .. } | Anomaly::NotSerializable { .. }
        )
    });
    let books = Books::read(evidence.accounts, &evidence.operations, &evidence.entries)
        .expect("each is there as a whole");
    let is_serializable = serializability::check(&evidence.operations, &books).is_ok();
    assert!(!is_serializable || !is_linearizable(&evidence));
}
