//! The state of a file system that can lose power: what it holds, what of that is durable, and what is to go wrong.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use fuser::Errno;

use super::faults::{Faults, Operation, Outcome};
use super::log::Log;
use super::tree::{Change, Inode, Node, Tree};

/// Whether a write through a descriptor that was opened with `O_DSYNC` or `O_SYNC` is durable when it returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DurableWrites {
    #[default]
    Honest,
    /// It returns, and is as volatile as any other: a disk that lies.
    Lying,
}

/// A volume, shared by the threads that serve it and the test that looks at it.
#[derive(Clone, Debug)]
pub(super) struct Volume {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) tree: Tree,
    log: Log,
    durable_writes: DurableWrites,
    pub(super) faults: Faults,
    next_inode: Inode,
    next_handle: u64,
    /// What is open, by handle.
    open: HashMap<u64, Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    inode: Inode,
    is_durable: bool,
}

const DURABLE_FLAGS: i32 = libc::O_DSYNC | libc::O_SYNC;

impl Volume {
    /// One that holds `content`, all of it durable.
    pub(super) fn of(content: Tree, durable_writes: DurableWrites) -> Self {
        let state = State {
            next_inode: content.free_inode(),
            tree: content,
            log: Log::default(),
            durable_writes,
            faults: Faults::default(),
            next_handle: 1,
            open: HashMap::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Notes in the log that a promise was given now.
    pub(super) fn ack(&self) -> usize {
        self.lock().log.ack()
    }

    /// What was done so far.
    pub(super) fn log(&self) -> Log {
        self.lock().log.clone()
    }
}

impl State {
    pub(super) fn open(&mut self, inode: Inode, flags: i32) -> Result<u64, Errno> {
        self.faults.fail(Operation::Open)?;
        Ok(self.opened(inode, flags))
    }

    fn opened(&mut self, inode: Inode, flags: i32) -> u64 {
        let handle = self.next_handle;
        self.next_handle += 1;
        let is_durable = flags & DURABLE_FLAGS != 0;
        self.open.insert(handle, Open { inode, is_durable });
        handle
    }

    pub(super) fn close(&mut self, handle: u64) {
        self.open.remove(&handle);
    }

    pub(super) fn create(
        &mut self,
        parent: Inode,
        name: &str,
        is_directory: bool,
    ) -> Result<Inode, Errno> {
        self.faults.fail(Operation::Create)?;
        let names = self.tree.names(parent).ok_or(Errno::ENOTDIR)?;
        if names.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let inode = self.next_inode;
        self.next_inode += 1;
        self.change(Change::Create {
            parent,
            name: name.to_owned(),
            inode,
            is_directory,
        });
        Ok(inode)
    }

    pub(super) fn create_and_open(
        &mut self,
        parent: Inode,
        name: &str,
        flags: i32,
    ) -> Result<(Inode, u64), Errno> {
        let inode = self.create(parent, name, false)?;
        Ok((inode, self.opened(inode, flags)))
    }

    pub(super) fn remove(&mut self, parent: Inode, name: &str) -> Result<(), Errno> {
        self.faults.fail(Operation::Remove)?;
        let inode = self.tree.inode_of(parent, name).ok_or(Errno::ENOENT)?;
        if self
            .tree
            .names(inode)
            .is_some_and(|names| !names.is_empty())
        {
            return Err(Errno::ENOTEMPTY);
        }
        self.change(Change::Remove {
            parent,
            name: name.to_owned(),
        });
        Ok(())
    }

    pub(super) fn rename(
        &mut self,
        from: (Inode, String),
        to: (Inode, String),
    ) -> Result<(), Errno> {
        self.faults.fail(Operation::Rename)?;
        self.tree.inode_of(from.0, &from.1).ok_or(Errno::ENOENT)?;
        self.change(Change::Rename { from, to });
        Ok(())
    }

    pub(super) fn resize(&mut self, inode: Inode, bytes: u64) -> Result<(), Errno> {
        self.faults.fail(Operation::Truncate)?;
        let bytes = usize::try_from(bytes).map_err(|_| Errno::EFBIG)?;
        self.change(Change::Resize { inode, bytes });
        Ok(())
    }

    pub(super) fn read(&mut self, inode: Inode, offset: u64, len: u32) -> Result<&[u8], Errno> {
        self.faults.fail(Operation::Read)?;
        let bytes = self.tree.bytes(inode).ok_or(Errno::EISDIR)?;
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let to = bytes.len().min(from + len as usize);
        Ok(&bytes[from..to])
    }

    /// Writes, and gives back how many bytes.
    pub(super) fn write(
        &mut self,
        handle: u64,
        offset: u64,
        data: &[u8],
        flags: i32,
    ) -> Result<usize, Errno> {
        let open = *self.open.get(&handle).ok_or(Errno::EBADF)?;
        let outcome = if self.tree.is_named(open.inode, "db") {
            // A flush of sled can wait for ever after a failed write, with a lock held that all of sled in the process
            // shares: no test would come back.
            Outcome::Fine
        } else {
            self.faults.meet(Operation::Write)
        };
        let bytes = match outcome {
            Outcome::Fine => data.len(),
            Outcome::Fails(error) => return Err(error),
            Outcome::Short(bytes) => bytes.min(data.len()),
        };
        let offset = usize::try_from(offset).map_err(|_| Errno::EFBIG)?;
        self.change(Change::Write {
            inode: open.inode,
            offset,
            data: data[..bytes].into(),
        });
        let is_durable = open.is_durable || flags & DURABLE_FLAGS != 0;
        if is_durable && self.durable_writes == DurableWrites::Honest {
            self.log.sync_last_write(open.inode);
        }
        Ok(bytes)
    }

    pub(super) fn sync(&mut self, inode: Inode) -> Result<(), Errno> {
        self.faults.fail(Operation::Sync)?;
        self.log.sync(inode);
        Ok(())
    }

    fn change(&mut self, change: Change) {
        self.tree.apply(&change);
        self.log.change(change);
    }

    pub(super) fn node(&self, inode: Inode) -> Result<&Node, Errno> {
        self.tree.node(inode).ok_or(Errno::ENOENT)
    }
}
