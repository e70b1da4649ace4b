use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhouse_store::{
    Change, Checkpoint, Fault, Position, ReadError, RecordedEvent, Store, StreamId, StreamQuery,
    Version,
};

use super::entry::{Entry, NameKey, Place, id_half};
use super::log::{BEFORE_ROWS, Log, OLD_ROWS};
use super::pending::{Pending, Step};
use super::record::{Cancelled, Fired, TIMERS_STREAM, TimerEvent};

/// The name of its read model in the store.
const NAME: &str = "~timers";
/// The version of its rows; with another one it is made anew.
const MODEL_VERSION: u32 = 2;
/// So many events are read at a time.
const PAGE_EVENTS: usize = 1_000;
/// So many steps are written to the log at a time. Whatever is not there is read from the stream once more at the next start.
const UNSAVED_STEPS_MAX: usize = 4_096;
/// So many rows of the log are read at a time.
const PAGE_ROWS: usize = 16;
/// So many timers are known in full: more than are tried at a time.
const KNOWN_MAX: usize = 2_048;
const META: &[u8] = &[0];

/// The pending timers, in the order in which they are tried: a fold over the stream of timers, whose steps are kept in a log
/// so that a start need not read the whole stream. Never the truth; made anew if it is missing.
pub(super) struct Index {
    store: Arc<dyn Store>,
    /// What is pending, if that was loaded. Taken out while it is being saved: whatever keeps that from coming to its end,
    /// what is in memory never differs from what is kept.
    loaded: Option<Loaded>,
    /// Timers that were tried in vain. Only this process knows of that: the next one tries them at once.
    troubles: BTreeMap<Version, Trouble>,
    known: HashMap<Version, Entry>,
}

#[derive(Default)]
struct Loaded {
    pending: Pending,
    log: Log,
    /// The last event of the stream that is taken in.
    version: Version,
    position: Position,
    unsaved: Vec<Step>,
    /// What the log said of itself when this was loaded or saved last.
    meta: Option<Vec<u8>>,
}

struct Trouble {
    failures: u32,
    error: Option<Arc<str>>,
}

