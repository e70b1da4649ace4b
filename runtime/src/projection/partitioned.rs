//! A projection in parts that are applied at the same time.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{BoxFuture, Position, StreamId};

use super::control::{AnyProjection, Control};
use super::error::{ProjectError, WaitError};
use super::progress::{Progress, State};
use super::reference::ProjectionRef;
use super::slot::Partition;
use super::start::{Registration, prepare};
use super::{Projection, TableOf};
use crate::shared::Shared;

/// The most parts that a projection can have; each has a thread.
pub const PARTITIONS_MAX: u32 = 64;

/// A handle on a projection in parts. Each part has the events of its own streams, in their order, a table of its own, and
/// its checkpoint with it; so a key that streams of several parts make rows for has a row in each of them.
///
/// The parts advance each for itself. What is read over all of them shows every event up to [`PartitionedRef::position`],
/// and some behind it.
///
/// ```
/// # use foldhouse::*;
/// # struct EventsByUser;
/// # impl Projection for EventsByUser {
/// #     const NAME: &'static str = "events-by-user";
/// #     type Key = String;
/// #     type Row = u64;
/// #     fn apply(&self, event: &RecordedEvent, table: &mut Table<String, u64>) -> Result<(), ProjectionError> {
/// #         if let Some(user) = event.user.as_deref() { table.update(user, |events| *events += 1); }
/// #         Ok(())
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder(std::sync::Arc::new(MemoryStore::new())).start().await?;
/// let by_user = runtime.project_partitioned(EventsByUser, 4).await?;
/// let of_kim: u64 = by_user.rows("kim").into_iter().sum();
/// # assert_eq!(of_kim, 0);
/// # Ok(())
/// # }
/// ```
pub struct PartitionedRef<P: Projection> {
    parts: Arc<[ProjectionRef<P>]>,
}

pub(crate) async fn start_partitioned<P: Projection>(
    shared: &Arc<Shared>,
    projection: P,
    count: u32,
) -> Result<PartitionedRef<P>, ProjectError> {
    let name = P::NAME;
    if !(1..=PARTITIONS_MAX).contains(&count) {
        return Err(ProjectError::Partitions {
            name,
            partitions: count,
        });
    }
    let registration = Registration::reserve(shared, name)?;
    let projection = Arc::new(projection);
    let mut parts = Vec::new();
    for index in 0..count {
        let partition = Some(Partition { index, count });
        parts.push(prepare(shared, Arc::clone(&projection), partition).await?);
    }
    let controls = parts.iter().map(|part| Arc::clone(&part.live.control));
    let group = Arc::new(Group(controls.collect()));
    registration.register(Arc::clone(&group) as Arc<dyn AnyProjection>)?;
    // If one does not start, none goes on.
    let unstarted = StopOnDrop(Some(group));
    let mut started = Vec::new();
    for part in parts {
        started.push(ProjectionRef::new(
            Arc::clone(&part.live),
            shared,
            part.partition(),
        ));
        part.start(shared, Arc::clone(&registration)).await?;
    }
    unstarted.all_started();
    Ok(PartitionedRef {
        parts: started.into(),
    })
}

impl<P: Projection> PartitionedRef<P> {
    /// The parts, each to be read, looked at and told what to do for itself.
    #[must_use]
    pub fn parts(&self) -> &[ProjectionRef<P>] {
        &self.parts
    }

    /// The part that has the events of a stream.
    #[must_use]
    pub fn part_of(&self, stream: &StreamId) -> Option<&ProjectionRef<P>> {
        let count = u32::try_from(self.parts.len()).ok()?;
        let has = |index: &u32| {
            Partition {
                index: *index,
                count,
            }
            .has(stream)
        };
        let index = (0..count).find(has)?;
        self.parts.get(usize::try_from(index).ok()?)
    }

    /// Copies of the rows of a key, one of each part that has one.
    pub fn rows<Q>(&self, key: &Q) -> Vec<P::Row>
    where
        P::Key: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.parts.iter().filter_map(|part| part.get(key)).collect()
    }

    /// Reads the tables of all parts at one moment. They wait meanwhile, so `read` should be quick.
    pub fn read<R>(&self, read: impl FnOnce(&[&TableOf<P>]) -> R) -> R {
        let rows: Vec<_> = self.parts.iter().map(ProjectionRef::lock).collect();
        let tables: Vec<_> = rows.iter().map(|rows| &rows.table).collect();
        read(&tables)
    }

    /// Up to where the rows of all parts show the events.
    #[must_use]
    pub fn position(&self) -> Position {
        let positions = self.parts.iter().map(ProjectionRef::position);
        positions.min().unwrap_or_default()
    }

    /// Waits until the rows of all parts show everything up to `position`.
    ///
    /// # Errors
    /// The [`WaitError`] of the first part that does not come there within `timeout`.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> Result<(), WaitError> {
        let end = tokio::time::Instant::now() + timeout;
        for part in &*self.parts {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            part.wait_for(position, left).await?;
        }
        Ok(())
    }
}

impl<P: Projection> Clone for PartitionedRef<P> {
    fn clone(&self) -> Self {
        Self {
            parts: Arc::clone(&self.parts),
        }
    }
}

impl<P: Projection> std::fmt::Debug for PartitionedRef<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.parts.iter()).finish()
    }
}

/// All parts, for the runtime's end.
struct Group(Vec<Arc<Control>>);

impl AnyProjection for Group {
    fn stop(&self) {
        self.0.iter().for_each(|part| part.stop());
    }

    fn finish(&self, head: Position) {
        self.0.iter().for_each(|part| part.finish(head));
    }

    /// That of the part that is furthest behind; if one is parked, that is told.
    fn progress(&self) -> Progress {
        let parts = self.0.iter().map(|part| part.progress());
        let whole = parts.reduce(|one, other| Progress {
            position: one.position.min(other.position),
            state: match (one.state, other.state) {
                (parked @ State::Parked(_), _) => parked,
                (_, other) => other,
            },
            ended: one.ended && other.ended,
        });
        whole.unwrap_or(Progress {
            position: Position::BEFORE_FIRST,
            state: State::Live,
            ended: true,
        })
    }

    fn until_ended(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            for part in &self.0 {
                part.until_ended().await;
            }
        })
    }
}

struct StopOnDrop(Option<Arc<Group>>);

impl StopOnDrop {
    fn all_started(mut self) {
        self.0 = None;
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(group) = &self.0 {
            group.stop();
        }
    }
}
