//! The quick start of the README: an aggregate, a command, a run, and the same state after a restart.
#![allow(clippy::print_stdout, reason = "a command-line program")]

use std::sync::Arc;
use std::time::Duration;

use foldhouse::{Aggregate, Command, CommandContext, Decided, Decision, JournalStore, Runtime};
use serde::{Deserialize, Serialize};

// --- definition
#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter(u64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum CounterEvent {
    Added { by: u64 },
}

impl Aggregate for Counter {
    const TYPE: &'static str = "counter";
    type Event = CounterEvent;
    fn apply(&mut self, CounterEvent::Added { by }: &CounterEvent) {
        self.0 += by;
    }
}

struct Increment(u64);

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("a counter does not go beyond 100, and it is at {0}")]
struct TooMuch(u64);

impl Command for Increment {
    type Aggregate = Counter;
    type Reply = u64;
    type Rejection = TooMuch;
    fn decide(&self, counter: &Counter, _: &CommandContext) -> Decided<Self> {
        let after = counter.0 + self.0;
        if after > 100 {
            return Err(TooMuch(counter.0));
        }
        Ok(Decision::event(CounterEvent::Added { by: self.0 }, after))
    }
}
// --- end of the definition

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir_in(".")?;
    for run in 1..=2 {
        let store = Arc::new(JournalStore::open(directory.path())?);
        let runtime = Runtime::builder(store.clone()).start().await?;
        let counter = runtime.aggregate::<Counter>("acme", "visits")?;
        let found = counter.query(|counter| counter.0).await?;
        let after = counter.send(Increment(40)).await?;
        println!("run {run}: found {found}, incremented to {after}");
        match counter.send(Increment(90)).await {
            Ok(after) => println!("run {run}: incremented to {after}"),
            Err(error) => println!("run {run}: {error}"),
        }
        runtime.shutdown(Duration::from_secs(10)).await?;
        store.close();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use foldhouse::testing::given;

    use super::*;

    #[test]
    fn a_counter_counts_up_to_100() {
        given::<Counter>([CounterEvent::Added { by: 90 }])
            .when(Increment(10))
            .then([CounterEvent::Added { by: 10 }])
            .then_reply(&100);
    }

    #[test]
    fn a_counter_does_not_go_beyond_100() {
        given::<Counter>([CounterEvent::Added { by: 90 }])
            .when(Increment(11))
            .then_rejected(&TooMuch(90));
    }
}
