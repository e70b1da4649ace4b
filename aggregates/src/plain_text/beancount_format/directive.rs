use chrono::NaiveDate;

use super::reader::Reader;
use super::tokens::{begins_number, end_of_line, needed_string};
use crate::plain_text::cursor::Cursor;
use crate::plain_text::dates;
use crate::plain_text::journal::{Balance, EntryKind, LotOrder, Open, Price, Tag};
use crate::plain_text::lines::SourceLines;
use crate::plain_text::location::Location;
use crate::plain_text::problem::JournalError;

/// Plugins that only check, or add prices.
const PLUGINS_WITHOUT_EFFECT: [&str; 12] = [
    "auto_accounts",
    "check_average_cost",
    "check_closing",
    "check_commodity",
    "coherent_cost",
    "commodity_attr",
    "implicit_prices",
    "leafonly",
    "noduplicates",
    "nounused",
    "onecommodity",
    "unique_prices",
];

/// Options that balances do not depend on.
const OPTIONS_WITHOUT_EFFECT: [&str; 14] = [
    "title",
    "operating_currency",
    "documents",
    "render_commas",
    "long_string_maxlines",
    "plugin_processing_mode",
    "insert_pythonpath",
    "conversion_currency",
    "account_previous_balances",
    "account_previous_earnings",
    "account_previous_conversions",
    "account_current_earnings",
    "account_current_conversions",
    "allow_pipe_separator",
];

impl Reader<'_> {
    /// An entry with a date.
    pub(super) fn dated(
        &mut self,
        cursor: &mut Cursor<'_>,
        lines: &mut SourceLines<'_>,
    ) -> Result<(), JournalError> {
        let at = cursor.location();
        let text = cursor.rest();
        let date = dates::date(cursor, None)?;
        cursor.skip_spaces();
        let start = cursor.clone();
        let word = cursor.take_while(|next| !next.is_whitespace() && next != '"');
        let flag = word.chars().next().filter(|_| word.chars().count() == 1);
        if word == "txn" || flag.is_some_and(|flag| "*!&#?%PSTCURM".contains(flag)) {
            return self.transaction(cursor, at, date, flag, lines);
        }
        cursor.skip_spaces();
        let kind = match word {
            "open" => self.open(cursor, date)?,
            "close" => EntryKind::Close {
                date,
                account: self.account(cursor)?,
            },
            "commodity" => EntryKind::Commodity {
                date: Some(date),
                commodity: self.commodity(cursor)?,
            },
            "balance" => self.balance(cursor, date)?,
            "pad" => self.pad(cursor, date)?,
            "price" => self.price(cursor, date)?,
            "note" | "document" | "event" | "query" | "custom" => {
                cursor.skip_to_end();
                EntryKind::Other {
                    text: text.trim_end().to_owned(),
                }
            }
            _ => return Err(start.expected("what happens on that day: `*`, `open`, `balance`...")),
        };
        end_of_line(cursor)?;
        // Metadata.
        lines.skip_indented();
        self.add(at, kind);
        Ok(())
    }

    fn open(
        &mut self,
        cursor: &mut Cursor<'_>,
        date: NaiveDate,
    ) -> Result<EntryKind, JournalError> {
        let account = self.account(cursor)?;
        let mut commodities = Vec::new();
        cursor.skip_spaces();
        while cursor
            .peek()
            .is_some_and(|next| next.is_ascii_uppercase() || next == '/')
        {
            commodities.push(self.commodity(cursor)?);
            cursor.skip_spaces();
            if !cursor.eat(',') {
                break;
            }
            cursor.skip_spaces();
        }
        cursor.skip_spaces();
        let booking = if cursor.peek() == Some('"') {
            let start = cursor.clone();
            let name = needed_string(cursor)?;
            Some(lot_order(&name, &start)?)
        } else {
            None
        };
        Ok(EntryKind::Open(Open {
            date: Some(date),
            account,
            commodities,
            booking,
        }))
    }

    fn balance(
        &mut self,
        cursor: &mut Cursor<'_>,
        date: NaiveDate,
    ) -> Result<EntryKind, JournalError> {
        let account = self.account(cursor)?;
        cursor.skip_spaces();
        let quantity = self.number(cursor)?;
        cursor.skip_spaces();
        let tolerance = if cursor.eat('~') {
            cursor.skip_spaces();
            Some(self.number(cursor)?)
        } else {
            None
        };
        cursor.skip_spaces();
        let commodity = self.commodity(cursor)?;
        Ok(EntryKind::Balance(Balance {
            date,
            account,
            amount: crate::plain_text::amount::Amount {
                quantity,
                commodity,
            },
            tolerance,
        }))
    }

    fn pad(&mut self, cursor: &mut Cursor<'_>, date: NaiveDate) -> Result<EntryKind, JournalError> {
        let account = self.account(cursor)?;
        cursor.skip_spaces();
        let source = self.account(cursor)?;
        Ok(EntryKind::Pad {
            date,
            account,
            source,
        })
    }

    fn price(
        &mut self,
        cursor: &mut Cursor<'_>,
        date: NaiveDate,
    ) -> Result<EntryKind, JournalError> {
        let commodity = self.commodity(cursor)?;
        cursor.skip_spaces();
        let amount = self.amount(cursor)?;
        Ok(EntryKind::Price(Price {
            date,
            commodity,
            amount,
        }))
    }

    /// What has no date.
    pub(super) fn undated(&mut self, cursor: &mut Cursor<'_>) -> Result<(), JournalError> {
        let at = cursor.location();
        let start = cursor.clone();
        let word = cursor.take_while(|next| !next.is_whitespace());
        cursor.skip_spaces();
        match word {
            "include" => {
                let place = cursor.location();
                let wanted = needed_string(cursor)?;
                end_of_line(cursor)?;
                return self.include(&wanted, &place);
            }
            "option" => self.option(cursor, at)?,
            "plugin" => self.plugin(cursor, at)?,
            "pushtag" => {
                let tag = tag(cursor)?;
                self.tags.push(tag);
            }
            "poptag" => {
                let place = cursor.clone();
                let tag = tag(cursor)?;
                match self.tags.iter().rposition(|pushed| *pushed == tag) {
                    Some(index) => drop(self.tags.remove(index)),
                    None => return Err(place.expected("a tag that was pushed")),
                }
            }
            "pushmeta" => {
                let pushed = metadata(cursor).ok_or_else(|| start.expected("`key: value`"))?;
                self.metadata.push(pushed);
            }
            "popmeta" => {
                let key = cursor.rest().trim().trim_end_matches(':');
                match self.metadata.iter().rposition(|pushed| pushed.name == key) {
                    Some(index) => drop(self.metadata.remove(index)),
                    None => return Err(cursor.expected("a key that was pushed")),
                }
                cursor.skip_to_end();
            }
            _ => return Err(start.expected("an entry that begins with its date, or an option")),
        }
        end_of_line(cursor)
    }

    fn option(&mut self, cursor: &mut Cursor<'_>, at: Location) -> Result<(), JournalError> {
        let start = cursor.clone();
        let name = needed_string(cursor)?;
        cursor.skip_spaces();
        let place = cursor.clone();
        let value = needed_string(cursor)?;
        let number = |text: &str| {
            text.parse()
                .map_err(|error: crate::decimal::DecimalError| place.problem(error.into()))
        };
        let root = |name: &str| match name {
            "name_assets" => Some(0),
            "name_liabilities" => Some(1),
            "name_equity" => Some(2),
            "name_income" => Some(3),
            "name_expenses" => Some(4),
            _ => None,
        };
        match name.as_str() {
            "inferred_tolerance_default" => {
                let (commodity, tolerance) = value
                    .split_once(':')
                    .ok_or_else(|| place.expected("`COMMODITY:NUMBER`"))?;
                let tolerance = number(tolerance)?;
                let defaults = &mut self.journal.tolerances.default;
                defaults.insert(commodity.to_owned(), tolerance);
            }
            "inferred_tolerance_multiplier" | "tolerance_multiplier" => {
                self.journal.tolerances.multiplier = number(&value)?;
            }
            "infer_tolerance_from_cost" => {
                self.journal.tolerances.from_cost =
                    matches!(value.to_ascii_lowercase().as_str(), "true" | "1");
            }
            "booking_method" => self.lot_order = lot_order(&value, &place)?,
            "account_rounding" => {
                return Err(start.unsupported("an account for what rounding leaves over"));
            }
            other => {
                if let Some(root) = root(other).and_then(|index| self.roots.get_mut(index)) {
                    *root = value;
                } else if OPTIONS_WITHOUT_EFFECT.contains(&other) {
                    self.note(
                        at,
                        format!("the option {other:?} has no effect on balances"),
                    );
                } else {
                    return Err(start.unsupported(format!("the option {other:?}")));
                }
            }
        }
        Ok(())
    }

    fn plugin(&mut self, cursor: &mut Cursor<'_>, at: Location) -> Result<(), JournalError> {
        let start = cursor.clone();
        let name = needed_string(cursor)?;
        cursor.skip_to_end();
        let short = name.strip_prefix("beancount.plugins.").unwrap_or_default();
        if !PLUGINS_WITHOUT_EFFECT.contains(&short) {
            return Err(start.unsupported(format!("the plugin {name:?}")));
        }
        if short == "auto_accounts" {
            self.journal.tolerances.opens_accounts = true;
        }
        self.note(at, format!("the plugin {name:?} has no effect on balances"));
        Ok(())
    }
}

