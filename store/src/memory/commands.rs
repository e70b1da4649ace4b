use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

use crate::command::{COMMANDS_REMEMBERED, RecordedCommand};

/// The newest commands that were recorded, up to a limit.
pub(crate) struct Commands {
    by_id: HashMap<Uuid, RecordedCommand>,
    oldest_first: VecDeque<Uuid>,
    count_max: usize,
}

impl Default for Commands {
    fn default() -> Self {
        Self {
            by_id: HashMap::new(),
            oldest_first: VecDeque::new(),
            count_max: COMMANDS_REMEMBERED,
        }
    }
}

impl Commands {
    pub(crate) fn get(&self, id: Uuid) -> Option<&RecordedCommand> {
        self.by_id.get(&id)
    }

    /// Adds one that is not there.
    pub(crate) fn insert(&mut self, command: RecordedCommand) {
        self.oldest_first.push_back(command.id);
        self.by_id.insert(command.id, command);
        self.forget_oldest();
    }

    pub(crate) fn remember(&mut self, count: usize) {
        self.count_max = count;
        self.forget_oldest();
    }

    fn forget_oldest(&mut self) {
        while self.oldest_first.len() > self.count_max
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }
}
