use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn rows(table: &Table<u8, u32>) -> BTreeMap<u8, u32> {
    assert_eq!(table.iter().count(), table.len());
    table.iter().map(|(key, row)| (*key, *row)).collect()
}

#[test]
fn rows_are_changed_removed_and_found_by_borrowed_keys_in_order() {
    let mut table: Table<String, u64> = Table::new();
    table.update("b", |row| *row += 1);
    table.update("a", |row| *row += 2);
    assert_eq!(table.update("b", |row| std::mem::replace(row, 9)), 1);
    assert_eq!(table.insert("c".to_owned(), 7), None);
    assert_eq!(table.remove("a"), Some(2));
    assert_eq!(table.remove("a"), None);
    assert_eq!(table.get("a"), None);
    assert_eq!(
        table.change("a", |row| *row),
        None,
        "it has no row any more"
    );
    assert_eq!(table.change("b", |row| std::mem::replace(row, 9)), Some(9));
    assert_eq!(table.len(), 2);
    let all: Vec<_> = table
        .iter()
        .map(|(key, row)| (key.as_str(), *row))
        .collect();
    assert_eq!(all, [("b", 9), ("c", 7)]);
    assert_eq!(table.range("c".to_owned()..).count(), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Update(u8, u32),
    Insert(u8, u32),
    Remove(u8),
    Keep,
    TakeBack,
    Commit,
    Kept(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..6u8;
    let step = prop_oneof![
        4 => (key.clone(), 1..9u32).prop_map(|(key, by)| Step::Update(key, by)),
        2 => (key.clone(), 1..9u32).prop_map(|(key, row)| Step::Insert(key, row)),
        2 => key.prop_map(Step::Remove),
        2 => Just(Step::Keep),
        1 => Just(Step::TakeBack),
        2 => Just(Step::Commit),
        2 => any::<bool>().prop_map(Step::Kept),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    /// Beside a plain map, its state at the start of the step, and a store that gets only what `changes` gives.
    #[test]
    fn a_step_is_taken_back_exactly_and_the_changes_bring_a_store_up_to_date(steps in steps()) {
        let mut table: Table<u8, u32> = Table::new();
        let mut model: BTreeMap<u8, u32> = BTreeMap::new();
        let mut before_step = model.clone();
        let mut store: BTreeMap<u8, u32> = BTreeMap::new();
        let mut at_commit = model.clone();
        let mut sent: Option<Vec<(u8, Option<u32>)>> = None;
        for step in steps {
            match step {
                Step::Update(key, by) => {
                    table.update(&key, |row| *row += by);
                    *model.entry(key).or_default() += by;
                }
                Step::Insert(key, row) => {
                    prop_assert_eq!(table.insert(key, row), model.insert(key, row));
                }
                Step::Remove(key) => prop_assert_eq!(table.remove(&key), model.remove(&key)),
                Step::Keep => {
                    table.end_step();
                    before_step = model.clone();
                }
                Step::TakeBack => {
                    table.take_back();
                    model = before_step.clone();
                }
                // Only between steps, and one at a time, as the projection does it.
                Step::Commit if sent.is_some() => {}
                Step::Commit => {
                    table.end_step();
                    before_step = model.clone();
                    let rows: Vec<_> = table.changes().map(|(key, row)| (*key, row.copied())).collect();
                    table.begin_commit();
                    prop_assert_eq!(table.change_count(), 0);
                    at_commit = model.clone();
                    sent = Some(rows);
                }
                Step::Kept(kept) => {
                    if let Some(rows) = sent.take() {
                        if kept {
                            for (key, row) in rows {
                                match row {
                                    Some(row) => store.insert(key, row),
                                    None => store.remove(&key),
                                };
                            }
                            prop_assert_eq!(&store, &at_commit);
                        }
                        table.end_commit(kept);
                    }
                }
            }
            prop_assert_eq!(&rows(&table), &model);
        }
    }
}
