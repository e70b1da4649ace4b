//! Who changed it, by which command, and what it rests on.

use std::sync::Arc;

use super::super::{PATIENCE, start};
use super::*;

/// As `Account`, but its events build on each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Order {
    steps: Vec<i64>,
}

impl Aggregate for Order {
    const TYPE: &'static str = "order";
    type Event = AccountEvent;

    fn apply(&mut self, AccountEvent::Posted { amount }: &AccountEvent) {
        assert_eq!(*amount, self.steps.len() as i64, "a step out of its order");
        self.steps.push(*amount);
    }
}

/// An order with a step for each effective time.
async fn order(effective: &[i64]) -> Past<Order> {
    let store = Arc::new(MemoryStore::new());
    let stream = StreamId::new("acme", Order::TYPE, "1").unwrap();
    let events = (0..).zip(effective);
    let events = events.map(|(step, effective)| posted(step, Some(*effective)));
    append(&store, &stream, events).await;
    past_of(&store, "1")
}

#[tokio::test]
async fn an_aggregate_that_does_not_allow_for_it_is_not_folded_in_another_order() {
    let by = |effective| AsOf::Effective(micros(effective));
    let steps = |past: Result<StateAt<Order>, PastError>| past.unwrap().state.steps;

    let past = order(&[10, 20, 20, 30]).await;
    for (effective, expected) in [(9, vec![]), (20, vec![0, 1, 2]), (99, vec![0, 1, 2, 3])] {
        assert_eq!(steps(past.state(by(effective)).await), expected);
    }

    // The third is back-dated: up to the second's time it is out of order, and behind that both orders differ.
    let past = order(&[10, 30, 20, 40]).await;
    assert_eq!(steps(past.state(by(10)).await), [0]);
    for effective in [20, 30, 99] {
        let refused = past.state(by(effective)).await.unwrap_err();
        let PastError::BackDated(event) = &refused else {
            panic!("{refused}");
        };
        assert_eq!(
            (event.version, event.earlier),
            (Version::new(3), Version::new(2))
        );
        assert!(
            refused.to_string().contains("Aggregate::BACKDATING"),
            "{refused}"
        );
    }
    // The same question by recorded time has an answer.
    assert_eq!(steps(past.state(AsOf::Now).await), [0, 1, 2, 3]);
    // Who insists gets what the aggregate's own code says.
    let insisted = past
        .backdating(Backdating::Allowed)
        .state(by(99))
        .await
        .unwrap_err();
    let PastError::Unreadable(unreadable) = insisted else {
        panic!("{insisted}");
    };
    assert!(
        unreadable.to_string().contains("a step out of its order"),
        "{unreadable}"
    );
}

