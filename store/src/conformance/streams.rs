//! Reading one stream: ranges, pages, both directions.

use std::sync::Arc;

use super::support::{
    PAGE_LIMITS, append, append_many, append_one, assert_gap_free, event, noted, patterned,
    read_pages, read_whole, stream, stream_of, version_of,
};
use crate::append::Append;
use crate::event_store::{Direction, StreamQuery};
use crate::position::{ExpectedVersion, Version};
use crate::read_model::Store;

const BOTH_WAYS: [Direction; 2] = [Direction::Forward, Direction::Backward];

fn range(from: u64, to: u64, limit: usize, direction: Direction) -> StreamQuery {
    StreamQuery {
        stream: stream("read"),
        from: Version::new(from),
        to: Version::new(to),
        direction,
        limit,
    }
}

/// Every range of versions, page size and direction gives just the versions asked for, in the order asked for.
pub async fn every_range_gives_just_its_versions_both_ways<S: Store + ?Sized>(store: &Arc<S>) {
    // The stream lies scattered among others, in appends of one and of several events.
    for count in [1, 3, 1] {
        append_many(store, &stream("read"), count).await;
        append_many(store, &stream("other"), 2).await;
    }
    let whole = read_whole(store, &stream("read")).await;
    assert_eq!(whole.len(), 5);
    assert_gap_free(&whole);
    for direction in BOTH_WAYS {
        for (from, to) in (0..=7).flat_map(|from| (0..=7).map(move |to| (from, to))) {
            let mut expected = whole.clone();
            expected.retain(|event| (from..=to).contains(&event.version.get()));
            if direction == Direction::Backward {
                expected.reverse();
            }
            for limit in PAGE_LIMITS {
                let read = read_pages(store, range(from, to, limit, direction)).await;
                assert_eq!(
                    read, expected,
                    "versions {from} to {to}, {direction:?}, limit {limit}"
                );
            }
        }
    }
}

/// The replays that Pekko's `JournalSpec` asks for: bounds and a count, over five events, of which the last two came in
/// one append. Whatever is read, the stream's version is told as it is.
pub async fn a_replay_gives_what_its_bounds_and_count_say<S: Store + ?Sized>(store: &Arc<S>) {
    for count in [1, 1, 1, 2] {
        append_many(store, &stream("read"), count).await;
    }
    let no_bound = u64::MAX;
    let replays: [(u64, u64, usize, &[u64]); 10] = [
        (1, no_bound, usize::MAX, &[1, 2, 3, 4, 5]),
        (3, no_bound, usize::MAX, &[3, 4, 5]),
        (1, 3, usize::MAX, &[1, 2, 3]),
        (1, no_bound, 3, &[1, 2, 3]),
        (2, 3, usize::MAX, &[2, 3]),
        (2, 5, 2, &[2, 3]),
        (2, 2, usize::MAX, &[2]),
        (2, 4, 1, &[2]),
        (2, 4, 0, &[]),
        (3, 2, usize::MAX, &[]),
    ];
    for (from, to, count, versions) in replays {
        // A page may end early; the count is the reader's.
        let mut left = count;
        let mut next = Some(Version::new(from));
        let mut read = Vec::new();
        while left > 0
            && let Some(from) = next
        {
            let query = range(from.get(), to, left, Direction::Forward);
            let page = store.read_stream(query).await.unwrap();
            left -= page.events.len();
            next = page.next;
            read.extend(page.events.iter().map(|event| event.version.get()));
        }
        assert_eq!(read, versions, "{from} to {to}, at most {count}");
        assert_eq!(version_of(store, &stream("read")).await, 5);
    }
    let unknown = StreamQuery {
        from: Version::EMPTY,
        ..StreamQuery::whole(stream("unknown"), usize::MAX)
    };
    assert_eq!(read_pages(store, unknown).await, []);
    assert_eq!(version_of(store, &stream("unknown")).await, 0);
}

/// A long stream gives every version once, whatever the page size, both ways.
pub async fn a_stream_is_read_page_by_page_both_ways<S: Store + ?Sized>(store: &Arc<S>) {
    for count in [1, 250, 1, 1, 500, 247] {
        append_many(store, &stream("read"), count).await;
        append_one(store, &stream("other")).await;
    }
    let mut whole = read_whole(store, &stream("read")).await;
    assert_eq!(whole.len(), 1_000);
    assert_gap_free(&whole);
    for direction in BOTH_WAYS {
        for limit in [7, 100, 999, 1_000, 1_001, usize::MAX] {
            let read = read_pages(store, range(0, u64::MAX, limit, direction)).await;
            assert!(
                read == whole,
                "{direction:?} with limit {limit} is not the whole"
            );
        }
        whole.reverse();
    }
}

