use super::comments;
use super::reader::Reader;
use crate::plain_text::cursor::Cursor;
use crate::plain_text::dates;
use crate::plain_text::dialect::Dialect;
use crate::plain_text::journal::{EntryKind, Posting, PostingKind, Status, Transaction};
use crate::plain_text::lines::SourceLines;
use crate::plain_text::problem::JournalError;

impl Reader<'_> {
    /// Reads a transaction from its first line on.
    pub(super) fn transaction<'t>(
        &mut self,
        cursor: &mut Cursor<'t>,
        lines: &mut SourceLines<'t>,
    ) -> Result<(), JournalError> {
        let mut transaction = self.heading(cursor)?;
        // A posting's own date may leave out the year, which is the transaction's then.
        let year = Some(chrono::Datelike::year(&transaction.date));
        while let Some(mut line) = lines.next_indented() {
            line.skip_spaces();
            if line.peek() != Some(';') {
                let posting = self.posting(&mut line, year)?;
                transaction.postings.push(posting);
                continue;
            }
            line.eat(';');
            match transaction.postings.last_mut() {
                Some(posting) => continue_comment(posting, &line, year)?,
                None => comments::append(&mut transaction.comment, line.rest()),
            }
        }
        self.fill_up(&mut transaction);
        transaction.tags = comments::tags(&transaction.comment);
        let at = transaction.at.clone();
        self.add(at, EntryKind::Transaction(Box::new(transaction)));
        Ok(())
    }

    /// Date, status, code, description.
    fn heading(&self, cursor: &mut Cursor<'_>) -> Result<Transaction, JournalError> {
        let at = cursor.location();
        let date = dates::date(cursor, self.scope.default_year)?;
        let mut secondary_date = None;
        if cursor.eat('=') {
            let year = chrono::Datelike::year(&date);
            secondary_date = Some(dates::date(cursor, Some(year))?);
        }
        if !cursor.is_at_end() && !cursor.skip_spaces() && cursor.peek() != Some(';') {
            return Err(cursor.expected("a space behind the date"));
        }
        let status = status(cursor);
        let code = if cursor.eat('(') {
            Some(cursor.take_until(')')?.trim().to_owned())
        } else {
            None
        };
        cursor.skip_spaces();
        let rest = cursor.rest();
        let end = comment_start(rest, self.dialect());
        let description = rest.get(..end).unwrap_or_default().trim();
        let mut comment = String::new();
        comments::append(
            &mut comment,
            rest.get(end..).unwrap_or_default().trim_start_matches(';'),
        );
        Ok(Transaction {
            at,
            date,
            secondary_date,
            status,
            code,
            payee: None,
            description: description.to_owned(),
            tags: Vec::new(),
            links: Vec::new(),
            comment,
            postings: Vec::new(),
        })
    }

    /// A single posting is balanced by the bucket, where there is one.
    fn fill_up(&mut self, transaction: &mut Transaction) {
        let [only] = transaction.postings.as_slice() else {
            return;
        };
        if let (Some(account), PostingKind::Real, Some(_)) =
            (&self.scope.bucket, only.kind, &only.amount)
        {
            let balancing = Posting {
                at: only.at.clone(),
                account: std::sync::Arc::clone(account),
                kind: PostingKind::Real,
                status: Status::Unmarked,
                date: None,
                amount: None,
                lot: None,
                cost: None,
                assertion: None,
                comment: String::new(),
            };
            transaction.postings.push(balancing);
        }
    }
}

fn continue_comment(
    posting: &mut Posting,
    line: &Cursor<'_>,
    year: Option<i32>,
) -> Result<(), JournalError> {
    comments::append(&mut posting.comment, line.rest());
    if let Some(date) = comments::posting_date(line, year)? {
        posting.date = Some(date);
    }
    Ok(())
}

/// `*` or `!`.
pub(super) fn status(cursor: &mut Cursor<'_>) -> Status {
    let status = if cursor.eat('*') {
        Status::Cleared
    } else if cursor.eat('!') {
        Status::Pending
    } else {
        return Status::Unmarked;
    };
    cursor.skip_spaces();
    status
}

/// Where a comment starts: at any `;` in hledger, at one behind two spaces or a tab in Ledger.
fn comment_start(text: &str, dialect: Dialect) -> usize {
    let is_start = |at: usize| {
        let before = text.get(..at).unwrap_or_default();
        dialect == Dialect::Hledger || at == 0 || before.ends_with("  ") || before.ends_with('\t')
    };
    let mut marks = text.match_indices(';').map(|(at, _)| at);
    marks.find(|at| is_start(*at)).unwrap_or(text.len())
}
