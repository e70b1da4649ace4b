use std::io::{BufWriter, ErrorKind, Write};

use foldhouse_aggregates::plain_text::{
    Booked, Dialect, EntryKind, Journal, Status, Transaction, export_journal,
};
use foldhouse_examples::{Failure, fail};
use serde::Serialize;

use crate::args::{ExportArgs, ExportFormat};
use crate::import::read;

/// Writes a journal to stdout in another format.
pub(crate) fn export(args: &ExportArgs) -> Result<(), Failure> {
    let (journal, booked) = match read(&args.source)? {
        Ok(read) => read,
        Err(errors) => {
            for error in &errors {
                eprintln!("{error}");
            }
            let path = args.source.file.display();
            return Err(fail(format!("{path} has errors; nothing was written")));
        }
    };
    let mut text = Vec::new();
    write(&journal, &booked, args.to, &mut text)?;
    let mut stdout = BufWriter::new(std::io::stdout().lock());
    match stdout.write_all(&text).and_then(|()| stdout.flush()) {
        // Whoever reads has seen enough.
        Err(closed) if closed.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(fail),
    }
}

pub(crate) fn write(
    journal: &Journal,
    booked: &Booked,
    to: ExportFormat,
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    let dialect = match to {
        ExportFormat::Hledger => Dialect::Hledger,
        ExportFormat::Ledger => Dialect::Ledger,
        ExportFormat::Beancount => Dialect::Beancount,
        ExportFormat::Csv => return write_csv(booked, out),
        ExportFormat::Jsonl => return write_json_lines(journal, booked, out),
    };
    export_journal(journal, booked, dialect, out).map_err(fail)
}

/// A row for each posting.
fn write_csv(booked: &Booked, out: &mut Vec<u8>) -> Result<(), Failure> {
    let mut writer = csv::Writer::from_writer(out);
    let columns = [
        "transaction",
        "date",
        "description",
        "account",
        "commodity",
        "quantity",
    ];
    writer.write_record(columns).map_err(fail)?;
    for (number, transaction) in booked.transactions.iter().enumerate() {
        for posting in &transaction.postings {
            let row = [
                &(number + 1).to_string(),
                &transaction.date.to_string(),
                &*transaction.description,
                &posting.account,
                &posting.amount.commodity,
                &posting.amount.quantity.to_string(),
            ];
            writer.write_record(row).map_err(fail)?;
        }
    }
    writer.flush().map_err(fail)
}

/// A transaction as one JSON object; quantities are text, so that no reader makes floats of them.
#[derive(Debug, Serialize)]
struct Object<'b> {
    date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secondary_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'b str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payee: Option<&'b str>,
    description: &'b str,
    #[serde(skip_serializing_if = "str::is_empty")]
    comment: &'b str,
    tags: Vec<[&'b str; 2]>,
    links: Vec<&'b str>,
    postings: Vec<Line<'b>>,
    file: &'b str,
    line: u32,
}

#[derive(Debug, Serialize)]
struct Line<'b> {
    account: &'b str,
    quantity: String,
    commodity: &'b str,
    /// What it counts for, where that is something else: its cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<[String; 2]>,
}

fn write_json_lines(journal: &Journal, booked: &Booked, out: &mut Vec<u8>) -> Result<(), Failure> {
    for transaction in &booked.transactions {
        let Some(entry) = journal.entries.get(transaction.entry) else {
            continue;
        };
        let source: Option<&Transaction> = match &entry.kind {
            EntryKind::Transaction(source) => Some(source),
            _ => None,
        };
        let postings = transaction.postings.iter().map(|posting| {
            let (amount, weight) = (&posting.amount, &posting.weight);
            Line {
                account: &posting.account,
                quantity: amount.quantity.to_string(),
                commodity: &amount.commodity,
                cost: (amount != weight)
                    .then(|| [weight.quantity.to_string(), weight.commodity.to_string()]),
            }
        });
        let object = Object {
            date: transaction.date.to_string(),
            secondary_date: source
                .and_then(|source| source.secondary_date)
                .map(|date| date.to_string()),
            status: source.and_then(|source| match source.status {
                Status::Unmarked => None,
                Status::Pending => Some("!".to_owned()),
                Status::Cleared => Some("*".to_owned()),
                Status::Flag(flag) => Some(flag.to_string()),
            }),
            code: source.and_then(|source| source.code.as_deref()),
            payee: source.and_then(|source| source.payee.as_deref()),
            description: source.map_or(&*transaction.description, |source| &source.description),
            comment: source.map_or("", |source| &source.comment),
            tags: source.map_or_else(Vec::new, |source| {
                let tags = source.tags.iter();
                tags.map(|tag| [tag.name.as_str(), tag.value.as_str()])
                    .collect()
            }),
            links: source.map_or_else(Vec::new, |source| {
                source.links.iter().map(String::as_str).collect()
            }),
            postings: postings.collect(),
            file: &entry.at.file,
            line: entry.at.line,
        };
        serde_json::to_writer(&mut *out, &object).map_err(fail)?;
        out.push(b'\n');
    }
    Ok(())
}
