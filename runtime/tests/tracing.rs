//! In a process of its own: who listens to tracing is decided for the whole process.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::format::FmtSpan;

use foldhouse::{Aggregate, Command, CommandContext, Decided, Decision, MemoryStore, Runtime};
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter(u64);

#[derive(Clone, Debug, Serialize, Deserialize)]
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

struct Add(u64);

#[derive(Debug, thiserror::Error)]
#[error("that is all it can count")]
struct Full;

impl Command for Add {
    type Aggregate = Counter;
    type Reply = u64;
    type Rejection = Full;

    fn decide(&self, counter: &Counter, _: &CommandContext) -> Decided<Self> {
        match counter.0 + self.0 {
            after @ ..=100 => Ok(Decision::event(CounterEvent::Added { by: self.0 }, after)),
            _ => Err(Full),
        }
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_command_has_a_span_that_names_stream_command_version_and_position() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _listening = tracing::subscriber::set_default(subscriber);
    let runtime = Runtime::builder(Arc::new(MemoryStore::new()))
        .start()
        .await
        .unwrap();
    let counter = runtime.aggregate::<Counter>("acme", "7").unwrap();
    counter.send(Add(3)).await.unwrap();
    counter.send(Add(98)).await.unwrap_err();
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let names = "command{stream=acme/counter/7 command=\"tracing::Add\"";
    assert!(
        text.contains(&format!("{names} version=1 position=1}}")),
        "{text}"
    );
    assert!(text.contains("that is all it can count"), "{text}");
}
