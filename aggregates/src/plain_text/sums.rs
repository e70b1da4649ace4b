use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::amount::Amount;
use crate::decimal::{Decimal, DecimalError};

/// A sum of amounts of several commodities, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum(Vec<Amount>);

impl Sum {
    pub(super) fn add(&mut self, amount: &Amount) -> Result<(), DecimalError> {
        let known = self
            .0
            .iter_mut()
            .find(|known| known.commodity == amount.commodity);
        match known {
            Some(known) => known.quantity = known.quantity.checked_add(amount.quantity)?,
            None => self.0.push(amount.clone()),
        }
        Ok(())
    }

    pub(super) fn amounts(&self) -> &[Amount] {
        &self.0
    }

    /// Its amounts with the other sign, those of nothing left out.
    pub(super) fn negated(&self) -> Result<Vec<Amount>, DecimalError> {
        let not_zero = self.0.iter().filter(|amount| !amount.quantity.is_zero());
        not_zero
            .map(|amount| {
                let quantity = amount.quantity.checked_neg()?;
                let commodity = Arc::clone(&amount.commodity);
                Ok(Amount {
                    quantity,
                    commodity,
                })
            })
            .collect()
    }
}

/// What accounts have, by commodity.
#[derive(Clone, Debug, Default)]
pub(super) struct Running(HashMap<Arc<str>, BTreeMap<Arc<str>, Decimal>>);

impl Running {
    pub(super) fn add(&mut self, account: &Arc<str>, amount: &Amount) -> Result<(), DecimalError> {
        let commodities = match self.0.get_mut(account) {
            Some(commodities) => commodities,
            None => self.0.entry(Arc::clone(account)).or_default(),
        };
        match commodities.get_mut(&amount.commodity) {
            Some(quantity) => *quantity = quantity.checked_add(amount.quantity)?,
            None => {
                commodities.insert(Arc::clone(&amount.commodity), amount.quantity);
            }
        }
        Ok(())
    }

    /// What an account has, with the accounts below it if wanted.
    pub(super) fn of(&self, account: &str, inclusive: bool) -> Result<Sum, DecimalError> {
        let mut sum = Sum::default();
        let mut add = |commodities: &BTreeMap<Arc<str>, Decimal>| {
            commodities.iter().try_for_each(|(commodity, quantity)| {
                sum.add(&Amount::new(*quantity, Arc::clone(commodity)))
            })
        };
        if inclusive {
            for (other, commodities) in &self.0 {
                if is_within(other, account) {
                    add(commodities)?;
                }
            }
        } else if let Some(commodities) = self.0.get(account) {
            add(commodities)?;
        }
        Ok(sum)
    }

    /// One commodity of that.
    pub(super) fn of_commodity(
        &self,
        account: &str,
        commodity: &str,
        inclusive: bool,
    ) -> Result<Decimal, DecimalError> {
        let one = |commodities: &BTreeMap<Arc<str>, Decimal>| commodities.get(commodity).copied();
        if !inclusive {
            return Ok(self.0.get(account).and_then(one).unwrap_or_default());
        }
        let within = self.0.iter().filter(|(other, _)| is_within(other, account));
        let mut quantities = within.filter_map(|(_, commodities)| one(commodities));
        quantities.try_fold(Decimal::ZERO, Decimal::checked_add)
    }
}

/// Whether an account is that one or stands below it.
pub(super) fn is_within(account: &str, parent: &str) -> bool {
    account
        .strip_prefix(parent)
        .is_some_and(|below| below.is_empty() || below.starts_with(':'))
}
