use std::fmt;
use std::path::PathBuf;

/// Everything that golden files tell of an aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoldenError {
    /// The aggregate's type.
    pub aggregate: &'static str,
    /// What is wrong; at least one thing.
    pub problems: Vec<GoldenProblem>,
}

impl fmt::Display for GoldenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            aggregate,
            problems,
        } = self;
        write!(f, "the golden events of {aggregate} do not hold:")?;
        for problem in problems {
            write!(f, "\n\n- {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for GoldenError {}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GoldenProblem {
    /// An event type has no sample, so nothing is known of it.
    #[error("the event type {event_type} has no sample; add one to Aggregate::samples")]
    NoSample {
        /// The event type.
        event_type: String,
    },
    /// An upcaster starts from a version of which no sample is stored.
    #[error(
        "an upcaster starts from {event_type} of schema version {schema_version}, but no golden file has an event that \
         takes it; bring the file back, or add one with GoldenEvents::old_sample"
    )]
    NoOldSample {
        /// The event type.
        event_type: String,
        /// The version.
        schema_version: u16,
    },
    /// A sample cannot be written down.
    #[error("a sample of {event_type} cannot be written down: {error}")]
    Unwritable {
        /// The event type, where it is known.
        event_type: String,
        /// Why not.
        error: String,
    },
    /// The events of a type look otherwise than those that are stored under the same schema version.
    #[error(
        "the shape of {event_type} changed, but not its schema version {schema_version} ({}):\n{difference}\n  \
         Declare an upcaster from version {schema_version} in Aggregate::upcasters, which makes it version {}; \
         or if no such event was ever recorded, or only the samples changed, run this test with FOLDHOUSE_GOLDEN=update",
        .file.display(), .schema_version.saturating_add(1)
    )]
    ShapeChanged {
        /// The event type.
        event_type: String,
        /// Its schema version, then and now.
        schema_version: u16,
        /// The golden file.
        file: PathBuf,
        /// What is there more and less, line by line.
        difference: String,
    },
    /// A stored event cannot be read as one of today.
    #[error(
        "an event of {event_type} that was recorded with schema version {schema_version} cannot be read any more ({}): \
         {error}",
        .file.display()
    )]
    Unreadable {
        /// The event type.
        event_type: String,
        /// Its schema version.
        schema_version: u16,
        /// The golden file.
        file: PathBuf,
        /// What does not fit.
        error: String,
    },
    /// The stored events lead to another state than they did.
    #[error(
        "the state after {event_type} is another than it was ({}), but STATE_SCHEMA is still {state_schema}:\n{difference}\n  \
         If that is meant, raise STATE_SCHEMA, so that snapshots with the old meaning are not used; \
         or if no snapshot of it was ever kept, run this test with FOLDHOUSE_GOLDEN=update",
        .file.display()
    )]
    StateChanged {
        /// The type of the stored event behind which it differs first.
        event_type: String,
        /// The aggregate's `STATE_SCHEMA`.
        state_schema: u32,
        /// The golden file.
        file: PathBuf,
        /// What is there more and less, line by line.
        difference: String,
    },
    /// `STATE_SCHEMA` is lower than it was: snapshots of a later meaning would be used.
    #[error(
        "STATE_SCHEMA is {state_schema}, and was {before} before ({}); it only ever rises",
        .file.display()
    )]
    StateSchemaWentBack {
        /// What it is.
        state_schema: u32,
        /// What it was.
        before: u32,
        /// The golden file.
        file: PathBuf,
    },
    /// The state cannot be made or written down.
    #[error("the state after the golden events cannot be told: {error}")]
    NoState {
        /// Why not.
        error: String,
    },
    /// A file is not there or not up to date, and may not be written here.
    #[error(
        "{} is {what}; run this test without CI and FOLDHOUSE_GOLDEN=check, and commit what it writes",
        .file.display()
    )]
    NotWritten {
        /// The file.
        file: PathBuf,
        /// What it is: missing, or out of date.
        what: &'static str,
    },
    /// A file is not one of this aggregate's golden files.
    #[error("{} is no golden file of this aggregate: {what}", .file.display())]
    NotGolden {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file cannot be read or written.
    #[error("{} cannot be read or written: {error}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        error: String,
    },
}
