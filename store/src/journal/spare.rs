use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use crate::journal::disk::Disk;

/// A zero-filled file that waits to become a segment.
pub(crate) const SPARE_NAME: &str = "spare";
/// The same while it is being filled.
pub(crate) const UNFINISHED_SPARE_NAME: &str = "spare.unfinished";

/// Prepares the next segment in a background thread: filling it with zeros ahead is what makes a frame cost one data
/// write and no metadata (on ext4 an unwritten extent costs a journal commit of the file system).
#[derive(Debug)]
pub(crate) struct SpareSegments {
    segment_bytes: u64,
    state: SpareState,
    orders: Option<Sender<()>>,
    finished: Receiver<io::Result<()>>,
    thread: Option<JoinHandle<()>>,
    /// Where spares are made at once, without a thread, when they are needed.
    at_once: Option<Arc<dyn Disk>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpareState {
    None,
    Ordered,
    Ready,
}

impl SpareSegments {
    /// `is_there`: whether a finished spare is there already.
    pub(crate) fn start(
        disk: Arc<dyn Disk>,
        segment_bytes: u64,
        is_there: bool,
    ) -> io::Result<Self> {
        let (orders, order_queue) = channel::<()>();
        let (finisher, finished) = channel();
        let prepare = move || {
            while order_queue.recv().is_ok() {
                if finisher.send(prepare_spare(&*disk, segment_bytes)).is_err() {
                    return;
                }
            }
        };
        let thread = Builder::new()
            .name("foldhouse-spare".to_owned())
            .spawn(prepare)?;
        Ok(Self {
            segment_bytes,
            state: if is_there {
                SpareState::Ready
            } else {
                SpareState::None
            },
            orders: Some(orders),
            finished,
            thread: Some(thread),
            at_once: None,
        })
    }

    /// Without a thread: each spare is made when it is needed.
    #[cfg(feature = "simulation")]
    pub(crate) fn without_thread(disk: Arc<dyn Disk>, segment_bytes: u64, is_there: bool) -> Self {
        let (_, finished) = channel();
        Self {
            segment_bytes,
            state: if is_there {
                SpareState::Ready
            } else {
                SpareState::None
            },
            orders: None,
            finished,
            thread: None,
            at_once: Some(disk),
        }
    }

    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// Orders a spare unless there is one or one is being made.
    pub(crate) fn prepare_ahead(&mut self) {
        if self.state == SpareState::None
            && self
                .orders
                .as_ref()
                .is_some_and(|orders| orders.send(()).is_ok())
        {
            self.state = SpareState::Ordered;
        }
    }

    /// Waits until there is a spare. After an error the next call tries again.
    pub(crate) fn wait_for_one(&mut self) -> io::Result<()> {
        let was_ordered = self.state == SpareState::Ordered;
        let result = self.wait();
        // What was ordered ahead may have failed long ago, when there was no room: that says nothing of now.
        if result.is_err() && was_ordered {
            return self.wait();
        }
        result
    }

    fn wait(&mut self) -> io::Result<()> {
        self.prepare_ahead();
        if self.state == SpareState::Ready {
            return Ok(());
        }
        let gone = |_| {
            Err(io::Error::other(
                "the thread that prepares segments is gone",
            ))
        };
        let result = match &self.at_once {
            Some(disk) => prepare_spare(&**disk, self.segment_bytes),
            None => self.finished.recv().unwrap_or_else(gone),
        };
        self.state = if result.is_ok() {
            SpareState::Ready
        } else {
            SpareState::None
        };
        result
    }

    /// Notes that the spare has become a segment.
    pub(crate) fn taken(&mut self) {
        self.state = SpareState::None;
    }
}

impl Drop for SpareSegments {
    fn drop(&mut self) {
        drop(self.orders.take());
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the thread that prepares segments panicked");
        }
    }
}

/// Fills a file with zeros and gives it the spare's name when all of it is on disk.
pub(crate) fn prepare_spare(disk: &dyn Disk, segment_bytes: u64) -> io::Result<()> {
    let filled = disk
        .create_zeroed(UNFINISHED_SPARE_NAME, segment_bytes)
        .and_then(|()| disk.rename(UNFINISHED_SPARE_NAME, SPARE_NAME));
    if filled.is_err() {
        // On a full disk the half-filled file is what fills it.
        let _ = disk.remove(UNFINISHED_SPARE_NAME);
    }
    filled
}
