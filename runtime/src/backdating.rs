/// Whether an aggregate's events may be put into the order in which they count.
///
/// An event is recorded at one time and counts at another one ([`CommandMeta::effective_at`](crate::CommandMeta)): an
/// invoice of December that is posted in January is *back-dated*, a payment that is entered ahead of its day is
/// *post-dated*. The question "what was the balance on 31 December, with all that is known now?"
/// ([`AsOf::Effective`](crate::AsOf)) is answered by folding what counts by then, in the order in which it counts:
/// by `effective_at`, and by version where that is the same.
///
/// That is a history which nobody ever decided on. For a ledger account it is what an accountant means: postings add
/// up in any order. For a state machine it can be nonsense: a shipment that was back-dated to before its reservation
/// would be folded first, and an event that does not count yet would be left out although the ones behind it were decided
/// on top of it. So an aggregate says whether it makes sense, in [`Aggregate::BACKDATING`](crate::Aggregate::BACKDATING).
///
/// It is about reading only. Whether a back-dated command is taken is decided like everything else, in
/// [`Command::decide`](crate::Command::decide): [`CommandContext::effective_at`](crate::CommandContext::effective_at)
/// tells when its events would count. A closed period is a rule of the domain's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backdating {
    /// The order in which events were recorded is the only one that makes sense. A question by effective time is answered
    /// where both orders are the same, and what counts is all that was recorded up to some version; else it is refused
    /// with [`PastError::BackDated`](crate::PastError::BackDated), which names the event.
    #[default]
    Refused,
    /// `apply` makes sense of the events in the order in which they count, whichever that is, and with any of them left out:
    /// the last value by time, sums.
    ///
    /// Rules that commands were checked against when they were decided (no overdraft, say) need not hold at each moment
    /// of effective time: that is a finding, not a fault. Whatever the rest stands on (the opening of an account) should
    /// count from early on: record it with an effective time, too.
    Allowed,
    /// The same, and the order makes no difference at all: the same events in any order come to the same state, as sums and
    /// sets do. Then a snapshot helps by effective time, too, also where events are back-dated.
    AnyOrder,
}
