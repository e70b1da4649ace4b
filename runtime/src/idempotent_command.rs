use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::command::Command;

/// A command that can be sent again under its id and takes effect once; see
/// [`AggregateRef::send_once`](crate::AggregateRef::send_once).
///
/// Its reply is recorded with its events, so that a retry gets the same one. What it asks for is recorded as a hash of
/// its MessagePack, so that another command under the same id is told from a retry. The serialisation must therefore be
/// the same whenever the same command is sent again, also by another process or a later build: no `HashMap` or `HashSet`
/// (their order differs from one to the next; take a `BTreeMap`), no time of sending, no fresh id. The reply must stay
/// readable for as long as retries come: a new field takes `#[serde(default)]`.
///
/// ```
/// # use foldhouse::*;
/// # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
/// # struct Counter(u64);
/// # #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
/// # enum CounterEvent { Added { by: u64 } }
/// # impl Aggregate for Counter {
/// #     const TYPE: &'static str = "counter";
/// #     type Event = CounterEvent;
/// #     fn apply(&mut self, CounterEvent::Added { by }: &CounterEvent) { self.0 += by; }
/// # }
/// #[derive(serde::Serialize)]
/// struct Increment {
///     by: u64,
/// }
///
/// impl Command for Increment {
///     type Aggregate = Counter;
///     type Reply = u64;
///     type Rejection = Never;
///     fn decide(&self, counter: &Counter, _: &CommandContext) -> Decided<Self> {
///         Ok(Decision::event(CounterEvent::Added { by: self.by }, counter.0 + self.by))
///     }
/// }
///
/// impl IdempotentCommand for Increment {
///     const NAME: &'static str = "increment";
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder(std::sync::Arc::new(MemoryStore::new())).start().await?;
/// let visits = runtime.aggregate::<Counter>("acme", "visits")?;
/// let id = runtime.new_command_id(); // to be kept until the answer is there
///
/// assert_eq!(visits.send_once(Increment { by: 40 }, id).await?, 40);
/// assert_eq!(visits.send_once(Increment { by: 40 }, id).await?, 40); // the same reply, and nothing is added
/// assert_eq!(visits.query(|counter| counter.0).await?, 40);
///
/// let other = visits.send_once(Increment { by: 2 }, id).await;
/// assert!(matches!(other, Err(CommandError::CommandIdReused { .. })));
/// # Ok(())
/// # }
/// ```
pub trait IdempotentCommand: Command<Reply: Serialize + DeserializeOwned> + Serialize {
    /// The command's stable name, one for each command of an aggregate. Under another name a retry is taken for another
    /// command.
    const NAME: &'static str;
}
