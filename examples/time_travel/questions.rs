use std::time::Instant;

use foldhouse::{
    AggregateRef, AsOf, EventStore, JournalStore, Past, StreamQuery, Timestamp, Version,
};
use foldhouse_aggregates::GlAccount;
use foldhouse_examples::{Failure, Findings, fail};
use hdrhistogram::Histogram;

use crate::books::Account;
use crate::report::Kind;

/// What was asked, how often the answer was wrong, and how long it took.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) kinds: Vec<(Kind, Tally)>,
    pub(crate) wrong: Findings,
}

#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) mismatches: u64,
    pub(crate) nanos: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self {
            mismatches: 0,
            nanos: Histogram::new(3).map_err(fail)?,
        })
    }
}

impl Asked {
    pub(crate) fn new() -> Result<Self, Failure> {
        let kinds = Kind::ALL.iter();
        Ok(Self {
            kinds: kinds
                .map(|kind| Ok((*kind, Tally::new()?)))
                .collect::<Result<_, Failure>>()?,
            wrong: Findings::new("mismatch"),
        })
    }

    pub(crate) fn tally(&self, kind: Kind) -> &Tally {
        &self.kinds[kind as usize].1
    }

    async fn ask(
        &mut self,
        kind: Kind,
        past: &Past<GlAccount>,
        as_of: AsOf,
        expected_minor: i64,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        let answer = past.state(as_of).await.map_err(fail)?;
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let tally = &mut self.kinds[kind as usize].1;
        tally.nanos.record(nanos).map_err(fail)?;
        let balance = answer.state.balance().map(|money| money.minor_units());
        if balance != Some(expected_minor) {
            tally.mismatches += 1;
            self.wrong.add(|| {
                format!(
                    "{} at {as_of}: the balance is {balance:?}, expected {expected_minor}",
                    past.stream()
                )
            });
        }
        Ok(())
    }
}

/// Asks about each row of an account, all questions with one handle on its past.
pub(crate) async fn ask_about(
    asked: &mut Asked,
    store: &JournalStore,
    account: &AggregateRef<GlAccount>,
    books: &Account,
) -> Result<(), Failure> {
    let past = account.past();
    let recorded = times_of_recording(store, account).await?;
    let mut balance_minor = 0;
    for (index, row) in books.rows.iter().enumerate() {
        balance_minor += row.change_minor();
        // The opening is version 1.
        let version = Version::new(index as u64 + 2);
        let at_version = row.stated_minor.unwrap_or(balance_minor);
        asked
            .ask(Kind::Version, &past, AsOf::Version(version), at_version)
            .await?;

        // Where the bank states a balance, that is the answer; else the rows are added up again, one by one.
        let added_up = |by_recorded: Timestamp, by_effective: Timestamp| {
            let rows = books.rows.iter().zip(recorded.iter().skip(1));
            let counting = rows.filter(|(row, recorded)| {
                **recorded <= by_recorded && row.effective_at <= by_effective
            });
            counting.map(|(row, _)| row.change_minor()).sum::<i64>()
        };
        let end = Timestamp::from_unix_micros(i64::MAX);
        let effective = AsOf::Effective(row.effective_at);
        let counted = row
            .stated_minor
            .unwrap_or_else(|| added_up(end, row.effective_at));
        asked
            .ask(Kind::Effective, &past, effective, counted)
            .await?;

        let recorded_at = recorded[index + 1];
        let known = AsOf::Recorded(recorded_at);
        asked
            .ask(Kind::Recorded, &past, known, added_up(recorded_at, end))
            .await?;

        // What was known when this row was recorded of the moment of one that may come much later.
        let other = &books.rows[(index * 7 + 3) % books.rows.len()];
        let both = AsOf::Bitemporal {
            recorded: recorded_at,
            effective: other.effective_at,
        };
        let believed = added_up(recorded_at, other.effective_at);
        asked.ask(Kind::Bitemporal, &past, both, believed).await?;
    }
    Ok(())
}

/// When each event of an account was recorded, read without what is being checked.
async fn times_of_recording(
    store: &JournalStore,
    account: &AggregateRef<GlAccount>,
) -> Result<Vec<Timestamp>, Failure> {
    let mut times = Vec::new();
    let mut query = StreamQuery::whole(account.stream().clone(), 1_000);
    loop {
        let page = store.read_stream(query.clone()).await.map_err(fail)?;
        times.extend(page.events.iter().map(|event| event.recorded_at));
        match page.next {
            Some(next) => query.from = next,
            None => return Ok(times),
        }
    }
}
