use std::collections::BTreeMap;
use std::sync::Arc;

use foldhouse_store::{
    Change, Checkpoint, Fault, Position, ReadError, RecordedEvent, Row, Store, StreamId,
    StreamQuery, Timestamp, Version,
};

use super::entry::{BY_TIME, Entry, META, before, name_key, names_prefix, read_place, time_key};
use super::record::{Cancelled, Fired, Scheduled, TIMERS_STREAM, TimerEvent};

/// The name of its read model in the store.
const NAME: &str = "~timers";
/// The version of its rows; with another one it is made anew.
const MODEL_VERSION: u32 = 1;
/// So many events are taken in by one commit.
const PAGE_EVENTS: usize = 500;

/// The pending timers, in the order in which they are tried: a read model over the stream of timers. Never the truth; made
/// anew if it is missing.
pub(super) struct Index {
    store: Arc<dyn Store>,
    /// How far it has come, if that was looked up.
    progress: Option<Progress>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// The last event of the stream that it shows.
    version: Version,
    position: Position,
    pending: u64,
}

/// Changes on their way into one commit, by key, over the rows that are there.
#[derive(Default)]
struct Overlay {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Overlay {
    fn put(&mut self, change: Change) {
        self.rows.insert(change.key, change.value);
    }

    fn put_all(&mut self, changes: [Change; 2]) {
        for change in changes {
            self.put(change);
        }
    }

    fn remove(&mut self, key: Vec<u8>) {
        self.rows.insert(key, None);
    }

