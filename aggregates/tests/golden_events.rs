//! What the two domains ever recorded is read by this build, and leads to the same states. See `golden/`; the files are
//! never edited.

use foldhouse::testing::golden_events;
use foldhouse_aggregates::{GlAccount, InventoryItem};

#[test]
fn accounts_read_what_they_ever_recorded() {
    golden_events::<GlAccount>("tests/golden/gl-account");
}

#[test]
fn stock_items_read_what_they_ever_recorded() {
    golden_events::<InventoryItem>("tests/golden/inventory-item");
}
