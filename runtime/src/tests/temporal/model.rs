//! The answers against a model that keeps a list and sorts it.

use std::num::NonZeroU16;
use std::sync::Arc;

use foldhouse_store::Snapshot;
use proptest::prelude::*;

use super::*;

/// What is known of an event without the store.
#[derive(Clone, Copy, Debug)]
struct Known {
    version: u64,
    position: u64,
    recorded: i64,
    effective: i64,
    amount: i64,
}

/// One step of the making of a history.
#[derive(Clone, Debug)]
enum Make {
    /// The time goes on, and events are recorded, each effective so much before or behind then.
    Post {
        after: i64,
        effective: Vec<Option<i64>>,
    },
    /// Something else is recorded, so that positions are not versions.
    Other,
    /// A snapshot of the version at this part of the history.
    Snapshot { part: f64, fault: Fault },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Schema,
    History,
    Bytes,
}

fn make() -> impl Strategy<Value = Make> {
    let effective = prop_oneof![
        3 => Just(None),
        2 => (0..30i64).prop_map(Some),
        1 => (-3000..300i64).prop_map(Some),
    ];
    let fault = prop_oneof![
        4 => Just(Fault::None),
        1 => Just(Fault::Schema),
        1 => Just(Fault::History),
        1 => Just(Fault::Bytes),
    ];
    prop_oneof![
        6 => (0..40i64, prop::collection::vec(effective, 1..12))
            .prop_map(|(after, effective)| Make::Post { after, effective }),
        2 => Just(Make::Other),
        2 => (0.0..1.0f64, fault).prop_map(|(part, fault)| Make::Snapshot { part, fault }),
    ]
}

/// A moment, by parts of what there is.
fn moment() -> impl Strategy<Value = (u8, f64, f64)> {
    (0..6u8, -0.05..1.05f64, -0.05..1.05f64)
}

struct Made {
    store: Arc<MemoryStore>,
    known: Vec<Known>,
}

async fn made(steps: &[Make]) -> Made {
    let clock = SetClock::default();
    let store = Arc::new(MemoryStore::with_clock(Arc::new(clock.clone())));
    let stream = StreamId::new("acme", Account::TYPE, "1").unwrap();
    let other = StreamId::new("acme", Account::TYPE, "2").unwrap();
    let (mut now, mut amount) = (1_000, 0);
    let mut known: Vec<Known> = Vec::new();
    for step in steps {
        match step {
            Make::Other => append(&store, &other, [posted(0, None)]).await,
            Make::Post { after, effective } => {
                now += after;
                clock.set(now);
                let first = known.len();
                let position = store.head().get();
                for (index, effective) in effective.iter().enumerate() {
                    amount += 1;
                    known.push(Known {
                        version: (first + index + 1) as u64,
                        position: position + index as u64 + 1,
                        recorded: now,
                        effective: effective.map_or(now, |by| now + by),
                        amount: amount * if amount % 3 == 0 { -1 } else { 1 },
                    });
                }
                let events = known[first..]
                    .iter()
                    .zip(effective)
                    .map(|(event, given)| posted(event.amount, given.map(|_| event.effective)));
                append(&store, &stream, events).await;
            }
            Make::Snapshot { part, fault } => {
                let version = (known.len() as f64 * part) as u64;
                if version > 0 {
                    save_snapshot(&store, &stream, &known, version, *fault).await;
                }
            }
        }
    }
    Made { store, known }
}

async fn save_snapshot(
    store: &MemoryStore,
    stream: &StreamId,
    known: &[Known],
    version: u64,
    fault: Fault,
) {
    let query = StreamQuery::since(stream.clone(), Version::new(version), 1);
    let event = store.read_stream(query).await.unwrap().events.remove(0);
    let mut postings: Vec<_> = known[..version as usize].iter().map(|k| k.amount).collect();
    if fault != Fault::None {
        // Whoever uses it shows a wrong state.
        postings.push(1_000_000);
    }
    let mut payload =
        Payload::message_pack(rmp_serde::to_vec_named(&Account { postings }).unwrap());
    if fault == Fault::Bytes {
        payload.bytes = payload.bytes.slice(..payload.bytes.len() - 1);
    }
    let snapshot = Snapshot {
        stream: stream.clone(),
        version: Version::new(version),
        event_id: if fault == Fault::History {
            Uuid::nil()
        } else {
            event.id
        },
        taken_at: event.recorded_at,
        state_schema: Account::STATE_SCHEMA - u32::from(fault == Fault::Schema),
        payload,
    };
    let keep = NonZeroU16::new(5).unwrap();
    store.save_snapshot(snapshot, keep).await.unwrap();
}

