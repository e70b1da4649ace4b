use std::sync::Arc;

use foldhouse_store::{ReadError, Store};
use uuid::Uuid;

use super::claims::{Claim, Claims};
use crate::deadline::{Expired, Expiry};
use crate::outcome::{Outcome, OutcomeError};
use crate::refusal::NotRecorded;
use crate::shared::Shared;

/// What a command that is to take effect once finds.
pub(crate) enum First {
    /// It is the first one under its id, and is on its way from now on.
    Is(Claim),
    /// One was recorded before.
    Was(Outcome),
}

/// Why it is not known.
pub(crate) enum NotFirst {
    Expired,
    Unknown(OutcomeError),
}

impl From<Expired> for NotFirst {
    fn from(Expired: Expired) -> Self {
        Self::Expired
    }
}

impl From<OutcomeError> for NotFirst {
    fn from(error: OutcomeError) -> Self {
        Self::Unknown(error)
    }
}

/// Claims the id, or finds what was recorded under it; waits while another one with this id is on its way.
///
/// Who waits holds its places meanwhile. That cannot go in a circle: who has claimed an id has all its places already.
pub(crate) async fn first(
    shared: &Arc<Shared>,
    id: Uuid,
    until: Expiry,
) -> Result<First, NotFirst> {
    loop {
        match Claims::claim(shared, id) {
            // Behind the claim, or another one could be recorded between the look and the claim.
            Ok(claim) => {
                return Ok(match recall(&*shared.store, id).await? {
                    Some(recorded) => First::Was(recorded),
                    None => First::Is(claim),
                });
            }
            Err(on_its_way) => until.wait_for(&shared.tokio, on_its_way.settled()).await?,
        }
        // Without a claim: many may have waited, and they need not look one after the other.
        if let Some(recorded) = recall(&*shared.store, id).await? {
            return Ok(First::Was(recorded));
        }
    }
}

/// What was recorded under an id.
pub(crate) async fn recall(
    store: &dyn Store,
    command_id: Uuid,
) -> Result<Option<Outcome>, OutcomeError> {
    store
        .command(command_id)
        .await
        .map(|found| found.map(Outcome::new))
        .map_err(|error| match error {
            // The index has it, so it was recorded.
            ReadError::Corrupt(damage) => OutcomeError::UnreadableReply {
                command_id,
                error: format!("the store is damaged: {damage}"),
            },
            ReadError::Closed => OutcomeError::Unavailable {
                command_id,
                reason: NotRecorded::StoreClosed,
            },
            other => OutcomeError::Unavailable {
                command_id,
                reason: NotRecorded::Store(other.to_string().into()),
            },
        })
}
