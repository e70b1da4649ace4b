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
//! | [`look_ups`] | looking for events by kind, correlation id and stream |
//! | [`snapshots`] | the latest snapshot of a stream |
//! | [`snapshot_history`] | several snapshots of a stream: kept, found, listed, deleted |
//! | [`read_models`] | rows and checkpoints of projections |
//! | [`large`] | 20,000 streams, and a stream of 20,000 events |
//! | [`campaign`] | the same with 1,000,000, as ignored tests |
//!
//! # Against the suites of Pekko
//! Apache Pekko's `JournalSpec` and `SnapshotStoreSpec` ask for much the same; this is where each of their cases is here.
//!
//! Every replay there ends with the highest sequence number, also one that gives nothing; here that is the stream's
//! version. The upper, lower and count limits of the first eleven cases are the rows of
//! [`streams::a_replay_gives_what_its_bounds_and_count_say`], as Pekko has them, over the five events that it writes (three
//! alone and two in one atomic write), and [`streams::every_range_gives_just_its_versions_both_ways`] is every other one.
//!
//! | `JournalSpec` | here |
//! |---|---|
//! | replay all messages; with a lower bound; an upper bound; a count limit; both bounds; both and a count limit | [`streams::a_replay_gives_what_its_bounds_and_count_say`] |
//! | replay a single one if the bounds are equal; if the count limit is 1 | the same |
//! | no replay if the count limit is 0; if the lower bound is above the upper | the same |
//! | no replay if the actor has not yet written | the same, and [`streams::a_stream_that_was_never_written_is_empty`] |
//! | not replay deleted messages; not reset the highest sequence number after deletion, after cleanup; the five cases of bounds at a deleted prefix | none: a journal here deletes nothing, so there is no prefix that could be missing |
//! | optional: reject non-serializable events (the 7th of 6 to 8 is rejected, the others are written) | [`appends::a_refused_append_among_others_leaves_the_others_recorded`]: a store sees bytes only, so what is refused is an event that breaks a limit; versions have no gap where it would have been |
//! | optional: serialize events | [`events::every_fact_of_an_event_comes_back_as_it_was_given`], [`events::a_payload_comes_back_byte_for_byte`] |
//! | optional: return metadata | [`events::metadata_comes_back_as_it_was_given`] |
//! | (every write of `persistAll`) atomic | [`appends::the_events_of_one_append_stand_side_by_side`], [`appends::one_conflict_among_the_streams_records_nothing_anywhere`] |
//!
//! | `SnapshotStoreSpec` | here |
//! |---|---|
//! | not load one given an invalid persistence id | [`snapshots::a_stream_has_no_snapshot_at_first`], [`snapshot_history::a_snapshot_beyond_a_bound_is_not_loaded`] |
//! | not load one given a timestamp, or a sequence number (either of two ways), that does not match | [`snapshot_history::a_snapshot_beyond_a_bound_is_not_loaded`]; there is one way to say the highest version here |
//! | load the most recent; the most recent up to a sequence number; up to both bounds | [`snapshot_history::the_newest_snapshot_within_any_bounds_is_found`] (every combination, lower bounds too) |
//! | delete a single one by its sequence number, whatever its time | [`snapshot_history::one_snapshot_is_deleted_by_its_version`] |
//! | delete all that match upper bounds; not delete one whose time is above the bound | [`snapshot_history::snapshots_within_bounds_are_deleted`] |
//! | save and overwrite one with the same sequence number | [`snapshot_history::a_snapshot_of_a_kept_version_replaces_just_that_one`], [`snapshots::a_snapshot_of_the_same_version_replaces_the_one_before`] |
//! | save a bigger one (10,000 bytes) | [`snapshots::a_large_snapshot_is_kept_whole`] (up to 1 MiB) |
//! | optional: serialize snapshots | [`snapshots::a_snapshot_comes_back_as_it_was_saved`] |
//! | optional: store metadata | the same: a snapshot's metadata are its event's id, time and schema here, and there are no others |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test suite: what does not hold must panic"
)]

pub mod appends;
pub mod campaign;
pub mod checks;
pub mod commands;
pub mod events;
pub mod large;
pub mod listings;
pub mod look_ups;
pub mod positions;
pub mod read_models;
pub mod snapshot_history;
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

