//! What verifying tells of a store that is whole, in use, torn, or none.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use super::support::{MemoryDisk, Subject, frames};
use crate::journal::frame::{self, FrameFacts};
use crate::journal::record::RawRecord;
use crate::journal::test_support::{append, options};
use crate::journal::{VERIFY_FINDINGS_MAX, VerifiedTail, VerifyError, verify};

#[test]
fn a_whole_store_is_whole_and_its_last_hash_stands_for_it() {
    let subject = Subject::new(100);
    let mut progress = Vec::new();
    let report = verify(subject.directory.path(), &mut |step| {
        progress.push(step.clone())
    })
    .unwrap();
    assert!(report.is_whole(), "{:?}", report.findings);
    assert_eq!((report.events, report.streams), (100, 3));
    assert_eq!(report.head.get(), 100);
    assert_eq!(report.segments, subject.files.len() as u64);
    let places: Vec<_> = subject
        .files
        .values()
        .flat_map(|bytes| frames(bytes))
        .collect();
    assert_eq!(report.frames, places.len() as u64);
    assert_eq!(report.last_hash, places.last().unwrap().header.hash);
    assert_eq!((report.tail, report.in_use), (VerifiedTail::Clean, false));
    let last = progress.last().unwrap();
    assert_eq!(
        (last.bytes_done, last.position),
        (last.bytes_total, report.head)
    );
    let bytes: usize = subject.files.values().map(Vec::len).sum();
    assert_eq!(last.bytes_total, bytes as u64);
    assert_eq!(report.bytes, bytes as u64);
}

#[test]
fn what_is_no_store_is_said_to_be_none() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    fs::create_dir_all(directory.path().join("empty/journal")).unwrap();
    for (name, what) in [
        ("nowhere", "no such directory"),
        ("file", "no directory"),
        ("", "no `journal`"),
        ("empty", "no segment"),
    ] {
        let error = verify(directory.path().join(name), &mut |_| ()).unwrap_err();
        assert!(matches!(error, VerifyError::NoStore { .. }));
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn a_store_is_verified_while_it_is_written_and_never_found_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    append(&store, "0", 10).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..400 {
                append(&store, &(number % 3).to_string(), number % 13 * 1_000).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        let mut times = 0;
        while !done.load(Ordering::Acquire) || times == 0 {
            let acked = store
                .reader
                .segments
                .number_of(crate::position::Position::new(u64::MAX));
            let report = verify(directory.path(), &mut |_| ()).unwrap();
            assert!(report.is_whole(), "{:?}", report.findings);
            assert!(report.in_use && report.segments > acked);
            times += 1;
        }
    });
    let report = verify(directory.path(), &mut |_| ()).unwrap();
    assert_eq!((report.events, report.in_use), (401, true));
    drop(store);
    assert!(!verify(directory.path(), &mut |_| ()).unwrap().in_use);
}

#[test]
fn an_unfinished_write_is_torn_or_in_flight_but_no_damage() {
    let subject = Subject::new(5);
    let mut files = subject.files.clone();
    let bytes = files.values_mut().next().unwrap();
    let last = frames(bytes).pop().unwrap();
    bytes[last.end - 100..last.end].fill(0);
    let directory = subject.with(&files);
    let report = verify(directory.path(), &mut |_| ()).unwrap();
    assert!(report.is_whole(), "{:?}", report.findings);
    let VerifiedTail::Torn(torn) = &report.tail else {
        panic!("{:?}", report.tail);
    };
    assert_eq!(torn.offset, last.start as u64);
    let _lock = crate::journal::opening::lock(directory.path()).unwrap();
    let report = verify(directory.path(), &mut |_| ()).unwrap();
    assert!(report.is_whole() && report.in_use);
    assert!(matches!(report.tail, VerifiedTail::InFlight(_)));
}

#[test]
fn every_damage_is_found_and_not_only_the_first() {
    let subject = Subject::new(100);
    let mut files = subject.files.clone();
    let mut expected = Vec::new();
    for (name, bytes) in &mut files {
        for place in frames(&subject.files[name]).iter().step_by(5) {
            // Within the body, or within the header.
            let at = if expected.len() % 2 == 0 { 300 } else { 30 };
            bytes[place.start + at] ^= 1;
            expected.push((
                name.clone(),
                place.start as u64,
                place.header.first_position,
            ));
        }
    }
    let report = MemoryDisk::new(&files).walk().report;
    for (name, offset, position) in &expected {
        let found = |damage: &&crate::error::Damage| {
            damage.file.ends_with(name) && damage.offset == *offset && damage.position == *position
        };
        assert!(
            report.findings.iter().find(found).is_some(),
            "{name} at {offset}"
        );
    }
    let (found, damaged) = (report.findings.len(), expected.len());
    assert!(found <= damaged + files.len(), "{:#?}", report.findings);
    assert_eq!(report.head.get(), 100, "it goes on to the end");
    assert!(report.events >= 100 - damaged as u64);
}

