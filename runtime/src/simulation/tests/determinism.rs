use super::bank::{Bank, Way};
use crate::simulation::{Faults, Simulation};

#[test]
fn transfers_come_through_every_fault_and_the_same_seeds_leave_the_same_trace() {
    let simulation = || Simulation::new(Bank(Way::Transaction)).seeds(0..40);
    let report = simulation().run().unwrap();
    assert_eq!(report, simulation().run().unwrap());
    assert_ne!(
        report.trace_hash,
        simulation().seeds(40..50).run().unwrap().trace_hash
    );
    // Each of what is to be tried was.
    assert!(report.power_cuts >= 20, "{report:?}");
    assert!(report.torn_tails >= 3, "{report:?}");
    assert!(report.failed_writes >= 3, "{report:?}");
    assert!(report.segments_max >= 2, "{report:?}");
    for count in [
        report.done,
        report.rejected,
        report.not_recorded,
        report.unknown,
        report.unanswered,
    ] {
        assert!(count > 0, "{report:?}");
    }
}

#[test]
fn one_run_survives_a_crash_at_each_change_of_its_disk() {
    let report = Simulation::new(Bank(Way::Transaction))
        .operations(8)
        .crash_at_every_change(7)
        .unwrap();
    // The first run has no crash; each other has its own, from the first change on that makes the disk a journal.
    assert!(report.power_cuts > 30, "{report:?}");
    assert_eq!(report.runs, report.power_cuts + 1, "{report:?}");
}

#[test]
fn without_faults_everything_is_answered_and_nothing_is_unknown() {
    let report = Simulation::new(Bank(Way::Transaction))
        .seeds(0..10)
        .faults(Faults::NONE)
        .run()
        .unwrap();
    assert_eq!(
        report.unanswered + report.unknown + report.not_recorded,
        0,
        "{report:?}"
    );
    assert_eq!(report.done + report.rejected, 400);
    // Each run, and what it left.
    assert_eq!(report.processes, 20);
}