impl Made {
    fn as_of(&self, (kind, one, other): (u8, f64, f64)) -> AsOf {
        let part_of = |values: Vec<i64>, part: f64| {
            let (Some(least), Some(most)) = (values.iter().min(), values.iter().max()) else {
                return 0;
            };
            least + ((most - least) as f64 * part) as i64
        };
        let recorded = |part| {
            micros(part_of(
                self.known.iter().map(|k| k.recorded).collect(),
                part,
            ))
        };
        let effective = |part| {
            micros(part_of(
                self.known.iter().map(|k| k.effective).collect(),
                part,
            ))
        };
        match kind {
            0 => AsOf::Now,
            1 => AsOf::Version(Version::new(
                (self.known.len() as f64 * one.clamp(0.0, 1.0)) as u64,
            )),
            2 => AsOf::Position(Position::new(
                (self.store.head().get() as f64 * one.clamp(0.0, 1.0)) as u64,
            )),
            3 => AsOf::Recorded(recorded(one)),
            4 => AsOf::Effective(effective(one)),
            _ => AsOf::Bitemporal {
                recorded: recorded(one),
                effective: effective(other),
            },
        }
    }

    /// The events that count, in the order in which they are folded.
    fn counting(&self, as_of: AsOf) -> Vec<Known> {
        let counts = |known: &&Known| match as_of {
            AsOf::Now => true,
            AsOf::Version(version) => known.version <= version.get(),
            AsOf::Position(position) => known.position <= position.get(),
            AsOf::Recorded(by) => known.recorded <= by.unix_micros(),
            AsOf::Effective(by) => known.effective <= by.unix_micros(),
            AsOf::Bitemporal {
                recorded,
                effective,
            } => {
                known.recorded <= recorded.unix_micros()
                    && known.effective <= effective.unix_micros()
            }
        };
        let mut counting: Vec<_> = self.known.iter().filter(counts).copied().collect();
        if matches!(as_of, AsOf::Effective(_) | AsOf::Bitemporal { .. }) {
            counting.sort_by_key(|known| (known.effective, known.version));
        }
        counting
    }

    async fn check_state(&self, past: &Past<Account>, as_of: AsOf) {
        let expected: Vec<_> = self
            .counting(as_of)
            .iter()
            .map(|known| known.amount)
            .collect();
        let answer = past.state(as_of).await.unwrap();
        assert_eq!(answer.state.postings, expected, "{as_of}");
        assert_eq!(answer.events, expected.len() as u64, "{as_of}");
    }

    /// For whom the order makes no difference.
    async fn check_sum(&self, sums: &Past<Account>, as_of: AsOf) {
        let expected = self.counting(as_of);
        let sum: i64 = expected.iter().map(|known| known.amount).sum();
        let answer = sums.state(as_of).await.unwrap();
        assert_eq!(answer.state.balance(), sum, "{as_of}");
        assert_eq!(answer.events, expected.len() as u64, "{as_of}");
    }

    async fn check_history(&self, past: &Past<Account>, from: AsOf, to: AsOf, limit: usize) {
        let before: Vec<_> = self
            .counting(from)
            .iter()
            .map(|known| known.version)
            .collect();
        let mut expected = Vec::new();
        let mut postings = Vec::new();
        for known in self.counting(to) {
            let was = Account {
                postings: postings.clone(),
            };
            postings.push(known.amount);
            if !before.contains(&known.version) {
                expected.push((
                    known.version,
                    was,
                    Account {
                        postings: postings.clone(),
                    },
                ));
            }
        }
        let mut found = Vec::new();
        let mut query = HistoryQuery::between(from, to).limit(limit);
        loop {
            let page = past.history(&query, Clone::clone).await.unwrap();
            assert!(page.changes.len() <= limit);
            found.extend(
                page.changes
                    .into_iter()
                    .map(|change| (change.event.version.get(), change.before, change.after)),
            );
            match page.next {
                Some(cursor) => query = query.behind(cursor),
                None => {
                    assert_eq!(page.closing.postings, postings, "{from} to {to}");
                    break;
                }
            }
        }
        assert_eq!(found, expected, "{from} to {to}, {limit} a page");
    }

