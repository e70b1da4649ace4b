//! Two domains on [`foldhouse`], ready to use and to copy from: the general ledger and the inventory.
//!
//! It is the rules: what may happen to an account and to a stock item, as pure functions over their events. It is not
//! a store and not a server; `foldhouse` runs it, and every rule can be tested without running anything.
//!
//! # A ledger account
//!
//! ```
//! use foldhouse::testing::given;
//! use foldhouse_aggregates::{
//!     Credit, Currency, Debit, GlAccount, GlEvent, Money, OverdraftPolicy, Posting, PostingRejection, Side,
//! };
//!
//! let czk = |text: &str| text.parse::<Money>().unwrap();
//! let cash = [GlEvent::Opened {
//!     currency: Currency::CZK,
//!     normal_side: Side::Debit,
//!     overdraft: OverdraftPolicy::Forbidden,
//! }];
//!
//! // A debit fills the till, and the caller gets the balance after it.
//! given::<GlAccount>(cash.clone())
//!     .when(Debit::new(czk("1500.00 CZK")))
//!     .then([GlEvent::Debited { minor_units: 150_000, memo: None }])
//!     .then_reply(&Posting { balance: czk("1500.00 CZK"), number: 1 });
//!
//! // A till cannot pay out more than is in it.
//! given::<GlAccount>(cash)
//!     .when(Credit::new(czk("0.01 CZK")).memo("rent"))
//!     .then_rejected(&PostingRejection::Overdrawn {
//!         amount: czk("0.01 CZK"),
//!         balance: czk("0 CZK"),
//!         lowest: czk("0 CZK"),
//!     });
//! ```
//!
//! # The books
//!
//! [`Ledger`] posts journal entries over such accounts, all lines or none; its example shows how. Reversals, holds,
//! fiscal periods and revaluation are its methods, [`LedgerDays`] and [`AccountLines`] the read models that balances
//! and statements of any date are made of ([`trial_balance_on`], [`income_statement`], [`balance_sheet`],
//! [`account_statement`], [`open_items`]).
//!
//! # A stock item
//!
//! ```
//! use foldhouse::testing::given;
//! use foldhouse_aggregates::{
//!     InventoryEvent, InventoryItem, Quantity, Reserve, ReserveRejection,
//! };
//!
//! let delivery = [InventoryEvent::received(Quantity::new(10))];
//!
//! // What is reserved is still on hand, but no longer available.
//! given::<InventoryItem>(delivery.clone())
//!     .when(Reserve::new(Quantity::new(4)))
//!     .then_state(|item| item.on_hand().get() == 10 && item.available().get() == 6);
//!
//! // Nothing is ever oversold.
//! given::<InventoryItem>(delivery)
//!     .when(Reserve::new(Quantity::new(11)))
//!     .then_rejected(&ReserveRejection::Insufficient {
//!         requested: Quantity::new(11),
//!         available: Quantity::new(10),
//!     });
//! ```
//!
//! # The warehouse, and the books that follow it
//!
//! An item is a product at a location. [`SetTerms`] says how it is kept: its costs, its lots, what may be oversold.
//! [`Warehouse`] does what spans items (orders, transfers), and [`Availability`], [`StockMovements`], [`StockValuation`] and
//! [`OpenReservations`] are its read models. [`StockPosting`] posts what moves in the ledger; [`LedgerDue`] gives back expired
//! holds and posts entries that recur.
//!
//! # What holds everywhere
//! - Money and quantities are whole numbers, and every operation on them is checked: there is no floating point, and
//!   nothing wraps or is cut off.
//! - A rejection is a type of its own per command, carries the figures that led to it, and records nothing.
//! - Events are the persisted contract: their names and the names of their fields never change their meaning.
//! - Deliberately absent: the time, the user and the business transaction. `foldhouse` records them with every event.
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        reason = "an overflow fails the test that has it"
    )
)]

mod currency;
mod decimal;
mod memo;
mod money;
mod noted;
mod text_names;
mod total;
mod units;

mod ledger;

mod inventory;

