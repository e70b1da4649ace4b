//! What holds after any sequence of commands, whatever they are.

use foldhouse::{Aggregate, Command, CommandContext, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::currency::Currency::{CZK, EUR};
use crate::money::Money;

#[derive(Clone, Debug)]
enum AnyCommand {
    Open(OpenAccount),
    Debit(Debit),
    Credit(Credit),
    Close,
}

fn any_policy() -> impl Strategy<Value = OverdraftPolicy> {
    prop_oneof![
        Just(OverdraftPolicy::Forbidden),
        (-1i64..2_000).prop_map(|minor_units| OverdraftPolicy::Limit { minor_units }),
        Just(OverdraftPolicy::Limit {
            minor_units: i64::MAX
        }),
        Just(OverdraftPolicy::Unlimited),
    ]
}

fn any_open() -> impl Strategy<Value = OpenAccount> {
    let side = prop_oneof![Just(Side::Debit), Just(Side::Credit)];
    (side, any_policy()).prop_map(|(side, policy)| OpenAccount::new(CZK, side).overdraft(policy))
}

fn any_amount() -> impl Strategy<Value = Money> {
    let minor_units =
        prop_oneof![8 => 1i64..2_000, 1 => -2i64..=0, 1 => i64::MAX - 2_000..=i64::MAX];
    let currency = prop_oneof![20 => Just(CZK), 1 => Just(EUR)];
    (minor_units, currency).prop_map(|(minor_units, currency)| Money::new(minor_units, currency))
}

fn any_memo() -> impl Strategy<Value = Option<String>> {
    prop_oneof![4 => Just(None), 1 => "\\PC{0,160}".prop_map(Some)]
}

fn any_command() -> impl Strategy<Value = AnyCommand> {
    prop_oneof![
        1 => any_open().prop_map(AnyCommand::Open),
        10 => (any_amount(), any_memo())
            .prop_map(|(amount, memo)| AnyCommand::Debit(Debit { amount, memo })),
        10 => (any_amount(), any_memo())
            .prop_map(|(amount, memo)| AnyCommand::Credit(Credit { amount, memo })),
        1 => Just(AnyCommand::Close),
    ]
}

fn any_commands() -> impl Strategy<Value = Vec<AnyCommand>> {
    (any_open(), prop::collection::vec(any_command(), 0..60)).prop_map(|(open, mut commands)| {
        commands.insert(0, AnyCommand::Open(open));
        commands
    })
}

/// The events that a command leads to, with the balance in its reply; `None` if it is rejected.
fn decide(account: &GlAccount, command: &AnyCommand) -> Option<(Vec<GlEvent>, Option<Posting>)> {
    fn run<C: Command<Aggregate = GlAccount>>(
        account: &GlAccount,
        command: &C,
    ) -> Option<(Vec<GlEvent>, C::Reply)> {
        let context = CommandContext::new(Timestamp::from_unix_micros(0), Uuid::from_u128(1));
        let decision = command.decide(account, &context).ok()?;
        Some((decision.events.into_vec(), decision.reply))
    }
    match command {
        AnyCommand::Open(open) => run(account, open).map(|(events, ())| (events, None)),
        AnyCommand::Debit(debit) => {
            run(account, debit).map(|(events, posting)| (events, Some(posting)))
        }
        AnyCommand::Credit(credit) => {
            run(account, credit).map(|(events, posting)| (events, Some(posting)))
        }
        AnyCommand::Close => run(account, &CloseAccount).map(|(events, _)| (events, None)),
    }
}

/// The account that the commands lead to, and its history.
fn play(commands: &[AnyCommand]) -> (GlAccount, Vec<GlEvent>) {
    let mut account = GlAccount::default();
    let mut history = Vec::new();
    for command in commands {
        if let Some((events, _)) = decide(&account, command) {
            events.iter().for_each(|event| account.apply(event));
            history.extend(events);
        }
    }
    (account, history)
}

fn replay(history: &[GlEvent]) -> GlAccount {
    let mut account = GlAccount::default();
    history.iter().for_each(|event| account.apply(event));
    account
}

/// Debits and credits, added up independently of the aggregate.
fn sides(history: &[GlEvent]) -> (i128, i128) {
    history
        .iter()
        .fold((0, 0), |(debits, credits), event| match event {
            GlEvent::Debited { minor_units, .. } => (debits + i128::from(*minor_units), credits),
            GlEvent::Credited { minor_units, .. } => (debits, credits + i128::from(*minor_units)),
            _ => (debits, credits),
        })
}

proptest! {
    #[test]
    fn the_balance_is_what_the_normal_side_has_more_and_never_below_the_policy(
        commands in any_commands(),
    ) {
        let mut account = GlAccount::default();
        let mut history = Vec::new();
        for command in &commands {
            let Some((events, posting)) = decide(&account, command) else { continue };
            events.iter().for_each(|event| account.apply(event));
            history.extend(events);

            let (debits, credits) = sides(&history);
            let on_normal_side = match account.normal_side() {
                Some(Side::Debit) => debits - credits,
                Some(Side::Credit) => credits - debits,
                None => 0,
            };
            let balance = account.balance().expect("an opened account has a balance");
            prop_assert_eq!(i128::from(balance.minor_units()), on_normal_side);
            match account.overdraft() {
                Some(OverdraftPolicy::Forbidden) => prop_assert!(!balance.is_negative()),
                Some(OverdraftPolicy::Limit { minor_units }) => {
                    prop_assert!(balance.minor_units() >= -minor_units);
                }
                Some(OverdraftPolicy::Unlimited) | None => {}
            }
            if let Some(posting) = posting {
                prop_assert_eq!(posting, Posting { balance, number: account.postings() });
            }
        }
    }

    #[test]
    fn a_posting_is_accepted_exactly_when_the_rules_allow_it(
        commands in any_commands(),
        amount in any_amount(),
        side in prop_oneof![Just(Side::Debit), Just(Side::Credit)],
    ) {
        let (account, _) = play(&commands);
        let command = match side {
            Side::Debit => AnyCommand::Debit(Debit::new(amount)),
            Side::Credit => AnyCommand::Credit(Credit::new(amount)),
        };
        let lowest = match account.overdraft() {
            Some(OverdraftPolicy::Limit { minor_units }) => -i128::from(minor_units),
            Some(OverdraftPolicy::Unlimited) => i128::from(i64::MIN),
            Some(OverdraftPolicy::Forbidden) | None => 0,
        };
        let before = account.balance().map_or(0, |balance| i128::from(balance.minor_units()));
        let after = if account.normal_side() == Some(side) {
            before + i128::from(amount.minor_units())
        } else {
            before - i128::from(amount.minor_units())
        };
        let allowed = account.is_open()
            && amount.is_positive()
            && amount.currency() == CZK
            && (lowest..=i128::from(i64::MAX)).contains(&after);
        prop_assert_eq!(decide(&account, &command).is_some(), allowed);
    }

    #[test]
    fn a_rejected_command_leaves_the_account_as_it_was(commands in any_commands()) {
        let mut account = GlAccount::default();
        for command in &commands {
            let before = account.clone();
            match decide(&account, command) {
                Some((events, _)) => {
                    prop_assert_eq!(events.len(), 1);
                    events.iter().for_each(|event| account.apply(event));
                    prop_assert_ne!(&account, &before);
                }
                None => prop_assert_eq!(&account, &before),
            }
        }
    }

    #[test]
    fn replaying_the_recorded_bytes_gives_the_same_account(commands in any_commands()) {
        let (account, history) = play(&commands);
        let read_back: Vec<GlEvent> = history
            .iter()
            .map(|event| rmp_serde::from_slice(&rmp_serde::to_vec_named(event).unwrap()).unwrap())
            .collect();
        prop_assert_eq!(&read_back, &history);
        prop_assert_eq!(replay(&read_back), account);
    }

    #[test]
    fn an_account_goes_on_from_a_snapshot_as_if_there_were_none(
        commands in any_commands(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (account, history) = play(&commands);
        let (head, tail) = history.split_at(cut.index(history.len() + 1));
        let compact = rmp_serde::to_vec(&replay(head)).unwrap();
        let named = rmp_serde::to_vec_named(&replay(head)).unwrap();
        for bytes in [compact, named] {
            let mut resumed: GlAccount = rmp_serde::from_slice(&bytes).unwrap();
            tail.iter().for_each(|event| resumed.apply(event));
            prop_assert_eq!(&resumed, &account);
        }
    }

    #[test]
    fn the_row_of_the_read_model_agrees_with_the_account(commands in any_commands()) {
        let (account, history) = play(&commands);
        let row = history.iter().fold(None, AccountBalance::fold);
        let Some(row) = row else {
            prop_assert_eq!(account, GlAccount::default());
            return Ok(());
        };
        prop_assert_eq!(Some(row.currency), account.currency());
        prop_assert_eq!(Some(row.normal_side), account.normal_side());
        prop_assert_eq!(Some(row.debits), account.debits().map(|total| total.minor_units()));
        prop_assert_eq!(Some(row.credits), account.credits().map(|total| total.minor_units()));
        prop_assert_eq!(row.closed, account.is_closed());
        prop_assert_eq!(row.balance().to_money().ok(), account.balance());
    }

    #[test]
    fn books_in_which_every_entry_went_to_both_sides_balance(
        entries in prop::collection::vec((0usize..8, 0usize..8, 1i64..=i64::MAX), 0..60),
    ) {
        let mut rows = vec![AccountBalance::new(CZK, Side::Debit); 4];
        rows.extend(vec![AccountBalance::new(EUR, Side::Credit); 4]);
        for (debit, credit, minor_units) in entries {
            // Both sides of an entry are in one currency: the other side is an account of the same half.
            let credit = debit / 4 * 4 + credit % 4;
            rows[debit].apply(&GlEvent::Debited { minor_units, memo: None });
            rows[credit].apply(&GlEvent::Credited { minor_units, memo: None });
        }
        let trial = TrialBalance::of(
            rows.iter().enumerate().map(|(index, row)| (index.to_string(), *row)),
        ).unwrap();
        prop_assert!(trial.is_balanced());
        for section in &trial.sections {
            prop_assert_eq!(section.debits, section.credits);
            prop_assert_eq!(section.debit_balances, section.credit_balances);
        }
    }
}
