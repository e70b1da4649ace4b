use std::collections::HashMap;

use foldhouse::{StreamId, TRANSACTION_AGGREGATES_MAX};

/// All belongs to one tenant.
pub(crate) const TENANT: &str = "shop";

/// The most lines of a basket: each may be another product, and one transaction takes no more.
const LINES_MAX: usize = TRANSACTION_AGGREGATES_MAX;

/// What is to be reserved and shipped.
#[derive(Debug, Default)]
pub(crate) struct Baskets {
    /// The valid ones, in the order in which they are to be reserved.
    pub(crate) baskets: Vec<Basket>,
    /// All products of them, by number.
    pub(crate) products: Vec<String>,
    /// Baskets that have a row that makes no sense; nothing of them is reserved.
    pub(crate) invalid: u64,
    /// What is wrong with rows, each with its line number.
    pub(crate) invalid_rows: Vec<String>,
}

/// An order over several products.
#[derive(Debug)]
pub(crate) struct Basket {
    pub(crate) id: String,
    pub(crate) lines: Vec<Line>,
}

/// So many of a product. A basket may have two lines of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    /// The product's number.
    pub(crate) product: usize,
    pub(crate) quantity: u64,
}

/// A basket before its products have numbers: its id, and its lines unless one makes no sense.
type Gathered = (String, Option<Vec<(String, u64)>>);

/// Gathers lines into baskets.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    /// In the order in which they first occur.
    baskets: Vec<Gathered>,
    by_id: HashMap<String, usize>,
    invalid_rows: Vec<String>,
}

impl Gathering {
    /// Adds a line.
    pub(crate) fn add(&mut self, basket: String, product: String, quantity: u64) {
        if let (_, Some(lines)) = self.basket(basket) {
            lines.push((product, quantity));
        }
    }

    /// Notes an invalid row, and that its basket is not to be reserved.
    pub(crate) fn spoil(&mut self, basket: Option<String>, what: String) {
        self.invalid_rows.push(what);
        if let Some(basket) = basket {
            self.basket(basket).1 = None;
        }
    }

    fn basket(&mut self, id: String) -> &mut Gathered {
        let baskets = &mut self.baskets;
        let index = *self.by_id.entry(id).or_insert_with_key(|id| {
            baskets.push((id.clone(), Some(Vec::new())));
            baskets.len() - 1
        });
        &mut baskets[index]
    }

    /// All that is valid, with numbers for the products.
    pub(crate) fn finish(self) -> Baskets {
        let mut all = Baskets {
            invalid_rows: self.invalid_rows,
            ..Baskets::default()
        };
        let mut numbers: HashMap<String, usize> = HashMap::new();
        for (id, lines) in self.baskets {
            let Some(lines) = lines else {
                all.invalid += 1;
                continue;
            };
            if lines.len() > LINES_MAX {
                let count = lines.len();
                let what = format!("basket {id} has {count} lines, the limit is {LINES_MAX}");
                all.invalid_rows.push(what);
                all.invalid += 1;
                continue;
            }
            let mut line = |(product, quantity): (String, u64)| {
                let product = *numbers.entry(product).or_insert_with_key(|product| {
                    all.products.push(product.clone());
                    all.products.len() - 1
                });
                Line { product, quantity }
            };
            let lines = lines.into_iter().map(&mut line).collect();
            all.baskets.push(Basket { id, lines });
        }
        all
    }
}

/// Why a text cannot name a product.
pub(crate) fn check_product(id: &str) -> Result<(), String> {
    StreamId::new(TENANT, "inventory-item", id)
        .map(drop)
        .map_err(|error| format!("product_id: {error}"))
}
