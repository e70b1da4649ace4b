use clap::Parser;
use foldhouse_examples::Report as _;

use super::*;

fn run(args: &[&str]) -> Result<Report, Failure> {
    job(&Args::parse_from([&["stock_month"], args].concat()))
}

#[test]
fn stock_and_ledger_agree_after_every_entry_of_a_made_up_week() {
    let report = run(&["--days", "7", "--baskets", "150", "--json"]).unwrap();
    assert!(report.holds(), "{report:?}");
    assert_eq!(report.baskets, 150);
    assert!(report.compared > 500 && report.entries > 500, "{report:?}");
}

#[test]
fn a_second_run_of_the_same_month_does_nothing_again() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let args = [
        "--days",
        "3",
        "--baskets",
        "60",
        "--data",
        data.to_str().unwrap(),
    ];
    let (first, second) = (run(&args).unwrap(), run(&args).unwrap());
    assert!(second.holds(), "{second:?}");
    assert_eq!(first.entries, second.entries);
    assert_eq!(first.movements, second.movements);
    assert_eq!(first.valuation_minor, second.valuation_minor);
}

#[test]
fn a_file_that_is_not_there_is_a_mistake_of_the_caller() {
    let refused = run(&["--file", "nowhere.csv"]);
    assert!(matches!(refused, Err(Failure::Usage(_))), "{refused:?}");
}
