//! Linearizability of one account, from what its callers did and were told.
//!
//! The search of Wing and Gong: of the operations that no unplaced one was answered before the call of, place one whose
//! answer fits the state, and go on; if none fits, take the last one back. Lowe's memory keeps it from coming to the same
//! set of placed operations and state twice. One account at a time, since a history is linearizable if each object's is.
//!
//! An operation of unknown outcome may be placed, or be left out for good. Many of them would let the search try every
//! subset, so it looks ahead: an account counts its changes and never goes back, and a state is of no use that is beyond
//! one which an unplaced operation saw.

use std::collections::{BTreeMap, HashSet};

use super::account::Account;
use super::check::{Anomaly, first_seen, rejected_at};
use super::history::{NEVER, Operation, Outcome, Way};
use super::rules;

/// An operation's part at one account.
struct Call<'a> {
    number: usize,
    operation: &'a Operation,
    may_be_left_out: bool,
    /// The changes that the account had when it came to this operation.
    saw: Option<u64>,
}

/// How often the account had been changed when it came to this operation, as far as the caller knows.
fn changes_seen(account: usize, operation: &Operation) -> Option<u64> {
    match &operation.outcome {
        Outcome::Done { seen, .. } => first_seen(operation, seen)
            .into_iter()
            .find_map(|(of, version)| (of == account).then_some(version)),
        Outcome::Rejected { step, seen } => rejected_at(operation, *step, *seen),
        Outcome::NotRecorded | Outcome::Unknown => None,
    }
}

pub(super) fn check(account: usize, operations: &[Operation]) -> Result<(), Anomaly> {
    let calls = operations
        .iter()
        .enumerate()
        .filter_map(|(number, operation)| {
            let takes_part = match operation.outcome {
                Outcome::Done { .. } => operation.steps.iter().any(|step| step.account == account),
                Outcome::Rejected { step, .. } => operation.steps[step].account == account,
                Outcome::NotRecorded => false,
                Outcome::Unknown => {
                    let mut steps = operation.steps.iter();
                    operation.records() && steps.any(|step| step.account == account)
                }
            };
            takes_part.then_some(Call {
                number,
                operation,
                may_be_left_out: matches!(operation.outcome, Outcome::Unknown),
                saw: changes_seen(account, operation),
            })
        });
    let calls: Vec<Call<'_>> = calls.collect();
    Search::new(account, &calls).run()
}

/// The state after an operation, if its answer fits this one.
fn step(state: Account, account: usize, operation: &Operation) -> Option<Account> {
    let mut after = state;
    for (index, step) in operation.steps.iter().enumerate() {
        if step.account != account {
            continue;
        }
        match &operation.outcome {
            Outcome::Done { seen, .. } if !seen[index].is(after) => return None,
            Outcome::Rejected { step: last, seen } if *last == index => {
                let fits = after == *seen && rules::after(after, &step.action).is_none();
                return fits.then_some(state);
            }
            _ => after = rules::after(after, &step.action)?,
        }
    }
    let leaves = operation.way != Way::DryRun;
    Some(if leaves { after } else { state })
}

/// Calls and answers in their order, as a list from which those of a placed operation are unlinked. Node 0 is its head.
struct Search<'a> {
    account: usize,
    calls: &'a [Call<'a>],
    nodes: Vec<Node>,
    /// The nodes of each call and its answer.
    places: Vec<(usize, usize)>,
    placed: Vec<u64>,
    state: Account,
    /// What was placed or left out: the call, and the state before it.
    taken: Vec<(usize, Account)>,
    been: HashSet<(Vec<u64>, Account)>,
    /// What the unplaced operations saw, each with how many did.
    to_be_seen: BTreeMap<u64, usize>,
}

#[derive(Clone, Copy)]
struct Node {
    call: usize,
    is_answer: bool,
    before: usize,
    behind: usize,
}

/// No node.
const END: usize = usize::MAX;

