//! The suite that every store must pass: the promises of [`EventStore`](crate::EventStore),
//! [`SnapshotStore`](crate::SnapshotStore) and [`ReadModelStore`](crate::ReadModelStore) as tests.
//!
//! It is there with the feature `conformance`, meant for the dev-dependencies of whoever writes a store:
//! [`conformance_tests!`](crate::conformance_tests) makes one `#[test]` of each case. A case needs a fresh, empty store
//! with its default limits, and panics with what does not hold.
//!
//! It does not test what only the store itself can: that durable means durable (kill it, cut its files), what it does
//! with damage and a full disk, and that it opens again as it was closed.
//!
//! # Cases
//! | module | the rules of |
//! |---|---|
//! | [`appends`] | expected versions, appends over several streams, limits |
//! | [`checks`] | parts of an append without events |
//! | [`commands`] | commands that are sent again |
//! | [`submits`] | appends that are not waited for: order, outcomes, overload, dropped futures |
//! | [`writers`] | many writers and readers at once |
//! | [`events`] | what an event carries comes back |
//! | [`positions`] | reading all events, following the head |
//! | [`streams`] | reading one stream: ranges, pages, both ways |
//! | [`listings`] | listing the streams of a type |
//! | [`snapshots`] | the latest snapshot of a stream |
//! | [`read_models`] | rows and checkpoints of projections |
//!
//! # Against the suites of Pekko
//! Apache Pekko's `JournalSpec` and `SnapshotStoreSpec` ask for much the same of a journal; this is where it is here.
//!
//! | `JournalSpec` | here |
//! |---|---|
//! | replay all, with a lower bound, an upper bound, both, both equal, a count limit, a limit of 1 | [`streams::every_range_gives_just_its_versions_both_ways`] (each combination) |
//! | no replay with a limit of 0 | [`streams::a_limit_of_zero_gives_no_event_of_a_stream`] |
//! | no replay with the lower bound above the upper | [`streams::an_empty_range_gives_nothing`] |
//! | no replay of an actor that has written nothing | [`streams::a_stream_that_was_never_written_is_empty`] |
//! | the highest sequence number is told | [`writers::a_version_that_was_told_can_be_read`], [`submits::an_acked_event_can_be_read_at_once`] |
//! | several events written atomically | [`appends::the_events_of_one_append_stand_side_by_side`], [`appends::one_conflict_among_the_streams_records_nothing_anywhere`] |
//! | serialised events and their metadata come back | [`events::every_fact_of_an_event_comes_back_as_it_was_given`], [`events::metadata_comes_back_as_it_was_given`] |
//! | a rejected event beside others | [`appends::a_text_that_is_empty_or_too_long_is_refused`] (a store here sees bytes only) |
//! | deletion of messages | none: a journal here deletes nothing |
//!
//! | `SnapshotStoreSpec` | here |
//! |---|---|
//! | none for an unknown actor | [`snapshots::a_stream_has_no_snapshot_at_first`] |
//! | the most recent is loaded | [`snapshots::the_newest_snapshot_stays`] |
//! | one of the same sequence number overwrites | [`snapshots::a_snapshot_of_the_same_version_replaces_the_one_before`] |
//! | a bigger one is saved | [`snapshots::a_large_snapshot_is_kept_whole`] |
//! | serialised ones come back | [`snapshots::a_snapshot_comes_back_as_it_was_saved`] |
//! | one is deleted | [`snapshots::a_deleted_snapshot_is_gone`] |
//! | loading and deleting by bounds on number and time | none: a store here keeps the latest only |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test suite: what does not hold must panic"
)]

pub mod appends;
pub mod checks;
pub mod commands;
pub mod events;
pub mod listings;
pub mod positions;
pub mod read_models;
pub mod snapshots;
pub mod streams;
pub mod submits;
pub mod writers;

mod support;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::read_model::Store;

/// How long one case may take before it counts as hanging.
const CASE_TIME_MAX: Duration = Duration::from_secs(60);

/// Runs one case against one store, on a runtime of its own with several threads.
///
/// [`conformance_tests!`](crate::conformance_tests) calls it; it is there for authors who choose the cases themselves.
/// `new_store` gives the store, and what must outlive it (a temporary directory, say): it is dropped after the store.
///
/// # Panics
/// If the store does not pass the case, or does not finish it within a minute.
pub fn run<S: Store + ?Sized, Guard>(
    name: &str,
    new_store: impl Future<Output = (Arc<S>, Guard)>,
    case: impl AsyncFnOnce(&Arc<S>),
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the runtime of a case must start");
    runtime.block_on(async {
        let (store, guard) = Box::pin(new_store).await;
        let ended = tokio::time::timeout(CASE_TIME_MAX, Box::pin(case(&store))).await;
        assert!(
            ended.is_ok(),
            "{name} did not end within {CASE_TIME_MAX:?}: a callback or a wake-up is missing"
        );
        drop(store);
        drop(guard);
    });
}