impl Index {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            loaded: None,
            troubles: BTreeMap::new(),
            known: HashMap::new(),
        }
    }

    /// How many timers were pending when it was last looked.
    pub(super) fn pending(&self) -> u64 {
        let loaded = self.loaded.as_ref();
        loaded.map_or(0, |loaded| loaded.pending.len() as u64)
    }

    /// Forgets everything; it is made anew by the next look.
    pub(super) async fn reset(&mut self) -> Result<(), ReadError> {
        *self = Self::new(Arc::clone(&self.store));
        self.store.reset(NAME).await
    }

    /// Takes in what was recorded since the last look, at least up to `until`. No further than it has to, or whoever goes on
    /// scheduling could keep it from ever coming to an end.
    pub(super) async fn catch_up(&mut self, until: Position) -> Result<(), ReadError> {
        if self.loaded.is_none() {
            self.loaded = Some(self.load().await?);
        }
        while let Some(loaded) = &mut self.loaded {
            let from = loaded.version.next();
            let query = StreamQuery::since(TIMERS_STREAM.clone(), from, PAGE_EVENTS);
            let page = self.store.read_stream(query).await?;
            for event in &page.events {
                if let Some(gone) = loaded.take_in(event) {
                    self.troubles.remove(&gone);
                    self.known.remove(&gone);
                }
            }
            let is_done = page.next.is_none() || loaded.position >= until;
            self.save().await?;
            if is_done {
                break;
            }
        }
        Ok(())
    }

    async fn load(&self) -> Result<Loaded, ReadError> {
        let Some(checkpoint) = self.store.checkpoint(NAME).await? else {
            return Ok(Loaded::default());
        };
        if checkpoint.model_version == MODEL_VERSION
            && let Some(loaded) = self.load_log(checkpoint.position).await?
        {
            return Ok(loaded);
        }
        tracing::warn!("the index of pending timers is of another shape; it is made anew");
        self.store.reset(NAME).await?;
        Ok(Loaded::default())
    }

    /// What the log comes to; `None` if it cannot be read.
    async fn load_log(&self, position: Position) -> Result<Option<Loaded>, ReadError> {
        let meta = self.meta().await?;
        let Some((version, pending)) = meta.as_deref().and_then(read_meta) else {
            return Ok(None);
        };
        let mut loaded = Loaded {
            version,
            position,
            meta,
            ..Loaded::default()
        };
        let mut after = BEFORE_ROWS.to_vec();
        loop {
            let rows = self.store.rows(NAME, Some(&after), PAGE_ROWS).await?;
            for (key, value) in &rows {
                let Some(steps) = loaded.log.read(key, value) else {
                    return Ok(None);
                };
                for step in steps {
                    loaded.pending.take(step);
                }
            }
            match rows.into_iter().next_back() {
                Some((last, _)) => after = last,
                None => break,
            }
        }
        Ok(Some(loaded).filter(|loaded| loaded.pending.len() as u64 == pending))
    }

    async fn meta(&self) -> Result<Option<Vec<u8>>, ReadError> {
        let rows = self.store.rows(NAME, None, 1).await?;
        let meta = rows.into_iter().find(|(key, _)| key == META);
        Ok(meta.map(|(_, value)| value))
    }

    /// Writes what is not yet in the log, if that is much, and goes through its oldest rows if it has waste.
    async fn save(&mut self) -> Result<(), ReadError> {
        let Some(mut loaded) = self.loaded.take() else {
            return Ok(());
        };
        if loaded.unsaved.len() >= UNSAVED_STEPS_MAX {
            if self.meta().await? != loaded.meta {
                // Another runtime over this store keeps a log of its own in the same place.
                self.store.reset(NAME).await?;
                loaded.log = Log::default();
                loaded.unsaved = loaded.pending.steps();
            }
            let mut changes = Vec::new();
            let mut steps = std::mem::take(&mut loaded.unsaved);
            if loaded.log.has_waste(loaded.pending.len()) {
                let old = self.store.rows(NAME, Some(BEFORE_ROWS), OLD_ROWS).await?;
                for (key, value) in old {
                    let kept = Log::default().read(&key, &value).ok_or_else(unreadable)?;
                    steps.extend(kept.into_iter().filter(|step| loaded.pending.shows(*step)));
                    changes.push(loaded.log.forget(key));
                }
            }
            changes.extend(loaded.log.append(&steps));
            let meta = write_meta(loaded.version, loaded.pending.len() as u64);
            changes.push(Change {
                key: META.to_vec(),
                value: Some(meta.clone()),
            });
            let checkpoint = Checkpoint {
                position: loaded.position,
                model_version: MODEL_VERSION,
            };
            self.store.commit(NAME, checkpoint, changes).await?;
            loaded.meta = Some(meta);
        }
        self.loaded = Some(loaded);
        Ok(())
    }

    /// The first places behind `after`, up to `limit`, in the order in which timers are tried.
    pub(super) fn front(&self, after: Option<Place>, limit: usize) -> Vec<Place> {
        let loaded = self.loaded.as_ref();
        loaded.map_or_else(Vec::new, |loaded| loaded.pending.front(after, limit))
    }

    /// The places of one aggregate's timers in the order in which they are tried, up to `limit`.
    pub(super) fn of(&self, stream: &StreamId, limit: usize) -> Vec<Place> {
        let loaded = self.loaded.as_ref();
        loaded.map_or_else(Vec::new, |loaded| loaded.pending.of(stream, limit))
    }

    /// What stands at a place.
    pub(super) async fn entry(&mut self, place: Place) -> Result<Entry, ReadError> {
        let known = match self.known.get(&place.number) {
            Some(known) => known.clone(),
            None => {
                let read = self.read(place.number).await?;
                if self.known.len() >= KNOWN_MAX {
                    self.known.clear();
                }
                self.known.insert(place.number, read.clone());
                read
            }
        };
        let trouble = self.troubles.get(&place.number);
        Ok(Entry {
            try_at: place.try_at,
            failures: trouble.map_or(0, |trouble| trouble.failures),
            error: trouble.and_then(|trouble| trouble.error.clone()),
            ..known
        })
    }

    async fn read(&self, number: Version) -> Result<Entry, ReadError> {
        let event = self.scheduled_by(number).await?.ok_or_else(unreadable)?;
        match TimerEvent::read(&event) {
            Ok(TimerEvent::TimerScheduled(scheduled)) => Ok(Entry::of(&event, scheduled)),
            Ok(_) | Err(_) => Err(unreadable()),
        }
    }

    /// Puts a timer that has failed off.
    pub(super) fn put_off(&mut self, from: &Entry, to: &Entry) {
        let Some(loaded) = &mut self.loaded else {
            return;
        };
        let key = NameKey::new(&from.stream, &from.name);
        // It may have gone meanwhile.
        if loaded.pending.put_off(key, from.place(), to.try_at) {
            let trouble = Trouble {
                failures: to.failures,
                error: to.error.clone(),
            };
            self.troubles.insert(from.number, trouble);
        }
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

impl Loaded {
    /// Takes in one record. Gives the number of the timer that is not pending any more because of it.
    fn take_in(&mut self, event: &RecordedEvent) -> Option<Version> {
        self.version = event.version;
        self.position = event.position;
        let step = match TimerEvent::read(event) {
            Ok(TimerEvent::TimerScheduled(scheduled)) => Some(Step::Add {
                key: NameKey::new(&scheduled.stream, &scheduled.name),
                due: scheduled.at,
                number: event.version,
                id_half: id_half(event.id),
            }),
            Ok(TimerEvent::TimerCancelled(Cancelled { stream, name })) => {
                self.removal(NameKey::new(&stream, &name), None)
            }
            Ok(TimerEvent::TimerFired(Fired {
                stream,
                name,
                timer,
                ..
            })) => self.removal(NameKey::new(&stream, &name), Some(id_half(timer))),
            // Of a later build; that one will make it up when it is back.
            Err(error) => {
                tracing::error!(version = %event.version, %error, "a record of timers cannot be read");
                None
            }
        }?;
        self.unsaved.push(step);
        self.pending.take(step)
    }

    fn removal(&self, key: NameKey, id_half: Option<u64>) -> Option<Step> {
        let is_there = self.pending.has(key, id_half);
        is_there.then_some(Step::Remove { key })
    }
}

fn write_meta(version: Version, pending: u64) -> Vec<u8> {
    let mut meta = version.get().to_be_bytes().to_vec();
    meta.extend(pending.to_be_bytes());
    meta
}

fn read_meta(value: &[u8]) -> Option<(Version, u64)> {
    let (version, pending) = value.split_first_chunk::<8>()?;
    let pending = u64::from_be_bytes(pending.try_into().ok()?);
    Some((Version::new(u64::from_be_bytes(*version)), pending))
}

fn unreadable() -> ReadError {
    let what = "a row of the index of pending timers cannot be read";
    ReadError::Io(Fault::new(what.to_owned()))
}
