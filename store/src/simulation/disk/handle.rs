//! The simulated disk as the journal sees it.

use std::io;
use std::sync::Arc;

use super::SimulatedDisk;
use crate::journal::disk::{BlockReader, BlockWriter, Disk, WriteMode};
use crate::simulation::files::Change;

impl Disk for SimulatedDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        self.check_power()?;
        Ok(self.state().files.names())
    }

    fn create_zeroed(&self, name: &str, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        self.change(&Change::Create { name, bytes })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(&Change::Rename { from, to })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(&Change::Remove { name })
    }

    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        self.change(&Change::Truncate { name, bytes })
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.change(&Change::Sync { name })
    }

    fn open_writer(&self, name: &str) -> io::Result<Box<dyn BlockWriter>> {
        Ok(Box::new(Handle::open(self, name)?))
    }

    fn open_reader(&self, name: &str) -> io::Result<Arc<dyn BlockReader>> {
        Ok(Arc::new(Handle::open(self, name)?))
    }
}

/// An open file.
#[derive(Debug)]
struct Handle {
    disk: SimulatedDisk,
    file: usize,
    start: u64,
}

impl Handle {
    fn open(disk: &SimulatedDisk, name: &str) -> io::Result<Self> {
        disk.check_power()?;
        let state = disk.state();
        Ok(Self {
            disk: disk.clone(),
            file: state.files.find(name)?,
            start: state.start,
        })
    }

    fn check(&self) -> io::Result<()> {
        self.disk.check_power()?;
        if self.disk.state().start != self.start {
            return Err(io::Error::other("the process that opened the file is gone"));
        }
        Ok(())
    }
}

impl BlockWriter for Handle {
    fn write_durably(&mut self, offset: u64, blocks: &[u8]) -> io::Result<()> {
        self.check()?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.disk.change(&Change::Write {
            file: self.file,
            offset,
            data: blocks,
        })
    }

    fn mode(&self) -> WriteMode {
        WriteMode::Direct
    }
}

impl BlockReader for Handle {
    fn len_bytes(&self) -> io::Result<u64> {
        self.check()?;
        Ok(self.disk.state().files.content(self.file).len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let state = self.disk.state();
        let content = state.files.content(self.file);
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = content.get(offset..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        let (to, _) = buffer.split_at_mut(len);
        to.copy_from_slice(rest.get(..len).unwrap_or_default());
        Ok(len)
    }
}
