//! The harness can fail: what is wrong on purpose is caught, and what is right is not accused.

use super::campaign::{Campaign, Subject, Tally};
use super::journal::Journal;
use super::mount::can_mount;
use super::planted::{PlainLog, SledAlone, Syncs};
use super::volume::DurableWrites;

fn cut<S: Subject>(subject: &S, durable_writes: DurableWrites) -> Option<Tally> {
    let campaign = Campaign {
        seeds: 1..2,
        cuts_per_seed: 40,
        durable_writes,
        keeps_images: false,
    };
    can_mount().then(|| campaign.of(subject))
}

fn is_caught(tally: Option<Tally>, who: &str) {
    let Some(tally) = tally else { return };
    println!("{who}: {tally}");
    assert!(!tally.losses.is_empty(), "{who} was not caught: {tally}");
}

#[test]
fn a_log_that_acks_before_it_syncs_is_caught() {
    is_caught(
        cut(&PlainLog(Syncs::AfterTheAck), DurableWrites::Honest),
        "a log that acks before it syncs",
    );
}

#[test]
fn a_log_that_syncs_before_it_acks_is_not_accused() {
    let Some(tally) = cut(&PlainLog(Syncs::BeforeTheAck), DurableWrites::Honest) else {
        return;
    };
    println!("a log that syncs before it acks: {tally}");
    assert!(tally.losses.is_empty(), "{tally}");
    assert!(tally.checked.acked_events > tally.cuts, "{tally}");
}

#[test]
fn a_store_that_relies_on_the_flush_of_sled_is_caught() {
    is_caught(
        cut(&SledAlone, DurableWrites::Honest),
        "a store that relies on the flush of sled",
    );
}

#[test]
fn a_disk_that_lies_about_durable_writes_is_caught() {
    let journal = Journal {
        lives: 2,
        rounds_per_life: 15,
    };
    is_caught(
        cut(&journal, DurableWrites::Lying),
        "the journal on a disk that lies",
    );
}
