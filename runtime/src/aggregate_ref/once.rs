use tracing::Instrument;
use uuid::Uuid;

use super::{AggregateRef, note};
use crate::aggregate::Aggregate;
use crate::command_error::CommandError;
use crate::command_options::CommandOptions;
use crate::committed::Committed;
use crate::idempotent_command::IdempotentCommand;
use crate::once::{Fingerprint, First, Kept, NotFirst, first, recall};
use crate::outcome::{OutcomeError, settled_outcome};
use crate::refusal::{NotRecorded, Refusal};
use crate::work::CommandOutcome;

impl<A: Aggregate> AggregateRef<A> {
    /// Sends a command that takes effect once, however often it is sent with this id: also after a crash, a timeout, a
    /// restart or a lost reply. A retry gets the reply, the position and the version that the first one got.
    ///
    /// The id and the reply are recorded by the same append as the events, also if there are none. Only what is recorded
    /// is remembered: a command that was rejected or failed is decided anew when it is sent again. Two that are sent at the
    /// same moment take turns. What a retry gives along besides the command ([`CommandOptions`]) is not looked at: that of
    /// the first one counts.
    ///
    /// The store remembers the newest million ids, or as many as it is told to
    /// ([`JournalOptions::commands_remembered`](crate::JournalOptions::commands_remembered)); a retry that comes later
    /// than so many further ids is taken for a new command.
    ///
    /// `id` is the caller's, from what asks for the command (a message, a request, a row of a file), or a fresh one
    /// ([`Runtime::new_command_id`](crate::Runtime::new_command_id)) that it keeps until it has the answer. It must be
    /// unique over all commands and transactions of the store.
    ///
    /// # Errors
    /// As for [`AggregateRef::send`]; a retry is always safe. [`CommandError::CommandIdReused`]: another command was
    /// recorded under this id. [`CommandError::UnreadableReply`]: this one was, but its reply cannot be read any more.
    pub async fn send_once<C>(
        &self,
        command: C,
        id: Uuid,
    ) -> Result<C::Reply, CommandError<C::Rejection>>
    where
        C: IdempotentCommand<Aggregate = A>,
    {
        self.execute_once(command, id, CommandOptions::new())
            .await
            .map(|committed| committed.reply)
    }

    /// The same with facts to record, a choice to wait or not, or a deadline, and tells where its events stand. The id is
    /// `id`, whatever the options say.
    ///
    /// # Errors
    /// As for [`AggregateRef::send_once`].
    pub async fn execute_once<C>(
        &self,
        command: C,
        id: Uuid,
        options: impl Into<CommandOptions>,
    ) -> Result<Committed<C::Reply>, CommandError<C::Rejection>>
    where
        C: IdempotentCommand<Aggregate = A>,
    {
        let options = options.into();
        let span = self.command_span::<C>();
        if span.is_disabled() {
            let outcome = self.accept_once(command, id, options).await;
            self.slot.shared.meters.command(&outcome);
            return outcome;
        }
        let outcome = self
            .accept_once(command, id, options)
            .instrument(span.clone())
            .await;
        self.slot.shared.meters.command(&outcome);
        note(&span, &outcome);
        outcome
    }

    async fn accept_once<C>(
        &self,
        command: C,
        id: Uuid,
        options: CommandOptions,
    ) -> CommandOutcome<C>
    where
        C: IdempotentCommand<Aggregate = A>,
    {
        let failed = |error| CommandError::from_outcome(self.stream().clone(), error);
        let mut fingerprint = self.kind::<C>();
        if let Err(error) = fingerprint.add_content(&command) {
            let stream = self.stream().clone();
            return Err(CommandError::InvalidEvents { stream, error });
        }
        let fingerprint = fingerprint.finish();
        let shared = &self.slot.shared;
        let patience = options.patience();
        let refused = |refusal| CommandError::refused(self.stream(), refusal);
        let permit = self.admit(patience).await.map_err(refused)?;
        let claim = match first(shared, id, patience.until).await {
            Ok(First::Is(claim)) => claim,
            Ok(First::Was(recorded)) => return recorded.answers(fingerprint).map_err(failed),
            Err(NotFirst::Expired) => return Err(refused(Refusal::Expired)),
            Err(NotFirst::Unknown(error)) => return Err(failed(error)),
        };
        let kept = Kept { claim, fingerprint };
        let answered = self.hand_in(command, kept, options.meta, patience.until, permit);
        let outcome = self.answer::<C>(answered).await;
        match &outcome {
            // By another runtime, between the look and the append.
            Err(CommandError::NotRecorded {
                reason: NotRecorded::RecordedBefore,
                ..
            }) => match recall(&*shared.store, id).await.map_err(failed)? {
                Some(recorded) => recorded.answers(fingerprint).map_err(failed),
                None => outcome,
            },
            _ => outcome,
        }
    }

    /// What the command that was sent to this aggregate with [`AggregateRef::send_once`] under this id came to: `None` if
    /// nothing was recorded under it, or it is not remembered any more. One that is on its way in this runtime is waited
    /// for, so that `None` stays true until somebody sends it again.
    ///
    /// # Errors
    /// See [`OutcomeError`].
    pub async fn outcome<C>(&self, id: Uuid) -> Result<Option<Committed<C::Reply>>, OutcomeError>
    where
        C: IdempotentCommand<Aggregate = A>,
    {
        let recorded = settled_outcome(&self.slot.shared, id).await?;
        recorded
            .map(|recorded| recorded.answers_kind(&self.kind::<C>()))
            .transpose()
    }

    /// The fingerprint of a command, without what it says.
    fn kind<C: IdempotentCommand<Aggregate = A>>(&self) -> Fingerprint {
        let mut fingerprint = Fingerprint::of_command();
        fingerprint.add_address(self.stream(), C::NAME);
        fingerprint
    }
}
