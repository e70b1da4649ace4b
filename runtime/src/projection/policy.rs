use std::time::Duration;

/// The most events that a projection can have set aside at a time, whatever its policy says: they are in memory.
pub const DEAD_LETTERS_MAX: usize = 10_000;
/// The most times that a policy tries again.
const RETRIES_MAX: usize = 100;

/// What a projection does about an event that it cannot apply: it tries again a few times, and then parks before the event
/// or sets it aside and goes on.
///
/// What is not an event's fault (a store that cannot be read, rows that cannot be kept, too many rows) is tried again as
/// often, and then parks it.
///
/// ```
/// use std::time::Duration;
/// use foldhouse::FailurePolicy;
///
/// // Twice more within a second; then go on without the event, up to a hundred times.
/// let policy = FailurePolicy::set_aside(100)
///     .retry_after([Duration::from_millis(100), Duration::from_millis(900)]);
/// assert_eq!(policy.attempts(), 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailurePolicy {
    retry_after: Vec<Duration>,
    set_aside_max: usize,
}

impl FailurePolicy {
    /// Park before the event; what is done if nothing is said. Everything behind it waits until somebody resumes the
    /// projection, which is right for a model that must never show what is not so.
    #[must_use]
    pub fn park() -> Self {
        Self {
            retry_after: vec![
                Duration::from_millis(10),
                Duration::from_millis(100),
                Duration::from_secs(1),
            ],
            set_aside_max: 0,
        }
    }

    /// Set the event aside as a [`DeadLetter`](crate::DeadLetter) and go on, for up to `at_most` events (and no more than
    /// [`DEAD_LETTERS_MAX`]); with so many set aside, park before the next. Later events are applied before the one that
    /// was set aside, those of its own stream too: choose this for models that can bear it.
    #[must_use]
    pub fn set_aside(at_most: usize) -> Self {
        Self {
            set_aside_max: at_most.min(DEAD_LETTERS_MAX),
            ..Self::park()
        }
    }

    /// How long to wait before each further attempt; none, to give up at once. No more than a hundred count. If nothing
    /// is said: 10 ms, 100 ms, 1 s.
    #[must_use]
    pub fn retry_after(mut self, delays: impl IntoIterator<Item = Duration>) -> Self {
        self.retry_after = delays.into_iter().take(RETRIES_MAX).collect();
        self
    }

    /// How often an event is tried in all.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.retry_after.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    }

    /// How long to wait after so many attempts; `None` to give up.
    pub(super) fn delay_after(&self, attempts: u32) -> Option<Duration> {
        let index = usize::try_from(attempts).ok()?.checked_sub(1)?;
        self.retry_after.get(index).copied()
    }

    pub(crate) fn set_aside_max(&self) -> usize {
        self.set_aside_max
    }
}

impl Default for FailurePolicy {
    fn default() -> Self {
        Self::park()
    }
}
