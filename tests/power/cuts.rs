//! The power goes, at any moment, and comes back.

use super::campaign::Campaign;
use super::journal::Journal;
use super::mount::can_mount;
use super::volume::DurableWrites;

const JOURNAL: Journal = Journal {
    lives: 3,
    rounds_per_life: 25,
};

/// With the cuts during recovery about 100 a seed.
fn campaign(seeds: std::ops::Range<u64>, cuts_per_seed: usize) -> Campaign {
    Campaign {
        seeds,
        cuts_per_seed,
        durable_writes: DurableWrites::Honest,
        keeps_images: true,
    }
}

fn lose_nothing(campaign: &Campaign) {
    if !can_mount() {
        return;
    }
    let tally = campaign.of(&JOURNAL);
    println!("{tally}");
    assert!(tally.losses.is_empty(), "{tally}");
    assert!(
        tally.checked.acked_events > tally.cuts,
        "too little was acked: {tally}"
    );
}

#[test]
fn five_hundred_power_cuts_lose_no_acked_event() {
    lose_nothing(&campaign(1..6, 77));
}

/// `cargo test --release -p foldhouse-tests -- --ignored --nocapture five_thousand_power_cuts`
#[test]
#[ignore = "a campaign of 5,000 cuts; takes minutes"]
fn five_thousand_power_cuts_lose_no_acked_event() {
    lose_nothing(&campaign(1_000..1_050, 77));
}
