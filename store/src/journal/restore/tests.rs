use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use uuid::Uuid;

use super::*;
use crate::append::{Append, Appended};
use crate::clock::{Clock, SystemClock};
use crate::event::RecordedEvent;
use crate::event_store::EventStore;
use crate::journal::JournalStore;
use crate::journal::faulty_disk::Faults;
use crate::journal::test_support::{
    all_events, answer, append, event, options, segment_files, stream, submit, try_open,
};
use crate::position::{ExpectedVersion, Version};

/// A clock that goes on by 0 to 2 microseconds whenever it is asked: several appends share a time, and times lie between.
#[derive(Debug, Default)]
struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        let asked = self.0.fetch_add(1, Ordering::Relaxed);
        Timestamp::from_unix_micros(1_000_000 + asked / 3 * 2 + asked % 3 / 2 * 2)
    }

    fn new_id(&self) -> Uuid {
        SystemClock.new_id()
    }
}

struct Random(TestRng);

impl Random {
    fn new(seed: u8) -> Self {
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }
}

/// A journal, everything in it, and its appends.
struct Original {
    directory: tempfile::TempDir,
    events: Vec<RecordedEvent>,
    appends: Vec<Appended>,
}

fn random_append(random: &mut Random) -> Append {
    let mut append = Append::default();
    // What an append may take in a segment of this size.
    let mut room = 110_000;
    for part in 0..1 + random.below(4) * random.below(2) {
        let stream = stream(&format!("{}", part * 3 + random.below(3)));
        let events = (0..1 + random.below(3) * random.below(2)).map(|_| {
            let bytes = match random.below(40) {
                0 => 90_000,
                1..4 => 9_000,
                _ => usize::try_from(random.below(1_000)).unwrap(),
            };
            let bytes = bytes.min(room);
            room -= bytes;
            event(bytes)
        });
        let events: Vec<_> = events.collect();
        append = append.and(stream, ExpectedVersion::Any, events);
    }
    append
}

