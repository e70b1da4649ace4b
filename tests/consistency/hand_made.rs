//! Histories written by hand: each check lets good ones pass, and sees each kind of anomaly for itself.

use super::account::Account;
use super::check::{Anomaly, Evidence, answers, check, money};
use super::history::{Action, NEVER, Operation, Outcome, Seen, Step, Way};
use super::journal::{Books, Entry};
use super::{linearizability, serializability};

const A: usize = 0;
const B: usize = 1;

fn state(balance: i64, changes: u64) -> Account {
    Account { balance, changes }
}

fn done(seen: &[Account]) -> Outcome {
    Outcome::Done {
        seen: seen.iter().map(|state| Seen::from(*state)).collect(),
        position: None,
        version: None,
    }
}

fn rejected(step: usize, seen: Account) -> Outcome {
    Outcome::Rejected { step, seen }
}

fn change(account: usize, by: i64) -> Step {
    let action = Action::Change(vec![by]);
    Step { account, action }
}

fn read(account: usize) -> Step {
    let action = Action::Read;
    Step { account, action }
}

fn at_least(account: usize, balance: i64) -> Step {
    let action = Action::AtLeast(balance);
    Step { account, action }
}

/// Operations by number, and the journal.
struct Story(Evidence);

fn story() -> Story {
    Story(Evidence {
        accounts: 2,
        operations: Vec::new(),
        entries: Vec::new(),
    })
}

impl Story {
    /// Somebody called at the one moment and was answered at the other.
    fn told(mut self, (called, answered): (u64, u64), steps: &[Step], outcome: Outcome) -> Self {
        self.0.operations.push(Operation {
            way: match steps.len() {
                1 => Way::Alone,
                _ => Way::Together,
            },
            steps: steps.to_vec(),
            called,
            answered,
            outcome,
            behind: None,
        });
        self
    }

    fn dry_run(mut self, times: (u64, u64), steps: &[Step], outcome: Outcome) -> Self {
        self = self.told(times, steps, outcome);
        self.0.operations.last_mut().unwrap().way = Way::DryRun;
        self
    }

    /// The next event of the journal.
    fn recorded(mut self, operation: usize, account: usize, by: i64) -> Self {
        let of_account = self.0.entries.iter();
        let version = of_account.filter(|entry| entry.account == account).count() as u64 + 1;
        self.0.entries.push(Entry {
            account,
            version,
            operation,
            by,
        });
        self
    }

    fn linearizable(&self, account: usize) -> Result<(), Anomaly> {
        linearizability::check(account, &self.0.operations)
    }

    fn books(&self) -> Result<Books, Anomaly> {
        Books::read(self.0.accounts, &self.0.operations, &self.0.entries)
    }

    fn answers(&self) -> Result<(), Anomaly> {
        answers(&self.0.operations, &self.books()?)
    }

    fn serializable(&self) -> Result<(), Anomaly> {
        serializability::check(&self.0.operations, &self.books()?)
    }

    fn is_linearizable(&self) -> bool {
        self.linearizable(A).is_ok() && self.linearizable(B).is_ok()
    }
}

#[test]
fn a_good_history_passes_every_check() {
    let good = story()
        .told((1, 2), &[change(A, 10)], done(&[state(0, 0)]))
        .told(
            (3, 8),
            &[change(A, -4), change(B, 4)],
            done(&[state(10, 1), state(0, 0)]),
        )
        .told((4, 5), &[read(A)], done(&[state(10, 1)]))
        .told((6, 7), &[read(B)], done(&[state(4, 1)]))
        .told((9, 10), &[change(A, -7)], rejected(0, state(6, 2)))
        .dry_run(
            (11, 12),
            &[change(A, 1), change(A, 1)],
            done(&[state(6, 2), state(7, 3)]),
        )
        .recorded(0, A, 10)
        .recorded(1, A, -4)
        .recorded(1, B, 4);
    let checked = check(&good.0).unwrap();
    assert_eq!((checked.done, checked.rejected), (5, 1));
}

