use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::Failure;

/// Measures one workload on a real store, beside what the disk alone takes, and checks what it leaves behind.
///
/// Exit code: 0 if everything that was acknowledged is there, 1 if not, 2 if the arguments do not fit.
#[derive(Clone, Debug, Parser)]
#[command(name = "throughput")]
pub(crate) struct Args {
    /// What to measure.
    #[arg(long, value_enum)]
    pub(crate) workload: Workload,
    /// How many callers there are; each waits for its answer before it calls again. 1 for single, else 1,024.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) callers: Option<u32>,
    /// How long it is measured.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// How many accounts or items there are: 1 for single and hot, 200,000 for idle, else 10,000.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) aggregates: Option<u32>,
    /// How many events are read back by replay (2,000,000 if not given) and by hydrate (10,000).
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) events: Option<u64>,
    /// In how many parts replay reads them, each on a thread of its own; 1 for all on one.
    #[arg(long, default_value_t = 1)]
    pub(crate) partitions: u32,
    /// Ends after this many calls in all, even if there is time left: for counts that are to be the same each time.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) calls: Option<u64>,
    /// How many transfers each call submits.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8_192))]
    pub(crate) batch: u32,
    /// What accounts and amounts are drawn from: the same seed, the same commands.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Makes the store in this directory, which must not hold one, and keeps it.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Prints exactly one JSON object instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// One caller posts to one account.
    Single,
    /// Callers post to accounts drawn at random.
    Many,
    /// Callers post to one account, which cannot be overdrawn.
    Hot,
    /// Atomic transfers between accounts drawn at random, none of which can be overdrawn.
    Transfer,
    /// The same, with one account on a side of every transfer.
    TransferHot,
    /// Reads the whole journal into the balances read model.
    Replay,
    /// Brings one account back, without and with a snapshot.
    Hydrate,
    /// The memory of live accounts with nothing to do.
    Idle,
    /// Reserves all lines of a basket or none, then ships them.
    Reservations,
}

/// The arguments with what was left to us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) workload: Workload,
    pub(crate) callers: u32,
    pub(crate) duration: Duration,
    pub(crate) aggregates: usize,
    pub(crate) events: u64,
    pub(crate) partitions: u32,
    pub(crate) calls: Option<u64>,
    pub(crate) batch: usize,
    pub(crate) seed: u64,
}

impl Args {
    pub(crate) fn plan(&self) -> Result<Plan, Failure> {
        let workload = self.workload;
        let alone = matches!(workload, Workload::Single | Workload::Hot);
        let is_transfer = matches!(workload, Workload::Transfer | Workload::TransferHot);
        let aggregates = self.aggregates.unwrap_or(match workload {
            Workload::Single | Workload::Hot | Workload::Hydrate => 1,
            Workload::Idle => 200_000,
            _ => 10_000,
        });
        let callers = self.callers.unwrap_or(match workload {
            Workload::Single => 1,
            _ => 1_024,
        });
        let refuse = |text: &str| Err(Failure::Usage(text.to_owned()));
        if workload == Workload::Single && callers != 1 {
            return refuse("single has one caller; for more take --workload many or hot");
        }
        if alone && aggregates != 1 {
            return refuse("single and hot have one account; for more take --workload many");
        }
        if is_transfer && aggregates < 2 {
            return refuse("a transfer needs two accounts: --aggregates 2 or more");
        }
        if !is_transfer && self.batch != 1 {
            return refuse("--batch goes with --workload transfer or transfer-hot");
        }
        Ok(Plan {
            workload,
            callers,
            duration: Duration::from_secs_f64(self.seconds),
            aggregates: aggregates as usize,
            partitions: self.partitions,
            events: self.events.unwrap_or(match workload {
                Workload::Hydrate => 10_000,
                _ => 2_000_000,
            }),
            calls: self.calls,
            batch: self.batch as usize,
            seed: self.seed,
        })
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("it takes 0.01 to 86400 seconds".to_owned()),
    }
}

impl Workload {
    /// As it is written on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