/// A page that gives the last version of its range says that there is no more.
pub async fn the_last_page_of_a_range_says_that_there_is_no_more<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    append_many(store, &stream("read"), 5).await;
    for direction in BOTH_WAYS {
        for (from, to, limit) in [(1, 5, 5), (1, 2, 2), (2, 2, 1), (4, u64::MAX, 2), (0, 1, 1)] {
            let mut query = range(from, to, limit, direction);
            let mut missing = limit;
            while missing > 0 {
                let page = store.read_stream(query.clone()).await.unwrap();
                missing -= page.events.len();
                match (page.next, direction) {
                    (Some(next), Direction::Forward) => query.from = next,
                    (Some(next), Direction::Backward) => query.to = next,
                    (None, _) => break,
                }
                assert!(
                    missing > 0,
                    "{from} to {to} {direction:?} was given, but has more"
                );
            }
            assert_eq!(missing, 0, "{from} to {to} {direction:?} ended early");
        }
    }
}

/// An empty range gives an empty page without more.
pub async fn an_empty_range_gives_nothing<S: Store + ?Sized>(store: &Arc<S>) {
    append_many(store, &stream("read"), 5).await;
    for direction in BOTH_WAYS {
        for (from, to) in [
            (3, 2),
            (5, 1),
            (6, 9),
            (6, u64::MAX),
            (u64::MAX, u64::MAX),
            (u64::MAX, 0),
            (0, 0),
        ] {
            let page = store
                .read_stream(range(from, to, 10, direction))
                .await
                .unwrap();
            assert_eq!(
                (page.events.len(), page.next),
                (0, None),
                "versions {from} to {to}, {direction:?}"
            );
        }
    }
}

/// A limit of zero events gives none; what it says of the rest is left to the store.
pub async fn a_limit_of_zero_gives_no_event_of_a_stream<S: Store + ?Sized>(store: &Arc<S>) {
    append_many(store, &stream("read"), 5).await;
    for direction in BOTH_WAYS {
        let page = store.read_stream(range(2, 4, 0, direction)).await.unwrap();
        assert_eq!(page.events, []);
    }
}

/// A stream that was never written is empty, not an error, in a store that is empty or not.
pub async fn a_stream_that_was_never_written_is_empty<S: Store + ?Sized>(store: &Arc<S>) {
    for _ in 0..2 {
        let unknown = stream("unknown");
        assert_eq!(version_of(store, &unknown).await, 0);
        for direction in BOTH_WAYS {
            let query = StreamQuery {
                direction,
                ..StreamQuery::whole(unknown.clone(), 10)
            };
            let page = store.read_stream(query).await.unwrap();
            assert_eq!((page.events.len(), page.next), (0, None));
        }
        append_one(store, &stream("known")).await;
    }
}

/// A stream goes on where a reader stopped, with whatever was appended since.
pub async fn a_stream_is_read_on_from_where_a_reader_stopped<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream("read");
    append_many(store, &account, 3).await;
    let before = read_whole(store, &account).await;
    let next = before.last().unwrap().version.next();
    let since = StreamQuery::since(account.clone(), next, 10);
    assert_eq!(read_pages(store, since.clone()).await, []);
    append_many(store, &account, 2).await;
    let behind = read_pages(store, since).await;
    assert_eq!(behind.len(), 2);
    let joined = [before, behind].concat();
    assert_eq!(joined, read_whole(store, &account).await);
}

/// Each stream gives its own events only, however alike the names are.
pub async fn a_stream_gives_only_its_own_events<S: Store + ?Sized>(store: &Arc<S>) {
    let alike = [
        stream_of("a", "b", "1"),
        stream_of("a", "b", "10"),
        stream_of("a", "b", "1:0"),
        stream_of("a", "b", "01"),
        stream_of("a", "b", "1 "),
        stream_of("a", "b", "¹"),
        stream_of("a", "bb", "1"),
        stream_of("aa", "b", "1"),
        stream_of("A", "b", "1"),
        stream_of("b", "a", "1"),
        stream_of("1", "a", "b"),
    ];
    for round in 0..3 {
        for (number, name) in alike.iter().enumerate() {
            let mut event = event();
            event.event_type = format!("Of{number}").into();
            let expected = ExpectedVersion::Exact(Version::new(round));
            append(store, Append::to(name.clone(), expected, [event])).await;
        }
    }
    for (number, name) in alike.iter().enumerate() {
        let recorded = read_whole(store, name).await;
        assert_eq!(recorded.len(), 3, "events of {name}");
        assert_gap_free(&recorded);
        for event in recorded {
            assert_eq!(&event.stream, name);
            assert_eq!(*event.event_type, *format!("Of{number}"));
        }
        assert_eq!(version_of(store, name).await, 3);
    }
}

/// Events that do not fit on one page in bytes are given over several, each with at least one, both ways.
pub async fn large_events_of_a_stream_are_paged_without_loss<S: Store + ?Sized>(store: &Arc<S>) {
    let payload = patterned(1 << 20);
    for number in 0..20 {
        let event = noted(payload[number..].to_vec());
        let entry = Append::to(stream("read"), ExpectedVersion::Any, [event]);
        append(store, entry).await;
    }
    for direction in BOTH_WAYS {
        let mut read = read_pages(store, range(1, u64::MAX, 1_000, direction)).await;
        if direction == Direction::Backward {
            read.reverse();
        }
        assert_eq!(read.len(), 20);
        assert_gap_free(&read);
        for (number, event) in read.iter().enumerate() {
            assert!(
                event.payload.bytes == payload[number..],
                "the payload of version {} is not what was appended",
                event.version
            );
        }
    }
}
