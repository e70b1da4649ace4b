use foldhouse::{AggregateRef, CommandError, CommandOptions, Runtime, TransactionError, WhenFull};
use rand::RngExt;
use rand::rngs::StdRng;

use super::account::{Account, Change, Panic, Refused};
use super::history::{Action, Outcome, Seen, Step, Way, command_id};

/// The next thing that a caller asks for.
pub(super) fn next(random: &mut StdRng, accounts: usize) -> (Way, Vec<Step>) {
    let any = |random: &mut StdRng| random.random_range(0..accounts);
    let alone = |account, action| (Way::Alone, vec![Step { account, action }]);
    match random.random_range(0..1_000) {
        0..350 => {
            let account = any(random);
            let action = Action::Change(parts(random));
            alone(account, action)
        }
        350..550 => alone(any(random), Action::Read),
        550..553 => alone(any(random), Action::Panic),
        553..950 => (Way::Together, together(random, accounts)),
        _ => (Way::DryRun, together(random, accounts)),
    }
}

/// Several of a kind, to be put to the runtime in one call: commands to one account, or transactions.
pub(super) fn several(random: &mut StdRng, accounts: usize) -> (Way, Vec<Vec<Step>>) {
    let count = random.random_range(2..=6);
    if random.random_ratio(1, 2) {
        let transactions = (0..count).map(|_| together(random, accounts));
        return (Way::Together, transactions.collect());
    }
    let account = random.random_range(0..accounts);
    let commands = (0..count).map(|_| {
        let action = Action::Change(parts(random));
        vec![Step { account, action }]
    });
    (Way::Alone, commands.collect())
}

/// Puts several to the runtime in one call; each has its number.
pub(super) async fn perform_each(
    runtime: &Runtime,
    accounts: &[AggregateRef<Account>],
    way: Way,
    operations: &[(usize, Vec<Step>)],
) -> Vec<Outcome> {
    if way == Way::Together {
        let transactions = operations
            .iter()
            .map(|(number, steps)| steps_of(accounts, *number, steps));
        let outcomes = runtime.transact_each(transactions.collect()).await;
        return outcomes
            .into_iter()
            .map(|outcome| {
                outcome.map_or_else(failed_together, |replies| done_together(replies, None))
            })
            .collect();
    }
    let changes = operations.iter().filter_map(|(number, steps)| {
        let [
            Step {
                action: Action::Change(parts),
                ..
            },
        ] = steps.as_slice()
        else {
            return None;
        };
        Some(Change {
            operation: *number,
            parts: parts.clone(),
        })
    });
    let account = operations[0].1[0].account;
    let outcomes = accounts[account].send_each(changes.collect()).await;
    outcomes.into_iter().map(answered).collect()
}

fn answered(outcome: Result<Account, CommandError<Refused>>) -> Outcome {
    outcome.map_or_else(failed_alone, |seen| read(seen.into()))
}

fn failed_alone(error: CommandError<Refused>) -> Outcome {
    match error {
        CommandError::Rejected(Refused(seen)) => Outcome::Rejected { step: 0, seen },
        CommandError::Unknown { .. } => Outcome::Unknown,
        error => not_recorded(error.is_retry_safe(), &error),
    }
}

/// Deposits and withdrawals that are often too large, now and then several events, now and then none.
fn parts(random: &mut StdRng) -> Vec<i64> {
    let amount = |random: &mut StdRng| random.random_range(-300..=400);
    match random.random_range(0..10) {
        0 => Vec::new(),
        1 | 2 => vec![amount(random), amount(random)],
        _ => vec![amount(random)],
    }
}

/// A transfer over two to four accounts, perhaps with conditions on some, perhaps with one twice. Changes stand first.
fn together(random: &mut StdRng, accounts: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut left = 0;
    let receivers = random.random_range(1..=3);
    for _ in 0..receivers {
        let amount = random.random_range(1..=120);
        left += amount;
        steps.push(Step {
            account: random.random_range(0..accounts),
            action: Action::Change(vec![amount]),
        });
    }
    steps.push(Step {
        account: random.random_range(0..accounts),
        action: Action::Change(vec![-left]),
    });
    // In whatever order: that of the steps is not the one in which the accounts are asked.
    let last = steps.len() - 1;
    steps.swap(last, random.random_range(0..=last));
    for _ in 0..random.random_range(0..=2) {
        steps.push(Step {
            account: random.random_range(0..accounts),
            action: Action::AtLeast(random.random_range(-200..=300)),
        });
    }
    steps
}

