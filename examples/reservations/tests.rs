use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use foldhouse::{CommandMeta, JournalOptions, Runtime};
use foldhouse_aggregates::{InventoryItem, Quantity, Receive, Reserve};
use foldhouse_examples::Report as _;

use super::*;
use crate::warehouse::BASKET_ID;

fn args(args: &[&str]) -> Result<Args, clap::Error> {
    Args::try_parse_from(["reservations"].iter().chain(args))
}

fn run(with: &[&str]) -> Result<Report, Failure> {
    job(&args(with).unwrap())
}

const SMALL: [&str; 6] = ["--baskets", "60", "--products", "12", "--callers", "16"];

#[test]
fn generated_baskets_are_reserved_whole_or_refused_and_nothing_is_oversold() {
    let scarce = ["--stock", "40", "--replenish", "7"];
    let report = run(&[&SMALL[..], &scarce].concat()).unwrap();
    assert!(report.holds(), "{report:?}");
    assert_eq!(report.baskets, 60);
    assert_eq!(report.reserved + report.refused, 60);
    assert!(
        report.reserved > 0 && report.refused > 0 && report.deliveries > 0,
        "{report:?}"
    );
}

#[test]
fn a_directory_is_gone_on_with_and_what_was_reserved_is_shipped() {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let file = directory.path().join("baskets.csv");
    let rows = [
        "basket_id,product_id,quantity",
        "1,beer,2",
        "1,beer,3",
        "1,crisps,1",
        "2,beer,6",
    ];
    std::fs::write(&file, rows.join("\n")).unwrap();
    let data = directory.path().join("data");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (file, data) = (path(&file), path(&data));
    let with = [
        "--file",
        &file,
        "--data",
        &data,
        "--stock",
        "10",
        "--replenish",
        "0",
    ];

    // As if it was killed between the reservation and the shipment of the first basket.
    block_on(reserve_by_hand(
        Path::new(&data),
        "1",
        &[("beer", 2), ("beer", 3), ("crisps", 1)],
    ))
    .unwrap();
    let report = run(&with).unwrap();
    assert!(report.holds(), "{report:?}");
    assert_eq!((report.reserved, report.found, report.refused), (1, 1, 1));
    // Two receipts, three reservations, three shipments.
    assert_eq!(report.head_position, 8);

    // What is there of it is not all that the basket has.
    std::fs::write(&file, rows[..4].join("\n") + "\n1,soap,1").unwrap();
    let report = run(&with).unwrap();
    assert!(!report.holds());
    assert_eq!(report.partial, 1);

    // And one that the file does not have.
    std::fs::write(&file, [rows[0], rows[4]].join("\n")).unwrap();
    let refused = run(&with).unwrap_err();
    assert!(
        matches!(&refused, Failure::Usage(what) if what.contains("name a fresh directory")),
        "{refused}"
    );
}

/// A store with ten of each product, of which one basket has reserved its lines.
async fn reserve_by_hand(
    directory: &Path,
    basket: &str,
    lines: &[(&str, u64)],
) -> Result<(), Failure> {
    let store = Arc::new(JournalOptions::new().open(directory).unwrap());
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    let item = |product: &str| {
        runtime
            .aggregate::<InventoryItem>(basket::TENANT, product)
            .unwrap()
    };
    for product in ["beer", "crisps"] {
        let receive = Receive::new(Quantity::new(10));
        item(product).send(receive).await.unwrap();
    }
    let steps: Vec<_> = (0..)
        .zip(lines)
        .map(|(number, (product, quantity))| {
            item(product).step(Reserve::new(Quantity::new(*quantity)).line(number))
        })
        .collect();
    let meta = CommandMeta::new().with(BASKET_ID, basket);
    runtime.transact_with(steps, meta).await.unwrap();
    let deadline = Duration::from_secs(30);
    runtime.shutdown(deadline).await.unwrap();
    store.close();
    Ok(())
}

#[test]
fn two_lines_of_one_product_are_checked_against_their_sum() {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let file = directory.path().join("baskets.csv");
    let rows = [
        "basket_id,product_id,quantity",
        "1,beer,6",
        "1,beer,5",
        "2,beer,6",
        "2,beer,4",
    ];
    std::fs::write(&file, rows.join("\n")).unwrap();
    let report = run(&[
        "--file",
        file.to_str().unwrap(),
        "--stock",
        "10",
        "--replenish",
        "0",
        "--callers",
        "1",
    ])
    .unwrap();
    assert!(report.holds(), "{report:?}");
    assert_eq!((report.reserved, report.refused), (1, 1));
}

#[test]
fn arguments_that_do_not_fit_are_told_clearly() {
    for (with, told) in [
        (&["--callers", "0"][..], "0 is not in 1..=65536"),
        (&["--stock", "-1"], "unexpected argument '-1'"),
        (&["--file", "a.csv", "--seed", "2"], "cannot be used with"),
        (&["--replenish", "many"], "invalid digit"),
    ] {
        let error = args(with).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(told), "{error}");
    }
    let refused = run(&["--file", "no-such-file.csv"]).unwrap_err();
    assert!(
        matches!(&refused, Failure::Usage(what) if what.contains("no-such-file.csv cannot be read")),
        "{refused}"
    );
}
