use crate::text_names::text_names;

text_names! {
    /// The code of an account in the chart: `1000`, `receivables:acme`.
    ///
    /// The caller gives it. It is the last part of a stream id, so it has no `/`, no control character and
    /// at most 126 bytes; that is checked when it is used.
    AccountId;
    /// The caller's id of a journal entry. Posting under one id twice takes effect once.
    ///
    /// The caller gives it. It is the last part of a stream id, so it has no `/`, no control character and
    /// at most 126 bytes; that is checked when it is used.
    EntryId;
    /// The caller's id of a hold. Placing a hold under one id twice takes effect once.
    ///
    /// The caller gives it. It is the last part of a stream id, so it has no `/`, no control character and
    /// at most 126 bytes; that is checked when it is used.
    HoldId;
    /// The caller's id of an entry that recurs.
    ///
    /// The caller gives it. It is the last part of a stream id, so it has no `/`, no control character and
    /// at most 110 bytes, as the day of each of its entries comes behind it; that is checked when it is used.
    RecurringId;
}
