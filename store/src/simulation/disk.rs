mod handle;

use std::fmt::{self, Arguments};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::append::OnSettled;
use crate::error::{Fault, ReadError};
use crate::simulation::Random;
use crate::simulation::beside::{Beside, Tables};
use crate::simulation::files::{Change, Files};

/// Hears of every change of the disk, in a line each.
pub type Narrator = Arc<dyn Fn(Arguments<'_>) + Send + Sync>;

/// A disk in memory. A clone is the same disk; stores come and go on it.
///
/// Every change is durable when it returns, but for the removal of a name and what the index keeps beside the journal.
/// A change that is under way when the power goes is done in any part.
#[derive(Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
    narrator: Narrator,
    condition: watch::Sender<Condition>,
}

/// What has become of the disk since it was last started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Condition {
    is_off: bool,
    write_failed: bool,
}

struct State {
    files: Files,
    beside: Beside,
    random: Random,
    changes: u64,
    armed: Vec<(u64, DiskFault)>,
    faults: u64,
    /// Answers that nobody hears any more. Dropped at once, they would be heard of.
    unheard: Vec<OnSettled>,
    /// Counts the starts: what was opened before the last one does nothing any more.
    start: u64,
}

/// What happens at a change of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// The power goes while the change is under way.
    PowerCut(Left),
    /// The first write from there on fails, with an error; nothing more is known of what it wrote.
    WriteFails(Left),
    /// The first new file from there on finds no room.
    NoRoom,
}

/// What is found of a change that did not return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// All of it.
    All,
    /// None of it.
    Nothing,
    /// Some of its sectors, as this seed says.
    Part(u64),
}

impl SimulatedDisk {
    /// An empty disk. `random` decides what a power cut leaves.
    #[must_use]
    pub fn new(mut random: Random, narrator: Narrator) -> Self {
        let state = State {
            files: Files::default(),
            beside: Beside::new(random.branch()),
            random,
            changes: 0,
            armed: Vec::new(),
            faults: 0,
            unheard: Vec::new(),
            start: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            narrator,
            condition: watch::Sender::default(),
        }
    }

    /// Lets `fault` happen at the `nth` change from now, counted from 1.
    pub fn arm(&self, nth: u64, fault: DiskFault) {
        let mut state = self.state();
        let at = state.changes + nth.max(1);
        state.armed.push((at, fault));
    }

    /// Makes it one of those disks that say that a write is durable when it is not: a power cut loses the last writes.
    /// What is built on it cannot keep its promises, and whoever checks them should notice.
    pub fn lie(&self) {
        self.state().files.lie();
    }