fn lot_order(name: &str, start: &Cursor<'_>) -> Result<LotOrder, JournalError> {
    Ok(match name {
        "STRICT" => LotOrder::Strict,
        "FIFO" => LotOrder::Fifo,
        "LIFO" => LotOrder::Lifo,
        "NONE" => LotOrder::None,
        _ => return Err(start.unsupported(format!("the booking method {name:?}"))),
    })
}

fn tag(cursor: &mut Cursor<'_>) -> Result<String, JournalError> {
    if !cursor.eat('#') {
        return Err(cursor.expected("a tag like `#trip`"));
    }
    Ok(cursor
        .take_while(|next| !next.is_whitespace() && next != ';')
        .to_owned())
}

/// `key: value`, the value as it is written.
pub(super) fn metadata(cursor: &mut Cursor<'_>) -> Option<Tag> {
    let (name, value) = cursor.rest().split_once(':')?;
    let is_key = name.starts_with(|next: char| next.is_ascii_lowercase())
        && name
            .chars()
            .all(|next| next.is_ascii_alphanumeric() || matches!(next, '-' | '_'));
    if !is_key {
        return None;
    }
    cursor.skip_to_end();
    Some(Tag {
        name: name.to_owned(),
        value: value.trim().to_owned(),
    })
}

/// Whether an amount or an expression begins, as opposed to a comment or the end.
pub(super) fn has_amount(cursor: &Cursor<'_>) -> bool {
    begins_number(cursor) || cursor.peek().is_some_and(|next| next.is_ascii_uppercase())
}
