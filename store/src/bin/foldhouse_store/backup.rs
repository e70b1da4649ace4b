use std::ops::ControlFlow;
use std::path::Path;

use foldhouse_store::{BackupOptions, BackupReport, backup};
use serde_json::{Value, json};

use crate::Outcome;
use crate::copying::not_copied;
use crate::progress::Progress;

pub(crate) fn run(from: &Path, to: &Path, link: bool, as_json: bool) -> Result<Outcome, String> {
    let progress = Progress::new();
    let options = BackupOptions::new().link_sealed(link).on_progress(|step| {
        progress.show_copy(step);
        ControlFlow::Continue(())
    });
    let made = backup(from, to, options);
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

fn print_report(to: &Path, report: &BackupReport) {
    println!(
        "{} holds everything up to position {}: {} segments, {} of them kept from an earlier backup, {} linked",
        to.display(),
        report.head,
        report.segments,
        report.segments_kept,
        report.segments_linked
    );
    println!(
        "{} bytes copied in {:.1} s",
        report.bytes_copied,
        report.duration.as_secs_f64()
    );
}

fn to_json(report: &BackupReport) -> Value {
    json!({
        "head": report.head.get(),
        "segments": report.segments,
        "segments_kept": report.segments_kept,
        "segments_linked": report.segments_linked,
        "bytes_copied": report.bytes_copied,
        "seconds": report.duration.as_secs_f64(),
    })
}
