use std::fmt::Write;
use std::path::Path;

use foldhouse_store::{Damage, VerifiedTail, VerifyReport, verify};
use serde_json::{Value, json};

use crate::Outcome;
use crate::progress::Progress;

pub(crate) fn run(directory: &Path, as_json: bool) -> Result<Outcome, String> {
    let progress = Progress::new();
    let report = verify(directory, &mut |step| progress.show(step));
    progress.finish();
    let report = report.map_err(|error| error.to_string())?;
    if as_json {
        println!("{}", to_json(&report));
    } else {
        print_report(&report);
    }
    Ok(if report.is_whole() {
        Outcome::Done
    } else {
        Outcome::NeedsAttention
    })
}

fn print_report(report: &VerifyReport) {
    println!("{report}");
    println!("hash of the last frame: {}", hex(&report.last_hash));
    println!(
        "{} bytes, {:.0} MB/s",
        report.bytes,
        megabytes_per_second(report)
    );
    match &report.tail {
        VerifiedTail::Torn(torn) => println!(
            "a write that did not complete: {} bytes at offset {} of {}; it was never acknowledged, opening cuts it off",
            torn.bytes,
            torn.offset,
            torn.file.display()
        ),
        VerifiedTail::InFlight(torn) => println!(
            "a write was under way at offset {} of {}: the store is in use",
            torn.offset,
            torn.file.display()
        ),
        _ if report.in_use => {
            println!("the store is in use; what it wrote meanwhile may not be included")
        }
        _ => {}
    }
    for name in &report.other_files {
        println!("not the journal's, and ignored: journal/{name}");
    }
    for finding in &report.findings {
        println!("DAMAGE: {finding}");
    }
    if report.findings_left_out > 0 {
        println!("and {} findings more", report.findings_left_out);
    }
}

fn to_json(report: &VerifyReport) -> Value {
    let torn = |torn: &foldhouse_store::TornTail| json!({"file": torn.file, "offset": torn.offset, "bytes": torn.bytes});
    let (tail, unfinished) = match &report.tail {
        VerifiedTail::Torn(write) => ("torn", torn(write)),
        VerifiedTail::InFlight(write) => ("in flight", torn(write)),
        _ => ("clean", Value::Null),
    };
    json!({
        "whole": report.is_whole(),
        "store_id": report.store_id.map(|id| id.to_string()),
        "segments": report.segments,
        "frames": report.frames,
        "events": report.events,
        "streams": report.streams,
        "head": report.head.get(),
        "last_hash": hex(&report.last_hash),
        "tail": tail,
        "unfinished_write": unfinished,
        "in_use": report.in_use,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "findings_left_out": report.findings_left_out,
        "other_files": report.other_files,
        "bytes": report.bytes,
        "megabytes_per_second": megabytes_per_second(report).round(),
    })
}

fn finding(damage: &Damage) -> Value {
    json!({
        "file": damage.file,
        "offset": damage.offset,
        "position": damage.position.get(),
        "what": damage.what,
    })
}

fn megabytes_per_second(report: &VerifyReport) -> f64 {
    let megabytes = (report.bytes / 1_000) as f64 / 1_000.0;
    megabytes / report.duration.as_secs_f64().max(1e-6)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
