use std::panic::{AssertUnwindSafe, catch_unwind};

use foldhouse_store::Version;
use tokio::sync::oneshot;

use super::Work;
use super::unsettled::on_settled;
use crate::actor::Ended;
use crate::admission::Permit;
use crate::aggregate::Aggregate;
use crate::cell::Cell;
use crate::deadline::Expiry;
use crate::query_error::QueryError;
use crate::refusal::{PanickedIn, Refusal, panic_message};

/// A question about an aggregate's state.
pub(crate) struct QueryWork<A: Aggregate, F, R> {
    pub(crate) query: F,
    pub(crate) until: Expiry,
    pub(crate) permit: Permit<A>,
    pub(crate) answer: oneshot::Sender<Result<R, QueryError>>,
}

impl<A, F, R> Work<A> for QueryWork<A, F, R>
where
    A: Aggregate,
    F: FnOnce(&A, Version) -> R + Send + 'static,
    R: Send + 'static,
{
    fn run(self, cell: &mut Cell<A>) -> Result<(), Ended> {
        if self.until.has_passed() {
            Box::new(self).refuse(Refusal::Expired);
            return Ok(());
        }
        let Self {
            query,
            until: _,
            permit,
            answer,
        } = self;
        if answer.is_closed() {
            return Ok(());
        }
        // Unwind safe: the query has the state by shared reference only.
        let outcome = catch_unwind(AssertUnwindSafe(|| query(cell.state(), cell.version())));
        let result = match outcome {
            Ok(result) => result,
            Err(panic) => {
                let stream = permit.slot().stream.clone();
                drop(permit);
                let _ = answer.send(Err(QueryError::Panicked {
                    stream,
                    step: PanickedIn::Query,
                    message: panic_message(panic),
                }));
                return Ok(());
            }
        };
        if cell.is_durable() {
            drop(permit);
            let _ = answer.send(Ok(result));
            return Ok(());
        }
        let settled = on_settled(cell, permit, false, None, move |settled| {
            let _ = answer.send(match settled {
                Ok(_) => Ok(result),
                Err(failed) => Err(QueryError::Unavailable {
                    stream: failed.stream.clone(),
                    reason: failed.reason(),
                }),
            });
        });
        cell.submit_check(settled)
    }

    fn run_boxed(self: Box<Self>, cell: &mut Cell<A>) -> Result<(), Ended> {
        (*self).run(cell)
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<F>()
    }

    fn refuse(self: Box<Self>, refusal: Refusal) {
        let Self { permit, answer, .. } = *self;
        let error = QueryError::refused(&permit.slot().stream, refusal);
        drop(permit);
        let _ = answer.send(Err(error));
    }
}
