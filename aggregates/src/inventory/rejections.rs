use foldhouse::Timestamp;

use super::item::OPEN_RESERVATIONS_MAX;
use super::quantity::Quantity;
use super::reservation::ReservationId;
use crate::memo::MemoTooLong;

/// Why goods are not received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveRejection {
    /// Nothing came.
    #[error("a receipt of 0 changes nothing; give at least 1")]
    ZeroQuantity,
    /// The stock would exceed what can be counted.
    #[error(
        "{received} received on top of {on_hand} on hand exceed {}; count in a larger unit",
        Quantity::MAX
    )]
    Overflow {
        /// What is on hand.
        on_hand: Quantity,
        /// What came.
        received: Quantity,
    },
}

/// Why goods are not reserved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveRejection {
    /// Nothing is asked for.
    #[error("a reservation of 0 holds nothing; give at least 1")]
    ZeroQuantity,
    /// More is asked for than can be promised.
    #[error("{requested} requested, but only {available} available; reserve less or receive first")]
    Insufficient {
        /// What is asked for.
        requested: Quantity,
        /// What can be promised.
        available: Quantity,
    },
    /// Too many reservations are open.
    #[error("{OPEN_RESERVATIONS_MAX} reservations are open, the limit; ship or release some first")]
    TooManyReservations,
    /// The same line of the same command made this reservation before.
    #[error(
        "reservation {reservation} is already open; use a fresh command id or line number for another one"
    )]
    AlreadyReserved {
        /// The reservation that is open.
        reservation: ReservationId,
    },
}

/// Why a reservation is not released.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseRejection {
    /// No such reservation is open.
    #[error(
        "reservation {reservation} is not open: it was never made, or already released or shipped"
    )]
    UnknownReservation {
        /// The reservation that was named.
        reservation: ReservationId,
    },
}

/// Why a reservation does not expire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpireRejection {
    /// No such reservation is open.
    #[error(
        "reservation {reservation} is not open: it was never made, or already released or shipped"
    )]
    UnknownReservation {
        /// The reservation that was named.
        reservation: ReservationId,
    },
    /// Its time has not come, or it has none.
    #[error("reservation {reservation} does not end by itself, or not by {now}; release it")]
    NotDue {
        /// The reservation that was named.
        reservation: ReservationId,
        /// What time it was.
        now: Timestamp,
    },
}

/// Why a reservation is not shipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShipRejection {
    /// No such reservation is open.
    #[error(
        "reservation {reservation} is not open: it was never made, or already released or shipped"
    )]
    UnknownReservation {
        /// The reservation that was named.
        reservation: ReservationId,
    },
    /// Less is on hand than was promised. No command leads here; a history written elsewhere may.
    #[error(
        "{reserved} reserved, but only {on_hand} on hand; adjust the stock to what was counted"
    )]
    NotOnHand {
        /// What the reservation holds.
        reserved: Quantity,
        /// What is on hand.
        on_hand: Quantity,
    },
}

/// Why the stock is not adjusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdjustRejection {
    /// Nothing would change.
    #[error(
        "an adjustment by 0 changes nothing; give the difference between the count and the book"
    )]
    ZeroQuantity,
    /// More would be taken away than is there.
    #[error("an adjustment by {delta} exceeds the {on_hand} on hand; count again")]
    BelowZero {
        /// What is on hand.
        on_hand: Quantity,
        /// The adjustment.
        delta: i64,
    },
    /// What is left would not cover what is promised.
    #[error(
        "an adjustment by {delta} of the {on_hand} on hand would not leave the {reserved} reserved; \
         release reservations first"
    )]
    BelowReserved {
        /// What is on hand.
        on_hand: Quantity,
        /// What is promised.
        reserved: Quantity,
        /// The adjustment.
        delta: i64,
    },
    /// The stock would exceed what can be counted.
    #[error(
        "an adjustment by {delta} of the {on_hand} on hand exceeds {}; count in a larger unit",
        Quantity::MAX
    )]
    Overflow {
        /// What is on hand.
        on_hand: Quantity,
        /// The adjustment.
        delta: i64,
    },
    /// The note is too long.
    #[error(transparent)]
    NoteTooLong(#[from] MemoTooLong),
}
