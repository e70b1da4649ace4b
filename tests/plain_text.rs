//! Plain-text journals, compared with the programs whose formats they are: hledger, Ledger, Beancount.
//!
//! The samples of the example `books` are compared always, where the programs are installed. More journals, those of the
//! programs' own repositories for instance, are compared by the test that is ignored: it takes the directories that
//! `FOLDHOUSE_JOURNALS` names, separated by colons, and prints a table.

mod programs;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use foldhouse_aggregates::Decimal;
use foldhouse_aggregates::plain_text::{
    Booked, Dialect, DiskFiles, Journal, ReadOptions, book, export_journal, read_journal,
};

use programs::{Program, Theirs};

/// By account and commodity, without what is zero.
type Balances = BTreeMap<(String, String), Decimal>;

const DIALECTS: [Dialect; 3] = [Dialect::Hledger, Dialect::Ledger, Dialect::Beancount];

fn read(path: &Path, dialect: Dialect) -> Result<(Journal, Booked, Balances), String> {
    let options = ReadOptions {
        default_year: Some(2026),
    };
    let first = |errors: Vec<foldhouse_aggregates::plain_text::JournalError>| errors[0].to_string();
    let journal = read_journal(path, dialect, options, &DiskFiles).map_err(first)?;
    let booked = book(&journal).map_err(first)?;
    let balances = booked.balances().map_err(|error| error.to_string())?;
    let text = balances
        .into_iter()
        .map(|((account, commodity), quantity)| {
            ((account.to_string(), commodity.to_string()), quantity)
        });
    Ok((journal, booked, text.collect()))
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/books/samples")
}

/// The journals right in a directory.
fn journals_in(directory: &Path) -> Vec<(PathBuf, Dialect)> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if let (true, Ok(dialect)) = (path.is_file(), Dialect::of_path(&path)) {
            journals.push((path, dialect));
        }
    }
    journals.sort();
    journals
}

/// The journals in a directory and those below it.
fn journals_below(directory: &Path, journals: &mut Vec<(PathBuf, Dialect)>) {
    journals.extend(journals_in(directory));
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            journals_below(&path, journals);
        }
    }
}

/// Where the two differ, to the last digit that the program shows.
fn differences(ours: &Balances, theirs: &Balances) -> Vec<String> {
    let shown = |commodity: &str| {
        let of_it = theirs.iter().filter(|((_, it), _)| it == commodity);
        of_it.map(|(_, quantity)| quantity.decimals()).max()
    };
    let keys: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let mut differences = Vec::new();
    for key in keys {
        let of = |balances: &Balances| balances.get(key).copied().unwrap_or_default();
        let (ours, theirs) = (of(ours), of(theirs));
        let decimals = shown(&key.1).unwrap_or(2);
        if ours.rounded(decimals) != theirs && ours.rounded_half_up(decimals) != theirs {
            let (account, commodity) = key;
            differences.push(format!("{account}: {ours} against {theirs} {commodity}"));
        }
    }
    differences
}

#[test]
fn the_programs_have_the_balances_of_the_samples_that_we_have() {
    let mut compared = 0;
    for (path, dialect) in journals_in(&samples()) {
        let Some(program) = Program::of(dialect) else {
            continue;
        };
        let (_, _, ours) = read(&path, dialect).unwrap();
        let theirs = match program.balances(&path) {
            Theirs::Balances(theirs) => theirs,
            Theirs::Refused(why) => panic!("{dialect} refuses {}: {why}", path.display()),
        };
        let differences = differences(&ours, &theirs);
        assert!(
            differences.is_empty(),
            "{}: {differences:?}",
            path.display()
        );
        assert!(!theirs.is_empty());
        compared += 1;
    }
    println!("{compared} samples compared");
}

#[test]
fn the_programs_refuse_the_samples_that_we_refuse() {
    for (path, dialect) in journals_in(&samples().join("errors")) {
        let Some(program) = Program::of(dialect) else {
            continue;
        };
        assert!(read(&path, dialect).is_err(), "{}", path.display());
        // What is not supported here is for the programs to take.
        let is_unsupported = path.file_stem().is_some_and(|name| name == "several");
        if !is_unsupported {
            let theirs = program.balances(&path);
            assert!(matches!(theirs, Theirs::Refused(_)), "{}", path.display());
        }
    }
}

#[test]
fn what_is_exported_the_programs_read_to_the_same_balances() {
    let directory = tempfile::tempdir().unwrap();
    for (path, dialect) in journals_in(&samples()) {
        for to in DIALECTS {
            let outcome = export_and_compare(&path, dialect, to, directory.path());
            if let Exported::Differs(why) = outcome {
                panic!("{} as {to}: {why}", path.display());
            }
        }
    }
}