#[test]
fn a_read_beside_a_change_may_see_it_or_not() {
    for seen in [state(0, 0), state(10, 1)] {
        let both = story()
            .told((1, 4), &[change(A, 10)], done(&[state(0, 0)]))
            .told((2, 3), &[read(A)], done(&[seen]))
            .recorded(0, A, 10);
        check(&both.0).unwrap();
    }
}

#[test]
fn a_stale_read_is_seen() {
    let stale = story()
        .told((1, 2), &[change(A, 10)], done(&[state(0, 0)]))
        .told((3, 4), &[read(A)], done(&[state(0, 0)]))
        .recorded(0, A, 10);
    stale.linearizable(A).unwrap_err();
    assert_eq!(
        stale.serializable(),
        Err(Anomaly::NotSerializable { operation: 1 })
    );
}

#[test]
fn reads_that_go_back_are_seen() {
    let back = story()
        .told((1, 6), &[change(A, 10)], done(&[state(0, 0)]))
        .told((2, 3), &[read(A)], done(&[state(10, 1)]))
        .told((4, 5), &[read(A)], done(&[state(0, 0)]))
        .recorded(0, A, 10);
    back.linearizable(A).unwrap_err();
    assert_eq!(
        back.serializable(),
        Err(Anomaly::NotSerializable { operation: 2 })
    );
}

#[test]
fn a_lost_update_is_seen() {
    let lost = story()
        .told((1, 3), &[change(A, 10)], done(&[state(0, 0)]))
        .told((2, 4), &[change(A, 20)], done(&[state(0, 0)]))
        .recorded(0, A, 10)
        .recorded(1, A, 20);
    lost.linearizable(A).unwrap_err();
    assert_eq!(
        lost.answers(),
        Err(Anomaly::AgainstTheRules {
            operation: 1,
            account: A
        })
    );
    lost.serializable().unwrap_err();
}

/// Each pays out as long as the other account has something; together they must not both.
#[test]
fn write_skew_is_seen_though_each_account_is_linearizable() {
    let skewed = story()
        .told((1, 2), &[change(A, 5)], done(&[state(0, 0)]))
        .told((3, 4), &[change(B, 5)], done(&[state(0, 0)]))
        .told(
            (5, 7),
            &[change(A, -5), at_least(B, 5)],
            done(&[state(5, 1), state(5, 1)]),
        )
        .told(
            (6, 8),
            &[change(B, -5), at_least(A, 5)],
            done(&[state(5, 1), state(5, 1)]),
        )
        .recorded(0, A, 5)
        .recorded(1, B, 5)
        .recorded(2, A, -5)
        .recorded(3, B, -5);
    assert!(skewed.is_linearizable());
    skewed.answers().unwrap();
    assert_eq!(
        skewed.serializable(),
        Err(Anomaly::NotSerializable { operation: 3 })
    );
}

#[test]
fn a_look_at_half_a_transfer_is_seen_though_each_account_is_linearizable() {
    let torn = story()
        .told((1, 2), &[change(A, 9)], done(&[state(0, 0)]))
        .told(
            (3, 6),
            &[change(A, -9), change(B, 9)],
            done(&[state(9, 1), state(0, 0)]),
        )
        .dry_run(
            (4, 5),
            &[at_least(A, 0), at_least(B, 0)],
            done(&[state(0, 2), state(0, 0)]),
        )
        .recorded(0, A, 9)
        .recorded(1, A, -9)
        .recorded(1, B, 9);
    assert!(torn.is_linearizable());
    torn.answers().unwrap();
    assert_eq!(
        torn.serializable(),
        Err(Anomaly::NotSerializable { operation: 2 })
    );
}

#[test]
fn positions_against_real_time_are_seen_though_each_account_is_linearizable() {
    let swapped = story()
        .told((1, 2), &[change(A, 1)], done(&[state(0, 0)]))
        .told((3, 4), &[change(B, 1)], done(&[state(0, 0)]))
        .recorded(1, B, 1)
        .recorded(0, A, 1);
    assert!(swapped.is_linearizable());
    swapped.answers().unwrap();
    assert_eq!(
        swapped.serializable(),
        Err(Anomaly::NotSerializable { operation: 1 })
    );
}

