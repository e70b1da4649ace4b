use foldhouse::simulation::{Caller, Process, Random, Scenario, World};
use foldhouse::{AggregateRef, Step, decode_event};
use foldhouse_aggregates::{
    Balances, CloseAccount, Credit, Currency, Debit, GlAccount, GlEvent, Money, OpenAccount,
    OverdraftPolicy, Side,
};

use uuid::Uuid;

use super::{CAMPAIGN, SEEDS, check_coverage, run};

const ACCOUNTS: u64 = 4;
/// How far an account may be overdrawn, in cents.
const LIMIT: i64 = 5_000;

/// Money goes from account to account; both sides of each posting are one transaction.
struct Ledger;

#[derive(Clone, Debug)]
enum Operation {
    Transfer {
        from: u64,
        to: u64,
        cents: i64,
        memo: usize,
    },
    /// One of a few transfers that the caller sends again and again, each under its own id.
    Standing {
        number: u64,
    },
    Ask {
        account: u64,
    },
    Close {
        account: u64,
    },
}

fn euro() -> Currency {
    "EUR".parse().unwrap()
}

impl Scenario for Ledger {
    type Operation = Operation;

    fn operation(&self, random: &mut Random) -> Operation {
        let account = random.number(0..=ACCOUNTS - 1);
        match random.number(1..=10) {
            1 => Operation::Close { account },
            2 => Operation::Ask { account },
            3 | 4 => Operation::Standing {
                number: random.number(0..=ACCOUNTS - 1),
            },
            _ => Operation::Transfer {
                from: account,
                to: (account + random.number(1..=ACCOUNTS - 1)) % ACCOUNTS,
                cents: i64::try_from(random.number(1..=4_000)).unwrap(),
                memo: random.index(200),
            },
        }
    }

    async fn perform(&self, operation: Operation, caller: &Caller) {
        let account = |id: u64| {
            caller
                .aggregate::<GlAccount>("acme", &id.to_string())
                .unwrap()
        };
        match operation {
            Operation::Ask { account: id } => {
                let _ = caller.query(&account(id), GlAccount::balance).await;
            }
            Operation::Close { account: id } => {
                let _ = caller.send(&account(id), CloseAccount).await;
            }
            Operation::Transfer {
                from,
                to,
                cents,
                memo,
            } => {
                let (from, to) = (account(from), account(to));
                open(caller, [&from, &to]).await;
                let _ = caller.transact(transfer(&from, &to, cents, memo)).await;
            }
            Operation::Standing { number } => {
                let (from, to) = (account(number), account((number + 1) % ACCOUNTS));
                open(caller, [&from, &to]).await;
                let id = Uuid::from_u128((1 + u128::from(number)) << 64 | caller.number() as u128);
                let _ = caller
                    .transact_once(transfer(&from, &to, 700, 100), id)
                    .await;
            }
        }
    }

    async fn start(&self, process: &Process) {
        process.project(Balances).await.unwrap();
    }

    fn check(&self, world: &World<'_>) -> Result<(), String> {
        check_each_posting(world)?;
        for (stream, account) in world.states::<GlAccount>()? {
            let Some(balance) = account.balance() else {
                return Err(format!("{stream} has events and was never opened"));
            };
            let cents = balance.minor_units();
            if cents < -LIMIT || (account.is_closed() && cents != 0) {
                return Err(format!("{stream} has {balance}: {account:?}"));
            }
        }
        Ok(())
    }
}

/// Opens those that are not, as far as the disk lets it.
async fn open(caller: &Caller, accounts: [&AggregateRef<GlAccount>; 2]) {
    for account in accounts {
        let open = OpenAccount::new(euro(), Side::Debit)
            .overdraft(OverdraftPolicy::Limit { minor_units: LIMIT });
        let is_known = |account: &GlAccount| account.currency().is_some();
        if caller
            .query(account, is_known)
            .await
            .is_ok_and(|is_known| !is_known)
        {
            let _ = caller.send(account, open).await;
        }
    }
}

fn transfer(
    from: &AggregateRef<GlAccount>,
    to: &AggregateRef<GlAccount>,
    cents: i64,
    memo: usize,
) -> (Step<Credit>, Step<Debit>) {
    let (amount, memo) = (Money::new(cents, euro()), "m".repeat(memo));
    let credit = from.step(Credit::new(amount).memo(memo.clone()));
    (credit, to.step(Debit::new(amount).memo(memo)))
}

/// The books balance behind every posting: its two sides stand side by side.
fn check_each_posting(world: &World<'_>) -> Result<(), String> {
    let mut open = 0;
    for event in world.events() {
        let decoded = decode_event::<GlAccount>(event);
        let decoded = decoded.transpose().map_err(|error| error.to_string())?;
        let was_open = open;
        open += match decoded {
            Some(GlEvent::Debited { minor_units, .. }) => minor_units,
            Some(GlEvent::Credited { minor_units, .. }) => -minor_units,
            _ => 0,
        };
        if was_open != 0 && open != 0 {
            let position = event.position;
            return Err(format!("half a posting stands before position {position}"));
        }
    }
    match open {
        0 => Ok(()),
        open => Err(format!("the last posting is a half: {open} cents")),
    }
}

#[test]
fn the_books_balance_behind_every_posting_whatever_fails() {
    check_coverage(&run(Ledger, SEEDS));
}

#[test]
#[ignore = "a campaign of 50,000 seeds; takes minutes in release"]
fn the_books_balance_in_the_campaign() {
    check_coverage(&run(Ledger, CAMPAIGN));
}
