use std::collections::BTreeSet;

use super::directory::Directory;
use super::event_file::Stored;
use super::problem::GoldenProblem;
use crate::aggregate::Aggregate;
use crate::event_codec::{decode_content, encode, variant_names, version_to_record};

/// The samples as they would be recorded today. Tells of event types that have none.
pub(super) fn of_today<A: Aggregate>(
    samples: &[A::Event],
    directory: &mut Directory,
) -> Vec<Stored> {
    let mut today = Vec::new();
    for sample in samples {
        match stored::<A>(sample) {
            Ok(stored) => today.push(stored),
            Err(problem) => directory.problem(problem),
        }
    }
    let sampled: BTreeSet<&str> = today.iter().map(|stored| &*stored.event_type).collect();
    for name in variant_names::<A::Event>() {
        if !sampled.contains(name) && !is_alias::<A>(name, &today, &sampled) {
            directory.problem(GoldenProblem::NoSample {
                event_type: (*name).to_owned(),
            });
        }
    }
    today
}

/// An event as it would be recorded today.
pub(super) fn stored<A: Aggregate>(event: &A::Event) -> Result<Stored, GoldenProblem> {
    let mut payload = Vec::new();
    let unwritable = |event_type: &str, error: String| GoldenProblem::Unwritable {
        event_type: event_type.to_owned(),
        error,
    };
    let event_type = encode(event, &mut payload)
        .map_err(|error| unwritable(std::any::type_name::<A::Event>(), error.to_string()))?;
    let schema_version = version_to_record::<A>(event, event_type)
        .map_err(|error| unwritable(event_type, error.to_string()))?;
    Ok(Stored {
        event_type: event_type.to_owned(),
        schema_version,
        payload,
    })
}

/// Whether a name is another one for a variant that has a sample: then one of the samples can be read under it, and is
/// written under the variant's own.
fn is_alias<A: Aggregate>(name: &str, today: &[Stored], sampled: &BTreeSet<&str>) -> bool {
    today.iter().any(|sample| {
        let Ok(event) = decode_content::<A::Event>(name, &sample.payload) else {
            return false;
        };
        encode(&event, &mut Vec::new())
            .is_ok_and(|event_type| event_type != name && sampled.contains(event_type))
    })
}