#[test]
fn the_findings_that_a_report_lists_are_bounded() {
    let subject = Subject::of_small_frames(2_200);
    let mut files = subject.files.clone();
    let mut damaged = 0;
    for (name, bytes) in &mut files {
        for place in frames(&subject.files[name]).iter().step_by(2) {
            bytes[place.start + 140] ^= 1;
            damaged += 1;
        }
    }
    assert!(damaged > VERIFY_FINDINGS_MAX);
    let report = MemoryDisk::new(&files).walk().report;
    assert_eq!(report.findings.len(), VERIFY_FINDINGS_MAX);
    assert!(report.findings_left_out >= (damaged - VERIFY_FINDINGS_MAX) as u64);
}

/// Writes the first frame of the only segment anew around a changed body and header, with checksums that are right.
fn forge(change: impl FnOnce(&mut Vec<u8>, &mut FrameFacts)) -> Vec<String> {
    let subject = Subject::of_small_frames(1);
    let mut files = subject.files.clone();
    let bytes = files.values_mut().next().unwrap();
    let place = frames(bytes).remove(0);
    let mut body = frame::body(&bytes[place.start..place.end]).to_vec();
    let mut facts = FrameFacts {
        record_count: place.header.record_count,
        event_count: place.header.event_count,
        first_position: place.header.first_position,
        committed_at: place.header.committed_at,
        previous_hash: place.header.previous_hash,
    };
    change(&mut body, &mut facts);
    // Whatever followed it would not follow the new one.
    bytes[place.start..].fill(0);
    let padded = frame::padded_bytes(body.len());
    frame::encode(&mut bytes[place.start..place.start + padded], &body, &facts);
    let walked = MemoryDisk::new(&files).walk();
    assert_eq!(walked.first_break.is_some(), !walked.report.is_whole());
    walked
        .report
        .findings
        .into_iter()
        .map(|found| found.what)
        .collect()
}

#[test]
fn what_a_faulty_writer_would_have_hashed_is_found_too() {
    let seal = |body: &mut Vec<u8>| {
        crate::journal::record::seal(body, crate::position::Position::new(1));
    };
    assert_eq!(forge(|_, _| ()), Vec::<String>::new());
    let found = forge(|_, facts| facts.record_count = 2);
    assert!(found[0].contains("its header says 2 and 1"), "{found:?}");
    let found = forge(|_, facts| facts.committed_at = crate::clock::Timestamp::from_unix_micros(5));
    assert!(found[0].contains("recorded after its frame"), "{found:?}");
    let found = forge(|body, _| body[30] ^= 1);
    assert!(
        found[0].contains("does not match its checksum"),
        "{found:?}"
    );
    let found = forge(|body, _| body.truncate(40));
    assert!(found[0].contains("cut short"), "{found:?}");
    let found = forge(|body, _| {
        body[8] = 7;
        seal(body);
    });
    assert!(found[0].contains("kind"), "{found:?}");
    let found = forge(|body, _| {
        body[10] = 99;
        seal(body);
    });
    assert!(found[0].contains("cannot be decoded"), "{found:?}");
    // The version stands behind length, checksum, kind, flags, codec, schema version, time and id.
    let found = forge(|body, _| {
        body[8 + 29] = 2;
        seal(body);
    });
    assert!(
        found[0].contains("goes on with version 2, but 1"),
        "{found:?}"
    );
    // A record that this build need not know is no flaw.
    let found = forge(|body, facts| {
        body.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0, 200, 1, 2]);
        facts.record_count = 2;
        assert!(
            !RawRecord::next(&mut crate::bytes_io::Fields::new(body))
                .unwrap()
                .is_foreign()
        );
    });
    assert_eq!(found, Vec::<String>::new());
}

/// `cargo test --release -p foldhouse-store --lib how_fast_verifying_is -- --ignored --nocapture`
#[test]
#[ignore = "a measurement: writes 1 GB"]
fn how_fast_verifying_is() {
    use crate::append::Append;
    use crate::journal::JournalOptions;
    use crate::journal::test_support::{answer, event, stream, submit};
    use crate::position::ExpectedVersion;

    for (payload, events) in [(100, 5_000_000), (3_000, 330_000)] {
        let directory = tempfile::tempdir().unwrap();
        let store = JournalOptions::new().open(directory.path()).unwrap();
        for number in 0..events / 1_000 {
            let events = (0..1_000).map(|_| event(payload));
            let stream = stream(&(number % 1_000).to_string());
            let append = Append::to(stream, ExpectedVersion::Any, events);
            answer(&submit(&store, append)).unwrap();
        }
        drop(store);
        let report = verify(directory.path(), &mut |_| ()).unwrap();
        assert!(report.is_whole() && report.events == events);
        let seconds = report.duration.as_secs_f64();
        let megabytes = (report.bytes / 1_000_000) as f64;
        println!(
            "events with {payload} bytes: {megabytes} MB in {seconds:.1} s, {:.0} MB/s, {:.0} events/s",
            megabytes / seconds,
            events as f64 / seconds
        );
    }
}
