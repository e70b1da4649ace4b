//! What holds after any sequence of commands, whatever they are.

mod kept;

use std::collections::BTreeMap;

use foldhouse::{Aggregate, Command, CommandContext, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// A command; a reservation is named by its place among those ever made.
#[derive(Clone, Debug)]
enum AnyCommand {
    Receive(u64),
    Reserve(u64),
    Release(usize),
    Ship(usize),
    Adjust(i64),
}

fn any_commands() -> impl Strategy<Value = Vec<AnyCommand>> {
    let quantity = || prop_oneof![12 => 1u64..50, 1 => Just(0), 1 => u64::MAX - 50..=u64::MAX];
    let delta = prop_oneof![12 => -50i64..50, 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
    let command = prop_oneof![
        3 => quantity().prop_map(AnyCommand::Receive),
        6 => quantity().prop_map(AnyCommand::Reserve),
        2 => (0usize..20).prop_map(AnyCommand::Release),
        2 => (0usize..20).prop_map(AnyCommand::Ship),
        2 => delta.prop_map(AnyCommand::Adjust),
    ];
    prop::collection::vec(command, 0..80)
}

/// An item, its history, and every reservation that was ever made.
#[derive(Default)]
struct Played {
    item: InventoryItem,
    history: Vec<InventoryEvent>,
    made: Vec<ReservationId>,
    commands: u128,
}

impl Played {
    /// Decides the command and applies its events; the stock that its reply tells, or `None` if it is rejected.
    fn decide(&mut self, command: &AnyCommand) -> Option<Option<StockLevel>> {
        let named = |index: usize| {
            let nobody = ReservationId::from_uuid(Uuid::nil());
            self.made.get(index).copied().unwrap_or(nobody)
        };
        match *command {
            AnyCommand::Receive(count) => self.run(&Receive::new(Quantity::new(count))).map(Some),
            AnyCommand::Reserve(count) => {
                let reservation = self.run(&Reserve::new(Quantity::new(count)))?;
                self.made.push(reservation);
                Some(None)
            }
            AnyCommand::Release(index) => self.run(&Release::new(named(index))).map(Some),
            AnyCommand::Ship(index) => self.run(&Ship::new(named(index))).map(Some),
            AnyCommand::Adjust(delta) => self
                .run(&Adjust::new(delta, AdjustmentReason::CycleCount))
                .map(Some),
        }
    }

    fn run<C: Command<Aggregate = InventoryItem>>(&mut self, command: &C) -> Option<C::Reply> {
        self.commands += 1;
        let command_id = Uuid::from_u128(self.commands);
        let context = CommandContext::new(Timestamp::from_unix_micros(0), command_id);
        let decision = command.decide(&self.item, &context).ok()?;
        for event in &decision.events {
            self.item.apply(event);
        }
        self.history.extend(decision.events);
        Some(decision.reply)
    }

    fn all(commands: &[AnyCommand]) -> Self {
        let mut played = Self::default();
        for command in commands {
            let _ = played.decide(command);
        }
        played
    }
}

fn replay(history: &[InventoryEvent]) -> InventoryItem {
    let mut item = InventoryItem::default();
    history.iter().for_each(|event| item.apply(event));
    item
}

/// On hand and the open reservations, worked out independently of the aggregate.
fn recount(history: &[InventoryEvent]) -> (i128, BTreeMap<ReservationId, i128>) {
    let mut on_hand = 0;
    let mut open = BTreeMap::new();
    for event in history {
        match event.clone() {
            InventoryEvent::Received { quantity, .. } => on_hand += i128::from(quantity.get()),
            InventoryEvent::Reserved {
                reservation,
                quantity,
                ..
            } => {
                let before = open.insert(reservation, i128::from(quantity.get()));
                assert_eq!(before, None, "a reservation is made once");
            }
            InventoryEvent::ExpirySet { reservation, .. } => {
                assert!(open.contains_key(&reservation), "only what is open can end");
            }
            InventoryEvent::Released {
                reservation,
                quantity,
                ..
            }
            | InventoryEvent::Expired {
                reservation,
                quantity,
                ..
            } => {
                let held = open.remove(&reservation);
                assert_eq!(held, Some(i128::from(quantity.get())));
            }
            InventoryEvent::Shipped {
                reservation,
                quantity,
                ..
            } => {
                let held = open.remove(&reservation);
                assert_eq!(held, Some(i128::from(quantity.get())));
                on_hand -= i128::from(quantity.get());
            }
            InventoryEvent::Adjusted { delta, .. } => on_hand += i128::from(delta),
            other => panic!("no command here records {other:?}"),
        }
    }
    (on_hand, open)
}

proptest! {
    #[test]
    fn nothing_is_ever_oversold_and_the_figures_are_what_a_recount_gives(
        commands in any_commands(),
    ) {
        let mut played = Played::default();
        for command in &commands {
            let Some(told) = played.decide(command) else { continue };
            let (on_hand, open) = recount(&played.history);
            let reserved: i128 = open.values().sum();
            let item = &played.item;
            prop_assert_eq!(i128::from(item.on_hand().get()), on_hand);
            prop_assert_eq!(i128::from(item.reserved().get()), reserved);
            prop_assert!(on_hand - reserved >= 0);
            prop_assert_eq!(i128::from(item.available().get()), on_hand - reserved);
            let held: BTreeMap<_, _> = item
                .reservations()
                .map(|(reservation, held)| (reservation, i128::from(held.get())))
                .collect();
            prop_assert_eq!(held, open);
            if let Some(told) = told {
                prop_assert_eq!(told, item.level());
            }
        }
    }

    #[test]
    fn a_quantity_is_reserved_exactly_when_it_is_available(
        commands in any_commands(),
        count in 0u64..100,
    ) {
        let mut played = Played::all(&commands);
        let available = played.item.available().get();
        let accepted = played.decide(&AnyCommand::Reserve(count)).is_some();
        prop_assert_eq!(accepted, (1..=available).contains(&count));
    }

    #[test]
    fn a_rejected_command_leaves_the_item_as_it_was(commands in any_commands()) {
        let mut played = Played::default();
        for command in &commands {
            let (before, events) = (played.item.clone(), played.history.len());
            match played.decide(command) {
                Some(_) => {
                    prop_assert_eq!(played.history.len(), events + 1);
                    prop_assert_ne!(&played.item, &before);
                }
                None => {
                    prop_assert_eq!(played.history.len(), events);
                    prop_assert_eq!(&played.item, &before);
                }
            }
        }
    }

    #[test]
    fn replaying_the_recorded_bytes_gives_the_same_item(commands in any_commands()) {
        let played = Played::all(&commands);
        let read_back: Vec<InventoryEvent> = played
            .history
            .iter()
            .map(|event| rmp_serde::from_slice(&rmp_serde::to_vec_named(event).unwrap()).unwrap())
            .collect();
        prop_assert_eq!(&read_back, &played.history);
        prop_assert_eq!(replay(&read_back), played.item);
    }

    #[test]
    fn an_item_goes_on_from_a_snapshot_as_if_there_were_none(
        commands in any_commands(),
        cut in any::<prop::sample::Index>(),
    ) {
        let played = Played::all(&commands);
        let (head, tail) = played.history.split_at(cut.index(played.history.len() + 1));
        let compact = rmp_serde::to_vec(&replay(head)).unwrap();
        let named = rmp_serde::to_vec_named(&replay(head)).unwrap();
        for bytes in [compact, named] {
            let mut resumed: InventoryItem = rmp_serde::from_slice(&bytes).unwrap();
            tail.iter().for_each(|event| resumed.apply(event));
            prop_assert_eq!(&resumed, &played.item);
        }
    }

    #[test]
    fn the_row_of_the_read_model_agrees_with_the_item(commands in any_commands()) {
        let played = Played::all(&commands);
        let mut row = StockLevel::default();
        played.history.iter().for_each(|event| row.apply(event));
        prop_assert_eq!(row, played.item.level());
        prop_assert_eq!(row.available(), played.item.available());
    }
}
