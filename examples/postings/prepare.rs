use std::sync::Arc;

use foldhouse::{EventStore, JournalStore, StreamQuery, Version};
use foldhouse_aggregates::OverdraftPolicy;
use foldhouse_examples::{Failure, at_the_same_time, fail};

use crate::bank_file::BankFile;
use crate::ledger::{Ledger, credit_minor};
use crate::own_account::OwnAccount;
use crate::workload::{Account, Kind, Posting, Workload};

/// How many accounts are opened at the same time.
const OPENERS: u32 = 1_024;

/// Opens the accounts that are not open, and takes what an earlier run has posted into the sums. Gives back how much.
pub(crate) async fn prepare(
    store: &JournalStore,
    ledger: &Arc<Ledger>,
    workload: &Workload,
) -> Result<u64, Failure> {
    let is_new = store.head().get() == 0;
    match &workload.kind {
        Kind::Simulated { .. } if !is_new => Err(Failure::Usage(
            "the directory holds a store already; a simulation needs a fresh one: name another with --data".to_owned(),
        )),
        Kind::Simulated { .. } => open_accounts(ledger, workload, OverdraftPolicy::Forbidden).await,
        Kind::Bank { .. } if is_new => {
            open_accounts(ledger, workload, OverdraftPolicy::Unlimited).await
        }
        Kind::Bank { file, .. } => go_on(store, ledger, workload, file).await,
    }
}

async fn open_accounts(
    ledger: &Arc<Ledger>,
    workload: &Workload,
    overdraft: OverdraftPolicy,
) -> Result<u64, Failure> {
    let accounts: Arc<[Account]> = workload.all_accounts().collect();
    at_the_same_time(OPENERS, |first| {
        let (ledger, accounts) = (Arc::clone(ledger), Arc::clone(&accounts));
        async move {
            for account in accounts
                .iter()
                .skip(first as usize)
                .step_by(OPENERS as usize)
            {
                ledger.open(*account, overdraft).await?;
            }
            Ok(())
        }
    })
    .await?;
    Ok(0)
}

/// Takes up what an earlier run has left: each account's rows up to some row, each with both its sides.
async fn go_on(
    store: &JournalStore,
    ledger: &Ledger,
    workload: &Workload,
    file: &BankFile,
) -> Result<u64, Failure> {
    let mut found = 0;
    for (number, bank_account) in file.accounts.iter().enumerate() {
        let account = Account::Customer(number);
        let recorded = recorded_changes(store, ledger, account).await?;
        if recorded.is_empty() {
            ledger.open(account, OverdraftPolicy::Unlimited).await?;
        }
        for (index, (change_minor, transaction_id)) in recorded.into_iter().skip(1).enumerate() {
            let row = bank_account.rows.get(index).filter(|row| {
                row.change_minor() == change_minor
                    && transaction_id.as_deref() == Some(&row.transaction_id)
            });
            let row = row.ok_or_else(|| {
                Failure::Usage(format!(
                    "posting {} to account {} in the directory is not from this file; name a fresh one with --data",
                    index + 1,
                    bank_account.id
                ))
            })?;
            workload.note(&Posting::of_row(number, row));
            found += 1;
        }
    }
    for own in OwnAccount::ALL.map(Account::Own) {
        let version = store
            .stream_version(ledger.stream(own))
            .await
            .map_err(fail)?;
        let postings = version.get().saturating_sub(1);
        if version == Version::EMPTY {
            ledger.open(own, OverdraftPolicy::Unlimited).await?;
        }
        if postings != workload.count(own) {
            return Err(Failure::Usage(format!(
                "account {} in the directory has {postings} postings, the customers' rows there make {}: they were \
                 not posted as entries over both; name a fresh directory with --data",
                workload.account_id(own),
                workload.count(own),
            )));
        }
    }
    Ok(found)
}

/// What the events of an account credited, and the transactions that they are from.
async fn recorded_changes(
    store: &JournalStore,
    ledger: &Ledger,
    account: Account,
) -> Result<Vec<(i64, Option<String>)>, Failure> {
    let mut changes = Vec::new();
    let mut query = StreamQuery::whole(ledger.stream(account).clone(), 1_000);
    loop {
        let page = store.read_stream(query.clone()).await.map_err(fail)?;
        for event in &page.events {
            changes.push((
                credit_minor(event)?,
                event.metadata.get("transaction_id").cloned(),
            ));
        }
        match page.next {
            Some(next) => query.from = next,
            None => return Ok(changes),
        }
    }
}
