use chrono::{Days, Months, NaiveDate};
use foldhouse::{Aggregate, Command, CommandContext, Decided, Decision, IdempotentCommand};
use serde::{Deserialize, Serialize};

use super::date::BookDate;
use super::entry::{Entry, EntryFault, EntryKind};
use super::general_ledger::{Ledger, once_id};
use super::ledger_error::LedgerError;
use super::names::{EntryId, RecurringId};
use super::record_samples::recurring_samples;

/// The name of the timer of the next one. Persisted with it.
const NEXT: &str = "next";

/// How often an entry recurs. Persisted by the variants' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Every {
    /// After so many days.
    Days(u32),
    /// After so many months, on the day of the month of the first one, or on the month's last day if it has no such day:
    /// from January 31 on to February 28, March 31, April 30.
    Months(u32),
}

/// On which days an entry recurs. Persisted with its field names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurrence {
    /// The first day.
    pub first: BookDate,
    /// How often.
    pub every: Every,
    /// The last day on which it may be; it goes on without an end if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<BookDate>,
}

impl Recurrence {
    /// The day of that number, from 0; `None` behind the last one, and at the calendar's end.
    #[must_use]
    pub fn day(&self, number: u32) -> Option<BookDate> {
        let first = NaiveDate::from(self.first);
        let day = match self.every {
            Every::Days(days) => {
                let days = u64::from(days).checked_mul(number.into())?;
                first.checked_add_days(Days::new(days))?
            }
            Every::Months(months) => {
                first.checked_add_months(Months::new(months.checked_mul(number)?))?
            }
        };
        let day = BookDate::from(day);
        self.last.is_none_or(|last| day <= last).then_some(day)
    }
}

/// An entry that recurs: the rent of each month. On each of its days it falls due, and is posted by
/// [`LedgerDue`](crate::LedgerDue) under an id of its own, `ID/2026-01-31` with a hyphen for the stroke.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecurringEntry {
    template: Option<Box<Entry>>,
    recurrence: Option<Recurrence>,
    /// How many have fallen due.
    fallen_due: u32,
    stopped: bool,
}

/// What happens to a [`RecurringEntry`]. This is the persisted contract: names never change, and never their meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecurringEvent {
    /// It recurs from now on.
    Started {
        /// What is posted each time, on another day and under another id.
        entry: Box<Entry>,
        /// When.
        recurrence: Recurrence,
    },
    /// A day has come: it is to be posted.
    FellDue {
        /// Which one, from 0.
        number: u32,
        /// The day.
        date: BookDate,
    },
    /// It recurs no longer.
    // Braces, so that it is a map on disk like the others and can still get fields.
    Stopped {},
}

/// Why an entry does not recur, or not now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecurringRejection {
    /// It recurs already, with what was said before; stop it, and give the new one another id.
    #[error("a recurring entry {id} was started before; stop it, and give the new one another id")]
    AlreadyStarted {
        /// Its id.
        id: RecurringId,
    },
    /// There is none.
    #[error("there is no recurring entry {id}")]
    NotStarted {
        /// Its id.
        id: RecurringId,
    },
    /// It has no days.
    #[error("an entry that recurs every 0 days or months never comes to an end; give at least 1")]
    Never,
    /// No day has come, or it recurs no longer.
    #[error("recurring entry {id} is not due")]
    NotDue {
        /// Its id.
        id: RecurringId,
    },
    /// What is to be posted is wrong in itself.
    #[error(transparent)]
    Fault(#[from] EntryFault),
}

impl Aggregate for RecurringEntry {
    const TYPE: &'static str = "gl-recurring";

    type Event = RecurringEvent;

    fn apply(&mut self, event: &RecurringEvent) {
        match event {
            RecurringEvent::Started { entry, recurrence } => {
                self.template = Some(entry.clone());
                self.recurrence = Some(*recurrence);
            }
            RecurringEvent::FellDue { number, .. } => self.fallen_due = number.saturating_add(1),
            RecurringEvent::Stopped {} => self.stopped = true,
        }
    }

    fn samples() -> Vec<RecurringEvent> {
        recurring_samples()
    }
}

impl RecurringEntry {
    /// What is posted each time.
    #[must_use]
    pub fn template(&self) -> Option<&Entry> {
        self.template.as_deref()
    }

    /// The day of the next one; `None` if there is none any more.
    #[must_use]
    pub fn next(&self) -> Option<BookDate> {
        let recurrence = self.recurrence.filter(|_| !self.stopped)?;
        recurrence.day(self.fallen_due)
    }

    /// The entry of a day.
    #[must_use]
    pub fn entry_of(&self, id: &RecurringId, date: BookDate) -> Option<Entry> {
        let entry = self.template()?.clone();
        Some(Entry {
            id: EntryId::new(format!("{id}-{date}")),
            date,
            ..entry
        })
    }
}

/// Lets an entry recur.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StartRecurring {
    /// Its id.
    pub id: RecurringId,
    /// What is posted each time.
    pub entry: Box<Entry>,
    /// When.
    pub recurrence: Recurrence,
}

