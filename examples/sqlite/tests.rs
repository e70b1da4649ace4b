use std::process::{Command, Stdio};
use std::time::Duration;

use foldhouse::{EventStore, Position};
use foldhouse_examples::block_on;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::balances::read_balances;
use crate::check::mismatches;
use crate::{database, open, post};

const DIRECTORY: &str = "FOLDHOUSE_SQLITE_TEST_DIRECTORY";

#[test]
fn eight_kills_leave_sqlite_with_every_posting_once() {
    kill_campaign(8, 1);
}

/// `cargo test --example sqlite -- --ignored two_hundred`
#[test]
#[ignore = "a campaign of 200 kills; takes minutes"]
fn two_hundred_kills_leave_sqlite_with_every_posting_once() {
    kill_campaign(200, 2);
}

/// Posts until it is killed: the process that the others kill.
#[test]
#[ignore = "run by the tests that kill it"]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    block_on(async {
        let store = open(directory.as_ref()).unwrap();
        post(directory.as_ref(), &store, u64::MAX).await
    })
    .unwrap();
}

fn kill_campaign(kills: u32, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    // Beside the build, so that it is on a disk.
    let executable = std::env::current_exe().unwrap();
    let directory = tempfile::tempdir_in(executable.parent().unwrap()).unwrap();
    let (mut last, mut moved) = (Position::BEFORE_FIRST, 0);
    for kill in 0..kills {
        let mut child = Command::new(&executable)
            .args(["--exact", "tests::child", "--ignored"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // It takes a moment to open; some are killed before.
        std::thread::sleep(Duration::from_millis(random.random_range(20..500)));
        child.kill().unwrap();
        child.wait().unwrap();

        // As the kill has left it, and again when what was missing is read.
        let store = open(directory.path()).unwrap();
        block_on(async {
            let (_, wrong) = mismatches(&store, &database(directory.path()))
                .await
                .unwrap();
            assert!(wrong.is_empty(), "kill {kill}: {wrong:?}");
            let (_, kept) = read_balances(&database(directory.path())).unwrap();
            assert!(last <= kept && kept <= store.head(), "kill {kill}: {kept}");
            moved += u32::from(kept > last);
            last = kept;
            post(directory.path(), &store, 0).await.unwrap();
            let (_, kept) = read_balances(&database(directory.path())).unwrap();
            assert_eq!(kept, store.head());
            let (_, wrong) = mismatches(&store, &database(directory.path()))
                .await
                .unwrap();
            assert!(wrong.is_empty(), "kill {kill}, caught up: {wrong:?}");
            Ok(())
        })
        .unwrap();
        store.close();
    }
    println!("{kills} kills; {moved} of the lives brought SQLite further; it ends at {last}");
    assert!(
        moved > kills / 4,
        "too few lives came to anything: {moved} of {kills}"
    );
}