#[test]
fn several_in_one_call_that_take_effect_in_another_order_are_seen() {
    let several = |first: Account, second: Account| {
        let mut several = story().told((1, 3), &[change(A, 1)], done(&[first])).told(
            (2, 4),
            &[change(A, 1)],
            done(&[second]),
        );
        several.0.operations[1].behind = Some(0);
        several
    };
    let in_order = several(state(0, 0), state(1, 1)).recorded(0, A, 1);
    check(&in_order.recorded(1, A, 1).0).unwrap();
    let swapped = several(state(1, 1), state(0, 0)).recorded(1, A, 1);
    let swapped = swapped.recorded(0, A, 1);
    swapped.linearizable(A).unwrap();
    assert_eq!(
        swapped.serializable(),
        Err(Anomaly::NotSerializable { operation: 1 })
    );
}

#[test]
fn an_answer_twice_is_seen() {
    let twice = story()
        .told((1, 2), &[change(A, 1)], done(&[state(0, 0)]))
        .recorded(0, A, 1)
        .recorded(0, A, 1);
    assert_eq!(twice.books().unwrap_err(), Anomaly::Twice { operation: 0 });
}

#[test]
fn an_effect_of_what_was_not_recorded_is_seen() {
    let phantom = story()
        .told((1, 2), &[change(A, 1)], Outcome::NotRecorded)
        .recorded(0, A, 1);
    assert_eq!(phantom.answers(), Err(Anomaly::Phantom { operation: 0 }));
    let seen = story()
        .told((1, 2), &[change(A, 1)], Outcome::NotRecorded)
        .told((3, 4), &[read(A)], done(&[state(1, 1)]));
    seen.linearizable(A).unwrap_err();
}

#[test]
fn a_confirmed_change_that_is_not_there_is_seen() {
    let lost = story().told((1, 2), &[change(A, 1)], done(&[state(0, 0)]));
    assert_eq!(lost.answers(), Err(Anomaly::Lost { operation: 0 }));
}

#[test]
fn a_look_at_what_never_came_to_be_is_seen() {
    let dirty = story()
        .told((1, 4), &[change(A, 1)], Outcome::NotRecorded)
        .told((2, 3), &[read(A)], done(&[state(1, 1)]));
    dirty.linearizable(A).unwrap_err();
    assert!(matches!(
        dirty.answers(),
        Err(Anomaly::NeverWas { operation: 1, .. })
    ));
}

#[test]
fn a_look_into_the_middle_of_a_command_is_seen() {
    let both = Step {
        account: A,
        action: Action::Change(vec![3, 4]),
    };
    let middle = story()
        .told((1, 4), &[both], done(&[state(0, 0)]))
        .told((2, 3), &[read(A)], done(&[state(3, 1)]))
        .recorded(0, A, 3)
        .recorded(0, A, 4);
    middle.linearizable(A).unwrap_err();
    assert!(matches!(
        middle.answers(),
        Err(Anomaly::NeverWas { operation: 1, .. })
    ));
}

#[test]
fn a_wrong_rejection_and_a_wrong_consent_are_seen() {
    let refused = story().told((1, 2), &[change(A, 1)], rejected(0, state(0, 0)));
    refused.linearizable(A).unwrap_err();
    refused.answers().unwrap_err();
    let let_through = story()
        .told((1, 2), &[change(A, -1)], done(&[state(0, 0)]))
        .recorded(0, A, -1);
    let_through.linearizable(A).unwrap_err();
    let_through.answers().unwrap_err();
}

