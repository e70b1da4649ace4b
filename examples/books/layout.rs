//! Balances as `hledger bal` prints them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhouse_aggregates::{Decimal, DecimalError};

use crate::balances::{Balances, add};

/// How wide the column of amounts is.
const AMOUNT_CHARS: usize = 20;

/// How many decimals amounts of a commodity have.
pub(crate) type Decimals = BTreeMap<Arc<str>, u8>;

/// The lines, with the total below.
pub(crate) fn layout(
    balances: &Balances,
    decimals: &Decimals,
    tree: bool,
) -> Result<String, DecimalError> {
    let shown = if tree {
        with_parents(balances)?
    } else {
        balances.clone()
    };
    let mut text = String::new();
    for (account, amounts) in by_account(&shown) {
        let name = match (tree, account.rsplit_once(':')) {
            (true, Some((parent, name))) => {
                format!("{}{name}", "  ".repeat(parent.matches(':').count() + 1))
            }
            _ => account.to_string(),
        };
        lines(&mut text, &amounts, decimals, &name)?;
    }
    let mut total = Balances::new();
    for ((_, commodity), quantity) in balances {
        add(&mut total, &"".into(), commodity, *quantity)?;
    }
    text.push_str(&"-".repeat(AMOUNT_CHARS));
    text.push('\n');
    match by_account(&total).first() {
        Some((_, amounts)) => lines(&mut text, amounts, decimals, "")?,
        None => text.push_str(&format!("{:>AMOUNT_CHARS$}  \n", 0)),
    }
    Ok(text)
}

type Amounts<'b> = Vec<(&'b str, Decimal)>;

fn by_account(balances: &Balances) -> Vec<(&str, Amounts<'_>)> {
    let mut accounts: BTreeMap<Vec<&str>, (&str, Amounts<'_>)> = BTreeMap::new();
    for ((account, commodity), quantity) in balances {
        // By their parts: a parent before its children, and those before its neighbours.
        let parts = account.split(':').collect();
        let entry = accounts.entry(parts).or_insert((account, Vec::new()));
        entry.1.push((commodity, *quantity));
    }
    accounts.into_values().collect()
}

fn with_parents(balances: &Balances) -> Result<Balances, DecimalError> {
    let mut all = Balances::new();
    for ((account, commodity), quantity) in balances {
        let ends = account.match_indices(':').map(|(at, _)| at);
        for end in ends.chain([account.len()]) {
            let account: Arc<str> = account.get(..end).unwrap_or_default().into();
            add(&mut all, &account, commodity, *quantity)?;
        }
    }
    Ok(all)
}

/// A line for each commodity; the last one has the account.
fn lines(
    text: &mut String,
    amounts: &[(&str, Decimal)],
    decimals: &Decimals,
    account: &str,
) -> Result<(), DecimalError> {
    for (index, (commodity, quantity)) in amounts.iter().enumerate() {
        let amount = amount(commodity, *quantity, decimals)?;
        // By characters, as a terminal shows them.
        let padding = " ".repeat(AMOUNT_CHARS.saturating_sub(amount.chars().count()));
        let account = if index + 1 == amounts.len() {
            format!("  {account}")
        } else {
            String::new()
        };
        text.push_str(&format!("{padding}{amount}{account}\n"));
    }
    Ok(())
}

/// Symbols stand before the number, names behind it.
fn amount(commodity: &str, quantity: Decimal, decimals: &Decimals) -> Result<String, DecimalError> {
    let quantity = match decimals.get(commodity) {
        Some(decimals) => quantity.rounded(*decimals).with_decimals(*decimals)?,
        None => quantity.normalized(),
    };
    let is_symbol = commodity.chars().count() == 1 && !commodity.contains(char::is_alphanumeric);
    Ok(if commodity.is_empty() {
        quantity.to_string()
    } else if is_symbol {
        format!("{commodity}{quantity}")
    } else if commodity
        .chars()
        .all(|next| next.is_alphabetic() || next == '_')
    {
        format!("{quantity} {commodity}")
    } else {
        format!("{quantity} \"{commodity}\"")
    })
}

/// How many different commodities and accounts there are.
pub(crate) fn counts(balances: &Balances) -> (u64, u64) {
    let accounts: BTreeSet<&Arc<str>> = balances.keys().map(|(account, _)| account).collect();
    let commodities: BTreeSet<&Arc<str>> =
        balances.keys().map(|(_, commodity)| commodity).collect();
    (accounts.len() as u64, commodities.len() as u64)
}
