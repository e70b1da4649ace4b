//! The books, checked from the journal alone behind every append: what any run must have left.

use std::collections::{BTreeMap, BTreeSet};

use foldhouse::{Position, RecordedEvent, Store, StreamId, decode_event, event_id};
use uuid::Uuid;

use super::super::*;
use crate::currency::Currency;

/// Everything that was recorded up to an event.
#[derive(Default)]
pub(super) struct Audit {
    coming_in: Option<(Uuid, StreamId, u32)>,
    /// What was posted to accounts, and by entries, in the append that comes in.
    lines: Vec<(String, AccountId, Side, i64)>,
    entry_lines: Vec<(String, AccountId, Side, i64)>,
    numbered: Vec<(EntryId, BookDate)>,
    recorded: Vec<(EntryId, BookDate)>,
    /// Since the first event.
    currencies: BTreeMap<AccountId, Currency>,
    accounts: BTreeMap<AccountId, GlAccount>,
    sums: BTreeMap<Currency, i128>,
    periods: BTreeMap<BookDate, (BookDate, PeriodStatus)>,
    reversed: BTreeSet<String>,
    open_holds: BTreeMap<HoldId, Hold>,
    ended_holds: BTreeSet<HoldId>,
    /// What there was.
    pub(super) entries: u64,
    pub(super) appends: u64,
    pub(super) holds_ended: u64,
    pub(super) reversals: u64,
}

