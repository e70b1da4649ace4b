//! Projections into a database of their user's: here one in memory, with transactions.

use std::sync::Mutex;

use foldhouse_store::EventStore;

use super::projections::add;
use super::*;
use crate::*;

#[derive(Clone, Debug, Default, PartialEq)]
struct Tables {
    checkpoint: u64,
    /// The positions that were applied, in order.
    rows: Vec<u64>,
    letters: Vec<u64>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Trouble {
    #[default]
    None,
    /// This event cannot be applied,
    Event(u64),
    /// or makes it panic.
    Panic(u64),
    /// It commits, and the answer is lost.
    LostAnswer,
}

#[derive(Clone, Default)]
struct Database {
    tables: Arc<Mutex<Tables>>,
    trouble: Arc<Mutex<Trouble>>,
    policy: FailurePolicy,
    filter: ProjectionFilter,
}

impl Database {
    fn tables(&self) -> Tables {
        self.tables.lock().unwrap().clone()
    }

    fn set(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = trouble;
    }

    /// All of it or nothing.
    fn transaction(&self, work: impl FnOnce(&mut Tables, Trouble)) -> Result<(), ProjectionError> {
        let trouble = *self.trouble.lock().unwrap();
        let mut tables = self.tables();
        work(&mut tables, trouble);
        *self.tables.lock().unwrap() = tables;
        match trouble {
            Trouble::LostAnswer => Err(ProjectionError::new("the answer was lost")),
            _ => Ok(()),
        }
    }
}

impl ExternalModel for Database {
    const NAME: &'static str = "database";

    fn filter(&self) -> ProjectionFilter {
        self.filter.clone()
    }

    fn failure_policy(&self) -> FailurePolicy {
        self.policy.clone()
    }

    async fn checkpoint(&mut self) -> Result<Position, ProjectionError> {
        Ok(Position::new(self.tables().checkpoint))
    }

    async fn apply(
        &mut self,
        events: &[&RecordedEvent],
        up_to: Position,
    ) -> Result<(), ProjectionError> {
        let trouble = *self.trouble.lock().unwrap();
        for event in events {
            let at = event.position.get();
            assert!(trouble != Trouble::Panic(at), "told to panic");
            if trouble == Trouble::Event(at) {
                return Err(ProjectionError::new("told to fail"));
            }
        }
        // As an asynchronous driver would.
        tokio::task::yield_now().await;
        self.transaction(|tables, _| {
            assert!(up_to.get() > tables.checkpoint, "an event twice");
            let positions = events.iter().map(|event| event.position.get());
            tables.rows.extend(positions);
            tables.checkpoint = up_to.get();
        })
    }

    async fn set_aside(
        &mut self,
        letter: &DeadLetter,
        up_to: Position,
    ) -> Result<(), ProjectionError> {
        self.transaction(|tables, _| {
            tables.letters.push(letter.position.get());
            tables.checkpoint = up_to.get();
        })
    }

    async fn apply_set_aside(&mut self, event: &RecordedEvent) -> Result<(), ProjectionError> {
        let at = event.position.get();
        if *self.trouble.lock().unwrap() == Trouble::Event(at) {
            return Err(ProjectionError::new("told to fail"));
        }
        self.transaction(|tables, _| {
            tables.letters.retain(|letter| *letter != at);
            tables.rows.push(at);
        })
    }

    async fn reset(&mut self) -> Result<(), ProjectionError> {
        *self.tables.lock().unwrap() = Tables::default();
        Ok(())
    }
}

fn at_once(policy: FailurePolicy) -> FailurePolicy {
    policy.retry_after([])
}

async fn until_parked(reference: &ExternalRef) -> ParkedEvent {
    loop {
        if let ProjectionState::Parked(parked) = reference.status().state {
            return parked;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn rows_and_checkpoint_are_those_of_its_transactions_over_restarts() {
    let store = Arc::new(MemoryStore::new());
    let database = Database::default();
    for round in 1..=3 {
        let runtime = start(&store).await;
        for _ in 0..10 {
            add(&runtime, "1", 1).await;
        }
        let reference = runtime.project_external(database.clone()).await.unwrap();
        add(&runtime, "1", 1).await;
        reference.wait_for(store.head(), PATIENCE).await.unwrap();
        let tables = database.tables();
        assert_eq!(tables.checkpoint, round * 11);
        assert_eq!(tables.rows, (1..=round * 11).collect::<Vec<_>>());
        let report = runtime.shutdown(PATIENCE).await.unwrap();
        assert_eq!(report.projections[0].position, store.head());
    }
}

#[tokio::test]
async fn an_event_that_fails_is_found_within_its_batch_and_parks_or_is_set_aside() {
    for trouble in [Trouble::Event(4), Trouble::Panic(4)] {
        for policy in [FailurePolicy::park(), FailurePolicy::set_aside(9)] {
            let sets_aside = policy == FailurePolicy::set_aside(9);
            let store = Arc::new(MemoryStore::new());
            let runtime = start(&store).await;
            for _ in 0..7 {
                add(&runtime, "1", 1).await;
            }
            let database = Database {
                policy: at_once(policy),
                ..Database::default()
            };
            database.set(trouble);
            let reference = runtime.project_external(database.clone()).await.unwrap();
            if sets_aside {
                reference.wait_for(store.head(), PATIENCE).await.unwrap();
                let tables = database.tables();
                assert_eq!(
                    (tables.rows, tables.letters),
                    (vec![1, 2, 3, 5, 6, 7], vec![4])
                );
                database.set(Trouble::Event(4));
                let still = reference.retry_dead_letter(Position::new(4)).await;
                assert!(matches!(still, Err(ControlError::StillFailing { .. })));
                database.set(Trouble::None);
                reference.retry_dead_letter(Position::new(4)).await.unwrap();
                assert!(database.tables().letters.is_empty());
            } else {
                let parked = until_parked(&reference).await;
                assert_eq!(parked.position.get(), 4);
                assert_eq!(database.tables().rows, [1, 2, 3]);
                database.set(Trouble::None);
                reference.resume();
                reference.wait_for(store.head(), PATIENCE).await.unwrap();
                assert_eq!(database.tables().rows, [1, 2, 3, 4, 5, 6, 7]);
            }
            runtime.shutdown(PATIENCE).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_not_made_twice() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let database = Database::default();
    database.set(Trouble::LostAnswer);
    let reference = runtime.project_external(database.clone()).await.unwrap();
    for _ in 0..9 {
        let position = add(&runtime, "1", 1).await;
        reference.wait_for(position, PATIENCE).await.unwrap();
    }
    assert_eq!(database.tables().rows, (1..=9).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_its_filter_passes_over_moves_the_checkpoint_and_a_reset_begins_anew() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let database = Database {
        filter: ProjectionFilter::all().tenants(["globex"]),
        ..Database::default()
    };
    let reference = runtime.project_external(database.clone()).await.unwrap();
    let head = add(&runtime, "1", 1).await;
    reference.wait_for(head, PATIENCE).await.unwrap();
    reference.pause();
    while reference.status().state != ProjectionState::Paused {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let tables = database.tables();
    assert_eq!((tables.checkpoint, tables.rows), (1, vec![]));
    reference.reset().await.unwrap();
    assert_eq!(reference.position(), Position::BEFORE_FIRST);
    reference.resume();
    reference.wait_for(head, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_ahead_of_the_journal_is_refused() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let database = Database::default();
    database.tables.lock().unwrap().checkpoint = 5;
    let error = runtime.project_external(database).await.unwrap_err();
    assert!(
        matches!(error, ProjectError::AheadOfJournal { .. }),
        "{error}"
    );
}
