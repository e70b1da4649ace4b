use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use serde::Serialize;

use crate::failure::{Failure, fail};

/// What a run did and found.
pub trait Report: Serialize {
    /// Whether everything holds that was checked.
    fn holds(&self) -> bool;

    /// The lines for people: a name and a value each.
    fn rows(&self) -> Vec<(&'static str, String)>;
}

/// Prints a report on stdout, or on stderr why there is none. The exit code: 0 if everything holds, 1 if something does
/// not or the run failed, 2 if the caller can change it.
pub fn finish<R: Report>(program: &str, report: Result<R, Failure>, json: bool) -> ExitCode {
    let printed = report.and_then(|report| print(&report, json).map(|()| report.holds()));
    match printed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("{program}: {failure}");
            ExitCode::from(match failure {
                Failure::Usage(_) => 2,
                Failure::Run(_) => 1,
            })
        }
    }
}

fn print<R: Report>(report: &R, json: bool) -> Result<(), Failure> {
    let text = if json {
        serde_json::to_string(report).map_err(fail)? + "\n"
    } else {
        table(&report.rows())
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(closed) if closed.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(fail),
    }
}

/// A line for each row, the values below each other.
#[must_use]
pub fn table(rows: &[(&'static str, String)]) -> String {
    let line = |(name, value): &(&str, String)| format!("{name:<16} {value}\n");
    rows.iter().map(line).collect()
}
