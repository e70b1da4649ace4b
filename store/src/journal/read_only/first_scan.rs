//! Indexing all sealed segments of a journal at once: each can be checked by itself, since its header says what it
//! follows and the next one's what it ends with.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::error::OpenError;
use crate::journal::disk::Disk;
use crate::journal::live_index::LiveSegment;
use crate::journal::recovery::io_error;
use crate::journal::reindex::scan_sealed;
use crate::journal::segment::SegmentHeader;

/// With two, one reads while the other computes; each takes the memory of a few MiB.
const THREADS: usize = 2;

/// The index of each segment but the last, in order.
pub(super) fn scan_sealed_segments(
    disk: &Arc<dyn Disk>,
    headers: &[SegmentHeader],
) -> Result<Vec<Arc<LiveSegment>>, OpenError> {
    let sealed: Vec<_> = headers.iter().zip(headers.iter().skip(1)).collect();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Ok(Vec::with_capacity(sealed.len())));
    let work = || {
        while let Some((header, after)) = sealed.get(next.fetch_add(1, Ordering::Relaxed)) {
            let scanned = scan(disk, header, after);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *found, scanned) {
                (Ok(segments), Ok(segment)) => segments.push(segment),
                (Ok(_), Err(error)) => *found = Err((header.number, error)),
                // The damage that comes first is told, whichever thread comes upon it first.
                (Err((number, _)), Err(error)) if header.number < *number => {
                    *found = Err((header.number, error));
                }
                (Err(_), _) => return,
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..THREADS.min(sealed.len()) {
            scope.spawn(work);
        }
        work();
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut segments = found.map_err(|(_, error)| error)?;
    segments.sort_unstable_by_key(|segment| segment.number);
    Ok(segments)
}

fn scan(
    disk: &Arc<dyn Disk>,
    header: &SegmentHeader,
    next: &SegmentHeader,
) -> Result<Arc<LiveSegment>, OpenError> {
    let segment = LiveSegment::new(header.number, header.first_position);
    let file = disk
        .open_reader(&header.file_name())
        .map_err(io_error("opening a segment"))?;
    scan_sealed(file, header, next, &segment, |_| ())?;
    segment.shrink();
    Ok(Arc::new(segment))
}