#[test]
fn half_a_transfer_and_one_that_lies_apart_are_seen() {
    let transfer = || {
        story()
            .told((1, 2), &[change(A, 9)], done(&[state(0, 0)]))
            .told(
                (3, 4),
                &[change(A, -9), change(B, 9)],
                done(&[state(9, 1), state(0, 0)]),
            )
            .told((5, 6), &[change(B, 1)], done(&[state(9, 1)]))
            .recorded(0, A, 9)
            .recorded(1, A, -9)
    };
    let half = transfer();
    let not_whole = Anomaly::NotWhole {
        operation: 1,
        position: 2,
    };
    assert_eq!(half.books().unwrap_err(), not_whole);
    assert!(matches!(
        money(&half.0.operations, &half.0.entries),
        Err(Anomaly::Money { position: 2, .. })
    ));
    let apart = transfer().recorded(2, B, 1).recorded(1, B, 9);
    assert_eq!(apart.books().unwrap_err(), not_whole);
}

#[test]
fn what_is_unknown_may_have_taken_effect_or_not_but_not_later() {
    let unknown = |answered: u64| story().told((1, answered), &[change(A, 1)], Outcome::Unknown);
    let read_after = |story: Story, seen: Account| story.told((7, 8), &[read(A)], done(&[seen]));
    check(&read_after(unknown(6), state(0, 0)).0).unwrap();
    check(&read_after(unknown(6), state(1, 1)).recorded(0, A, 1).0).unwrap();
    // Open until the end: not at the first look, but at the second.
    let late = read_after(unknown(NEVER), state(0, 0));
    check(
        &late
            .told((9, 10), &[read(A)], done(&[state(1, 1)]))
            .recorded(0, A, 1)
            .0,
    )
    .unwrap();
    // It was settled before the first look.
    let too_late = read_after(unknown(6), state(0, 0))
        .told((9, 10), &[read(A)], done(&[state(1, 1)]))
        .recorded(0, A, 1);
    too_late.linearizable(A).unwrap_err();
    too_late.serializable().unwrap_err();
}

#[test]
fn a_wrong_place_is_seen() {
    let place = |position: u64, version: u64| {
        let told = Outcome::Done {
            seen: vec![state(0, 0).into()],
            position: Some(position),
            version: Some(version),
        };
        story()
            .told((1, 2), &[change(A, 1)], told)
            .recorded(0, A, 1)
    };
    place(1, 1).answers().unwrap();
    for (position, version) in [(2, 1), (0, 1), (1, 2), (1, 0)] {
        let wrong = place(position, version);
        assert_eq!(wrong.answers(), Err(Anomaly::WrongPlace { operation: 0 }));
    }
}

/// Of many concurrent changes only one order fits, and it is not that of the calls.
#[test]
fn the_search_finds_the_one_order_that_fits_and_no_other() {
    const COUNT: u64 = 400;
    let mut all = story();
    for number in (0..COUNT).rev() {
        let called = COUNT - number;
        let seen = state(i64::try_from(number).unwrap(), number);
        all = all.told((called, called + 10_000), &[change(A, 1)], done(&[seen]));
    }
    all.linearizable(A).unwrap();
    all = all.told((1_000, 20_000), &[read(A)], done(&[state(7, 8)]));
    all.linearizable(A).unwrap_err();
}

/// Each may have taken effect at any time since its call; the looks in between say when.
#[test]
fn the_search_is_not_lost_among_many_operations_of_unknown_outcome() {
    const COUNT: u64 = 60;
    let mut all = story();
    for number in 0..COUNT {
        let by = i64::try_from(number).unwrap() + 1;
        all = all.told((number, NEVER), &[change(A, by)], Outcome::Unknown);
    }
    let (mut at, mut balance) = (COUNT, 0);
    for changes in 1..=15 {
        // Every other of them, the last one first.
        balance += i64::try_from(COUNT + 2 - 2 * changes).unwrap();
        all = all.told((at, at + 1), &[read(A)], done(&[state(balance, changes)]));
        at += 2;
    }
    all.linearizable(A).unwrap();
    all = all.told((at, at + 1), &[read(A)], done(&[state(balance - 1, 15)]));
    all.linearizable(A).unwrap_err();
}
