use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use foldhouse_store::BoxFuture;

use super::change::TimedCommand;
use super::fire::{Order, Outcome, fire};
use crate::aggregate::Aggregate;
use crate::shared::Shared;

/// The commands that timers can send, by aggregate type and name.
#[derive(Clone, Default)]
pub(crate) struct TimedCommands {
    kinds: BTreeMap<(&'static str, &'static str), Arc<dyn TimedKind>>,
}

/// One kind of command, whatever its type.
pub(super) trait TimedKind: Send + Sync {
    /// Lets a timer's command be decided, and waits until its outcome is durable.
    fn fire(&self, shared: Arc<Shared>, order: Order) -> BoxFuture<'static, Outcome>;
}

struct Kind<C>(PhantomData<fn() -> C>);

impl<C: TimedCommand> TimedKind for Kind<C> {
    fn fire(&self, shared: Arc<Shared>, order: Order) -> BoxFuture<'static, Outcome> {
        Box::pin(fire::<C>(shared, order))
    }
}

impl TimedCommands {
    pub(crate) fn add<C: TimedCommand>(&mut self) {
        let key = (C::Aggregate::TYPE, C::NAME);
        self.kinds.insert(key, Arc::new(Kind::<C>(PhantomData)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    pub(super) fn find(&self, aggregate_type: &str, name: &str) -> Option<&Arc<dyn TimedKind>> {
        // Few are registered, and borrowed texts of any lifetime are no key of this map.
        let mut kinds = self.kinds.iter();
        kinds
            .find(|((of, called), _)| *of == aggregate_type && *called == name)
            .map(|(_, kind)| kind)
    }
}
