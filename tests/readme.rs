use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(path)).unwrap()
}

/// What stands between two lines, without empty lines at its ends.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap() + start.len();
    let len = text[from..].find(end).unwrap();
    text[from..from + len].trim()
}

#[test]
fn the_readme_defines_the_counter_as_the_example_does_in_at_most_thirty_lines() {
    let (readme, example) = (read("README.md"), read("examples/counter.rs"));
    let shown = between(&readme, "```rust\n", "```");
    let defined = between(
        &example,
        "// --- definition\n",
        "// --- end of the definition",
    );
    assert_eq!(shown, defined);
    let lines = defined.lines().filter(|line| !line.is_empty()).count();
    assert!(lines <= 30, "{lines} lines");
}

#[test]
fn the_readme_shows_a_test_that_the_example_has_in_at_most_ten_lines() {
    let (readme, example) = (read("README.md"), read("examples/counter.rs"));
    let shown = between(&readme, "```rust\n#[test]", "```");
    let indented = shown.replace('\n', "\n    ");
    assert!(example.contains(&indented), "{shown}");
    assert!(shown.lines().count() < 10);
}
