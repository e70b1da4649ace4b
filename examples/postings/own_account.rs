use foldhouse_aggregates::Side;

/// What the ids of the bank's own accounts begin with; no customer's account may.
///
/// A transaction waits for its accounts in the order of their ids, holding those before. Nearly every entry touches one
/// of a few own accounts, so they come last, behind the customers' numbers: then they are held for no longer than it
/// takes to decide.
const PREFIX: &str = "own:";

/// An account of the bank itself: the other side of what a customer's account shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnAccount {
    /// What is in the tills.
    Cash,
    /// What other banks owe until transfers are settled.
    Clearing,
    /// What customers are charged.
    Fees,
    /// What customers are paid for their balances.
    InterestExpense,
    /// What customers pay for overdrafts.
    InterestIncome,
    /// What the bank itself rounds amounts by.
    Rounding,
    /// What nobody can tell yet: the bank's people look into it.
    Suspense,
}

impl OwnAccount {
    pub(crate) const ALL: [Self; 7] = [
        Self::Cash,
        Self::Clearing,
        Self::Fees,
        Self::InterestExpense,
        Self::InterestIncome,
        Self::Rounding,
        Self::Suspense,
    ];

    /// The account on the other side of a row of the bank's file.
    pub(crate) fn of(operation: &str, purpose: &str) -> Self {
        // The purpose goes first: the bank books its fees and overdraft interest as withdrawals.
        match (operation, purpose) {
            (_, "interest") => Self::InterestExpense,
            (_, "overdraft-interest") => Self::InterestIncome,
            (_, "statement-fee") => Self::Fees,
            ("cash-deposit" | "cash-withdrawal", _) => Self::Cash,
            ("transfer-in" | "transfer-out", _) => Self::Clearing,
            _ => Self::Suspense,
        }
    }

    /// The side on which its balance counts as positive: assets and expenses left, income right.
    pub(crate) fn normal_side(self) -> Side {
        match self {
            Self::Fees | Self::InterestIncome => Side::Credit,
            Self::Cash
            | Self::Clearing
            | Self::InterestExpense
            | Self::Rounding
            | Self::Suspense => Side::Debit,
        }
    }

    pub(crate) fn id(self) -> String {
        let name = match self {
            Self::Cash => "cash",
            Self::Clearing => "clearing",
            Self::Fees => "fees",
            Self::InterestExpense => "interest-expense",
            Self::InterestIncome => "interest-income",
            Self::Rounding => "rounding",
            Self::Suspense => "suspense",
        };
        format!("{PREFIX}{name}")
    }

    /// Its place in [`OwnAccount::ALL`].
    pub(crate) fn number(self) -> usize {
        self as usize
    }

    pub(crate) fn has_id(id: &str) -> bool {
        id.starts_with(PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_row_has_its_counter_account_and_an_unknown_one_waits_in_suspense() {
        let rows = [
            ("cash-deposit", "", OwnAccount::Cash),
            ("cash-withdrawal", "household", OwnAccount::Cash),
            ("cash-withdrawal", "statement-fee", OwnAccount::Fees),
            (
                "cash-withdrawal",
                "overdraft-interest",
                OwnAccount::InterestIncome,
            ),
            ("other", "interest", OwnAccount::InterestExpense),
            ("transfer-in", "pension", OwnAccount::Clearing),
            ("transfer-out", "loan", OwnAccount::Clearing),
            ("other", "", OwnAccount::Suspense),
        ];
        for (operation, purpose, account) in rows {
            assert_eq!(
                OwnAccount::of(operation, purpose),
                account,
                "{operation} {purpose}"
            );
        }
    }

    #[test]
    fn own_accounts_are_numbered_in_order_and_stand_behind_every_customers_number() {
        for (number, account) in OwnAccount::ALL.into_iter().enumerate() {
            assert_eq!(account.number(), number);
            assert!(account.id().as_str() > "999999999");
            assert!(OwnAccount::has_id(&account.id()));
        }
    }
}
