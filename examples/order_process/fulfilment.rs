//! An order, and the process that fulfils it over stock and accounts.

use foldhouse::{
    Aggregate, Command, CommandContext, Decided, Decision, IdempotentCommand, Input,
    ProcessCommands, ProcessError, ProcessManager, Reactions, RecordedEvent, Settled, StreamId,
    Timestamp, decode_event,
};
use foldhouse_aggregates::{
    Credit, Currency, Debit, GlAccount, InventoryItem, Money, Quantity, Release, ReservationId,
    Reserve, Ship,
};
use serde::{Deserialize, Serialize};

/// The tenant of everything.
pub(crate) const SHOP: &str = "shop";
/// How long an order may take until it is said to be late.
const PATIENCE_MICROS: i64 = 60_000_000;

/// What a customer wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) product: String,
    pub(crate) quantity: u64,
    pub(crate) customer: String,
    pub(crate) cents: i64,
}

/// An order as its customer sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) wanted: Option<Wanted>,
    pub(crate) end: Option<End>,
}

/// How an order ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    Fulfilled,
    Cancelled { why: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OrderEvent {
    Placed(Wanted),
    Ended(End),
}

impl Aggregate for Order {
    const TYPE: &'static str = "order";
    type Event = OrderEvent;

    fn apply(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Placed(wanted) => self.wanted = Some(wanted.clone()),
            OrderEvent::Ended(end) => self.end = Some(end.clone()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderRejection {
    #[error("it is placed already")]
    Placed,
    #[error("it has ended already")]
    Ended,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place(pub(crate) Wanted);

impl Command for Place {
    type Aggregate = Order;
    type Reply = ();
    type Rejection = OrderRejection;

    fn decide(&self, order: &Order, _: &CommandContext) -> Decided<Self> {
        match order.wanted {
            Some(_) => Err(OrderRejection::Placed),
            None => Ok(Decision::event(OrderEvent::Placed(self.0.clone()), ())),
        }
    }
}

impl IdempotentCommand for Place {
    const NAME: &'static str = "place";
}

/// Tells the order how it ended. A second time would be a mistake, and is refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Finish(End);

impl Command for Finish {
    type Aggregate = Order;
    type Reply = ();
    type Rejection = OrderRejection;

    fn decide(&self, order: &Order, _: &CommandContext) -> Decided<Self> {
        match order.end {
            Some(_) => Err(OrderRejection::Ended),
            None => Ok(Decision::event(OrderEvent::Ended(self.0.clone()), ())),
        }
    }
}

impl IdempotentCommand for Finish {
    const NAME: &'static str = "finish";
}

/// Reserves the goods, debits the customer, credits the sales and ships; gives back what it has taken if that does not
/// work out.
pub(crate) struct Fulfilment;

/// How far an order is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) order: String,
    pub(crate) wanted: Wanted,
    pub(crate) reservation: Option<ReservationId>,
    pub(crate) is_late: bool,
    pub(crate) end: Option<End>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    Began { order: String, wanted: Wanted },
    Reserved(ReservationId),
    Late,
    Ended(End),
}

pub(crate) fn item(product: &str) -> Result<StreamId, ProcessError> {
    stream(InventoryItem::TYPE, product)
}

pub(crate) fn account(id: &str) -> Result<StreamId, ProcessError> {
    stream(GlAccount::TYPE, id)
}

fn stream(aggregate_type: &str, id: &str) -> Result<StreamId, ProcessError> {
    StreamId::new(SHOP, aggregate_type, id).map_err(|error| ProcessError::new(error.to_string()))
}

pub(crate) fn euro(cents: i64) -> Result<Money, ProcessError> {
    let euro: Currency = "EUR"
        .parse()
        .map_err(|_| ProcessError::new("there is no EUR"))?;
    Ok(Money::new(cents, euro))
}

impl ProcessManager for Fulfilment {
    const NAME: &'static str = "fulfilment";
    type State = Progress;
    type Event = Step;

    fn commands(commands: &mut ProcessCommands) {
        commands
            .sends::<Reserve>()
            .sends::<Release>()
            .sends::<Ship>()
            .sends::<Debit>()
            .sends::<Credit>()
            .sends::<Finish>();
    }

    fn key(event: &RecordedEvent) -> Option<String> {
        let is_placed =
            event.stream.aggregate_type() == Order::TYPE && &*event.event_type == "Placed";
        is_placed.then(|| event.stream.aggregate_id().to_owned())
    }

    fn apply(progress: &mut Progress, step: &Step) {
        match step {
            Step::Began { order, wanted } => {
                progress.order.clone_from(order);
                progress.wanted = wanted.clone();
            }
            Step::Reserved(reservation) => progress.reservation = Some(*reservation),
            Step::Late => progress.is_late = true,
            Step::Ended(end) => progress.end = Some(end.clone()),
        }
    }

    fn react(
        progress: &Progress,
        input: &Input<'_>,
        context: &CommandContext,
    ) -> Result<Reactions<Self>, ProcessError> {
        match input {
            Input::Event(event) => begin(event, context),
            Input::Settled(settled) => go_on(progress, settled),
            Input::Timeout(_) => Ok(Reactions::none().event(Step::Late)),
            _ => Ok(Reactions::none()),
        }
    }
}

fn begin(
    event: &RecordedEvent,
    context: &CommandContext,
) -> Result<Reactions<Fulfilment>, ProcessError> {
    let Some(OrderEvent::Placed(wanted)) = decode_event::<Order>(event).transpose()? else {
        return Ok(Reactions::none());
    };
    let late =
        Timestamp::from_unix_micros(context.now.unix_micros().saturating_add(PATIENCE_MICROS));
    let reserve = Reserve::new(Quantity::new(wanted.quantity));
    Ok(Reactions::none()
        .send("reserve", item(&wanted.product)?, reserve)
        .timeout("patience", late)
        .event(Step::Began {
            order: event.stream.aggregate_id().to_owned(),
            wanted,
        }))
}

fn go_on(progress: &Progress, settled: &Settled) -> Result<Reactions<Fulfilment>, ProcessError> {
    let Progress {
        wanted,
        reservation,
        ..
    } = progress;
    let reactions = Reactions::none();
    let reserved = || reservation.ok_or_else(|| ProcessError::new("nothing is reserved"));
    match (settled.step(), settled.rejection()) {
        ("reserve", None) => {
            let reservation = settled.reply::<Reserve>()?;
            let debit = Debit::new(euro(wanted.cents)?);
            Ok(reactions.event(Step::Reserved(reservation)).send(
                "debit",
                account(&wanted.customer)?,
                debit,
            ))
        }
        ("reserve", Some(why)) => end(progress, cancelled(why)),
        ("debit", None) => Ok(reactions
            .send("sales", account("sales")?, Credit::new(euro(wanted.cents)?))
            .send("ship", item(&wanted.product)?, Ship::new(reserved()?))),
        // Compensated: the goods are free again.
        ("debit", Some(why)) => Ok(end(progress, cancelled(why))?.send(
            "release",
            item(&wanted.product)?,
            Release::new(reserved()?),
        )),
        ("ship", None) => end(progress, End::Fulfilled),
        ("sales" | "release" | "finish", None) => Ok(reactions),
        (step, Some(why)) => Err(ProcessError::new(format!("{step} was rejected: {why}"))),
        (step, None) => Err(ProcessError::new(format!("nobody has sent {step}"))),
    }
}

fn cancelled(why: &str) -> End {
    End::Cancelled {
        why: why.to_owned(),
    }
}

fn end(progress: &Progress, end: End) -> Result<Reactions<Fulfilment>, ProcessError> {
    Ok(Reactions::none()
        .event(Step::Ended(end.clone()))
        .send("finish", stream(Order::TYPE, &progress.order)?, Finish(end))
        .cancel_timeout("patience"))
}
