use std::future::Future;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;

use crate::failure::{Failure, fail};

/// Runs a program's work on as many threads as there are cores.
///
/// # Errors
/// What the work failed with.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(fail)?;
    // On the heap: it holds all that the program does.
    tokio.block_on(Box::pin(work))
}

/// Runs so many callers at the same time, each with its number from 0, and gives what they came to, in the order in
/// which they ended. The first that fails ends all.
///
/// # Errors
/// What the first one failed with.
pub async fn at_the_same_time<T, F>(
    callers: u32,
    mut call: impl FnMut(u32) -> F,
) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for caller in 0..callers {
        running.spawn(call(caller));
    }
    let mut outcomes = Vec::with_capacity(running.len());
    while let Some(joined) = running.join_next().await {
        outcomes.push(joined.map_err(fail)??);
    }
    Ok(outcomes)
}

/// How far it has come, on a terminal only: indicatif draws nothing where stderr is none.
///
/// # Errors
/// If `what` is no text for a template of indicatif's.
pub fn progress_bar(count: u64, what: &str) -> Result<ProgressBar, Failure> {
    let template = format!("{{bar:40}} {{pos}}/{{len}} {what}, {{per_sec}}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).map_err(fail)?;
    Ok(ProgressBar::new(count).with_style(style))
}
