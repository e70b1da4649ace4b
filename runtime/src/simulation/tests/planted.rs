//! Bugs that were planted: each is found, and what it takes is small.

use super::bank::{Bank, Counting, Operation, Way};
use crate::simulation::{Fault, Faults, Simulation};

#[test]
fn a_disk_that_acks_before_it_is_durable_is_caught() {
    let failure = Simulation::new(Bank(Way::Transaction))
        .seeds(0..50)
        .disk_that_lies()
        .run()
        .unwrap_err();
    assert!(failure.plan.operations.len() <= 2, "{failure}");
    assert!(matches!(
        failure.plan.faults[..],
        [planned] if matches!(planned.fault, Fault::PowerCut { .. })
    ));
}

#[test]
fn a_transfer_in_two_commands_is_caught_by_a_crash_between_them_and_shown_with_little_else() {
    let faults = Faults {
        power_cuts: 2,
        ..Faults::NONE
    };
    let simulation = Simulation::new(Bank(Way::TwoCommands)).faults(faults);
    let failure = simulation.run().unwrap_err();
    assert_eq!(failure.violation.invariant, "the scenario's own check");
    let operations = &failure.plan.operations;
    assert!(operations.len() <= 2, "{failure}");
    let is_transfer = |operation: &Operation| matches!(operation, Operation::Transfer { .. });
    assert!(
        operations
            .iter()
            .any(|planned| is_transfer(&planned.operation))
    );
    assert_eq!(failure.plan.faults.len(), 1, "{failure}");
    // What is printed is enough to see it again.
    let again = simulation.run_plan(&failure.plan).unwrap_err();
    assert_eq!(again.trace_hash, failure.trace_hash);
    assert_eq!(again.last_steps, failure.last_steps);
    let replayed = simulation.replay(failure.seed).unwrap_err();
    assert_eq!(replayed.plan, failure.plan);
}

#[test]
fn a_rule_that_is_checked_before_its_turn_is_caught_by_an_interleaving_without_any_fault() {
    let simulation = Simulation::new(Bank(Way::AskedBefore))
        .seeds(0..60)
        .faults(Faults::NONE);
    let failure = simulation.run().unwrap_err();
    assert!(failure.violation.what.contains("overdrawn"), "{failure}");
    assert!(failure.plan.operations.len() <= 4, "{failure}");
    // With one caller there is nothing that could come in between.
    simulation.callers(1).run().unwrap();
}

#[test]
fn an_apply_that_is_not_a_function_of_its_events_is_caught() {
    let failure = Simulation::new(Counting).run().unwrap_err();
    assert!(
        failure.violation.invariant.ends_with("what a replay gives"),
        "{failure}"
    );
}
