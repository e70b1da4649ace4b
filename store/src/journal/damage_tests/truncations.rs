//! Segments cut short, anywhere.

use super::support::{MemoryDisk, Subject, frames, read};
use crate::journal::segment::BLOCK_BYTES;

/// Cuts `name` off at `len` and sees to it that it is noticed, or that only zeros were cut off a sealed segment.
fn cut_and_verify(subject: &Subject, name: &str, len: usize) {
    let mut files = subject.files.clone();
    let bytes = files.get_mut(name).unwrap();
    let last_end = frames(bytes).last().unwrap().padded_end;
    let last_name = subject.files.keys().last().unwrap();
    bytes.truncate(len);
    let walked = MemoryDisk::new(&files).walk();
    let is_harmless = len >= last_end && name != last_name;
    assert_eq!(walked.report.is_whole(), is_harmless, "{name} cut at {len}");
    if let Some(found) = walked.report.findings.first() {
        let follows = subject.files.range(name.to_owned()..).nth(1);
        let names_it = found.file.ends_with(name)
            || follows.is_some_and(|(next, _)| found.file.ends_with(next));
        assert!(names_it, "{name} cut at {len}: {found}");
    }
}

fn cut_and_open(subject: &Subject, name: &str, len: usize, keep_index: bool) {
    let mut files = subject.files.clone();
    files.get_mut(name).unwrap().truncate(len);
    let directory = subject.with(&files);
    if !keep_index {
        std::fs::remove_dir_all(directory.path().join("index")).unwrap();
    }
    match read(directory.path()) {
        Err(damage) => assert!(damage.file.ends_with(name), "{name} cut at {len}: {damage}"),
        Ok(events) => assert!(events == subject.events, "{name} cut at {len}"),
    }
}

fn lengths(subject: &Subject, name: &str, step: usize) -> Vec<usize> {
    let bytes = &subject.files[name];
    let written = frames(bytes).last().unwrap().padded_end;
    let near_the_end = (written.saturating_sub(4_096)..=written).step_by(step);
    let blocks = (0..bytes.len()).step_by(BLOCK_BYTES * step.min(7));
    near_the_end.chain(blocks).collect()
}

#[test]
fn a_segment_that_is_cut_short_is_noticed() {
    let subject = Subject::new(100);
    for name in subject.names() {
        for len in lengths(&subject, &name, 397) {
            cut_and_verify(&subject, &name, len);
        }
        for (number, len) in lengths(&subject, &name, 1_801).into_iter().enumerate() {
            cut_and_open(&subject, &name, len, number % 2 == 0);
        }
    }
}

/// `cargo test --release -p foldhouse-store --lib every_length -- --ignored --nocapture`
#[test]
#[ignore = "a campaign of minutes"]
fn every_length_of_the_last_4096_bytes_and_every_block() {
    let subject = Subject::new(100);
    let (mut verified, mut opened) = (0, 0);
    for name in subject.names() {
        for len in lengths(&subject, &name, 1) {
            cut_and_verify(&subject, &name, len);
            verified += 1;
        }
        for (number, len) in lengths(&subject, &name, 11).into_iter().enumerate() {
            cut_and_open(&subject, &name, len, number % 2 == 0);
            opened += 1;
        }
    }
    println!("{verified} cuts verified, {opened} cuts opened: all noticed or harmless");
}
