use clap::Parser;
use foldhouse_examples::{Failure, Report as _};

use super::*;

fn run(args: &[&str]) -> Result<Report, Failure> {
    let args = ["time_travel", "--events", "1500", "--json"]
        .iter()
        .chain(args);
    job(&Args::try_parse_from(args).unwrap())
}

#[test]
fn made_up_postings_are_right_at_every_moment_and_some_are_back_dated() {
    let report = run(&["--accounts", "4", "--postings", "300"]).unwrap();
    assert!(report.holds(), "{report:?}");
    assert_eq!(report.queries, 4 * 300);
    assert!(report.back_dated > 30, "{report:?}");
}

#[test]
fn the_rows_of_a_file_are_right_and_a_wrong_balance_is_found() {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let file = directory.path().join("bank.csv");
    let lines = |last_balance: i64| {
        [
            "transaction_id,account_id,date,operation,purpose,amount_minor,rounding_minor,balance_minor,\
             counterparty_bank,counterparty_account"
                .to_owned(),
            "1,7,1993-01-01,cash-deposit,,90000,0,90000,,".to_owned(),
            "2,8,1993-01-01,transfer-in,pension,50000,0,50000,AB,123".to_owned(),
            // Three rows of one day.
            "3,7,1993-01-31,other,interest,120,-10,90110,,".to_owned(),
            "4,7,1993-01-31,cash-withdrawal,statement-fee,-1460,0,88650,,".to_owned(),
            format!("5,7,1993-01-31,cash-withdrawal,,-90000,0,{last_balance},,"),
        ]
        .join("\n")
    };
    let args = ["--file", file.to_str().unwrap()];
    std::fs::write(&file, lines(-1_350)).unwrap();
    let report = run(&args).unwrap();
    assert!(report.holds(), "{report:?}");
    assert_eq!((report.rows, report.queries), (5, 20));

    std::fs::write(&file, lines(-1_351)).unwrap();
    let report = run(&args).unwrap();
    // By version and by effective time.
    assert_eq!(report.mismatches, 2, "{report:?}");
    assert!(!report.holds());
}

#[test]
fn a_directory_that_holds_a_store_is_refused() {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let data = directory.path().to_str().unwrap();
    let args = ["--accounts", "1", "--postings", "5", "--data", data];
    assert!(run(&args).unwrap().holds());
    assert!(matches!(run(&args), Err(Failure::Usage(_))));
}
