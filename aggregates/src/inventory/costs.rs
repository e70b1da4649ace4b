use std::collections::VecDeque;

use foldhouse::Timestamp;
use serde::{Deserialize, Serialize};

use super::quantity::Quantity;
use super::terms::CostMethod;

/// The most layers of different cost that one item may have on hand.
pub const COST_LAYERS_MAX: usize = 10_000;

/// What the goods on hand have cost, to the minor unit: whatever leaves takes its part of the value, and the last piece
/// takes what is left, so that the values of what came, left and stayed always add up.
///
/// By first in, first out there is a layer for each cost; by moving average there is one for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CostBook {
    layers: VecDeque<Layer>,
    value: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Layer {
    quantity: Quantity,
    value: i64,
}

impl Layer {
    /// What a part of it has cost, to the nearest minor unit.
    fn part(self, quantity: Quantity) -> i64 {
        if quantity >= self.quantity {
            return self.value;
        }
        share(self.value, quantity, self.quantity.get().into()).unwrap_or(self.value)
    }

    /// Whether each piece has cost the same as in the other, exactly.
    fn costs_as(self, other: Self) -> bool {
        let across = |one: Self, two: Self| {
            i128::from(one.value).checked_mul(i128::from(two.quantity.get()))
        };
        across(self, other).is_some_and(|product| Some(product) == across(other, self))
    }
}

/// What so many have cost, to the nearest minor unit, if `whole` have cost `value`, which is never negative.
///
/// 63 bits by 64 and by two are fewer than 128.
fn share(value: i64, quantity: Quantity, whole: u128) -> Option<i64> {
    let product = u128::from(value.unsigned_abs()).checked_mul(quantity.get().into())?;
    let doubled = product.checked_mul(2)?.checked_add(whole)?;
    let rounded = doubled.checked_div(whole.checked_mul(2)?)?;
    i64::try_from(rounded).ok()
}

impl CostBook {
    /// What all on hand have cost.
    pub(super) fn value(&self) -> i64 {
        self.value
    }

    pub(super) fn has_room(&self) -> bool {
        self.layers.len() < COST_LAYERS_MAX
    }

    /// Whether the value could be counted with so much more.
    pub(super) fn can_take(&self, value: i64) -> bool {
        self.value.checked_add(value).is_some()
    }

    /// What the next so many to leave have cost; `None` if there are not so many.
    pub(super) fn cost_of(&self, quantity: Quantity) -> Option<i64> {
        let (mut left, mut cost) = (quantity, 0i64);
        for layer in &self.layers {
            if left.is_zero() {
                break;
            }
            let taken = left.min(layer.quantity);
            cost = cost.saturating_add(layer.part(taken));
            left = left.saturating_sub(taken);
        }
        left.is_zero().then_some(cost)
    }

    /// What so many more cost if each costs what those on hand do on average; `None` if there is nothing on hand.
    pub(super) fn at_average(&self, quantity: Quantity) -> Option<i64> {
        let on_hand = self.layers.iter().fold(0u128, |sum, layer| {
            sum.saturating_add(layer.quantity.get().into())
        });
        if on_hand == 0 {
            return None;
        }
        share(self.value, quantity, on_hand)
    }

    pub(super) fn receive(&mut self, method: CostMethod, quantity: Quantity, value: i64) {
        let new = Layer { quantity, value };
        let merges = |last: &Layer| method == CostMethod::MovingAverage || last.costs_as(new);
        self.value = self.value.saturating_add(value);
        match self.layers.back_mut().filter(|last| merges(last)) {
            Some(last) => {
                last.quantity = last.quantity.saturating_add(quantity);
                last.value = last.value.saturating_add(value);
            }
            None => self.layers.push_back(new),
        }
    }

    /// Takes the next so many away, as far as they are there. Gives what they have cost.
    pub(super) fn issue(&mut self, quantity: Quantity) -> i64 {
        let (mut left, mut cost) = (quantity, 0i64);
        while let Some(layer) = self.layers.front_mut().filter(|_| !left.is_zero()) {
            let taken = left.min(layer.quantity);
            let part = layer.part(taken);
            cost = cost.saturating_add(part);
            layer.quantity = layer.quantity.saturating_sub(taken);
            layer.value = layer.value.saturating_sub(part);
            left = left.saturating_sub(taken);
            if layer.quantity.is_zero() {
                self.layers.pop_front();
            }
        }
        self.value = self.value.saturating_sub(cost);
        cost
    }
}

/// What moved in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Flow {
    /// So many came, and have cost this.
    In(Quantity, i64),
    /// So many left.
    Out(Quantity),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Movement {
    at: Timestamp,
    flow: Flow,
    /// What it has cost; of what left, as it was last worked out.
    cost: i64,
}

