//! Read models as of a position.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;

/// The sum of each account; forgets those at 0; fails on 13.
struct Sums;

impl Projection for Sums {
    const NAME: &'static str = "sums";
    const ROWS_MAX: usize = 3;
    type Key = String;
    type Row = i64;

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<String, i64>,
    ) -> Result<(), ProjectionError> {
        let Some(decoded) = decode_event::<Account>(event) else {
            return Ok(());
        };
        let AccountEvent::Posted { amount } = decoded?;
        assert_ne!(amount, 14, "apply was told to panic");
        if amount == 13 {
            return Err(ProjectionError::new("13 brings bad luck"));
        }
        let id = event.stream.aggregate_id();
        if table.update(id, |sum| {
            *sum += amount;
            *sum
        }) == 0
        {
            table.remove(id);
        }
        Ok(())
    }
}

async fn postings(store: &MemoryStore, postings: impl IntoIterator<Item = (u64, i64)>) {
    for (id, amount) in postings {
        let stream = StreamId::new("acme", Account::TYPE, &id.to_string()).unwrap();
        append(store, &stream, [posted(amount, None)]).await;
    }
}

#[tokio::test]
async fn a_read_model_is_made_as_it_was_at_every_position() {
    let store = Arc::new(MemoryStore::new());
    let history = (0..2_500u64).map(|number| (number % 3, [5, -2, 1, -4][number as usize % 4]));
    let history: Vec<_> = history.collect();
    postings(&store, history.iter().copied()).await;
    for position in [0, 1, 2, 7, 1_023, 1_024, 1_025, 2_048, 2_499, 2_500] {
        let mut expected = BTreeMap::<String, i64>::new();
        for (id, amount) in history.iter().take(position) {
            *expected.entry(id.to_string()).or_default() += amount;
        }
        expected.retain(|_, sum| *sum != 0);
        let then = read_model_at(&*store, Sums, Position::new(position as u64))
            .await
            .unwrap();
        let rows = then.table.iter().map(|(id, sum)| (id.clone(), *sum));
        assert_eq!(
            rows.collect::<BTreeMap<_, _>>(),
            expected,
            "position {position}"
        );
    }
    let refused = read_model_at(&*store, Sums, Position::new(2_501))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, ReadModelError::NotYet { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn an_event_that_cannot_be_applied_is_named() {
    for (amount, words) in [
        (13, "13 brings bad luck"),
        (14, "told to panic"),
        (1, "4 rows"),
    ] {
        let store = Arc::new(MemoryStore::new());
        postings(&store, [(1, 1), (2, 1), (3, 1), (4, amount)]).await;
        let failed = read_model_at(&*store, Sums, Position::new(4))
            .await
            .unwrap_err();
        let ReadModelError::Failed { position, .. } = &failed else {
            panic!("{failed}");
        };
        assert_eq!(position.get(), 4);
        assert!(failed.to_string().contains(words), "{failed}");
        read_model_at(&*store, Sums, Position::new(3))
            .await
            .unwrap();
    }
}

/// As `Sums`, but of two accounts only, and without the events that it cannot apply.
struct SomeSums;

impl Projection for SomeSums {
    const NAME: &'static str = "some-sums";
    type Key = String;
    type Row = i64;

    fn filter(&self) -> ProjectionFilter {
        ProjectionFilter::all().tenants(["acme"])
    }

    fn failure_policy(&self) -> FailurePolicy {
        FailurePolicy::set_aside(1)
    }

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<String, i64>,
    ) -> Result<(), ProjectionError> {
        table.update("all", |sum| *sum += 1_000);
        Sums.apply(event, table)
    }
}

#[tokio::test]
async fn the_filter_holds_and_an_event_is_set_aside_as_the_policy_lets_it() {
    let store = Arc::new(MemoryStore::new());
    let elsewhere = StreamId::new("other", Account::TYPE, "1").unwrap();
    postings(&store, [(1, 1), (1, 13), (1, 4)]).await;
    append(&store, &elsewhere, [posted(100, None)]).await;
    postings(&store, [(1, 13)]).await;
    let then = read_model_at(&*store, SomeSums, Position::new(4)).await;
    let then = then.unwrap();
    assert_eq!(then.set_aside, [Position::new(2)]);
    assert_eq!(
        (then.table.get("1"), then.table.get("all")),
        (Some(&5), Some(&2_000))
    );
    let failed = read_model_at(&*store, SomeSums, Position::new(5)).await;
    let failed = failed.unwrap_err();
    assert!(matches!(failed, ReadModelError::Failed { position, .. } if position.get() == 5));
}

#[tokio::test]
async fn a_time_leads_to_the_last_position_that_was_recorded_by_then() {
    let clock = SetClock::default();
    let store = Arc::new(MemoryStore::with_clock(Arc::new(clock.clone())));
    let position = async |at| {
        position_recorded_by(&*store, micros(at))
            .await
            .unwrap()
            .get()
    };
    assert_eq!(position(5).await, 0);
    for (recorded, count) in [(10, 3), (20, 1), (30, 4)] {
        clock.set(recorded);
        postings(&store, (0..count).map(|id| (id, 1))).await;
    }
    for (at, expected) in [(9, 0), (10, 3), (19, 3), (20, 4), (29, 4), (30, 8), (99, 8)] {
        assert_eq!(position(at).await, expected, "at {at}");
    }
}
