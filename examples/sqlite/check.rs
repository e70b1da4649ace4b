//! What SQLite says, beside what the journal adds up to.

use std::collections::BTreeMap;
use std::path::Path;

use foldhouse::{EventStore, JournalStore, Position};
use foldhouse_examples::{Failure, fail};

use crate::balances::{change, read_balances};

const PAGE_EVENTS: usize = 10_000;

/// How many balances SQLite has, and which differ from those of a fresh replay up to its checkpoint.
pub(crate) async fn mismatches(
    store: &JournalStore,
    database: &Path,
) -> Result<(usize, Vec<String>), Failure> {
    let (rows, position) = read_balances(database).map_err(fail)?;
    let in_sqlite: BTreeMap<_, _> = rows.into_iter().collect();
    let replayed = replay(store, position).await?;
    let mut wrong = Vec::new();
    for account in in_sqlite.keys().chain(replayed.keys()) {
        let (found, expected) = (in_sqlite.get(account), replayed.get(account));
        if found != expected {
            wrong.push(format!(
                "account {account} at {position}: SQLite says {found:?}, the journal {expected:?}"
            ));
        }
    }
    Ok((in_sqlite.len(), wrong))
}

/// The balances of all accounts that were posted to, from the events up to a position alone.
async fn replay(store: &JournalStore, up_to: Position) -> Result<BTreeMap<String, i64>, Failure> {
    let mut balances = BTreeMap::new();
    let mut after = Position::BEFORE_FIRST;
    loop {
        let page = store.read_all(after, PAGE_EVENTS).await.map_err(fail)?;
        for event in page.events.iter().filter(|event| event.position <= up_to) {
            if ["Credited", "Debited"].contains(&&*event.event_type) {
                let (account, minor_units) = change(event).map_err(fail)?;
                *balances.entry(account.to_owned()).or_default() += minor_units;
            }
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(balances),
        }
    }
}
