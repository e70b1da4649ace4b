use std::collections::BTreeMap;

use super::balances::AccountBalance;
use crate::currency::Currency;
use crate::money::MoneyError;
use crate::total::Total;

/// The proof of the books: every account with what it has on each side, and the sums, per currency.
///
/// Where every entry was posted to both sides, the debits of each currency equal the credits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrialBalance {
    /// One section per currency, in the order of the codes.
    pub sections: Vec<TrialSection>,
}

/// The part of a [`TrialBalance`] that is in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialSection {
    /// The currency.
    pub currency: Currency,
    /// The accounts, in the order of their names.
    pub lines: Vec<TrialLine>,
    /// The sum of the debit turnovers.
    pub debits: Total,
    /// The sum of the credit turnovers.
    pub credits: Total,
    /// The sum of the debit balances.
    pub debit_balances: Total,
    /// The sum of the credit balances.
    pub credit_balances: Total,
    /// Debits less credits; zero if the books balance.
    pub difference: Total,
}

/// One account in a [`TrialBalance`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialLine {
    /// The account's name, as given.
    pub account: String,
    /// What was ever posted on its debit side.
    pub debits: Total,
    /// What was ever posted on its credit side.
    pub credits: Total,
    /// What the debit side has more, zero if it has less.
    pub debit_balance: Total,
    /// What the credit side has more, zero if it has less.
    pub credit_balance: Total,
}

impl TrialBalance {
    /// The trial balance of these accounts, open and closed, in any order. It takes memory for every row.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] if a sum exceeds 128 bits of minor units; no sum is ever cut off.
    pub fn of<Name: Into<String>>(
        rows: impl IntoIterator<Item = (Name, AccountBalance)>,
    ) -> Result<Self, MoneyError> {
        let mut sections: BTreeMap<Currency, TrialSection> = BTreeMap::new();
        for (account, row) in rows {
            let section = sections
                .entry(row.currency)
                .or_insert_with(|| TrialSection::empty(row.currency));
            section.add(TrialLine::of(account.into(), &row)?)?;
        }
        let mut sections: Vec<_> = sections.into_values().collect();
        for section in &mut sections {
            section.lines.sort_by(|a, b| a.account.cmp(&b.account));
        }
        Ok(Self { sections })
    }

    /// The section of a currency; `None` if no account is in it.
    #[must_use]
    pub fn section(&self, currency: Currency) -> Option<&TrialSection> {
        self.sections
            .iter()
            .find(|section| section.currency == currency)
    }

    /// Whether debits equal credits in every currency.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.sections.iter().all(TrialSection::is_balanced)
    }
}

impl TrialSection {
    /// Whether debits equal credits.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.difference.is_zero()
    }

    fn empty(currency: Currency) -> Self {
        let zero = Total::zero(currency);
        Self {
            currency,
            lines: Vec::new(),
            debits: zero,
            credits: zero,
            debit_balances: zero,
            credit_balances: zero,
            difference: zero,
        }
    }

    fn add(&mut self, line: TrialLine) -> Result<(), MoneyError> {
        self.debits = self.debits.checked_add(line.debits)?;
        self.credits = self.credits.checked_add(line.credits)?;
        self.debit_balances = self.debit_balances.checked_add(line.debit_balance)?;
        self.credit_balances = self.credit_balances.checked_add(line.credit_balance)?;
        self.difference = self.debits.checked_sub(self.credits)?;
        self.lines.push(line);
        Ok(())
    }
}

