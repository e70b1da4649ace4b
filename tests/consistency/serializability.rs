//! Strict serializability over all accounts, with the order of positions as the witness.
//!
//! An operation that left events took effect at its position, on the states right before it. One that only read did so at
//! some position at which all that it saw was current. Such places must exist for all so that none comes before that of
//! an operation which was answered before it was called, or was given before it in the same call. The earliest possible place is the best one for everybody else,
//! so going through the calls in order finds places if there are any: in n log n.

use super::check::{Anomaly, first_seen, rejected_at};
use super::history::{NEVER, Operation, Outcome};
use super::journal::Books;

/// A call or an answer, in their common order.
struct Moment {
    at: u64,
    operation: usize,
    is_call: bool,
}

pub(super) fn check(operations: &[Operation], books: &Books) -> Result<(), Anomaly> {
    let mut places = vec![None; operations.len()];
    // Whatever is called from now on stands at or behind this.
    let mut reached = 0;
    for moment in moments(operations) {
        let number = moment.operation;
        if !moment.is_call {
            reached = places[number].map_or(reached, |place| reached.max(place));
            continue;
        }
        let Some(bounds) = bounds(&operations[number], number, books) else {
            continue;
        };
        let before = operations[number].behind;
        let reached = before
            .and_then(|before| places[before])
            .map_or(reached, |before| reached.max(before));
        let place = bounds.earliest.max(reached);
        // A writer has a place that is its own, so it must be behind what was there.
        let is_taken = bounds.is_written && place == reached;
        if place > bounds.latest || is_taken {
            return Err(Anomaly::NotSerializable { operation: number });
        }
        places[number] = Some(place);
    }
    Ok(())
}

fn moments(operations: &[Operation]) -> Vec<Moment> {
    let mut moments = Vec::with_capacity(operations.len() * 2);
    for (number, operation) in operations.iter().enumerate() {
        let mut add = |at, is_call| {
            moments.push(Moment {
                at,
                operation: number,
                is_call,
            });
        };
        add(operation.called, true);
        if operation.answered != NEVER {
            add(operation.answered, false);
        }
    }
    moments.sort_by_key(|moment| moment.at);
    moments
}

/// The positions at which an operation can have taken effect.
struct Bounds {
    earliest: u64,
    latest: u64,
    is_written: bool,
}

/// None if it neither left nor saw anything.
fn bounds(operation: &Operation, number: usize, books: &Books) -> Option<Bounds> {
    let mut earliest = 0;
    let mut latest = u64::MAX;
    for (account, version) in seen_versions(operation) {
        // What nobody can have seen was current nowhere.
        let term = books.accounts[account].term(version);
        let (since, until) = term.unwrap_or((u64::MAX, 0));
        earliest = earliest.max(since);
        latest = latest.min(until);
    }
    let Some(effect) = books.effects.get(&number) else {
        let saw = matches!(
            operation.outcome,
            Outcome::Done { .. } | Outcome::Rejected { .. }
        );
        return saw.then_some(Bounds {
            earliest,
            latest,
            is_written: false,
        });
    };
    // All that it saw was current right before its first event.
    let before = effect.first_position - 1;
    let was_current = earliest <= before && before <= latest;
    Some(Bounds {
        earliest: effect.last_position,
        latest: if was_current { effect.last_position } else { 0 },
        is_written: true,
    })
}

/// The accounts' versions that an operation came to know.
fn seen_versions(operation: &Operation) -> Vec<(usize, u64)> {
    match &operation.outcome {
        Outcome::Done { seen, .. } => first_seen(operation, seen),
        Outcome::Rejected { step, seen } => rejected_at(operation, *step, *seen)
            .map(|version| (operation.steps[*step].account, version))
            .into_iter()
            .collect(),
        Outcome::NotRecorded | Outcome::Unknown => Vec::new(),
    }
}
