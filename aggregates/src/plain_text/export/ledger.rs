//! hledger's and Ledger's format.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use super::ExportError;
use super::exact::{Line, lines};
use super::names::quoted;
use crate::decimal::DecimalError;
use crate::plain_text::amount::{Amount, Assertion, Cost, Lot};
use crate::plain_text::booking::{Booked, BookedTransaction};
use crate::plain_text::dialect::Dialect;
use crate::plain_text::journal::{
    Entry, EntryKind, Journal, PostingKind, Status, Tag, Transaction,
};
use crate::plain_text::problem::Problem;

pub(super) fn write(
    journal: &Journal,
    booked: &Booked,
    to: Dialect,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    let mut writer = Writer {
        journal,
        to,
        keeps: journal.dialect == to,
        out,
    };
    writer.commodities(booked)?;
    let mut transactions = booked.transactions.iter().peekable();
    for (index, entry) in journal.entries.iter().enumerate() {
        match transactions.next_if(|transaction| transaction.entry == index) {
            Some(transaction) => writer.transaction(entry, transaction)?,
            None => writer.entry(entry)?,
        }
    }
    Ok(())
}

struct Writer<'j> {
    journal: &'j Journal,
    to: Dialect,
    /// Whether it is the format that the journal was written in.
    keeps: bool,
    out: &'j mut dyn Write,
}

