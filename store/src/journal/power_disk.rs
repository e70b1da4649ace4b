//! A disk in memory that can lose power, for tests: everything is written down in order, and a cut leaves what was
//! durable then, and any part of the rest.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use proptest::prelude::Rng;
use proptest::test_runner::TestRng;

use crate::journal::disk::{BlockReader, BlockWriter, Disk, WriteMode};
use crate::journal::frame::SECTOR_BYTES;

/// Names and bytes of all files.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Create {
        name: String,
        file: usize,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        name: String,
    },
    Resize {
        file: usize,
        bytes: usize,
    },
    Write {
        file: usize,
        offset: usize,
        data: Vec<u8>,
    },
}

#[derive(Clone, Debug)]
enum Step {
    Changed {
        change: Change,
        durable_from: Option<usize>,
    },
    Other,
}

#[derive(Debug, Default)]
struct State {
    base: Content,
    content: Content,
    steps: Vec<Step>,
}

/// Whether a write is durable when it returns, as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    Durable,
    /// It only looks so.
    Cached,
}

#[derive(Clone, Debug)]
pub(super) struct PowerDisk {
    state: Arc<Mutex<State>>,
    writes: Writes,
}

impl Content {
    pub(super) fn with(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            names: BTreeMap::from([(name.to_owned(), 0)]),
            files: vec![bytes],
        }
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        let file = self.names.get(name).copied();
        file.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Create { name, file } => {
                self.add(*file);
                self.names.insert(name.clone(), *file);
            }
            Change::Rename { from, to } => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
            }
            Change::Remove { name } => drop(self.names.remove(name)),
            Change::Resize { file, bytes } => self.files[*file].resize(*bytes, 0),
            Change::Write { file, offset, data } => self.write(*file, *offset, data),
        }
    }

    fn add(&mut self, file: usize) {
        self.files
            .resize(self.files.len().max(file + 1), Vec::new());
    }

    fn write(&mut self, file: usize, offset: usize, data: &[u8]) {
        let (bytes, end) = (&mut self.files[file], offset + data.len());
        bytes.resize(bytes.len().max(end), 0);
        bytes[offset..end].copy_from_slice(data);
    }

    /// What becomes of a change that was not durable when the power went.
    fn apply_part(&mut self, change: &Change, is_last: bool, random: &mut TestRng) {
        if let Change::Create { file, .. } = change {
            self.add(*file);
        }
        match change {
            Change::Write { file, offset, data }
                if is_last && random.next_u32().is_multiple_of(2) =>
            {
                let torn = random.next_u32() as usize % (data.len() + 1);
                self.write(*file, *offset, &data[..torn]);
            }
            Change::Write { file, offset, data } => {
                for (sector, from) in data
                    .chunks(SECTOR_BYTES)
                    .zip((*offset..).step_by(SECTOR_BYTES))
                {
                    if random.next_u32().is_multiple_of(2) {
                        self.write(*file, from, sector);
                    }
                }
            }
            _ if random.next_u32().is_multiple_of(2) => self.apply(change),
            _ => {}
        }
    }
}

impl PowerDisk {
    pub(super) fn of(content: Content, writes: Writes) -> Self {
        let state = State {
            base: content.clone(),
            content,
            steps: Vec::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            writes,
        }
    }

    /// Notes an ack; gives back its step.
    pub(super) fn ack(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        state.steps.push(Step::Other);
        state.steps.len() - 1
    }

    pub(super) fn steps(&self) -> usize {
        self.state.lock().unwrap().steps.len()
    }

    /// What was done, in order.
    pub(super) fn changes(&self) -> Vec<Change> {
        let state = self.state.lock().unwrap();
        let changes = state.steps.iter().filter_map(|step| match step {
            Step::Changed { change, .. } => Some(change.clone()),
            Step::Other => None,
        });
        changes.collect()
    }

