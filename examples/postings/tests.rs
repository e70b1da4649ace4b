use clap::Parser;
use foldhouse_examples::{Failure, Report as _};

use super::*;

const HEADER: &str = "transaction_id,account_id,date,operation,purpose,amount_minor,rounding_minor,balance_minor,\
                      counterparty_bank,counterparty_account";

/// Rows of two customers, one row with the bank's own rounding.
const ROWS: [&str; 6] = [
    "1,7,1993-01-01,cash-deposit,,90000,0,90000,,",
    "2,8,1993-01-01,transfer-in,pension,50000,0,50000,AB,123",
    "3,7,1993-01-31,other,interest,120,-10,90110,,",
    "4,7,1993-02-01,cash-withdrawal,statement-fee,-1460,0,88650,,",
    "5,8,1993-02-01,transfer-out,household,-60000,0,-10000,CD,456",
    "6,8,1993-02-28,cash-withdrawal,overdraft-interest,-30,0,-10030,,",
];

fn run(args: &[&str]) -> Result<Report, Failure> {
    let args = ["postings"].iter().chain(args);
    job(&Args::try_parse_from(args).unwrap(), None)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn generated_entries_balance_with_and_without_read_models() {
    let small = ["--accounts", "5", "--callers", "8", "--postings", "400"];
    for further in [&[][..], &["--no-read-model"]] {
        let report = run(&[&small, further].concat()).unwrap();
        assert!(report.holds(), "{report:?}");
        assert_eq!(report.accepted + report.rejected, 400);
        assert!(report.accepted > 0 && report.rejected > 0);
        assert_eq!(report.entries, report.accepted);
        // The openings of five customers' accounts and seven of the bank's own.
        assert_eq!(report.trial_balance_checks, report.entries + 12);
        assert_eq!(report.head_position, 2 * report.entries + 12);
    }
}

#[test]
fn the_rows_of_a_file_are_entries_and_a_directory_is_gone_on_with() {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let (file, data) = (
        directory.path().join("bank.csv"),
        directory.path().join("data"),
    );
    let write = |rows: &[&str]| {
        let lines = [&[HEADER], rows].concat();
        std::fs::write(&file, lines.join("\n")).unwrap();
    };
    let args = ["--file", path(&file), "--data", path(&data)];
    for rows in [&ROWS[..3], &ROWS] {
        write(rows);
        let report = run(&args).unwrap();
        assert!(report.holds(), "{report:?}");
        assert_eq!(report.accepted, rows.len() as u64);
        assert_eq!(report.entries, rows.len() as u64);
        // Two lines each, one more for the rounding, and the openings.
        assert_eq!(report.head_position, 2 * report.entries + 1 + 9);
    }
    // Other rows than the ones that are there.
    write(&ROWS[1..]);
    let refused = run(&args).unwrap_err();
    assert!(
        matches!(&refused, Failure::Usage(what) if what.contains("is not from this file")),
        "{refused}"
    );
}

#[test]
fn a_balance_other_than_the_files_is_a_mismatch() {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let file = directory.path().join("bank.csv");
    let wrong = "7,7,1993-03-01,cash-deposit,,1,0,1,,";
    std::fs::write(&file, [HEADER, ROWS[0], wrong].join("\n")).unwrap();
    let report = run(&["--file", path(&file)]).unwrap();
    assert!(!report.holds());
    assert_eq!(
        (
            report.mismatches,
            report.rehydrated_mismatches,
            report.unbalanced
        ),
        (1, 1, 0)
    );
}
