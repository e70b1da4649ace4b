//! Stores that are wrong, and a mistake in using a right one: the checks must see each of them in what callers are told.

use super::check::{Anomaly, Evidence, check};
use super::faulty_store::Plant;
use super::journal::Books;
use super::run::{Plan, run};
use super::{linearizability, serializability};

/// Runs that a mistake may go unseen in.
const RUNS_MAX: u64 = 30;

/// Runs seeds until the mistake is seen; gives what was seen.
fn caught(plant: Option<Plant>, runtimes: usize) -> (Result<Evidence, Anomaly>, Anomaly) {
    for seed in 0..RUNS_MAX {
        let plan = Plan {
            seed,
            operations: 600,
            on_disk: seed % 4 == 3,
            plant,
            runtimes,
        };
        let evidence = run(&plan);
        let anomaly = match &evidence {
            Ok(evidence) => check(evidence).err(),
            Err(anomaly) => Some(anomaly.clone()),
        };
        if let Some(anomaly) = anomaly {
            println!("{plant:?}: seed {seed}: {anomaly}");
            return (evidence, anomaly);
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
    let (_, anomaly) = caught(Some(Plant::AcksBeforeDurable), 1);
    assert!(
        matches!(
            anomaly,
            Anomaly::Lost { .. } | Anomaly::NotLinearizable { .. }
        ),
        "{anomaly}"
    );
}

#[test]
fn a_lost_update_is_caught() {
    let (evidence, anomaly) = caught(Some(Plant::IgnoresVersions), 2);
    assert!(
        matches!(anomaly, Anomaly::NotLinearizable { .. }),
        "{anomaly}"
    );
    // Callers can tell without the journal, and so can the journal without the search.
    let evidence = evidence.expect("every event is somebody's");
    let books = Books::read(evidence.accounts, &evidence.operations, &evidence.entries)
        .expect("each is there as a whole");
    super::check::answers(&evidence.operations, &books).expect_err("the journal tells it, too");
}

#[test]
fn a_dirty_read_of_a_voided_command_is_caught() {
    let (_, anomaly) = caught(Some(Plant::AnswersChecksAtOnce), 1);
    assert!(
        matches!(
            anomaly,
            Anomaly::NeverWas { .. } | Anomaly::NotLinearizable { .. }
        ),
        "{anomaly}"
    );
}

#[test]
fn a_transaction_of_which_a_part_is_recorded_is_caught() {
    let _ = caught(Some(Plant::SplitsAppends), 1);
}

/// Two runtimes over one store do not see each other's events before they write: what they are asked only is stale.
#[test]
fn a_stale_read_beside_another_writer_is_caught() {
    let (evidence, anomaly) = caught(None, 2);
    assert!(
        matches!(
            anomaly,
            Anomaly::NotLinearizable { .. } | Anomaly::NotSerializable { .. }
        ),
        "{anomaly}"
    );
    let evidence = evidence.expect("every event is somebody's");
    let books = Books::read(evidence.accounts, &evidence.operations, &evidence.entries)
        .expect("each is there as a whole");
    let is_serializable = serializability::check(&evidence.operations, &books).is_ok();
    assert!(!is_serializable || !is_linearizable(&evidence));
}
