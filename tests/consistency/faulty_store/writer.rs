use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhouse_store::{Append, AppendError, Fault, OnSettled, Store};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::watch;

use super::{Plant, Rates};

/// Appends that wait before the store is full.
pub(super) const ROOM: usize = 64;

/// Appends on their way to the disk.
pub(super) struct Line {
    pub(super) waiting: Mutex<Waiting>,
    pub(super) filled: Condvar,
    pub(super) has_room: watch::Sender<bool>,
    pub(super) is_broken: watch::Sender<bool>,
}

#[derive(Default)]
pub(super) struct Waiting {
    pub(super) appends: VecDeque<(Append, OnSettled)>,
    /// Nothing goes to the disk any more, and nobody is answered.
    pub(super) crashed: bool,
    /// Why nothing more is taken.
    pub(super) refusal: Option<Fault>,
}

impl Line {
    pub(super) fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next frame: some of what waits, oldest first. None after a crash.
    fn take(&self, random: &mut StdRng) -> Option<Vec<(Append, OnSettled)>> {
        let mut waiting = self.lock();
        while waiting.appends.is_empty() && !waiting.crashed {
            waiting = self
                .filled
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.crashed {
            return None;
        }
        let count = random.random_range(1..=waiting.appends.len());
        let frame = waiting.appends.drain(..count).collect();
        self.has_room.send_replace(waiting.appends.len() < ROOM);
        Some(frame)
    }
}

/// The thread that writes.
pub(super) struct Writer {
    pub(super) inner: Arc<dyn Store>,
    pub(super) line: Arc<Line>,
    pub(super) rates: Rates,
    pub(super) plant: Option<Plant>,
    pub(super) random: StdRng,
}

impl Writer {
    pub(super) fn run(mut self) {
        loop {
            // A while for more to come together, now and then a long one.
            if self.random.random_ratio(1, 4) {
                let pause = Duration::from_micros(self.random.random_range(0..200));
                std::thread::sleep(pause);
            }
            let Some(frame) = self.line.take(&mut self.random) else {
                return;
            };
            let fate = self.random.random_range(0..1_000);
            if fate < self.rates.refused {
                self.refuse(frame);
            } else if fate < self.rates.refused + self.rates.unknown {
                self.break_down(frame);
            } else {
                for (append, settled) in frame {
                    self.inner.submit(append, settled);
                }
            }
        }
    }

    /// Refuses the frame, and mostly also what waits behind it, which may be built on it.
    fn refuse(&mut self, mut frame: Vec<(Append, OnSettled)>) {
        if self.plant == Some(Plant::SplitsAppends) {
            for (append, _) in &frame {
                let mut part = append.clone();
                part.streams.truncate(1);
                self.inner.submit(part, Box::new(drop));
            }
        }
        if self.random.random_ratio(2, 3) {
            frame.extend(self.line.lock().appends.drain(..));
            self.line.has_room.send_replace(true);
        }
        answer(frame, |_| not_recorded("there is no room"));
    }

    /// Writes all of the frame or nothing, and says that it does not know.
    fn break_down(&mut self, frame: Vec<(Append, OnSettled)>) {
        let fault = Fault::new("an earlier write failed");
        let behind = {
            let mut waiting = self.line.lock();
            waiting.refusal = Some(fault);
            std::mem::take(&mut waiting.appends)
        };
        self.line.has_room.send_replace(true);
        if self.random.random_ratio(1, 2) {
            for (append, _) in &frame {
                let (written, until_written) = std::sync::mpsc::channel();
                let settled = move |_outcome| {
                    // Whoever waits for it is this thread.
                    let _ = written.send(());
                };
                self.inner.submit(append.clone(), Box::new(settled));
                let _ = until_written.recv();
            }
        }
        answer(frame, |append| {
            if append.event_count() > 0 {
                AppendError::Unknown(Fault::new("the write failed half way"))
            } else {
                not_recorded("the write before it failed")
            }
        });
        answer(behind, |_| not_recorded("an earlier write failed"));
        self.line.is_broken.send_replace(true);
    }
}

fn answer(
    appends: impl IntoIterator<Item = (Append, OnSettled)>,
    error: impl Fn(&Append) -> AppendError,
) {
    for (append, settled) in appends {
        let error = error(&append);
        settled(Err(error));
    }
}

fn not_recorded(why: &str) -> AppendError {
    AppendError::NotRecorded(Fault::new(why))
}
