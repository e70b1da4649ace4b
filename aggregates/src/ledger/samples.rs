use super::chart::{AccountKind, ChartPlace};
use super::events::GlEvent;
use super::terms::{OverdraftPolicy, Side};
use crate::currency::Currency;
use crate::memo::Memo;

/// Events of every type and in every shape, in an order in which they could happen.
///
/// Snapshots carry a fingerprint of what the account makes of them, and `tests/golden` holds them as they are recorded: an
/// event or an event's field that is new gets a sample here.
pub(super) fn samples() -> Vec<GlEvent> {
    let opened = |currency, normal_side, overdraft| GlEvent::Opened {
        currency,
        normal_side,
        overdraft,
    };
    let charted = |full: bool| {
        GlEvent::Charted(Box::new(ChartPlace {
            kind: AccountKind::Asset,
            name: full.then(|| Memo::new("Receivables").ok()).flatten(),
            parent: full.then(|| "31".into()),
            control: full,
            balance_max: full.then_some(1_000_000),
        }))
    };
    vec![
        opened(Currency::CZK, Side::Credit, OverdraftPolicy::Forbidden),
        opened(Currency::EUR, Side::Debit, OverdraftPolicy::Unlimited),
        opened(
            Currency::CZK,
            Side::Debit,
            OverdraftPolicy::Limit {
                minor_units: 50_000,
            },
        ),
        GlEvent::Debited {
            minor_units: 123_456,
            memo: Memo::new("opening balance").ok(),
        },
        GlEvent::Credited {
            minor_units: 456,
            memo: Memo::new("rent").ok(),
        },
        GlEvent::Debited {
            minor_units: i64::MAX,
            memo: None,
        },
        GlEvent::Credited {
            minor_units: 1,
            memo: None,
        },
        GlEvent::Closed {},
        charted(true),
        charted(false),
        GlEvent::LineHeld {
            hold: "hold-1".into(),
            side: Side::Credit,
            minor_units: 700,
        },
        GlEvent::LineReleased {
            hold: "hold-1".into(),
            side: Side::Credit,
            minor_units: 600,
        },
        GlEvent::LinePosted {
            entry: "entry-1".into(),
            side: Side::Debit,
            minor_units: 5_000,
        },
    ]
}
