//! The domains in the simulation: random schedules, power cuts in the middle of writes, failing disks, restarts.
//!
//! 1,000 seeds of each domain here, and 100 longer ones of the books. The campaign has 50,000, and 10,000:
//! `cargo test --release -p foldhouse-aggregates --test simulation -- --ignored`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod books;
mod inventory;
mod ledger;

use std::ops::Range;

use foldhouse::simulation::{Faults, Scenario, Simulation, SimulationReport};

const SEEDS: Range<u64> = 0..1_000;
const CAMPAIGN: Range<u64> = 0..50_000;

/// Short runs, and so many that each fault meets every step of some.
fn run<S: Scenario>(scenario: S, seeds: Range<u64>) -> SimulationReport {
    let faults = Faults {
        power_cuts: 2,
        ..Faults::ALL
    };
    let report = Simulation::new(scenario)
        .seeds(seeds)
        .callers(3)
        .operations(6)
        .snapshot_every_events(3)
        .faults(faults)
        .run()
        .unwrap();
    println!("{report:#?}");
    report
}

/// What was to be tried was tried, and often.
fn check_coverage(report: &SimulationReport) {
    let runs = report.runs;
    assert!(report.power_cuts > runs / 2, "{report:?}");
    assert!(report.torn_tails > runs / 500, "{report:?}");
    assert!(report.failed_writes > runs / 20, "{report:?}");
    assert!(report.segments_max > 1, "{report:?}");
    assert!(report.done > runs, "{report:?}");
    assert!(report.rejected > runs / 20, "{report:?}");
    assert!(report.unanswered > runs / 20, "{report:?}");
}
