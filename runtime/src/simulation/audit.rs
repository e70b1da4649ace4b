//! What must hold in every run, whatever the domain.

use std::collections::HashMap;

use foldhouse_store::{Position, RecordedEvent, Store, Version};
use uuid::Uuid;

use super::history::{Answer, Call, Entries, Settled, Submitted};
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
    let found = Found::new(events);
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
    for (number, append) in entries.appends.iter().enumerate() {
        check_append(append, &found)
            .map_err(|what| Violation::new("an append is settled as it was recorded", what))?;
        if let Some(call) = append.call.and_then(|call| entries.calls.get(call)) {
            check_answer(call, number, &entries, &found).map_err(|what| {
                Violation::new(
                    "an answer is true of what is recorded",
                    format!("{what}: {call:?}"),
                )
            })?;
        }
    }
    if found.strangers(&entries) {
        return Err(Violation::new(
            "only what was submitted is recorded",
            "an event is there that no append had",
        ));
    }
    check_retries(&entries, &found)?;
    check_order(&entries.calls)
}

/// A retry that got the answer of an earlier call is as good as that.
fn check_retries(entries: &Entries, found: &Found) -> Result<(), Violation> {
    let mut recorded = HashMap::new();
    for append in &entries.appends {
        let call = append.call.and_then(|call| entries.calls.get(call));
        let command = call.and_then(|call| call.command_id);
        if let (Some(command), Part::All(position, _)) = (command, found.part(append)) {
            recorded.insert(command, position);
        }
    }
    for call in &entries.calls {
        if let Some((Answer::Done { position, .. }, _)) = &call.answer
            && let Some(recorded) = call.command_id.and_then(|id| recorded.get(&id))
            && *position != Some(*recorded)
        {
            return Err(Violation::new(
                "a retry gets the same answer",
                format!("the command was recorded at position {recorded}: {call:?}"),
            ));
        }
    }
    Ok(())
}

/// Where each event is.
struct Found(HashMap<Uuid, (Position, Version)>);

/// How much of an append is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Side by side, in order; the place of the last event.
    All(Position, Version),
    None,
    Some,
}

impl Found {
    fn new(events: &[RecordedEvent]) -> Self {
        let places = events
            .iter()
            .map(|event| (event.id, (event.position, event.version)));
        Self(places.collect())
    }

    fn part(&self, append: &Submitted) -> Part {
        let mut places = append.events.iter().map(|(_, id)| self.0.get(id));
        let Some(first) = places.next() else {
            return Part::None;
        };
        let Some(&(mut position, mut version)) = first else {
            return match places.any(|place| place.is_some()) {
                true => Part::Some,
                false => Part::None,
            };
        };
        for place in places {
            match place {
                Some((next, its_version)) if *next == position.next() => {
                    (position, version) = (*next, *its_version);
                }
                _ => return Part::Some,
            }
        }
        Part::All(position, version)
    }

    fn strangers(&self, entries: &Entries) -> bool {
        let submitted = entries.appends.iter().flat_map(|append| &append.events);
        let known: std::collections::HashSet<_> = submitted.map(|(_, id)| id).collect();
        self.0.keys().any(|id| !known.contains(id))
    }
}

fn check_append(append: &Submitted, found: &Found) -> Result<(), String> {
    if append.events.is_empty() {
        return Ok(());
    }
    let part = found.part(append);
    let is_right = match append.outcome {
        _ if part == Part::Some => false,
        Some(Settled::Recorded(last)) => {
            matches!(part, Part::All(position, _) if position == last)
        }
        Some(Settled::NotRecorded) => part == Part::None,
        Some(Settled::Unknown) | None => true,
    };
    if is_right {
        return Ok(());
    }
    let there = match part {
        Part::All(position, _) => format!("all up to position {position}"),
        Part::None => "none".to_owned(),
        Part::Some => "a part".to_owned(),
    };
    let (outcome, events) = (append.outcome, &append.events);
    Err(format!(
        "the store said {outcome:?}, and {there} of its events are there: {events:?}"
    ))
}

fn check_answer(
    call: &Call,
    append: usize,
    entries: &Entries,
    found: &Found,
) -> Result<(), String> {
    let Some(submitted) = entries.appends.get(append) else {
        return Ok(());
    };
    let part = found.part(submitted);
    let earlier = entries.appends.iter().take(append);
    // Also by another call, which was a retry.
    let command_of = |append: &Submitted| entries.calls.get(append.call?)?.command_id;
    let mut recorded_before = earlier
        .filter(|other| command_of(other) == call.command_id)
        .filter(|other| found.part(other) != Part::None);
    if part != Part::None && recorded_before.next().is_some() {
        return Err("it took effect twice".to_owned());
    }
    match (&call.answer, part) {
        (Some((Answer::Done { position, version }, _)), Part::All(last, its_version)) => {
            if position.is_some_and(|position| position != last) {
                return Err(format!("its last event is at position {last}"));
            }
            if version.is_some_and(|version| version != its_version) {
                return Err(format!("its last event has version {its_version}"));
            }
            Ok(())
        }
        (Some((Answer::Done { .. }, _)), _) => Err("its events are not there".to_owned()),
        (Some((Answer::Rejected(_) | Answer::NotRecorded(_), _)), Part::All(..) | Part::Some) => {
            Err("its events are there".to_owned())
        }
        _ => Ok(()),
    }
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
