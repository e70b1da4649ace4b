//! A damaged journal that is made to open again: nothing is touched without consent, nothing is ever lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::support::{Files, Subject, frames, read};
use crate::journal::segment::BLOCK_BYTES;
use crate::journal::test_support::{append, options};
use crate::journal::{Consent, RepairError, RepairReport, RepairStep, repair, verify};

/// All files below a directory.
fn all_files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn repair_with(directory: &Path, consent: Consent) -> (RepairReport, Vec<RepairStep>) {
    let mut asked = Vec::new();
    let mut ask = |step: &RepairStep| {
        asked.push(step.clone());
        consent
    };
    let report = repair(directory, &mut |_| (), &mut ask).unwrap();
    (report, asked)
}

/// Refuses, then agrees, and looks whether the store holds exactly the first `head` events and goes on.
fn mend(subject: &Subject, files: &Files, head: usize) -> RepairStep {
    let directory = subject.with(files);
    let directory = directory.path();
    let before = all_files(directory);
    let (report, asked) = repair_with(directory, Consent::Refused);
    assert!(report.refused && asked.len() == 1 && report.moved.is_empty());
    assert_eq!(
        all_files(directory),
        before,
        "a refusal leaves everything as it is"
    );

    let (report, asked) = repair_with(directory, Consent::Given);
    let step = asked[0].clone();
    assert_eq!((report.refused, asked.len()), (false, 1));
    assert_eq!(
        (report.head.get(), step.head.get()),
        (head as u64, head as u64)
    );
    let after = all_files(directory);
    for (path, bytes) in &before {
        let (moved, _) = report
            .moved
            .iter()
            .filter_map(|(from, to)| Some((to.join(path.strip_prefix(from).ok()?), ())))
            .next()
            .unwrap_or((path.clone(), ()));
        // Joining an empty rest leaves a slash behind a file's name.
        let moved: PathBuf = moved.components().collect();
        assert_eq!(
            after.get(&moved),
            Some(bytes),
            "{} is not whole",
            path.display()
        );
    }
    let verified = verify(directory, &mut |_| ()).unwrap();
    assert!(verified.is_whole(), "{:?}", verified.findings);
    assert!(read(directory).unwrap() == subject.events[..head]);
    let store = options().open(directory).unwrap();
    let appended = append(&store, "0", 10).unwrap();
    assert_eq!(appended.position.get(), head as u64 + 1);
    drop(store);
    let (report, asked) = repair_with(directory, Consent::Refused);
    assert!(asked.is_empty() && !report.refused && report.left.is_empty());
    step
}

/// The last position before this segment.
fn head_before(name: &str) -> usize {
    let first: usize = name.strip_suffix(".segment").unwrap().parse().unwrap();
    first - 1
}

#[test]
fn a_damaged_segment_keeps_what_stands_before_the_damage() {
    let subject = Subject::new(200);
    for (number, name) in subject.names().iter().enumerate() {
        let places = frames(&subject.files[name]);
        let place = &places[places.len() / 2];
        let mut files = subject.files.clone();
        files.get_mut(name).unwrap()[place.start + 200] ^= 4;
        let head = place.header.first_position.get() - 1;
        let step = mend(&subject, &files, usize::try_from(head).unwrap());
        assert_eq!(step.damage.offset, place.start as u64);
        assert_eq!(step.lost_up_to.get(), 200);
        assert_eq!(step.readable, 200 - head - 1, "all but the damaged one");
        assert_eq!(step.moves.len(), subject.files.len() - number + 1);
    }
}

#[test]
fn a_segment_whose_first_frame_is_damaged_is_replaced_by_an_empty_one() {
    let subject = Subject::new(100);
    for name in subject.names() {
        let mut files = subject.files.clone();
        files.get_mut(&name).unwrap()[BLOCK_BYTES + 20] ^= 4;
        mend(&subject, &files, head_before(&name));
    }
}

