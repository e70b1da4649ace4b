use tokio::sync::oneshot;

use crate::actor::Ended;
use crate::aggregate::Aggregate;
use crate::cell::Cell;
use crate::refusal::Refusal;
use crate::slot::Borrowed;
use crate::work::Work;

/// Who waits for an aggregate to be lent.
pub(crate) type Borrower<A> = oneshot::Sender<Result<Borrowed<A>, Refusal>>;

/// A transaction's turn in the mailbox of one of its aggregates.
pub(super) struct LoanWork<A: Aggregate> {
    borrower: Borrower<A>,
}

impl<A: Aggregate> LoanWork<A> {
    pub(super) fn new(borrower: Borrower<A>) -> Self {
        Self { borrower }
    }
}

impl<A: Aggregate> Work<A> for LoanWork<A> {
    fn run(self, cell: &mut Cell<A>) -> Result<(), Ended> {
        if !self.borrower.is_closed() {
            cell.lend_to(self.borrower);
        }
        Ok(())
    }

    fn run_boxed(self: Box<Self>, cell: &mut Cell<A>) -> Result<(), Ended> {
        (*self).run(cell)
    }

    fn name(&self) -> &'static str {
        "a transaction"
    }

    fn refuse(self: Box<Self>, refusal: Refusal) {
        // Whoever has given up wants no answer.
        let _ = self.borrower.send(Err(refusal));
    }
}