impl Command for StartRecurring {
    type Aggregate = RecurringEntry;
    type Reply = Option<BookDate>;
    type Rejection = RecurringRejection;

    fn decide(&self, state: &RecurringEntry, _: &CommandContext) -> Decided<Self> {
        if state.template.is_some() {
            let id = self.id.clone();
            return Err(RecurringRejection::AlreadyStarted { id });
        }
        if matches!(self.recurrence.every, Every::Days(0) | Every::Months(0)) {
            return Err(RecurringRejection::Never);
        }
        self.entry.check()?;
        if self.entry.kind != EntryKind::Ordinary {
            return Err(EntryFault::NotOrdinary.into());
        }
        let started = RecurringEvent::Started {
            entry: self.entry.clone(),
            recurrence: self.recurrence,
        };
        let first = self.recurrence.day(0);
        let decision = Decision::event(started, first);
        Ok(scheduled(decision, &self.id, first))
    }
}

/// The same decision, and the next one falls due on its day.
fn scheduled<R>(
    decision: Decision<RecurringEvent, R>,
    id: &RecurringId,
    next: Option<BookDate>,
) -> Decision<RecurringEvent, R> {
    match next {
        Some(day) => decision.schedule(NEXT, day.start(), RecurringDue { id: id.clone() }),
        None => decision,
    }
}

impl IdempotentCommand for StartRecurring {
    const NAME: &'static str = "start-recurring";
}

/// Says that the day of a recurring entry has come. A timer sends it; register it with the runtime
/// (`RuntimeBuilder::timed_command`), and let [`LedgerDue`](crate::LedgerDue) post the entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecurringDue {
    /// Which entry.
    pub id: RecurringId,
}

impl Command for RecurringDue {
    type Aggregate = RecurringEntry;
    type Reply = BookDate;
    type Rejection = RecurringRejection;

    fn decide(&self, state: &RecurringEntry, context: &CommandContext) -> Decided<Self> {
        let due = state.next().filter(|day| day.start() <= context.now);
        let Some(date) = due else {
            let id = self.id.clone();
            return Err(RecurringRejection::NotDue { id });
        };
        let number = state.fallen_due;
        let recurrence = state.recurrence;
        let next = recurrence.and_then(|recurrence| recurrence.day(number.checked_add(1)?));
        let decision = Decision::event(RecurringEvent::FellDue { number, date }, date);
        // Days that are over already fall due one after the other, at once.
        Ok(scheduled(decision, &self.id, next))
    }
}

impl IdempotentCommand for RecurringDue {
    const NAME: &'static str = "recurring-due";
}

/// Lets an entry recur no longer. What has fallen due is posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StopRecurring {
    /// Its id.
    pub id: RecurringId,
}

impl Command for StopRecurring {
    type Aggregate = RecurringEntry;
    type Reply = ();
    type Rejection = RecurringRejection;

    fn decide(&self, state: &RecurringEntry, _: &CommandContext) -> Decided<Self> {
        if state.template.is_none() {
            let id = self.id.clone();
            return Err(RecurringRejection::NotStarted { id });
        }
        if state.stopped {
            return Ok(Decision::nothing(()));
        }
        let decision = Decision::event(RecurringEvent::Stopped {}, ());
        Ok(match state.next() {
            Some(_) => decision.cancel(NEXT),
            None => decision,
        })
    }
}

impl IdempotentCommand for StopRecurring {
    const NAME: &'static str = "stop-recurring";
}

impl Ledger {
    /// Lets an entry recur: on each of the days it is posted as `entry` is, under an id of its own (`rent-2026-01-31`). The
    /// entry's own id and date mean nothing. Under one id it takes effect once. The first day.
    ///
    /// Days that are over already are made up for at once. It takes [`RecurringDue`] as a timed command of the runtime, and a
    /// [`LedgerDue`](crate::LedgerDue) that runs.
    ///
    /// # Errors
    /// [`LedgerError::Recurring`] if one was started under this id, or if the entry is wrong in itself.
    pub async fn recur(
        &self,
        id: impl Into<RecurringId>,
        entry: Entry,
        recurrence: Recurrence,
    ) -> Result<Option<BookDate>, LedgerError> {
        let id = id.into();
        let handle = self.recurring(&id)?;
        let once = once_id(handle.stream(), "start");
        let start = StartRecurring {
            id,
            entry: Box::new(entry),
            recurrence,
        };
        let steps = (handle.step(start),);
        let options = self.options();
        let started = self.runtime.transact_once_with(steps, once, options).await;
        let started = started.map_err(recurring_error)?;
        Ok(started.replies.0)
    }

    /// Lets an entry recur no longer. What has fallen due is posted.
    ///
    /// # Errors
    /// [`LedgerError::Recurring`] if there is none.
    pub async fn stop_recurring(&self, id: impl Into<RecurringId>) -> Result<(), LedgerError> {
        let id = id.into();
        let handle = self.recurring(&id)?;
        let steps = (handle.step(StopRecurring { id }),);
        let stopped = self.runtime.transact_with(steps, self.options()).await;
        stopped.map(drop).map_err(recurring_error)
    }
}

