use super::Booked;
use crate::plain_text::journal::Journal;
use crate::plain_text::problem::JournalError;

pub(super) fn book(_journal: &Journal) -> Result<Booked, Vec<JournalError>> {
    Ok(Booked::default())
}
