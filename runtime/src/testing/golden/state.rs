use super::directory::{Directory, GoldenMode};
use super::event_file::Stored;
use super::problem::GoldenProblem;
use super::rendition::{line_difference, lines};
use super::state_file::{After, States};
use crate::aggregate::Aggregate;
use crate::fold::fold;
use crate::state_schema::canonical_state;
use crate::testing::recorded::recorded_payload;

/// How often states are made, to see whether they come out the same.
const FOLDS: usize = 4;

/// Compares the states that the golden events lead to with those that they once led to.
pub(super) fn check<A: Aggregate>(today: &[Stored], golden: &[Stored], directory: &mut Directory) {
    if directory.has_problems() {
        // Events that are not as they should be lead to nothing that could be told.
        return;
    }
    let file = directory.state_file();
    let text = directory.read(&file);
    let before = match text.as_deref().map(States::read).transpose() {
        Ok(before) => before,
        Err(_) if directory.mode == GoldenMode::Update => None,
        Err(what) => {
            directory.problem(GoldenProblem::NotGolden { file, what });
            return;
        }
    };
    if let Some(before) = &before
        && before.state_schema > A::STATE_SCHEMA
        && directory.mode != GoldenMode::Update
    {
        directory.problem(GoldenProblem::StateSchemaWentBack {
            state_schema: A::STATE_SCHEMA,
            before: before.state_schema,
            file,
        });
        return;
    }
    let kept = before.filter(|before| {
        before.state_schema == A::STATE_SCHEMA && directory.mode != GoldenMode::Update
    });
    if let Some(kept) = &kept
        && let Err(problem) = check_same::<A>(kept, directory)
    {
        directory.problem(problem);
        return;
    }
    let order = kept.map_or_else(|| today.to_vec(), |kept| events_of(&kept));
    match states::<A>(with_others(order, golden)) {
        Ok(now) => {
            let now = now.write();
            match text {
                None => directory.write(file, "missing", &now),
                Some(text) if text != now => directory.write(file, "out of date", &now),
                Some(_) => {}
            }
        }
        Err(problem) => directory.problem(problem),
    }
}

fn events_of(states: &States) -> Vec<Stored> {
    let events = states.after.iter().map(|after| after.event.clone());
    events.collect()
}

/// The events in their order, and behind them those that have come to it since, and those of earlier versions.
fn with_others(mut events: Vec<Stored>, golden: &[Stored]) -> Vec<Stored> {
    for event in golden {
        if !events.contains(event) {
            events.push(event.clone());
        }
    }
    events
}

fn check_same<A: Aggregate>(before: &States, directory: &Directory) -> Result<(), GoldenProblem> {
    let now = states::<A>(events_of(before))?;
    for (before, now) in before.after.iter().zip(&now.after) {
        if before.state != now.state {
            return Err(GoldenProblem::StateChanged {
                event_type: before.event.event_type.clone(),
                state_schema: A::STATE_SCHEMA,
                file: directory.state_file(),
                difference: line_difference(&before.state, &now.state),
            });
        }
    }
    Ok(())
}

fn states<A: Aggregate>(events: Vec<Stored>) -> Result<States, GoldenProblem> {
    let first = states_once::<A>(&events)?;
    for _ in 1..FOLDS {
        if states_once::<A>(&events)? != first {
            let error = "it is not written down the same way each time; \
                 keep sets that are ordered (BTreeSet) in the state";
            return Err(GoldenProblem::NoState {
                error: error.to_owned(),
            });
        }
    }
    Ok(first)
}

fn states_once<A: Aggregate>(events: &[Stored]) -> Result<States, GoldenProblem> {
    let no_state = |error: String| GoldenProblem::NoState { error };
    let mut states = States {
        state_schema: A::STATE_SCHEMA,
        after: Vec::with_capacity(events.len()),
    };
    let mut state = A::default();
    for (version, event) in (1..).zip(events) {
        fold(&mut state, &recorded_payload::<A>(event, version))
            .map_err(|unreadable| no_state(unreadable.to_string()))?;
        states.after.push(After {
            event: event.clone(),
            state: lines(&canonical_state(&state).map_err(no_state)?),
        });
    }
    Ok(states)
}