/// Makes one `#[test]` of each case of the suite [`conformance`](crate::conformance).
///
/// It takes a future, evaluated anew for each test, that gives a fresh store in an [`Arc`](std::sync::Arc), and what
/// must outlive it: a temporary directory, or `()`.
///
/// ```no_run
/// # mod tests {
/// use std::sync::Arc;
///
/// use foldhouse_store::MemoryStore;
///
/// foldhouse_store::conformance_tests!(async { (Arc::new(MemoryStore::new()), ()) });
/// # }
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($new_store:expr $(,)?) => {
        $crate::__conformance_tests! { ($new_store)
            appends {
                the_first_event_has_version_and_position_one
                the_events_of_one_append_stand_side_by_side
                an_expectation_is_met_or_refused_as_it_says
                a_conflict_records_nothing
                an_append_over_streams_is_recorded_in_the_order_of_its_parts
                one_conflict_among_the_streams_records_nothing_anywhere
                a_conflict_names_the_first_stream_that_is_not_as_expected
                a_stream_named_twice_is_refused
                an_event_id_used_twice_in_one_append_is_refused
                an_append_over_no_stream_is_refused
                the_limits_on_streams_and_events_are_kept_to_the_last
                a_text_that_is_empty_or_too_long_is_refused
            }
            checks {
                a_check_that_is_met_records_nothing
                a_check_that_is_not_met_is_a_conflict
                a_check_does_not_create_its_stream
                a_check_beside_events_decides_over_them
                a_check_over_several_streams_needs_all_of_them
            }
            commands {
                a_retried_command_is_recorded_once_and_is_told_so
                another_command_under_the_same_id_is_told_by_its_fingerprint
                a_command_without_events_is_remembered
                a_duplicate_is_told_even_where_the_version_has_moved
                a_command_that_was_refused_can_be_sent_again
                many_senders_of_one_command_record_it_once
                only_events_are_read_between_commands
                a_duplicate_is_answered_when_the_first_can_be_found
                a_command_over_several_streams_is_recorded_as_one
                a_reply_is_kept_up_to_its_limit
            }
            submits {
                a_writer_builds_on_its_own_appends_without_waiting
                what_is_submitted_in_order_is_recorded_and_told_in_order
                what_builds_on_a_refused_append_is_refused_too
                a_check_sees_what_was_submitted_before_it
                an_acked_event_can_be_read_at_once
                the_head_covers_every_outcome_when_it_is_told
                a_store_with_nothing_to_do_is_ready
                a_flood_is_recorded_or_refused_but_never_lost
                a_dropped_append_leaves_the_store_whole
            }
            writers {
                writers_of_one_stream_leave_no_gap
                writers_of_their_own_streams_leave_no_gap
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
                an_event_is_taken_up_to_the_size_limit_and_refused_above
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
            snapshots {
                a_stream_has_no_snapshot_at_first
                a_snapshot_comes_back_as_it_was_saved
                the_newest_snapshot_stays
                a_snapshot_of_the_same_version_replaces_the_one_before
                a_deleted_snapshot_is_gone
                a_large_snapshot_is_kept_whole
                snapshots_of_streams_do_not_mix
                a_snapshot_changes_nothing_that_is_read
                the_newest_of_snapshots_saved_at_once_stays
            }
            read_models {
                a_new_projection_has_no_rows_and_no_checkpoint
                a_commit_writes_rows_and_checkpoint
                a_commit_without_changes_moves_the_checkpoint
                a_checkpoint_comes_back_as_it_was_committed
                the_last_change_of_a_row_counts
                rows_are_paged_in_the_order_of_their_keys
                an_empty_value_is_a_row
                large_values_are_kept_whole
                projections_do_not_leak_into_each_other
                a_reset_projection_starts_over
                a_key_or_name_is_taken_up_to_its_limit
                rows_and_checkpoint_change_in_one_step
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    (($new_store:expr) $($theme:ident { $($case:ident)* })*) => {
        $($(
            #[test]
            fn $case() {
                $crate::conformance::run(
                    concat!(stringify!($theme), "::", stringify!($case)),
                    $new_store,
                    $crate::conformance::$theme::$case,
                );
            }
        )*)*
    };
}

#[cfg(test)]
mod tests {
    /// Each theme's name and source.
    const THEMES: [(&str, &str); 11] = [
        ("appends", include_str!("conformance/appends.rs")),
        ("checks", include_str!("conformance/checks.rs")),
        ("commands", include_str!("conformance/commands.rs")),
        ("submits", include_str!("conformance/submits.rs")),
        ("writers", include_str!("conformance/writers.rs")),
        ("events", include_str!("conformance/events.rs")),
        ("positions", include_str!("conformance/positions.rs")),
        ("streams", include_str!("conformance/streams.rs")),
        ("listings", include_str!("conformance/listings.rs")),
        ("snapshots", include_str!("conformance/snapshots.rs")),
        ("read_models", include_str!("conformance/read_models.rs")),
    ];

    #[test]
    fn every_case_that_is_written_is_run() {
        let suite = include_str!("conformance.rs");
        for (theme, source) in THEMES {
            let (_, run) = suite
                .split_once(&format!("            {theme} {{\n"))
                .unwrap_or_else(|| panic!("conformance_tests! does not name the theme {theme}"));
            let (run, _) = run.split_once('}').unwrap();
            let run: Vec<&str> = run.split_whitespace().collect();
            let written: Vec<&str> = source
                .lines()
                .filter_map(|line| line.strip_prefix("pub async fn ")?.split('<').next())
                .collect();
            assert_eq!(run, written, "the cases of {theme}");
        }
    }
}
