//! What the tests of all tables share, and the tests of opening and of crashes.

mod blobs;
mod crash;
mod disk;
mod opening;

use std::path::Path;

use super::*;
use crate::stream_id::StreamId;

pub(super) const STORE: [u8; 16] = [7; 16];
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

pub(super) fn try_open(directory: &Path) -> Result<(Sidecar, OpenOutcome), Fault> {
    Sidecar::open(directory, STORE, CACHE_BYTES)
}

/// Opens what must be usable.
pub(super) fn open(directory: &Path) -> Sidecar {
    let (sidecar, outcome) = try_open(directory).unwrap();
    assert!(
        matches!(outcome, OpenOutcome::Opened | OpenOutcome::Created),
        "{outcome:?}"
    );
    sidecar
}

pub(super) fn stream(id: impl std::fmt::Display) -> StreamId {
    StreamId::new("acme", "gl-account", &id.to_string()).unwrap()
}

pub(super) fn version(number: u64) -> Version {
    Version::new(number)
}

/// How many files the engine has put beside its own.
pub(super) fn blobs(directory: &Path) -> usize {
    std::fs::read_dir(directory.join("index/blobs"))
        .unwrap()
        .count()
}

/// What one segment holds.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) mark: SegmentMark,
    pub(super) frames: Vec<FramePlace>,
    pub(super) streams: Vec<(StreamId, Version, Vec<EventPlace>)>,
}

impl Segment {
    /// A segment in which the streams take turns until each has its count of events.
    pub(super) fn new(
        number: u64,
        first_position: u64,
        streams: &[(StreamId, Version, usize)],
    ) -> Self {
        Self::with_events_of(137, number, first_position, streams)
    }

    /// The same, each event taking so many bytes.
    pub(super) fn with_events_of(
        event_bytes: u32,
        number: u64,
        first_position: u64,
        streams: &[(StreamId, Version, usize)],
    ) -> Self {
        let mut filled: Vec<(StreamId, Version, Vec<EventPlace>)> = streams
            .iter()
            .map(|(stream, first, _)| (stream.clone(), *first, Vec::new()))
            .collect();
        let rounds = streams.iter().map(|(.., count)| *count).max().unwrap_or(0);
        let mut next = 0_u32;
        for round in 0..rounds {
            for ((.., places), (.., count)) in filled.iter_mut().zip(streams) {
                if round < *count {
                    places.push(EventPlace {
                        position_in_segment: next,
                        offset: 64 + next * event_bytes,
                    });
                    next += 1;
                }
            }
        }
        let frames = (0..next)
            .step_by(40)
            .map(|at| FramePlace {
                first_position: Position::new(first_position + u64::from(at)),
                offset: 64 + at * event_bytes,
            })
            .collect();
        Self {
            mark: SegmentMark {
                number,
                first_position: Position::new(first_position),
                last_position: Position::new(first_position + u64::from(next.max(1)) - 1),
                length_bytes: 64 + u64::from(next) * u64::from(event_bytes),
                last_frame_hash: *blake3::hash(&number.to_le_bytes()).as_bytes(),
            },
            frames,
            streams: filled,
        }
    }

    pub(super) fn index(&self, sidecar: &Sidecar) -> Result<(), Fault> {
        sidecar.index_segment(
            &self.mark,
            &self.frames,
            &mut self
                .streams
                .iter()
                .map(|(stream, first, places)| (stream, *first, places.as_slice())),
            &[],
        )
    }

    /// The places of one stream in it.
    pub(super) fn places_of(&self, stream: &StreamId) -> Vec<Place> {
        let mut found = Vec::new();
        for (id, first, places) in &self.streams {
            if id == stream {
                found.extend((first.get()..).zip(places).map(|(version, place)| Place {
                    segment: self.mark.number,
                    version: Version::new(version),
                    position: Position::new(
                        self.mark.first_position.get() + u64::from(place.position_in_segment),
                    ),
                    offset: place.offset,
                }));
            }
        }
        found
    }
}

#[test]
fn all_threads_share_one_sidecar() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Sidecar>();
}
