//! The cases of [`super::large`] with a million: ignored tests, since they take minutes in a debug build.
//!
//! ```text
//! cargo test --release -- --ignored campaign --nocapture
//! ```
//!
//! Each says on stderr how long it took.

use std::sync::Arc;
use std::time::Instant;

use super::large::{one_stream_of, streams_of_one_event};
use crate::read_model::Store;

const MILLION: u64 = 1_000_000;

/// See [`super::large::many_streams_of_one_event_are_each_found`].
pub async fn campaign_of_a_million_streams_of_one_event<S: Store + ?Sized>(store: &Arc<S>) {
    let started = Instant::now();
    streams_of_one_event(store, MILLION).await;
    eprintln!("{MILLION} streams of one event: {:.1?}", started.elapsed());
}

/// See [`super::large::a_stream_of_many_events_is_whole_both_ways`].
pub async fn campaign_of_one_stream_of_a_million_events<S: Store + ?Sized>(store: &Arc<S>) {
    let started = Instant::now();
    one_stream_of(store, MILLION).await;
    eprintln!("one stream of {MILLION} events: {:.1?}", started.elapsed());
}
