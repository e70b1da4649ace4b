//! Plain-text books in and out: reads a journal of hledger, Ledger or Beancount, posts each of its transactions to its
//! accounts, all or nothing, through actors, and prints what the accounts have; writes journals out again. Try `--help`.
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a command-line program"
)]

mod args;
mod balances;
mod generate;
mod import;
mod layout;
mod posting;
mod recorded;
mod report;

use std::process::ExitCode;

use clap::Parser;
use foldhouse_examples::{Failure, finish, table};

use args::{Args, ImportArgs, Task};
use import::Imported;

fn main() -> ExitCode {
    match Args::parse().task {
        Task::Import(args) => tell(&args, import::import(&args)),
        Task::Generate(args) => done(generate::generate(&args)),
    }
}

/// Balances on stdout as hledger prints them, and the summary on stderr; or one JSON object on stdout.
fn tell(args: &ImportArgs, imported: Result<Imported, Failure>) -> ExitCode {
    let imported = match imported {
        Ok(imported) => imported,
        Err(failure) => return done(Err(failure)),
    };
    for error in &imported.errors {
        eprintln!("{error}");
    }
    if args.json {
        return finish("books", Ok(imported.report), true);
    }
    print!("{}", imported.printed);
    let report = imported.report;
    eprint!("{}", table(&foldhouse_examples::Report::rows(&report)));
    ExitCode::from(u8::from(!foldhouse_examples::Report::holds(&report)))
}

fn done(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("books: {failure}");
            ExitCode::from(match failure {
                Failure::Usage(_) => 2,
                Failure::Run(_) => 1,
            })
        }
    }
}

#[cfg(test)]
mod tests;
