//! Listing the streams of one aggregate type of a tenant.

use std::sync::Arc;

use super::support::{PAGE_LIMITS, append, append_one, event, stream, stream_of};
use crate::append::Append;
use crate::position::ExpectedVersion;
use crate::read_model::Store;
use crate::stream_id::StreamId;

/// The streams of a type over all pages, which must be full but for the last.
async fn listed<S: Store + ?Sized>(
    store: &Arc<S>,
    tenant: &str,
    aggregate_type: &str,
    limit: usize,
) -> Vec<StreamId> {
    let mut streams: Vec<StreamId> = Vec::new();
    loop {
        let page = store
            .streams(tenant, aggregate_type, streams.last(), limit)
            .await
            .expect("the streams must be listed");
        assert!(
            page.len() <= limit,
            "limit {limit} gave {} streams",
            page.len()
        );
        if let (Some(last), Some(first)) = (streams.last(), page.first()) {
            assert!(last < first, "behind {last} comes {first}");
        }
        let ended = page.len() < limit;
        streams.extend(page);
        if ended {
            return streams;
        }
    }
}

/// A store without events has no streams.
pub async fn an_empty_store_lists_no_stream<S: Store + ?Sized>(store: &Arc<S>) {
    assert_eq!(listed(store, "acme", "account", 10).await, []);
}

/// Streams are listed in the order of their ids' bytes, not in that of their first events, each once.
pub async fn streams_are_listed_once_in_the_order_of_their_ids<S: Store + ?Sized>(store: &Arc<S>) {
    let ids = [
        "m", "10", "9", "1", "Z", "a", "é", "z", "1:0", "01", "~", "!", "日本", "aa", "a ",
    ];
    for _ in 0..2 {
        for id in ids {
            append_one(store, &stream(id)).await;
        }
    }
    let mut ordered = ids.map(stream).to_vec();
    ordered.sort();
    for limit in PAGE_LIMITS {
        let listed = listed(store, "acme", "account", limit).await;
        assert_eq!(listed, ordered, "with limit {limit}");
    }
}

/// Streams that came in one append are listed like any others.
pub async fn streams_of_one_append_are_all_listed<S: Store + ?Sized>(store: &Arc<S>) {
    let ids = ["c", "a", "b"];
    let entry = ids.iter().fold(Append::default(), |entry, id| {
        entry.and(stream(id), ExpectedVersion::NoStream, [event()])
    });
    append(store, entry).await;
    let listed = listed(store, "acme", "account", 2).await;
    assert_eq!(listed, ["a", "b", "c"].map(stream));
}

/// Tenants and types whose names begin alike, or sort between a name and its `/`, do not leak into each other.
pub async fn names_that_begin_alike_do_not_leak_into_each_other<S: Store + ?Sized>(store: &Arc<S>) {
    let tenants = ["a", "ab", "a-", "a!", "a0", "A", "b"];
    let types = ["b", "bc", "b-", "b!", "b0", "B", "a"];
    let ids = ["1", "10", "2"];
    for tenant in tenants {
        for aggregate_type in types {
            for id in ids {
                append_one(store, &stream_of(tenant, aggregate_type, id)).await;
            }
        }
    }
    for tenant in tenants {
        for aggregate_type in types {
            for limit in [1, 2, 1_000] {
                let listed = listed(store, tenant, aggregate_type, limit).await;
                let expected = ids.map(|id| stream_of(tenant, aggregate_type, id));
                assert_eq!(
                    listed, expected,
                    "of {tenant}/{aggregate_type}, limit {limit}"
                );
            }
        }
    }
    for (tenant, aggregate_type) in [("a", "x"), ("x", "b"), ("a", ""), ("", ""), ("a/b", "1")] {
        let listed = listed(store, tenant, aggregate_type, 10).await;
        assert_eq!(listed, [], "of {tenant:?} and {aggregate_type:?}");
    }
}

/// Listing goes on behind any id, whether there is such a stream or not.
pub async fn listing_goes_on_behind_any_id<S: Store + ?Sized>(store: &Arc<S>) {
    for id in ["b", "d", "f"] {
        append_one(store, &stream(id)).await;
        append_one(store, &stream_of("acme", "ledger", id)).await;
    }
    for (after, expected) in [
        ("a", &["b", "d", "f"][..]),
        ("b", &["d", "f"]),
        ("c", &["d", "f"]),
        ("d", &["f"]),
        ("f", &[]),
        ("g", &[]),
    ] {
        let after = stream(after);
        let listed = store
            .streams("acme", "account", Some(&after), 10)
            .await
            .unwrap();
        let expected: Vec<_> = expected.iter().map(stream).collect();
        assert_eq!(listed, expected, "behind {after}");
    }
}

/// A limit of zero lists nothing.
pub async fn a_limit_of_zero_lists_no_stream<S: Store + ?Sized>(store: &Arc<S>) {
    append_one(store, &stream(1)).await;
    let listed = store.streams("acme", "account", None, 0).await.unwrap();
    assert_eq!(listed, []);
}
