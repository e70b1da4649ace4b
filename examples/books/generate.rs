use std::io::{BufWriter, ErrorKind, Write};

use chrono::{Days, NaiveDate};
use foldhouse_examples::{Failure, fail};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::args::GenerateArgs;

const EXPENSES: u32 = 200;
const BANKS: u32 = 20;
const CUSTOMERS: u32 = 500;

/// Writes so many transactions to stdout: purchases, sales, salaries, exchanges; some amounts are left out.
pub(crate) fn generate(args: &GenerateArgs) -> Result<(), Failure> {
    let stdout = BufWriter::new(std::io::stdout().lock());
    match write(args, stdout) {
        // Whoever reads has seen enough.
        Err(closed) if closed.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(fail),
    }
}

pub(crate) fn write(args: &GenerateArgs, mut out: impl Write) -> Result<(), std::io::Error> {
    let mut random = StdRng::seed_from_u64(args.seed);
    let first = NaiveDate::from_ymd_opt(2016, 1, 1).unwrap_or_default();
    for number in 0..args.transactions {
        // Ten years, in order.
        let days = number.saturating_mul(3_652) / args.transactions;
        let date = first.checked_add_days(Days::new(days)).unwrap_or(first);
        let cents: u32 = random.random_range(1..500_000);
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        let bank = format!("assets:bank:{}", random.random_range(0..BANKS));
        writeln!(out, "{date} * ({number}) transaction {number}")?;
        match random.random_range(0..10_u32) {
            0..=5 => {
                let expense = random.random_range(0..EXPENSES);
                writeln!(
                    out,
                    "    expenses:{}:{expense}    {amount} EUR",
                    ["home", "food", "travel", "office"][expense as usize % 4]
                )?;
                writeln!(out, "    {bank}")?;
            }
            6..=7 => {
                let customer = random.random_range(0..CUSTOMERS);
                let tax = cents / 6;
                let net = cents - tax;
                writeln!(
                    out,
                    "    assets:receivable:{customer}    {amount} EUR  ; invoice: {number}"
                )?;
                writeln!(
                    out,
                    "    income:sales    -{}.{:02} EUR",
                    net / 100,
                    net % 100
                )?;
                writeln!(
                    out,
                    "    liabilities:tax    -{}.{:02} EUR",
                    tax / 100,
                    tax % 100
                )?;
            }
            8 => {
                writeln!(out, "    {bank}    {amount} EUR")?;
                writeln!(out, "    income:salary    -{amount} EUR")?;
            }
            _ => {
                let price = random.random_range(80..125_u32);
                writeln!(
                    out,
                    "    assets:dollars    {amount} USD @ {}.{:02} EUR",
                    price / 100,
                    price % 100
                )?;
                writeln!(out, "    {bank}")?;
            }
        }
        writeln!(out)?;
    }
    out.flush()
}