mod stock_posting;

pub mod plain_text;

pub use currency::{Currency, UnknownCurrency};
pub use decimal::{DECIMALS_MAX, Decimal, DecimalError};
pub use inventory::{
    Adjust, AdjustRejection, AdjustmentReason, Allocate, AllocateRejection, ArriveTransfer,
    Availability, Available, BACKORDERS_MAX, BackDating, COST_LAYERS_MAX, Confirm,
    ConfirmRejection, CostMethod, CostTerms, Count, CountRejection, DispatchRejection,
    DispatchTransfer, EndSupply, ExpectSupply, Expire, ExpireRejection, Extend, ExtendRejection,
    Goods, GoodsRejection, Incoming, InventoryEvent, InventoryItem, ItemPlace, ItemTerms,
    LOTS_ON_HAND_MAX, LOTS_PER_MOVEMENT_MAX, LocationId, LoseTransfer, LotId, LotQuantity,
    MovementKey, OPEN_RESERVATIONS_MAX, OpenReservation, OpenReservations, OrderLine, Oversell,
    PartlyReserved, Pick, PickRejection, ProductId, Quantity, REVALUED_MOVEMENTS_MAX, Receive,
    ReceiveRejection, ReceiveTransfer, ReceiveTransferRejection, Release, ReleaseRejection,
    ReservationId, ReservationKey, Reserve, ReserveInPart, ReserveInPartRejection,
    ReserveRejection, Return, ReturnRejection, SUPPLIES_MAX, SetTerms, Ship, ShipRejection,
    StockLevel, StockLevels, StockMovement, StockMovements, StockValuation, StockValue, Supply,
    SupplyId, SupplyRejection, TermsRejection, Tracking, TransferId, TransferRejection, Transit,
    ValuationKey, Warehouse, WarehouseError, stock_card,
};
pub use ledger::{
    AccountBalance, AccountId, AccountKind, AccountLine, AccountLines, AccountStatement,
    AddAccount, AddPeriod, AgedTotals, BalanceSheet, Balances, BookDate, BookEvent, BookRejection,
    ChangePeriod, ChartPlace, ChartRow, CloseAccount, CloseRejection, ClosedAccount,
    ConversionPair, Credit, DatedBalance, DayKey, DayRow, Debit, ENTRY_LINES_MAX,
    ENTRY_REFERENCES_MAX, ENTRY_TEXT_BYTES_MAX, EndHold, Entry, EntryEvent, EntryFault, EntryId,
    EntryKind, EntryLine, EntryMark, EntryRejection, Every, Exchange, FISCAL_PERIODS_MAX,
    FiscalPeriod, GlAccount, GlBook, GlEvent, GlHold, Held, Hold, HoldDue, HoldEnd, HoldEvent,
    HoldId, HoldRejection, IncomeStatement, JournalEntry, Ledger, LedgerDays, LedgerDue,
    LedgerError, LineAction, LineBalance, LineKey, LineRow, MarkEntry, NotADate, NumberEntry,
    OpenAccount, OpenBook, OpenHoldKey, OpenHoldRow, OpenHolds, OpenItem, OpenRejection,
    OverdraftPolicy, ParentRejection, PeriodRejection, PeriodStatus, PlaceHold, Posted, PostedLine,
    PostedPart, Posting, PostingRejection, RecordEntry, Recurrence, RecurringDue, RecurringEntry,
    RecurringEvent, RecurringId, RecurringRejection, ReversalDate, Side, StartRecurring,
    StatementItem, StatementLine, StopRecurring, TrialBalance, TrialLine, TrialSection, Turnover,
    account_statement, aged, balance_sheet, balances_on, general_ledger_report, income_statement,
    open_holds, open_items, rolled_up, trial_balance_on, turnovers_between,
};
pub use memo::{MEMO_CHARS_MAX, Memo, MemoTooLong};
pub use money::{Money, MoneyError, MoneyStyle};
pub use stock_posting::{StockAccounts, StockPosting};
pub use total::Total;
pub use units::{UnitError, Units};