impl Audit {
    /// Of the whole store, with a check behind every append.
    pub(super) async fn of(store: &dyn Store) -> Self {
        let mut audit = Self::default();
        let mut after = Position::BEFORE_FIRST;
        loop {
            let page = store.read_all(after, 512).await.unwrap();
            for event in &page.events {
                audit.take(event);
            }
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        audit.check_append();
        audit
    }

    fn take(&mut self, event: &RecordedEvent) {
        if !self.belongs(event) {
            self.check_append();
            let command = event_id(event.id, &event.stream, 0);
            self.coming_in = Some((command, event.stream.clone(), 1));
        }
        if let Some(decoded) = decode_event::<GlAccount>(event) {
            self.take_account(event.stream.aggregate_id().into(), &decoded.unwrap());
        } else if let Some(decoded) = decode_event::<JournalEntry>(event) {
            self.take_entry(event.stream.aggregate_id(), decoded.unwrap());
        } else if let Some(decoded) = decode_event::<GlBook>(event) {
            self.take_book(decoded.unwrap());
        } else if let Some(decoded) = decode_event::<GlHold>(event) {
            self.take_hold(event.stream.aggregate_id().into(), decoded.unwrap());
        }
    }

    /// Whether the event is of the append that comes in.
    fn belongs(&mut self, event: &RecordedEvent) -> bool {
        let Some((command, stream, of_stream)) = &mut self.coming_in else {
            return false;
        };
        let index = if event.stream == *stream {
            *of_stream
        } else {
            0
        };
        if event_id(*command, &event.stream, index) != event.id {
            return false;
        }
        *stream = event.stream.clone();
        *of_stream = index + 1;
        true
    }

    fn take_account(&mut self, id: AccountId, event: &GlEvent) {
        use foldhouse::Aggregate;

        match event {
            GlEvent::Opened { currency, .. } => {
                self.currencies.insert(id.clone(), *currency);
            }
            GlEvent::LinePosted {
                entry,
                side,
                minor_units,
            } => {
                let line = (entry.to_string(), id.clone(), *side, *minor_units);
                self.lines.push(line);
            }
            _ => {}
        }
        self.accounts.entry(id).or_default().apply(event);
    }

    fn take_entry(&mut self, id: &str, event: EntryEvent) {
        match event {
            EntryEvent::Posted { entry } => {
                for line in &entry.lines {
                    let minor_units = line.amount.minor_units();
                    let line = (id.to_owned(), line.account.clone(), line.side, minor_units);
                    self.entry_lines.push(line);
                }
                self.recorded.push((entry.id.clone(), entry.date));
            }
            EntryEvent::Reversed { .. } => {
                assert!(self.reversed.insert(id.to_owned()), "{id} reversed twice");
                self.reversals += 1;
            }
            EntryEvent::Corrected { .. } => {}
        }
    }

    fn take_book(&mut self, event: BookEvent) {
        match event {
            BookEvent::Opened { .. } => {}
            BookEvent::EntryNumbered {
                number,
                entry,
                date,
                soft_close_override,
            } => {
                self.entries += 1;
                assert_eq!(number, self.entries, "a gap before {entry}");
                let period = self.periods.range(..=date).next_back();
                let status = period.map(|(_, (_, status))| *status);
                match status {
                    Some(PeriodStatus::Open) => {}
                    Some(PeriodStatus::SoftClosed) => assert!(soft_close_override.is_some()),
                    _ => panic!("{entry} changed a period that is closed: {status:?}"),
                }
                self.numbered.push((entry, date));
            }
            BookEvent::PeriodAdded { first, last } => {
                self.periods.insert(first, (last, PeriodStatus::Open));
            }
            BookEvent::PeriodStatusChanged { first, status } => {
                let period = self.periods.get_mut(&first).unwrap();
                assert_ne!(period.1, PeriodStatus::HardClosed, "closed for good");
                period.1 = status;
            }
        }
    }

    fn take_hold(&mut self, id: HoldId, event: HoldEvent) {
        match event {
            HoldEvent::Placed { hold } => {
                let before = self.open_holds.insert(id.clone(), *hold);
                assert!(before.is_none(), "{id} placed twice");
            }
            HoldEvent::Ended { .. } => {
                assert!(self.open_holds.remove(&id).is_some(), "{id} was not open");
                assert!(self.ended_holds.insert(id.clone()), "{id} ended twice");
                self.holds_ended += 1;
            }
            HoldEvent::FellDue {} => {
                assert!(
                    self.open_holds.contains_key(&id),
                    "{id} fell due when it was not open"
                );
            }
        }
    }

    /// The append is whole: everything must hold now.
    fn check_append(&mut self) {
        self.appends += 1;
        let mut lines = std::mem::take(&mut self.lines);
        for (_, account, side, minor_units) in &lines {
            let sum = self.sums.entry(self.currencies[account]).or_default();
            *sum += match side {
                Side::Debit => i128::from(*minor_units),
                Side::Credit => -i128::from(*minor_units),
            };
        }
        for (currency, sum) in &self.sums {
            assert_eq!(*sum, 0, "the trial balance in {currency}");
        }
        let mut entry_lines = std::mem::take(&mut self.entry_lines);
        lines.sort();
        entry_lines.sort();
        assert_eq!(lines, entry_lines, "what accounts got and entries say");
        let numbered = std::mem::take(&mut self.numbered);
        assert_eq!(numbered, std::mem::take(&mut self.recorded));
        self.check_holds();
    }

    /// What accounts hold is what the open holds hold, and with it no limit is broken.
    fn check_holds(&self) {
        let mut held: BTreeMap<(&AccountId, Side), i128> = BTreeMap::new();
        for line in self.open_holds.values().flat_map(|hold| &hold.lines) {
            let amount = i128::from(line.amount.minor_units());
            *held.entry((&line.account, line.side)).or_default() += amount;
        }
        for (id, account) in &self.accounts {
            for side in [Side::Debit, Side::Credit] {
                let expected = held.get(&(id, side)).copied().unwrap_or(0);
                assert_eq!(account.pending_on(side), expected, "held on {id}");
            }
            if account.overdraft() == Some(OverdraftPolicy::Forbidden) {
                let row = AccountBalance::of(account).unwrap();
                assert!(row.available().minor_units() >= 0, "{id} is overdrawn");
            }
            if let Some(limit) = account.place().and_then(|place| place.balance_max) {
                let own = account.normal_side().unwrap();
                let most = account.balance_on(own) + account.pending_on(own);
                assert!(most <= limit.into(), "{id} is above its limit");
            }
        }
    }

    /// What the audit made of an account, to be compared with what the runtime has.
    pub(super) fn account(&self, id: &str) -> AccountBalance {
        AccountBalance::of(&self.accounts[&AccountId::new(id)]).unwrap()
    }

    pub(super) fn open_holds(&self) -> usize {
        self.open_holds.len()
    }
}