impl<'a> Search<'a> {
    fn new(account: usize, calls: &'a [Call<'a>]) -> Self {
        let mut moments = Vec::with_capacity(calls.len() * 2);
        for (call, Call { operation, .. }) in calls.iter().enumerate() {
            moments.push((operation.called, false, call));
            moments.push((operation.answered, true, call));
        }
        moments.sort_unstable();
        let head = Node {
            call: END,
            is_answer: false,
            before: END,
            behind: if moments.is_empty() { END } else { 1 },
        };
        let mut nodes = vec![head];
        let mut places = vec![(0, 0); calls.len()];
        for (_, is_answer, call) in &moments {
            let at = nodes.len();
            match is_answer {
                false => places[*call].0 = at,
                true => places[*call].1 = at,
            }
            nodes.push(Node {
                call: *call,
                is_answer: *is_answer,
                before: at - 1,
                behind: if at == moments.len() { END } else { at + 1 },
            });
        }
        let mut to_be_seen = BTreeMap::new();
        for saw in calls.iter().filter_map(|call| call.saw) {
            *to_be_seen.entry(saw).or_default() += 1;
        }
        Self {
            account,
            calls,
            nodes,
            places,
            placed: vec![0; calls.len().div_ceil(64)],
            state: Account::default(),
            taken: Vec::new(),
            been: HashSet::new(),
            to_be_seen,
        }
    }

    fn run(mut self) -> Result<(), Anomaly> {
        let mut at = self.nodes[0].behind;
        let mut furthest = (0, 0);
        while at != END {
            let Node {
                call, is_answer, ..
            } = self.nodes[at];
            let Call {
                number,
                operation,
                may_be_left_out,
                ..
            } = self.calls[call];
            let next = match is_answer {
                false => step(self.state, self.account, operation),
                true if operation.answered == NEVER => return Ok(()),
                true => may_be_left_out.then_some(self.state),
            };
            if next.is_some_and(|next| self.take(call, next)) {
                at = self.nodes[0].behind;
                continue;
            }
            if !is_answer {
                at = self.nodes[at].behind;
                continue;
            }
            furthest = furthest.max((self.taken.len(), number));
            // This one was answered, and nothing that could come before it fits.
            at = self.take_back().ok_or(Anomaly::NotLinearizable {
                account: self.account,
                stuck_at: furthest.1,
            })?;
        }
        Ok(())
    }

    /// Takes the call out of the list, unless it was here before with the same result.
    fn take(&mut self, call: usize, next: Account) -> bool {
        self.placed[call / 64] |= 1 << (call % 64);
        self.count(call, false);
        let lowest = self.to_be_seen.first_key_value();
        let is_beyond = lowest.is_some_and(|(lowest, _)| *lowest < next.changes);
        if is_beyond || !self.been.insert((self.placed.clone(), next)) {
            self.placed[call / 64] &= !(1 << (call % 64));
            self.count(call, true);
            return false;
        }
        self.taken.push((call, self.state));
        self.state = next;
        let (called, answered) = self.places[call];
        self.unlink(called);
        self.unlink(answered);
        true
    }

    /// Puts the last one back; gives the node to go on from.
    fn take_back(&mut self) -> Option<usize> {
        let (call, state) = self.taken.pop()?;
        self.state = state;
        self.placed[call / 64] &= !(1 << (call % 64));
        self.count(call, true);
        let (called, answered) = self.places[call];
        self.link(answered);
        self.link(called);
        Some(self.nodes[called].behind)
    }

    /// Whether what the call saw is still to be seen.
    fn count(&mut self, call: usize, is_unplaced: bool) {
        let Some(saw) = self.calls[call].saw else {
            return;
        };
        let count = self.to_be_seen.entry(saw).or_default();
        match is_unplaced {
            true => *count += 1,
            false => *count -= 1,
        }
        if *count == 0 {
            self.to_be_seen.remove(&saw);
        }
    }

    fn unlink(&mut self, at: usize) {
        let Node { before, behind, .. } = self.nodes[at];
        self.nodes[before].behind = behind;
        if behind != END {
            self.nodes[behind].before = before;
        }
    }

    fn link(&mut self, at: usize) {
        let Node { before, behind, .. } = self.nodes[at];
        self.nodes[before].behind = at;
        if behind != END {
            self.nodes[behind].before = at;
        }
    }
}