impl TrialLine {
    fn of(account: String, row: &AccountBalance) -> Result<Self, MoneyError> {
        let debits = Total::new(row.debits, row.currency);
        let credits = Total::new(row.credits, row.currency);
        let zero = Total::zero(row.currency);
        let (debit_balance, credit_balance) = if row.debits >= row.credits {
            (debits.checked_sub(credits)?, zero)
        } else {
            (zero, credits.checked_sub(debits)?)
        };
        Ok(Self {
            account,
            debits,
            credits,
            debit_balance,
            credit_balance,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::currency::Currency::{CZK, EUR};
    use crate::ledger::{GlEvent, Side};

    fn row(currency: Currency, side: Side, debits: i128, credits: i128) -> AccountBalance {
        AccountBalance {
            debits,
            credits,
            ..AccountBalance::new(currency, side)
        }
    }

    #[test]
    fn the_trial_balance_lists_each_account_by_name_and_proves_the_sums() {
        let trial = TrialBalance::of([
            ("321 payables", row(CZK, Side::Credit, 200, 1_200)),
            ("211 cash", row(CZK, Side::Debit, 1_500, 700)),
            ("221 bank EUR", row(EUR, Side::Debit, 50, 0)),
            ("501 material", row(CZK, Side::Debit, 200, 0)),
        ])
        .unwrap();

        let czk = trial.section(CZK).unwrap();
        let line = |account: &str, figures: [i128; 4]| {
            let [debits, credits, debit_balance, credit_balance] =
                figures.map(|minor_units| Total::new(minor_units, CZK));
            TrialLine {
                account: account.to_owned(),
                debits,
                credits,
                debit_balance,
                credit_balance,
            }
        };
        assert_eq!(
            czk.lines,
            [
                line("211 cash", [1_500, 700, 800, 0]),
                line("321 payables", [200, 1_200, 0, 1_000]),
                line("501 material", [200, 0, 200, 0]),
            ]
        );
        assert_eq!(czk.debits, Total::new(1_900, CZK));
        assert_eq!(czk.credits, Total::new(1_900, CZK));
        assert_eq!(czk.debit_balances, Total::new(1_000, CZK));
        assert_eq!(czk.credit_balances, Total::new(1_000, CZK));
        assert!(czk.is_balanced());
    }

    #[test]
    fn books_that_do_not_balance_show_by_how_much_and_in_which_currency() {
        let trial = TrialBalance::of([
            ("cash", row(CZK, Side::Debit, 100, 0)),
            ("sales", row(CZK, Side::Credit, 0, 100)),
            ("bank", row(EUR, Side::Debit, 0, 7)),
        ])
        .unwrap();
        assert!(!trial.is_balanced());
        assert!(trial.section(CZK).unwrap().is_balanced());
        let eur = trial.section(EUR).unwrap();
        assert_eq!(eur.difference, Total::new(-7, EUR));
        assert_eq!(eur.debit_balances, Total::zero(EUR));
        assert_eq!(eur.credit_balances, Total::new(7, EUR));
        assert_eq!(
            trial
                .sections
                .iter()
                .map(|s| s.currency)
                .collect::<Vec<_>>(),
            [CZK, EUR]
        );
    }

    #[test]
    fn empty_books_balance() {
        let trial = TrialBalance::of(Vec::<(String, AccountBalance)>::new()).unwrap();
        assert!(trial.is_balanced() && trial.sections.is_empty());
        assert_eq!(trial.section(CZK), None);
    }

    #[test]
    fn a_sum_beyond_128_bits_is_refused() {
        let huge = row(CZK, Side::Debit, i128::MAX, 0);
        let trial = TrialBalance::of([("a", huge), ("b", huge)]);
        assert_eq!(trial, Err(MoneyError::Overflow { currency: CZK }));
    }

    #[test]
    fn a_row_begins_with_the_opening_of_its_account() {
        let debited = GlEvent::Debited {
            minor_units: 5,
            memo: None,
        };
        assert_eq!(AccountBalance::fold(None, &debited), None);
        let mut row = AccountBalance::new(CZK, Side::Credit);
        row.apply(&debited);
        row.apply(&GlEvent::Closed {});
        assert_eq!(row.balance(), Total::new(-5, CZK));
        assert!(row.closed);
    }
}
