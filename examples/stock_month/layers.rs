//! What the stock of an item must have cost: worked out once more from its movements alone, in the order in which they were.

use std::collections::VecDeque;

use foldhouse::Timestamp;
use foldhouse_aggregates::CostMethod;

/// The movements of an item.
#[derive(Debug, Default)]
pub(crate) struct Card {
    pub(crate) method: Option<CostMethod>,
    moved: Vec<Moved>,
}

#[derive(Clone, Copy, Debug)]
struct Moved {
    at: Timestamp,
    /// Below zero they left.
    quantity: i128,
    /// What those that came have cost.
    cost: i128,
}

impl Card {
    pub(crate) fn add(&mut self, at: Timestamp, quantity: i128, cost: i64) {
        self.moved.push(Moved {
            at,
            quantity,
            cost: cost.into(),
        });
    }

    /// The value of what is left; `None` if more left than was there.
    pub(crate) fn value(&self) -> Option<i128> {
        let mut moved = self.moved.clone();
        // Those of the same time as they were recorded.
        moved.sort_by_key(|moved| moved.at);
        let mut layers: VecDeque<(i128, i128)> = VecDeque::new();
        for Moved { quantity, cost, .. } in moved {
            if quantity >= 0 {
                match layers.back_mut() {
                    Some((count, value)) if self.joins(*count, *value, quantity, cost) => {
                        *count += quantity;
                        *value += cost;
                    }
                    _ => layers.push_back((quantity, cost)),
                }
                continue;
            }
            let mut left = -quantity;
            while left > 0 {
                let (count, value) = layers.front_mut()?;
                let taken = left.min(*count);
                // To the nearest cent.
                let part = (2 * *value * taken + *count) / (2 * *count);
                (*count, *value, left) = (*count - taken, *value - part, left - taken);
                if *count == 0 {
                    layers.pop_front();
                }
            }
        }
        Some(layers.iter().map(|(_, value)| value).sum())
    }

    /// The average has one layer; pieces that cost the same are one layer, too.
    fn joins(&self, count: i128, value: i128, more: i128, cost: i128) -> bool {
        self.method == Some(CostMethod::MovingAverage) || value * more == cost * count
    }
}
