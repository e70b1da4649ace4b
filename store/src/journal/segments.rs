use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::journal::disk::{BlockReader, Disk};
use crate::journal::segment;
use crate::position::Position;

/// How many segment files stay open for reading.
const OPEN_FILES_MAX: usize = 64;

/// The segments of a journal, for reading.
#[derive(Debug)]
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    /// First position by segment number.
    first_positions: RwLock<Vec<Position>>,
    /// The files used last, newest at the back.
    open: Mutex<VecDeque<(u64, Arc<dyn BlockReader>)>>,
}

impl Segments {
    pub(crate) fn new(disk: Arc<dyn Disk>, first_positions: Vec<Position>) -> Self {
        Self {
            disk,
            first_positions: RwLock::new(first_positions),
            open: Mutex::default(),
        }
    }

    pub(crate) fn push(&self, first_position: Position) {
        self.first_positions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(first_position);
    }

    pub(crate) fn first_position(&self, number: u64) -> Option<Position> {
        let first_positions = self
            .first_positions
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        first_positions.get(usize::try_from(number).ok()?).copied()
    }

    /// How many segments there are; the last one is the active one.
    pub(crate) fn count(&self) -> u64 {
        self.first_positions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len() as u64
    }

    /// The segment that holds `position`.
    pub(crate) fn number_of(&self, position: Position) -> u64 {
        let first_positions = self
            .first_positions
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        first_positions
            .partition_point(|first| *first <= position)
            .saturating_sub(1) as u64
    }

    pub(crate) fn file(&self, number: u64) -> io::Result<Arc<dyn BlockReader>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(held, _)| *held == number)
            && let Some(held) = open.remove(at)
        {
            let file = Arc::clone(&held.1);
            open.push_back(held);
            return Ok(file);
        }
        let file = self.disk.open_reader(&self.file_name(number))?;
        if open.len() >= OPEN_FILES_MAX {
            open.pop_front();
        }
        open.push_back((number, Arc::clone(&file)));
        Ok(file)
    }

    pub(crate) fn file_name(&self, number: u64) -> String {
        segment::file_name(self.first_position(number).unwrap_or_default())
    }

    /// The file as an error names it, relative to the store's directory.
    pub(crate) fn path(&self, number: u64) -> PathBuf {
        PathBuf::from(super::JOURNAL_DIRECTORY).join(self.file_name(number))
    }
}