    /// How many changes there were.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// How many faults have come to pass.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.state().faults
    }

    /// Whether the power is gone. Everything fails until [`SimulatedDisk::start`].
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.condition.borrow().is_off
    }

    /// Waits until the power is gone.
    pub async fn until_off(&self) {
        self.until(|condition| condition.is_off).await;
    }

    /// Waits until a write has failed: the store that made it takes nothing more until it is opened again.
    pub async fn until_write_failed(&self) {
        self.until(|condition| condition.write_failed).await;
    }

    /// Whether a write has failed since the start.
    #[must_use]
    pub fn has_write_failed(&self) -> bool {
        self.condition.borrow().write_failed
    }

    /// Keeps an answer that nobody is to hear, until the process is gone.
    pub(super) fn keep_unheard(&self, answer: OnSettled) {
        self.state().unheard.push(answer);
    }

    async fn until(&self, is_so: impl Fn(&Condition) -> bool) {
        // The sender is here, so it cannot close.
        let _ = self.condition.subscribe().wait_for(|now| is_so(now)).await;
    }

    /// Ends what the last process had open; after a power cut, with what is left.
    pub fn start(&self) {
        let mut state = self.state();
        let State {
            files,
            beside,
            random,
            ..
        } = &mut *state;
        if self.is_off() {
            files.after_power_cut(random);
            beside.after_power_cut();
        }
        state.start += 1;
        self.condition.send_replace(Condition::default());
        let unheard = std::mem::take(&mut state.unheard);
        // Not under the lock: what goes with them may come here.
        drop(state);
        drop(unheard);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn narrate(&self, line: Arguments<'_>) {
        (self.narrator)(line);
    }

    fn check_power(&self) -> io::Result<()> {
        if self.is_off() {
            return Err(power_is_off());
        }
        Ok(())
    }

    fn change(&self, change: &Change<'_>) -> io::Result<()> {
        self.check_power()?;
        let mut state = self.state();
        state.changes += 1;
        let fault = state.due(change);
        match fault {
            None => state.files.apply(change)?,
            Some(DiskFault::NoRoom) => {
                if let Change::Create { name, bytes } = *change {
                    let bytes = bytes / 2;
                    state.files.apply(&Change::Create { name, bytes })?;
                }
            }
            Some(DiskFault::PowerCut(left) | DiskFault::WriteFails(left)) => match left {
                Left::All => state.files.apply(change)?,
                Left::Nothing => {}
                Left::Part(seed) => state.files.apply_part(change, &mut Random::new(seed)),
            },
        }
        drop(state);
        self.narrate(format_args!("disk: {change}{}", Ending(fault)));
        self.end(fault)
    }

    fn end(&self, fault: Option<DiskFault>) -> io::Result<()> {
        match fault {
            None => Ok(()),
            Some(DiskFault::NoRoom) => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            Some(DiskFault::WriteFails(_)) => {
                self.condition.send_modify(|now| now.write_failed = true);
                Err(io::Error::from_raw_os_error(libc::EIO))
            }
            Some(DiskFault::PowerCut(_)) => {
                self.condition.send_modify(|now| now.is_off = true);
                Err(power_is_off())
            }
        }
    }

    /// Changes what is kept beside the journal.
    pub(super) fn change_beside(
        &self,
        what: &str,
        change: impl FnOnce(&mut Beside) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let failed = |error| ReadError::Io(Fault::io("writing beside the journal", error));
        self.check_power().map_err(failed)?;
        let mut state = self.state();
        state.changes += 1;
        let fault = state.due_beside();
        if !matches!(fault, Some(DiskFault::PowerCut(Left::Nothing))) {
            change(&mut state.beside)?;
        }
        drop(state);
        self.narrate(format_args!("beside: {what}{}", Ending(fault)));
        self.end(fault).map_err(failed)
    }

    pub(super) fn beside<T>(&self, read: impl FnOnce(&Tables) -> T) -> Result<T, ReadError> {
        self.check_power()
            .map_err(|error| ReadError::Io(Fault::io("reading beside the journal", error)))?;
        Ok(read(self.state().beside.tables()))
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

impl State {
    /// The fault that happens at this change.
    fn due(&mut self, change: &Change<'_>) -> Option<DiskFault> {
        self.take_due(|fault| match fault {
            DiskFault::PowerCut(_) => true,
            DiskFault::WriteFails(_) => matches!(change, Change::Write { .. }),
            DiskFault::NoRoom => matches!(change, Change::Create { .. }),
        })
    }

    fn due_beside(&mut self) -> Option<DiskFault> {
        self.take_due(|fault| matches!(fault, DiskFault::PowerCut(_)))
    }

    fn take_due(&mut self, fits: impl Fn(&DiskFault) -> bool) -> Option<DiskFault> {
        let changes = self.changes;
        let mut armed = self.armed.iter();
        let due = armed.position(|(at, fault)| *at <= changes && fits(fault))?;
        self.faults += 1;
        Some(self.armed.remove(due).1)
    }
}

impl fmt::Display for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { name, bytes } => write!(f, "create {name} with {bytes} zeros"),
            Self::Rename { from, to } => write!(f, "rename {from} to {to}"),
            Self::Remove { name } => write!(f, "remove {name}"),
            Self::Truncate { name, bytes } => write!(f, "truncate {name} to {bytes} bytes"),
            Self::Sync { name } => write!(f, "sync {name}"),
            Self::Write { file, offset, data } => write!(
                f,
                "write {} bytes of {:016x} to file {file} at {offset}",
                data.len(),
                blake3::hash(data)
                    .as_bytes()
                    .first_chunk()
                    .map_or(0, |bytes| u64::from_be_bytes(*bytes))
            ),
        }
    }
}

/// How a change ended.
struct Ending(Option<DiskFault>);

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(DiskFault::NoRoom) => f.write_str(", no room"),
            Some(DiskFault::WriteFails(left)) => write!(f, ", which fails; left: {left:?}"),
            Some(DiskFault::PowerCut(left)) => write!(f, ", POWER CUT; left: {left:?}"),
        }
    }
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedDisk")
            .field("condition", &*self.condition.borrow())
            .finish_non_exhaustive()
    }
}
