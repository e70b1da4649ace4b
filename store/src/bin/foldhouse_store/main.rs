//! `foldhouse-store`: upkeep of a store's directory from the command line.
//!
//! Exit codes: 0, the store is whole (now); 1, damage was found or is left; 2, it could not be looked at (usage, no store
//! there, locked, input or output failed).

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod progress;
mod repair;
mod verify;

/// Upkeep of a foldhouse store.
#[derive(Debug, Parser)]
#[command(
    name = "foldhouse-store",
    after_help = "Exit codes: 0, the store is whole; 1, damage was found or is left; 2, it could not be looked at."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check every byte of a journal. Only reads; may run beside a program that uses the store.
    Verify {
        /// The store's directory.
        directory: PathBuf,
        /// Print the report as one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Make a damaged journal open again. Asks before anything is given up, moves aside, deletes nothing.
    Repair {
        /// The store's directory.
        directory: PathBuf,
        /// Answer yes to everything.
        #[arg(long)]
        yes: bool,
    },
}

/// How a command ends, if it can be carried out.
enum Outcome {
    Whole,
    Damaged,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Verify { directory, json } => verify::run(&directory, json),
        Command::Repair { directory, yes } => repair::run(&directory, yes),
    };
    match outcome {
        Ok(Outcome::Whole) => ExitCode::SUCCESS,
        Ok(Outcome::Damaged) => ExitCode::from(1),
        Err(message) => {
            eprintln!("foldhouse-store: {message}");
            ExitCode::from(2)
        }
    }
}
