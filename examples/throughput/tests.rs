use std::path::Path;
use std::sync::Arc;

use clap::Parser;
use foldhouse_examples::Report as _;
use serde_json::Value;

use crate::args::Args;
use crate::bench::Bench;
use crate::ledger::Ledger;
use crate::report::Report;
use crate::{Failure, job};

fn parse(arguments: &[&str]) -> Result<Args, clap::Error> {
    Args::try_parse_from(std::iter::once("throughput").chain(arguments.iter().copied()))
}

/// A run on a few aggregates in a directory of its own.
fn run(arguments: &[&str]) -> Report {
    let directory = tempfile::tempdir_in(parent()).unwrap();
    let mut args = parse(arguments).unwrap();
    args.data = Some(directory.path().to_owned());
    job(&args).unwrap()
}

/// Beside the build, so that it is on a disk.
fn parent() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn assert_sound(report: &Report) {
    assert!(report.holds(), "{report:?}");
    assert!(
        report.acked > 0 && report.acked_per_second > 0.0,
        "{report:?}"
    );
}

fn usage_of(arguments: &[&str]) -> String {
    match job(&parse(arguments).unwrap()) {
        Err(Failure::Usage(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn zero_callers_and_an_unknown_workload_are_refused_by_name() {
    let refusal = parse(&["--workload", "many", "--callers", "0"]).unwrap_err();
    let text = refusal.to_string();
    assert!(
        text.contains("--callers") && text.contains("1..=65536"),
        "{text}"
    );

    let refusal = parse(&["--workload", "most"]).unwrap_err().to_string();
    assert!(
        refusal.contains("most") && refusal.contains("transfer-hot"),
        "{refusal}"
    );

    let refusal = parse(&["--workload", "many", "--seconds", "0"]);
    assert!(
        refusal
            .unwrap_err()
            .to_string()
            .contains("0.01 to 86400 seconds")
    );
}

#[test]
fn arguments_that_do_not_go_together_say_what_does() {
    let two_alone = usage_of(&["--workload", "single", "--callers", "2"]);
    assert!(two_alone.contains("single has one caller"), "{two_alone}");
    let to_itself = usage_of(&["--workload", "transfer", "--aggregates", "1"]);
    assert!(to_itself.contains("--aggregates 2"), "{to_itself}");
    let batch = usage_of(&["--workload", "many", "--batch", "8"]);
    assert!(batch.contains("--workload transfer"), "{batch}");
}

#[test]
fn a_directory_that_cannot_be_written_to_is_named() {
    let directory = tempfile::tempdir_in(parent()).unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let below = file.join("store");
    let text = usage_of(&["--workload", "single", "--data", below.to_str().unwrap()]);
    assert!(text.contains("file/store"), "{text}");
}

#[test]
fn a_directory_that_holds_a_store_is_left_alone() {
    let directory = tempfile::tempdir_in(parent()).unwrap();
    let path = directory.path().to_str().unwrap();
    let arguments = ["--workload", "single", "--calls", "3", "--data", path];
    job(&parse(&arguments).unwrap()).unwrap();
    let text = usage_of(&arguments);
    assert!(text.contains("holds a store already"), "{text}");
}

#[test]
fn one_caller_gets_an_answer_to_each_posting() {
    let report = run(&["--workload", "single", "--calls", "50"]);
    assert_sound(&report);
    assert_eq!(report.acked + report.rejected, 50);
    assert!(report.ratio.is_some_and(|ratio| ratio > 0.0));
}

#[test]
fn many_callers_post_to_many_accounts() {
    let report = run(&[
        "--workload",
        "many",
        "--callers",
        "32",
        "--aggregates",
        "50",
        "--calls",
        "2000",
    ]);
    assert_sound(&report);
    assert_eq!(report.acked + report.rejected, 2_000);
    assert!(report.bytes_per_event.is_some_and(|bytes| bytes > 10.0));
}

#[test]
fn many_callers_post_to_one_account_that_cannot_be_overdrawn() {
    let report = run(&["--workload", "hot", "--callers", "32", "--calls", "2000"]);
    assert_sound(&report);
}

#[test]
fn transfers_leave_the_sum_of_all_accounts_as_it_was() {
    for workload in ["transfer", "transfer-hot"] {
        let sizes = ["--callers", "16", "--aggregates", "20", "--calls", "500"];
        let report = run(&[&["--workload", workload], sizes.as_slice()].concat());
        assert_sound(&report);
        assert_eq!(report.acked + report.rejected, 500, "{workload}");
    }
}

#[test]
fn a_batch_of_transfers_is_one_call() {
    let sizes = [
        "--callers",
        "4",
        "--aggregates",
        "20",
        "--calls",
        "20",
        "--batch",
        "10",
    ];
    let report = run(&[&["--workload", "transfer"], sizes.as_slice()].concat());
    assert_sound(&report);
    assert_eq!(report.acked + report.rejected, 200);
}

#[test]
fn baskets_are_reserved_whole_and_shipped() {
    let sizes = ["--callers", "16", "--aggregates", "5", "--calls", "600"];
    let report = run(&[&["--workload", "reservations"], sizes.as_slice()].concat());
    assert_sound(&report);
    assert!(
        report.rejected > 0,
        "no basket was ever too large: {report:?}"
    );
}

#[test]
fn a_replay_reads_every_event() {
    let report = run(&[
        "--workload",
        "replay",
        "--aggregates",
        "30",
        "--events",
        "3000",
    ]);
    assert_sound(&report);
    assert!(report.acked >= 3_000);
}

#[test]
fn an_account_is_brought_back_without_and_with_a_snapshot() {
    let report = run(&[
        "--workload",
        "hydrate",
        "--events",
        "500",
        "--seconds",
        "0.05",
    ]);
    assert_sound(&report);
    assert!(report.details["snapshot_p50_us"] > 0.0);
}

#[test]
fn idle_accounts_take_memory() {
    let report = run(&["--workload", "idle", "--aggregates", "3000"]);
    assert_sound(&report);
    assert_eq!(report.acked, 3_000);
    assert!(report.details["bytes_per_aggregate"] > 0.0);
}

#[test]
fn the_json_has_the_fields_that_others_read() {
    let report = run(&["--workload", "single", "--calls", "10"]);
    let json = serde_json::to_value(&report).unwrap();
    for field in [
        "callers",
        "acked_per_second",
        "raw_log_per_second",
        "ratio",
        "p50_us",
        "p99_us",
        "p999_us",
        "rejected",
        "errors",
        "bytes_per_event",
        "cpu_share",
    ] {
        assert!(
            json.get(field).is_some_and(Value::is_number),
            "{field}: {json}"
        );
    }
    assert_eq!(json["workload"], "single");
    assert!(json["write_mode"].is_string());
}

#[tokio::test]
async fn an_account_that_does_not_hold_what_was_acknowledged_is_told() {
    let directory = tempfile::tempdir_in(parent()).unwrap();
    let plan = parse(&["--workload", "many", "--aggregates", "3"])
        .unwrap()
        .plan();
    let bench = Bench::open(directory.path(), plan.unwrap()).unwrap();
    let runtime = bench.runtime().await.unwrap();
    let ledger = Arc::new(Ledger::new(&runtime, 3).unwrap());
    ledger.open(100).await.unwrap();
    assert_eq!(ledger.check().await.unwrap(), 0);
    ledger.note(1, 1);
    assert_eq!(ledger.check().await.unwrap(), 1);
}
