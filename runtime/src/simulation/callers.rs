//! All callers of a process as one task, which decides by the seed who of those that could go on comes next.
//!
//! tokio's own order is first come, first served, and a few of its wake-ups come in an order by chance: with this, the
//! callers' order is neither.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use foldhouse_store::simulation::Random;

/// In so many of a hundred cases nobody goes on although somebody could: others than callers come first.
const PASS_PERCENT: u64 = 25;

pub(super) type Lane = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ends when all callers are done.
pub(super) struct Callers {
    lanes: Vec<Option<(Lane, Waker)>>,
    awake: Arc<Awake>,
    random: Random,
}

#[derive(Debug, Default)]
struct Awake {
    state: Mutex<AwakeState>,
}

#[derive(Debug, Default)]
struct AwakeState {
    lanes: BTreeSet<usize>,
    scheduler: Option<Waker>,
}

struct LaneWaker {
    number: usize,
    awake: Arc<Awake>,
}

impl Awake {
    fn state(&self) -> MutexGuard<'_, AwakeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for LaneWaker {
    fn wake(self: Arc<Self>) {
        let mut state = self.awake.state();
        state.lanes.insert(self.number);
        let scheduler = state.scheduler.clone();
        drop(state);
        if let Some(scheduler) = scheduler {
            scheduler.wake();
        }
    }
}

impl Callers {
    pub(super) fn new(lanes: Vec<Lane>, random: Random) -> Self {
        let awake = Arc::new(Awake::default());
        awake.state().lanes = (0..lanes.len()).collect();
        let lanes = lanes.into_iter().enumerate().map(|(number, lane)| {
            let awake = Arc::clone(&awake);
            let waker = Waker::from(Arc::new(LaneWaker { number, awake }));
            Some((lane, waker))
        });
        Self {
            lanes: lanes.collect(),
            awake,
            random,
        }
    }

    /// Who goes on, of those that could.
    fn pick(&mut self) -> Option<usize> {
        let mut state = self.awake.state();
        let last = (state.lanes.len() as u64).checked_sub(1)?;
        if self.random.chance(PASS_PERCENT) {
            return None;
        }
        let picked = *state.lanes.iter().nth(self.random.index(last))?;
        state.lanes.remove(&picked);
        Some(picked)
    }
}

impl Future for Callers {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.awake.state().scheduler = Some(context.waker().clone());
        if let Some(number) = self.pick()
            && let Some(place) = self.lanes.get_mut(number)
            && let Some((lane, waker)) = place
            && lane
                .as_mut()
                .poll(&mut Context::from_waker(waker))
                .is_ready()
        {
            *place = None;
        }
        if self.lanes.iter().all(Option::is_none) {
            return Poll::Ready(());
        }
        if !self.awake.state().lanes.is_empty() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
