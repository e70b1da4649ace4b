//! Process managers: what reacts to events with commands to other aggregates.
//!
//! # How
//! One instance of a process (an order, say) is an aggregate of its own. An `instance` is told of an input on its turn: an
//! event, the outcome of a command that it has sent, a timeout. What it comes to (its own events, the commands that it
//! wants sent, its timers) is recorded by one append, with how far it has been told. So an event that is read again is
//! known, however far back it is, and commands that are not sent yet are in the instance's state: an outbox.
//!
//! The `follower` reads all events in order and tells each to the instance that it concerns, and keeps how far it is in the
//! store. The `courier` sends what is in outboxes: one command of an instance after the other, under ids that are
//! recorded with them, so that a command which is sent again takes effect once.

mod command_kinds;
mod courier;
mod error;
mod follower;
mod input;
mod instance;
mod live;
mod reactions;
mod reference;
mod rows;
mod start;
mod tell;

use foldhouse_store::RecordedEvent;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::command_kinds::ProcessCommands;
pub use self::error::{ProcessError, StartProcessError};
pub use self::input::{Input, Settled};
pub use self::live::{ParkedInstance, ProcessStatus, StuckInstance};
pub use self::reactions::{
    COMMANDS_PER_REACTION_MAX, OUTBOX_COMMANDS_MAX, Reactions, STEP_NAME_BYTES_MAX,
};
pub use self::reference::{InstanceRef, ProcessRef, UnsettledCommand};
pub(crate) use self::start::start;
use crate::command::CommandContext;
use crate::event::Event;

/// What reacts to events with commands to other aggregates, over time: an order that reserves stock, debits the customer,
/// and gives the stock back if the debit is refused.
///
/// Everything here is pure, as an aggregate's `decide` and `apply` are: time comes in through the context, what happens
/// elsewhere through the input.
///
/// # Guarantees
/// - Each event that concerns an instance is told to it once, in the order of positions, over any number of restarts and
///   crashes; so are the outcome of each command that it sends, and each of its timeouts. What it comes to is recorded by
///   one append, in a stream of the instance's own (`tenant/NAME/key`).
/// - A command takes effect once. Its id follows from the input that it answers and is recorded before it is sent; it is
///   sent again until its outcome is recorded. The commands of one instance are sent one after the other, in the order in
///   which they were issued. The store remembers a limited number of command ids
///   ([`JournalOptions::commands_remembered`](crate::JournalOptions::commands_remembered)): a process that stands still
///   between a command's effect and the recording of its outcome, for as long as it takes others to send so many, may
///   send that one command twice.
/// - An instance that fails holds up no other; see [`ProcessRef::parked`] and [`ProcessRef::stuck`].
pub trait ProcessManager: Sized + Send + Sync + 'static {
    /// The stable name, the second part of its instances' stream ids, and the name under which it is kept how far it is.
    const NAME: &'static str;

    /// The version of the state's shape and of `apply`'s meaning, as
    /// [`Aggregate::STATE_SCHEMA`](crate::Aggregate::STATE_SCHEMA).
    const STATE_SCHEMA: u32 = 1;

    /// What an instance remembers. `Default` is an instance that was told of nothing yet.
    type State: Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// What changes the state.
    type Event: Event;

    /// Names every command that an instance may send, also those that only an earlier build sent and that may be on their
    /// way.
    fn commands(commands: &mut ProcessCommands);

    /// The key of the instance that an event concerns; `None` if it concerns none. The instance is of the event's tenant.
    /// The answer for an event must never change. Read its payload with [`decode_event`](crate::decode_event).
    fn key(event: &RecordedEvent) -> Option<String>;

    /// The state after an event of its own. It must accept every event that was ever recorded.
    fn apply(state: &mut Self::State, event: &Self::Event);

    /// What an instance does about an input.
    ///
    /// # Errors
    /// When it cannot deal with the input. An event is told again a few times, and then the instance is parked before it; the
    /// outcome of a command, and a timeout, are told again later and later.
    fn react(
        state: &Self::State,
        input: &Input<'_>,
        context: &CommandContext,
    ) -> Result<Reactions<Self>, ProcessError>;
}
