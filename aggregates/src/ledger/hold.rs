use foldhouse::{
    Aggregate, Command, CommandContext, Decided, Decision, IdempotentCommand, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::date::BookDate;
use super::entry::{EntryFault, EntryLine, check_lines, check_text};
use super::names::{EntryId, HoldId};
use super::record_samples::hold_samples;
use crate::money::Money;

/// What is to be held: the lines of an entry that is not posted yet (TigerBeetle's pending transfer, a card payment's
/// authorisation).
///
/// Persisted with its field names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The caller's id of it.
    pub id: HoldId,
    /// The day on which it was agreed.
    pub date: BookDate,
    /// What for.
    #[serde(default)]
    pub description: String,
    /// Its lines; they balance as an entry's do.
    pub lines: Vec<EntryLine>,
    /// From when on it can only expire; never, without a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl Hold {
    /// A hold without lines that does not expire.
    #[must_use]
    pub fn new(id: impl Into<HoldId>, date: BookDate) -> Self {
        Self {
            id: id.into(),
            date,
            description: String::new(),
            lines: Vec::new(),
            expires_at: None,
        }
    }

    /// With this description.
    #[must_use]
    pub fn describe(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// With one more line.
    #[must_use]
    pub fn line(mut self, line: EntryLine) -> Self {
        self.lines.push(line);
        self
    }

    /// With two more lines: this amount goes from the account that is credited to the one that is debited.
    #[must_use]
    pub fn transfer(
        self,
        debited: impl Into<super::AccountId>,
        credited: impl Into<super::AccountId>,
        amount: Money,
    ) -> Self {
        self.line(EntryLine::debit(debited, amount))
            .line(EntryLine::credit(credited, amount))
    }

    /// It can only expire from then on.
    #[must_use]
    pub fn expires_at(mut self, at: Timestamp) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Whether it is right in itself, as an entry must be.
    ///
    /// # Errors
    /// [`EntryFault`] names the first thing that is wrong.
    pub fn check(&self) -> Result<(), EntryFault> {
        check_text("description", &self.description)?;
        check_lines(&self.lines)
    }
}

/// How a hold ended; it ends once.
///
/// Variant and field names are persisted and never change their meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldEnd {
    /// It was posted, in full or in part; the rest was given back.
    Posted {
        /// The entry that posted it.
        entry: EntryId,
    },
    /// It was given back.
    Voided,
    /// Its time was over, and it was given back.
    Expired,
}

/// A hold in the books: what is held, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlHold {
    hold: Option<Box<Hold>>,
    end: Option<HoldEnd>,
    /// Whether its time is over. Snapshots from before there was such say no.
    #[serde(default)]
    fell_due: bool,
}

/// What happens to a [`GlHold`]. This is the persisted contract: names never change, and never their meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldEvent {
    /// The amounts are held.
    Placed {
        /// What is held.
        hold: Box<Hold>,
    },
    /// It has ended.
    Ended {
        /// How.
        end: HoldEnd,
    },
    /// Its time is over: it is to be given back.
    // Braces, so that it is a map on disk like the others and can still get fields.
    FellDue {},
}

/// Why a hold is not placed or ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HoldRejection {
    /// A hold with this id is in the books, the same or another one.
    #[error("a hold {hold} is already placed; look at it, or give yours another id")]
    AlreadyPlaced {
        /// The id.
        hold: HoldId,
    },
    /// There is no such hold.
    #[error("there is no hold {hold} in the books")]
    NotPlaced {
        /// The id.
        hold: HoldId,
    },
    /// It has ended; it ends once.
    #[error("hold {hold} has already ended: {end:?}")]
    Ended {
        /// The hold.
        hold: HoldId,
        /// How.
        end: HoldEnd,
    },
    /// Its time is over; it can only expire.
    #[error("hold {hold} has expired at {at}; place a new one")]
    Expired {
        /// The hold.
        hold: HoldId,
        /// When.
        at: Timestamp,
    },
    /// Its time is not over, or it has none.
    #[error("hold {hold} is not due to expire yet; void it to end it now")]
    NotDue {
        /// The hold.
        hold: HoldId,
    },
    /// What is to be posted of it is not a part of it.
    #[error("line {line} of hold {hold} holds {held}; {amount} cannot be posted of it")]
    NotAPart {
        /// The hold.
        hold: HoldId,
        /// Which line, from 1.
        line: usize,
        /// What it holds.
        held: Money,
        /// What is to be posted.
        amount: Money,
    },
    /// The amounts to post are not one for each line.
    #[error(
        "hold {hold} has {lines} lines, but {amounts} amounts are to be posted; give one for each line"
    )]
    AmountCount {
        /// The hold.
        hold: HoldId,
        /// How many lines it has.
        lines: usize,
        /// How many amounts there are.
        amounts: usize,
    },
    /// It is wrong in itself.
    #[error(transparent)]
    Fault(#[from] EntryFault),
}

