use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

/// Until when a command or a query may be begun: at a moment, or so long after it is sent. Its time is tokio's clock.
///
/// One that is not begun by then never will be, and its caller is told so. Once it is decided it is answered, whatever
/// the deadline: what is on its way to the disk cannot be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// At this moment.
    At(Instant),
    /// So long after it is sent.
    Within(Duration),
}

impl From<Instant> for Deadline {
    fn from(moment: Instant) -> Self {
        Self::At(moment)
    }
}

impl From<Duration> for Deadline {
    fn from(duration: Duration) -> Self {
        Self::Within(duration)
    }
}

/// A deadline as a moment; without one it never passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expiry(Option<Instant>);

/// The deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expired;

impl Expiry {
    /// The moment of a command that is sent now.
    pub(crate) fn of(deadline: Option<Deadline>) -> Self {
        Self(match deadline {
            None => None,
            Some(Deadline::At(moment)) => Some(moment),
            // A moment that no clock reaches is none.
            Some(Deadline::Within(duration)) => Instant::now().checked_add(duration),
        })
    }

    pub(crate) fn is_never(self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn has_passed(self) -> bool {
        self.0.is_some_and(|moment| moment <= Instant::now())
    }

    /// Waits for `what`, but not for longer. The timer is of `tokio`: a caller need not be on any.
    pub(crate) async fn wait_for<F: Future>(
        self,
        tokio: &Handle,
        what: F,
    ) -> Result<F::Output, Expired> {
        let Some(moment) = self.0 else {
            return Ok(what.await);
        };
        let in_time = {
            let _entered = tokio.enter();
            // Boxed, or the timer would take its room in the future of every command that has none.
            Box::pin(timeout_at(moment, what))
        };
        in_time.await.map_err(|_| Expired)
    }
}
