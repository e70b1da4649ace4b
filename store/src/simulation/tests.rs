use std::sync::{Arc, Mutex};

use super::*;
use crate::append::Append;
use crate::clock::Clock;
use crate::error::{AppendError, OpenError};
use crate::event::{NewEvent, Payload};
use crate::event_store::{EventStore, EventStoreExt};
use crate::position::{ExpectedVersion, Position};
use crate::stream_id::StreamId;

/// One simulated machine and what its disk was told.
struct Machine {
    disk: SimulatedDisk,
    clock: Arc<SimulatedClock>,
    random: Random,
    told: Arc<Mutex<Vec<String>>>,
}

impl Machine {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        let narrator = move |line: std::fmt::Arguments<'_>| {
            telling.lock().unwrap().push(line.to_string());
        };
        Self {
            disk: SimulatedDisk::new(random.branch(), Arc::new(narrator)),
            clock: Arc::new(SimulatedClock::new(random.branch())),
            random,
            told,
        }
    }

    /// Runs `life` on a store of its own; gives back what opening said if it did not open.
    fn live<F: Future<Output = ()>>(
        &mut self,
        life: impl FnOnce(Arc<SimulatedStore>, Arc<SimulatedClock>) -> F,
    ) -> Result<(), OpenError> {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (disk, clock, random) = (&self.disk, &self.clock, self.random.branch());
        disk.start();
        tokio.block_on(async {
            clock.start();
            let store = Arc::new(SimulatedStore::open(disk, 64 << 10, clock.clone(), random)?);
            let running = Arc::clone(&store);
            tokio::spawn(async move { running.run().await });
            tokio::select! {
                biased;
                () = disk.until_off() => {}
                () = life(store, clock.clone()) => {}
            }
            clock.stop();
            Ok(())
        })
    }
}

fn append(stream: usize, event: NewEvent) -> Append {
    let stream = StreamId::new("t", "account", &stream.to_string()).unwrap();
    Append::to(stream, ExpectedVersion::Any, [event])
}

fn event(clock: &SimulatedClock, number: usize) -> NewEvent {
    let payload = vec![7; 1_000 + number * 37 % 5_000];
    NewEvent::new(clock.new_id(), "Happened", Payload::raw(payload))
}

/// Appends until the power goes; gives back the ids that were acked, in order.
fn append_until_cut(machine: &mut Machine, count: usize) -> Vec<uuid::Uuid> {
    let acked = Arc::new(Mutex::new(Vec::new()));
    let acking = Arc::clone(&acked);
    let opened = machine.live(|store, clock| async move {
        for number in 0..count {
            let event = event(&clock, number);
            let id = event.id;
            store.append(append(number % 3, event)).await.unwrap();
            acking.lock().unwrap().push(id);
        }
    });
    if opened.is_err() {
        assert!(machine.disk.is_off());
    }
    std::mem::take(&mut *acked.lock().unwrap())
}

fn ids(machine: &mut Machine) -> Vec<uuid::Uuid> {
    let found = Arc::new(Mutex::new(Vec::new()));
    let finding = Arc::clone(&found);
    let opened = machine.live(|store, _| async move {
        let mut after = Position::BEFORE_FIRST;
        loop {
            let page = store.read_all(after, 100).await.unwrap();
            finding
                .lock()
                .unwrap()
                .extend(page.events.iter().map(|event| event.id));
            match page.next {
                Some(next) => after = next,
                None => return,
            }
        }
    });
    opened.unwrap();
    std::mem::take(&mut *found.lock().unwrap())
}

#[test]
fn what_was_acked_is_there_after_a_power_cut_at_any_change_and_at_most_one_append_more() {
    const APPENDS: usize = 30;
    let mut whole = Machine::new(1);
    assert_eq!(append_until_cut(&mut whole, APPENDS).len(), APPENDS);
    let changes = whole.disk.changes();
    // The journal is begun, and goes on in new segments.
    assert!(changes > APPENDS as u64 + 5, "{changes}");
    for nth in 1..=changes {
        for left in [
            Left::Nothing,
            Left::All,
            Left::Part(nth),
            Left::Part(nth + 1_000),
        ] {
            let mut machine = Machine::new(1);
            machine.disk.arm(nth, DiskFault::PowerCut(left));
            let acked = append_until_cut(&mut machine, APPENDS);
            assert!(machine.disk.is_off());
            let found = ids(&mut machine);
            assert!(found.starts_with(&acked), "cut at {nth}, {left:?} left");
            assert!(
                found.len() <= acked.len() + 1,
                "cut at {nth}, {left:?} left"
            );
        }
    }
}

#[test]
fn the_same_seed_does_the_same_to_the_disk_and_another_does_not() {
    let run = |seed| {
        let mut machine = Machine::new(seed);
        machine.disk.arm(20, DiskFault::PowerCut(Left::Part(3)));
        append_until_cut(&mut machine, 40);
        append_until_cut(&mut machine, 40);
        let told = machine.told.lock().unwrap().clone();
        (told, machine.clock.elapsed())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn a_write_that_fails_is_unknown_and_the_store_takes_nothing_more_until_it_is_opened_again() {
    let mut machine = Machine::new(3);
    machine.live(|_, _| async {}).unwrap();
    machine.disk.arm(1, DiskFault::WriteFails(Left::All));
    let disk = machine.disk.clone();
    let life = |store: Arc<SimulatedStore>, clock: Arc<SimulatedClock>| async move {
        let failed = store.append(append(0, event(&clock, 0))).await;
        assert!(matches!(failed, Err(AppendError::Unknown(_))), "{failed:?}");
        disk.until_write_failed().await;
        let refused = store.append(append(0, event(&clock, 1))).await;
        assert!(
            matches!(refused, Err(AppendError::NotRecorded(_))),
            "{refused:?}"
        );
    };
    machine.live(life).unwrap();
    // All of it had reached the disk.
    assert_eq!(ids(&mut machine).len(), 1);
    assert_eq!(append_until_cut(&mut machine, 1).len(), 1);
}

#[test]
fn without_room_for_a_segment_an_append_is_not_recorded_and_a_later_one_is() {
    let mut machine = Machine::new(4);
    machine.live(|_, _| async {}).unwrap();
    machine.disk.arm(1, DiskFault::NoRoom);
    let life = |store: Arc<SimulatedStore>, clock: Arc<SimulatedClock>| async move {
        let mut refused = 0;
        for number in 0..40 {
            match store
                .append(append(number % 3, event(&clock, number)))
                .await
            {
                Ok(_) => {}
                Err(AppendError::NotRecorded(_)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(refused, 1);
        assert_eq!(store.head(), Position::new(39));
    };
    machine.live(life).unwrap();
}