    /// What may be found if the power went when so many steps had begun.
    pub(super) fn cut(&self, at: usize, random: &mut TestRng) -> Content {
        let state = self.state.lock().unwrap();
        let mut content = state.base.clone();
        for (number, step) in state.steps[..at].iter().enumerate() {
            match step {
                Step::Changed {
                    change,
                    durable_from: Some(from),
                } if *from < at => content.apply(change),
                Step::Changed { change, .. } => {
                    content.apply_part(change, number + 1 == at, random)
                }
                Step::Other => {}
            }
        }
        content
    }

    fn change(&self, change: Change) {
        let mut state = self.state.lock().unwrap();
        state.content.apply(&change);
        state.steps.push(Step::Changed {
            change,
            durable_from: None,
        });
    }

    /// What is picked is durable from here on.
    fn settle(&self, picked: impl Fn(&Change) -> bool) {
        let mut state = self.state.lock().unwrap();
        let now = state.steps.len();
        for step in &mut state.steps {
            if let Step::Changed {
                change,
                durable_from: durable_from @ None,
            } = step
                && picked(change)
            {
                *durable_from = Some(now);
            }
        }
        state.steps.push(Step::Other);
    }

    fn settle_names(&self) {
        self.settle(|change| {
            matches!(
                change,
                Change::Create { .. } | Change::Rename { .. } | Change::Remove { .. }
            )
        });
    }

    fn settle_file(&self, synced: usize) {
        self.settle(|change| match change {
            Change::Resize { file, .. } | Change::Write { file, .. } => *file == synced,
            _ => false,
        });
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        self.state.lock().unwrap().content.file(name)
    }
}

impl Disk for PowerDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        let state = self.state.lock().unwrap();
        Ok(state.content.names.keys().cloned().collect())
    }

    fn create_zeroed(&self, name: &str, bytes: u64) -> io::Result<()> {
        let file = self.state.lock().unwrap().content.files.len();
        let bytes = usize::try_from(bytes).unwrap();
        let name = name.to_owned();
        self.change(Change::Create { name, file });
        self.change(Change::Resize { file, bytes });
        self.settle_file(file);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.file(from)?;
        let (from, to) = (from.to_owned(), to.to_owned());
        self.change(Change::Rename { from, to });
        self.settle_names();
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.file(name)?;
        self.change(Change::Remove {
            name: name.to_owned(),
        });
        Ok(())
    }

    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        let file = self.file(name)?;
        let bytes = usize::try_from(bytes).unwrap();
        self.change(Change::Resize { file, bytes });
        self.settle_file(file);
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.settle_file(self.file(name)?);
        self.settle_names();
        Ok(())
    }

    fn open_writer(&self, name: &str) -> io::Result<Box<dyn BlockWriter>> {
        Ok(Box::new(self.handle(name)?))
    }

    fn open_reader(&self, name: &str) -> io::Result<Arc<dyn BlockReader>> {
        Ok(Arc::new(self.handle(name)?))
    }
}

impl PowerDisk {
    fn handle(&self, name: &str) -> io::Result<Handle> {
        let (disk, file) = (self.clone(), self.file(name)?);
        Ok(Handle { disk, file })
    }
}

#[derive(Debug)]
struct Handle {
    disk: PowerDisk,
    file: usize,
}

impl BlockWriter for Handle {
    fn write_durably(&mut self, offset: u64, blocks: &[u8]) -> io::Result<()> {
        self.disk.change(Change::Write {
            file: self.file,
            offset: usize::try_from(offset).unwrap(),
            data: blocks.to_vec(),
        });
        if self.disk.writes == Writes::Durable {
            self.disk.settle_file(self.file);
        }
        Ok(())
    }

    fn mode(&self) -> WriteMode {
        WriteMode::Direct
    }
}

impl BlockReader for Handle {
    fn len_bytes(&self) -> io::Result<u64> {
        let state = self.disk.state.lock().unwrap();
        Ok(state.content.files[self.file].len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state.lock().unwrap();
        let bytes = &state.content.files[self.file];
        let rest = &bytes[bytes.len().min(usize::try_from(offset).unwrap())..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}
