use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::problem::{GoldenError, GoldenProblem};

/// What is done about golden files that are missing or outdated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GoldenMode {
    /// What is missing is written, and what differs is a failure.
    WriteMissing,
    /// Nothing is written, and what is missing is a failure, too. So it is where `FOLDHOUSE_GOLDEN=check` or `CI` is set:
    /// a file that was not committed must not pass.
    Check,
    /// Files of today's versions, and of the state, are written anew, because nothing of the old kind was ever recorded
    /// (`FOLDHOUSE_GOLDEN=update`). Those of earlier versions never are.
    Update,
}

impl GoldenMode {
    /// What the environment variables `FOLDHOUSE_GOLDEN` (`update`, `check`) and `CI` say; else
    /// [`GoldenMode::WriteMissing`].
    #[must_use]
    pub fn of_environment() -> Self {
        let is_set =
            |name| std::env::var(name).is_ok_and(|value| !matches!(&*value, "" | "0" | "false"));
        match std::env::var("FOLDHOUSE_GOLDEN").as_deref() {
            Ok("update") => Self::Update,
            Ok("check") => Self::Check,
            _ if is_set("CI") => Self::Check,
            _ => Self::WriteMissing,
        }
    }
}

/// The directory of one aggregate's golden files, and what was found and done there.
pub(super) struct Directory {
    path: PathBuf,
    pub(super) mode: GoldenMode,
    written: Vec<PathBuf>,
    problems: Vec<GoldenProblem>,
}

const EXTENSION: &str = "golden";
const STATE_FILE: &str = "state.golden";

impl Directory {
    pub(super) fn open(path: PathBuf, mode: GoldenMode) -> Self {
        Self {
            path,
            mode,
            written: Vec::new(),
            problems: Vec::new(),
        }
    }

    pub(super) fn problem(&mut self, problem: GoldenProblem) {
        self.problems.push(problem);
    }

    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    pub(super) fn state_file(&self) -> PathBuf {
        self.path.join(STATE_FILE)
    }

    pub(super) fn event_file(&self, event_type: &str, schema_version: u16) -> PathBuf {
        let mut name = String::new();
        for character in event_type.chars() {
            match character {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => name.push(character),
                other => name.push_str(&format!("%{:x}", u32::from(other))),
            }
        }
        self.path
            .join(format!("{name}.v{schema_version}.{EXTENSION}"))
    }

    /// The files of events, in the order of their names.
    pub(super) fn event_files(&mut self) -> Vec<PathBuf> {
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                self.failed(self.path.clone(), &error);
                return Vec::new();
            }
        };
        let mut files: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == EXTENSION)
                    && !path.ends_with(STATE_FILE)
            })
            .collect();
        files.sort();
        files
    }

    /// What a file says; `None` if there is none.
    pub(super) fn read(&mut self, file: &Path) -> Option<String> {
        match std::fs::read_to_string(file) {
            // Version control may have put in the line ends of another system.
            Ok(text) => Some(text.replace("\r\n", "\n")),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                self.failed(file.to_owned(), &error);
                None
            }
        }
    }

    /// Writes a file, whole or not at all, if that may be done here. `what` it is otherwise: missing, or out of date.
    pub(super) fn write(&mut self, file: PathBuf, what: &'static str, text: &str) {
        if self.mode == GoldenMode::Check {
            self.problem(GoldenProblem::NotWritten { file, what });
            return;
        }
        let partial = file.with_extension(format!("{}.partial", std::process::id()));
        let written = std::fs::create_dir_all(&self.path)
            .and_then(|()| std::fs::write(&partial, text))
            .and_then(|()| std::fs::rename(&partial, &file));
        match written {
            Ok(()) => self.written.push(file),
            Err(error) => self.failed(file, &error),
        }
    }

    fn failed(&mut self, file: PathBuf, error: &std::io::Error) {
        let error = error.to_string();
        self.problem(GoldenProblem::File { file, error });
    }

    pub(super) fn finish(self, aggregate: &'static str) -> Result<Vec<PathBuf>, GoldenError> {
        match self.problems.is_empty() {
            true => Ok(self.written),
            false => Err(GoldenError {
                aggregate,
                problems: self.problems,
            }),
        }
    }
}
