//! The n-th system call of each kind fails: nothing that was acked is lost, nothing is acked that should not be, and the
//! store opens when the fault is gone.

use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhouse_store::{JournalStore, OpenError};
use fuser::Errno;

use super::campaign::Subject;
use super::faults::{Operation, Plan, Trouble};
use super::image::{Cut, image};
use super::journal::{self, Attempt, Journal, Witness, Workload, check};
use super::mount::{Mounted, can_mount};
use super::tree::{Change, ROOT, Tree};
use super::volume::{DurableWrites, Volume};

const SEED: u64 = 7;
/// Up to here every call is made to fail in turn in the quick size; later ones in strides.
const EVERY_CALL: usize = 4;
const STRIDE: usize = 23;

/// Which calls of each kind are made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Quick,
    Campaign,
}

impl Size {
    fn after(self, number: usize) -> usize {
        match self {
            Self::Quick if number >= EVERY_CALL => number + STRIDE,
            _ => number + 1,
        }
    }
}

/// What can go wrong with each kind of call.
fn troubles(size: Size) -> Vec<(Operation, Trouble)> {
    let mut troubles: Vec<_> = Operation::ALL
        .into_iter()
        .map(|operation| (operation, Trouble::Error(Errno::EIO)))
        .collect();
    troubles.extend([
        (Operation::Write, Trouble::Error(Errno::ENOSPC)),
        (Operation::Write, Trouble::Always(Errno::EIO)),
        (Operation::Write, Trouble::Short(512)),
        (Operation::Write, Trouble::Short(1_000)),
        (Operation::Write, Trouble::ShortThenError(512, Errno::EIO)),
        (
            Operation::Write,
            Trouble::ShortThenError(4_000, Errno::ENOSPC),
        ),
        (Operation::Create, Trouble::Error(Errno::ENOSPC)),
    ]);
    if size == Size::Campaign {
        let others = [Operation::Sync, Operation::Rename, Operation::Truncate];
        troubles.extend(others.map(|operation| (operation, Trouble::Error(Errno::ENOSPC))));
        let all = Operation::ALL.map(|operation| (operation, Trouble::Always(Errno::EIO)));
        troubles.extend(all);
    }
    troubles
}

/// What a series of faults did.
#[derive(Debug, Default)]
struct Found {
    faults: usize,
    opens_refused: usize,
    not_recorded: usize,
    unknown: usize,
    acked: usize,
}

/// Makes one call after the other fail; `run` gives back whether there was such a call.
fn each_call(size: Size, mut run: impl FnMut(Plan, &mut Found) -> bool) -> Found {
    let panics_before = panics();
    let mut found = Found::default();
    for (operation, trouble) in troubles(size) {
        let mut number = 1;
        loop {
            let plan = Plan {
                operation,
                number,
                trouble,
            };
            if !run(plan, &mut found) {
                break;
            }
            found.faults += 1;
            number = size.after(number);
        }
        println!("{operation:?} {trouble:?}: up to call {number}");
    }
    println!("{found:?}");
    assert_eq!(panics(), panics_before, "a thread of the store panicked");
    found
}

/// Creates a store, uses it, opens it again and uses it, while one call fails; then opens it without faults.
fn live_with(plan: Plan, found: &mut Found) -> bool {
    let volume = Volume::of(Tree::default(), DurableWrites::Honest);
    let mounted = Mounted::new(&volume).expect("it was mounted before");
    volume.lock().faults.plan(plan);
    let mut workload = Workload::new(&volume, SEED);
    let refused_before = found.opens_refused;
    for _ in 0..2 {
        let store = open_at_last(mounted.path(), &volume, plan, found);
        workload.live(&store, 9);
    }
    let was_met = volume.lock().faults.clear() > 0 || found.opens_refused > refused_before;
    let witness = workload.into_witness();
    verify(mounted.path(), &witness, usize::MAX, plan);
    assert_eq!(witness.acked_after_a_failed_write, 0, "{plan:?}");
    let count = |is: fn(&Attempt) -> bool| {
        witness
            .attempts
            .iter()
            .filter(|attempt| is(attempt))
            .count()
    };
    found.acked += count(Attempt::is_acked);
    found.not_recorded += count(Attempt::is_denied);
    found.unknown += count(Attempt::is_unknown);
    was_met
}

/// Opens the store; if a fault is in the way, it must open without.
fn open_at_last(path: &Path, volume: &Volume, plan: Plan, found: &mut Found) -> JournalStore {
    match journal::open(path) {
        Ok(store) => store,
        Err(error) => {
            is_typed(&error, plan);
            assert!(
                volume.lock().faults.clear() > 0,
                "{plan:?}: refused without a fault: {error}"
            );
            found.opens_refused += 1;
            journal::open(path).unwrap_or_else(|error| panic!("{plan:?}: it stays shut: {error}"))
        }
    }
}

