//! Golden files of an aggregate's events, and of the states that they lead to.
//!
//! - this file: what a user's test calls
//! - `samples`: the events of today, one or more of each type
//! - `event_file`, `state_file`: what stands in the files
//! - `rendition`: MessagePack for people, and its shape
//! - `events`, `state`: what is compared
//! - `directory`: which files there are, and who may write them
//! - `problem`: what is wrong

mod directory;
mod event_file;
mod events;
mod problem;
mod rendition;
mod samples;
mod state;
mod state_file;

use std::path::{Path, PathBuf};

pub use self::directory::GoldenMode;
pub use self::problem::{GoldenError, GoldenProblem};

use self::directory::Directory;
pub(super) use self::event_file::Stored;
use crate::aggregate::Aggregate;
use crate::upcasters::Fields;

/// Fails when an aggregate's events or states are not what they were: call it in a test.
///
/// In `directory` (one for each aggregate; relative to the package) it keeps a file for every event type and schema
/// version, with the bytes of the aggregate's [`samples`](Aggregate::samples) and a rendition that can be read. They are
/// written when they are missing: commit them, never edit them. From then on it fails when
///
/// - the shape of an event changed, but not its schema version,
/// - a stored sample of any version, of today or years ago, cannot be read any more,
/// - an event type has no sample, or a version that an upcaster starts from,
/// - the same events lead to another state, but [`STATE_SCHEMA`](Aggregate::STATE_SCHEMA) is the same.
///
/// So a change that would make a journal unreadable fails the build that would have been deployed.
///
/// What it does about missing and outdated files is in [`GoldenMode`]. For samples that are not the aggregate's own, or
/// of versions from before there were golden files, see [`GoldenEvents`].
///
/// ```no_run
/// # use foldhouse::Aggregate;
/// # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
/// # struct Counter(u64);
/// # #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
/// # enum CounterEvent { Added { by: u64 } }
/// impl Aggregate for Counter {
///     # const TYPE: &'static str = "counter";
///     # type Event = CounterEvent;
///     # fn apply(&mut self, CounterEvent::Added { by }: &CounterEvent) { self.0 += by; }
///     // ...
///     fn samples() -> Vec<CounterEvent> {
///         vec![CounterEvent::Added { by: 40 }]
///     }
/// }
///
/// #[test]
/// fn counters_read_what_they_ever_recorded() {
///     foldhouse::testing::golden_events::<Counter>("tests/golden/counter");
/// }
/// ```
///
/// # Panics
/// With everything that is wrong, and what to do about it.
#[track_caller]
pub fn golden_events<A: Aggregate>(directory: impl AsRef<Path>) {
    if let Err(error) = GoldenEvents::<A>::new(directory).check() {
        panic!("{error}");
    }
}

/// [`golden_events`] with choices.
#[derive(Clone, Debug)]
#[must_use]
pub struct GoldenEvents<A: Aggregate> {
    directory: PathBuf,
    mode: GoldenMode,
    samples: Option<Vec<A::Event>>,
    old_samples: Vec<(String, u16, Fields)>,
}

impl<A: Aggregate> GoldenEvents<A> {
    /// Files in `directory`, the aggregate's own samples, the mode of the environment.
    pub fn new(directory: impl AsRef<Path>) -> Self {
        Self {
            directory: directory.as_ref().to_owned(),
            mode: GoldenMode::of_environment(),
            samples: None,
            old_samples: Vec::new(),
        }
    }

    /// What to do about files that are missing or outdated.
    pub fn mode(mut self, mode: GoldenMode) -> Self {
        self.mode = mode;
        self
    }

    /// These events in place of the aggregate's own [`samples`](Aggregate::samples), in an order in which they could happen.
    pub fn samples(mut self, samples: impl IntoIterator<Item = A::Event>) -> Self {
        self.samples = Some(samples.into_iter().collect());
        self
    }

    /// A sample of a version from before there were golden files. It is written down once, if there is none.
    pub fn old_sample(
        mut self,
        event_type: impl Into<String>,
        schema_version: u16,
        fields: &Fields,
    ) -> Self {
        let sample = (event_type.into(), schema_version, fields.clone());
        self.old_samples.push(sample);
        self
    }

    /// Compares, and writes what may be written. Gives the files that it wrote.
    ///
    /// # Errors
    /// [`GoldenError`]: everything that is wrong.
    pub fn check(self) -> Result<Vec<PathBuf>, GoldenError> {
        let mut directory = Directory::open(self.directory, self.mode);
        let own = self.samples.unwrap_or_else(A::samples);
        let today = samples::of_today::<A>(&own, &mut directory);
        let mut old = Vec::new();
        for (event_type, schema_version, fields) in self.old_samples {
            match fields.into_payload() {
                Ok(payload) => old.push(Stored {
                    event_type,
                    schema_version,
                    payload: payload.to_vec(),
                }),
                Err(error) => directory.problem(GoldenProblem::Unwritable {
                    event_type,
                    error: error.to_string(),
                }),
            }
        }
        let golden = events::check::<A>(&today, old, &mut directory);
        state::check::<A>(&today, &golden, &mut directory);
        directory.finish(A::TYPE)
    }
}

#[cfg(test)]
mod tests;
