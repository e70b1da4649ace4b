//! Stores that are wrong in ways that only a power cut shows, and one that is right.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::campaign::{Checked, Subject};
use super::volume::Volume;

const EVENTS: u64 = 200;

/// A promise of one of these: the event with this number, which says everything else about it.
#[derive(Debug)]
pub(super) struct Promise {
    number: u64,
    step: usize,
}

/// The bytes of an event.
fn event(number: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(number);
    let mut bytes = vec![0; random.random_range(100..2_000)];
    random.fill(&mut bytes[..]);
    bytes
}

fn missing(
    promises: &[Promise],
    cut_at: usize,
    found: &HashMap<u64, Vec<u8>>,
) -> Result<Checked, String> {
    let promised = promises.iter().filter(|promise| promise.step < cut_at);
    let mut checked = Checked::default();
    for promise in promised {
        if found.get(&promise.number) != Some(&event(promise.number)) {
            return Err(format!(
                "event {} was acked and is not there",
                promise.number
            ));
        }
        checked.acked_events += 1;
    }
    Ok(checked)
}

/// When the log makes an event durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syncs {
    BeforeTheAck,
    /// It answers fast, and syncs a little later.
    AfterTheAck,
}

/// A file of numbered events, each with its length before it.
pub(super) struct PlainLog(pub(super) Syncs);

impl PlainLog {
    fn path(directory: &Path) -> PathBuf {
        directory.join("log")
    }

    fn open(directory: &Path) -> File {
        let path = Self::path(directory);
        let options = OpenOptions::new().create(true).append(true).open(path);
        let file = options.expect("nothing is wrong");
        file.sync_all().expect("nothing is wrong");
        let names = File::open(directory).and_then(|directory| directory.sync_all());
        names.expect("nothing is wrong");
        file
    }

    /// The events that are there, up to the first that is not whole.
    fn read(directory: &Path) -> HashMap<u64, Vec<u8>> {
        let bytes = std::fs::read(Self::path(directory)).unwrap_or_default();
        let (mut rest, mut found) = (&bytes[..], HashMap::new());
        for number in 0.. {
            let Some((len, more)) = rest.split_first_chunk::<8>() else {
                break;
            };
            let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
            let Some((event, more)) = more.split_at_checked(len).filter(|_| len > 0) else {
                break;
            };
            found.insert(number, event.to_vec());
            rest = more;
        }
        found
    }
}

impl Subject for PlainLog {
    type Witness = Vec<Promise>;

    fn run(&self, directory: &Path, volume: &Volume, _: u64) -> Vec<Promise> {
        let mut file = Self::open(directory);
        let mut promises = Vec::new();
        for number in 0..EVENTS {
            let event = event(number);
            let mut record = (event.len() as u64).to_le_bytes().to_vec();
            record.extend(event);
            file.write_all(&record).expect("nothing is wrong");
            if self.0 == Syncs::BeforeTheAck {
                file.sync_data().expect("nothing is wrong");
            }
            let step = volume.ack();
            promises.push(Promise { number, step });
            if self.0 == Syncs::AfterTheAck && number % 4 == 0 {
                file.sync_data().expect("nothing is wrong");
            }
        }
        promises
    }

    fn recover(&self, directory: &Path) {
        drop(Self::open(directory));
    }

    fn check(
        &self,
        directory: &Path,
        witness: &Self::Witness,
        cut_at: usize,
    ) -> Result<Checked, String> {
        missing(witness, cut_at, &Self::read(directory))
    }
}

/// Events in sled, acked when its `flush` has returned.
pub(super) struct SledAlone;

impl SledAlone {
    fn open(directory: &Path) -> sled::Result<sled::Db> {
        let config = sled::Config::new().path(directory.join("sled"));
        config.flush_every_ms(None).open()
    }
}

impl Subject for SledAlone {
    type Witness = Vec<Promise>;

    fn run(&self, directory: &Path, volume: &Volume, _: u64) -> Vec<Promise> {
        let database = Self::open(directory).expect("nothing is wrong");
        let mut promises = Vec::new();
        for number in 0..EVENTS {
            let inserted = database.insert(number.to_be_bytes(), event(number));
            inserted.expect("nothing is wrong");
            database.flush().expect("nothing is wrong");
            let step = volume.ack();
            promises.push(Promise { number, step });
        }
        promises
    }

    fn recover(&self, directory: &Path) {
        drop(Self::open(directory));
    }

    fn check(
        &self,
        directory: &Path,
        witness: &Self::Witness,
        cut_at: usize,
    ) -> Result<Checked, String> {
        let database =
            Self::open(directory).map_err(|error| format!("it does not open: {error}"))?;
        let mut found = HashMap::new();
        for entry in database.iter() {
            let (key, value) = entry.map_err(|error| format!("reading: {error}"))?;
            let number = key.as_ref().try_into().map(u64::from_be_bytes);
            found.insert(
                number.map_err(|_| "a key of another length")?,
                value.to_vec(),
            );
        }
        missing(witness, cut_at, &found)
    }
}
