//! Runs something over a file system that loses power, and checks what it keeps.

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::image::{Cut, image};
use super::log::Log;
use super::mount::Mounted;
use super::tree::Tree;
use super::volume::{DurableWrites, Volume};

/// Cuts that are checked at the same time.
const CHECKERS: usize = 2;
/// One cut in so many is followed by cuts while the store recovers from it.
const CUTS_PER_SECOND_CUT: usize = 10;
/// How many of those.
const SECOND_CUTS: usize = 3;
/// This many losses are told in full.
const LOSSES_TOLD: usize = 5;

/// Something that promises to keep what it acks.
pub(super) trait Subject: Sync {
    /// What was done in a run and what was promised.
    type Witness: Sync;

    /// Works in `directory`, which is on `volume`, and notes each ack with [`Volume::ack`].
    fn run(&self, directory: &Path, volume: &Volume, seed: u64) -> Self::Witness;

    /// Starts on what a cut has left, and stops again.
    fn recover(&self, directory: &Path);

    /// Checks what a cut has left. A promise counts if its step is before `cut_at`.
    ///
    /// # Errors
    /// What is missing, or not as it was promised.
    fn check(
        &self,
        directory: &Path,
        witness: &Self::Witness,
        cut_at: usize,
    ) -> Result<Checked, String>;
}

/// What the check of one cut found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Checked {
    pub(super) acked_events: usize,
    pub(super) torn_tails: usize,
    pub(super) indexes_moved_aside: usize,
}

/// How much to try.
#[derive(Clone, Debug)]
pub(super) struct Campaign {
    pub(super) seeds: Range<u64>,
    pub(super) cuts_per_seed: usize,
    pub(super) durable_writes: DurableWrites,
    /// Whether the disk of a loss is kept, to look at it.
    pub(super) keeps_images: bool,
}

/// What a campaign did and found.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) cuts: usize,
    pub(super) second_cuts: usize,
    pub(super) checked: Checked,
    pub(super) losses: Vec<Loss>,
}

/// A promise that was not kept.
#[derive(Debug)]
pub(super) struct Loss {
    seed: u64,
    cut: Cut,
    /// The cut during recovery, if it took one.
    second_cut: Option<Cut>,
    doing: String,
    what: String,
    image: Option<PathBuf>,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}, cut at step {} (seed {})",
            self.seed, self.cut.at, self.cut.seed
        )?;
        if let Some(second) = self.second_cut {
            write!(
                f,
                ", cut again at step {} of recovery (seed {})",
                second.at, second.seed
            )?;
        }
        write!(f, ", during {}: {}", self.doing, self.what)?;
        if let Some(image) = &self.image {
            write!(
                f,
                "\n  the disk as it was found is in {}; FOLDHOUSE_POWER_SEED={} runs this seed alone",
                image.display(),
                self.seed
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cuts, {} of them during recovery from another; {} acked events checked, {} torn tails, {} indexes moved \
             aside, {} losses",
            self.cuts,
            self.second_cuts,
            self.checked.acked_events,
            self.checked.torn_tails,
            self.checked.indexes_moved_aside,
            self.losses.len()
        )?;
        for loss in self.losses.iter().take(LOSSES_TOLD) {
            write!(f, "\n{loss}")?;
        }
        Ok(())
    }
}

impl Campaign {
    pub(super) fn of<S: Subject>(&self, subject: &S) -> Tally {
        let mut tally = Tally::default();
        for seed in self.seeds() {
            self.one_seed(subject, seed, &mut tally);
        }
        tally
    }

    fn seeds(&self) -> Range<u64> {
        match std::env::var("FOLDHOUSE_POWER_SEED") {
            Ok(seed) => {
                let seed = seed.parse().expect("FOLDHOUSE_POWER_SEED is a number");
                seed..seed + 1
            }
            Err(_) => self.seeds.clone(),
        }
    }

