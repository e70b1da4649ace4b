use std::collections::HashMap;

use fuser::Errno;

/// What a system call asks of the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Open,
    Create,
    Remove,
    Rename,
    Truncate,
    Read,
    Write,
    Sync,
}

impl Operation {
    pub(super) const ALL: [Self; 8] = [
        Self::Open,
        Self::Create,
        Self::Remove,
        Self::Rename,
        Self::Truncate,
        Self::Read,
        Self::Write,
        Self::Sync,
    ];
}

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trouble {
    Error(Errno),
    /// So many bytes of a write are written, and their number is returned.
    Short(usize),
    /// The same, and the write of the rest fails.
    ShortThenError(usize, Errno),
    /// This one and every later one of its kind fails, until the faults are cleared.
    Always(Errno),
}

/// The n-th operation of one kind goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) operation: Operation,
    /// From 1.
    pub(super) number: usize,
    pub(super) trouble: Trouble,
}

/// Counts operations and makes the planned one fail.
#[derive(Debug, Default)]
pub(super) struct Faults {
    counts: HashMap<Operation, usize>,
    plan: Option<Plan>,
    met: usize,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Fine,
    Fails(Errno),
    Short(usize),
}

impl Faults {
    /// Plans a fault, counting from now on.
    pub(super) fn plan(&mut self, plan: Plan) {
        *self = Self {
            plan: Some(plan),
            ..Self::default()
        };
    }

    /// Nothing goes wrong any more. Gives back how often something did.
    pub(super) fn clear(&mut self) -> usize {
        self.plan = None;
        std::mem::take(&mut self.met)
    }

    pub(super) fn fail(&mut self, operation: Operation) -> Result<(), Errno> {
        match self.meet(operation) {
            Outcome::Fails(error) => Err(error),
            Outcome::Fine | Outcome::Short(_) => Ok(()),
        }
    }

    pub(super) fn meet(&mut self, operation: Operation) -> Outcome {
        let count = self.counts.entry(operation).or_default();
        *count += 1;
        let Some(plan) = self.plan.filter(|plan| plan.operation == operation) else {
            return Outcome::Fine;
        };
        let outcome = match plan.trouble {
            Trouble::Error(error) if *count == plan.number => Outcome::Fails(error),
            Trouble::Always(error) if *count >= plan.number => Outcome::Fails(error),
            Trouble::Short(bytes) | Trouble::ShortThenError(bytes, _) if *count == plan.number => {
                Outcome::Short(bytes)
            }
            Trouble::ShortThenError(_, error) if *count == plan.number + 1 => Outcome::Fails(error),
            _ => Outcome::Fine,
        };
        self.met += usize::from(!matches!(outcome, Outcome::Fine));
        outcome
    }
}
