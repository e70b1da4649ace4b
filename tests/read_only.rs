//! The reading cases of the store contract over a pair: one store writes, a journal that is open for reading only reads.

use std::num::NonZeroU16;
use std::sync::Arc;

use foldhouse_store::{
    Append, BoxFuture, Change, Checkpoint, EventStore, Found, JournalOptions, JournalStore, LookUp,
    OnSettled, Page, Position, ReadError, ReadModelStore, ReadOnlyJournal, RecordedCommand, Row,
    Snapshot, SnapshotCriteria, SnapshotInfo, SnapshotStore, StreamId, StreamQuery, Verdict,
    Version,
};
use tokio::sync::watch;
use uuid::Uuid;

/// Every append goes to the one, every read comes from the other.
struct Pair {
    writer: JournalStore,
    reader: Arc<ReadOnlyJournal>,
}

impl Pair {
    /// Everything that was acked is seen, before anyone is told that it was.
    fn reader(&self) -> &ReadOnlyJournal {
        self.reader.refresh().unwrap();
        &self.reader
    }
}

impl EventStore for Pair {
    fn submit(&self, append: Append, settled: OnSettled) -> Verdict {
        let reader = Arc::clone(&self.reader);
        self.writer.submit(
            append,
            Box::new(move |outcome| {
                // A conflict, too, is told when what it rests on is durable, and perhaps before that is told.
                let is_seen = outcome
                    .as_ref()
                    .is_ok_and(|appended| appended.position <= reader.head());
                if !is_seen {
                    reader.refresh().unwrap();
                }
                settled(outcome);
            }),
        )
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        self.writer.ready()
    }

    fn is_ready(&self) -> bool {
        self.writer.is_ready()
    }

    fn read_stream(&self, query: StreamQuery) -> BoxFuture<'_, Result<Page<Version>, ReadError>> {
        self.reader().read_stream(query)
    }

    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<Position>, ReadError>> {
        self.reader().read_all(after, limit)
    }

    fn look_up(&self, look_up: LookUp) -> BoxFuture<'_, Result<Found, ReadError>> {
        self.reader().look_up(look_up)
    }

    fn stream_version(&self, stream: &StreamId) -> BoxFuture<'_, Result<Version, ReadError>> {
        self.reader().stream_version(stream)
    }

    fn command(&self, id: Uuid) -> BoxFuture<'_, Result<Option<RecordedCommand>, ReadError>> {
        self.reader().command(id)
    }

    fn streams(
        &self,
        tenant: &str,
        aggregate_type: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StreamId>, ReadError>> {
        self.reader().streams(tenant, aggregate_type, after, limit)
    }

    fn head(&self) -> Position {
        self.reader.head()
    }

    fn watch_head(&self) -> watch::Receiver<Position> {
        self.reader.watch_head()
    }
}

// A journal that is open for reading only has neither of the two: they are the writer's.

impl SnapshotStore for Pair {
    fn save_snapshot(
        &self,
        snapshot: Snapshot,
        keep: NonZeroU16,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        self.writer.save_snapshot(snapshot, keep)
    }

    fn load_snapshot(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Option<Snapshot>, ReadError>> {
        self.writer.load_snapshot(stream, criteria)
    }

    fn snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Vec<SnapshotInfo>, ReadError>> {
        self.writer.snapshots(stream, criteria)
    }

    fn delete_snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        self.writer.delete_snapshots(stream, criteria)
    }
}

impl ReadModelStore for Pair {
    fn commit(
        &self,
        projection: &str,
        checkpoint: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        self.writer.commit(projection, checkpoint, changes)
    }

    fn checkpoint(&self, projection: &str) -> BoxFuture<'_, Result<Option<Checkpoint>, ReadError>> {
        self.writer.checkpoint(projection)
    }

    fn rows(
        &self,
        projection: &str,
        after: Option<&[u8]>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Row>, ReadError>> {
        self.writer.rows(projection, after, limit)
    }

    fn reset(&self, projection: &str) -> BoxFuture<'_, Result<(), ReadError>> {
        self.writer.reset(projection)
    }
}

// The cases of the suite that are about reading.
foldhouse_store::__conformance_tests! { [] (async {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = JournalOptions::new().segment_bytes(8 << 20);
    let writer = options.clone().open(directory.path()).unwrap();
    let reader = Arc::new(options.open_read_only(directory.path()).unwrap());
    (Arc::new(Pair { writer, reader }), directory)
})
    commands {
        a_retried_command_is_recorded_once_and_is_told_so
    }
    submits {
        an_acked_event_can_be_read_at_once
        the_head_covers_every_outcome_when_it_is_told
    }
    writers {
        writers_of_one_stream_leave_no_gap
        an_append_over_streams_is_seen_whole_or_not_at_all
        a_reader_that_follows_the_head_misses_nothing
        a_version_that_was_told_can_be_read
    }
    events {
        an_event_with_only_an_id_and_a_type_comes_back_bare
        every_fact_of_an_event_comes_back_as_it_was_given
        metadata_comes_back_as_it_was_given
        a_payload_comes_back_byte_for_byte
        a_payload_of_one_mebibyte_comes_back
        the_longest_stream_name_comes_back
        the_time_of_recording_never_goes_back
    }
    positions {
        an_empty_store_is_before_the_first_position
        all_events_are_read_page_by_page_from_every_position
        behind_the_head_there_is_nothing_to_read
        the_last_page_says_that_there_is_no_more
        a_limit_of_zero_gives_no_event
        the_highest_limit_is_a_limit_like_any_other
        large_events_are_paged_without_loss
        the_head_moves_with_every_append
        a_reader_at_the_head_is_woken_by_the_next_append
    }
    streams {
        every_range_gives_just_its_versions_both_ways
        a_stream_is_read_page_by_page_both_ways
        the_last_page_of_a_range_says_that_there_is_no_more
        an_empty_range_gives_nothing
        a_limit_of_zero_gives_no_event_of_a_stream
        a_stream_that_was_never_written_is_empty
        a_stream_is_read_on_from_where_a_reader_stopped
        a_stream_gives_only_its_own_events
        large_events_of_a_stream_are_paged_without_loss
    }
    listings {
        an_empty_store_lists_no_stream
        streams_are_listed_once_in_the_order_of_their_ids
        streams_of_one_append_are_all_listed
        names_that_begin_alike_do_not_leak_into_each_other
        listing_goes_on_behind_any_id
        a_limit_of_zero_lists_no_stream
    }
    look_ups {
        events_of_a_kind_are_found_wherever_they_are
        kinds_whose_names_begin_alike_are_told_apart
        events_of_one_correlation_are_found_over_all_streams
        events_of_a_stream_are_found_by_positions
        a_look_up_does_no_more_work_than_it_may
        where_there_is_nothing_nothing_is_found
        a_time_of_recording_gives_the_first_event_from_it_on
        large_events_are_found_whole
        a_look_up_finds_all_that_was_acknowledged_before_it
    }
}