    fn one_seed<S: Subject>(&self, subject: &S, seed: u64, tally: &mut Tally) {
        let volume = Volume::of(Tree::default(), self.durable_writes);
        let mounted = Mounted::new(&volume).expect("it was mounted before");
        let witness = subject.run(mounted.path(), &volume, seed);
        drop(mounted);
        let log = volume.log();
        let mut random = StdRng::seed_from_u64(seed);
        let cuts: Vec<Cut> = (0..self.cuts_per_seed)
            .map(|_| Cut::any(&log, &mut random))
            .collect();
        let run = Run {
            campaign: self,
            subject,
            seed,
            log: &log,
            witness: &witness,
        };
        let (next, found) = (AtomicUsize::new(0), Mutex::new(tally));
        std::thread::scope(|scope| {
            for _ in 0..CHECKERS {
                scope.spawn(|| {
                    while let Some(cut) = cuts.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = run.one_cut(*cut);
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        found.add(result);
                    }
                });
            }
        });
    }
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.cuts += other.cuts;
        self.second_cuts += other.second_cuts;
        self.checked.acked_events += other.checked.acked_events;
        self.checked.torn_tails += other.checked.torn_tails;
        self.checked.indexes_moved_aside += other.checked.indexes_moved_aside;
        self.losses.extend(other.losses);
    }
}

/// One recorded run, from which disks are made.
struct Run<'a, S: Subject> {
    campaign: &'a Campaign,
    subject: &'a S,
    seed: u64,
    log: &'a Log,
    witness: &'a S::Witness,
}

impl<S: Subject> Run<'_, S> {
    fn one_cut(&self, cut: Cut) -> Tally {
        let mut tally = Tally::default();
        let found = image(&Tree::default(), self.log, cut);
        self.check(&found, cut, None, &mut tally);
        if cut.seed.is_multiple_of(CUTS_PER_SECOND_CUT as u64) && tally.losses.is_empty() {
            self.second_cuts(&found, cut, &mut tally);
        }
        tally
    }

    /// Recovers from a cut over a file system that loses power again.
    fn second_cuts(&self, found: &Tree, cut: Cut, tally: &mut Tally) {
        let volume = Volume::of(found.clone(), self.campaign.durable_writes);
        let mounted = Mounted::new(&volume).expect("it was mounted before");
        self.subject.recover(mounted.path());
        drop(mounted);
        let log = volume.log();
        let mut random = StdRng::seed_from_u64(cut.seed);
        for _ in 0..SECOND_CUTS {
            let second = Cut::any(&log, &mut random);
            tally.second_cuts += 1;
            self.check(
                &image(found, &log, second),
                cut,
                Some((second, &log)),
                tally,
            );
        }
    }

    fn check(&self, found: &Tree, cut: Cut, second: Option<(Cut, &Log)>, tally: &mut Tally) {
        tally.cuts += 1;
        let directory = tempfile::tempdir_in(images()).expect("a directory for the image");
        found
            .write_to(directory.path())
            .expect("room for the image");
        let check = || self.subject.check(directory.path(), self.witness, cut.at);
        let checked = catch_unwind(AssertUnwindSafe(check))
            .unwrap_or_else(|panic| Err(format!("it panicked: {}", panic_text(&*panic))));
        match checked {
            Ok(checked) => tally.checked.add(checked),
            Err(what) => {
                let (log, at) = second.map_or((self.log, cut.at), |(cut, log)| (log, cut.at));
                tally.losses.push(Loss {
                    seed: self.seed,
                    cut,
                    second_cut: second.map(|(cut, _)| cut),
                    doing: log.describe(at.saturating_sub(1)),
                    what,
                    image: self.campaign.keeps_images.then(|| keep(found)),
                });
            }
        }
    }
}

impl Checked {
    fn add(&mut self, other: Self) {
        self.acked_events += other.acked_events;
        self.torn_tails += other.torn_tails;
        self.indexes_moved_aside += other.indexes_moved_aside;
    }
}

/// In memory if possible: thousands of disks are made, and none is to last.
fn images() -> &'static Path {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory
    } else {
        Path::new(env!("CARGO_TARGET_TMPDIR"))
    }
}

fn keep(found: &Tree) -> PathBuf {
    let directory = tempfile::Builder::new()
        .prefix("power-cut-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a directory for the image");
    let path = directory.keep();
    found.write_to(&path).expect("room for the image");
    path
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
