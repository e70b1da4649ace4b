use std::collections::HashMap;
use std::sync::Arc;

use chrono::{NaiveDate, NaiveTime};
use foldhouse::{AggregateRef, CommandMeta, CommandOptions, EventStore, Runtime, Step, Timestamp};
use foldhouse_aggregates::plain_text::{
    Amount, BookAccount, BookedTransaction, PostToBook, book_account_id,
};
use foldhouse_examples::{Failure, fail};
use uuid::Uuid;

use crate::balances::{Balances, add};

/// How many transactions are on their way at a time.
const BATCH_TRANSACTIONS: usize = 4_096;
/// Streams of one read.
const PAGE_STREAMS: usize = 1_000;

/// The accounts of the books, as actors.
#[derive(Debug)]
pub(crate) struct Books {
    runtime: Runtime,
    book: String,
    accounts: HashMap<Arc<str>, AggregateRef<BookAccount>>,
}

impl Books {
    pub(crate) fn new(runtime: &Runtime, book: &str) -> Self {
        Self {
            runtime: runtime.clone(),
            book: book.to_owned(),
            accounts: HashMap::new(),
        }
    }

    fn account(&mut self, name: &Arc<str>) -> Result<AggregateRef<BookAccount>, Failure> {
        if let Some(account) = self.accounts.get(name) {
            return Ok(account.clone());
        }
        let id = book_account_id(name);
        let account: AggregateRef<BookAccount> = self
            .runtime
            .aggregate(&self.book, &id)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        self.accounts.insert(Arc::clone(name), account.clone());
        Ok(account)
    }

    /// Posts transactions in this order, each to all its accounts or to none, and gives how many there were.
    pub(crate) async fn post<'b>(
        &mut self,
        transactions: impl IntoIterator<Item = (&'b BookedTransaction, Uuid)>,
    ) -> Result<u64, Failure> {
        let mut posted = 0;
        let mut batch = Vec::with_capacity(BATCH_TRANSACTIONS);
        for (transaction, id) in transactions {
            let steps = self.steps(transaction)?;
            // A transaction without postings leaves nothing to record.
            if !steps.is_empty() {
                batch.push((steps, options(transaction, id)));
            }
            if batch.len() == BATCH_TRANSACTIONS {
                posted += self.send(std::mem::take(&mut batch)).await?;
            }
        }
        posted += self.send(batch).await?;
        Ok(posted)
    }

    async fn send(
        &self,
        batch: Vec<(Vec<Step<PostToBook>>, CommandOptions)>,
    ) -> Result<u64, Failure> {
        let posted = batch.len() as u64;
        for outcome in self.runtime.transact_each_with(batch).await {
            outcome.map_err(fail)?;
        }
        Ok(posted)
    }

    /// One step for each account.
    fn steps(&mut self, transaction: &BookedTransaction) -> Result<Vec<Step<PostToBook>>, Failure> {
        let mut by_account: Vec<(&Arc<str>, Vec<Amount>)> = Vec::new();
        for posting in &transaction.postings {
            let amount = posting.amount.clone();
            match by_account
                .iter_mut()
                .find(|(account, _)| *account == &posting.account)
            {
                Some((_, amounts)) => amounts.push(amount),
                None => by_account.push((&posting.account, vec![amount])),
            }
        }
        let steps = by_account.into_iter().map(|(name, amounts)| {
            let post = PostToBook::new(Arc::clone(name), amounts);
            let post = post.description(Arc::clone(&transaction.description));
            Ok(self.account(name)?.step(post))
        });
        steps.collect()
    }

    /// What every account of the books has, asked of the accounts themselves.
    pub(crate) async fn balances(&self, store: &dyn EventStore) -> Result<Balances, Failure> {
        let mut balances = Balances::new();
        let mut after = None;
        loop {
            let kind = <BookAccount as foldhouse::Aggregate>::TYPE;
            let streams = store
                .streams(&self.book, kind, after.as_ref(), PAGE_STREAMS)
                .await
                .map_err(fail)?;
            for stream in &streams {
                let account: AggregateRef<BookAccount> = self
                    .runtime
                    .aggregate(&self.book, stream.aggregate_id())
                    .map_err(fail)?;
                let state = account.query(BookAccount::clone).await.map_err(fail)?;
                let name: Arc<str> = state.name().into();
                for (commodity, quantity) in state.balances() {
                    add(&mut balances, &name, commodity, *quantity).map_err(fail)?;
                }
            }
            after = streams.last().cloned();
            if after.is_none() {
                return Ok(balances);
            }
        }
    }
}

fn options(transaction: &BookedTransaction, id: Uuid) -> CommandOptions {
    let meta = CommandMeta::new()
        .effective_at(midnight(transaction.date))
        .correlation_id(id);
    CommandOptions::new().command_id(id).meta(meta)
}

fn midnight(date: NaiveDate) -> Timestamp {
    Timestamp::from_unix_micros(date.and_time(NaiveTime::MIN).and_utc().timestamp_micros())
}
