//! Beancount's format.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

use chrono::NaiveDate;

use super::ExportError;
use super::exact::{Line, lines};
use super::names::BeancountNames;
use crate::plain_text::amount::{Amount, Cost, Lot};
use crate::plain_text::booking::{Booked, BookedTransaction};
use crate::plain_text::dialect::Dialect;
use crate::plain_text::journal::{
    Balance, Entry, EntryKind, Journal, LotOrder, Open, PostingKind, Status, Tag, Transaction,
};
use crate::plain_text::problem::Problem;

pub(super) fn write(
    journal: &Journal,
    booked: &Booked,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    let mut writer = Writer {
        keeps: journal.dialect == Dialect::Beancount,
        names: BeancountNames::default(),
        out,
    };
    writer.settings(journal)?;
    writer.opens(journal, booked)?;
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
    /// Whether the journal is one of Beancount's: names, lots and assertions are as they were.
    keeps: bool,
    names: BeancountNames,
    out: &'j mut dyn Write,
}

impl Writer<'_> {
    fn settings(&mut self, journal: &Journal) -> Result<(), ExportError> {
        let settings = &journal.tolerances;
        for (commodity, tolerance) in &settings.default {
            writeln!(
                self.out,
                "option \"inferred_tolerance_default\" \"{commodity}:{tolerance}\""
            )?;
        }
        if self.keeps {
            let multiplier = settings.multiplier;
            writeln!(
                self.out,
                "option \"inferred_tolerance_multiplier\" \"{multiplier}\""
            )?;
            if settings.from_cost {
                writeln!(self.out, "option \"infer_tolerance_from_cost\" \"TRUE\"")?;
            }
        } else {
            // Beancount divides a total cost by the units and multiplies again, and allows whole numbers no slack.
            writeln!(
                self.out,
                "option \"inferred_tolerance_default\" \"*:0.0000000001\""
            )?;
        }
        writeln!(self.out)?;
        Ok(())
    }

    /// Opens what the journal does not: every account on the day of its first posting.
    fn opens(&mut self, journal: &Journal, booked: &Booked) -> Result<(), ExportError> {
        let opened: BTreeSet<&Arc<str>> = journal
            .entries
            .iter()
            .filter_map(|entry| match &entry.kind {
                EntryKind::Open(open) if open.date.is_some() => Some(&open.account),
                _ => None,
            })
            .collect();
        let mut first: BTreeMap<&Arc<str>, NaiveDate> = BTreeMap::new();
        for transaction in &booked.transactions {
            for posting in &transaction.postings {
                let day = first.entry(&posting.account).or_insert(transaction.date);
                *day = transaction.date.min(*day);
            }
        }
        for (account, date) in first {
            if !opened.contains(account) {
                let written = self.account(account)?;
                writeln!(self.out, "{date} open {written}")?;
                if *written != **account {
                    writeln!(self.out, "  name: {}", string(account))?;
                }
            }
        }
        Ok(())
    }

    fn account(&mut self, name: &Arc<str>) -> Result<String, ExportError> {
        if self.keeps {
            return Ok(name.to_string());
        }
        self.names.account(name)
    }

    fn commodity(&mut self, name: &Arc<str>) -> Result<String, ExportError> {
        if self.keeps {
            return Ok(name.to_string());
        }
        self.names.commodity(name)
    }

    fn amount(&mut self, amount: &Amount) -> Result<String, ExportError> {
        let commodity = self.commodity(&amount.commodity)?;
        Ok(format!("{} {commodity}", amount.quantity))
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), ExportError> {
        match &entry.kind {
            EntryKind::Open(open) => self.open(open)?,
            EntryKind::Close { date, account } => {
                let account = self.account(account)?;
                writeln!(self.out, "{date} close {account}")?;
            }
            EntryKind::Commodity { date, commodity } => {
                if let Some(date) = date {
                    let commodity = self.commodity(commodity)?;
                    writeln!(self.out, "{date} commodity {commodity}")?;
                }
            }
            EntryKind::Price(price) => {
                let commodity = self.commodity(&price.commodity)?;
                let amount = self.amount(&price.amount)?;
                writeln!(self.out, "{} price {commodity} {amount}", price.date)?;
            }
            EntryKind::Balance(balance) => self.balance(balance)?,
            EntryKind::Other { text } => writeln!(self.out, "{text}")?,
            // What these post stands in the transactions.
            EntryKind::Pad { .. } | EntryKind::Rule(_) | EntryKind::Transaction(_) => {}
        }
        Ok(())
    }

    fn open(&mut self, open: &Open) -> Result<(), ExportError> {
        let Some(date) = open.date else {
            return Ok(());
        };
        let account = self.account(&open.account)?;
        let commodities: Vec<&str> = open.commodities.iter().map(|it| &**it).collect();
        let commodities = commodities.join(",");
        let order = match open.booking {
            Some(LotOrder::Fifo) => " \"FIFO\"",
            Some(LotOrder::Lifo) => " \"LIFO\"",
            Some(LotOrder::None) => " \"NONE\"",
            Some(LotOrder::Strict) | None => "",
        };
        let line = format!("{date} open {account} {commodities}");
        writeln!(self.out, "{}{order}", line.trim_end())?;
        Ok(())
    }

    fn balance(&mut self, balance: &Balance) -> Result<(), ExportError> {
        let account = self.account(&balance.account)?;
        let Amount {
            quantity,
            commodity,
        } = &balance.amount;
        let commodity = self.commodity(commodity)?;
        let tolerance = match balance.tolerance {
            Some(tolerance) => format!(" ~ {tolerance}"),
            None => String::new(),
        };
        writeln!(
            self.out,
            "{} balance {account} {quantity}{tolerance} {commodity}",
            balance.date
        )?;
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
        writeln!(self.out)?;
        self.heading(booked, source)?;
        if self.keeps {
            return self.as_written(booked, source);
        }
        for line in lines(booked, source, &entry.at, false)? {
            self.line(&line, entry)?;
        }
        Ok(())
    }

    fn heading(
        &mut self,
        booked: &BookedTransaction,
        source: Option<&Transaction>,
    ) -> Result<(), ExportError> {
        let flag = match source.map(|source| source.status) {
            Some(Status::Pending) => '!',
            Some(Status::Flag(flag)) => flag,
            None => 'P',
            Some(Status::Cleared | Status::Unmarked) => '*',
        };
        let mut heading = format!("{} {flag}", booked.date);
        let description = source.map_or(&*booked.description, |source| &source.description);
        if let Some(payee) = source.and_then(|source| source.payee.as_ref()) {
            heading.push_str(&format!(" {}", string(payee)));
        }
        heading.push_str(&format!(" {}", string(description)));
        let Some(source) = source else {
            writeln!(self.out, "{heading}")?;
            return Ok(());
        };
        let (tags, metadata): (Vec<&Tag>, Vec<&Tag>) = source
            .tags
            .iter()
            .partition(|tag| self.keeps && tag.value.is_empty());
        for tag in tags {
            heading.push_str(&format!(" #{}", tag.name));
        }
        for link in &source.links {
            heading.push_str(&format!(" ^{link}"));
        }
        writeln!(self.out, "{heading}")?;
        for Tag { name, value } in metadata {
            if self.keeps {
                writeln!(self.out, "  {name}: {value}")?;
            }
        }
        if let Some(code) = &source.code {
            writeln!(self.out, "  code: {}", string(code))?;
        }
        if let Some(date) = source.secondary_date {
            writeln!(self.out, "  secondary-date: {date}")?;
        }
        for line in source.comment.lines() {
            writeln!(self.out, "  ; {line}")?;
        }
        Ok(())
    }

    /// A posting of another format's.
    fn line(&mut self, line: &Line<'_>, entry: &Entry) -> Result<(), ExportError> {
        let booked = line.booked;
        if booked.kind == PostingKind::Virtual {
            let what = "a virtual posting that need not balance, in Beancount,".to_owned();
            let at = line.source.map_or(&entry.at, |source| &source.at);
            return Err(Problem::Unsupported { what }.at(at).into());
        }
        let account = self.account(&booked.account)?;
        let amount = self.amount(&booked.amount)?;
        let cost = self.cost(line.cost.as_ref())?;
        let mut comments = String::new();
        if let Some(source) = line.source {
            for comment in source.comment.lines() {
                comments.push_str(&format!("    ; {comment}\n"));
            }
        }
        write!(self.out, "  {account}  {amount}{cost}\n{comments}")?;
        Ok(())
    }

    fn cost(&mut self, cost: Option<&Cost>) -> Result<String, ExportError> {
        Ok(match cost {
            Some(Cost::PerUnit(price)) => format!(" @ {}", self.amount(price)?),
            Some(Cost::Total(total)) => format!(" @@ {}", self.amount(total)?),
            None => String::new(),
        })
    }

    /// The postings of a transaction of Beancount's own, with what was inferred.
    fn as_written(
        &mut self,
        booked: &BookedTransaction,
        source: Option<&Transaction>,
    ) -> Result<(), ExportError> {
        for booked in &booked.postings {
            let posting = source.and_then(|source| source.postings.get(booked.posting));
            let own = posting.filter(|posting| posting.amount.is_some());
            let lot = own.and_then(|posting| posting.lot.as_ref());
            let lot = match lot {
                Some(lot) => self.lot(lot)?,
                None => String::new(),
            };
            let cost = self.cost(own.and_then(|posting| posting.cost.as_ref()))?;
            let amount = self.amount(&booked.amount)?;
            writeln!(self.out, "  {}  {amount}{lot}{cost}", booked.account)?;
            if let Some(posting) = posting {
                for line in posting.comment.lines() {
                    writeln!(self.out, "    {line}")?;
                }
            }
        }
        Ok(())
    }

    fn lot(&mut self, lot: &Lot) -> Result<String, ExportError> {
        let mut parts = Vec::new();
        match (&lot.per_unit, &lot.total) {
            (Some(per_unit), None) => parts.push(self.amount(per_unit)?),
            (Some(per_unit), Some(total)) => {
                let total = self.amount(total)?;
                parts.push(format!("{} # {total}", per_unit.quantity));
            }
            (None, Some(total)) => parts.push(format!("0 # {}", self.amount(total)?)),
            (None, None) => {}
        }
        parts.extend(lot.date.map(|date| date.to_string()));
        parts.extend(lot.label.as_deref().map(string));
        Ok(format!(" {{{}}}", parts.join(", ")))
    }
}

fn string(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}
