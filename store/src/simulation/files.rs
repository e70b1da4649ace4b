use std::collections::BTreeMap;
use std::io;

use crate::journal::frame::SECTOR_BYTES;
use crate::simulation::Random;

/// What is on a simulated disk.
#[derive(Debug, Default)]
pub(super) struct Files {
    names: BTreeMap<String, usize>,
    contents: Vec<Vec<u8>>,
    /// Names that were removed, which is not durable until the names are synced.
    removed: Vec<(String, usize)>,
    /// Whether writes only look durable.
    lies: bool,
    /// What stood before where such writes went, oldest first.
    overwritten: Vec<(usize, usize, Vec<u8>)>,
}

/// One change that is durable when it returns.
#[derive(Debug)]
pub(super) enum Change<'a> {
    Create {
        name: &'a str,
        bytes: usize,
    },
    Rename {
        from: &'a str,
        to: &'a str,
    },
    Remove {
        name: &'a str,
    },
    Truncate {
        name: &'a str,
        bytes: usize,
    },
    Sync {
        name: &'a str,
    },
    Write {
        file: usize,
        offset: usize,
        data: &'a [u8],
    },
}

impl Files {
    pub(super) fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub(super) fn find(&self, name: &str) -> io::Result<usize> {
        let file = self.names.get(name).copied();
        file.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    pub(super) fn content(&self, file: usize) -> &[u8] {
        self.contents.get(file).map_or(&[], Vec::as_slice)
    }

    /// Does all of it.
    pub(super) fn apply(&mut self, change: &Change<'_>) -> io::Result<()> {
        match *change {
            Change::Create { name, bytes } => {
                self.names.insert(name.to_owned(), self.contents.len());
                self.contents.push(vec![0; bytes]);
            }
            Change::Rename { from, to } => {
                let file = self.find(from)?;
                self.names.remove(from);
                self.names.insert(to.to_owned(), file);
                self.removed.clear();
            }
            Change::Remove { name } => {
                let file = self.find(name)?;
                self.names.remove(name);
                self.removed.push((name.to_owned(), file));
            }
            Change::Truncate { name, bytes } => {
                let file = self.find(name)?;
                if let Some(content) = self.contents.get_mut(file) {
                    content.resize(bytes, 0);
                }
            }
            Change::Sync { name } => {
                self.find(name)?;
                self.removed.clear();
                self.overwritten.clear();
            }
            Change::Write { file, offset, data } => {
                if self.lies {
                    let before = self.content(file).get(offset..).unwrap_or_default();
                    let before = before.get(..data.len()).unwrap_or(before).to_vec();
                    self.overwritten.push((file, offset, before));
                }
                self.write(file, offset, data);
            }
        }
        Ok(())
    }

    /// Does a part of it, as `random` says.
    pub(super) fn apply_part(&mut self, change: &Change<'_>, random: &mut Random) {
        match *change {
            Change::Write { file, offset, data } if random.chance(50) => {
                let (torn, _) = data.split_at(random.index(data.len() as u64));
                self.write(file, offset, torn);
            }
            Change::Write { file, offset, data } => {
                let sectors = data.chunks(SECTOR_BYTES);
                for (sector, from) in sectors.zip((offset..).step_by(SECTOR_BYTES)) {
                    if random.chance(50) {
                        self.write(file, from, sector);
                    }
                }
            }
            Change::Create { name, bytes } => {
                let bytes = random.index(bytes as u64);
                // It is new, so there is nothing that could be missing.
                self.apply(&Change::Create { name, bytes }).ok();
            }
            // All or nothing.
            _ if random.chance(50) => {
                self.apply(change).ok();
            }
            _ => {}
        }
    }

    fn write(&mut self, file: usize, offset: usize, data: &[u8]) {
        let Some(content) = self.contents.get_mut(file) else {
            return;
        };
        let end = offset + data.len();
        content.resize(content.len().max(end), 0);
        if let Some(place) = content.get_mut(offset..end) {
            place.copy_from_slice(data);
        }
    }

    /// From here on writes only look durable: a power cut loses the last ones.
    pub(super) fn lie(&mut self) {
        self.lies = true;
    }

    /// What is found after a power cut: any name whose removal was not durable may be back.
    pub(super) fn after_power_cut(&mut self, random: &mut Random) {
        // One at least, if there is one.
        let all = self.overwritten.len() as u64;
        for _ in 0..random.number(1..=all.max(1)) {
            if let Some((file, offset, before)) = self.overwritten.pop() {
                self.write(file, offset, &before);
            }
        }
        self.overwritten.clear();
        for (name, file) in std::mem::take(&mut self.removed) {
            if random.chance(50) {
                self.names.entry(name).or_insert(file);
            }
        }
    }
}
