//! The receipt: a small file of our own beside the engine's files, that says whose index this is and how far it was
//! known to be on disk.
//!
//! The engine skips what it cannot read when it opens, without a word. Every sync therefore counts up a generation,
//! first within the engine, then here: an engine that comes back with an older generation than the receipt's has lost
//! something that was durable, and is not trusted.
//!
//! `index/receipt` holds two slots, at byte 0 and byte 4,096. They are written in turn, so that a torn write costs only
//! the newer one. A slot (48 bytes, integers little-endian, never renumber):
//!
//! | bytes | what |
//! |---|---|
//! | 0..7 | `fhindex` |
//! | 7 | flags: bit 0, found damaged while in use: move aside at the next open |
//! | 8..10 | layout version of everything in the index |
//! | 10..12 | zero |
//! | 12..28 | the journal's identity |
//! | 28..36 | generation |
//! | 36..44 | turn: the slot with the higher one counts; slot = turn modulo 2 |
//! | 44..48 | CRC-32 of bytes 0..44 |

use std::fs::{File, OpenOptions};
use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound, UnexpectedEof};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::value::{Reader, seal, unseal};
use crate::error::Fault;

const FILE_NAME: &str = "receipt";
const MAGIC: [u8; 7] = *b"fhindex";
const FLAG_CONDEMNED: u8 = 1;
const SLOT_BYTES: usize = 48;
const SLOT_OFFSETS: [u64; 2] = [0, 4_096];

/// What a slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) condemned: bool,
    pub(super) layout: u16,
    pub(super) store_id: [u8; 16],
    pub(super) generation: u64,
    turn: u64,
}

impl Slot {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SLOT_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.push(if self.condemned { FLAG_CONDEMNED } else { 0 });
        bytes.extend_from_slice(&self.layout.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.store_id);
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&self.turn.to_le_bytes());
        seal(&[], &mut bytes);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(unseal(&[], bytes)?);
        if reader.array()? != MAGIC {
            return None;
        }
        let flags = reader.u8()?;
        let layout = reader.u16()?;
        reader.u16()?;
        Some(Self {
            condemned: flags & FLAG_CONDEMNED != 0,
            layout,
            store_id: reader.array()?,
            generation: reader.u64()?,
            turn: reader.u64()?,
        })
    }
}

/// The open receipt file.
#[derive(Debug)]
pub(super) struct Receipt {
    file: File,
    last: Mutex<Slot>,
}

impl Receipt {
    /// Writes the first receipt of a new index, generation 0.
    pub(super) fn create(index: &Path, layout: u16, store_id: [u8; 16]) -> Result<Self, Fault> {
        let path = index.join(FILE_NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(|error| Fault::io(format!("{} cannot be created", path.display()), error))?;
        let receipt = Self {
            file,
            last: Mutex::new(Slot {
                condemned: false,
                layout,
                store_id,
                generation: 0,
                turn: 0,
            }),
        };
        receipt.write(|_| ())?;
        Ok(receipt)
    }

    /// Opens the receipt of an index; `None` if there is none that can be read.
    pub(super) fn open(index: &Path) -> Result<Option<Self>, Fault> {
        let path = index.join(FILE_NAME);
        let unreadable = |error| Fault::io(format!("{} cannot be read", path.display()), error);
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), NotFound | NotADirectory | IsADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(unreadable(error)),
        };
        let mut newest: Option<Slot> = None;
        for offset in SLOT_OFFSETS {
            let mut bytes = [0; SLOT_BYTES];
            match file.read_exact_at(&mut bytes, offset) {
                Ok(()) => {}
                Err(error) if error.kind() == UnexpectedEof => continue,
                Err(error) => return Err(unreadable(error)),
            }
            if let Some(slot) = Slot::decode(&bytes)
                && newest.is_none_or(|other| other.turn < slot.turn)
            {
                newest = Some(slot);
            }
        }
        Ok(newest.map(|slot| Self {
            file,
            last: Mutex::new(slot),
        }))
    }

    /// The name of its file in the index's directory.
    pub(super) fn file_name() -> &'static str {
        FILE_NAME
    }

    /// What it says.
    pub(super) fn slot(&self) -> Slot {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says, durably, that the engine has `generation` on disk.
    pub(super) fn confirm(&self, generation: u64) -> Result<(), Fault> {
        self.write(|slot| slot.generation = generation)
    }

    /// Says, durably, that the index is damaged, so that the next open moves it aside.
    pub(super) fn condemn(&self) -> Result<(), Fault> {
        if self.slot().condemned {
            return Ok(());
        }
        self.write(|slot| slot.condemned = true)
    }

    fn write(&self, change: impl FnOnce(&mut Slot)) -> Result<(), Fault> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slot = *last;
        change(&mut slot);
        slot.turn += 1;
        let [even, odd] = SLOT_OFFSETS;
        let offset = if slot.turn.is_multiple_of(2) {
            even
        } else {
            odd
        };
        self.file
            .write_all_at(&slot.encode(), offset)
            .and_then(|()| self.file.sync_data())
            .map_err(|error| Fault::io("the receipt of the index cannot be written", error))?;
        *last = slot;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: [u8; 16] = [7; 16];

    fn generation(index: &Path) -> Option<u64> {
        Receipt::open(index).unwrap().map(|r| r.slot().generation)
    }

    #[test]
    fn a_receipt_says_what_was_confirmed_last() {
        let index = tempfile::tempdir().unwrap();
        assert_eq!(generation(index.path()), None);
        let receipt = Receipt::create(index.path(), 3, STORE).unwrap();
        for number in 0..5 {
            assert_eq!(generation(index.path()), Some(number));
            receipt.confirm(number + 1).unwrap();
        }
        receipt.condemn().unwrap();
        let slot = Receipt::open(index.path()).unwrap().unwrap().slot();
        assert_eq!((slot.layout, slot.store_id), (3, STORE));
        assert_eq!((slot.generation, slot.condemned), (5, true));
    }

    #[test]
    fn a_torn_write_leaves_the_receipt_before_it() {
        let index = tempfile::tempdir().unwrap();
        let receipt = Receipt::create(index.path(), 1, STORE).unwrap();
        receipt.confirm(1).unwrap();
        receipt.confirm(2).unwrap();
        let newer = SLOT_OFFSETS[usize::try_from(receipt.slot().turn % 2).unwrap()];
        receipt.file.write_all_at(b"torn", newer + 20).unwrap();
        assert_eq!(generation(index.path()), Some(1));
        receipt.file.write_all_at(b"torn", 20).unwrap();
        receipt.file.write_all_at(b"torn", 4_116).unwrap();
        assert_eq!(generation(index.path()), None);
    }
}
