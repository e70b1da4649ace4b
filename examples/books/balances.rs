use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use foldhouse_aggregates::{Decimal, DecimalError};

/// What accounts have, by account and commodity; what is zero is left out.
pub(crate) type Balances = BTreeMap<(Arc<str>, Arc<str>), Decimal>;

/// Adds so much to what an account has.
pub(crate) fn add(
    balances: &mut Balances,
    account: &Arc<str>,
    commodity: &Arc<str>,
    quantity: Decimal,
) -> Result<(), DecimalError> {
    let key = (Arc::clone(account), Arc::clone(commodity));
    let balance = balances.get(&key).copied().unwrap_or_default();
    let balance = balance.checked_add(quantity)?;
    if balance.is_zero() {
        balances.remove(&key);
    } else {
        balances.insert(key, balance);
    }
    Ok(())
}

/// Writes `account,commodity,quantity`, sorted: no zeros at the end of decimals, no exponents.
pub(crate) fn write_csv(path: &Path, balances: &Balances) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_path(path)?;
    writer.write_record(["account", "commodity", "quantity"])?;
    for ((account, commodity), quantity) in balances {
        let quantity = quantity.normalized().to_string();
        writer.write_record([account, commodity, quantity.as_str()])?;
    }
    writer.flush()?;
    Ok(())
}
