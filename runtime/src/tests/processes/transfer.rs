//! A process that moves money from one wallet to another, and gives it back if the other one refuses it.

use foldhouse_store::{RecordedEvent, StreamId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::*;

/// Asks for transfers.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Desk;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum DeskEvent {
    Asked { key: String, transfer: Transfer },
    Noticed { key: String },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Transfer {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) amount: u64,
}

impl Aggregate for Desk {
    const TYPE: &'static str = "desk";
    type Event = DeskEvent;
    fn apply(&mut self, _: &DeskEvent) {}
}

pub(super) struct Ask(pub(super) DeskEvent);

impl Command for Ask {
    type Aggregate = Desk;
    type Reply = ();
    type Rejection = Never;
    fn decide(&self, _: &Desk, _: &CommandContext) -> Decided<Self> {
        Ok(Decision::event(self.0.clone(), ()))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Wallet {
    pub(super) money: u64,
    pub(super) moved: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum WalletEvent {
    PaidIn(u64),
    PaidOut(u64),
}

impl Aggregate for Wallet {
    const TYPE: &'static str = "wallet";
    type Event = WalletEvent;
    fn apply(&mut self, event: &WalletEvent) {
        self.moved += 1;
        match event {
            WalletEvent::PaidIn(amount) => self.money += amount,
            WalletEvent::PaidOut(amount) => self.money -= amount,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the wallet does not do that")]
pub(super) struct Refused;

#[derive(Serialize, Deserialize)]
pub(super) struct PayIn {
    pub(super) amount: u64,
}

/// 13 is not taken, and 666 breaks everything.
impl Command for PayIn {
    type Aggregate = Wallet;
    type Reply = u64;
    type Rejection = Refused;
    fn decide(&self, wallet: &Wallet, _: &CommandContext) -> Decided<Self> {
        match self.amount {
            13 => Err(Refused),
            666 => panic!("it was told to panic"),
            amount => Ok(Decision::event(
                WalletEvent::PaidIn(amount),
                wallet.money + amount,
            )),
        }
    }
}

impl IdempotentCommand for PayIn {
    const NAME: &'static str = "pay-in";
}

#[derive(Serialize, Deserialize)]
pub(super) struct PayOut {
    pub(super) amount: u64,
}

impl Command for PayOut {
    type Aggregate = Wallet;
    type Reply = u64;
    type Rejection = Refused;
    fn decide(&self, wallet: &Wallet, _: &CommandContext) -> Decided<Self> {
        let left = wallet.money.checked_sub(self.amount).ok_or(Refused)?;
        Ok(Decision::event(WalletEvent::PaidOut(self.amount), left))
    }
}

impl IdempotentCommand for PayOut {
    const NAME: &'static str = "pay-out";
}

/// Gives back what the other wallet did not take.
#[derive(Serialize, Deserialize)]
pub(super) struct GiveBack {
    pub(super) amount: u64,
}

impl Command for GiveBack {
    type Aggregate = Wallet;
    type Reply = u64;
    type Rejection = Never;
    fn decide(&self, wallet: &Wallet, _: &CommandContext) -> Decided<Self> {
        let amount = self.amount;
        Ok(Decision::event(
            WalletEvent::PaidIn(amount),
            wallet.money + amount,
        ))
    }
}

impl IdempotentCommand for GiveBack {
    const NAME: &'static str = "give-back";
}

pub(super) struct Transfers;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) transfer: Transfer,
    pub(super) notes: Vec<Note>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Note {
    Began(Transfer),
    Noticed,
    Done { from_has: u64, to_has: u64 },
    Left { from_has: u64 },
    Refused,
    GivenBack,
    Late,
}

pub(super) fn wallet(id: &str) -> StreamId {
    StreamId::new("bank", Wallet::TYPE, id).unwrap()
}

impl ProcessManager for Transfers {
    const NAME: &'static str = "transfers";
    type State = State;
    type Event = Note;

    fn commands(commands: &mut ProcessCommands) {
        commands
            .sends::<PayIn>()
            .sends::<PayOut>()
            .sends::<GiveBack>();
    }

    fn key(event: &RecordedEvent) -> Option<String> {
        match decode_event::<Desk>(event)?.ok()? {
            DeskEvent::Asked { key, .. } | DeskEvent::Noticed { key } => Some(key),
        }
    }

    fn apply(state: &mut State, note: &Note) {
        if let Note::Began(transfer) = note {
            state.transfer = transfer.clone();
        }
        state.notes.push(note.clone());
    }

    fn react(
        state: &State,
        input: &Input<'_>,
        context: &CommandContext,
    ) -> Result<Reactions<Self>, ProcessError> {
        let Transfer { from, to, amount } = &state.transfer;
        let amount = *amount;
        let reactions = Reactions::none();
        Ok(match input {
            Input::Event(event) => match decode_event::<Desk>(event) {
                Some(Ok(DeskEvent::Asked { transfer, .. })) => {
                    if transfer.amount == 99 && !REPAIRED.load(std::sync::atomic::Ordering::SeqCst)
                    {
                        return Err(ProcessError::new("nobody has 99"));
                    }
                    let amount = transfer.amount;
                    let late = Timestamp::from_unix_micros(context.now.unix_micros() + 10_000_000);
                    reactions
                        .event(Note::Began(transfer.clone()))
                        .send("take", wallet(&transfer.from), PayOut { amount })
                        .timeout("late", late)
                }
                _ => reactions.event(Note::Noticed),
            },
            Input::Settled(settled) => match (settled.step(), settled.rejection()) {
                ("take", None) => reactions
                    .event(Note::Left {
                        from_has: settled.reply::<PayOut>()?,
                    })
                    .send("bring", wallet(to), PayIn { amount }),
                ("take", Some(_)) => reactions.event(Note::Refused).cancel_timeout("late"),
                ("bring", None) => {
                    let from_has = state.notes.iter().rev().find_map(|note| match note {
                        Note::Left { from_has } => Some(*from_has),
                        _ => None,
                    });
                    reactions
                        .event(Note::Done {
                            from_has: from_has.unwrap(),
                            to_has: settled.reply::<PayIn>()?,
                        })
                        .cancel_timeout("late")
                }
                ("bring", Some(_)) => {
                    reactions.send("give back", wallet(from), GiveBack { amount })
                }
                _ => reactions.event(Note::GivenBack).cancel_timeout("late"),
            },
            Input::Timeout(_) => reactions.event(Note::Late),
        })
    }
}

/// Whether an instance can deal with 99 by now.
pub(super) static REPAIRED: std::sync::atomic::AtomicBool =
    std::sync::atomic::AtomicBool::new(false);
