//! Random appends, failed and torn writes, full disks and reopenings, against a list of what must be there.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::faulty_disk::Faults;
use super::test_support::*;
use super::*;
use crate::append::Append;
use crate::error::AppendError;
use crate::event_store::{Direction, EventStore, StreamQuery};
use crate::position::{ExpectedVersion, Version};
use crate::stream_id::StreamId;

#[derive(Clone, Debug)]
enum Step {
    /// Events of these sizes, each to the stream with that number.
    Append(Vec<(u8, usize)>),
    /// A write that dies with only those sectors on disk whose bits are set (again from the lowest bit behind the last).
    TornAppend(u8, usize, u64),
    /// An append while there is no room for another segment.
    AppendToFullDisk(u8, usize),
    Reopen,
    LoseIndex,
}

fn step() -> impl Strategy<Value = Step> {
    let size =
        prop_oneof![4 => 0_usize..3_000, 2 => 3_000_usize..40_000, 1 => 40_000_usize..120_000];
    let event = (0_u8..4, size);
    prop_oneof![
        8 => prop::collection::vec(event.clone(), 1..4).prop_map(Step::Append),
        2 => (event.clone(), prop_oneof![any::<u64>(), Just(u64::MAX), (0_u32..64).prop_map(|n| (1 << n) - 1)])
            .prop_map(|((id, size), kept)| Step::TornAppend(id, size, kept)),
        1 => event.prop_map(|(id, size)| Step::AppendToFullDisk(id, size)),
        1 => Just(Step::Reopen),
        1 => Just(Step::LoseIndex),
    ]
}

/// What must be there: for each event its stream and its payload.
type Model = Vec<(StreamId, Vec<u8>)>;

/// Payloads with zeros in them, which look like what was never written.
fn payload(model: &Model, size: usize) -> Vec<u8> {
    let mut payload = vec![0; size];
    for (at, byte) in payload.iter_mut().enumerate() {
        if at / 700 % 2 == 0 {
            *byte = u8::try_from((model.len() + at) % 256).unwrap();
        }
    }
    payload
}

/// Appends all or nothing; several events to one stream stand together.
fn append_of(model: &Model, events: &[(u8, usize)]) -> (Append, Model) {
    let mut added = Model::new();
    let mut append = Append::default();
    for id in 0..4 {
        let sizes = events
            .iter()
            .filter(|(of, _)| *of == id)
            .map(|(_, size)| *size);
        let payloads: Vec<_> = sizes.map(|size| payload(model, size)).collect();
        if payloads.is_empty() {
            continue;
        }
        let stream = stream(&id.to_string());
        let before = model.iter().filter(|(of, _)| *of == stream).count() as u64;
        let expected = ExpectedVersion::Exact(Version::new(before));
        append = append.and(
            stream.clone(),
            expected,
            payloads.iter().cloned().map(event_of),
        );
        added.extend(
            payloads
                .into_iter()
                .map(|payload| (stream.clone(), payload)),
        );
    }
    (append, added)
}

/// Leaves of the last write only those sectors whose bits are set.
fn tear(directory: &Path, (offset, bytes): (u64, usize), kept: u64) {
    let path = segment_files(directory).pop().unwrap();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    for sector in (0..bytes as u64 / 512).filter(|sector| kept >> (sector % 64) & 1 == 0) {
        file.write_all_at(&[0; 512], offset + sector * 512).unwrap();
    }
}

fn is_same(store: &JournalStore, model: &Model) {
    let found: Model = all_events(store, 3)
        .into_iter()
        .map(|event| (event.stream, event.payload.bytes.to_vec()))
        .collect();
    assert!(
        found == *model,
        "{} events, expected {}",
        found.len(),
        model.len()
    );
    for id in 0..4 {
        let stream = stream(&id.to_string());
        let wanted: Vec<_> = model
            .iter()
            .filter(|(of, _)| *of == stream)
            .map(|(_, payload)| payload.clone())
            .collect();
        for (direction, limit) in [(Direction::Forward, 2), (Direction::Backward, 3)] {
            let mut query = StreamQuery {
                direction,
                ..StreamQuery::whole(stream.clone(), limit)
            };
            let mut read = Vec::new();
            loop {
                let page = store.reader.read_stream(&query).unwrap();
                read.extend(page.events.iter().map(|event| event.payload.bytes.to_vec()));
                match (page.next, direction) {
                    (Some(next), Direction::Forward) => query.from = next,
                    (Some(next), Direction::Backward) => query.to = next,
                    (None, _) => break,
                }
            }
            if direction == Direction::Backward {
                read.reverse();
            }
            assert!(
                read == wanted,
                "stream {id} {direction:?}: {} of {}",
                read.len(),
                wanted.len()
            );
        }
    }
}

fn run(steps: &[Step]) {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    let options = options().stream_heads(0);
    let open = || try_open(directory.path(), &options, &faults).unwrap();
    let mut store = open();
    let mut model = Model::new();
    for step in steps {
        match step {
            Step::Append(events) => {
                let (append, added) = append_of(&model, events);
                match answer(&submit(&store, append)) {
                    Ok(appended) => {
                        model.extend(added);
                        assert_eq!(appended.position.get(), model.len() as u64);
                    }
                    Err(AppendError::Invalid(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            Step::TornAppend(id, size, kept) => {
                let (append, added) = append_of(&model, &[(*id, *size)]);
                let needs_segment = faults.steps().len();
                faults.fail_next_write_after(usize::MAX);
                let outcome = answer(&submit(&store, append));
                let rolled = faults.steps()[needs_segment..]
                    .iter()
                    .any(|(_, name)| name == "spare");
                drop(store);
                match outcome {
                    Err(AppendError::Unknown(_)) => {
                        tear(directory.path(), faults.last_write(), *kept)
                    }
                    // It was the header of the next segment that failed.
                    Err(AppendError::NotRecorded(_)) => assert!(rolled),
                    other => panic!("{other:?}"),
                }
                store = open();
                if store.head().get() > model.len() as u64 {
                    model.extend(added);
                }
            }
            Step::AppendToFullDisk(id, size) => {
                faults.set_full(true);
                let (append, added) = append_of(&model, &[(*id, *size)]);
                match answer(&submit(&store, append)) {
                    Ok(_) => model.extend(added),
                    Err(AppendError::NotRecorded(_)) => {}
                    Err(other) => panic!("{other}"),
                }
                faults.set_full(false);
            }
            Step::Reopen => {
                drop(store);
                store = open();
            }
            Step::LoseIndex => {
                drop(store);
                std::fs::remove_dir_all(directory.path().join("index")).unwrap();
                store = open();
            }
        }
        assert_eq!(store.head().get(), model.len() as u64, "{step:?}");
    }
    is_same(&store, &model);
    drop(store);
    is_same(&open(), &model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_that_fails_tears_and_reopens_at_random_holds_what_it_acked_and_nothing_else(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        run(&steps);
    }
}
