use std::io::{self, BufRead, Write};
use std::path::Path;

use foldhouse_store::{Consent, RepairReport, RepairStep, repair};

use crate::Outcome;
use crate::progress::Progress;

pub(crate) fn run(directory: &Path, yes: bool) -> Result<Outcome, String> {
    let progress = Progress::new();
    let mut ask = |step: &RepairStep| {
        progress.finish();
        println!("{}", question(step));
        if yes || is_yes() {
            Consent::Given
        } else {
            Consent::Refused
        }
    };
    let report = repair(directory, &mut |step| progress.show(step), &mut ask);
    progress.finish();
    let report = report.map_err(|error| error.to_string())?;
    print_report(&report);
    Ok(if report.refused || !report.left.is_empty() {
        Outcome::NeedsAttention
    } else {
        Outcome::Done
    })
}

fn question(step: &RepairStep) -> String {
    let mut text = format!(
        "The journal is damaged: {}.\nEverything up to position {} holds. Going on from there gives up ",
        step.damage, step.head
    );
    text.push_str(&match step.events_lost() {
        0 => "no event that is known of, but there may have been some behind it".to_owned(),
        lost => format!(
            "positions {} to {}: at least {lost} events, of which {} can still be read from the files moved aside",
            step.head.next(),
            step.lost_up_to,
            step.readable
        ),
    });
    text.push_str(".\nThese are moved aside, whole and unchanged:\n");
    for path in &step.moves {
        text.push_str(&format!("  {}\n", path.display()));
    }
    text.push_str("A copy of the damaged file or a backup may have the events: look for it first.");
    text
}

fn is_yes() -> bool {
    print!("Go on from there? Type yes: ");
    let mut answer = String::new();
    let asked = io::stdout()
        .flush()
        .and_then(|()| io::stdin().lock().read_line(&mut answer));
    asked.is_ok() && answer.trim().eq_ignore_ascii_case("yes")
}

fn print_report(report: &RepairReport) {
    if let Some(torn) = &report.torn_tail {
        println!(
            "cut off a write that did not complete: {} bytes at offset {} of {}; it was never acknowledged",
            torn.bytes,
            torn.offset,
            torn.file.display()
        );
    }
    for (from, to) in &report.moved {
        println!("moved {} to {}", from.display(), to.display());
    }
    for damage in &report.left {
        println!("left as it is: {damage}");
    }
    if report.refused {
        println!("refused; nothing was changed, the store does not open");
    } else {
        println!("the journal holds up to position {}", report.head);
    }
}
