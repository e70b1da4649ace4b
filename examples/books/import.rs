use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Datelike;
use foldhouse::{Clock, JournalStore, Runtime, SystemClock};
use foldhouse_aggregates::plain_text::{
    Booked, Dialect, DiskFiles, Journal, JournalError, ReadOptions, book, read_journal,
};
use foldhouse_examples::{Directory, Failure, block_on, fail, open_store, rate};
use uuid::Uuid;

use crate::args::ImportArgs;
use crate::balances::{Balances, add, write_csv};
use crate::layout::{counts, layout};
use crate::posting::Books;
use crate::recorded::Recorded;
use crate::report::Report;

const SHUTDOWN: Duration = Duration::from_secs(60);

/// What came of an import.
#[derive(Debug)]
pub(crate) struct Imported {
    pub(crate) report: Report,
    /// What is wrong with the journal; it is not posted then.
    pub(crate) errors: Vec<String>,
    /// The balances for people.
    pub(crate) printed: String,
}

/// Reads, checks, posts, and compares what the accounts have with what the journal says.
pub(crate) fn import(args: &ImportArgs) -> Result<Imported, Failure> {
    let start = Instant::now();
    let dialect = dialect(args)?;
    let mut report = Report {
        file: args.file.display().to_string(),
        ..Report::default()
    };
    let read = read(args, dialect);
    report.reading_seconds = start.elapsed().as_secs_f64();
    let (journal, booked) = match read {
        Ok(read) => read,
        Err(errors) => {
            report.errors = errors.len() as u64;
            report.seconds = report.reading_seconds;
            return Ok(Imported {
                report,
                errors: errors.iter().map(ToString::to_string).collect(),
                printed: String::new(),
            });
        }
    };
    for note in &journal.notes {
        eprintln!("{}: note: {}", note.location, note.text);
    }
    report.transactions = booked.transactions.len() as u64;
    let postings = booked
        .transactions
        .iter()
        .map(|it| it.postings.len() as u64);
    report.postings = postings.sum();
    report.assertions = booked.assertions;
    let directory = Directory::of(args.data.as_deref(), "books")?;
    let store = open_store(directory.path())?;
    let work = post(&store, &args.book, &booked, &mut report, start);
    let (balances, errors) = block_on(work)?;
    store.close();
    (report.accounts, report.commodities) = counts(&balances);
    report.errors = errors.len() as u64;
    if let Some(path) = &args.balances {
        write_csv(path, &balances)
            .map_err(|error| Failure::Run(format!("{}: {error}", path.display())))?;
    }
    let printed = layout(&balances, &journal.decimals, args.tree).map_err(fail)?;
    Ok(Imported {
        report,
        errors,
        printed,
    })
}

pub(crate) fn dialect(args: &ImportArgs) -> Result<Dialect, Failure> {
    match args.format {
        Some(format) => Ok(format),
        None => Dialect::of_path(&args.file).map_err(|error| {
            Failure::Usage(format!("{error}; say which it is with --format FORMAT"))
        }),
    }
}

fn read(args: &ImportArgs, dialect: Dialect) -> Result<(Journal, Booked), Vec<JournalError>> {
    let this_year = || {
        let now = SystemClock.now().to_datetime();
        now.map(|now| now.year())
    };
    let options = ReadOptions {
        default_year: args.year.or_else(this_year),
    };
    let journal = read_journal(&args.file, dialect, options, &DiskFiles)?;
    let booked = book(&journal)?;
    Ok((journal, booked))
}

/// Posts what is not in the books yet. Gives what the accounts have, and where they do not have what they should.
async fn post(
    store: &Arc<JournalStore>,
    book: &str,
    booked: &Booked,
    report: &mut Report,
    start: Instant,
) -> Result<(Balances, Vec<String>), Failure> {
    let runtime = Runtime::builder(store.clone())
        .start()
        .await
        .map_err(fail)?;
    let ids = booked.ids();
    let of_file: HashSet<Uuid> = ids.iter().copied().collect();
    let recorded = Recorded::read(store, book, &of_file).await?;
    let mut books = Books::new(&runtime, book);
    let new = booked.transactions.iter().zip(ids);
    books
        .post(new.filter(|(_, id)| !recorded.of_file.contains(id)))
        .await?;
    report.seconds = start.elapsed().as_secs_f64();
    report.transactions_per_second = rate(report.transactions, report.seconds);
    report.already_posted = recorded.of_file.len() as u64;
    report.others = recorded.others;
    let balances = books.balances(&**store).await?;
    drop(books);
    runtime.shutdown(SHUTDOWN).await.map_err(fail)?;
    let mut expected = recorded.by_others;
    for ((account, commodity), quantity) in booked.balances().map_err(fail)? {
        add(&mut expected, &account, &commodity, quantity).map_err(fail)?;
    }
    let errors = differences(&expected, &balances);
    Ok((balances, errors))
}

fn differences(expected: &Balances, found: &Balances) -> Vec<String> {
    let keys: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let of = |balances: &Balances, key| balances.get(key).copied().unwrap_or_default();
    let differing = keys
        .into_iter()
        .filter(|key| of(expected, key) != of(found, key));
    differing
        .map(|key| {
            let (account, commodity) = key;
            format!(
                "{account}: the books have {} {commodity}, and should have {}",
                of(found, key),
                of(expected, key)
            )
        })
        .collect()
}
