//! Random commands, retries, rolls, failures and reopenings, against a map of what was recorded.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use proptest::prelude::*;
use uuid::Uuid;

use super::command_tests::{recorded, stamp};
use super::faulty_disk::Faults;
use super::test_support::*;
use super::*;
use crate::append::Append;
use crate::error::AppendError;
use crate::event_store::EventStore;
use crate::position::{ExpectedVersion, Version};

/// So many different ids that some come again, before and behind a roll.
const IDS: u128 = 60;

/// What is sent: an id, the number of events and their size, the size of the reply, and whether it expects a version.
type Sent = (u128, usize, usize, usize, bool);

#[derive(Clone, Debug)]
enum Step {
    /// All of them at once, while the disk is held.
    Send(Vec<Sent>),
    /// The same, but the write of the first frame that is held fails after or before it has reached the disk.
    SendAndFail(Vec<Sent>, bool),
    /// While there is no room for another segment.
    SendToFullDisk(Vec<Sent>),
    Plain(usize),
    Reopen,
    Die,
    LoseIndex,
}

fn sent() -> impl Strategy<Value = Sent> {
    let size = prop_oneof![3 => 0_usize..500, 2 => 5_000_usize..30_000];
    (0..IDS, 0_usize..3, size, 0_usize..3_000, any::<bool>())
}

fn step() -> impl Strategy<Value = Step> {
    let several = || prop::collection::vec(sent(), 1..8);
    prop_oneof![
        10 => several().prop_map(Step::Send),
        2 => (several(), any::<bool>()).prop_map(|(sent, written)| Step::SendAndFail(sent, written)),
        1 => several().prop_map(Step::SendToFullDisk),
        3 => (0_usize..60_000).prop_map(Step::Plain),
        1 => Just(Step::Reopen),
        1 => Just(Step::Die),
        1 => Just(Step::LoseIndex),
    ]
}

/// By id the position, the number of events and the size of the reply.
#[derive(Debug, Default)]
struct Model {
    commands: HashMap<u128, (u64, u32, usize)>,
    head: u64,
}

fn append_of((id, events, bytes, reply, expects): Sent, version: u64) -> Append {
    let expected = if expects {
        ExpectedVersion::Exact(Version::new(version))
    } else {
        ExpectedVersion::Any
    };
    let events = (0..events).map(|_| event(bytes));
    Append::to(stream("1000"), expected, events).answering(stamp(id, reply))
}

struct Run {
    directory: tempfile::TempDir,
    faults: Arc<Faults>,
    store: Option<JournalStore>,
    model: Model,
}

impl Run {
    fn new() -> Self {
        let mut run = Self {
            directory: tempfile::tempdir().unwrap(),
            faults: Arc::default(),
            store: None,
            model: Model::default(),
        };
        run.open();
        run
    }

    fn open(&mut self) {
        let options = options().stream_heads(0);
        self.store = Some(try_open(self.directory.path(), &options, &self.faults).unwrap());
    }

    fn store(&self) -> &JournalStore {
        self.store.as_ref().unwrap()
    }

    /// Submits all while no write gets through, each in the belief that those before it succeed.
    fn submit_all(&self, sent: &[Sent]) -> Vec<(Sent, Receiver<Outcome>)> {
        self.faults.hold_writes();
        let mut version = self.model.head;
        let mut ids: Vec<u128> = self.model.commands.keys().copied().collect();
        let submitted = sent.iter().map(|sent| {
            let receiver = submit(self.store(), append_of(*sent, version));
            if !ids.contains(&sent.0) {
                ids.push(sent.0);
                version += sent.1 as u64;
            }
            (*sent, receiver)
        });
        let submitted: Vec<_> = submitted.collect();
        submitted
    }

