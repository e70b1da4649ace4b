/// How many are told one by one.
const TOLD_MAX: u64 = 20;

/// Counts what does not hold, and tells the first ones on stderr.
#[derive(Clone, Debug)]
pub struct Findings {
    what: &'static str,
    count: u64,
}

impl Findings {
    /// None yet; `what` goes before each that is told.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self { what, count: 0 }
    }

    /// One more.
    pub fn add(&mut self, describe: impl FnOnce() -> String) {
        self.count += 1;
        if self.count <= TOLD_MAX {
            eprintln!("{}: {}", self.what, describe());
        }
    }

    /// Those that another one has counted and told.
    pub fn take_over(&mut self, other: &Self) {
        self.count += other.count;
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}
