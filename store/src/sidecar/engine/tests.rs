use super::super::tests::{open, try_open};
use super::super::{OpenOutcome, Sidecar};
use super::*;

#[test]
fn a_panic_in_the_engine_is_a_fault_and_nothing_more_is_asked_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar: Sidecar = open(directory.path());
    let engine = &sidecar.engine;
    let fault = engine
        .guarded::<()>("read", |_| panic!("key {} is odd", 7))
        .unwrap_err();
    assert!(fault.to_string().contains("key 7 is odd"), "{fault}");
    assert!(engine.get(Table::Meta, b"identity").is_err());
    assert!(engine.put(Table::Meta, b"k", b"v").is_err());
    assert!(engine.flush().is_err());
    drop(sidecar);
    let (_, outcome) = try_open(directory.path()).unwrap();
    assert!(matches!(outcome, OpenOutcome::MovedAside { .. }));
}

#[test]
fn a_flush_that_hangs_is_given_up_and_the_next_open_is_not_in_its_way() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar: Sidecar = open(directory.path());
    let (let_go, hanging) = sync_channel::<()>(0);
    let flush = move |database: &Db| {
        // Until the test ends.
        let _ = hanging.recv();
        database.flush()
    };
    let limit = Duration::from_millis(10);
    let fault = sidecar.engine.flush_within(limit, flush).unwrap_err();
    assert!(fault.to_string().contains("reopen the store"), "{fault}");
    assert!(sidecar.engine.get(Table::Meta, b"identity").is_err());
    drop(sidecar);
    let (_, outcome) = try_open(directory.path()).unwrap();
    assert!(matches!(outcome, OpenOutcome::MovedAside { .. }));
    drop(let_go);
}
