use foldhouse::simulation::{Caller, Process, Random, Scenario, World};
use foldhouse::{Aggregate, AggregateRef, decode_event};
use foldhouse_aggregates::{
    Adjust, AdjustmentReason, InventoryItem, Quantity, Receive, Release, Reserve, Ship, StockLevels,
};

use super::{CAMPAIGN, SEEDS, check_coverage, run};

const ITEMS: u64 = 3;

/// Goods come in, are promised in baskets, and leave or do not.
struct Inventory;

#[derive(Clone, Debug)]
enum Operation {
    Receive {
        item: u64,
        quantity: u64,
    },
    /// Of all items that many, or of none; then what becomes of it.
    Basket {
        quantities: Vec<u64>,
        then: Then,
    },
    Count {
        item: u64,
        delta: i64,
        note: usize,
    },
    Ask {
        item: u64,
    },
}

#[derive(Clone, Copy, Debug)]
enum Then {
    Ship,
    Release,
    Keep,
}

impl Scenario for Inventory {
    type Operation = Operation;

    fn operation(&self, random: &mut Random) -> Operation {
        let item = random.number(0..=ITEMS - 1);
        match random.number(1..=10) {
            1..=3 => Operation::Receive {
                item,
                quantity: random.number(1..=9),
            },
            4 => Operation::Count {
                item,
                delta: 5 - i64::try_from(random.number(0..=9)).unwrap(),
                note: random.index(200),
            },
            5 => Operation::Ask { item },
            _ => Operation::Basket {
                quantities: (0..ITEMS).map(|_| random.number(0..=3)).collect(),
                then: *random
                    .pick(&[Then::Ship, Then::Ship, Then::Release, Then::Keep])
                    .unwrap(),
            },
        }
    }

    async fn perform(&self, operation: Operation, caller: &Caller) {
        let item = |id: u64| {
            caller
                .aggregate::<InventoryItem>("shop", &id.to_string())
                .unwrap()
        };
        match operation {
            Operation::Receive { item: id, quantity } => {
                let receive = Receive::new(Quantity::new(quantity));
                let _ = caller.send(&item(id), receive).await;
            }
            Operation::Count {
                item: id,
                delta,
                note,
            } => {
                let adjust =
                    Adjust::new(delta, AdjustmentReason::CycleCount).note("n".repeat(note));
                let _ = caller.send(&item(id), adjust).await;
            }
            Operation::Ask { item: id } => {
                let _ = caller.query(&item(id), InventoryItem::level).await;
            }
            Operation::Basket { quantities, then } => {
                let lines = (0..).zip(quantities).filter(|(_, quantity)| *quantity > 0);
                let lines = lines.map(|(id, quantity)| (item(id), Quantity::new(quantity)));
                fill(caller, lines.collect(), then).await;
            }
        }
    }

    async fn start(&self, process: &Process) {
        process.project(StockLevels).await.unwrap();
    }

    fn check(&self, world: &World<'_>) -> Result<(), String> {
        // Behind every event, not only in the end.
        for number in 0..ITEMS {
            let mut item = InventoryItem::default();
            let id = number.to_string();
            for event in world.events() {
                if event.stream.aggregate_id() != id {
                    continue;
                }
                let Some(decoded) = decode_event::<InventoryItem>(event) else {
                    continue;
                };
                item.apply(&decoded.map_err(|error| error.to_string())?);
                let promised: u64 = item
                    .reservations()
                    .map(|(_, quantity)| quantity.get())
                    .sum();
                if item.reserved() > item.on_hand() || promised != item.reserved().get() {
                    return Err(format!(
                        "item {id} is oversold behind position {}: {item:?}",
                        event.position
                    ));
                }
            }
        }
        Ok(())
    }
}

async fn fill(caller: &Caller, lines: Vec<(AggregateRef<InventoryItem>, Quantity)>, then: Then) {
    let reserve = lines
        .iter()
        .map(|(item, quantity)| item.step(Reserve::new(*quantity)));
    let Ok(reservations) = caller.transact(reserve.collect::<Vec<_>>()).await else {
        return;
    };
    let reserved = lines.iter().map(|(item, _)| item).zip(reservations);
    match then {
        Then::Ship => {
            let ship = reserved.map(|(item, reservation)| item.step(Ship::new(reservation)));
            let _ = caller.transact(ship.collect::<Vec<_>>()).await;
        }
        Then::Release => {
            let release = reserved.map(|(item, reservation)| item.step(Release::new(reservation)));
            let _ = caller.transact(release.collect::<Vec<_>>()).await;
        }
        Then::Keep => {}
    }
}

#[test]
fn nothing_is_ever_oversold_and_every_basket_is_whole_whatever_fails() {
    check_coverage(&run(Inventory, SEEDS));
}

#[test]
#[ignore = "a campaign of 50,000 seeds; takes minutes in release"]
fn nothing_is_oversold_in_the_campaign() {
    check_coverage(&run(Inventory, CAMPAIGN));
}
