use foldhouse::{
    Projection, ProjectionError, ProjectionRef, RecordedEvent, Table, Timestamp, decode_event,
};
use serde::{Deserialize, Serialize};

use super::general_ledger::Ledger;
use super::hold::{GlHold, Hold, HoldEvent, HoldRejection};
use super::ledger_error::LedgerError;
use super::names::HoldId;

/// The read model of the holds that have not ended, by when they expire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenHolds;

/// Where a hold stands in [`OpenHolds`]: those that expire first come first, those that never do last. Persisted with
/// its field names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OpenHoldKey {
    /// The tenant.
    pub tenant: Box<str>,
    /// When it expires, in microseconds since the Unix epoch; `i64::MAX` if never.
    pub expires_at_micros: i64,
    /// The hold.
    pub hold: HoldId,
}

/// A row of [`OpenHolds`]. Persisted with its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpenHoldRow {
    /// An open hold.
    Open(Box<Hold>),
    /// When the hold of that name expires, so that it is found when it ends.
    Expiry(i64),
}

impl Projection for OpenHolds {
    const NAME: &'static str = "gl-open-holds";
    type Key = OpenHoldKey;
    type Row = OpenHoldRow;

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<OpenHoldKey, OpenHoldRow>,
    ) -> Result<(), ProjectionError> {
        let Some(decoded) = decode_event::<GlHold>(event) else {
            return Ok(());
        };
        let name = expiry_key(event.stream.tenant(), event.stream.aggregate_id().into());
        match decoded? {
            HoldEvent::Placed { hold } => {
                let expires_at = hold.expires_at.map_or(i64::MAX, Timestamp::unix_micros);
                let key = OpenHoldKey {
                    // The lowest time is that of the names.
                    expires_at_micros: expires_at.max(i64::MIN.saturating_add(1)),
                    ..name.clone()
                };
                table.insert(name, OpenHoldRow::Expiry(key.expires_at_micros));
                table.insert(key, OpenHoldRow::Open(hold));
            }
            HoldEvent::Ended { .. } => {
                if let Some(OpenHoldRow::Expiry(expires_at_micros)) = table.remove(&name) {
                    table.remove(&OpenHoldKey {
                        expires_at_micros,
                        ..name
                    });
                }
            }
            // It holds until it is given back.
            HoldEvent::FellDue {} => {}
        }
        Ok(())
    }
}

fn expiry_key(tenant: &str, hold: HoldId) -> OpenHoldKey {
    OpenHoldKey {
        tenant: tenant.into(),
        expires_at_micros: i64::MIN,
        hold,
    }
}

/// The holds of a tenant that have not ended, by when they expire; with a time, only those that have expired by then.
pub fn open_holds<'t>(
    table: &'t Table<OpenHoldKey, OpenHoldRow>,
    tenant: &'t str,
    expired_by: Option<Timestamp>,
) -> impl Iterator<Item = &'t Hold> {
    let mut begin = expiry_key(tenant, HoldId::new(""));
    begin.expires_at_micros = i64::MIN.saturating_add(1);
    let last = expired_by.map_or(i64::MAX, Timestamp::unix_micros);
    let rows = table.range(begin..);
    rows.take_while(move |(key, _)| *key.tenant == *tenant && key.expires_at_micros <= last)
        .filter_map(|(_, row)| match row {
            OpenHoldRow::Open(hold) => Some(hold.as_ref()),
            OpenHoldRow::Expiry(_) => None,
        })
        // A hold without a time never expires, not even at the last one.
        .filter(move |hold| expired_by.is_none() || hold.expires_at.is_some())
}

impl Ledger {
    /// Gives back what all holds hold whose time is over at `now`, and tells which those were. Call it every now and
    /// then: a hold that is due cannot be posted any more, whether this was called or not, but until then it counts
    /// against its accounts' limits. Where timers do it ([`LedgerDue`](crate::LedgerDue)), nobody need call this.
    ///
    /// # Errors
    /// As for [`Ledger::expire_hold`]; the holds before it are given back. That somebody else ends one meanwhile, or
    /// that the store's clock is behind `now`, is no error.
    pub async fn expire_due_holds(
        &self,
        holds: &ProjectionRef<OpenHolds>,
        now: Timestamp,
    ) -> Result<Vec<HoldId>, LedgerError> {
        let due: Vec<HoldId> = holds.read(|table| {
            let due = open_holds(table, self.tenant(), Some(now));
            due.map(|hold| hold.id.clone()).collect()
        });
        let mut expired = Vec::with_capacity(due.len());
        for hold in due {
            match self.expire_hold(&hold).await {
                Ok(_) => expired.push(hold),
                Err(LedgerError::Hold(
                    HoldRejection::Ended { .. } | HoldRejection::NotDue { .. },
                )) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(expired)
    }
}
