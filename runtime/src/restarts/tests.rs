use super::*;

fn restarts(restarts_max: usize) -> Restarts {
    let limits = RestartLimits {
        restarts_max,
        window: Duration::from_secs(60),
        backoff_max: Duration::from_secs(1),
    };
    Restarts::new(limits, Gauge::noop())
}

fn stream(id: usize) -> StreamId {
    StreamId::new("acme", "counter", &id.to_string()).unwrap()
}

const NOW: Timestamp = Timestamp::from_unix_micros(7);

fn wait_for(restarts: &Restarts, stream: &StreamId) -> Option<Duration> {
    match restarts.leave(stream) {
        Leave::Now => Some(Duration::ZERO),
        Leave::At(at) => Some(at - Instant::now()),
        Leave::No(_) => None,
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_restart_comes_at_once_and_each_further_one_twice_as_late_up_to_a_bound() {
    let restarts = restarts(10);
    let mut waits = Vec::new();
    for _ in 0..10 {
        restarts.failed(&stream(1), "panicked", NOW);
        waits.push(wait_for(&restarts, &stream(1)).unwrap().as_millis());
    }
    assert_eq!(waits, [0, 10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]);
    // Waited out, and another one is not concerned.
    assert_eq!(wait_for(&restarts, &stream(2)), Some(Duration::ZERO));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(wait_for(&restarts, &stream(1)), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn one_failure_more_than_restarts_within_the_window_parks_with_the_reason() {
    let restarts = restarts(3);
    for _ in 0..3 {
        restarts.failed(&stream(1), "panicked", NOW);
    }
    assert!(restarts.parked().is_empty());
    restarts.failed(&stream(1), "panicked for good", NOW);
    let Leave::No(parked) = restarts.leave(&stream(1)) else {
        panic!("it is not parked");
    };
    assert_eq!(*parked, restarts.parked()[0]);
    assert_eq!((parked.failures, parked.since), (4, NOW));
    assert_eq!(
        parked.to_string(),
        "aggregate acme/counter/1 is parked since 1970-01-01T00:00:00.000007Z after 4 failures, the last one: \
         panicked for good; mend the cause, then revive it (AggregateRef::revive)"
    );
    // Time alone does not bring it back.
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert!(matches!(restarts.leave(&stream(1)), Leave::No(_)));
    assert!(restarts.revive(&stream(1)));
    assert!(!restarts.revive(&stream(1)));
    assert_eq!(restarts.leave(&stream(1)), Leave::Now);
    assert!(restarts.parked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn failures_longer_ago_than_the_window_do_not_count() {
    let restarts = restarts(3);
    for _ in 0..20 {
        restarts.failed(&stream(1), "panicked", NOW);
        tokio::time::advance(Duration::from_secs(25)).await;
    }
    assert!(restarts.parked().is_empty());
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(restarts.leave(&stream(1)), Leave::Now);
    assert_eq!(
        restarts.troubled.load(Ordering::SeqCst),
        0,
        "it is forgotten"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_in_mind_is_bounded_and_a_parked_one_is_forgotten_last() {
    let restarts = restarts(0);
    restarts.failed(&stream(0), "panicked", NOW);
    tokio::time::advance(Duration::from_secs(1)).await;
    for id in 1..TROUBLED_MAX {
        restarts.failed(&stream(id), "panicked", NOW);
    }
    assert_eq!(restarts.parked().len(), TROUBLED_MAX);
    restarts.failed(&stream(TROUBLED_MAX), "panicked", NOW);
    assert_eq!(restarts.parked().len(), TROUBLED_MAX);
    assert_eq!(restarts.leave(&stream(0)), Leave::Now);
    assert!(matches!(restarts.leave(&stream(1)), Leave::No(_)));
}

#[test]
fn a_long_reason_is_cut_off_between_characters() {
    let long = "ä".repeat(1_000);
    assert_eq!(cut(&format!("x{long}")).len(), REASON_BYTES_MAX - 1);
    assert_eq!(cut("short"), "short");
}