impl Aggregate for GlHold {
    const TYPE: &'static str = "gl-hold";

    type Event = HoldEvent;

    fn apply(&mut self, event: &HoldEvent) {
        match event {
            HoldEvent::Placed { hold } => self.hold = Some(hold.clone()),
            HoldEvent::Ended { end } => self.end = Some(end.clone()),
            HoldEvent::FellDue {} => self.fell_due = true,
        }
    }

    fn samples() -> Vec<HoldEvent> {
        hold_samples()
    }
}

impl GlHold {
    /// What is or was held; `None` if nothing was.
    #[must_use]
    pub fn hold(&self) -> Option<&Hold> {
        self.hold.as_deref()
    }

    /// How it ended; `None` while it is open.
    #[must_use]
    pub fn end(&self) -> Option<&HoldEnd> {
        self.end.as_ref()
    }

    /// What is held, if it has not ended.
    fn open(&self, hold: &HoldId) -> Result<&Hold, HoldRejection> {
        let hold = hold.clone();
        match (self.hold(), self.end.clone()) {
            (None, _) => Err(HoldRejection::NotPlaced { hold }),
            (Some(_), Some(end)) => Err(HoldRejection::Ended { hold, end }),
            (Some(placed), None) => Ok(placed),
        }
    }
}

/// The name of the timer that says when its time is over. Persisted with it.
const EXPIRY: &str = "expiry";

/// Records a hold; a step of placing it. If it expires, a timer sends [`HoldDue`] when its time is over: register that with
/// the runtime (`RuntimeBuilder::timed_command`), and let [`LedgerDue`](crate::LedgerDue) give it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlaceHold {
    /// The hold.
    pub hold: Box<Hold>,
}

impl Command for PlaceHold {
    type Aggregate = GlHold;
    type Reply = ();
    type Rejection = HoldRejection;

    fn decide(&self, state: &GlHold, context: &CommandContext) -> Decided<Self> {
        let hold = self.hold.clone();
        if state.hold.is_some() {
            return Err(HoldRejection::AlreadyPlaced { hold: hold.id });
        }
        hold.check()?;
        if let Some(at) = hold.expires_at
            && at <= context.now
        {
            return Err(HoldRejection::Expired { hold: hold.id, at });
        }
        let (id, expires_at) = (hold.id.clone(), hold.expires_at);
        let decision = Decision::event(HoldEvent::Placed { hold }, ());
        Ok(match expires_at {
            Some(at) => decision.schedule(EXPIRY, at, HoldDue { hold: id }),
            None => decision,
        })
    }
}

impl IdempotentCommand for PlaceHold {
    const NAME: &'static str = "place-hold";
}

/// Ends a hold; a step of posting, voiding or expiring it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndHold {
    /// The hold.
    pub hold: HoldId,
    /// How.
    pub end: HoldEnd,
}

impl Command for EndHold {
    type Aggregate = GlHold;
    type Reply = ();
    type Rejection = HoldRejection;

    fn decide(&self, state: &GlHold, context: &CommandContext) -> Decided<Self> {
        let hold = self.hold.clone();
        let placed = state.open(&hold)?;
        let is_due = |at: &Timestamp| state.fell_due || *at <= context.now;
        let (expires, due) = (placed.expires_at, placed.expires_at.filter(is_due));
        match (&self.end, due) {
            (HoldEnd::Posted { .. }, Some(at)) => return Err(HoldRejection::Expired { hold, at }),
            (HoldEnd::Expired, None) => return Err(HoldRejection::NotDue { hold }),
            _ => {}
        }
        let end = self.end.clone();
        let decision = Decision::event(HoldEvent::Ended { end }, ());
        Ok(match expires {
            Some(_) if !state.fell_due => decision.cancel(EXPIRY),
            _ => decision,
        })
    }
}

impl IdempotentCommand for EndHold {
    const NAME: &'static str = "end-hold";
}

/// Says that a hold's time is over. A timer sends it; [`LedgerDue`](crate::LedgerDue) gives back what was held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldDue {
    /// The hold.
    pub hold: HoldId,
}

impl Command for HoldDue {
    type Aggregate = GlHold;
    type Reply = ();
    type Rejection = HoldRejection;

    fn decide(&self, state: &GlHold, context: &CommandContext) -> Decided<Self> {
        let hold = self.hold.clone();
        let placed = state.open(&hold)?;
        if placed.expires_at.is_none_or(|at| at > context.now) {
            return Err(HoldRejection::NotDue { hold });
        }
        Ok(Decision::event(HoldEvent::FellDue {}, ()))
    }
}

impl IdempotentCommand for HoldDue {
    const NAME: &'static str = "hold-due";
}
