use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// What a file or directory is known by, whatever its name.
pub(super) type Inode = u64;

/// The directory that everything else is in.
pub(super) const ROOT: Inode = 1;

/// One thing done to the content of a tree.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// A new file or directory with a name.
    Create {
        parent: Inode,
        name: String,
        inode: Inode,
        is_directory: bool,
    },
    Remove {
        parent: Inode,
        name: String,
    },
    Rename {
        from: (Inode, String),
        to: (Inode, String),
    },
    Write {
        inode: Inode,
        offset: usize,
        data: Arc<[u8]>,
    },
    Resize {
        inode: Inode,
        bytes: usize,
    },
}

impl Change {
    /// Whether syncing `inode` makes this durable: data and length of a file, or the names in a directory.
    pub(super) fn is_synced_with(&self, synced: Inode) -> bool {
        match self {
            Self::Create { parent, .. } | Self::Remove { parent, .. } => *parent == synced,
            Self::Rename { from, to } => from.0 == synced || to.0 == synced,
            Self::Write { inode, .. } | Self::Resize { inode, .. } => *inode == synced,
        }
    }
}

/// Files and directories with their content.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<Inode, Node>,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(Vec<u8>),
    Directory(BTreeMap<String, Inode>),
}

impl Default for Tree {
    fn default() -> Self {
        let root = (ROOT, Node::Directory(BTreeMap::new()));
        Self {
            nodes: BTreeMap::from([root]),
        }
    }
}

impl Tree {
    pub(super) fn node(&self, inode: Inode) -> Option<&Node> {
        self.nodes.get(&inode)
    }

    /// One that was never used, not even by a file that is gone.
    pub(super) fn free_inode(&self) -> Inode {
        self.nodes.keys().next_back().map_or(ROOT, |last| last + 1)
    }

    pub(super) fn names(&self, directory: Inode) -> Option<&BTreeMap<String, Inode>> {
        match self.nodes.get(&directory)? {
            Node::Directory(names) => Some(names),
            Node::File(_) => None,
        }
    }

    pub(super) fn inode_of(&self, directory: Inode, name: &str) -> Option<Inode> {
        self.names(directory)?.get(name).copied()
    }

    /// Whether a file has this name in some directory.
    pub(super) fn is_named(&self, file: Inode, name: &str) -> bool {
        let directories = self.nodes.values().filter_map(|node| match node {
            Node::Directory(names) => names.get(name),
            Node::File(_) => None,
        });
        directories.into_iter().any(|named| *named == file)
    }

    pub(super) fn bytes(&self, file: Inode) -> Option<&[u8]> {
        match self.nodes.get(&file)? {
            Node::File(bytes) => Some(bytes),
            Node::Directory(_) => None,
        }
    }

    fn names_mut(&mut self, directory: Inode) -> Option<&mut BTreeMap<String, Inode>> {
        match self.nodes.get_mut(&directory)? {
            Node::Directory(names) => Some(names),
            Node::File(_) => None,
        }
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Create {
                parent,
                name,
                inode,
                is_directory,
            } => {
                self.add(*inode, *is_directory);
                if let Some(names) = self.names_mut(*parent) {
                    names.insert(name.clone(), *inode);
                }
            }
            Change::Remove { parent, name } => {
                if let Some(names) = self.names_mut(*parent) {
                    names.remove(name);
                }
            }
            Change::Rename { from, to } => {
                let moved = self
                    .names_mut(from.0)
                    .and_then(|names| names.remove(&from.1));
                // The name that was to be renamed may itself have been lost.
                if let (Some(inode), Some(names)) = (moved, self.names_mut(to.0)) {
                    names.insert(to.1.clone(), inode);
                }
            }
            Change::Write {
                inode,
                offset,
                data,
            } => self.write(*inode, *offset, data),
            Change::Resize { inode, bytes } => {
                if let Some(Node::File(content)) = self.nodes.get_mut(inode) {
                    content.resize(*bytes, 0);
                }
            }
        }
    }

    /// A file or directory that has no name yet.
    pub(super) fn add(&mut self, inode: Inode, is_directory: bool) {
        let node = if is_directory {
            Node::Directory(BTreeMap::new())
        } else {
            Node::File(Vec::new())
        };
        self.nodes.insert(inode, node);
    }

    pub(super) fn write(&mut self, inode: Inode, offset: usize, data: &[u8]) {
        if let Some(Node::File(content)) = self.nodes.get_mut(&inode) {
            let end = offset + data.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[offset..end].copy_from_slice(data);
        }
    }

    /// Puts it into a real directory; what is zeros stays a hole.
    pub(super) fn write_to(&self, directory: &Path) -> io::Result<()> {
        self.write_directory(ROOT, directory)
    }

    fn write_directory(&self, inode: Inode, path: &Path) -> io::Result<()> {
        for (name, inode) in self.names(inode).into_iter().flatten() {
            let path = path.join(name);
            match self.node(*inode) {
                Some(Node::Directory(_)) => {
                    fs::create_dir(&path)?;
                    self.write_directory(*inode, &path)?;
                }
                Some(Node::File(bytes)) => write_file(&path, bytes)?,
                None => {}
            }
        }
        Ok(())
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    const CHUNK_BYTES: usize = 64 << 10;
    static ZEROS: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];
    let file = File::create(path)?;
    file.set_len(bytes.len() as u64)?;
    for (number, chunk) in bytes.chunks(CHUNK_BYTES).enumerate() {
        if *chunk != ZEROS[..chunk.len()] {
            file.write_all_at(chunk, (number * CHUNK_BYTES) as u64)?;
        }
    }
    Ok(())
}
