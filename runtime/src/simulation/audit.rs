//! What must hold in every run, whatever the domain.

mod recorded;

use std::collections::HashMap;

use foldhouse_store::{Position, RecordedEvent, Store, Version};

use self::recorded::Recorded;
use super::history::{Answer, Call};
use super::machine::Machine;
use super::process::Process;
use super::report::Violation;
use super::world::by_stream;

/// Events of one read.
const PAGE_EVENTS: usize = 500;

/// Reads all recorded events. Positions and versions have no gap, and time does not go back.
pub(super) async fn read_log(store: &dyn Store) -> Result<Vec<RecordedEvent>, Violation> {
    let broken = |what: String| Violation::new("positions, versions and times are in order", what);
    let mut events: Vec<RecordedEvent> = Vec::new();
    let mut versions = HashMap::new();
    let mut after = Some(Position::BEFORE_FIRST);
    while let Some(from) = after {
        let page = store.read_all(from, PAGE_EVENTS).await;
        let page = page.map_err(|error| Violation::new("the journal can be read", error))?;
        for event in page.events {
            let position = Position::new(events.len() as u64 + 1);
            let version: &mut Version = versions.entry(event.stream.clone()).or_default();
            *version = version.next();
            let is_later = |last: &RecordedEvent| last.recorded_at > event.recorded_at;
            if event.position != position
                || event.version != *version
                || events.last().is_some_and(is_later)
            {
                return Err(broken(format!(
                    "at position {position}, where version {version} of {} should be, is {event:?}",
                    event.stream
                )));
            }
            events.push(event);
        }
        after = page.next;
    }
    if store.head() != Position::new(events.len() as u64) {
        return Err(broken(format!(
            "the head is {}, but {} events are there",
            store.head(),
            events.len()
        )));
    }
    Ok(events)
}

/// What was recorded and answered so far is there, and nothing else.
pub(super) fn check_log(machine: &Machine, events: &[RecordedEvent]) -> Result<(), Violation> {
    let entries = machine.history.entries();
    let recorded = Recorded::new(events, &entries);
    {
        let mut known = machine.known();
        let ids = events.iter().map(|event| event.id);
        if !ids.clone().take(known.len()).eq(known.iter().copied()) {
            return Err(Violation::new(
                "what was there once stays",
                "the events that were found before are not the first ones any more",
            ));
        }
        *known = ids.collect();
    }
    recorded
        .check_appends()
        .map_err(|what| Violation::new("an append is settled as it was recorded", what))?;
    recorded
        .check_answers()
        .map_err(|what| Violation::new("an answer is true of what is recorded", what))?;
    if recorded.has_strangers {
        return Err(Violation::new(
            "only what was submitted is recorded",
            "an event is there that no append had",
        ));
    }
    check_order(&entries.calls)
}

/// Whether a call with the same command id was made before: its answer may be that of then.
fn is_retry(calls: &[Call], call: &Call) -> bool {
    let mut same = calls
        .iter()
        .filter(|other| other.command_id == call.command_id);
    let first = same.next();
    call.command_id.is_some() && first.is_some_and(|first| first.called_at < call.called_at)
}

/// Who asks after another was answered sees what that one left: versions of a stream, and positions, do not go back.
fn check_order(calls: &[Call]) -> Result<(), Violation> {
    let mut answered: Vec<_> = calls
        .iter()
        .filter_map(|call| match &call.answer {
            Some((Answer::Done { position, version }, at)) if !is_retry(calls, call) => {
                Some((*at, call, *position, *version))
            }
            _ => None,
        })
        .collect();
    answered.sort_by_key(|(at, ..)| *at);
    let mut by_answer = answered.iter().peekable();
    let mut versions = HashMap::new();
    let mut last_position = Position::BEFORE_FIRST;
    // In the order of the calls: what had been answered before each.
    let mut by_call: Vec<_> = answered.iter().collect();
    by_call.sort_by_key(|(_, call, ..)| call.called_at);
    for (_, call, position, version) in by_call {
        while let Some((_, earlier, its_position, its_version)) =
            by_answer.next_if(|(at, ..)| *at < call.called_at)
        {
            last_position = last_position.max(its_position.unwrap_or_default());
            if let (Some(stream), Some(version)) = (&earlier.stream, its_version) {
                let seen: &mut Version = versions.entry(stream).or_default();
                *seen = (*seen).max(*version);
            }
        }
        let seen = call.stream.as_ref().and_then(|stream| versions.get(stream));
        let went_back = version.zip(seen).is_some_and(|(its, seen)| its < *seen)
            || position.is_some_and(|position| position < last_position);
        if went_back {
            return Err(Violation::new(
                "who asks later does not see less",
                format!(
                    "before it version {seen:?} and position {last_position} had been answered: {call:?}"
                ),
            ));
        }
    }
    Ok(())
}

/// Every aggregate that is hydrated, from a snapshot if there is one, is what a replay gives; no read model is ahead.
pub(super) async fn check_kept(
    machine: &Machine,
    store: &dyn Store,
    events: &[RecordedEvent],
) -> Result<(), Violation> {
    for (stream, events) in by_stream(events) {
        let Some(fold) = machine.folds.of(stream.aggregate_type()) else {
            continue;
        };
        let hydrated = fold.check_hydrated(store, stream, events).await;
        hydrated.map_err(|what| Violation::new("hydrating gives what a replay gives", what))?;
    }
    let names: Vec<_> = machine.projections().iter().copied().collect();
    for name in names {
        let checkpoint = store.checkpoint(name).await;
        let checkpoint =
            checkpoint.map_err(|error| Violation::new("read models can be read", error))?;
        let position = checkpoint.unwrap_or_default().position;
        if position > store.head() {
            return Err(Violation::new(
                "a read model is never ahead of the journal",
                format!(
                    "{name} is at {position}, the journal ends at {}",
                    store.head()
                ),
            ));
        }
    }
    Ok(())
}

/// What a process has in memory is what a replay gives, now that nothing is under way.
pub(super) async fn check_live(
    machine: &Machine,
    process: &Process,
    events: &[RecordedEvent],
) -> Result<(), Violation> {
    for (stream, events) in by_stream(events) {
        let Some(fold) = machine.folds.of(stream.aggregate_type()) else {
            continue;
        };
        let live = fold.check_live(&process.runtime, stream, events).await;
        live.map_err(|what| Violation::new("the state in memory is what a replay gives", what))?;
    }
    for projection in process.projections() {
        let follows = projection.check(events).await;
        follows.map_err(|what| Violation::new("the rows are what a replay gives", what))?;
    }
    Ok(())
}
