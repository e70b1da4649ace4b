use std::path::Path;
use std::process::{Command, Output};
use std::sync::Once;

use foldhouse_aggregates::Decimal;
use foldhouse_aggregates::plain_text::Dialect;

use super::Balances;

/// Sums units as they are: Beancount's own queries round what they show. It names what is wrong on stderr.
const SUM_UNITS: &str = r#"
import sys, csv
from collections import defaultdict
from decimal import Decimal
from beancount import loader
from beancount.core.data import Transaction
entries, errors, _ = loader.load_file(sys.argv[1])
sums = defaultdict(Decimal)
for entry in entries:
    if isinstance(entry, Transaction):
        for posting in entry.postings:
            sums[posting.account, posting.units.currency] += posting.units.number
rows = csv.writer(sys.stdout)
for (account, commodity), number in sorted(sums.items()):
    if number:
        rows.writerow([account, commodity, format(number, 'f')])
for error in errors:
    print(error.source.get('lineno'), error.message, file=sys.stderr)
sys.exit(1 if errors else 0)
"#;

/// A program that is installed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Program(Dialect);

/// What a program says about a journal.
#[derive(Debug)]
pub(super) enum Theirs {
    Balances(Balances),
    /// Its first words.
    Refused(String),
}

impl Program {
    /// The program of a format; says so once if it is not installed.
    pub(super) fn of(dialect: Dialect) -> Option<Self> {
        static HLEDGER: Once = Once::new();
        static LEDGER: Once = Once::new();
        static BEANCOUNT: Once = Once::new();
        let (said, works) = match dialect {
            Dialect::Hledger => (&HLEDGER, runs("hledger", &["--version"])),
            Dialect::Ledger => (&LEDGER, runs("ledger", &["--version"])),
            Dialect::Beancount => (&BEANCOUNT, runs(PYTHON, &["-c", "import beancount"])),
        };
        if !works {
            said.call_once(|| {
                eprintln!("SKIPPED: {dialect} is not installed, nothing is compared with it");
            });
        }
        works.then_some(Self(dialect))
    }

    pub(super) fn balances(self, journal: &Path) -> Theirs {
        match self.0 {
            Dialect::Hledger => {
                let mut command = Command::new("hledger");
                command
                    .args(["bal", "-N", "--flat", "-O", "csv", "-f"])
                    .arg(journal);
                told(command, hledger)
            }
            Dialect::Ledger => {
                let mut command = Command::new("ledger");
                let format = "%(account)\t%(scrub(amount))\n";
                command.args([
                    "--args-only",
                    "bal",
                    "--flat",
                    "-E",
                    "--no-total",
                    "--no-color",
                ]);
                command
                    .args(["--balance-format", format, "-f"])
                    .arg(journal);
                told(command, ledger)
            }
            Dialect::Beancount => {
                let mut command = Command::new(PYTHON);
                command.args(["-c", SUM_UNITS]).arg(journal);
                told(command, beancount)
            }
        }
    }
}

/// The one that Debian's packages are made for, not another one that may come first in the path.
const PYTHON: &str = "/usr/bin/python3";

fn runs(program: &str, args: &[&str]) -> bool {
    let output = Command::new(program).args(args).output();
    output.is_ok_and(|output| output.status.success())
}

fn told(mut command: Command, read: fn(&str) -> Balances) -> Theirs {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    if status.success() {
        let mut balances = read(&String::from_utf8(stdout).unwrap());
        balances.retain(|_, quantity| !quantity.is_zero());
        return Theirs::Balances(balances);
    }
    let stderr = String::from_utf8_lossy(&stderr);
    let words: Vec<&str> = stderr.split_whitespace().take(20).collect();
    Theirs::Refused(words.join(" "))
}

/// `"account","1.00 EUR, 5 ""AB C"""`
fn hledger(text: &str) -> Balances {
    let mut balances = Balances::new();
    for row in csv::Reader::from_reader(text.as_bytes()).into_records() {
        let row = row.unwrap();
        for amount in split_amounts(&row[1]) {
            let (commodity, quantity) = amount_of(amount, false);
            balances.insert((row[0].to_owned(), commodity), quantity);
        }
    }
    balances
}

/// At `, ` outside of quotes.
fn split_amounts(text: &str) -> Vec<&str> {
    let mut amounts = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, next) in text.char_indices() {
        match next {
            '"' => quoted = !quoted,
            ',' if !quoted && text[at + 1..].starts_with(' ') => {
                amounts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    amounts.push(text[start..].trim());
    amounts
}

/// The account, a tab, an amount; further amounts on lines of their own.
fn ledger(text: &str) -> Balances {
    let mut balances = Balances::new();
    let mut account = String::new();
    for line in text.lines() {
        let amount = match line.split_once('\t') {
            Some((name, amount)) => {
                name.clone_into(&mut account);
                amount
            }
            None => line,
        };
        if !amount.trim().is_empty() {
            let (commodity, quantity) = amount_of(amount.trim(), true);
            balances.insert((account.clone(), commodity), quantity);
        }
    }
    balances
}

fn beancount(text: &str) -> Balances {
    let mut reader = csv::ReaderBuilder::new();
    let mut rows = reader.has_headers(false).from_reader(text.as_bytes());
    let row = |row: csv::StringRecord| {
        let quantity: Decimal = row[2].parse().unwrap();
        ((row[0].to_owned(), row[1].to_owned()), quantity)
    };
    rows.records().map(|it| row(it.unwrap())).collect()
}

/// An amount as a program prints it: digits, marks between them, the commodity on either side.
fn amount_of(text: &str, groups: bool) -> (String, Decimal) {
    let (quoted, rest) = match text.split_once('"') {
        Some((before, behind)) => {
            let (name, behind) = behind.split_once('"').unwrap();
            (Some(name.to_owned()), format!("{before}{behind}"))
        }
        None => (None, text.to_owned()),
    };
    let is_digit = |next: char| next.is_ascii_digit();
    let first = rest.find(is_digit).unwrap();
    let last = rest.rfind(is_digit).unwrap() + 1;
    let number = &rest[first..last];
    let around = format!("{}{}", &rest[..first], &rest[last..]);
    let negative = around.contains('-');
    let commodity = quoted.unwrap_or_else(|| around.replace('-', "").trim().to_owned());
    let mut quantity: Decimal = plain(number, groups).parse().unwrap();
    if negative {
        quantity = quantity.checked_neg().unwrap();
    }
    (commodity, quantity)
}

/// Without group marks, and with a point before the decimals.
fn plain(number: &str, groups: bool) -> String {
    let number = number.replace([' ', '\u{a0}', '\''], "");
    let marks = |mark| number.matches(mark).count();
    let Some(last) = number.rfind(['.', ',']) else {
        return number;
    };
    let has_both = marks('.') > 0 && marks(',') > 0;
    let is_group =
        groups && !has_both && number.as_bytes()[last] == b',' && number.len() - last == 4;
    let behind = &number[last + 1..];
    let before = number[..last].replace(['.', ','], "");
    if is_group || (marks('.') + marks(',') > 1 && !has_both) {
        format!("{before}{behind}")
    } else {
        format!("{before}.{behind}")
    }
}
