use std::collections::HashMap;
use std::sync::Arc;

use foldhouse::{
    JournalOptions, JournalStore, MemoryStore, Position, Store, StreamId, decode_event,
};

use super::account::{Account, AccountEvent};
use super::journal::Entry;

/// Where the events are, over all ends of the process.
pub(super) enum Disk {
    Memory(Arc<MemoryStore>),
    Directory(tempfile::TempDir, Option<Arc<JournalStore>>),
}

impl Disk {
    pub(super) fn new(on_disk: bool) -> Self {
        if on_disk {
            let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"));
            Self::Directory(directory.expect("a directory for the test"), None)
        } else {
            Self::Memory(Arc::new(MemoryStore::new()))
        }
    }

    pub(super) fn open(&mut self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => Arc::clone(store) as Arc<dyn Store>,
            Self::Directory(directory, open) => {
                let options = JournalOptions::new()
                    .segment_bytes(1 << 20)
                    .index_cache_bytes(4 << 20);
                let store = options.open(directory.path());
                let store = Arc::new(store.expect("what was written opens again"));
                *open = Some(Arc::clone(&store));
                store
            }
        }
    }

    pub(super) fn close(&mut self) {
        if let Self::Directory(_, open) = self
            && let Some(store) = open.take()
        {
            store.close();
        }
    }
}

pub(super) fn stream(account: usize) -> StreamId {
    StreamId::new("checked", "checked-account", &account.to_string()).expect("a valid name")
}

/// The journal, with the operation that each event belongs to.
pub(super) async fn entries(disk: &mut Disk, accounts: usize) -> Vec<Entry> {
    let by_stream: HashMap<_, _> = (0..accounts)
        .map(|account| (stream(account), account))
        .collect();
    let store = disk.open();
    let (mut entries, mut next) = (Vec::new(), Some(Position::BEFORE_FIRST));
    while let Some(after) = next {
        let page = store.read_all(after, 4_096).await.expect("it can be read");
        for event in &page.events {
            let position = entries.len() as u64 + 1;
            assert_eq!(event.position.get(), position, "positions have no gaps");
            let Some(Ok(AccountEvent::Changed { by, operation })) = decode_event::<Account>(event)
            else {
                panic!("{event:?} is nobody's");
            };
            entries.push(Entry {
                account: by_stream[&event.stream],
                version: event.version.get(),
                operation,
                by,
            });
        }
        next = page.next;
    }
    disk.close();
    entries
}