enum Exported {
    Same,
    /// The format has no form for it.
    NotExpressible,
    Differs(String),
    NotInstalled,
}

fn export_and_compare(path: &Path, from: Dialect, to: Dialect, directory: &Path) -> Exported {
    let Some(program) = Program::of(to) else {
        return Exported::NotInstalled;
    };
    let (journal, booked, ours) = read(path, from).unwrap();
    let mut text = Vec::new();
    if export_journal(&journal, &booked, to, &mut text).is_err() {
        return Exported::NotExpressible;
    }
    let written = directory.join(format!("exported.{to}"));
    fs::write(&written, &text).unwrap();
    // We read it back ourselves...
    match read(&written, to) {
        Ok((_, _, again)) => {
            let changed = changed(&ours, &again, from, to);
            if !changed.is_empty() {
                return Exported::Differs(format!("read back: {changed:?}"));
            }
        }
        Err(error) => return Exported::Differs(format!("cannot be read back: {error}")),
    }
    // ...and so does the program.
    match program.balances(&written) {
        Theirs::Balances(theirs) => {
            let changed = changed(&ours, &theirs, from, to);
            if changed.is_empty() {
                Exported::Same
            } else {
                Exported::Differs(format!("{changed:?}"))
            }
        }
        Theirs::Refused(why) => Exported::Differs(format!("refused: {why}")),
    }
}

/// Names become others in Beancount; the quantities are the same.
fn changed(ours: &Balances, theirs: &Balances, from: Dialect, to: Dialect) -> Vec<String> {
    if to != Dialect::Beancount || from == to {
        return differences(ours, theirs);
    }
    let quantities = |balances: &Balances| {
        let mut quantities: Vec<Decimal> = balances.values().copied().collect();
        quantities.sort();
        quantities
    };
    if quantities(ours) == quantities(theirs) {
        Vec::new()
    } else {
        vec![format!("{ours:?} against {theirs:?}")]
    }
}

#[test]
#[ignore = "takes the journals of FOLDHOUSE_JOURNALS: 280 of the three programs' repositories take some two minutes"]
fn the_journals_of_a_directory_have_the_balances_that_the_programs_have() {
    let directories =
        std::env::var("FOLDHOUSE_JOURNALS").expect("directories, separated by colons");
    let mut journals = Vec::new();
    for directory in directories.split(':') {
        journals_below(Path::new(directory), &mut journals);
    }
    let scratch = tempfile::tempdir().unwrap();
    let mut differing = 0;
    println!(
        "| journal | format | transactions | balances ours | theirs | differences | exports |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (path, dialect) in journals {
        let Some(program) = Program::of(dialect) else {
            continue;
        };
        let name = path.display();
        match (read(&path, dialect), program.balances(&path)) {
            (Ok((_, booked, ours)), Theirs::Balances(theirs)) => {
                let mut differences = differences(&ours, &theirs);
                let mut exports = Vec::new();
                for to in DIALECTS {
                    exports.push(
                        match export_and_compare(&path, dialect, to, scratch.path()) {
                            Exported::Same => format!("{to}: same"),
                            Exported::NotExpressible => format!("{to}: not expressible"),
                            Exported::NotInstalled => format!("{to}: not installed"),
                            Exported::Differs(why) => {
                                differences.push(format!("as {to}: {why}"));
                                format!("{to}: DIFFERS")
                            }
                        },
                    );
                }
                println!(
                    "| {name} | {dialect} | {} | {} | {} | {} | {} |",
                    booked.transactions.len(),
                    ours.len(),
                    theirs.len(),
                    differences.len(),
                    exports.join(", ")
                );
                for difference in &differences {
                    println!("    {difference}");
                }
                differing += usize::from(!differences.is_empty());
            }
            (Ok((_, _, ours)), Theirs::Refused(why)) => {
                println!(
                    "| {name} | {dialect} | | {} | refused: {why} | | |",
                    ours.len()
                );
            }
            (Err(why), Theirs::Balances(theirs)) => {
                println!(
                    "| {name} | {dialect} | | refused: {why} | {} | | |",
                    theirs.len()
                );
            }
            (Err(why), Theirs::Refused(_)) => {
                println!("| {name} | {dialect} | | refused: {why} | refused | | |");
            }
        }
    }
    assert_eq!(differing, 0, "journals with differences");
}