#[tokio::test]
async fn every_change_tells_its_command_user_and_what_caused_it() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let account = runtime.aggregate::<Account>("acme", "1").unwrap();
    let mut commands = Vec::new();
    for events in [1, 3, 1, 130, 2, 2, 1] {
        let command = SystemClock.new_id();
        let meta = CommandMeta::new()
            .user(format!("user {events}"))
            .correlation_id(Uuid::from_u128(events))
            .causation_id(Uuid::from_u128(7));
        let options = CommandOptions::new().command_id(command).meta(meta);
        let amounts = vec![1; events as usize];
        account.execute(Post(amounts), options).await.unwrap();
        commands.extend(std::iter::repeat_n((command, events), events as usize));
    }
    let past = account.past();
    // However the history is cut, and also where a cut is in the middle of a command.
    for (skip, limit) in [(0, 1_000), (0, 1), (2, 3), (100, 7), (138, 1)] {
        let mut query =
            HistoryQuery::between(AsOf::Version(Version::new(skip)), AsOf::Now).limit(limit);
        let mut expected = commands.iter().skip(skip as usize);
        loop {
            let page = past.history(&query, Account::balance).await.unwrap();
            for change in &page.changes {
                let (command, events) = expected.next().unwrap();
                assert_eq!(
                    change.command_id, *command,
                    "version {}",
                    change.event.version
                );
                assert_eq!(
                    change.event.user.as_deref(),
                    Some(&*format!("user {events}"))
                );
                assert_eq!(change.event.correlation_id, Some(Uuid::from_u128(*events)));
                assert_eq!(change.after, change.event.version.get() as i64);
            }
            match page.next {
                Some(cursor) => query = query.behind(cursor),
                None => break,
            }
        }
        assert_eq!(expected.next(), None);
    }
    runtime.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn evidence_is_the_same_from_a_copy_and_another_for_another_history() {
    let store = Arc::new(MemoryStore::with_clock(Arc::new(SetClock::default())));
    let copy = Arc::new(MemoryStore::with_clock(Arc::new(SetClock::default())));
    let changed = Arc::new(MemoryStore::with_clock(Arc::new(SetClock::default())));
    let stream = StreamId::new("acme", Account::TYPE, "1").unwrap();
    for amount in 0..100 {
        let event = posted(amount, Some(50 - amount));
        let other = NewEvent {
            user: (amount == 40).then(|| "mallory".into()),
            ..event.clone()
        };
        for (store, event) in [(&store, event.clone()), (&copy, event), (&changed, other)] {
            append(store, &stream, [event]).await;
        }
    }
    let evidence = async |store, as_of| {
        past_of::<Account>(store, "1")
            .evidence(as_of)
            .await
            .unwrap()
    };
    for (as_of, counts, differs) in [
        (AsOf::Now, 100, true),
        (AsOf::Version(Version::new(40)), 40, false),
        (AsOf::Effective(micros(10)), 60, true),
        (AsOf::Effective(micros(9)), 59, false),
    ] {
        let original = evidence(&store, as_of).await;
        assert_eq!(original.events, counts);
        assert_eq!(original, evidence(&copy, as_of).await);
        let other = evidence(&changed, as_of).await;
        assert_eq!(
            original.digest != other.digest,
            differs,
            "{as_of}: {original}"
        );
    }
    let all = evidence(&store, AsOf::Now).await;
    assert_eq!(all.positions, Some((Position::new(1), Position::new(100))));
    assert!(all.to_string().contains(&all.digest_hex()));
}

#[tokio::test]
async fn a_comparison_names_what_was_recorded_late() {
    let clock = SetClock::default();
    let store = Arc::new(MemoryStore::with_clock(Arc::new(clock.clone())));
    let stream = StreamId::new("acme", Account::TYPE, "1").unwrap();
    for (recorded, amount, effective) in [(31, 100, 31), (40, 5, 40), (45, 7, 30)] {
        clock.set(recorded);
        append(&store, &stream, [posted(amount, Some(effective))]).await;
    }
    let past = past_of::<Account>(&store, "1");
    let reported = AsOf::Bitemporal {
        recorded: micros(41),
        effective: micros(31),
    };
    let now = AsOf::Effective(micros(31));
    let compared = past.compare(reported, now).await.unwrap();
    let balances = [&compared.before, &compared.after].map(|state| state.state.balance());
    assert_eq!(balances, [100, 107]);
    assert_eq!(
        compared.differences.to_string(),
        "postings[0]: 100 -> 7\npostings[1]: (absent) -> 100\n"
    );
    let late = past
        .history(&(reported..now).into(), Account::balance)
        .await
        .unwrap();
    let late: Vec<_> = late
        .changes
        .iter()
        .map(|change| change.event.version.get())
        .collect();
    assert_eq!(late, [3]);
    // A cursor is of its own stream.
    let first = HistoryQuery::between(AsOf::BEGINNING, now).limit(1);
    let cursor = past
        .history(&first, Account::balance)
        .await
        .unwrap()
        .next
        .unwrap();
    let other = past_of::<Account>(&store, "2");
    let refused = other
        .history(&first.behind(cursor), Account::balance)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, PastError::OtherStream { .. }),
        "{refused}"
    );
}
