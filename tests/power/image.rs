//! What a disk can look like after the power was cut.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::log::{Log, Step};
use super::tree::{Change, Tree};

/// What a disk writes as a whole.
const SECTOR_BYTES: usize = 512;

/// When the power goes, and what becomes of what was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// So many steps of the log had been begun.
    pub(super) at: usize,
    pub(super) seed: u64,
}

impl Cut {
    /// A cut anywhere, as often as not right behind a write: while it is under way.
    pub(super) fn any(log: &Log, random: &mut StdRng) -> Self {
        let mut at = random.random_range(0..=log.len());
        if random.random_bool(0.5) {
            let is_write = |step: &Step| {
                let Step::Changed { change, .. } = step else {
                    return false;
                };
                matches!(change, Change::Write { .. })
            };
            let next = log.steps()[at..].iter().position(is_write);
            at = next.map_or(at, |next| at + next + 1);
        }
        Self {
            at,
            seed: random.random(),
        }
    }
}

/// How much of what is only cached reaches the disk.
#[derive(Clone, Copy, Debug)]
enum Survival {
    Nothing,
    Everything,
    /// Each change or none of it.
    Whole(f64),
    /// Each sector of each write or not.
    Sectors(f64),
    /// What was done first.
    Oldest(usize),
}

/// The disk as it is found after the cut: all that was durable, and some of the rest.
pub(super) fn image(base: &Tree, log: &Log, cut: Cut) -> Tree {
    let mut random = StdRng::seed_from_u64(cut.seed);
    let begun = &log.steps()[..cut.at];
    let is_volatile = |step: &Step| matches!(step, Step::Changed { durable_from, .. } if durable_from.is_none_or(|at| at >= cut.at));
    let volatile_count = begun.iter().filter(|step| is_volatile(step)).count();
    let survival = *[
        Survival::Nothing,
        Survival::Everything,
        Survival::Whole(random.random_range(0.1..0.9)),
        Survival::Sectors(random.random_range(0.1..0.9)),
        Survival::Oldest(random.random_range(0..=volatile_count)),
    ]
    .choose(&mut random)
    .expect("there are some");
    let mut tree = base.clone();
    let mut volatile_number = 0;
    // In the order in which they were done: what is written later over the same sectors, or under the same name, lies
    // on top. That they reach the disk in another order shows as an earlier one that is missing.
    for (at, step) in begun.iter().enumerate() {
        let Step::Changed { change, .. } = step else {
            continue;
        };
        if !is_volatile(step) {
            tree.apply(change);
            continue;
        }
        let survives = match survival {
            Survival::Nothing => false,
            Survival::Everything | Survival::Sectors(_) => true,
            Survival::Whole(share) => random.random_bool(share),
            Survival::Oldest(count) => volatile_number < count,
        };
        volatile_number += 1;
        match change {
            Change::Write { .. } if at + 1 == cut.at && random.random_bool(0.8) => {
                tear(&mut tree, change, &mut random);
            }
            Change::Write { .. } if let Survival::Sectors(share) = survival => {
                write_sectors(&mut tree, change, share, &mut random);
            }
            Change::Create {
                inode,
                is_directory,
                ..
            } if !survives => tree.add(*inode, *is_directory),
            _ if survives => tree.apply(change),
            _ => {}
        }
    }
    tree
}

/// The write that was under way: it stops at any byte, or some of its sectors are there in any order.
fn tear(tree: &mut Tree, write: &Change, random: &mut StdRng) {
    let Change::Write {
        inode,
        offset,
        data,
    } = write
    else {
        return;
    };
    if random.random_bool(0.5) {
        let bytes = if random.random_bool(0.5) {
            // The places where it matters most: the header of a frame, and its end.
            random.random_range(0..=data.len().min(200))
        } else {
            random.random_range(0..=data.len())
        };
        tree.write(*inode, *offset, &data[..bytes]);
    } else {
        write_sectors(tree, write, random.random_range(0.05..0.95), random);
    }
}

fn write_sectors(tree: &mut Tree, write: &Change, share: f64, random: &mut StdRng) {
    let Change::Write {
        inode,
        offset,
        data,
    } = write
    else {
        return;
    };
    let mut from = 0;
    while from < data.len() {
        let to_boundary = SECTOR_BYTES - (offset + from) % SECTOR_BYTES;
        let to = data.len().min(from + to_boundary);
        if random.random_bool(share) {
            tree.write(*inode, offset + from, &data[from..to]);
        }
        from = to;
    }
}
