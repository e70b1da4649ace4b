//! Whatever happens to sled's files, the store opens and answers as if nothing had: they are moved aside and built anew.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use foldhouse_store::{
    JournalStore, ReadError, ReadModelStore, RecordedEvent, RecoveryReport, Snapshot,
    SnapshotCriteria, SnapshotStore,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use crate::script::{self, Step, stream};
use crate::syscalls::check::{Model, all_events, check_answers, go_on, next_model};
use crate::syscalls::{copy, copy_of, each, scratch, spread};

/// What is done to the index.
#[derive(Clone, Debug)]
enum Harm {
    Delete(String),
    Truncate(String, u64),
    Rubbish(String, u64),
    FlipBit(String, u64, u8),
    Prepend(String),
    ReplaceByDirectory(String),
    ReplaceByOlder(String),
    ReplaceByAnotherStores(String),
    WholeIndex(Whole),
}

/// What is done to all of it.
#[derive(Clone, Copy, Debug)]
enum Whole {
    Deleted,
    EmptyFiles,
    Rubbish,
    Older,
    OlderButTheReceipt,
    AnotherStores,
    AnotherStoresButTheReceipt,
    OnlyTheReceipt,
    AFile,
    ALinkToNowhere,
    ALinkToADirectory,
}

/// A store as the script leaves it, its index as it was halfway, and another store.
struct Scene {
    base: TempDir,
    older: TempDir,
    other: TempDir,
    events: Vec<RecordedEvent>,
    models: Vec<Model>,
}

impl Scene {
    fn new() -> Self {
        let (base, older, other) = (scratch(), scratch(), scratch());
        run_script(other.path(), None);
        run_script(base.path(), Some(&older.path().join("index")));
        let store = script::options().open(base.path()).unwrap();
        let events = block_on(all_events(&store));
        assert!(store.recovery().segments >= 3);
        store.close();
        let blobs = fs::read_dir(base.path().join("index/blobs")).unwrap();
        assert_eq!(blobs.count(), 0);
        let mut models = vec![Model::default()];
        for step in script::steps() {
            models.extend(next_model(&models[models.len() - 1], &step));
        }
        Self {
            base,
            older,
            other,
            events,
            models,
        }
    }

