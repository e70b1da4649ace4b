use std::sync::Arc;
use std::time::Duration;

use foldhouse::{EventStore, JournalStore, ProjectionRef, Runtime};
use foldhouse_aggregates::{Balances, TrialBalance};
use foldhouse_examples::{Failure, Findings, fail};

use crate::ledger::{Ledger, TENANT};
use crate::trial_balance::{Proof, TrialBalances};
use crate::workload::{Account, Workload};

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The read models that follow the postings.
pub(crate) struct ReadModels {
    balances: ProjectionRef<Balances>,
    trial_balances: ProjectionRef<TrialBalances>,
}

impl ReadModels {
    pub(crate) async fn start(runtime: &Runtime) -> Result<Self, Failure> {
        Ok(Self {
            balances: runtime.project(Balances).await.map_err(fail)?,
            trial_balances: runtime.project(TrialBalances).await.map_err(fail)?,
        })
    }

    async fn reach_the_head(&self, store: &JournalStore) -> Result<(), Failure> {
        let head = store.head();
        let (balances, trial_balances) = (&self.balances, &self.trial_balances);
        balances.wait_for(head, DEADLINE).await.map_err(fail)?;
        trial_balances.wait_for(head, DEADLINE).await.map_err(fail)
    }

    /// What the read model made of the trial balance behind every entry.
    pub(crate) fn proof(&self) -> Proof {
        let proof = self.trial_balances.get(&());
        proof.unwrap_or_default().at_head()
    }
}

/// Checks the actors and the read models against the sums kept on the side.
pub(crate) async fn check_live(
    ledger: &Ledger,
    models: Option<&ReadModels>,
    workload: &Workload,
    mismatches: &mut Findings,
    store: &JournalStore,
) -> Result<(), Failure> {
    if let Some(models) = models {
        models.reach_the_head(store).await?;
        check_balances_of_all(models, mismatches)?;
    }
    for account in workload.all_accounts() {
        let expected = i128::from(workload.credit_minor(account));
        let (in_actor, _) = ledger.credit_balance(account).await?;
        let in_model = models.map(|models| {
            let row = models.balances.get(ledger.stream(account));
            row.map(|row| row.credits - row.debits)
        });
        let model_holds = in_model.is_none_or(|balance| balance == Some(expected));
        if in_actor != expected || !model_holds {
            mismatches.add(|| format!(
                "account {}: the postings add up to {expected}, the account says {in_actor}, the read model {in_model:?}",
                workload.account_id(account)
            ));
        }
    }
    Ok(())
}

/// The trial balance as accountants make it: from the balances of all accounts.
fn check_balances_of_all(models: &ReadModels, mismatches: &mut Findings) -> Result<(), Failure> {
    let trial_balance = models.balances.read(|rows| {
        let rows = rows.iter();
        TrialBalance::of(rows.map(|(stream, row)| (stream.aggregate_id().to_owned(), *row)))
    });
    for section in trial_balance.map_err(fail)?.sections {
        if !section.is_balanced() {
            mismatches.add(|| {
                format!(
                    "the trial balance over all accounts is off by {}",
                    section.difference
                )
            });
        }
    }
    Ok(())
}

/// Rehydrates every account of a store that was just opened, and checks its balance and that no posting is lost or
/// doubled. Gives back what is on the customers' accounts.
pub(crate) async fn check_rehydrated(
    store: &Arc<JournalStore>,
    workload: &Arc<Workload>,
    mismatches: &mut Findings,
) -> Result<Vec<(String, i128)>, Failure> {
    let runtime = Runtime::builder(store.clone())
        .start()
        .await
        .map_err(fail)?;
    let ledger = Ledger::new(&runtime, workload)?;
    let mut found = Vec::with_capacity(workload.customers());
    for account in workload.all_accounts() {
        let (balance_minor, version) = ledger.credit_balance(account).await?;
        let expected = i128::from(workload.expected_minor(account));
        let expected_version = workload.count(account) + 1;
        if balance_minor != expected || version.get() != expected_version {
            mismatches.add(|| format!(
                "account {} of {TENANT} after reopening: balance {balance_minor} at version {version}, \
                 expected {expected} at version {expected_version}",
                workload.account_id(account)
            ));
        }
        if let Account::Customer(_) = account {
            found.push((workload.account_id(account), balance_minor));
        }
    }
    drop(ledger);
    runtime.shutdown(DEADLINE).await.map_err(fail)?;
    Ok(found)
}

/// Goes through the journal of a store that was just opened, entry by entry, and compares with what the read model found.
pub(crate) async fn check_entries(
    store: &JournalStore,
    accepted: u64,
    by_read_model: Option<Proof>,
    mismatches: &mut Findings,
) -> Result<Proof, Failure> {
    let proof = Proof::of_journal(store).await?;
    if proof.entries != accepted {
        mismatches.add(|| {
            let entries = proof.entries;
            format!("the journal has {entries} entries, {accepted} were accepted")
        });
    }
    if by_read_model.as_ref().is_some_and(|model| *model != proof) {
        mismatches.add(|| format!("the read model has {by_read_model:?}, the journal {proof:?}"));
    }
    if let Some(position) = proof.first_unbalanced {
        eprintln!("not balanced: behind position {position} the debits are not the credits");
    }
    Ok(proof)
}
