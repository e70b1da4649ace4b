//! What is on disk: these bytes were written once and must be read for ever. A test here that fails is a change of
//! the persisted contract; mend the code, not the bytes.

use foldhouse::Aggregate;

use super::*;
use crate::currency::Currency::CZK;
use crate::memo::Memo;

fn events_and_their_bytes() -> Vec<(GlEvent, &'static [u8])> {
    vec![
        (
            GlEvent::Opened {
                currency: CZK,
                normal_side: Side::Debit,
                overdraft: OverdraftPolicy::Limit { minor_units: 5 },
            },
            b"\x81\xa6Opened\x83\xa8currency\xa3CZK\xabnormal_side\xa5Debit\
              \xa9overdraft\x81\xa5Limit\x81\xabminor_units\x05",
        ),
        (
            GlEvent::Opened {
                currency: CZK,
                normal_side: Side::Credit,
                overdraft: OverdraftPolicy::Forbidden,
            },
            b"\x81\xa6Opened\x83\xa8currency\xa3CZK\xabnormal_side\xa6Credit\xa9overdraft\xa9Forbidden",
        ),
        (
            GlEvent::Opened {
                currency: CZK,
                normal_side: Side::Debit,
                overdraft: OverdraftPolicy::Unlimited,
            },
            b"\x81\xa6Opened\x83\xa8currency\xa3CZK\xabnormal_side\xa5Debit\xa9overdraft\xa9Unlimited",
        ),
        (
            GlEvent::Debited {
                minor_units: 100,
                memo: None,
            },
            b"\x81\xa7Debited\x81\xabminor_units\x64",
        ),
        (
            GlEvent::Credited {
                minor_units: 100,
                memo: Some(Memo::new("rent").unwrap()),
            },
            b"\x81\xa8Credited\x82\xabminor_units\x64\xa4memo\xa4rent",
        ),
        (GlEvent::Closed {}, b"\x81\xa6Closed\x80"),
    ]
}

#[test]
fn every_event_is_written_as_these_bytes_and_read_from_them() {
    for (event, bytes) in events_and_their_bytes() {
        assert_eq!(rmp_serde::to_vec_named(&event).unwrap(), bytes, "{event:?}");
        assert_eq!(rmp_serde::from_slice::<GlEvent>(bytes).unwrap(), event);
    }
}

#[test]
fn a_field_that_a_later_version_adds_is_skipped() {
    let later = b"\x81\xa7Debited\x82\xabminor_units\x64\xa4book\xa4main";
    assert_eq!(
        rmp_serde::from_slice::<GlEvent>(later).unwrap(),
        GlEvent::Debited {
            minor_units: 100,
            memo: None
        }
    );
}

#[test]
fn the_stream_type_of_an_account_never_changes() {
    assert_eq!(GlAccount::TYPE, "gl-account");
}

#[test]
fn a_row_survives_the_store() {
    let mut row = AccountBalance::new(CZK, Side::Credit);
    row.debits = i128::MAX;
    row.credits = -1;
    let named = rmp_serde::to_vec_named(&row).unwrap();
    assert_eq!(
        rmp_serde::from_slice::<AccountBalance>(&named).unwrap(),
        row
    );
}
