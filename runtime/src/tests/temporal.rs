//! The past against a naive model, and beside the live actors.

mod causes;
mod live;
mod model;
mod read_models;

use std::sync::Mutex;

use foldhouse_store::{Append, NewEvent, Payload};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::*;

/// An account that remembers the order of its postings, so that a wrong order shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Account {
    postings: Vec<i64>,
}

impl Account {
    fn balance(&self) -> i64 {
        self.postings.iter().sum()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum AccountEvent {
    Posted { amount: i64 },
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    const STATE_SCHEMA: u32 = 3;
    const BACKDATING: Backdating = Backdating::Allowed;
    type Event = AccountEvent;

    fn apply(&mut self, AccountEvent::Posted { amount }: &AccountEvent) {
        self.postings.push(*amount);
    }
}

/// Posts several amounts, as events of one command.
struct Post(Vec<i64>);

impl Command for Post {
    type Aggregate = Account;
    type Reply = ();
    type Rejection = Never;

    fn decide(&self, _: &Account, _: &CommandContext) -> Decided<Self> {
        let events = self.0.iter();
        let events = events.map(|amount| AccountEvent::Posted { amount: *amount });
        Ok(Decision::events(events, ()))
    }
}

fn micros(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(micros)
}

/// A clock that stands where it is put.
#[derive(Clone, Debug, Default)]
struct SetClock(std::sync::Arc<Mutex<i64>>);

impl SetClock {
    fn set(&self, to: i64) {
        *self.0.lock().unwrap() = to;
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        micros(*self.0.lock().unwrap())
    }

    fn new_id(&self) -> Uuid {
        SystemClock.new_id()
    }
}

fn posted(amount: i64, effective_at: Option<i64>) -> NewEvent {
    let payload = Payload::message_pack(encoded(amount));
    NewEvent {
        effective_at: effective_at.map(micros),
        ..NewEvent::new(SystemClock.new_id(), "Posted", payload)
    }
}

/// `{"amount": amount}`, as an aggregate's actor would write it.
fn encoded(amount: i64) -> Vec<u8> {
    #[derive(Serialize)]
    struct Posted {
        amount: i64,
    }
    rmp_serde::to_vec_named(&Posted { amount }).unwrap()
}

async fn append(
    store: &MemoryStore,
    stream: &StreamId,
    events: impl IntoIterator<Item = NewEvent>,
) {
    let append = Append::to(stream.clone(), ExpectedVersion::Any, events);
    store.append(append).await.unwrap();
}

fn past_of<A: Aggregate>(store: &std::sync::Arc<MemoryStore>, id: &str) -> Past<A> {
    let past = Past::in_events(store.clone(), "acme", id).unwrap();
    past.with_snapshots(store.clone())
}
