use std::fs;
use std::path::{Path, PathBuf};

use foldhouse_aggregates::plain_text::{Dialect, DiskFiles, ReadOptions, book, read_journal};
use foldhouse_examples::Report as _;
use tempfile::TempDir;

use crate::args::{GenerateArgs, ImportArgs};
use crate::generate;
use crate::import::{Imported, import};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("books/samples")
}

/// The sample journals of a directory: those whose balances, or whose errors, stand beside them.
fn journals(directory: &Path, beside: &str) -> Vec<PathBuf> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if Dialect::of_path(&path).is_ok() && path.is_file() {
            let beside = beside_of(&path, beside);
            assert!(beside.is_file(), "{} is missing", beside.display());
            journals.push(path);
        }
    }
    journals.sort();
    journals
}

fn beside_of(journal: &Path, extension: &str) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn args(file: &Path, data: &Path) -> ImportArgs {
    ImportArgs {
        file: file.to_owned(),
        format: None,
        year: Some(2026),
        data: Some(data.join("data")),
        book: "main".to_owned(),
        balances: Some(data.join("balances.csv")),
        tree: false,
        json: false,
    }
}

fn balances_of(args: &ImportArgs) -> String {
    fs::read_to_string(args.balances.as_ref().unwrap()).unwrap()
}

#[test]
fn the_samples_have_the_balances_that_stand_beside_them_and_a_second_import_posts_nothing() {
    let samples = journals(&samples(), "csv");
    assert!(samples.len() >= 6, "{samples:?}");
    for sample in samples {
        let directory = TempDir::new().unwrap();
        let args = args(&sample, directory.path());
        let expected = fs::read_to_string(beside_of(&sample, "csv")).unwrap();
        for already in [false, true] {
            let Imported { report, errors, .. } = import(&args).unwrap();
            assert!(report.holds(), "{}: {errors:?}", sample.display());
            assert_eq!(report.already_posted > 0, already);
            assert_eq!(balances_of(&args), expected, "{}", sample.display());
        }
    }
}

#[test]
fn a_journal_with_errors_is_told_of_each_with_its_place_and_is_not_posted() {
    let samples = journals(&samples().join("errors"), "errors");
    assert!(samples.len() >= 4, "{samples:?}");
    for sample in samples {
        let directory = TempDir::new().unwrap();
        let args = args(&sample, directory.path());
        let expected = fs::read_to_string(beside_of(&sample, "errors")).unwrap();
        let Imported { report, errors, .. } = import(&args).unwrap();
        let place = sample.parent().unwrap().to_str().unwrap();
        let told = errors.join("\n").replace(place, "ERRORS") + "\n";
        assert_eq!(told, expected, "{}", sample.display());
        assert!(!report.holds());
        assert!(!directory.path().join("data").exists());
    }
}

#[test]
fn a_journal_that_has_grown_posts_only_what_is_new() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("books.journal");
    let january = "2026-01-31 rent\n    home    800 EUR\n    bank\n\n";
    let args = args(&file, directory.path());
    // Twice the very same: these are two.
    fs::write(&file, january.repeat(2)).unwrap();
    assert_eq!(import(&args).unwrap().report.already_posted, 0);
    let before = "2025-12-31 rent\n    home    700 EUR\n    bank\n\n";
    fs::write(&file, format!("{before}{}", january.repeat(3))).unwrap();
    let report = import(&args).unwrap().report;
    assert_eq!((report.already_posted, report.others), (2, 0));
    assert_eq!(
        balances_of(&args),
        "account,commodity,quantity\nbank,EUR,-3100\nhome,EUR,3100\n"
    );
}

#[test]
fn what_the_file_no_longer_has_stays_in_the_books_and_is_told() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("books.journal");
    let args = args(&file, directory.path());
    fs::write(&file, "2026-01-31 rent\n    home    800 EUR\n    bank\n").unwrap();
    import(&args).unwrap();
    fs::write(&file, "2026-01-31 rent\n    home    801 EUR\n    bank\n").unwrap();
    let Imported { report, .. } = import(&args).unwrap();
    assert!(report.holds());
    assert_eq!((report.already_posted, report.others), (0, 1));
    assert!(balances_of(&args).contains("home,EUR,1601\n"));
}

#[test]
fn an_import_that_was_cut_off_is_completed_by_the_next_one() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("books.journal");
    let generated = GenerateArgs {
        transactions: 300,
        seed: 7,
    };
    generate::write(&generated, fs::File::create(&file).unwrap()).unwrap();
    let args = args(&file, directory.path());
    let whole = fs::read_to_string(&file).unwrap();
    let half = whole
        .split("\n\n")
        .take(117)
        .collect::<Vec<_>>()
        .join("\n\n");
    fs::write(&file, half + "\n").unwrap();
    assert_eq!(import(&args).unwrap().report.transactions, 117);
    fs::write(&file, whole).unwrap();
    let Imported { report, errors, .. } = import(&args).unwrap();
    assert!(report.holds(), "{errors:?}");
    assert_eq!((report.transactions, report.already_posted), (300, 117));
    // The balances are those that the file alone gives.
    let journal =
        read_journal(&file, Dialect::Hledger, ReadOptions::default(), &DiskFiles).unwrap();
    let expected = book(&journal).unwrap().balances().unwrap();
    assert_eq!(balances_of(&args).lines().count(), expected.len() + 1);
}

#[test]
fn accounts_of_any_name_keep_it() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("books.journal");
    let long = "a".repeat(300);
    let text =
        format!("2026-01-01 x\n    a/b:#1    1\n    {long}:1    1\n    {long}:2    1\n    ☕:é\n");
    fs::write(&file, text).unwrap();
    let args = args(&file, directory.path());
    assert!(import(&args).unwrap().report.holds());
    let expected =
        format!("account,commodity,quantity\na/b:#1,,1\n{long}:1,,1\n{long}:2,,1\n☕:é,,-3\n");
    assert_eq!(balances_of(&args), expected);
}

#[test]
fn balances_are_printed_as_hledger_prints_them() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("books.journal");
    let text = "2026-01-01 x\n    a:bank    $-10.00\n    a:bank    5 \"AB 2\"\n    e\n\n\
                2026-01-02 y\n    a:b    3.50 EUR\n    e\n";
    fs::write(&file, text).unwrap();
    let mut args = args(&file, directory.path());
    let flat = "            3.50 EUR  a:b\n             $-10.00\n            5 \"AB 2\"  a:bank\n\
                \x20             $10.00\n           -5 \"AB 2\"\n           -3.50 EUR  e\n\
                --------------------\n                   0  \n";
    assert_eq!(import(&args).unwrap().printed, flat);
    args.tree = true;
    let tree = import(&args).unwrap().printed;
    assert!(
        tree.contains("            3.50 EUR  a\n            3.50 EUR    b\n"),
        "{tree}"
    );
}