    /// Takes the answers in order; gives back whether the store failed.
    fn settle(&mut self, submitted: Vec<(Sent, Receiver<Outcome>)>) -> bool {
        let mut failed = false;
        for ((id, events, _, reply, _), receiver) in submitted {
            match answer(&receiver) {
                Ok(appended) => {
                    assert!(!failed, "what comes behind a failure is void");
                    assert!(
                        !self.model.commands.contains_key(&id),
                        "command {id} took effect twice"
                    );
                    self.model.head += events as u64;
                    let position = appended.position.get();
                    assert_eq!(position, self.model.head);
                    let count = u32::try_from(events).unwrap();
                    self.model.commands.insert(id, (position, count, reply));
                }
                Err(AppendError::Duplicate { command_id }) => {
                    assert_eq!(command_id, Uuid::from_u128(id));
                    assert!(self.model.commands.contains_key(&id), "command {id} is new");
                }
                Err(AppendError::NotRecorded(_) | AppendError::Unknown(_)) => failed = true,
                Err(other) => panic!("command {id}: {other}"),
            }
        }
        failed
    }

    /// Takes over what a write of unknown outcome has left.
    fn take_over_unknown(&mut self) {
        let store = self.store.as_ref().unwrap();
        for id in 0..IDS {
            if let Some(found) = recorded(store, id)
                && !self.model.commands.contains_key(&id)
            {
                let reply = found.reply.bytes.len();
                let found = (found.position.get(), found.event_count, reply);
                self.model.commands.insert(id, found);
            }
        }
        self.model.head = store.head().get();
        let mut ends: Vec<_> = self.model.commands.values().map(|(end, ..)| *end).collect();
        ends.sort_unstable();
        assert!(ends.last().is_none_or(|last| *last <= self.model.head));
    }

    fn is_same(&self) {
        let store = self.store();
        assert_eq!(store.head().get(), self.model.head);
        for id in 0..IDS {
            let found = recorded(store, id);
            let found = found.map(|found| {
                assert_eq!(found.fingerprint, id.to_be_bytes());
                assert_eq!(found.recorded_at.is_some(), found.event_count > 0);
                (
                    found.position.get(),
                    found.event_count,
                    found.reply.bytes.len(),
                )
            });
            assert_eq!(found, self.model.commands.get(&id).copied(), "command {id}");
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Send(sent) => {
                let submitted = self.submit_all(sent);
                self.faults.release_writes();
                assert!(!self.settle(submitted));
            }
            Step::SendAndFail(sent, written) => {
                let submitted = self.submit_all(sent);
                self.faults
                    .fail_next_write_after(if *written { usize::MAX } else { 0 });
                self.faults.release_writes();
                self.settle(submitted);
                self.faults.fail_no_write();
                self.store = None;
                self.open();
                self.take_over_unknown();
            }
            Step::SendToFullDisk(sent) => {
                self.faults.set_full(true);
                let submitted = self.submit_all(sent);
                self.faults.release_writes();
                self.settle(submitted);
                self.faults.set_full(false);
            }
            Step::Plain(bytes) => {
                append(self.store(), "1000", *bytes).unwrap();
                self.model.head += 1;
            }
            Step::Reopen => {
                self.store = None;
                self.open();
            }
            Step::Die => {
                die(self.store.take().unwrap());
                self.open();
            }
            Step::LoseIndex => {
                self.store = None;
                std::fs::remove_dir_all(self.directory.path().join("index")).unwrap();
                self.open();
            }
        }
    }
}

fn run(steps: &[Step]) {
    let mut run = Run::new();
    for step in steps {
        run.step(step);
        run.is_same();
    }
    assert_eq!(all_events(run.store(), 4).len() as u64, run.model.head);
    run.step(&Step::LoseIndex);
    run.is_same();
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn commands_retried_at_random_take_effect_once_and_are_found_as_they_were(
        steps in prop::collection::vec(step(), 1..30)
    ) {
        run(&steps);
    }
}

proptest! {
    #![proptest_config(config(600))]

    /// `cargo test --release -p foldhouse-store --lib -- --ignored commands_retried_at_random_campaign`
    #[test]
    #[ignore = "some minutes"]
    fn commands_retried_at_random_campaign(steps in prop::collection::vec(step(), 1..80)) {
        run(&steps);
    }
}

#[test]
fn a_command_without_events_outlives_a_failed_write_behind_it_and_two_crashes() {
    run(&[
        Step::Send(vec![(0, 0, 0, 0, false)]),
        Step::SendAndFail(
            vec![
                (28, 2, 8_674, 42, false),
                (44, 0, 19_655, 412, true),
                (46, 0, 19_784, 837, false),
            ],
            false,
        ),
        Step::Die,
    ]);
}
