use std::fs;
use std::path::{Path, PathBuf};

use foldhouse_aggregates::plain_text::{Dialect, DiskFiles, ReadOptions, book, read_journal};
use foldhouse_examples::Report as _;
use tempfile::TempDir;

use crate::args::{ExportFormat, GenerateArgs, ImportArgs, SourceArgs};
use crate::import::{self, Imported, import};
use crate::{export, generate};

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
        source: SourceArgs {
            file: file.to_owned(),
            format: None,
            year: Some(2026),
        },
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
    // One directory holds the books of all.
    let directory = TempDir::new().unwrap();
    for sample in samples {
        let mut args = args(&sample, directory.path());
        args.book = sample.file_stem().unwrap().to_str().unwrap().to_owned();
        args.book
            .push_str(sample.extension().unwrap().to_str().unwrap());
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

#[test]
fn an_import_that_is_killed_and_begun_again_posts_every_transaction_once() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("books.journal");
    let generated = GenerateArgs {
        transactions: 3_000,
        seed: 3,
    };
    generate::write(&generated, fs::File::create(&file).unwrap()).unwrap();
    let args = args(&file, directory.path());
    let mut before = 0;
    for kill in 1_u64..=3 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "tests::import_what_the_environment_names",
            ])
            .env("BOOKS_TEST_DIRECTORY", directory.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(150 * kill));
        // It may be through already; what counts is what it leaves.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    for round in 0..2 {
        let Imported { report, errors, .. } = import(&args).unwrap();
        assert!(report.holds(), "{errors:?}");
        assert_eq!((report.transactions, report.others), (3_000, 0));
        assert!(report.already_posted >= before);
        before = report.already_posted;
        assert!(round == 0 || before == 3_000);
    }
    let journal =
        read_journal(&file, Dialect::Hledger, ReadOptions::default(), &DiskFiles).unwrap();
    let expected = book(&journal).unwrap().balances().unwrap();
    let rows: Vec<String> = expected
        .iter()
        .map(|((account, commodity), quantity)| {
            format!("{account},{commodity},{}\n", quantity.normalized())
        })
        .collect();
    let header = "account,commodity,quantity\n";
    assert_eq!(balances_of(&args), format!("{header}{}", rows.concat()));
}

#[test]
#[ignore = "the child of the test of kills"]
fn import_what_the_environment_names() {
    if let Ok(directory) = std::env::var("BOOKS_TEST_DIRECTORY") {
        let directory = Path::new(&directory);
        import(&args(&directory.join("books.journal"), directory)).unwrap();
    }
}

#[test]
fn what_is_exported_is_read_back_to_the_same_balances() {
    let directory = TempDir::new().unwrap();
    for sample in journals(&samples(), "csv") {
        let source = args(&sample, directory.path()).source;
        let (journal, booked) = import::read(&source).unwrap().unwrap();
        let ours = booked.balances().unwrap();
        for to in [
            ExportFormat::Hledger,
            ExportFormat::Ledger,
            ExportFormat::Beancount,
        ] {
            let mut text = Vec::new();
            if let Err(refused) = export::write(&journal, &booked, to, &mut text) {
                // Only Beancount lacks forms for something, and it is named.
                assert_eq!(to, ExportFormat::Beancount, "{refused}");
                let place = "in the format of beancount";
                let refused = refused.to_string();
                let is_named = refused.contains(place) || refused.contains("in Beancount");
                assert!(is_named, "{refused}");
                continue;
            }
            let extension = format!("{to:?}").to_lowercase();
            let file = directory.path().join(format!("written.{extension}"));
            fs::write(&file, &text).unwrap();
            let again = import::read(&args(&file, directory.path()).source).unwrap();
            let again = again.unwrap_or_else(|errors| panic!("{}: {errors:?}", sample.display()));
            let theirs = again.1.balances().unwrap();
            let same_names = to != ExportFormat::Beancount || journal.dialect == Dialect::Beancount;
            let mut quantities =
                [&ours, &theirs].map(|it| it.values().copied().collect::<Vec<_>>());
            quantities.iter_mut().for_each(|it| it.sort());
            assert_eq!(
                quantities[0],
                quantities[1],
                "{} as {to:?}",
                sample.display()
            );
            assert!(
                !same_names || ours == theirs,
                "{} as {to:?}",
                sample.display()
            );
        }
    }
}

#[test]
fn csv_and_json_lines_have_every_posting() {
    let directory = TempDir::new().unwrap();
    let source = args(&samples().join("costs.journal"), directory.path()).source;
    let (journal, booked) = import::read(&source).unwrap().unwrap();
    let written = |to| {
        let mut text = Vec::new();
        export::write(&journal, &booked, to, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    let csv = written(ExportFormat::Csv);
    assert!(csv.starts_with("transaction,date,description,account,commodity,quantity\n"));
    assert!(
        csv.contains("1,2026-02-01,for each,assets:euros,EUR,-92.1500\n"),
        "{csv}"
    );
    let postings: usize = booked.transactions.iter().map(|it| it.postings.len()).sum();
    assert_eq!(csv.lines().count(), postings + 1);
    let json = written(ExportFormat::Jsonl);
    assert_eq!(json.lines().count(), booked.transactions.len());
    for line in json.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(object["postings"][0]["quantity"].is_string(), "{line}");
    }
}
