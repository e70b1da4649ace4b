use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use foldhouse_store::{
    Append, AppendError, Appended, Change, Checkpoint, EventStore, ExpectedVersion, JournalStore,
    NewEvent, Payload, Position, ReadError, ReadModelStore, Snapshot, SnapshotStore, StreamAppend,
    StreamId, Version,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::witness::{Answer, Attempt, Told, Witness};
use crate::power::volume::Volume;

const STREAMS: usize = 12;
/// The most appends that are under way at once.
const CALLERS: usize = 12;
/// Longer than anything takes that is not stuck.
const STUCK: Duration = Duration::from_secs(60);

pub(crate) const PROJECTION: &str = "totals";
pub(crate) const HEAD_ROW: &[u8] = b"head";

/// What several callers do to a store, drawn from a seed.
pub(crate) struct Workload {
    volume: Volume,
    random: StdRng,
    witness: Witness,
    /// The version that each stream has when all that was submitted is recorded.
    versions: HashMap<StreamId, u64>,
    /// Whether an append was refused, so that the versions above may not be those of the store.
    was_refused: bool,
    /// The last acked event of each stream.
    last: HashMap<StreamId, (Version, Uuid)>,
    head: Position,
}

struct Submitted {
    events: Vec<Told>,
    /// How many events go to each stream, in order.
    parts: Vec<usize>,
    answer: Receiver<(usize, Result<Appended, AppendError>)>,
}

impl Workload {
    pub(crate) fn new(volume: &Volume, seed: u64) -> Self {
        let stream = |number| StreamId::new("acme", "gl-account", &format!("{number}"));
        let streams = (0..STREAMS).map(|number| stream(number).expect("a good name"));
        Self {
            volume: volume.clone(),
            random: StdRng::seed_from_u64(seed),
            witness: Witness {
                streams: streams.collect(),
                ..Witness::default()
            },
            versions: HashMap::new(),
            was_refused: false,
            last: HashMap::new(),
            head: Position::BEFORE_FIRST,
        }
    }

    pub(crate) fn into_witness(self) -> Witness {
        self.witness
    }

    /// Uses the store for so many rounds, and closes it.
    pub(crate) fn live(&mut self, store: &JournalStore, rounds: usize) {
        let runtime = super::runtime();
        let mut write_failed = false;
        for _ in 0..rounds {
            let beside = match self.random.random_range(0..10) {
                0 => runtime.block_on(self.save_snapshot(store)),
                1 => runtime.block_on(self.commit_read_model(store)),
                _ => {
                    self.append_some(store, &mut write_failed);
                    Ok(())
                }
            };
            self.witness.failed_beside.extend(beside.err());
        }
        store.close();
    }

    /// Appends until the store refuses something; gives back the last answers.
    pub(crate) fn append_until_refused(&mut self, store: &JournalStore) -> &[Attempt] {
        loop {
            let first = self.witness.attempts.len();
            self.append_some(store, &mut false);
            if !self.witness.attempts[first..].iter().all(Attempt::is_acked) {
                return &self.witness.attempts[first..];
            }
        }
    }

    pub(crate) fn witness(&self) -> &Witness {
        &self.witness
    }

    fn append_some(&mut self, store: &JournalStore, write_failed: &mut bool) {
        let callers = self.random.random_range(1..=CALLERS);
        let submitted: Vec<_> = (0..callers).map(|_| self.submit(store)).collect();
        let first = self.witness.attempts.len();
        for submitted in submitted {
            self.take_answer(submitted);
        }
        let answers = &self.witness.attempts[first..];
        if *write_failed && answers.iter().any(Attempt::is_acked) {
            self.witness.acked_after_a_failed_write += 1;
        }
        *write_failed |= answers.iter().any(Attempt::is_unknown);
    }

    fn submit(&mut self, store: &JournalStore) -> Submitted {
        let count = if self.random.random_bool(0.25) {
            self.random.random_range(2..=4)
        } else {
            1
        };
        let streams: Vec<_> = self
            .witness
            .streams
            .sample(&mut self.random, count)
            .cloned()
            .collect();
        let (mut append, mut events, mut parts) = (Append::default(), Vec::new(), Vec::new());
        for stream in streams {
            let part = self.part(stream);
            let told = part.events.iter().map(|event| Told {
                id: event.id,
                stream: part.stream.clone(),
                payload: event.payload.clone(),
                place: None,
            });
            events.extend(told);
            parts.push(part.events.len());
            append.streams.push(part);
        }
        let (sender, answer) = channel();
        let volume = self.volume.clone();
        // On the committing thread, at once: a cut behind this step must not lose it.
        let settled = move |outcome: Result<Appended, AppendError>| {
            let step = if outcome.is_ok() { volume.ack() } else { 0 };
            drop(sender.send((step, outcome)));
        };
        store.submit(append, Box::new(settled));
        Submitted {
            events,
            parts,
            answer,
        }
    }

    /// A few events for one stream.
    fn part(&mut self, stream: StreamId) -> StreamAppend {
        let version = self.versions.entry(stream.clone()).or_default();
        let expected = match *version {
            _ if self.was_refused => ExpectedVersion::Any,
            0 => ExpectedVersion::NoStream,
            _ if self.random.random_bool(0.5) => ExpectedVersion::Any,
            version => ExpectedVersion::Exact(Version::new(version)),
        };
        let count = self.random.random_range(1..=3);
        *version += count;
        let events = (0..count).map(|_| self.event()).collect();
        StreamAppend {
            stream,
            expected,
            events,
        }
    }

    fn event(&mut self) -> NewEvent {
        let bytes = match self.random.random_range(0..20) {
            0 => self.random.random_range(5_000..40_000),
            1..=4 => self.random.random_range(300..5_000),
            _ => self.random.random_range(0..300),
        };
        let mut payload = vec![0; bytes];
        // Zeros are what a torn write shows, too: some payloads are full of them.
        if self.random.random_bool(0.8) {
            self.random.fill(&mut payload[..]);
        }
        let id = Uuid::from_u128(self.random.random());
        NewEvent::new(id, "Debited", Payload::raw(payload))
    }

    fn take_answer(&mut self, submitted: Submitted) {
        let (step, outcome) = submitted.answer.recv_timeout(STUCK).expect("an answer");
        let mut events = submitted.events;
        let appended = match outcome {
            Ok(appended) => appended,
            Err(error) => {
                self.was_refused = true;
                self.witness.attempts.push(Attempt {
                    answer: Answer::Refused(error),
                    events,
                });
                return;
            }
        };
        let mut position = appended.position.get() - u64::from(appended.event_count);
        let mut told = events.iter_mut();
        for (count, version) in submitted.parts.iter().zip(&appended.versions) {
            for (event, back) in told.by_ref().take(*count).zip((0..*count as u64).rev()) {
                position += 1;
                let version = Version::new(version.get() - back);
                event.place = Some((version, Position::new(position)));
                self.last.insert(event.stream.clone(), (version, event.id));
            }
        }
        self.head = self.head.max(appended.position);
        self.witness.attempts.push(Attempt {
            answer: Answer::Acked { step },
            events,
        });
    }

    async fn save_snapshot(&mut self, store: &JournalStore) -> Result<(), ReadError> {
        let Some(stream) = self.witness.streams.choose(&mut self.random).cloned() else {
            return Ok(());
        };
        let Some((version, event_id)) = self.last.get(&stream).copied() else {
            return Ok(());
        };
        let times = self.random.random_range(1..800);
        let snapshot = Snapshot {
            stream,
            version,
            event_id,
            taken_at: store.clock().now(),
            state_schema: 1,
            payload: Payload::raw(version.get().to_le_bytes().repeat(times)),
        };
        store.save_snapshot(snapshot, NonZeroU16::MIN).await
    }

    async fn commit_read_model(&mut self, store: &JournalStore) -> Result<(), ReadError> {
        let checkpoint = Checkpoint {
            position: self.head,
            model_version: 1,
        };
        let change = Change {
            key: HEAD_ROW.to_vec(),
            value: Some(self.head.get().to_le_bytes().to_vec()),
        };
        store.commit(PROJECTION, checkpoint, vec![change]).await
    }
}
