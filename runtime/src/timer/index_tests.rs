//! The index over long histories, against the plainest model of what is pending.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use foldhouse_store::{
    Append, Change, EventStore, EventStoreExt, ExpectedVersion, NewEvent, Payload, ReadModelStore,
    Store, StreamId, Timestamp,
};
use uuid::Uuid;

use super::index::Index;
use super::record::{Cancelled, Fired, Scheduled, TIMERS_STREAM, TimerEvent};
use crate::event_codec::{encode, shared_text};
use crate::tests::held_store::HeldStore;
use crate::tests::stress::Random;

/// By aggregate and name: when it is due, its number and its id.
type Model = BTreeMap<(u64, u64), (i64, u64, Uuid)>;

struct History {
    store: Arc<HeldStore>,
    random: Random,
    model: Model,
    recorded: u64,
}

fn stream(number: u64) -> StreamId {
    StreamId::new("acme", "alarm", &number.to_string()).unwrap()
}

impl History {
    fn new(seed: u64) -> Self {
        Self {
            store: HeldStore::new(),
            random: Random(seed),
            model: Model::new(),
            recorded: 0,
        }
    }

    async fn goes_on(&mut self, records: usize, names: u64) {
        for _ in 0..records / 500 {
            let events: Vec<_> = (0..500).map(|_| self.record(names)).collect();
            let append = Append::to(TIMERS_STREAM.clone(), ExpectedVersion::Any, events);
            self.store.append(append).await.unwrap();
        }
    }

    fn record(&mut self, names: u64) -> NewEvent {
        self.recorded += 1;
        let (of, called) = (self.random.below(20), self.random.below(names));
        let (stream, name) = (stream(of), Arc::from(called.to_string()));
        let id = Uuid::from_u128(u128::from(self.recorded) * 0x1_0000_0001);
        let event = match self.random.below(10) {
            0..5 => {
                let due = self.random.below(2_000).cast_signed() - 1_000;
                self.model.insert((of, called), (due, self.recorded, id));
                TimerEvent::TimerScheduled(Scheduled {
                    stream,
                    name,
                    at: Timestamp::from_unix_micros(due),
                    command: "ring".into(),
                    content: Bytes::new(),
                })
            }
            5..7 => {
                self.model.remove(&(of, called));
                TimerEvent::TimerCancelled(Cancelled { stream, name })
            }
            // Every third time it is one that was replaced before.
            kind => {
                let pending = self.model.get(&(of, called));
                let timer = match pending {
                    Some((_, _, id)) if kind > 7 => {
                        let id = *id;
                        self.model.remove(&(of, called));
                        id
                    }
                    _ => Uuid::from_u128(7),
                };
                TimerEvent::TimerFired(Fired {
                    stream,
                    name,
                    timer,
                    rejected: None,
                })
            }
        };
        let mut payload = Vec::new();
        let event_type = encode(&event, &mut payload).unwrap();
        NewEvent::new(id, shared_text(event_type), Payload::message_pack(payload))
    }

    /// An index over it shows what the model has, in the order of time.
    async fn is_shown_by(&self, index: &mut Index) {
        index.catch_up(self.store.head()).await.unwrap();
        let mut expected: Vec<_> = self
            .model
            .values()
            .map(|(due, at, _)| (*due, *at))
            .collect();
        expected.sort_unstable();
        let shown: Vec<_> = index
            .front(None, usize::MAX)
            .iter()
            .map(|place| (place.try_at.unix_micros(), place.number.get()))
            .collect();
        assert_eq!(shown, expected);
        assert_eq!(index.pending(), expected.len() as u64);
        let (of, called) = self.model.keys().next().unwrap();
        let place = index.of(&stream(*of), 1)[0];
        let entry = index.entry(place).await.unwrap();
        assert_eq!((&entry.stream, entry.try_at), (&stream(*of), place.try_at));
        assert!(
            self.model.contains_key(&(*of, entry.name.parse().unwrap())),
            "{called}"
        );
    }

    async fn rows(&self) -> usize {
        self.store
            .rows("~timers", None, usize::MAX)
            .await
            .unwrap()
            .len()
    }
}

#[tokio::test]
async fn the_index_shows_what_is_pending_and_a_start_finds_it_in_a_log_of_its_size() {
    let mut history = History::new(1);
    let store: Arc<dyn Store> = history.store.clone();
    let mut index = Index::new(Arc::clone(&store));
    for (records, names) in [(2_000, 500), (40_000, 500), (40_000, 50), (4_000, 5)] {
        history.goes_on(records, names).await;
        history.is_shown_by(&mut index).await;
        history
            .is_shown_by(&mut Index::new(Arc::clone(&store)))
            .await;
    }
    // 86,000 records, under 10,000 pending: twice those, the spare rows, and what a round takes to get ahead.
    assert!(history.rows().await < 60, "{}", history.rows().await);
    store.reset("~timers").await.unwrap();
    history.is_shown_by(&mut Index::new(store)).await;
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_made_anew() {
    let mut history = History::new(2);
    let store: Arc<dyn Store> = history.store.clone();
    history.goes_on(20_000, 500).await;
    history
        .is_shown_by(&mut Index::new(Arc::clone(&store)))
        .await;
    let checkpoint = store.checkpoint("~timers").await.unwrap().unwrap();
    for (key, value) in [
        (vec![1; 9], Some(vec![3])),
        (vec![1, 0, 0, 0, 0, 0, 0, 0, 0], None),
    ] {
        let damage = vec![Change { key, value }];
        store.commit("~timers", checkpoint, damage).await.unwrap();
        history
            .is_shown_by(&mut Index::new(Arc::clone(&store)))
            .await;
    }
}

#[tokio::test]
async fn a_commit_that_fails_loses_nothing() {
    let mut history = History::new(3);
    let store: Arc<dyn Store> = history.store.clone();
    let mut index = Index::new(store);
    for round in 0..8 {
        history.goes_on(10_000, 300).await;
        history.store.fail_commits(usize::from(round % 2 == 0));
        let caught_up = index.catch_up(history.store.head()).await;
        assert_eq!(caught_up.is_err(), round % 2 == 0);
        history.is_shown_by(&mut index).await;
    }
}

#[tokio::test]
async fn two_runtimes_over_one_store_do_not_spoil_each_others_log() {
    let mut history = History::new(4);
    let store: Arc<dyn Store> = history.store.clone();
    let mut indexes = [(); 2].map(|()| Index::new(Arc::clone(&store)));
    // Enough for the oldest rows to be gone through, now by one and now by the other.
    for (round, records) in [12_000, 9_000, 12_000, 9_000].into_iter().enumerate() {
        history.goes_on(records, 40).await;
        history.is_shown_by(&mut indexes[round % 2]).await;
        let mut later = Index::new(Arc::clone(&store));
        history.is_shown_by(&mut later).await;
    }
}