impl Writer<'_> {
    /// How amounts are shown, and with hledger how far a transaction may be off.
    fn commodities(&mut self, booked: &Booked) -> Result<(), ExportError> {
        if self.to != Dialect::Hledger {
            return Ok(());
        }
        let mut decimals = self.journal.decimals.clone();
        if !self.keeps {
            for posting in booked.transactions.iter().flat_map(|it| &it.postings) {
                let Amount {
                    quantity,
                    commodity,
                } = &posting.amount;
                let most = decimals.entry(Arc::clone(commodity)).or_default();
                *most = quantity.decimals().max(*most);
            }
        }
        writeln!(self.out, "decimal-mark .\n")?;
        let named: BTreeMap<_, _> = decimals
            .iter()
            .filter(|(commodity, _)| !commodity.is_empty())
            .collect();
        for (commodity, decimals) in named {
            let zeros = "0".repeat(usize::from(*decimals));
            writeln!(self.out, "commodity 1000.{zeros} {}", quoted(commodity))?;
        }
        writeln!(self.out)?;
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), ExportError> {
        match &entry.kind {
            EntryKind::Open(open) => {
                self.check_name(&open.account)?;
                writeln!(self.out, "account {}", open.account)?;
            }
            EntryKind::Price(price) => writeln!(
                self.out,
                "P {} {} {}",
                price.date,
                quoted(&price.commodity),
                shown(&price.amount)
            )?,
            EntryKind::Balance(balance) => writeln!(
                self.out,
                "; {} balance {} {}",
                balance.date, balance.account, balance.amount
            )?,
            EntryKind::Close { date, account } => {
                writeln!(self.out, "; {date} close {account}")?;
            }
            EntryKind::Other { text } => {
                for line in text.lines() {
                    writeln!(self.out, "; {line}")?;
                }
            }
            // What these post stands in the transactions.
            EntryKind::Rule(_) | EntryKind::Pad { .. } => {}
            EntryKind::Commodity { .. } | EntryKind::Transaction(_) => {}
        }
        Ok(())
    }

    fn transaction(
        &mut self,
        entry: &Entry,
        booked: &BookedTransaction,
    ) -> Result<(), ExportError> {
        let source = match &entry.kind {
            EntryKind::Transaction(transaction) => Some(&**transaction),
            _ => None,
        };
        let lines = if self.keeps && self.to == Dialect::Hledger {
            // As far off as it was: the declared decimals are the same.
            as_written(booked, source)
        } else {
            lines(booked, source, &entry.at, true)?
        };
        writeln!(self.out)?;
        let heading = self.heading(booked, source);
        // Ledger has none without postings.
        if lines.is_empty() && self.to == Dialect::Ledger {
            writeln!(self.out, "; {heading}")?;
            return Ok(());
        }
        writeln!(self.out, "{heading}")?;
        if let Some(source) = source {
            self.facts(source)?;
        }
        let mut lines = lines.into_iter().peekable();
        while let Some(mut line) = lines.next() {
            // A posting of several commodities is several lines: what is said about it stands with the last.
            let of_same = |next: &Line<'_>| next.booked.posting == line.booked.posting;
            if lines.peek().is_some_and(of_same) {
                line.source = None;
            }
            self.line(&line)?;
        }
        Ok(())
    }

    fn heading(&self, booked: &BookedTransaction, source: Option<&Transaction>) -> String {
        let mut heading = booked.date.to_string();
        let description = booked.description.replace(['\n', '\r'], " ");
        // hledger takes what is behind it for a comment.
        let description = match self.to {
            Dialect::Hledger => description.replace(';', ","),
            _ => description.replace("  ;", " ;"),
        };
        let mut has_code = false;
        if let Some(source) = source {
            if let Some(secondary) = source.secondary_date {
                heading.push_str(&format!("={secondary}"));
            }
            match source.status {
                Status::Cleared => heading.push_str(" *"),
                Status::Pending => heading.push_str(" !"),
                Status::Unmarked | Status::Flag(_) => {}
            }
            if let Some(code) = &source.code {
                heading.push_str(&format!(" ({code})"));
                has_code = true;
            }
        }
        // It would be taken for a status or a code.
        if description.starts_with(['*', '!', '(']) && !has_code {
            heading.push_str(" ()");
        }
        format!("{heading} {description}").trim_end().to_owned()
    }

    /// Comments, tags, links.
    fn facts(&mut self, source: &Transaction) -> Result<(), ExportError> {
        for line in source.comment.lines() {
            writeln!(self.out, "    ; {line}")?;
        }
        if self.journal.dialect == Dialect::Beancount {
            for Tag { name, value } in &source.tags {
                // hledger takes these for dates of its own.
                let own = if name.starts_with("date") { "the-" } else { "" };
                let value = value.replace(['\n', '\r'], " ");
                writeln!(self.out, "    ; {own}{name}: {value}")?;
            }
            for link in &source.links {
                writeln!(self.out, "    ; link: {link}")?;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &Line<'_>) -> Result<(), ExportError> {
        let booked = line.booked;
        self.check_name(&booked.account)?;
        let (open, close) = match booked.kind {
            PostingKind::Real => ("", ""),
            PostingKind::Virtual => ("(", ")"),
            PostingKind::BalancedVirtual => ("[", "]"),
        };
        let status = match line.source.map(|source| source.status) {
            Some(Status::Cleared) => "* ",
            Some(Status::Pending) => "! ",
            _ => "",
        };
        let cost = match &line.cost {
            Some(Cost::PerUnit(price)) => format!(" @ {}", shown(price)),
            Some(Cost::Total(total)) => format!(" @@ {}", shown(total)),
            None => String::new(),
        };
        let mut comments = Vec::new();
        let mut asserted = String::new();
        if let Some(source) = line.source {
            if let Some(assertion) = &source.assertion {
                let text = assertion_of(assertion);
                // Ledger compares what it has seen up to there, with the postings as they stand.
                if self.keeps {
                    asserted = format!(" {text}");
                } else {
                    comments.push(format!("asserted {text}"));
                }
            }
            if let Some(lot) = &source.lot {
                comments.push(format!("lot {}", lot_of(lot)));
            }
            comments.extend(source.comment.lines().map(str::to_owned));
        }
        let mut comments = comments.into_iter();
        let first = comments.next().map(|comment| format!("  ; {comment}"));
        writeln!(
            self.out,
            "    {status}{open}{}{close}  {}{cost}{asserted}{}",
            booked.account,
            shown(&booked.amount),
            first.unwrap_or_default()
        )?;
        for comment in comments {
            writeln!(self.out, "    ; {comment}")?;
        }
        Ok(())
    }

    /// Whether the name would be read back as it is.
    fn check_name(&self, name: &str) -> Result<(), ExportError> {
        let is_misread = name.starts_with(['(', '[', '<', ';', '*', '!', '='])
            || name.contains("  ")
            || name.contains(['\t', '\n', ';'])
            || name.trim() != name
            || name.is_empty();
        if !is_misread {
            return Ok(());
        }
        Err(ExportError::Name {
            name: name.to_owned(),
            dialect: self.to,
            why: "it would be read as something else there; rename it",
        })
    }
}

fn as_written<'b>(booked: &'b BookedTransaction, source: Option<&'b Transaction>) -> Vec<Line<'b>> {
    let line = |booked| {
        let index = |booked: &crate::plain_text::booking::BookedPosting| booked.posting;
        let source = source.and_then(|source| source.postings.get(index(booked)));
        // An inferred amount has no cost.
        let own = source.filter(|source| source.amount.is_some());
        let cost = own.and_then(|source| source.cost.clone());
        Line {
            booked,
            source,
            cost,
        }
    };
    booked.postings.iter().map(line).collect()
}

fn shown(amount: &Amount) -> String {
    let Amount {
        quantity,
        commodity,
    } = amount;
    if commodity.is_empty() {
        return quantity.to_string();
    }
    format!("{quantity} {}", quoted(commodity))
}

fn assertion_of(assertion: &Assertion) -> String {
    let sole = if assertion.sole { "==" } else { "=" };
    let inclusive = if assertion.inclusive { "*" } else { "" };
    format!("{sole}{inclusive} {}", shown(&assertion.amount))
}

/// For people: in a comment, without what a program could take for its own.
fn lot_of(lot: &Lot) -> String {
    let mut parts = Vec::new();
    let amounts = lot.per_unit.iter().chain(&lot.total);
    parts.extend(amounts.map(ToString::to_string));
    parts.extend(lot.date.map(|date| date.to_string()));
    parts.extend(lot.label.clone());
    parts.join(" ")
}

impl From<DecimalError> for ExportError {
    fn from(error: DecimalError) -> Self {
        let start = crate::plain_text::location::Location {
            file: "the journal".into(),
            line: 1,
            column: 1,
        };
        Self::NotExpressible(Problem::from(error).at(&start))
    }
}
