//! What the fuzzers found worth keeping, run on every build.

use std::fs;
use std::path::Path;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 5] = [
    ("frame", super::frame),
    ("record", super::record),
    ("segment_scan", super::segment_scan),
    ("snapshot", super::snapshot),
    ("index_value", super::index_value),
];

#[test]
fn every_input_that_the_fuzzers_kept_still_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    if !corpus.exists() {
        println!(
            "SKIPPED: {} is not here (a packaged crate has no corpus)",
            corpus.display()
        );
        return;
    }
    for (name, target) in TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "no input for {name}");
    }
}

mod seeds;
