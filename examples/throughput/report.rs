use std::collections::BTreeMap;

use foldhouse_store::{FrameSize, WriteMode};
use serde::Serialize;

use crate::callers::Tally;
use crate::latencies::Latencies;
use crate::meter::Metered;
use crate::{Plan, rate};

/// What a run did and found. What was not measured is `null`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) workload: String,
    pub(crate) callers: u32,
    pub(crate) aggregates: u64,
    /// How many commands each call submits.
    pub(crate) batch: u64,
    pub(crate) seconds: f64,
    /// Commands that took effect and are durable; for `replay` and `hydrate`, events that were read.
    pub(crate) acked: u64,
    pub(crate) acked_per_second: f64,
    /// How many of these the disk alone would take, in frames of the same sizes.
    pub(crate) raw_log_per_second: Option<f64>,
    pub(crate) ratio: Option<f64>,
    #[serde(flatten)]
    pub(crate) latency: Micros,
    pub(crate) rejected: u64,
    pub(crate) errors: u64,
    /// What is not as it was acknowledged; anything but 0 fails the run.
    pub(crate) mismatches: u64,
    /// `null` without the feature `count-allocations`.
    pub(crate) allocations_per_command: Option<f64>,
    pub(crate) bytes_per_event: Option<f64>,
    pub(crate) events_per_frame: Option<f64>,
    pub(crate) frames_per_second: Option<f64>,
    pub(crate) cpu_us_per_command: f64,
    /// What part of all cores the process took.
    pub(crate) cpu_share: f64,
    pub(crate) cores: u64,
    pub(crate) write_mode: String,
    /// What only this workload tells.
    #[serde(flatten)]
    pub(crate) details: BTreeMap<&'static str, f64>,
}

/// The latency of a call.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Micros {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

/// What a run added to the journal.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) events: u64,
    pub(crate) frames: Vec<FrameSize>,
}

/// What the disk alone takes.
#[derive(Debug)]
pub(crate) struct RawLog {
    pub(crate) events_per_second: f64,
    pub(crate) events_per_ack: f64,
}

impl Micros {
    pub(crate) fn of(latencies: &Latencies) -> Self {
        Self {
            p50_us: latencies.micros_at(0.5),
            p99_us: latencies.micros_at(0.99),
            p999_us: latencies.micros_at(0.999),
            max_us: latencies.micros_at(1.0),
        }
    }
}

impl Report {
    pub(crate) fn new(plan: &Plan, write_mode: WriteMode, tally: Tally, metered: &Metered) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let (seconds, cpu) = (metered.wall.as_secs_f64(), metered.cpu.as_secs_f64());
        let answered = (tally.acked + tally.rejected).max(1);
        let per_command = |what: f64| what * rate(1, rate(answered, 1.0));
        Self {
            workload: plan.workload.name(),
            callers: plan.callers,
            aggregates: plan.aggregates as u64,
            batch: plan.batch as u64,
            seconds,
            acked: tally.acked,
            acked_per_second: rate(tally.acked, seconds),
            raw_log_per_second: None,
            ratio: None,
            latency: Micros::default(),
            rejected: tally.rejected,
            errors: tally.errors,
            mismatches: 0,
            allocations_per_command: metered
                .allocations
                .map(|allocations| per_command(rate(allocations, 1.0))),
            bytes_per_event: None,
            events_per_frame: None,
            frames_per_second: None,
            cpu_us_per_command: per_command(cpu * 1e6),
            cpu_share: cpu / (seconds * rate(cores, 1.0)),
            cores,
            write_mode: format!("{write_mode:?}"),
            details: BTreeMap::new(),
        }
    }

    pub(crate) fn set_written(&mut self, written: &Written) {
        let frames = written.frames.len().max(1) as u64;
        let bytes: u64 = written
            .frames
            .iter()
            .map(|frame| frame.disk_bytes() as u64)
            .sum();
        // Beyond a million frames the log of their sizes ends: it stands for all that follow.
        let logged: u64 = written
            .frames
            .iter()
            .map(|frame| u64::from(frame.events))
            .sum();
        let events_per_frame = rate(logged, rate(frames, 1.0));
        self.bytes_per_event = Some(rate(bytes, rate(logged.max(1), 1.0)));
        self.events_per_frame = Some(events_per_frame);
        self.frames_per_second =
            Some(rate(written.events, self.seconds) / events_per_frame.max(f64::MIN_POSITIVE));
    }

    pub(crate) fn set_raw_log(&mut self, raw_log: &RawLog) {
        let per_second = raw_log.events_per_second / raw_log.events_per_ack.max(f64::MIN_POSITIVE);
        self.raw_log_per_second = Some(per_second);
        self.ratio = Some(self.acked_per_second / per_second.max(f64::MIN_POSITIVE));
    }
}

impl foldhouse_examples::Report for Report {
    /// Whether all is as it was acknowledged.
    fn holds(&self) -> bool {
        self.mismatches == 0 && self.errors == 0
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let Micros {
            p50_us,
            p99_us,
            p999_us,
            max_us,
        } = &self.latency;
        let given = |value: Option<f64>, digits: usize| {
            value.map_or("not measured".to_owned(), |value| {
                format!("{value:.digits$}")
            })
        };
        let mut rows = vec![
            ("workload", self.workload.clone()),
            ("callers", self.callers.to_string()),
            ("aggregates", self.aggregates.to_string()),
            ("batch", self.batch.to_string()),
            ("time", format!("{:.3} s", self.seconds)),
            (
                "acked",
                format!("{} ({:.0}/s)", self.acked, self.acked_per_second),
            ),
            (
                "raw-log limit",
                format!("{}/s", given(self.raw_log_per_second, 0)),
            ),
            ("ratio", given(self.ratio, 3)),
            (
                "latency",
                format!(
                    "p50 {p50_us:.0} us, p99 {p99_us:.0} us, p99.9 {p999_us:.0} us, max {max_us:.0} us"
                ),
            ),
            ("rejected", self.rejected.to_string()),
            ("errors", self.errors.to_string()),
            ("mismatches", self.mismatches.to_string()),
            (
                "allocations",
                format!("{} a command", given(self.allocations_per_command, 2)),
            ),
            (
                "journal",
                format!("{} bytes an event", given(self.bytes_per_event, 1)),
            ),
            (
                "frames",
                format!(
                    "{}/s of {} events",
                    given(self.frames_per_second, 0),
                    given(self.events_per_frame, 1)
                ),
            ),
            (
                "cpu",
                format!(
                    "{:.3} us a command, {:.0} % of {} cores",
                    self.cpu_us_per_command,
                    self.cpu_share * 100.0,
                    self.cores
                ),
            ),
            ("writes", self.write_mode.clone()),
        ];
        for (name, value) in &self.details {
            rows.push((name, format!("{value:.1}")));
        }
        rows
    }
}