    fn into_changes(self) -> Vec<Change> {
        let rows = self.rows.into_iter();
        rows.map(|(key, value)| Change { key, value }).collect()
    }
}

impl Index {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            progress: None,
        }
    }

    /// How many timers were pending when it was last looked.
    pub(super) fn pending(&self) -> u64 {
        self.progress.map_or(0, |progress| progress.pending)
    }

    /// Forgets all rows; they are made anew by the next look.
    pub(super) async fn reset(&mut self) -> Result<(), ReadError> {
        self.progress = None;
        self.store.reset(NAME).await
    }

    /// Takes in what was recorded since the last look, at least up to `until`. No further than it has to, or whoever goes on
    /// scheduling could keep it from ever coming to an end.
    pub(super) async fn catch_up(&mut self, until: Position) -> Result<(), ReadError> {
        let mut progress = match self.progress {
            Some(progress) => progress,
            None => self.load().await?,
        };
        loop {
            let from = progress.version.next();
            let query = StreamQuery::since(TIMERS_STREAM.clone(), from, PAGE_EVENTS);
            let page = self.store.read_stream(query).await?;
            if !page.events.is_empty() {
                progress = self.take_in(progress, &page.events).await?;
            }
            self.progress = Some(progress);
            if page.next.is_none() || progress.position >= until {
                return Ok(());
            }
        }
    }

    async fn load(&mut self) -> Result<Progress, ReadError> {
        let checkpoint = self.store.checkpoint(NAME).await?;
        let Some(checkpoint) = checkpoint else {
            return Ok(Progress::default());
        };
        let rows = self.store.rows(NAME, None, 1).await?;
        let meta = rows.first().filter(|(key, _)| key == META);
        let meta = meta.and_then(|(_, value)| read_meta(value));
        match meta.filter(|_| checkpoint.model_version == MODEL_VERSION) {
            Some((version, pending)) => Ok(Progress {
                version,
                position: checkpoint.position,
                pending,
            }),
            None => {
                tracing::warn!("the index of pending timers is of another shape; it is made anew");
                self.store.reset(NAME).await?;
                Ok(Progress::default())
            }
        }
    }

    async fn take_in(
        &self,
        mut progress: Progress,
        events: &[RecordedEvent],
    ) -> Result<Progress, ReadError> {
        let mut overlay = Overlay::default();
        for event in events {
            match TimerEvent::read(event) {
                Ok(TimerEvent::TimerScheduled(scheduled)) => {
                    let replaced = self.scheduled(&mut overlay, event, scheduled).await?;
                    progress.pending += u64::from(!replaced);
                }
                Ok(TimerEvent::TimerCancelled(Cancelled { stream, name })) => {
                    let was_there = self.remove(&mut overlay, &stream, &name, None).await?;
                    progress.pending = progress.pending.saturating_sub(was_there.into());
                }
                Ok(TimerEvent::TimerFired(Fired {
                    stream,
                    name,
                    timer,
                    ..
                })) => {
                    let was_there = self
                        .remove(&mut overlay, &stream, &name, Some(timer))
                        .await?;
                    progress.pending = progress.pending.saturating_sub(was_there.into());
                }
                // Of a later build; that one will make it up when it is back.
                Err(error) => {
                    tracing::error!(version = %event.version, %error, "a record of timers cannot be read");
                }
            }
            progress.version = event.version;
            progress.position = event.position;
        }
        self.commit(progress, overlay).await?;
        Ok(progress)
    }

    /// True if it replaces one of its name.
    async fn scheduled(
        &self,
        overlay: &mut Overlay,
        event: &RecordedEvent,
        scheduled: Scheduled,
    ) -> Result<bool, ReadError> {
        let Scheduled {
            stream,
            name,
            at,
            command,
            ..
        } = scheduled;
        let replaced = self.remove(overlay, &stream, &name, None).await?;
        let entry = Entry {
            number: event.version,
            try_at: at,
            id: event.id,
            stream,
            name,
            due: at,
            command,
            failures: 0,
            error: None,
        };
        overlay.put_all(entry.rows().map_err(io)?);
        Ok(replaced)
    }

    /// Removes what is pending under a name, if it is `only` this one. True if it was there.
    async fn remove(
        &self,
        overlay: &mut Overlay,
        stream: &StreamId,
        name: &str,
        only: Option<uuid::Uuid>,
    ) -> Result<bool, ReadError> {
        let name_key = name_key(stream, name);
        let Some((at, number)) = self.place(overlay, &name_key).await? else {
            return Ok(false);
        };
        if let Some(only) = only {
            let entry = self.entry(overlay, at, number).await?;
            if entry.is_some_and(|entry| entry.id != only) {
                return Ok(false);
            }
        }
        overlay.remove(time_key(at, number));
        overlay.remove(name_key);
        Ok(true)
    }

    async fn place(
        &self,
        overlay: &Overlay,
        name_key: &[u8],
    ) -> Result<Option<(Timestamp, Version)>, ReadError> {
        let value = self.row(overlay, name_key, &before(name_key)).await?;
        Ok(value.and_then(|value| read_place(&value)))
    }

    /// One row; `before` is the greatest key before its own that any row can have, or greater.
    async fn row(
        &self,
        overlay: &Overlay,
        key: &[u8],
        before: &[u8],
    ) -> Result<Option<Vec<u8>>, ReadError> {
        if let Some(changed) = overlay.rows.get(key) {
            return Ok(changed.clone());
        }
        let rows = self.store.rows(NAME, Some(before), 1).await?;
        let found = rows.into_iter().find(|(found, _)| found == key);
        Ok(found.map(|(_, value)| value))
    }

    async fn entry(
        &self,
        overlay: &Overlay,
        at: Timestamp,
        number: Version,
    ) -> Result<Option<Entry>, ReadError> {
        let key = time_key(at, number);
        let before = time_key(at, Version::new(number.get().saturating_sub(1)));
        let value = self.row(overlay, &key, &before).await?;
        Ok(value.and_then(|value| Entry::read(&key, &value)))
    }

    async fn commit(&self, progress: Progress, mut overlay: Overlay) -> Result<(), ReadError> {
        let mut meta = progress.version.get().to_be_bytes().to_vec();
        meta.extend(progress.pending.to_be_bytes());
        overlay.put(Change {
            key: META.to_vec(),
            value: Some(meta),
        });
        let checkpoint = Checkpoint {
            position: progress.position,
            model_version: MODEL_VERSION,
        };
        let changes = overlay.into_changes();
        self.store.commit(NAME, checkpoint, changes).await
    }

    /// The first timers behind `after`, up to `limit`, in the order in which they are tried.
    pub(super) async fn front(
        &self,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, ReadError> {
        let rows = self
            .store
            .rows(NAME, Some(after.unwrap_or(&[BY_TIME])), limit)
            .await?;
        rows.iter()
            .take_while(|(key, _)| key.first() == Some(&BY_TIME))
            .map(|(key, value)| Entry::read(key, value).ok_or_else(unreadable))
            .collect()
    }

    /// The pending timers of one aggregate in the order of their names, up to `limit`.
    pub(super) async fn of(
        &self,
        stream: &StreamId,
        limit: usize,
    ) -> Result<Vec<Entry>, ReadError> {
        let prefix = names_prefix(stream);
        let rows: Vec<Row> = self.store.rows(NAME, Some(&prefix), limit).await?;
        let mut entries = Vec::new();
        for (key, value) in rows {
            if !key.starts_with(&prefix) {
                break;
            }
            let (at, number) = read_place(&value).ok_or_else(unreadable)?;
            let entry = self.entry(&Overlay::default(), at, number).await?;
            entries.push(entry.ok_or_else(unreadable)?);
        }
        Ok(entries)
    }

    /// Puts a timer that has failed off. Only the index knows of that: made anew, it tries it at once.
    pub(super) async fn put_off(&self, from: &Entry, to: &Entry) -> Result<(), ReadError> {
        let Some(progress) = self.progress else {
            return Ok(());
        };
        let mut overlay = Overlay::default();
        // It may have gone meanwhile.
        let place = self
            .place(&overlay, &name_key(&from.stream, &from.name))
            .await?;
        if place != Some((from.try_at, from.number)) {
            return Ok(());
        }
        overlay.remove(time_key(from.try_at, from.number));
        overlay.put_all(to.rows().map_err(io)?);
        self.commit(progress, overlay).await
    }

    /// What scheduled a timer.
    pub(super) async fn scheduled_by(
        &self,
        number: Version,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        let query = StreamQuery::since(TIMERS_STREAM.clone(), number, 1);
        let page = self.store.read_stream(query).await?;
        Ok(page.events.into_iter().next())
    }
}

fn read_meta(value: &[u8]) -> Option<(Version, u64)> {
    let (version, pending) = value.split_first_chunk::<8>()?;
    let pending = u64::from_be_bytes(pending.try_into().ok()?);
    Some((Version::new(u64::from_be_bytes(*version)), pending))
}

fn io(error: String) -> ReadError {
    ReadError::Io(Fault::new(error))
}

fn unreadable() -> ReadError {
    io("a row of the index of pending timers cannot be read".to_owned())
}
