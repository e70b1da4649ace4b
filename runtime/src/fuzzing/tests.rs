//! What the fuzzer found worth keeping, run on every build.

use std::fs;
use std::path::Path;

#[test]
fn every_payload_that_the_fuzzer_kept_still_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/fuzz/corpus/event_payload");
    if !corpus.exists() {
        println!(
            "SKIPPED: {} is not here (a packaged crate has no corpus)",
            corpus.display()
        );
        return;
    }
    let mut inputs = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        super::event_payload(&fs::read(path).unwrap());
        inputs += 1;
    }
    assert!(inputs > 0, "no input");
}

/// `cargo test -p foldhouse --lib -- --ignored write_the_seeds`, then fuzz and `cargo +nightly fuzz cmin event_payload`.
#[test]
#[ignore = "writes into store/fuzz/corpus"]
fn write_the_seeds() {
    use super::*;

    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/fuzz/corpus/event_payload");
    fs::create_dir_all(&corpus).unwrap();
    let tree = || {
        Tree::Pair(
            Box::new(Tree::Wrap(Box::new(Tree::Leaf))),
            Box::new(Tree::Many {
                children: vec![Tree::Leaf],
            }),
        )
    };
    let loose = || {
        Loose::List(vec![
            Loose::Nothing,
            Loose::Number(-5),
            Loose::Text("x".to_owned()),
        ])
    };
    let tagged = || Tagged::Fields {
        a: 7,
        b: Some("y".to_owned()),
    };
    let everything = Everything {
        number: -1_000_000,
        wide: 1 << 100,
        text: "Zoë".to_owned(),
        bytes: vec![1, 2, 3],
        list: vec![1, 1 << 40],
        map: BTreeMap::from([("a".to_owned(), -3)]),
        tree: Some(Box::new(tree())),
        loose: Some(loose()),
        tagged: Some(tagged()),
        rest: BTreeMap::from([("more".to_owned(), loose())]),
    };
    let at = Timestamp::from_unix_micros(1_000_000);
    let events = [
        Happened::Nothing,
        Happened::Counted(300),
        Happened::Named {
            name: "n".to_owned(),
            at,
        },
        Happened::Pair(70_000, None),
        Happened::Grown(tree()),
        Happened::Loose(loose()),
        Happened::Tagged(tagged()),
        Happened::All(Box::new(everything)),
    ];
    for (kind, event) in (0_u8..).zip(&events) {
        let mut payload = Vec::new();
        let event_type = encode(event, &mut payload).unwrap();
        assert_eq!(event_type, EVENT_TYPES[usize::from(kind)]);
        let back: Happened = decode(&recorded(event_type, &payload)).unwrap();
        assert_eq!(back, *event);
        fs::write(
            corpus.join(format!("seed-{event_type}")),
            [vec![kind], payload].concat(),
        )
        .unwrap();
    }
}
