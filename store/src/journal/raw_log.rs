use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::journal::block_buffer::BlockBuffer;
use crate::journal::disk::{Disk, FsDisk};
use crate::journal::frame_log::FrameSize;

const FILE_NAME: &str = "raw-log";
const FILE_BYTES_MIN: u64 = 16 << 20;
const FILE_BYTES_MAX: u64 = 256 << 20;

/// What the disk alone takes for frames of given sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawLogLimit {
    /// How many frames were written.
    pub frames: u64,
    /// How many events these frames stood for.
    pub events: u64,
    /// How long that took.
    pub duration: Duration,
}

impl RawLogLimit {
    /// The most events a second that this disk makes durable in such frames, whatever software does it.
    #[must_use]
    pub fn events_per_second(&self) -> f64 {
        per_second(self.events, self.duration)
    }

    /// The most frames a second.
    #[must_use]
    pub fn frames_per_second(&self) -> f64 {
        per_second(self.frames, self.duration)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a rate for people to read")]
fn per_second(count: u64, duration: Duration) -> f64 {
    count as f64 / duration.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// Measures the limit that a journal on this disk can reach: writes frames of the sizes in `frames`, over and over
/// until `at_least` has passed, one after the other, each durable, into a zero-filled file of its own in `directory`
/// (removed afterwards), with the fastest kind of write that the journal knows. Nothing is hashed, encoded or copied.
///
/// # Errors
/// What the file system says.
pub fn raw_log_limit(
    directory: impl AsRef<Path>,
    frames: &[FrameSize],
    at_least: Duration,
) -> io::Result<RawLogLimit> {
    let disk = FsDisk::open(directory.as_ref())?;
    let sizes: Vec<_> = frames
        .iter()
        .map(|size| (size.disk_bytes(), u64::from(size.events)))
        .collect();
    let largest = sizes
        .iter()
        .map(|(bytes, _)| *bytes)
        .max()
        .unwrap_or_default();
    if largest == 0 {
        return Ok(RawLogLimit {
            frames: 0,
            events: 0,
            duration: Duration::ZERO,
        });
    }
    // As much as the frames take together, as far as that is neither next to nothing nor a burden on the disk.
    let together = sizes.iter().map(|(bytes, _)| *bytes as u64).sum::<u64>();
    let file_bytes = together
        .clamp(FILE_BYTES_MIN, FILE_BYTES_MAX)
        .max(largest as u64);
    disk.create_zeroed(FILE_NAME, file_bytes)?;
    let measured = write_frames(&disk, &sizes, largest, file_bytes, at_least);
    disk.remove(FILE_NAME)?;
    measured
}

fn write_frames(
    disk: &FsDisk,
    sizes: &[(usize, u64)],
    largest: usize,
    file_bytes: u64,
    at_least: Duration,
) -> io::Result<RawLogLimit> {
    let mut file = disk.open_writer(FILE_NAME)?;
    let mut buffer = BlockBuffer::default();
    let blocks = buffer.of(largest);
    blocks.fill(0x5a);
    let (mut limit, mut offset) = (
        RawLogLimit {
            frames: 0,
            events: 0,
            duration: Duration::ZERO,
        },
        0,
    );
    let start = Instant::now();
    for (bytes, events) in sizes.iter().cycle() {
        if offset + *bytes as u64 > file_bytes {
            offset = 0;
        }
        file.write_durably(offset, blocks.get(..*bytes).unwrap_or_default())?;
        offset += *bytes as u64;
        limit.frames += 1;
        limit.events += events;
        limit.duration = start.elapsed();
        if limit.duration >= at_least {
            break;
        }
    }
    Ok(limit)
}
