//! What an adversary would try with transactions.

use super::counter::*;
use super::transactions::{at, over_memory};
use crate::*;

#[tokio::test]
async fn a_step_for_another_runtime_is_refused_also_if_its_stream_is_one_of_ours() {
    let (store, runtime) = over_memory().await;
    let (_store, other) = over_memory().await;
    for [one, two] in [[&runtime, &other], [&other, &runtime]] {
        let steps = (at(one, "a").step(Add(1)), at(two, "a").step(Add(1)));
        let error = runtime.transact(steps).await.unwrap_err();
        assert!(
            matches!(error, TransactionError::OtherRuntime { .. }),
            "{error}"
        );
    }
    assert_eq!(store.head(), Position::BEFORE_FIRST);
}