#[test]
fn a_missing_segment_gives_up_all_that_is_behind_it() {
    let subject = Subject::new(200);
    let names = subject.names();
    for missing in 1..names.len() {
        let mut files = subject.files.clone();
        files.remove(&names[missing]);
        let step = mend(&subject, &files, head_before(&names[missing]));
        let is_last = missing + 1 == names.len();
        assert_eq!(step.events_lost() == 0, is_last, "{step:?}");
    }
}

#[test]
fn a_segment_without_its_header_or_with_another_ones_name_is_moved_aside() {
    let subject = Subject::new(200);
    let names = subject.names();
    for name in &names[1..] {
        let mut files = subject.files.clone();
        files.get_mut(name).unwrap()[..BLOCK_BYTES].fill(0);
        mend(&subject, &files, head_before(name));
    }
    let mut files = subject.files.clone();
    files.insert(names[1].clone(), subject.files[&names[2]].clone());
    files.insert(names[2].clone(), subject.files[&names[1]].clone());
    mend(&subject, &files, head_before(&names[1]));
}

#[test]
fn a_segment_that_lost_its_end_keeps_the_rest() {
    let subject = Subject::new(100);
    for name in subject.names() {
        let places = frames(&subject.files[&name]);
        let place = &places[places.len() / 2];
        let mut files = subject.files.clone();
        files.get_mut(&name).unwrap().truncate(place.start + 50);
        let head = place.header.first_position.get() - 1;
        mend(&subject, &files, usize::try_from(head).unwrap());
    }
}

#[test]
fn a_journal_of_which_nothing_holds_is_left_as_it_is() {
    let subject = Subject::new(100);
    let first = subject.names().remove(0);
    let mut without_first = subject.files.clone();
    without_first.remove(&first);
    let mut without_header = subject.files.clone();
    without_header.get_mut(&first).unwrap()[..BLOCK_BYTES].fill(0);
    for files in [without_first, without_header] {
        let directory = subject.with(&files);
        let before = all_files(directory.path());
        let never = &mut |_: &RepairStep| panic!("nothing to ask");
        let error = repair(directory.path(), &mut |_| (), never).unwrap_err();
        assert!(matches!(error, RepairError::NothingHolds(_)), "{error}");
        assert_eq!(all_files(directory.path()), before);
    }
}

#[test]
fn a_torn_tail_is_cut_off_without_a_question() {
    let subject = Subject::new(5);
    let mut files = subject.files.clone();
    let bytes = files.values_mut().next().unwrap();
    let last = frames(bytes).pop().unwrap();
    bytes[last.end - 100..last.end].fill(0);
    let directory = subject.with(&files);
    let (report, asked) = repair_with(directory.path(), Consent::Refused);
    assert!(asked.is_empty() && report.moved.is_empty());
    assert_eq!(report.torn_tail.unwrap().offset, last.start as u64);
    let verified = verify(directory.path(), &mut |_| ()).unwrap();
    assert!(verified.is_whole() && verified.tail == crate::journal::VerifiedTail::Clean);
}

#[test]
fn a_store_in_use_is_not_repaired() {
    let subject = Subject::new(5);
    let _store = options().open(subject.directory.path()).unwrap();
    let never = &mut |_: &RepairStep| panic!("nothing to ask");
    let error = repair(subject.directory.path(), &mut |_| (), never).unwrap_err();
    assert!(matches!(error, RepairError::Locked { .. }), "{error}");
}

#[test]
fn what_costs_no_event_is_reported_and_left() {
    let subject = Subject::new(100);
    let mut files = subject.files.clone();
    let bytes = files.values_mut().next().unwrap();
    bytes.extend_from_slice(&[1; 100]);
    let directory = subject.with(&files);
    let (report, asked) = repair_with(directory.path(), Consent::Refused);
    assert!(
        asked.is_empty() && report.left.len() == 1,
        "{:?}",
        report.left
    );
    assert_eq!(report.head.get(), 100);
}
