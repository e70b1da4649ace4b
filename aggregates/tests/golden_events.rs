//! What the two domains ever recorded is read by this build, and leads to the same states. See `golden/`; the files are
//! never edited.

use foldhouse::testing::golden_events;
use foldhouse_aggregates::{
    GlAccount, GlBook, GlHold, InventoryItem, JournalEntry, RecurringEntry,
};

#[test]
fn accounts_read_what_they_ever_recorded() {
    golden_events::<GlAccount>("tests/golden/gl-account");
}

#[test]
fn stock_items_read_what_they_ever_recorded() {
    golden_events::<InventoryItem>("tests/golden/inventory-item");
}

#[test]
fn books_read_what_they_ever_recorded() {
    golden_events::<GlBook>("tests/golden/gl-book");
}

#[test]
fn journal_entries_read_what_they_ever_recorded() {
    golden_events::<JournalEntry>("tests/golden/gl-entry");
}

#[test]
fn holds_read_what_they_ever_recorded() {
    golden_events::<GlHold>("tests/golden/gl-hold");
}

#[test]
fn recurring_entries_read_what_they_ever_recorded() {
    golden_events::<RecurringEntry>("tests/golden/gl-recurring");
}
