use super::tree::{Change, Inode};

/// Everything that was done on a file system, and every promise that was given to somebody, in one order.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    steps: Vec<Step>,
    /// The changes that are not durable yet.
    volatile: Vec<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Changed {
        change: Change,
        /// The step that made it durable.
        durable_from: Option<usize>,
    },
    /// Something became durable: what the text says.
    Synced(String),
    /// The store under test gave its word.
    Acked,
}

impl Log {
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Notes a change that only the cache knows so far.
    pub(super) fn change(&mut self, change: Change) {
        self.volatile.push(self.steps.len());
        self.steps.push(Step::Changed {
            change,
            durable_from: None,
        });
    }

    /// Everything that was done to this file, or to the names in this directory, is durable from here on.
    pub(super) fn sync(&mut self, inode: Inode) {
        self.settle(format!("sync of {inode}"), |_, change| {
            change.is_synced_with(inode)
        });
    }

    /// The last change, a write, is durable from here on; nothing else is but the length that the file had.
    pub(super) fn sync_last_write(&mut self, inode: Inode) {
        let last = self.steps.len() - 1;
        self.settle(format!("durable write to {inode}"), |step, change| {
            step == last
                || matches!(change, Change::Resize { inode: resized, .. } if *resized == inode)
        });
    }

    fn settle(&mut self, what: String, is_settled: impl Fn(usize, &Change) -> bool) {
        let now = self.steps.len();
        let steps = &mut self.steps;
        self.volatile.retain(|at| match &mut steps[*at] {
            Step::Changed {
                change,
                durable_from,
            } if is_settled(*at, change) => {
                *durable_from = Some(now);
                false
            }
            _ => true,
        });
        self.steps.push(Step::Synced(what));
    }

    /// Notes a promise; gives back its step. A cut behind that step must not break it.
    pub(super) fn ack(&mut self) -> usize {
        self.steps.push(Step::Acked);
        self.steps.len() - 1
    }

    /// A line about one step, for messages.
    pub(super) fn describe(&self, step: usize) -> String {
        match self.steps.get(step) {
            Some(Step::Changed { change, .. }) => match change {
                Change::Write {
                    inode,
                    offset,
                    data,
                } => format!("write of {} bytes at {offset} of file {inode}", data.len()),
                other => format!("{other:?}"),
            },
            Some(Step::Synced(what)) => what.clone(),
            Some(Step::Acked) => "ack".to_owned(),
            None => "the end of the run".to_owned(),
        }
    }
}
