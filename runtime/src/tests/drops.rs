//! What is the domain's may panic when it is dropped, wherever that is.

use super::held_store::{HeldStore, not_recorded};
use super::*;
use crate::*;
use serde::{Deserialize, Serialize};

/// Its clones panic when they are dropped.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tray {
    eggs: u64,
    #[serde(skip)]
    _copy: Option<GoesOff>,
}

/// Panics when it is dropped.
#[derive(Clone, Debug)]
struct GoesOff;

impl Drop for GoesOff {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "dropped");
    }
}

impl Clone for Tray {
    fn clone(&self) -> Self {
        Self {
            eggs: self.eggs,
            _copy: Some(GoesOff),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum TrayEvent {
    Filled {
        #[serde(skip)]
        by: Option<GoesOff>,
    },
}

impl Aggregate for Tray {
    const TYPE: &'static str = "tray";
    type Event = TrayEvent;

    fn apply(&mut self, _: &TrayEvent) {
        self.eggs += 1;
    }
}

/// Gives an event that panics when it is dropped, if told to.
struct Fill {
    goes_off: bool,
}

impl Command for Fill {
    type Aggregate = Tray;
    type Reply = ();
    type Rejection = Never;

    fn decide(&self, _: &Tray, _: &CommandContext) -> Decided<Self> {
        let by = self.goes_off.then(|| GoesOff);
        Ok(Decision::event(TrayEvent::Filled { by }, ()))
    }
}

/// Gives a reply that panics when it is dropped.
struct Show;

impl Command for Show {
    type Aggregate = Tray;
    type Reply = GoesOff;
    type Rejection = Never;

    fn decide(&self, _: &Tray, _: &CommandContext) -> Decided<Self> {
        Ok(Decision::event(TrayEvent::Filled { by: None }, GoesOff))
    }
}

const FILL: Fill = Fill { goes_off: false };

#[tokio::test]
async fn an_event_that_panics_when_it_is_dropped_leaves_no_aggregate_with_what_is_not_recorded() {
    let runtime = start(&HeldStore::new()).await;
    let [a, b] = ["a", "b"].map(|id| runtime.aggregate::<Tray>("acme", id).unwrap());
    a.send(FILL).await.unwrap();
    b.send(FILL).await.unwrap();
    let transaction = tokio::spawn({
        let runtime = runtime.clone();
        let steps = (a.step(FILL), b.step(Fill { goes_off: true }));
        async move { runtime.transact(steps).await }
    });
    assert!(transaction.await.unwrap_err().is_panic());
    for tray in [a, b] {
        assert_eq!(tray.query(|tray| tray.eggs).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_reply_that_panics_when_it_is_dropped_does_not_reach_the_stores_thread() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let tray = runtime.aggregate::<Tray>("acme", "1").unwrap();
    tray.send(FILL).await.unwrap();
    for is_dropped in [false, true] {
        store.hold();
        let submitted = store.submitted();
        let given_up = tokio::spawn({
            let tray = tray.clone();
            async move { tray.send(Show).await.map(drop) }
        });
        store.until_submitted(submitted + 1).await;
        given_up.abort();
        given_up.await.unwrap_err();
        if is_dropped {
            store.drop_one();
        } else {
            store.fail_one(not_recorded());
        }
        store.let_go();
        assert_eq!(tray.query(|tray| tray.eggs).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_snapshot_that_panics_when_it_is_dropped_does_not_reach_the_stores_thread() {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| builder.snapshot_every_events(2)).await;
    let tray = runtime.aggregate::<Tray>("acme", "1").unwrap();
    tray.send(FILL).await.unwrap();
    for is_dropped in [false, true] {
        store.hold();
        let submitted = store.submitted();
        let fails = tokio::spawn({
            let tray = tray.clone();
            async move { tray.send(FILL).await }
        });
        store.until_submitted(submitted + 1).await;
        if is_dropped {
            store.drop_one();
        } else {
            store.fail_one(not_recorded());
        }
        fails.await.unwrap().unwrap_err();
        store.let_go();
        assert_eq!(tray.query(|tray| tray.eggs).await.unwrap(), 1);
    }
}