/// The costs of an item whose movements may be recorded late: the last movements are kept, and the costs before them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Costs {
    pub(super) now: CostBook,
    /// When the last movement was.
    last: Option<Timestamp>,
    /// The costs before `recent`, and when the last movement was that is in them and not in `recent`.
    before: CostBook,
    before_at: Option<Timestamp>,
    recent: VecDeque<Movement>,
}

/// What a movement comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// What it has cost.
    pub(super) cost: i64,
    /// How much more those that left later have cost because of it, and how many they are.
    pub(super) later: Option<(i64, u32)>,
}

/// Why a movement cannot be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// Movements may not be late, or not as late.
    TooLate {
        /// When the last movement was.
        at: Timestamp,
    },
    /// There was not so much on hand then.
    NotOnHandThen,
}

impl Costs {
    /// When a movement is, for which nobody has said when: never before the last one.
    pub(super) fn not_before_last(&self, now: Timestamp) -> Timestamp {
        self.last.map_or(now, |last| last.max(now))
    }

    /// What a movement would come to. It takes the place of its time: behind those of the same time.
    pub(super) fn place(
        &self,
        method: CostMethod,
        at: Timestamp,
        flow: Flow,
        later_max: usize,
    ) -> Result<Placed, NoPlace> {
        if self.last.is_none_or(|last| last <= at) {
            let cost = match flow {
                Flow::In(_, value) => value,
                Flow::Out(quantity) => self.now.cost_of(quantity).ok_or(NoPlace::NotOnHandThen)?,
            };
            return Ok(Placed { cost, later: None });
        }
        let index = self.recent.partition_point(|movement| movement.at <= at);
        let later = self.recent.len().saturating_sub(index);
        // What is before the kept ones is not known one by one.
        let is_known = self.before_at.is_none_or(|before| before <= at);
        if later > later_max || later == 0 || !is_known {
            let at = self.last.unwrap_or(at);
            return Err(NoPlace::TooLate { at });
        }
        let mut placed = self.clone();
        placed.insert(method, index, Movement { at, flow, cost: 0 })
    }

    /// Takes a movement in. Whatever the history says is accepted; none that was decided here comes to a quantity that is
    /// not there.
    pub(super) fn take(&mut self, method: CostMethod, at: Timestamp, flow: Flow, later_max: usize) {
        let mut movement = Movement { at, flow, cost: 0 };
        if later_max == 0 {
            self.keep_none();
            self.last = Some(self.not_before_last(at));
            run(&mut self.now, method, flow);
            return;
        }
        if self.recent.is_empty() {
            self.before = self.now.clone();
            self.before_at = self.last;
        }
        if self.last.is_none_or(|last| last <= at) {
            self.last = Some(at);
            movement.cost = run(&mut self.now, method, flow);
            self.recent.push_back(movement);
        } else {
            let index = self.recent.partition_point(|movement| movement.at <= at);
            // What does not come to so much is taken as far as it is there.
            let _ = self.insert(method, index, movement);
        }
        while self.recent.len() > later_max {
            if let Some(oldest) = self.recent.pop_front() {
                run(&mut self.before, method, oldest.flow);
                self.before_at = Some(oldest.at);
            }
        }
    }

    /// Keeps no movement: whatever comes next is behind all of them.
    fn keep_none(&mut self) {
        self.recent.clear();
        self.before = CostBook::default();
        self.before_at = None;
    }

    /// Costs are kept in another way from now on, of nothing that is on hand. No movement is before the last one.
    pub(super) fn begin_anew(&mut self) {
        self.keep_none();
        self.now = CostBook::default();
    }

    /// Works out anew what comes behind a late movement.
    fn insert(
        &mut self,
        method: CostMethod,
        index: usize,
        movement: Movement,
    ) -> Result<Placed, NoPlace> {
        self.recent.insert(index, movement);
        let mut book = self.before.clone();
        let (mut changed, mut later, mut cost) = (0i64, 0u32, 0i64);
        let mut is_there = true;
        for (place, movement) in self.recent.iter_mut().enumerate() {
            if let Flow::Out(quantity) = movement.flow {
                is_there &= book.cost_of(quantity).is_some();
            }
            let now = run(&mut book, method, movement.flow);
            if place == index {
                cost = now;
            } else if now != movement.cost {
                changed = changed.saturating_add(now.saturating_sub(movement.cost));
            }
            later = later.saturating_add(u32::from(place > index));
            movement.cost = now;
        }
        self.now = book;
        let later = (changed != 0).then_some((changed, later));
        match is_there {
            true => Ok(Placed { cost, later }),
            false => Err(NoPlace::NotOnHandThen),
        }
    }
}

fn run(book: &mut CostBook, method: CostMethod, flow: Flow) -> i64 {
    match flow {
        Flow::In(quantity, value) => {
            book.receive(method, quantity, value);
            value
        }
        Flow::Out(quantity) => book.issue(quantity),
    }
}