    /// The files of the index, by name, with their lengths.
    fn files(&self) -> Vec<(String, u64)> {
        let mut files: Vec<_> = fs::read_dir(self.base.path().join("index"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| {
                let bytes = entry.metadata().unwrap().len();
                (entry.file_name().into_string().unwrap(), bytes)
            })
            .collect();
        files.sort();
        files
    }

    /// Does it to a copy, and checks what the store makes of that.
    fn suffer(&self, harm: &Harm, tally: &Tally) {
        let directory = copy_of(self.base.path());
        self.inflict(harm, directory.path());
        let before = names(&directory.path().join("index"));
        let context = format!("{harm:?}");
        let (store, report) = open(directory.path(), &context);
        if let Some((to, why)) = &report.index_moved_aside {
            assert!(!why.is_empty());
            let kept = names(to);
            assert!(before.is_subset(&kept), "{context}: {before:?} {kept:?}");
            tally.moved_aside.fetch_add(1, Ordering::Relaxed);
        } else {
            let again = report.segments_indexed_again > 0 || !report.read_models_reset.is_empty();
            tally.counter(again).fetch_add(1, Ordering::Relaxed);
        }
        // Damage that shows only when it is read: the next open sees to it.
        if let Err(error) = block_on(self.check_all(&store, &context)) {
            let text = error.to_string();
            assert!(text.contains("reopen the store"), "{context}: {text}");
            store.close();
            let (store, report) = open(directory.path(), &context);
            assert!(report.index_moved_aside.is_some(), "{context}: {text}");
            block_on(self.check_all(&store, &context)).unwrap();
            tally.found_in_use.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All answers are those of the untouched store, and it goes on.
    async fn check_all(&self, store: &JournalStore, context: &str) -> Result<(), ReadError> {
        let events = all_events(store).await;
        assert_eq!(events, self.events, "{context}");
        check_answers(store, &events, context).await;
        for name in ["a", "d", "h"] {
            let stream = stream(name);
            let found = store.load_snapshot(&stream, SnapshotCriteria::ALL).await?;
            let is_right = |found: &Snapshot| {
                script::steps()
                    .iter()
                    .any(|step| matches!(step, Step::SaveSnapshot(snapshot) if snapshot == found))
            };
            assert!(found.as_ref().is_none_or(is_right), "{context}: {found:?}");
        }
        let checkpoint = store.checkpoint(script::PROJECTION).await?;
        let rows = store.rows(script::PROJECTION, None, 1_000).await?;
        let model: Model = (checkpoint, rows.into_iter().collect());
        assert!(self.models.contains(&model), "{context}: {model:?}");
        go_on(store, &events, context).await;
        store.close();
        Ok(())
    }

    fn inflict(&self, harm: &Harm, directory: &Path) {
        let index = directory.join("index");
        let older = self.older.path().join("index");
        let other = self.other.path().join("index");
        match harm {
            Harm::Delete(file) => fs::remove_file(index.join(file)).unwrap(),
            Harm::Truncate(file, bytes) => {
                let file = OpenOptions::new().write(true).open(index.join(file));
                file.unwrap().set_len(*bytes).unwrap();
            }
            Harm::Rubbish(file, bytes) => {
                let rubbish = script::pattern(*bytes, usize::try_from(*bytes).unwrap());
                fs::write(index.join(file), rubbish).unwrap();
            }
            Harm::FlipBit(file, offset, bit) => {
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(index.join(file));
                let file = file.unwrap();
                let mut byte = [0];
                file.read_exact_at(&mut byte, *offset).unwrap();
                file.write_all_at(&[byte[0] ^ 1 << bit], *offset).unwrap();
            }
            Harm::Prepend(file) => {
                let mut bytes = fs::read(index.join(file)).unwrap();
                bytes.insert(0, 0);
                fs::write(index.join(file), bytes).unwrap();
            }
            Harm::ReplaceByDirectory(file) => {
                fs::remove_file(index.join(file)).unwrap();
                fs::create_dir(index.join(file)).unwrap();
            }
            Harm::ReplaceByOlder(file) => replace(&index, file, &older),
            Harm::ReplaceByAnotherStores(file) => replace(&index, file, &other),
            Harm::WholeIndex(whole) => self.inflict_on_all(*whole, &index),
        }
    }

    fn inflict_on_all(&self, whole: Whole, index: &Path) {
        let receipt = fs::read(index.join("receipt")).unwrap();
        match whole {
            Whole::EmptyFiles | Whole::Rubbish => {
                for (file, bytes) in self.files() {
                    let bytes = if matches!(whole, Whole::Rubbish) {
                        bytes
                    } else {
                        0
                    };
                    let rubbish = script::pattern(bytes, usize::try_from(bytes).unwrap());
                    fs::write(index.join(file), rubbish).unwrap();
                }
                return;
            }
            _ => fs::remove_dir_all(index).unwrap(),
        }
        match whole {
            Whole::Older | Whole::OlderButTheReceipt => {
                copy(&self.older.path().join("index"), index);
            }
            Whole::AnotherStores | Whole::AnotherStoresButTheReceipt => {
                copy(&self.other.path().join("index"), index);
            }
            Whole::OnlyTheReceipt => fs::create_dir(index).unwrap(),
            Whole::AFile => fs::write(index, "a file").unwrap(),
            Whole::ALinkToNowhere => symlink("/nowhere/at/all", index).unwrap(),
            Whole::ALinkToADirectory => {
                let elsewhere = index.with_file_name("elsewhere");
                copy(&self.base.path().join("index"), &elsewhere);
                symlink(elsewhere, index).unwrap();
            }
            Whole::Deleted | Whole::EmptyFiles | Whole::Rubbish => {}
        }
        if matches!(
            whole,
            Whole::OlderButTheReceipt | Whole::AnotherStoresButTheReceipt | Whole::OnlyTheReceipt
        ) {
            fs::write(index.join("receipt"), receipt).unwrap();
        }
    }
}

/// Runs the script; a copy of the index goes to `older` where the script closes the store.
fn run_script(directory: &Path, older: Option<&Path>) {
    let mut store = script::options().open(directory).unwrap();
    for step in script::steps() {
        if let Step::CloseAndOpen = step {
            store.close();
            // What an opening writes is in the copy, too.
            script::options().open(directory).unwrap().close();
            if let Some(older) = older {
                copy(&directory.join("index"), older);
            }
            store = script::options().open(directory).unwrap();
        } else {
            block_on(script::take(&store, step));
        }
    }
    store.close();
    script::options().open(directory).unwrap().close();
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

fn open(directory: &Path, context: &str) -> (JournalStore, RecoveryReport) {
    let store = script::options()
        .open(directory)
        .unwrap_or_else(|error| panic!("{context}: the store does not open: {error}"));
    let report = store.recovery().clone();
    (store, report)
}

/// What lies in a directory, apart from sled's page tables: it removes old ones of its own accord.
fn names(directory: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return BTreeSet::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("snap."))
        .collect()
}

/// Puts the file of another index in the place of this one; its page tables have another name there.
fn replace(index: &Path, file: &str, other: &Path) {
    let kind = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let mut candidates: Vec<PathBuf> = fs::read_dir(other)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| kind(&path.file_name().unwrap().to_string_lossy()) == kind(file))
        .collect();
    candidates.sort();
    fs::copy(candidates.last().unwrap(), index.join(file)).unwrap();
}

/// What the store made of it.
#[derive(Debug, Default)]
struct Tally {
    moved_aside: AtomicU64,
    repaired: AtomicU64,
    untouched: AtomicU64,
    found_in_use: AtomicU64,
}

impl Tally {
    fn counter(&self, repaired: bool) -> &AtomicU64 {
        if repaired {
            &self.repaired
        } else {
            &self.untouched
        }
    }

    fn print(&self, harms: usize) {
        println!("{harms} harms: {self:?}");
        let all = [&self.moved_aside, &self.untouched];
        assert!(all.iter().all(|count| count.load(Ordering::Relaxed) > 0));
    }
}

fn harms(scene: &Scene, truncations: u64, flips: u64, seed: u64) -> Vec<Harm> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut harms = Vec::new();
    for (file, bytes) in scene.files() {
        let name = || file.clone();
        harms.push(Harm::Delete(name()));
        harms.push(Harm::Prepend(name()));
        harms.push(Harm::ReplaceByDirectory(name()));
        harms.push(Harm::ReplaceByOlder(name()));
        harms.push(Harm::ReplaceByAnotherStores(name()));
        harms.push(Harm::Rubbish(name(), bytes));
        harms.push(Harm::Rubbish(name(), bytes / 2));
        harms.push(Harm::Rubbish(name(), bytes * 2));
        // From empty to one byte short.
        let lengths = spread(bytes, truncations).map(|number| number - 1);
        harms.extend(lengths.map(|length| Harm::Truncate(name(), length)));
        let weight = if file == "db" { 6 } else { 1 };
        for _ in 0..flips * weight {
            let offset = random.random_range(0..bytes);
            harms.push(Harm::FlipBit(name(), offset, random.random_range(0..8)));
        }
    }
    harms
}

fn suffer_all(truncations: u64, flips: u64, seed: u64) {
    let scene = Scene::new();
    let harms = harms(&scene, truncations, flips, seed);
    println!("seed {seed}, files {:?}", scene.files());
    let tally = Tally::default();
    each(&harms, |harm| scene.suffer(harm, &tally));
    tally.print(harms.len());
}

#[test]
fn whatever_is_done_to_a_file_of_the_index_the_store_answers_as_before() {
    suffer_all(6, 6, 1);
}

/// `cargo test --release -p foldhouse-tests -- --ignored --nocapture thousands_of_harms`
#[test]
#[ignore = "a campaign of some thousand harms; takes minutes"]
fn thousands_of_harms_to_the_index_change_no_answer() {
    suffer_all(150, 150, 2);
}

#[test]
fn whatever_is_done_to_the_index_as_a_whole_the_store_answers_as_before() {
    let scene = Scene::new();
    let tally = Tally::default();
    let harms = [
        Whole::Deleted,
        Whole::EmptyFiles,
        Whole::Rubbish,
        Whole::Older,
        Whole::OlderButTheReceipt,
        Whole::AnotherStores,
        Whole::AnotherStoresButTheReceipt,
        Whole::OnlyTheReceipt,
        Whole::AFile,
        Whole::ALinkToNowhere,
        Whole::ALinkToADirectory,
    ];
    let harms = harms.map(Harm::WholeIndex);
    each(&harms, |harm| scene.suffer(harm, &tally));
    tally.print(harms.len());
}