impl Original {
    /// Frames of one to twelve appends.
    fn new(seed: u8, frames: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let faults = Arc::<Faults>::default();
        let options = options().clock(Arc::<Ticks>::default());
        let store = try_open(directory.path(), &options, &faults).unwrap();
        let mut random = Random::new(seed);
        let mut appends = Vec::new();
        for _ in 0..frames {
            faults.hold_writes();
            let count = 1 + random.below(12);
            let waiting: Vec<_> = (0..count)
                .map(|_| submit(&store, random_append(&mut random)))
                .collect();
            faults.release_writes();
            appends.extend(waiting.iter().map(|waiting| answer(waiting).unwrap()));
        }
        let events = all_events(&store, 1_000);
        store.close();
        Self {
            directory,
            events,
            appends,
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// How many events a replay up to that point sees, without splitting an append.
    fn events_until(&self, until: Until) -> usize {
        let is_in = |append: &&Appended| match until {
            Until::Head => true,
            Until::Position(position) => append.position <= position,
            Until::Time(at) => append.recorded_at <= at,
        };
        let last = self.appends.iter().take_while(is_in).last();
        usize::try_from(last.map_or(0, |append| append.position.get())).unwrap()
    }

    fn random_point(&self, random: &mut Random) -> Until {
        let head = self.events.len() as u64;
        if random.below(2) == 0 {
            return Until::Position(Position::new(random.below(head + 1)));
        }
        let at = usize::try_from(random.below(head)).unwrap();
        let nearby = i64::try_from(random.below(3)).unwrap() - 1;
        let at = self.events[at].recorded_at.unix_micros() + nearby;
        Until::Time(Timestamp::from_unix_micros(at))
    }
}

fn events_of(directory: &Path) -> Vec<RecordedEvent> {
    let store = options().open(directory).unwrap();
    assert_eq!(store.recovery().torn_tail, None);
    all_events(&store, 1_000)
}

fn read_only_events(directory: &Path) -> Vec<RecordedEvent> {
    let journal = options().open_read_only(directory).unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = events
            .last()
            .map_or(Position::default(), |event| event.position);
        let page = tokio.block_on(journal.read_all(after, 1_000)).unwrap();
        events.extend(page.events);
        if page.next.is_none() {
            return events;
        }
    }
}

/// The versions of all streams are those that a replay of `events` gives.
fn assert_versions(store: &JournalStore, events: &[RecordedEvent]) {
    for id in 0..12 {
        let stream = stream(&id.to_string());
        let last = events.iter().rev().find(|event| event.stream == stream);
        let expected = last.map_or(Version::EMPTY, |event| event.version);
        assert_eq!(store.reader.stream_version(&stream).unwrap(), expected);
    }
}

fn restore_at_random_points(seed: u8, frames: usize, points: usize) {
    let original = Original::new(seed, frames);
    assert!(segment_files(original.path()).len() > 3);
    let mut random = Random::new(seed.wrapping_add(100));
    let (mut cut_appends, mut empty, mut between) = (0, 0, 0);
    for number in 0..points {
        let until = original.random_point(&mut random);
        let context = format!("seed {seed}, point {number}: until {until:?}");
        let to = tempfile::tempdir().unwrap();
        let report = restore(original.path(), to.path(), until).unwrap();
        let kept = original.events_until(until);
        let expected = &original.events[..kept];
        assert_eq!(report.position.get(), kept as u64, "{context}");
        let last = expected.last().map(|event| event.recorded_at);
        assert_eq!(report.last_recorded_at, last, "{context}");
        let is_within = matches!(until, Until::Position(asked) if asked.get() > kept as u64);
        assert_eq!(report.append_left_out.is_some(), is_within, "{context}");
        assert!(read_only_events(to.path()) == expected, "{context}");
        cut_appends += usize::from(is_within);
        empty += usize::from(kept == 0);
        between += usize::from(
            original
                .appends
                .iter()
                .any(|a| a.position.get() == kept as u64),
        );
        // What is more than reading is done for some.
        if number % 8 == 0 {
            goes_on(to.path(), expected, &context);
        }
    }
    println!(
        "seed {seed}: {} events in {} appends and {} segments, {points} points: all equal to a replay; \
         {cut_appends} fell within an append, {empty} before the first",
        original.events.len(),
        original.appends.len(),
        segment_files(original.path()).len(),
    );
    assert!(
        cut_appends > points / 20 && between > 0,
        "too little was tested"
    );
}

/// A restored store opens, takes appends, and has them when it is opened again.
fn goes_on(directory: &Path, expected: &[RecordedEvent], context: &str) {
    assert!(!directory.join("index").exists());
    let store = options().open(directory).unwrap();
    assert_eq!(store.recovery().torn_tail, None, "{context}");
    assert_versions(&store, expected);
    for id in ["0", "new"] {
        let appended = append(&store, id, 50_000).unwrap();
        assert_eq!(appended.event_count, 1);
    }
    store.close();
    let events = events_of(directory);
    assert_eq!(events.len(), expected.len() + 2, "{context}");
    assert!(events[..expected.len()] == *expected, "{context}");
}

#[test]
fn at_two_hundred_random_points_the_state_is_that_of_a_replay() {
    restore_at_random_points(1, 30, 100);
    restore_at_random_points(2, 20, 100);
}

/// `cargo test --release -p foldhouse-store --lib -- --ignored --nocapture two_thousand_random_points`
#[test]
#[ignore = "a campaign of 2,000 restores; takes minutes"]
fn at_two_thousand_random_points_the_state_is_that_of_a_replay() {
    for seed in 10..20 {
        restore_at_random_points(seed, 80, 200);
    }
}

#[test]
fn whole_frames_are_copied_byte_for_byte_and_the_head_gives_the_same_files() {
    let original = Original::new(3, 40);
    let to = tempfile::tempdir().unwrap();
    restore(original.path(), to.path(), Until::Head).unwrap();
    let (from, copied) = (segment_files(original.path()), segment_files(to.path()));
    assert_eq!(from.len(), copied.len());
    for (from, copied) in from.iter().zip(&copied) {
        assert_eq!(from.file_name(), copied.file_name());
        assert!(std::fs::read(from).unwrap() == std::fs::read(copied).unwrap());
    }
}

#[test]
fn a_restored_store_can_be_restored_to_every_earlier_position() {
    let original = Original::new(4, 3);
    let mut from = original.path().to_owned();
    let mut kept = Vec::new();
    for position in (0..=original.events.len()).rev() {
        let to = tempfile::tempdir().unwrap();
        let until = Until::Position(Position::new(position as u64));
        // One that ends before this position already, since it split an append, says so.
        match restore(&from, to.path(), until) {
            Ok(report) => {
                assert_eq!(report.position.get(), original.events_until(until) as u64);
                assert!(
                    read_only_events(to.path()) == original.events[..original.events_until(until)]
                );
                from = to.path().to_owned();
                kept.push(to);
            }
            Err(CopyError::BeyondHead { asked, head }) => {
                assert_eq!(asked.get(), position as u64);
                assert_eq!(head.get(), original.events_until(until) as u64);
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(kept.len() > 3);
}

#[test]
fn before_the_first_event_the_store_is_empty_and_takes_events() {
    let original = Original::new(5, 3);
    let first = original.events[0].recorded_at.unix_micros();
    for until in [
        Until::Position(Position::BEFORE_FIRST),
        Until::Time(Timestamp::from_unix_micros(first - 1)),
        Until::Time(Timestamp::from_unix_micros(i64::MIN)),
    ] {
        let to = tempfile::tempdir().unwrap();
        let report = restore(original.path(), to.path(), until).unwrap();
        assert_eq!(
            (report.position.get(), report.segments),
            (0, 1),
            "{until:?}"
        );
        goes_on(to.path(), &[], "an empty store");
    }
}

#[test]
fn a_position_behind_the_head_is_refused_and_a_later_time_is_the_head() {
    let original = Original::new(6, 3);
    let head = original.events.len() as u64;
    let to = tempfile::tempdir().unwrap();
    let asked = Position::new(head + 1);
    let error = restore(original.path(), to.path(), Until::Position(asked)).unwrap_err();
    let named = matches!(error, CopyError::BeyondHead { asked: a, head: h } if a == asked && h.get() == head);
    assert!(named, "{error:?}");
    // Nothing of it stays, so that the next try finds the directory empty.
    let late = Until::Time(Timestamp::from_unix_micros(i64::MAX));
    let report = restore(original.path(), to.path(), late).unwrap();
    assert_eq!(report.position.get(), head);
    assert!(read_only_events(to.path()) == original.events);
}

#[test]
fn a_directory_that_is_not_empty_is_refused_and_left_as_it_is() {
    let original = Original::new(7, 2);
    let to = tempfile::tempdir().unwrap();
    std::fs::write(to.path().join("notes.txt"), "mine").unwrap();
    let error = restore(original.path(), to.path(), Until::Head).unwrap_err();
    assert!(
        matches!(&error, CopyError::NotEmpty { found, .. } if found == "notes.txt"),
        "{error:?}"
    );
    assert_eq!(std::fs::read(to.path().join("notes.txt")).unwrap(), b"mine");
    let error = restore(original.path(), original.path(), Until::Head).unwrap_err();
    assert!(matches!(error, CopyError::Itself { .. }), "{error:?}");
    assert_eq!(events_of(original.path()).len(), original.events.len());
}

#[test]
fn a_damaged_source_is_named_unless_the_damage_lies_behind_the_point() {
    let original = Original::new(8, 30);
    let files = segment_files(original.path());
    let mut bytes = std::fs::read(&files[2]).unwrap();
    bytes[4_096 + 150] ^= 1;
    std::fs::write(&files[2], bytes).unwrap();
    let to = tempfile::tempdir().unwrap();
    let error = restore(original.path(), to.path(), Until::Head).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(files[2].file_name().unwrap().to_str().unwrap()),
        "{error}"
    );
    assert!(!to.path().join("journal").exists());
    let report = restore(
        original.path(),
        to.path(),
        Until::Position(Position::new(3)),
    )
    .unwrap();
    assert!(report.position.get() <= 3);
}

#[test]
fn a_stopped_restore_leaves_nothing_that_a_store_opens() {
    let original = Original::new(9, 20);
    let to = tempfile::tempdir().unwrap();
    let mut frames = 0;
    let stop = |_: &CopyProgress| {
        frames += 1;
        if frames > 10 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let error = restore_watched(original.path(), to.path(), Until::Head, stop).unwrap_err();
    assert!(matches!(error, CopyError::Stopped));
    assert!(!to.path().join("journal").exists());
    restore(original.path(), to.path(), Until::Head).unwrap();
    assert!(read_only_events(to.path()) == original.events);
}

#[test]
fn a_point_is_read_from_text() {
    let at = Timestamp::from_unix_micros(1_774_994_399_250_000);
    for (text, until) in [
        ("head", Until::Head),
        ("0", Until::Position(Position::BEFORE_FIRST)),
        ("4711", Until::Position(Position::new(4_711))),
        ("2026-03-31T21:59:59.25Z", Until::Time(at)),
        ("2026-03-31T23:59:59.25+02:00", Until::Time(at)),
    ] {
        assert_eq!(text.parse(), Ok(until), "{text}");
        assert_eq!(until.to_string().parse(), Ok(until), "{text}");
    }
    for text in ["", "-1", "tomorrow", "2026-03-31", "2026-03-31T23:59:59"] {
        let error = text.parse::<Until>().unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
}
