use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use foldhouse::Timestamp;
use foldhouse_examples::{Columns, Failure, Findings, read_csv};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;

use super::args::Args;

const DAY_MICROS: i64 = 86_400_000_000;
/// The most lines of a basket: all are reserved by one transaction.
const LINES_MAX: usize = foldhouse::TRANSACTION_AGGREGATES_MAX;
const COLUMNS: Columns = Columns {
    needed: &[
        "basket_id",
        "timestamp",
        "product_id",
        "quantity",
        "sales_minor",
    ],
    expected: "basket_id, timestamp, product_id, quantity and sales_minor, one row for each line of a basket",
};

/// The sales of a month, day by day.
#[derive(Debug, Default)]
pub(crate) struct Month {
    /// By day since 1970.
    pub(crate) days: BTreeMap<i64, Vec<Basket>>,
    /// Rows that make no sense, and rows beyond the month or in baskets that are too large.
    pub(crate) left_out: u64,
}

/// What was sold together.
#[derive(Clone, Debug)]
pub(crate) struct Basket {
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    pub(crate) lines: Vec<Line>,
}

#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) product: String,
    pub(crate) quantity: u64,
    /// What one was sold for, about, in cents.
    pub(crate) price_cents: i64,
}

#[derive(Debug, Deserialize)]
struct Row {
    basket_id: String,
    timestamp: String,
    product_id: String,
    quantity: u64,
    sales_minor: i64,
}

impl Month {
    /// The sales of so many days of a file.
    pub(crate) fn of_file(path: &Path, days: u32) -> Result<Self, Failure> {
        let mut month = Self::default();
        let mut baskets: BTreeMap<String, Basket> = BTreeMap::new();
        let mut told = Findings::new("row left out");
        read_csv(path, COLUMNS, |line, row: Result<Row, String>| match row {
            Ok(row) if row.quantity > 0 && !row.product_id.contains(['@', '/']) => {
                let Ok(at) = row.timestamp.parse::<DateTime<Utc>>() else {
                    month.left_out += 1;
                    told.add(|| format!("line {line}: timestamp {:?}", row.timestamp));
                    return;
                };
                let basket = baskets.entry(row.basket_id.clone());
                let basket = basket.or_insert_with(|| Basket {
                    id: row.basket_id,
                    at: Timestamp::from(at),
                    lines: Vec::new(),
                });
                let quantity = i64::try_from(row.quantity).unwrap_or(i64::MAX);
                basket.lines.push(Line {
                    product: row.product_id,
                    quantity: row.quantity,
                    price_cents: (row.sales_minor / quantity).max(1),
                });
            }
            Ok(row) => {
                month.left_out += 1;
                told.add(|| {
                    let Row {
                        product_id,
                        quantity,
                        ..
                    } = row;
                    format!("line {line}: {quantity} of product {product_id:?} cannot be sold")
                });
            }
            Err(what) => {
                month.left_out += 1;
                told.add(|| format!("line {line}: {what}"));
            }
        })
        .map_err(|error| Failure::Usage(error.to_string()))?;
        month.take(baskets.into_values().collect(), days);
        Ok(month)
    }

    /// Baskets of a few of two hundred products, of which the first ones sell best.
    pub(crate) fn made_up(args: &Args) -> Result<Self, Failure> {
        let mut random = StdRng::seed_from_u64(args.seed);
        let new_year = 1_483_228_800_000_000;
        let span = i64::from(args.days) * DAY_MICROS;
        let mut baskets = Vec::new();
        for number in 0..args.baskets {
            let lines = (0..random.random_range(1..12)).map(|_| {
                let product = random.random_range(0..200u64) * random.random_range(1..200) / 200;
                Line {
                    product: format!("product-{product}"),
                    quantity: random.random_range(1..6),
                    price_cents: 100 + i64::try_from(product % 37).unwrap_or(0) * 13,
                }
            });
            let lines = lines.collect();
            let at = new_year + span * i64::from(number) / i64::from(args.baskets);
            baskets.push(Basket {
                id: format!("basket-{number}"),
                at: Timestamp::from_unix_micros(at),
                lines,
            });
        }
        let mut month = Self::default();
        month.take(baskets, args.days);
        Ok(month)
    }

    fn take(&mut self, mut baskets: Vec<Basket>, days: u32) {
        baskets.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        let first = baskets.first().map_or(0, |basket| day_of(basket.at));
        for basket in baskets {
            let day = day_of(basket.at);
            if day - first >= i64::from(days) || basket.lines.len() > LINES_MAX {
                self.left_out += basket.lines.len() as u64;
                continue;
            }
            self.days.entry(day).or_default().push(basket);
        }
    }
}

pub(crate) fn day_of(at: Timestamp) -> i64 {
    at.unix_micros().div_euclid(DAY_MICROS)
}

/// When a day begins.
pub(crate) fn begin_of(day: i64) -> Timestamp {
    Timestamp::from_unix_micros(day * DAY_MICROS)
}