    async fn check_explained(&self, past: &Past<Account>, to: AsOf) {
        let query = HistoryQuery::between(AsOf::BEGINNING, to).limit(HISTORY_PAGE_CHANGES_MAX);
        let explained = past
            .explain(&query, |account| account.balance() / 2)
            .await
            .unwrap();
        assert_eq!(explained.opening, 0);
        let mut figure = 0;
        for change in &explained.changes {
            assert_eq!(change.before, figure);
            assert_ne!(change.before, change.after);
            figure = change.after;
        }
        let balance: i64 = self.counting(to).iter().map(|known| known.amount).sum();
        assert_eq!((figure, explained.closing), (balance / 2, balance / 2));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_answer_is_what_a_sorted_list_of_the_events_comes_to(
        steps in prop::collection::vec(make(), 1..50),
        moments in prop::collection::vec((moment(), moment(), 1..40usize), 1..8),
    ) {
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tokio.block_on(async {
            let made = made(&steps).await;
            // One handle over all questions, whose marks grow, and one for each.
            let kept = past_of::<Account>(&made.store, "1");
            for (from, to, limit) in moments {
                let (from, to) = (made.as_of(from), made.as_of(to));
                for past in [&past_of::<Account>(&made.store, "1"), &kept] {
                    made.check_state(past, to).await;
                    made.check_history(past, from, to, limit).await;
                    made.check_explained(past, to).await;
                }
                let sums = past_of::<Account>(&made.store, "1").backdating(Backdating::AnyOrder);
                made.check_sum(&sums, to).await;
            }
        });
    }
}

/// More than a page, with snapshots on the way.
#[tokio::test]
async fn a_long_history_is_read_over_pages_from_the_nearest_snapshot() {
    let mut steps = Vec::new();
    for round in 0..35i64 {
        let effective = (0..100)
            .map(|index| (round % 7 == 3).then_some(-index * 10))
            .collect();
        steps.push(Make::Post {
            after: 10,
            effective,
        });
        if round % 10 == 9 {
            steps.push(Make::Snapshot {
                part: 0.99,
                fault: Fault::None,
            });
        }
    }
    let made = made(&steps).await;
    let past = past_of::<Account>(&made.store, "1");
    for moment in (0..6u8).flat_map(|kind| [(kind, 0.3, 0.7), (kind, 0.98, 0.9), (kind, 0.0, 1.0)])
    {
        made.check_state(&past, made.as_of(moment)).await;
        let sums = past_of::<Account>(&made.store, "1").backdating(Backdating::AnyOrder);
        made.check_sum(&sums, made.as_of(moment)).await;
    }
    let from_snapshot = past
        .state(AsOf::Version(Version::new(3_000)))
        .await
        .unwrap();
    assert_eq!(from_snapshot.snapshot, Version::new(2_970));
    let (from, to) = (
        AsOf::Version(Version::new(900)),
        AsOf::Effective(micros(1_300)),
    );
    made.check_history(&past, from, to, 700).await;
}

#[tokio::test]
async fn a_moment_that_is_not_there_yet_is_refused_and_the_empty_past_is_empty() {
    let made = made(&[Make::Post {
        after: 0,
        effective: vec![None],
    }])
    .await;
    let past = past_of::<Account>(&made.store, "1");
    for as_of in [
        AsOf::Version(Version::new(2)),
        AsOf::Position(Position::new(2)),
    ] {
        let refused = past.state(as_of).await.unwrap_err();
        assert!(matches!(refused, PastError::NotYet { .. }), "{refused}");
    }
    let nobody = past_of::<Account>(&made.store, "nobody");
    for as_of in [
        AsOf::Now,
        AsOf::Recorded(micros(5)),
        AsOf::Effective(micros(5)),
        AsOf::BEGINNING,
    ] {
        assert_eq!(nobody.state(as_of).await.unwrap().state, Account::default());
        assert_eq!(nobody.version(as_of).await.unwrap(), Version::EMPTY);
        let page = nobody
            .history(&(AsOf::BEGINNING..as_of).into(), Clone::clone)
            .await
            .unwrap();
        assert!(page.changes.is_empty() && page.next.is_none());
    }
}
