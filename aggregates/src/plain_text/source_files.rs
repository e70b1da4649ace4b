use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The most bytes that are read of one file.
pub const SOURCE_FILE_BYTES_MAX: u64 = 1 << 30;

/// Where the files of a journal come from. The only way by which reading a journal reaches the outside.
pub trait SourceFiles {
    /// The whole text of a file.
    ///
    /// # Errors
    /// If it cannot be read, is no UTF-8, or is larger than [`SOURCE_FILE_BYTES_MAX`].
    fn read(&self, path: &Path) -> io::Result<String>;

    /// The files that match a pattern with `*`, `?`, `[...]` and `**`, sorted; none if there is none.
    ///
    /// # Errors
    /// If the pattern is malformed or a directory cannot be read.
    fn matching(&self, pattern: &str) -> io::Result<Vec<PathBuf>>;

    /// The one name of a file, by which it is known again.
    fn canonical(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
}

/// Files on disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFiles;

impl SourceFiles for DiskFiles {
    fn read(&self, path: &Path) -> io::Result<String> {
        let bytes = std::fs::metadata(path)?.len();
        if bytes > SOURCE_FILE_BYTES_MAX {
            let why = format!("it has {bytes} bytes, more than {SOURCE_FILE_BYTES_MAX}");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        std::fs::read_to_string(path)
    }

    fn matching(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        let options = glob::MatchOptions {
            require_literal_leading_dot: true,
            ..glob::MatchOptions::new()
        };
        let paths = glob::glob_with(&plain_stars(pattern), options)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut found = Vec::new();
        for path in paths {
            let path = path.map_err(io::Error::from)?;
            if path.is_file() {
                found.push(path);
            }
        }
        Ok(found)
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    }
}

/// Two stars mean any directories only where they stand alone; elsewhere they are one.
fn plain_stars(pattern: &str) -> String {
    let parts = pattern.split('/').map(|part| match part {
        "**" => part.to_owned(),
        _ => part.replace("**", "*"),
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Files in memory, for tests and for what comes over a network.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles(BTreeMap<PathBuf, String>);

impl MemoryFiles {
    /// These files, each a path and its text.
    pub fn new<P: Into<PathBuf>, T: Into<String>>(files: impl IntoIterator<Item = (P, T)>) -> Self {
        let files = files.into_iter();
        Self(
            files
                .map(|(path, text)| (path.into(), text.into()))
                .collect(),
        )
    }
}

impl SourceFiles for MemoryFiles {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no such file"))
    }

    fn matching(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        let pattern = glob::Pattern::new(&plain_stars(pattern))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let matches = self.0.keys().filter(|path| pattern.matches_path(path));
        Ok(matches.cloned().collect())
    }
}
