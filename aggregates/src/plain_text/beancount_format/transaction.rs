use chrono::NaiveDate;

use super::directive::{has_amount, metadata};
use super::reader::Reader;
use super::tokens::{begins_number, end_of_line, string};
use crate::plain_text::amount::{Amount, Cost, Lot};
use crate::plain_text::cursor::Cursor;
use crate::plain_text::dates;
use crate::plain_text::journal::{EntryKind, Posting, PostingKind, Status, Tag, Transaction};
use crate::plain_text::lines::SourceLines;
use crate::plain_text::location::Location;
use crate::plain_text::problem::JournalError;

fn status_of(flag: Option<char>) -> Status {
    match flag {
        Some('*') | None => Status::Cleared,
        Some('!') => Status::Pending,
        Some(other) => Status::Flag(other),
    }
}

impl Reader<'_> {
    /// A transaction, from behind its flag on.
    pub(super) fn transaction(
        &mut self,
        cursor: &mut Cursor<'_>,
        at: Location,
        date: NaiveDate,
        flag: Option<char>,
        lines: &mut SourceLines<'_>,
    ) -> Result<(), JournalError> {
        let mut transaction = Transaction {
            at: at.clone(),
            date,
            secondary_date: None,
            status: status_of(flag),
            code: None,
            payee: None,
            description: String::new(),
            tags: self.tags.iter().map(|tag| named(tag)).collect(),
            links: Vec::new(),
            comment: String::new(),
            postings: Vec::new(),
        };
        transaction.tags.extend(self.metadata.iter().cloned());
        cursor.skip_spaces();
        if let Some(first) = string(cursor)? {
            cursor.skip_spaces();
            match string(cursor)? {
                Some(second) => {
                    transaction.payee = Some(first);
                    transaction.description = second;
                }
                None => transaction.description = first,
            }
        }
        tags_and_links(cursor, &mut transaction);
        end_of_line(cursor)?;
        while let Some(mut line) = lines.next_indented() {
            line.skip_spaces();
            self.line_of(&mut line, &mut transaction)?;
        }
        self.add(at, EntryKind::Transaction(Box::new(transaction)));
        Ok(())
    }

    fn line_of(
        &mut self,
        line: &mut Cursor<'_>,
        transaction: &mut Transaction,
    ) -> Result<(), JournalError> {
        match line.peek() {
            None | Some(';') => return Ok(()),
            Some('#' | '^') => {
                tags_and_links(line, transaction);
                return end_of_line(line);
            }
            _ => {}
        }
        if let Some(tag) = metadata(line) {
            // That of a posting is kept as its comment: no balance depends on it.
            match transaction.postings.last_mut() {
                Some(posting) => {
                    if !posting.comment.is_empty() {
                        posting.comment.push('\n');
                    }
                    let Tag { name, value } = tag;
                    posting.comment.push_str(&format!("{name}: {value}"));
                }
                None => transaction.tags.push(tag),
            }
            return Ok(());
        }
        let posting = self.posting(line)?;
        transaction.postings.push(posting);
        Ok(())
    }

    fn posting(&mut self, cursor: &mut Cursor<'_>) -> Result<Posting, JournalError> {
        let mut status = Status::Unmarked;
        let flag = cursor.peek().filter(|flag| "*!&#?%PSTCURM".contains(*flag));
        if let Some(flag) = flag {
            let behind = cursor.rest().get(1..).unwrap_or_default();
            if behind.starts_with(char::is_whitespace) {
                cursor.skip(1);
                cursor.skip_spaces();
                status = status_of(Some(flag));
            }
        }
        let at = cursor.location();
        let account = self.account(cursor)?;
        if !(cursor.is_at_end() || cursor.rest().starts_with(char::is_whitespace)) {
            return Err(cursor.expected("a space behind the account"));
        }
        cursor.skip_spaces();
        let mut posting = Posting {
            at,
            account,
            kind: PostingKind::Real,
            status,
            date: None,
            amount: None,
            lot: None,
            cost: None,
            assertion: None,
            comment: String::new(),
        };
        if has_amount(cursor) {
            let amount = self.amount(cursor)?;
            self.see_decimals(&amount);
            posting.amount = Some(amount);
            cursor.skip_spaces();
        }
        if cursor.peek() == Some('{') {
            posting.lot = Some(self.lot(cursor)?);
            cursor.skip_spaces();
        }
        if cursor.eat('@') {
            let total = cursor.eat('@');
            cursor.skip_spaces();
            let amount = self.amount(cursor)?;
            posting.cost = Some(if total {
                Cost::Total(amount)
            } else {
                Cost::PerUnit(amount)
            });
        }
        if posting.amount.is_none() && (posting.lot.is_some() || posting.cost.is_some()) {
            return Err(cursor.unsupported("a cost or a price without an amount"));
        }
        end_of_line(cursor)?;
        Ok(posting)
    }

    /// `{10 EUR, 2026-01-31, "label"}`, `{{100 EUR}}`, `{10 # 5 EUR}`, `{}`.
    fn lot(&mut self, cursor: &mut Cursor<'_>) -> Result<Lot, JournalError> {
        let mut lot = Lot::default();
        cursor.eat('{');
        let total = cursor.eat('{');
        loop {
            cursor.skip_spaces();
            let end = if total { "}}" } else { "}" };
            if cursor.eat_text(end) {
                return Ok(lot);
            }
            if cursor.peek() == Some('*') {
                return Err(cursor.unsupported("merging lots"));
            }
            if let Some(label) = string(cursor)? {
                lot.label = Some(label);
            } else if looks_like_date(cursor.rest()) {
                lot.date = Some(dates::date(cursor, None)?);
            } else if begins_number(cursor) {
                self.lot_cost(cursor, total, &mut lot)?;
            } else {
                return Err(cursor.expected("a cost, a date, a label or the end of the lot"));
            }
            cursor.skip_spaces();
            if !cursor.eat(',') && !cursor.rest().starts_with('}') {
                return Err(cursor.expected("`,` or `}`"));
            }
        }
    }

    fn lot_cost(
        &mut self,
        cursor: &mut Cursor<'_>,
        total: bool,
        lot: &mut Lot,
    ) -> Result<(), JournalError> {
        let first = self.number(cursor)?;
        cursor.skip_spaces();
        let second = if cursor.eat('#') {
            cursor.skip_spaces();
            let second = self.number(cursor)?;
            cursor.skip_spaces();
            Some(second)
        } else {
            None
        };
        let commodity = self.commodity(cursor)?;
        let amount = |quantity| {
            Some(Amount {
                quantity,
                commodity: std::sync::Arc::clone(&commodity),
            })
        };
        match (second, total) {
            (Some(second), _) => {
                lot.per_unit = amount(first);
                lot.total = amount(second);
            }
            (None, true) => lot.total = amount(first),
            (None, false) => lot.per_unit = amount(first),
        }
        Ok(())
    }
}

fn named(name: &str) -> Tag {
    Tag {
        name: name.to_owned(),
        value: String::new(),
    }
}

fn tags_and_links(cursor: &mut Cursor<'_>, transaction: &mut Transaction) {
    loop {
        cursor.skip_spaces();
        let is_tag = cursor.eat('#');
        if !is_tag && !cursor.eat('^') {
            return;
        }
        let name = cursor.take_while(|next| !next.is_whitespace() && next != ';');
        if is_tag {
            transaction.tags.push(named(name));
        } else {
            transaction.links.push(name.to_owned());
        }
    }
}

fn looks_like_date(text: &str) -> bool {
    let digits = text
        .chars()
        .take_while(|next| next.is_ascii_digit())
        .count();
    digits == 4
        && text
            .get(4..)
            .is_some_and(|rest| rest.starts_with(['-', '/']))
        && text
            .get(5..)
            .is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()))
        && !text.get(5..).is_some_and(|rest| rest.starts_with(' '))
}
