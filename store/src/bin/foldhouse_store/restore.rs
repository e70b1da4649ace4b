use std::ops::ControlFlow;
use std::path::Path;

use foldhouse_store::{Position, RestoreReport, Until, restore_watched};
use serde_json::{Value, json};

use crate::Outcome;
use crate::copying::not_copied;
use crate::progress::Progress;

pub(crate) fn run(from: &Path, to: &Path, until: Until, as_json: bool) -> Result<Outcome, String> {
    let progress = Progress::new();
    let made = restore_watched(from, to, until, |step| {
        progress.show_copy(step);
        ControlFlow::Continue(())
    });
    progress.finish();
    let report = match made {
        Ok(report) => report,
        Err(error) => return not_copied(&error),
    };
    if as_json {
        println!("{}", to_json(&report));
    } else {
        print_report(to, &report);
    }
    Ok(Outcome::Done)
}

fn print_report(to: &Path, report: &RestoreReport) {
    let to = to.display();
    match report.last_recorded_at {
        Some(at) => println!(
            "{to} holds everything up to position {}, recorded at {at}",
            report.position
        ),
        None => println!("{to} holds a store without events: there are none up to that point"),
    }
    if let Some((first, last)) = report.append_left_out {
        println!(
            "positions {first} to {last} were recorded all or nothing, so all of them were left out"
        );
    }
    println!(
        "{} segments, {} bytes in {:.1} s",
        report.segments,
        report.bytes,
        report.duration.as_secs_f64()
    );
}

fn to_json(report: &RestoreReport) -> Value {
    let left_out = report
        .append_left_out
        .map(|(first, last): (Position, Position)| [first.get(), last.get()]);
    json!({
        "until": report.until.to_string(),
        "position": report.position.get(),
        "last_recorded_at": report.last_recorded_at.map(|at| at.to_string()),
        "append_left_out": left_out,
        "segments": report.segments,
        "bytes": report.bytes,
        "seconds": report.duration.as_secs_f64(),
    })
}
