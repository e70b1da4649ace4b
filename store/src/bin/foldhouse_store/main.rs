//! `foldhouse-store`: upkeep of a store's directory from the command line.
//!
//! Exit codes: 0, it is done, and what was read is whole (now); 1, something has to be looked into: damage was found or is
//! left, or a copy was refused for what the directories hold; 2, it could not be tried (usage, no store there, in use,
//! input or output failed).

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use foldhouse_store::Until;

mod backup;
mod copying;
mod events;
mod progress;
mod repair;
mod restore;
mod verify;

/// Upkeep of a foldhouse store.
///
/// A store is a directory with a journal of events in it. `verify`, `backup`, `restore` and `events` never change the store that
/// they read and may run while a program writes to it; `repair` needs the store to be closed.
#[derive(Debug, Parser)]
#[command(
    name = "foldhouse-store",
    after_help = "Exit codes: 0, it is done, and what was read is whole; 1, damage was found or is left, or a copy was refused for \
                  what the directories hold; 2, it could not be tried (usage, no store there, in use, input or output \
                  failed). Errors go to stderr, reports to stdout."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check every byte of a journal; only reads, also beside a program that uses the store.
    Verify {
        /// The store's directory.
        directory: PathBuf,
        /// Print the report as one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Make a damaged journal open again; asks before anything is given up, moves aside, deletes nothing.
    Repair {
        /// The store's directory.
        directory: PathBuf,
        /// Answer yes to everything.
        #[arg(long)]
        yes: bool,
    },
    /// Copy a store, or bring an earlier backup up to date, while the store may go on writing.
    ///
    /// Every frame is checked against its hash on the way; a damaged store gives no backup. Run it again with the same
    /// TO to bring the backup up to date: the full segments that it has are checked and kept, and only the rest is
    /// copied. The backup is a store itself: verify it, read it, or restore from it; once it has been written to, it can
    /// no longer be brought up to date. It holds every event, but no snapshots and no read models, which are made again
    /// from the events. If it is stopped half way, run it again.
    Backup {
        /// The directory of the store to back up.
        #[arg(value_name = "DIR")]
        from: PathBuf,
        /// Where the backup goes: a new or empty directory, or an earlier backup of the same store.
        to: PathBuf,
        /// In a new backup, make hard links of the full segments instead of copies.
        ///
        /// Quick and without taking space, on the same file system only. A link protects from deleted files, but not
        /// from a disk that fails: it is the same bytes under a second name. Segments added to a backup later are
        /// always copied.
        #[arg(long)]
        link: bool,
        /// Print the report as one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Make a new store that is an old one, or a backup, as it was at a position or a time.
    ///
    /// Nothing is changed in FROM. Events that were recorded all or nothing are restored all or nothing: if the point
    /// falls within them, the store ends before them, and the report says so. The new store opens as it is; its index is
    /// built when it is opened, and snapshots and read models are made again. If a restore is killed, TO holds
    /// `journal.restore-unfinished`: delete that, and run it again.
    Restore {
        /// The directory of a backup, or of a store (also one in use).
        from: PathBuf,
        /// Where the store goes: a new or empty directory.
        to: PathBuf,
        /// The last that is to be in it: `head` for everything, a position (4711), or a time (2026-03-31T23:59:59Z).
        ///
        /// A position has to exist. A time is as of RFC 3339, with any offset: everything recorded at or before it is
        /// restored, however much or little that is.
        #[arg(long, value_name = "POINT", default_value = "head")]
        until: Until,
        /// Print the report as one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print recorded events as JSON, one on each line; only reads, also beside a program that uses the store.
    ///
    /// Conditions of several kinds have to hold together. The payload is shown as it was recorded, or as hexadecimal
    /// bytes if it is encrypted or no text. Opening reads the whole journal once.
    Events(Box<events::Search>),
}

/// How a command ends, if it can be tried.
enum Outcome {
    Done,
    /// Someone has to look into it.
    NeedsAttention,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Verify { directory, json } => verify::run(&directory, json),
        Command::Repair { directory, yes } => repair::run(&directory, yes),
        Command::Backup {
            from,
            to,
            link,
            json,
        } => backup::run(&from, &to, link, json),
        Command::Restore {
            from,
            to,
            until,
            json,
        } => restore::run(&from, &to, until, json),
        Command::Events(search) => events::run(&search),
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::NeedsAttention) => ExitCode::from(1),
        Err(message) => {
            complain(&message);
            ExitCode::from(2)
        }
    }
}

fn complain(message: &str) {
    eprintln!("foldhouse-store: {message}");
}