/// The same for a case of [`campaign`].
const CAMPAIGN_TIME_MAX: Duration = Duration::from_secs(1_800);

/// Runs one case against one store, on a runtime of its own with several threads.
///
/// [`conformance_tests!`](crate::conformance_tests) calls it; it is there for authors who choose the cases themselves.
/// `new_store` gives the store, and what must outlive it (a temporary directory, say): it is dropped after the store.
///
/// # Panics
/// If the store does not pass the case, or does not finish it within a minute (half an hour for the module
/// [`campaign`]).
pub fn run<S: Store + ?Sized, Guard>(
    name: &str,
    new_store: impl Future<Output = (Arc<S>, Guard)>,
    case: impl AsyncFnOnce(&Arc<S>),
) {
    let time_max = if name.starts_with("campaign::") {
        CAMPAIGN_TIME_MAX
    } else {
        CASE_TIME_MAX
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the runtime of a case must start");
    runtime.block_on(async {
        let (store, guard) = Box::pin(new_store).await;
        let ended = tokio::time::timeout(time_max, Box::pin(case(&store))).await;
        assert!(
            ended.is_ok(),
            "{name} did not end within {time_max:?}: a callback or a wake-up is missing"
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
        $crate::__conformance_tests! { [] ($new_store)
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
                a_refused_append_among_others_leaves_the_others_recorded
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
                an_append_over_streams_is_seen_in_each_of_them_or_in_none
                what_was_seen_stays_and_what_was_refused_is_never_seen
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
                a_replay_gives_what_its_bounds_and_count_say
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
            snapshot_history {
                the_newest_snapshot_within_any_bounds_is_found
                a_snapshot_beyond_a_bound_is_not_loaded
                the_list_tells_what_each_snapshot_is_and_takes
                as_many_snapshots_stay_as_the_last_save_asks_for
                a_snapshot_of_a_kept_version_replaces_just_that_one
                one_snapshot_is_deleted_by_its_version
                snapshots_within_bounds_are_deleted
                histories_of_streams_do_not_mix
                the_newest_snapshots_saved_at_once_stay
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
            large {
                many_streams_of_one_event_are_each_found
                a_stream_of_many_events_is_whole_both_ways
            }
        }
        $crate::__conformance_tests! {
            [#[ignore = "a campaign: see the module conformance::campaign"]] ($new_store)
            campaign {
                campaign_of_a_million_streams_of_one_event
                campaign_of_one_stream_of_a_million_events
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    (@one [$(#[$attribute:meta])*] ($new_store:expr) $theme:ident $case:ident) => {
        #[test]
        $(#[$attribute])*
        fn $case() {
            $crate::conformance::run(
                concat!(stringify!($theme), "::", stringify!($case)),
                $new_store,
                $crate::conformance::$theme::$case,
            );
        }
    };
    ($attributes:tt ($new_store:expr) $($theme:ident { $($case:ident)* })*) => {
        $($(
            $crate::__conformance_tests! { @one $attributes ($new_store) $theme $case }
        )*)*
    };
}

#[cfg(test)]
mod tests {
    /// Each theme's name and source.
    const THEMES: [(&str, &str); 15] = [
        ("appends", include_str!("conformance/appends.rs")),
        ("checks", include_str!("conformance/checks.rs")),
        ("commands", include_str!("conformance/commands.rs")),
        ("submits", include_str!("conformance/submits.rs")),
        ("writers", include_str!("conformance/writers.rs")),
        ("events", include_str!("conformance/events.rs")),
        ("positions", include_str!("conformance/positions.rs")),
        ("streams", include_str!("conformance/streams.rs")),
        ("listings", include_str!("conformance/listings.rs")),
        ("look_ups", include_str!("conformance/look_ups.rs")),
        ("snapshots", include_str!("conformance/snapshots.rs")),
        (
            "snapshot_history",
            include_str!("conformance/snapshot_history.rs"),
        ),
        ("read_models", include_str!("conformance/read_models.rs")),
        ("large", include_str!("conformance/large.rs")),
        ("campaign", include_str!("conformance/campaign.rs")),
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