fn recurring_error(error: foldhouse::TransactionError) -> LedgerError {
    match error.rejection::<RecurringRejection>() {
        Some(rejection) => rejection.clone().into(),
        None => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use foldhouse::Timestamp;
    use foldhouse::testing::given;

    use super::*;
    use crate::currency::Currency;
    use crate::money::Money;

    fn date(text: &str) -> BookDate {
        text.parse().unwrap()
    }

    fn rent() -> Entry {
        let rent = Money::new(250_000, Currency::CZK);
        Entry::new("", date("2026-01-31"))
            .debit("rent", rent)
            .credit("bank", rent)
    }

    fn monthly(last: Option<&str>) -> Recurrence {
        Recurrence {
            first: date("2026-01-31"),
            every: Every::Months(1),
            last: last.map(date),
        }
    }

    fn started(recurrence: Recurrence) -> RecurringEvent {
        RecurringEvent::Started {
            entry: Box::new(rent()),
            recurrence,
        }
    }

    fn fell_due(number: u32, day: &str) -> RecurringEvent {
        RecurringEvent::FellDue {
            number,
            date: date(day),
        }
    }

    fn due() -> RecurringDue {
        RecurringDue { id: "rent".into() }
    }

    fn midnight(day: &str) -> Timestamp {
        date(day).start()
    }

    #[test]
    fn the_last_day_of_a_month_stands_for_those_that_it_does_not_have() {
        let days = (0..4).map(|number| monthly(None).day(number).unwrap().to_string());
        let days: Vec<_> = days.collect();
        assert_eq!(
            days,
            ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]
        );
        let fortnight = Recurrence {
            every: Every::Days(14),
            ..monthly(Some("2026-02-20"))
        };
        assert_eq!(fortnight.day(1), Some(date("2026-02-14")));
        assert_eq!(fortnight.day(2), None);
        assert_eq!(monthly(None).day(u32::MAX), None);
    }

    #[test]
    fn a_recurring_entry_falls_due_on_its_days_one_after_the_other() {
        let start = StartRecurring {
            id: "rent".into(),
            entry: Box::new(rent()),
            recurrence: monthly(None),
        };
        given::<RecurringEntry>([])
            .when(start.clone())
            .then([started(monthly(None))])
            .then_reply(&Some(date("2026-01-31")))
            .then_scheduled(NEXT, midnight("2026-01-31"), &due());
        given([started(monthly(None))])
            .at(midnight("2026-01-31"))
            .when(due())
            .then([fell_due(0, "2026-01-31")])
            .then_scheduled(NEXT, midnight("2026-02-28"), &due());
        given([started(monthly(None)), fell_due(0, "2026-01-31")])
            .at(midnight("2026-02-27"))
            .when(due())
            .then_rejected(&RecurringRejection::NotDue { id: "rent".into() });
        given([started(monthly(None))])
            .when(start)
            .then_rejected(&RecurringRejection::AlreadyStarted { id: "rent".into() });
    }

    #[test]
    fn the_last_one_schedules_none_and_a_stopped_one_falls_due_no_more() {
        given([started(monthly(Some("2026-02-27")))])
            .at(midnight("2026-01-31"))
            .when(due())
            .then([fell_due(0, "2026-01-31")])
            .then_no_timers();
        let stop = StopRecurring { id: "rent".into() };
        given([started(monthly(None))])
            .when(stop.clone())
            .then([RecurringEvent::Stopped {}])
            .then_cancelled(NEXT);
        given([started(monthly(None)), RecurringEvent::Stopped {}])
            .at(midnight("2026-01-31"))
            .when(due())
            .then_rejected(&RecurringRejection::NotDue { id: "rent".into() });
        given::<RecurringEntry>([])
            .when(stop)
            .then_rejected(&RecurringRejection::NotStarted { id: "rent".into() });
    }

    #[test]
    fn an_entry_that_is_wrong_or_never_comes_again_does_not_recur() {
        let never = Recurrence {
            every: Every::Days(0),
            ..monthly(None)
        };
        let start = |entry: Entry, recurrence| StartRecurring {
            id: "rent".into(),
            entry: Box::new(entry),
            recurrence,
        };
        given::<RecurringEntry>([])
            .when(start(rent(), never))
            .then_rejected(&RecurringRejection::Never);
        let mut half = rent();
        half.lines.pop();
        given::<RecurringEntry>([])
            .when(start(half, monthly(None)))
            .then_rejected(&RecurringRejection::Fault(EntryFault::LineCount {
                lines: 1,
            }));
        let mut closing = rent();
        closing.kind = EntryKind::Closing;
        given::<RecurringEntry>([])
            .when(start(closing, monthly(None)))
            .then_rejected(&RecurringRejection::Fault(EntryFault::NotOrdinary));
    }
}
