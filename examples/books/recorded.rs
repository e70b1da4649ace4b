use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhouse::{EventStore, JournalStore, Position, decode_event};
use foldhouse_aggregates::plain_text::{BookAccount, BookEvent};
use foldhouse_examples::{Failure, fail};
use uuid::Uuid;

use crate::balances::{Balances, add};

/// Events of one read.
const PAGE_EVENTS: usize = 1_024;

/// What the books have before an import.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// The transactions of the file among it.
    pub(crate) of_file: HashSet<Uuid>,
    /// How many other transactions there are.
    pub(crate) others: u64,
    /// What those have posted.
    pub(crate) by_others: Balances,
}

impl Recorded {
    /// Goes through the journal. A transaction is known by its id, with which its events correlate: so one that is there
    /// is never posted again, however long ago it was, and whether the import that posted it came to its end or not.
    pub(crate) async fn read(
        store: &JournalStore,
        book: &str,
        file: &HashSet<Uuid>,
    ) -> Result<Self, Failure> {
        let mut recorded = Self::default();
        let mut others = HashSet::new();
        let mut names: HashMap<String, Arc<str>> = HashMap::new();
        let mut after = Position::BEFORE_FIRST;
        loop {
            let page = store.read_all(after, PAGE_EVENTS).await.map_err(fail)?;
            for event in &page.events {
                if event.stream.tenant() != book {
                    continue;
                }
                let Some(decoded) = decode_event::<BookAccount>(event) else {
                    continue;
                };
                let id = event.correlation_id.unwrap_or(event.id);
                let is_of_file = file.contains(&id);
                if is_of_file {
                    recorded.of_file.insert(id);
                } else {
                    others.insert(id);
                }
                let account = event.stream.aggregate_id();
                match decoded.map_err(fail)? {
                    BookEvent::Named { name } => {
                        names.insert(account.to_owned(), name.into());
                    }
                    BookEvent::Posted { lines, .. } if !is_of_file => {
                        let name = names.get(account).cloned();
                        let name = name.unwrap_or_else(|| account.into());
                        for line in lines {
                            add(
                                &mut recorded.by_others,
                                &name,
                                &line.commodity,
                                line.quantity,
                            )
                            .map_err(fail)?;
                        }
                    }
                    BookEvent::Posted { .. } => {}
                }
            }
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        recorded.others = others.len() as u64;
        Ok(recorded)
    }
}
