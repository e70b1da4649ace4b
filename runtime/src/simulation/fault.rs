use std::fmt;

use foldhouse_store::simulation::{DiskFault, Left, Random};

/// Something that happens to the process or to what it stands on. A new kind of fault is added here, drawn in
/// `Faults::draw`, and done in `life`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The power goes in the middle of the `nth` change of the disk from then on, and of that change is `left` what it
    /// says. The process dies, and another begins on what is left.
    PowerCut {
        /// Which change, counted from 1.
        nth: u64,
        /// What is found of it.
        left: Left,
    },
    /// A write fails: from the `nth` change of the disk on, the first that is one. The store takes nothing more, and a
    /// little later the process is restarted.
    WriteFails {
        /// From which change on, counted from 1.
        nth: u64,
        /// What is found of it.
        left: Left,
    },
    /// The next segment finds no room, once.
    NoRoom,
    /// The runtime is shut down, the store closed, and both begin anew.
    Restart,
    /// The clock is set back.
    ClockStepsBack {
        /// By so many milliseconds.
        ms: u64,
    },
}

impl Fault {
    /// The same at an earlier change, the earliest first.
    pub(super) fn sooner(self) -> Vec<Self> {
        match self {
            Self::PowerCut { nth, left } => {
                (1..nth).map(|nth| Self::PowerCut { nth, left }).collect()
            }
            Self::WriteFails { nth, left } => {
                (1..nth).map(|nth| Self::WriteFails { nth, left }).collect()
            }
            Self::NoRoom | Self::Restart | Self::ClockStepsBack { .. } => Vec::new(),
        }
    }

    /// What it does to the disk, if it is one of the disk's: at which change from now on, and what.
    pub(super) fn on_disk(self) -> Option<(u64, DiskFault)> {
        match self {
            Self::PowerCut { nth, left } => Some((nth, DiskFault::PowerCut(left))),
            Self::WriteFails { nth, left } => Some((nth, DiskFault::WriteFails(left))),
            Self::NoRoom => Some((1, DiskFault::NoRoom)),
            Self::Restart | Self::ClockStepsBack { .. } => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The most faults of each kind in one run; how many it has is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Power cuts.
    pub power_cuts: u64,
    /// Writes that fail.
    pub failed_writes: u64,
    /// Segments that find no room.
    pub full_disks: u64,
    /// Orderly restarts.
    pub restarts: u64,
    /// Clocks that are set back.
    pub clock_steps: u64,
}

/// The latest change of the disk, from the moment on that a fault is planned for, at which it may come.
const NTH_MAX: u64 = 8;
/// By how much a clock is set back at most.
const CLOCK_STEP_MS_MAX: u64 = 3_600_000;

impl Faults {
    /// None at all.
    pub const NONE: Self = Self {
        power_cuts: 0,
        failed_writes: 0,
        full_disks: 0,
        restarts: 0,
        clock_steps: 0,
    };

    /// Some of all kinds.
    pub const ALL: Self = Self {
        power_cuts: 3,
        failed_writes: 1,
        full_disks: 1,
        restarts: 1,
        clock_steps: 1,
    };

    pub(super) fn draw(&self, random: &mut Random) -> Vec<Fault> {
        let mut drawn = Vec::new();
        let mut some = |max: u64, random: &mut Random, draw: fn(&mut Random) -> Fault| {
            for _ in 0..random.number(0..=max) {
                drawn.push(draw(random));
            }
        };
        some(self.power_cuts, random, |random| Fault::PowerCut {
            nth: random.number(1..=NTH_MAX),
            left: left(random),
        });
        some(self.failed_writes, random, |random| Fault::WriteFails {
            nth: random.number(1..=NTH_MAX),
            left: left(random),
        });
        some(self.full_disks, random, |_| Fault::NoRoom);
        some(self.restarts, random, |_| Fault::Restart);
        some(self.clock_steps, random, |random| Fault::ClockStepsBack {
            ms: random.number(1..=CLOCK_STEP_MS_MAX),
        });
        drawn
    }
}

fn left(random: &mut Random) -> Left {
    match random.number(0..=3) {
        0 => Left::All,
        1 => Left::Nothing,
        _ => Left::Part(random.seed()),
    }
}