/// Puts it to the runtime, and tells what came of it.
pub(super) async fn perform(
    runtime: &Runtime,
    accounts: &[AggregateRef<Account>],
    (number, way, steps): (usize, Way, &[Step]),
    when_full: WhenFull,
) -> Outcome {
    let options = CommandOptions::new()
        .command_id(command_id(number))
        .when_full(when_full);
    match (way, steps) {
        (Way::Alone, [Step { account, action }]) => {
            alone(&accounts[*account], action, number, options).await
        }
        (Way::DryRun, _) => {
            let options = CommandOptions::new().when_full(when_full);
            let outcome = runtime
                .dry_run(steps_of(accounts, number, steps), options)
                .await;
            outcome.map_or_else(failed_together, |replies| done_together(replies, None))
        }
        _ => {
            let outcome = runtime
                .transact_with(steps_of(accounts, number, steps), options)
                .await;
            outcome.map_or_else(failed_together, |transacted| {
                done_together(transacted.replies, Some(transacted.position.get()))
            })
        }
    }
}

async fn alone(
    account: &AggregateRef<Account>,
    action: &Action,
    number: usize,
    options: CommandOptions,
) -> Outcome {
    match action {
        Action::Change(parts) => {
            let change = Change {
                operation: number,
                parts: parts.clone(),
            };
            match account.execute(change, options).await {
                Ok(committed) => Outcome::Done {
                    seen: vec![committed.reply.into()],
                    position: Some(committed.position.get()),
                    version: Some(committed.version.get()),
                },
                Err(error) => failed_alone(error),
            }
        }
        Action::Panic => match account.execute(Panic, options).await {
            Ok(_) => panic!("a panic was confirmed"),
            Err(CommandError::Panicked { .. }) => Outcome::NotRecorded,
            Err(error) => not_recorded(error.is_retry_safe(), &error),
        },
        // Every third one asks for the version alone.
        Action::Read | Action::AtLeast(_) if number.is_multiple_of(3) => {
            match account.version().await {
                Ok(version) => read(Seen {
                    balance: None,
                    changes: version.get(),
                }),
                Err(error) => not_recorded(error.is_retry_safe(), &error),
            }
        }
        Action::Read | Action::AtLeast(_) => match account.query(|account| *account).await {
            Ok(seen) => read(seen.into()),
            Err(error) => not_recorded(error.is_retry_safe(), &error),
        },
    }
}

fn read(seen: Seen) -> Outcome {
    Outcome::Done {
        seen: vec![seen],
        position: None,
        version: None,
    }
}

fn not_recorded(is_retry_safe: bool, error: &dyn std::error::Error) -> Outcome {
    assert!(is_retry_safe, "nobody can have caused this: {error}");
    Outcome::NotRecorded
}

type Changes = Vec<foldhouse::Step<Change>>;
type Conditions = Vec<foldhouse::Condition<Account, Account, Refused>>;

fn steps_of(
    accounts: &[AggregateRef<Account>],
    operation: usize,
    steps: &[Step],
) -> (Changes, Conditions) {
    let (mut changes, mut conditions) = (Vec::new(), Vec::new());
    for Step { account, action } in steps {
        let account = &accounts[*account];
        match action {
            Action::Change(parts) => {
                let parts = parts.clone();
                changes.push(account.step(Change { operation, parts }));
            }
            Action::AtLeast(least) => {
                let least = *least;
                conditions.push(account.require(move |account| {
                    if account.balance >= least {
                        Ok(*account)
                    } else {
                        Err(Refused(*account))
                    }
                }));
            }
            Action::Read | Action::Panic => unreachable!("no transaction has it"),
        }
    }
    (changes, conditions)
}

fn done_together(
    (changes, conditions): (Vec<Account>, Vec<Account>),
    position: Option<u64>,
) -> Outcome {
    Outcome::Done {
        seen: changes
            .into_iter()
            .chain(conditions)
            .map(Seen::from)
            .collect(),
        position,
        version: None,
    }
}

fn failed_together(error: TransactionError) -> Outcome {
    match &error {
        TransactionError::Rejected { step, .. } => {
            let Refused(seen) = *error.rejection().expect("the only rejection there is");
            Outcome::Rejected { step: *step, seen }
        }
        TransactionError::Unknown { .. } => Outcome::Unknown,
        _ => not_recorded(error.is_retry_safe(), &error),
    }
}
