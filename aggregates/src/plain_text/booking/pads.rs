//! What a pad posts: as much as is missing at the next balance of its account.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::tolerances::balance_tolerance;
use super::{BookedPosting, BookedTransaction};
use crate::decimal::DecimalError;
use crate::plain_text::amount::Amount;
use crate::plain_text::journal::{Balance, Entry, EntryKind, PostingKind, Tolerances};
use crate::plain_text::problem::{JournalError, Problem};
use crate::plain_text::sums::Running;

/// Fills pads.
#[derive(Debug)]
pub(super) struct Pads<'j> {
    settings: &'j Tolerances,
    running: Running,
    /// The latest pad of each account, and the commodities that were compared since.
    active: HashMap<&'j str, (usize, HashSet<Arc<str>>)>,
    posted: BTreeMap<usize, Vec<(Amount, &'j Balance)>>,
    pads: Vec<usize>,
}

impl<'j> Pads<'j> {
    pub(super) fn new(settings: &'j Tolerances) -> Self {
        Self {
            settings,
            running: Running::default(),
            active: HashMap::new(),
            posted: BTreeMap::new(),
            pads: Vec::new(),
        }
    }

    /// The next entry by day, and what it posts if it is a transaction.
    pub(super) fn entry(
        &mut self,
        index: usize,
        entry: &'j Entry,
        booked: Option<&BookedTransaction>,
    ) -> Result<(), JournalError> {
        let done = match &entry.kind {
            EntryKind::Pad { account, .. } => {
                self.active.insert(account, (index, HashSet::new()));
                self.pads.push(index);
                Ok(())
            }
            EntryKind::Balance(balance) => self.balance(balance),
            _ => booked.map_or(Ok(()), |transaction| {
                let mut postings = transaction.postings.iter();
                postings.try_for_each(|posting| self.running.add(&posting.account, &posting.amount))
            }),
        };
        done.map_err(|error| Problem::from(error).at(&entry.at))
    }

    fn balance(&mut self, balance: &'j Balance) -> Result<(), DecimalError> {
        let Balance {
            account, amount, ..
        } = balance;
        let Some((pad, compared)) = self.active.get_mut(&**account) else {
            return Ok(());
        };
        let has = self
            .running
            .of_commodity(account, &amount.commodity, true)?;
        let missing = amount.quantity.checked_sub(has)?;
        let is_off = missing.checked_abs()? > balance_tolerance(balance, self.settings)?;
        if compared.insert(Arc::clone(&amount.commodity)) && is_off {
            let missing = Amount::new(missing, Arc::clone(&amount.commodity));
            self.running.add(account, &missing)?;
            self.posted
                .entry(*pad)
                .or_default()
                .push((missing, balance));
        }
        Ok(())
    }

    /// The transactions of all pads; one that posts nothing is an error, as in Beancount.
    pub(super) fn filled(
        self,
        entries: &[Entry],
    ) -> Result<BTreeMap<usize, BookedTransaction>, Vec<JournalError>> {
        let mut filled = BTreeMap::new();
        let mut unused = Vec::new();
        for index in self.pads {
            let Some(Entry { at, kind }) = entries.get(index) else {
                continue;
            };
            let (
                EntryKind::Pad {
                    date,
                    account,
                    source,
                },
                Some(posted),
            ) = (kind, self.posted.get(&index))
            else {
                unused.push(Problem::UnusedPad.at(at));
                continue;
            };
            let mut postings = Vec::new();
            for (missing, _) in posted {
                let negated = missing.quantity.checked_neg();
                let negated = match negated {
                    Ok(quantity) => Amount::new(quantity, Arc::clone(&missing.commodity)),
                    Err(error) => {
                        unused.push(Problem::from(error).at(at));
                        continue;
                    }
                };
                for (account, amount) in [(account, missing.clone()), (source, negated)] {
                    postings.push(BookedPosting {
                        account: Arc::clone(account),
                        weight: amount.clone(),
                        amount,
                        kind: PostingKind::Real,
                        posting: 0,
                        is_generated: true,
                    });
                }
            }
            let transaction = BookedTransaction {
                entry: index,
                date: *date,
                description: format!("padding of {account}").into(),
                postings,
            };
            filled.insert(index, transaction);
        }
        if unused.is_empty() {
            Ok(filled)
        } else {
            Err(unused)
        }
    }
}
