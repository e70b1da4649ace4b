use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where one thread shows what it is deciding, for whoever looks. Only the thread that it is lent to writes it.
///
/// It takes three relaxed stores to its own cache line to begin and to end: too little to be measured. The command's name,
/// which no atomic holds, is written only where it is another one than the last time.
#[repr(align(128))]
pub(crate) struct Desk {
    /// Counts beginnings and ends, so that whoever sees the same number twice knows that nothing has moved.
    turn: AtomicU64,
    /// Whose work it is: the address of a slot, which lives as long as it is worked for. 0 for nobody's.
    slot: AtomicUsize,
    /// The address of what `command` holds.
    command_at: AtomicUsize,
    command: Mutex<&'static str>,
}

/// What a desk shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) turn: u64,
    pub(super) slot: usize,
    pub(super) command: &'static str,
}

/// All desks of the process, with those that no thread has.
///
/// They are never freed: there are as many as there were threads that decided at the same time.
static DESKS: Mutex<Desks> = Mutex::new(Desks {
    all: Vec::new(),
    free: Vec::new(),
});

struct Desks {
    all: Vec<&'static Desk>,
    free: Vec<&'static Desk>,
}

thread_local! {
    static MINE: Lease = Lease::take();
}

/// Lends a desk to a thread for as long as that lives.
struct Lease(&'static Desk);

impl Lease {
    fn take() -> Self {
        let mut desks = desks();
        let desk = desks.free.pop().unwrap_or_else(|| {
            let desk: &'static Desk = Box::leak(Box::new(Desk::new()));
            desks.all.push(desk);
            desk
        });
        Self(desk)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        desks().free.push(self.0);
    }
}

fn desks() -> MutexGuard<'static, Desks> {
    // Nothing panics while it holds the lock; a poisoned one is whole.
    DESKS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn all_desks() -> Vec<&'static Desk> {
    desks().all.clone()
}

/// While it lives, this thread's desk shows whose work is done.
pub(crate) struct Deciding {
    desk: &'static Desk,
    /// What was shown before: a transaction decides for the next participant while it is still in the one before.
    slot_before: usize,
    command_before: Option<&'static str>,
}

/// Shows that this thread works for the slot at this address. `None` while the thread ends.
pub(crate) fn deciding(slot: usize, command: &'static str) -> Option<Deciding> {
    let desk = MINE.try_with(|lease| lease.0).ok()?;
    let slot_before = desk.slot.load(Ordering::Relaxed);
    let command_before = (slot_before != 0).then(|| *desk.command());
    desk.show(slot, Some(command));
    Some(Deciding {
        desk,
        slot_before,
        command_before,
    })
}

impl Drop for Deciding {
    fn drop(&mut self) {
        self.desk.show(self.slot_before, self.command_before);
    }
}

impl Desk {
    fn new() -> Self {
        Self {
            turn: AtomicU64::new(0),
            slot: AtomicUsize::new(0),
            command_at: AtomicUsize::new(0),
            command: Mutex::new(""),
        }
    }

    fn show(&self, slot: usize, command: Option<&'static str>) {
        if let Some(command) = command {
            let at = command.as_ptr() as usize;
            if self.command_at.load(Ordering::Relaxed) != at {
                self.command_at.store(at, Ordering::Relaxed);
                *self.command() = command;
            }
        }
        let turn = self.turn.load(Ordering::Relaxed);
        self.slot.store(slot, Ordering::Relaxed);
        self.turn.store(turn.wrapping_add(1), Ordering::Release);
    }

    pub(super) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }

    /// What it shows, unless that changes meanwhile or is nothing.
    pub(super) fn look(&self) -> Option<Shown> {
        let turn = self.turn();
        let slot = self.slot.load(Ordering::Relaxed);
        let command = *self.command();
        let shown = Shown {
            turn,
            slot,
            command,
        };
        (slot != 0 && self.turn() == turn).then_some(shown)
    }

    fn command(&self) -> MutexGuard<'_, &'static str> {
        self.command.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
