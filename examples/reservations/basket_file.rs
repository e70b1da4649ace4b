use std::path::Path;

use foldhouse_examples::{Columns, CsvError, read_csv};
use serde::Deserialize;

use crate::basket::{Baskets, Gathering, check_product};

const COLUMNS: Columns = Columns {
    needed: &["basket_id", "product_id", "quantity"],
    expected: "basket_id, product_id and quantity, one row for each line of a basket",
};

/// As text, so that a quantity that makes no sense still tells its basket.
#[derive(Debug, Deserialize)]
struct RawRow {
    basket_id: String,
    product_id: String,
    quantity: String,
}

/// Reads the baskets of a file. A basket with a row that makes no sense (no product, a quantity of zero or less, as a
/// cancelled order has) is invalid as a whole, because it cannot be reserved whole.
pub(crate) fn read(path: &Path) -> Result<Baskets, CsvError> {
    let mut gathering = Gathering::default();
    let mut last_basket = None;
    // A row that does not tell its basket, between two that do.
    let mut unreadable_behind_last = false;
    read_csv(path, COLUMNS, |line, row: Result<RawRow, String>| {
        let row = row.and_then(|row| match row.basket_id.is_empty() {
            true => Err("basket_id must not be empty".to_owned()),
            false => Ok(row),
        });
        let row = match row {
            Ok(row) => row,
            Err(what) => {
                unreadable_behind_last = true;
                return gathering.spoil(None, format!("line {line}: {what}"));
            }
        };
        let basket = row.basket_id.clone();
        match quantity(&row) {
            Ok(quantity) => gathering.add(row.basket_id, row.product_id, quantity),
            Err(what) => gathering.spoil(Some(row.basket_id), format!("line {line}: {what}")),
        }
        if unreadable_behind_last && last_basket.as_ref() == Some(&basket) {
            let what = format!("basket {basket} has an unreadable row before line {line}");
            gathering.spoil(Some(basket.clone()), what);
        }
        unreadable_behind_last = false;
        last_basket = Some(basket);
    })?;
    Ok(gathering.finish())
}

fn quantity(row: &RawRow) -> Result<u64, String> {
    check_product(&row.product_id)?;
    let quantity: i64 =
        (row.quantity.parse()).map_err(|error| format!("quantity {:?}: {error}", row.quantity))?;
    match u64::try_from(quantity) {
        Ok(0) | Err(_) => Err(format!("a quantity of {quantity} cannot be reserved")),
        Ok(quantity) => Ok(quantity),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::basket::Line;

    fn read_lines(lines: &[&str]) -> Result<Baskets, CsvError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("baskets.csv");
        std::fs::write(&path, lines.join("\n")).unwrap();
        read(&path)
    }

    #[test]
    fn a_basket_with_a_row_that_makes_no_sense_is_invalid_as_a_whole_and_counted() {
        let baskets = read_lines(&[
            "basket_id,timestamp,product_id,quantity",
            "1,t,beer,2",
            "1,t,crisps,1",
            "1,t,beer,3",
            "2,t,beer,1",
            "2,t,crisps,0",
            "3,t,beer,-1",
            "4,t,,1",
            "5,t,beer,two",
            "6,t,beer,1",
            "garbage",
            "6,t,crisps,1",
            ",t,beer,1",
            "7,t,crisps,4",
        ])
        .unwrap();
        let ids: Vec<_> = baskets.baskets.iter().map(|basket| &*basket.id).collect();
        assert_eq!(ids, ["1", "7"]);
        assert_eq!(baskets.products, ["beer", "crisps"]);
        let line = |product, quantity| Line { product, quantity };
        assert_eq!(
            baskets.baskets[0].lines,
            [line(0, 2), line(1, 1), line(0, 3)]
        );
        assert_eq!(baskets.invalid, 5);
        let places: Vec<_> = baskets
            .invalid_rows
            .iter()
            .map(|what| what.split(':').next().unwrap())
            .collect();
        assert_eq!(
            places,
            [
                "line 6",
                "line 7",
                "line 8",
                "line 9",
                "line 11",
                "basket 6 has an unreadable row before line 12",
                "line 13"
            ]
        );
    }

    #[test]
    fn a_file_without_a_needed_column_is_refused_by_its_name() {
        let refused = read_lines(&["basket_id,product_id", "1,beer"]).unwrap_err();
        let told = refused.to_string();
        assert!(told.contains("no column \"quantity\""), "{told}");
    }
}
