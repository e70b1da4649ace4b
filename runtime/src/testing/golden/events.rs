use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::directory::{Directory, GoldenMode};
use super::event_file::{self, Stored};
use super::problem::GoldenProblem;
use super::rendition::{line_difference, lines, shape, shape_difference};
use super::samples;
use crate::aggregate::Aggregate;
use crate::event_codec::decode_events;
use crate::testing::recorded::recorded_payload;
use crate::upcasters::{read_value, steps_taken};

type Kind = (String, u16);
type ByKind = BTreeMap<Kind, Vec<Stored>>;

/// Compares the samples with the files, and reads what the files hold. Gives all golden events there are.
pub(super) fn check<A: Aggregate>(
    today: &[Stored],
    old: Vec<Stored>,
    directory: &mut Directory,
) -> Vec<Stored> {
    let today = by_kind(today.to_vec());
    let mut golden = ByKind::new();
    let files = directory.event_files();
    for file in &files {
        if let Some(stored) = read_file::<A>(file, directory)
            && let Some(first) = stored.first()
        {
            golden.insert((first.event_type.clone(), first.schema_version), stored);
        }
    }
    for (kind, samples) in &today {
        let file = directory.event_file(&kind.0, kind.1);
        let stored = golden.get(kind);
        if let Some(stored) = stored
            && directory.mode != GoldenMode::Update
        {
            check_shape::<A>(&file, stored, samples, directory);
        } else if stored.is_none() && files.contains(&file) && directory.mode != GoldenMode::Update
        {
            // It is there, cannot be read, and has been told of: what it holds is not to be lost.
        } else if stored != Some(samples) {
            let what = if stored.is_some() {
                "out of date"
            } else {
                "missing"
            };
            directory.write(file, what, &event_file::write(A::TYPE, samples));
            golden.insert(kind.clone(), samples.clone());
        }
    }
    for (kind, samples) in by_kind(old) {
        let file = directory.event_file(&kind.0, kind.1);
        if let Entry::Vacant(vacant) = golden.entry(kind) {
            directory.write(file, "missing", &event_file::write(A::TYPE, &samples));
            vacant.insert(samples);
        }
    }
    check_steps::<A>(&golden, directory);
    check_readable::<A>(&golden, directory);
    golden.into_values().flatten().collect()
}

fn by_kind(stored: Vec<Stored>) -> ByKind {
    let mut by_kind = ByKind::new();
    for event in stored {
        let kind = (event.event_type.clone(), event.schema_version);
        by_kind.entry(kind).or_default().push(event);
    }
    by_kind
}

fn read_file<A: Aggregate>(file: &Path, directory: &mut Directory) -> Option<Vec<Stored>> {
    let text = directory.read(file)?;
    match event_file::read(A::TYPE, &text) {
        Ok(stored) => Some(stored),
        Err(what) => {
            let file = file.to_owned();
            directory.problem(GoldenProblem::NotGolden { file, what });
            None
        }
    }
}

/// Whether events of a type are written today as they are stored under the same version.
fn check_shape<A: Aggregate>(
    file: &Path,
    stored: &[Stored],
    samples: &[Stored],
    directory: &mut Directory,
) {
    let mut difference = shape_difference(&shape_of(stored), &shape_of(samples));
    for event in stored {
        if difference.is_empty() {
            difference = written_otherwise::<A>(event);
        }
    }
    if let Some(first) = stored.first()
        && !difference.is_empty()
    {
        directory.problem(GoldenProblem::ShapeChanged {
            event_type: first.event_type.clone(),
            schema_version: first.schema_version,
            file: file.to_owned(),
            difference,
        });
    }
}

fn shape_of(stored: &[Stored]) -> BTreeSet<String> {
    let values = stored
        .iter()
        .filter_map(|event| read_value(&event.payload).ok());
    values.flat_map(|value| shape(&value)).collect()
}

/// How a stored event of today's version looks when it is read and written again, if that is not how it was written.
fn written_otherwise<A: Aggregate>(event: &Stored) -> String {
    let recorded = recorded_payload::<A>(event, 1);
    // What cannot be read is told of elsewhere.
    let Some(Ok(events)) = decode_events::<A>(&recorded) else {
        return String::new();
    };
    let [read] = &events[..] else {
        return String::new();
    };
    match samples::stored::<A>(read) {
        Err(problem) => problem.to_string(),
        Ok(again) if again == *event => String::new(),
        Ok(again) => {
            let rendition = |event: &Stored| {
                let mut rendition = vec![format!(
                    "{}, schema version {}",
                    event.event_type, event.schema_version
                )];
                rendition.extend(read_value(&event.payload).iter().flat_map(lines));
                rendition
            };
            let difference = line_difference(&rendition(event), &rendition(&again));
            match difference.is_empty() {
                false => difference,
                true => "    the same fields are written as other bytes".to_owned(),
            }
        }
    }
}

/// Whether there is an event for every step that is declared.
fn check_steps<A: Aggregate>(golden: &ByKind, directory: &mut Directory) {
    let taken: BTreeSet<(String, u16)> = golden
        .values()
        .flatten()
        .flat_map(|event| steps_taken::<A>(&recorded_payload::<A>(event, 1)))
        .collect();
    for (event_type, schema_version) in A::upcasters().steps() {
        let event_type = event_type.to_owned();
        if !taken.contains(&(event_type.clone(), schema_version)) {
            directory.problem(GoldenProblem::NoOldSample {
                event_type,
                schema_version,
            });
        }
    }
}

fn check_readable<A: Aggregate>(golden: &ByKind, directory: &mut Directory) {
    for event in golden.values().flatten() {
        let recorded = recorded_payload::<A>(event, 1);
        let (event_type, schema_version) = event.kind();
        if let Some(Err(error)) = decode_events::<A>(&recorded) {
            let file: PathBuf = directory.event_file(event_type, schema_version);
            directory.problem(GoldenProblem::Unreadable {
                event_type: event_type.to_owned(),
                schema_version,
                file,
                error: error.to_string(),
            });
        }
    }
}
