use foldhouse::{Command, CommandContext, Decided};
use foldhouse_aggregates::{Credit, Currency, Debit, GlAccount, Money, Posting, PostingRejection};

/// One line of a journal entry: a posting on one side of one account.
pub(crate) enum Line {
    Debit(Debit),
    Credit(Credit),
}

impl Line {
    /// A credit, or a debit for an amount below zero.
    pub(crate) fn credit_of(minor_units: i64, currency: Currency) -> Self {
        // The lowest amount has no opposite; the account refuses it as not positive.
        let amount = Money::new(minor_units.checked_abs().unwrap_or(i64::MIN), currency);
        if minor_units < 0 {
            Self::Debit(Debit::new(amount))
        } else {
            Self::Credit(Credit::new(amount))
        }
    }
}

impl Command for Line {
    type Aggregate = GlAccount;
    type Reply = Posting;
    type Rejection = PostingRejection;

    fn decide(&self, account: &GlAccount, context: &CommandContext) -> Decided<Self> {
        match self {
            Self::Debit(debit) => debit.decide(account, context),
            Self::Credit(credit) => credit.decide(account, context),
        }
    }
}
