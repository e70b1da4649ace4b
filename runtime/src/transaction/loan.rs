use tokio::sync::oneshot;

use crate::actor::Ended;
use crate::admission::Place;
use crate::aggregate::Aggregate;
use crate::cell::Cell;
use crate::refusal::Refusal;
use crate::slot::Borrowed;
use crate::work::Work;

/// The aggregate, with the place that was taken there.
pub(super) type Lent<A> = Result<(Borrowed<A>, Option<Place<A>>), Refusal>;

/// Who waits for an aggregate to be lent.
///
/// The place is here and not with the transaction: one that gives up at its deadline leaves this in the mailbox, where as
/// many as there are places may lie.
pub(crate) struct Borrower<A: Aggregate> {
    place: Option<Place<A>>,
    sender: oneshot::Sender<Lent<A>>,
}

impl<A: Aggregate> Borrower<A> {
    pub(crate) fn lend(self, borrowed: Borrowed<A>) {
        // One that has gone gives it back at once.
        let _ = self.sender.send(Ok((borrowed, self.place)));
    }
}

/// A transaction's turn in the mailbox of one of its aggregates.
pub(super) struct LoanWork<A: Aggregate> {
    borrower: Borrower<A>,
}

impl<A: Aggregate> LoanWork<A> {
    pub(super) fn new(place: Option<Place<A>>, sender: oneshot::Sender<Lent<A>>) -> Self {
        Self {
            borrower: Borrower { place, sender },
        }
    }
}

impl<A: Aggregate> Work<A> for LoanWork<A> {
    fn run(self, cell: &mut Cell<A>) -> Result<(), Ended> {
        if !self.borrower.sender.is_closed() {
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
        let Borrower { place, sender } = self.borrower;
        drop(place);
        // Whoever has given up wants no answer.
        let _ = sender.send(Err(refusal));
    }
}
