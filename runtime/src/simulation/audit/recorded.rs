//! What is recorded of each append, and whether that is what the store and the runtime have said.

use std::collections::{HashMap, HashSet};

use foldhouse_store::{Position, RecordedEvent, Version};
use uuid::Uuid;

use crate::simulation::history::{Answer, Call, Entries, Settled, Submitted};
use crate::timer::is_reserved;

/// How much of an append is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Side by side, in order; the place of the last event.
    All(Position, Version),
    None,
    Some,
}

/// What is there of each append, and which command each came from.
pub(super) struct Recorded<'e> {
    entries: &'e Entries,
    /// By append.
    parts: Vec<Part>,
    /// The appends with events of each command.
    by_command: HashMap<Uuid, Vec<usize>>,
    /// Whether there is an event that no append had.
    pub(super) has_strangers: bool,
}

impl<'e> Recorded<'e> {
    pub(super) fn new(events: &[RecordedEvent], entries: &'e Entries) -> Self {
        let places: HashMap<_, _> = events
            .iter()
            .map(|event| (event.id, (event.position, event.version)))
            .collect();
        let owners = owners(&entries.appends);
        let mut by_command = HashMap::<_, Vec<_>>::new();
        let parts = entries.appends.iter().enumerate().map(|(number, append)| {
            let call = append.call.and_then(|call| entries.calls.get(call));
            if let Some(command) = call.and_then(|call| call.command_id) {
                by_command.entry(command).or_default().push(number);
            }
            match append.events.first() {
                Some((_, id)) if owners.get(id) == Some(&number) => part(append, &places),
                _ => Part::None,
            }
        });
        let parts = parts.collect();
        let submitted = entries.appends.iter().flat_map(|append| &append.events);
        let submitted: HashSet<_> = submitted.map(|(_, id)| id).collect();
        Self {
            entries,
            parts,
            by_command,
            has_strangers: places.keys().any(|id| !submitted.contains(id)),
        }
    }

    fn part(&self, append: usize) -> Part {
        self.parts.get(append).copied().unwrap_or(Part::None)
    }

    /// Whether the store has told the truth about each append.
    pub(super) fn check_appends(&self) -> Result<(), String> {
        let mut appends = self.entries.appends.iter().enumerate();
        appends.try_for_each(|(number, append)| check_append(append, self.part(number)))
    }

    /// Whether the runtime has told the truth to each caller.
    pub(super) fn check_answers(&self) -> Result<(), String> {
        let mut calls = self.entries.calls.iter().enumerate();
        calls.try_for_each(|(number, call)| {
            self.check_answer(number, call)
                .map_err(|what| format!("{what}: {call:?}"))
        })
    }

    fn check_answer(&self, number: usize, call: &Call) -> Result<(), String> {
        let Some(command) = call.command_id else {
            return Ok(());
        };
        let appends = self.by_command.get(&command).map_or(&[][..], Vec::as_slice);
        let is_own = |append: &usize| {
            let append = self.entries.appends.get(*append);
            append.is_some_and(|append| append.call == Some(number))
        };
        let mut own = appends.iter().filter(|append| is_own(append));
        let there = appends.iter().map(|append| self.part(*append));
        let mut there = there.filter(|part| *part != Part::None);
        match (&call.answer, there.next()) {
            (_, Some(_)) if there.next().is_some() => Err("it took effect twice".to_owned()),
            // It may be that of an earlier call, which was a retry of this one.
            (Some((Answer::Done { position, version }, _)), Some(Part::All(last, its_version))) => {
                if position.is_some_and(|position| position != last) {
                    return Err(format!("its last event is at position {last}"));
                }
                if version.is_some_and(|version| version != its_version) {
                    return Err(format!("its last event has version {its_version}"));
                }
                Ok(())
            }
            // Without an append it was decided that there is nothing to record.
            (Some((Answer::Done { .. }, _)), _) if own.next().is_some() => {
                Err("its events are not there".to_owned())
            }
            (Some((Answer::Rejected(_) | Answer::NotRecorded(_), _)), Some(_))
                if own.any(|append| self.part(*append) != Part::None) =>
            {
                Err("its events are there".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Whose the events are that are there: a retry under the same id has the same ones. By the first event of each, the
/// append that succeeded, or else the last of which it is not known.
fn owners(appends: &[Submitted]) -> HashMap<Uuid, usize> {
    let rank = |number: usize| {
        let outcome = appends.get(number).map(|append| append.outcome);
        match outcome {
            Some(Some(Settled::Recorded(_))) => 2,
            Some(Some(Settled::NotRecorded)) => 0,
            _ => 1,
        }
    };
    let mut owners = HashMap::new();
    for (number, append) in appends.iter().enumerate() {
        let Some((_, first)) = append.events.first() else {
            continue;
        };
        let owner = owners.entry(*first).or_insert(number);
        let (before, now) = (rank(*owner), rank(number));
        if now > before || (now == before && now < 2) {
            *owner = number;
        }
    }
    owners
}

fn part(append: &Submitted, places: &HashMap<Uuid, (Position, Version)>) -> Part {
    let mut found = append
        .events
        .iter()
        .map(|(stream, id)| (stream, places.get(id)));
    let Some((_, first)) = found.next() else {
        return Part::None;
    };
    let Some(&(mut position, mut version)) = first else {
        return match found.any(|(_, place)| place.is_some()) {
            true => Part::Some,
            false => Part::None,
        };
    };
    for (stream, place) in found {
        match place {
            Some((next, its_version)) if *next == position.next() => {
                position = *next;
                // What is recorded of timers has versions of its own.
                if !is_reserved(stream.tenant()) {
                    version = *its_version;
                }
            }
            _ => return Part::Some,
        }
    }
    Part::All(position, version)
}

fn check_append(append: &Submitted, part: Part) -> Result<(), String> {
    if append.events.is_empty() {
        return Ok(());
    }
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
