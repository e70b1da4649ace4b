use foldhouse::{Aggregate, Backdating};
use serde::{Deserialize, Serialize};

use super::chart::ChartPlace;
use super::events::GlEvent;
use super::limits;
use super::samples::samples;
use super::terms::{OverdraftPolicy, Side};
use crate::currency::Currency;
use crate::money::Money;
use crate::total::Total;

/// An account of the general ledger: one currency, two sides, and a balance that counts on its normal side.
///
/// Its rules:
/// - It is opened once, and takes postings from then until it is closed. A closed account stays closed.
/// - A posting is positive and in the account's currency.
/// - A posting against the normal side takes the balance no lower than the [`OverdraftPolicy`] allows; a posting on
///   the normal side is never refused for a low balance.
/// - The balance always fits one [`Money`]. The turnover may exceed it: each side is totalled in 128 bits.
/// - What is held counts against its limits and not in their favour.
/// - With a place in a chart of accounts it takes only lines of journal entries; a control account takes none.
/// - It is closed only at a balance of zero, and with nothing held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlAccount {
    terms: Option<Terms>,
    closed: bool,
    debits: i128,
    credits: i128,
    postings: u64,
    debits_pending: i128,
    credits_pending: i128,
    place: Option<Box<ChartPlace>>,
}

/// What the account was opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Terms {
    pub(super) currency: Currency,
    pub(super) normal_side: Side,
    pub(super) overdraft: OverdraftPolicy,
}

impl Aggregate for GlAccount {
    const TYPE: &'static str = "gl-account";

    // 2: with what is held, and with the account's place in the chart.
    const STATE_SCHEMA: u32 = 2;
    // Both sides are sums, and opening and closing are set once: any order comes to the same.
    const BACKDATING: Backdating = Backdating::AnyOrder;

    type Event = GlEvent;

    // The totals saturate because any history must be accepted. None reaches the end: 2^64 postings of less than 2^63
    // stay within 128 bits.
    fn apply(&mut self, event: &GlEvent) {
        match event {
            GlEvent::Opened {
                currency,
                normal_side,
                overdraft,
            } => {
                self.terms = Some(Terms {
                    currency: *currency,
                    normal_side: *normal_side,
                    overdraft: *overdraft,
                });
            }
            GlEvent::Debited { minor_units, .. } => {
                self.debits = self.debits.saturating_add((*minor_units).into());
                self.postings = self.postings.saturating_add(1);
            }
            GlEvent::Credited { minor_units, .. } => {
                self.credits = self.credits.saturating_add((*minor_units).into());
                self.postings = self.postings.saturating_add(1);
            }
            GlEvent::Closed {} => self.closed = true,
            GlEvent::Charted(place) => self.place = Some(place.clone()),
            GlEvent::LinePosted {
                side, minor_units, ..
            } => {
                let posted = match side {
                    Side::Debit => &mut self.debits,
                    Side::Credit => &mut self.credits,
                };
                *posted = posted.saturating_add((*minor_units).into());
                self.postings = self.postings.saturating_add(1);
            }
            GlEvent::LineHeld {
                side, minor_units, ..
            } => {
                let pending = self.pending_mut(*side);
                *pending = pending.saturating_add((*minor_units).into());
            }
            GlEvent::LineReleased {
                side, minor_units, ..
            } => {
                let pending = self.pending_mut(*side);
                *pending = pending.saturating_sub((*minor_units).into());
            }
        }
    }

    fn samples() -> Vec<GlEvent> {
        samples()
    }
}

impl GlAccount {
    /// Whether it takes postings: it was opened and not closed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.terms.is_some() && !self.closed
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Its currency; `None` before it is opened.
    #[must_use]
    pub fn currency(&self) -> Option<Currency> {
        self.terms.map(|terms| terms.currency)
    }

    /// The side on which its balance counts as positive; `None` before it is opened.
    #[must_use]
    pub fn normal_side(&self) -> Option<Side> {
        self.terms.map(|terms| terms.normal_side)
    }

    /// How far its balance may go below zero; `None` before it is opened.
    #[must_use]
    pub fn overdraft(&self) -> Option<OverdraftPolicy> {
        self.terms.map(|terms| terms.overdraft)
    }

    /// What was ever posted on its debit side; `None` before it is opened.
    #[must_use]
    pub fn debits(&self) -> Option<Total> {
        let terms = self.terms?;
        Some(Total::new(self.debits, terms.currency))
    }

    /// What was ever posted on its credit side; `None` before it is opened.
    #[must_use]
    pub fn credits(&self) -> Option<Total> {
        let terms = self.terms?;
        Some(Total::new(self.credits, terms.currency))
    }

    /// How many postings it has had.
    #[must_use]
    pub fn postings(&self) -> u64 {
        self.postings
    }

    /// Its balance, signed on its normal side: below zero is overdrawn.
    ///
    /// `None` before it is opened. No command leads to a balance beyond 64 bits; for a foreign history that has one
    /// it is `None` too, and [`GlAccount::debits`] and [`GlAccount::credits`] still tell.
    #[must_use]
    pub fn balance(&self) -> Option<Money> {
        let terms = self.terms?;
        let balance = Total::new(self.balance_on(terms.normal_side), terms.currency);
        balance.to_money().ok()
    }

    /// Its place in the chart of accounts; `None` if it was opened beside any chart.
    #[must_use]
    pub fn place(&self) -> Option<&ChartPlace> {
        self.place.as_deref()
    }

    /// What is held on that side and not posted yet; `None` before it is opened.
    #[must_use]
    pub fn pending(&self, side: Side) -> Option<Total> {
        let terms = self.terms?;
        Some(Total::new(self.pending_on(side), terms.currency))
    }

    /// How much more can come to that side before one of the account's limits is reached. What is held counts as if
    /// it were posted. `None` before it is opened.
    #[must_use]
    pub fn room(&self, side: Side) -> Option<Money> {
        let terms = self.terms?;
        Some(Money::new(limits::room(self, side), terms.currency))
    }

    /// What is held on one side, in minor units.
    pub(super) fn pending_on(&self, side: Side) -> i128 {
        match side {
            Side::Debit => self.debits_pending,
            Side::Credit => self.credits_pending,
        }
    }

    fn pending_mut(&mut self, side: Side) -> &mut i128 {
        match side {
            Side::Debit => &mut self.debits_pending,
            Side::Credit => &mut self.credits_pending,
        }
    }

    pub(super) fn terms(&self) -> Option<Terms> {
        self.terms
    }

    /// What one side has more than the other, in minor units.
    pub(super) fn balance_on(&self, side: Side) -> i128 {
        let (own, other) = match side {
            Side::Debit => (self.debits, self.credits),
            Side::Credit => (self.credits, self.debits),
        };
        own.saturating_sub(other)
    }
}
