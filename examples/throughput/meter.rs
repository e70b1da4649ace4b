use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::{Failure, fail};

/// What a caller allocates is freed by the committing thread: glibc's allocator spends a quarter of all time on that.
#[cfg(all(feature = "mimalloc", not(feature = "count-allocations")))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Counts allocations. It costs some time for each, so it is built in only where that is asked for.
#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// What the process uses up from a moment on.
#[derive(Debug)]
pub(crate) struct Meter {
    start: Instant,
    cpu: Duration,
    allocations: Option<u64>,
}

/// What it has used up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metered {
    pub(crate) wall: Duration,
    /// User and system time of all threads.
    pub(crate) cpu: Duration,
    pub(crate) allocations: Option<u64>,
}

impl Meter {
    pub(crate) fn start() -> Result<Self, Failure> {
        Ok(Self {
            cpu: cpu()?,
            allocations: allocations(),
            start: Instant::now(),
        })
    }

    pub(crate) fn stop(&self) -> Result<Metered, Failure> {
        Ok(Metered {
            wall: self.start.elapsed(),
            cpu: cpu()?.saturating_sub(self.cpu),
            allocations: allocations()
                .zip(self.allocations)
                .map(|(now, before)| now.saturating_sub(before)),
        })
    }
}

fn cpu() -> Result<Duration, Failure> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).map_err(fail)?;
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}

fn duration(time: TimeVal) -> Duration {
    let part = |value: i64| u64::try_from(value).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec())) + Duration::from_micros(part(time.tv_usec()))
}

#[cfg(feature = "count-allocations")]
fn allocations() -> Option<u64> {
    let stats = ALLOCATOR.stats();
    Some((stats.allocations + stats.reallocations) as u64)
}

#[cfg(not(feature = "count-allocations"))]
fn allocations() -> Option<u64> {
    None
}

/// The memory of the process that is in RAM.
pub(crate) fn resident_bytes() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|error| fail(format!("/proc/self/status: {error}")))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB"))
        .and_then(|kib| kib.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1_024)
        .ok_or_else(|| fail("/proc/self/status tells no VmRSS"))
}
