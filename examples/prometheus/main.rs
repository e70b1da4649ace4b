//! What foldhouse measures, as a page for Prometheus to scrape: some counters are incremented, and
//! `curl http://127.0.0.1:9464/metrics` shows what that takes. Try `--help`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program"
)]

mod page;

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use foldhouse::{
    Aggregate, Command, CommandContext, CommandError, Decided, Decision, Projection,
    ProjectionError, RecordedEvent, Runtime, Table,
};
use foldhouse_examples::{Directory, Failure, block_on, fail, open_store};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use page::Page;

/// Increments counters, and tells Prometheus what foldhouse measures meanwhile.
#[derive(Clone, Debug, Parser)]
#[command(name = "prometheus")]
struct Args {
    /// The port of this machine's own address to scrape; 0 for a free one.
    #[arg(long, default_value_t = 9464)]
    port: u16,
    /// How long the counters are incremented.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

const COUNTERS: u32 = 8;
const DEADLINE: Duration = Duration::from_secs(30);
/// Most of a request line and its headers.
const REQUEST_BYTES_MAX: usize = 8 * 1024;

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

struct Increment;

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("this would be a multiple of 100")]
struct RoundNumber;

impl Command for Increment {
    type Aggregate = Counter;
    type Reply = u64;
    type Rejection = RoundNumber;
    fn decide(&self, counter: &Counter, context: &CommandContext) -> Decided<Self> {
        let after = counter.0 + 1;
        // Now and then a rule says no, so that there is something to see; the next try is let through.
        if after.is_multiple_of(100) && context.command_id.as_u128().is_multiple_of(2) {
            return Err(RoundNumber);
        }
        Ok(Decision::event(CounterEvent::Added { by: 1 }, after))
    }
}

/// All that was ever counted.
struct Sum;

impl Projection for Sum {
    const NAME: &'static str = "sum";
    type Key = ();
    type Row = u64;

    fn apply(&self, _: &RecordedEvent, table: &mut Table<(), u64>) -> Result<(), ProjectionError> {
        table.update(&(), |sum| *sum += 1);
        Ok(())
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    match block_on(run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("prometheus: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    // The recorder before everything that measures: a handle that is made without one leads nowhere.
    let page = Page::default();
    metrics::set_global_recorder(page.clone()).map_err(fail)?;
    let address = (Ipv4Addr::LOCALHOST, args.port);
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    println!("http://{address}/metrics for {} s", args.seconds);
    let serving = tokio::spawn(serve(listener, page));
    work(Duration::from_secs(args.seconds)).await?;
    serving.abort();
    Ok(())
}

/// Answers every request with the page.
async fn serve(listener: TcpListener, page: Page) {
    while let Ok((connection, _)) = listener.accept().await {
        let page = page.clone();
        tokio::spawn(async move {
            // One that does not ask in time is no concern of the others.
            let answered = tokio::time::timeout(DEADLINE, answer(connection, &page)).await;
            if let Ok(Err(error)) = answered {
                eprintln!("a scrape was not answered: {error}");
            }
        });
    }
}

async fn answer(mut connection: TcpStream, page: &Page) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && request.len() < REQUEST_BYTES_MAX {
        if connection.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let page = page.render();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        page.len()
    );
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(page.as_bytes()).await?;
    connection.shutdown().await
}

/// Increments counters for a while, each from two callers, with a read model that follows.
async fn work(time: Duration) -> Result<(), Failure> {
    let directory = Directory::of(None, "prometheus")?;
    let store = open_store(directory.path())?;
    let runtime = Runtime::builder(store.clone())
        .start()
        .await
        .map_err(fail)?;
    let _sum = runtime.project(Sum).await.map_err(fail)?;
    let calls = (0..2 * COUNTERS).map(|caller| {
        let counter = runtime.aggregate::<Counter>("acme", &(caller % COUNTERS).to_string());
        async move {
            let counter = counter.map_err(fail)?;
            loop {
                match counter.send(Increment).await {
                    Ok(_) | Err(CommandError::Rejected(RoundNumber)) => {}
                    Err(error) => return Err::<(), _>(fail(error)),
                }
            }
        }
    });
    let mut calling = tokio::task::JoinSet::new();
    calls.for_each(|call| drop(calling.spawn(call)));
    // They end by themselves only if one fails.
    if let Ok(Some(ended)) = tokio::time::timeout(time, calling.join_next()).await {
        ended.map_err(fail)??;
    }
    calling.shutdown().await;
    runtime.shutdown(DEADLINE).await.map_err(fail)?;
    let closing = Arc::clone(&store);
    tokio::task::spawn_blocking(move || closing.close())
        .await
        .map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page says of a measure; `None` if it says nothing.
    fn value(page: &str, measure: &str) -> Option<f64> {
        let rest = |line: &str| line.strip_prefix(measure).map(str::to_owned);
        page.lines().find_map(rest)?.trim().parse().ok()
    }

    async fn scrape(address: std::net::SocketAddr) -> String {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        connection.write_all(request).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        let (head, page) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", page.len())));
        page.to_owned()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_page_shows_what_the_counters_take() {
        let page = Page::default();
        metrics::set_global_recorder(page.clone()).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, page));
        let working = tokio::spawn(work(DEADLINE));
        // What takes the longest to be seen: a scrape sees all that it rests on.
        let page = loop {
            let page = scrape(address).await;
            let rejections = value(&page, "foldhouse_rejections_total ");
            if rejections.is_some_and(|rejections| rejections > 0.0) || working.is_finished() {
                break page;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        working.abort();
        for measure in [
            "foldhouse_commands_total ",
            "foldhouse_rejections_total ",
            "foldhouse_hydrations_total ",
            "foldhouse_live_aggregates ",
            "foldhouse_frames_total ",
            "foldhouse_frame_write_seconds_sum ",
            "foldhouse_frame_bytes_sum ",
            "foldhouse_frame_events_sum ",
            "foldhouse_head_position ",
            "foldhouse_decide_seconds_count ",
        ] {
            let value = value(&page, measure);
            assert!(
                value.is_some_and(|value| value > 0.0),
                "{measure}{value:?}\n{page}"
            );
        }
        let lag = value(
            &page,
            "foldhouse_projection_lag_events{projection=\"sum\"} ",
        );
        assert!(lag.is_some(), "{page}");
        // Every event is of a command that was answered, or is about to be.
        let commands = value(&page, "foldhouse_commands_total ").unwrap();
        let head = value(&page, "foldhouse_head_position ").unwrap();
        assert!(head <= commands + f64::from(2 * COUNTERS), "{page}");
    }
}