fn is_typed(error: &OpenError, plan: Plan) {
    assert!(
        matches!(error, OpenError::Io(_)),
        "{plan:?}: a fault of the disk is told as {error:?}"
    );
}

fn verify(path: &Path, witness: &Witness, cut_at: usize, plan: Plan) {
    if let Err(what) = check(path, witness, cut_at) {
        panic!("{plan:?}: {what}");
    }
    for attempt in &witness.attempts {
        let answer = format!("{:?}", attempt.answer);
        assert!(!answer.contains("panicked"), "{plan:?}: {answer}");
    }
}

/// How many panics there were in threads of the store, other than those of sled, which the store expects.
fn panics() -> usize {
    static HOOK: Once = Once::new();
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            let is_ours = thread
                .name()
                .is_some_and(|name| name.starts_with("foldhouse-"));
            let is_sleds = panic
                .location()
                .is_some_and(|at| at.file().contains("sled"));
            PANICS.fetch_add(usize::from(is_ours && !is_sleds), Ordering::Relaxed);
            before(panic);
        }));
    });
    PANICS.load(Ordering::Relaxed)
}

/// A store that lost power in the middle of a write, what it had promised, and when the power went.
fn torn_store() -> (Tree, Witness, usize) {
    let journal = Journal {
        lives: 1,
        rounds_per_life: 25,
    };
    let volume = Volume::of(Tree::default(), DurableWrites::Honest);
    let mounted = Mounted::new(&volume).expect("it was mounted before");
    let witness = journal.run(mounted.path(), &volume, SEED);
    drop(mounted);
    let log = volume.log();
    let is_torn = |cut: &Cut| {
        let directory = tempfile::tempdir().expect("a directory");
        let tree = image(&Tree::default(), &log, *cut);
        tree.write_to(directory.path()).expect("room for the image");
        let found = check(directory.path(), &witness, cut.at).expect("nothing is lost");
        found.torn_tails == 1
    };
    let cuts = (0..).map(|back| Cut {
        at: log.len() * 3 / 4 - back,
        seed: back as u64,
    });
    let cut = cuts
        .take(200)
        .find(is_torn)
        .expect("a cut that tears a frame");
    let mut tree = image(&Tree::default(), &log, cut);
    leave_unfinished_spare(&mut tree);
    (tree, witness, cut.at)
}

/// The store was also making a spare segment, which recovery removes.
fn leave_unfinished_spare(tree: &mut Tree) {
    let store = tree.inode_of(ROOT, "store").expect("the store's directory");
    let parent = tree.inode_of(store, "journal");
    tree.apply(&Change::Create {
        parent: parent.expect("the journal's directory"),
        name: "spare.unfinished".to_owned(),
        inode: tree.free_inode(),
        is_directory: false,
    });
}

/// Opens a store that must recover, while one call fails; then without.
fn recover_with(torn: &(Tree, Witness, usize), plan: Plan, found: &mut Found) -> bool {
    let (tree, witness, cut_at) = torn;
    let volume = Volume::of(tree.clone(), DurableWrites::Honest);
    let mounted = Mounted::new(&volume).expect("it was mounted before");
    volume.lock().faults.plan(plan);
    match journal::open(mounted.path()) {
        Ok(store) => store.close(),
        Err(error) => {
            is_typed(&error, plan);
            found.opens_refused += 1;
        }
    }
    let was_met = volume.lock().faults.clear() > 0;
    verify(mounted.path(), witness, *cut_at, plan);
    was_met
}

fn fail_each_call_of_a_life(size: Size) {
    if !can_mount() {
        return;
    }
    let found = each_call(size, live_with);
    assert!(found.unknown > 0 && found.not_recorded > 0, "{found:?}");
    assert!(found.opens_refused > 0 && found.acked > 0, "{found:?}");
}

fn fail_each_call_of_a_recovery(size: Size) {
    if !can_mount() {
        return;
    }
    let torn = torn_store();
    let found = each_call(size, |plan, found| recover_with(&torn, plan, found));
    assert!(found.opens_refused > 0, "{found:?}");
}

#[test]
fn a_failing_call_while_the_store_is_used_loses_no_acked_event() {
    fail_each_call_of_a_life(Size::Quick);
}

#[test]
fn a_failing_call_while_the_store_recovers_leaves_everything_as_it_was() {
    fail_each_call_of_a_recovery(Size::Quick);
}

/// `cargo test --release -p foldhouse-tests -- --ignored --nocapture each_call_that_fails`
#[test]
#[ignore = "a campaign of every call of each kind; takes minutes"]
fn each_call_that_fails_loses_no_acked_event() {
    fail_each_call_of_a_life(Size::Campaign);
    fail_each_call_of_a_recovery(Size::Campaign);
}
