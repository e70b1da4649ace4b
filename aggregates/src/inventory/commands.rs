//! What can be asked of an item, and the rules: each command with the ways in which it is refused.

mod counting;
mod holding;
mod keeping;
mod picking;
mod receiving;
mod releasing;
mod reserving;
mod shipping;
mod supplying;
mod transferring;

pub use self::counting::{Adjust, AdjustRejection, Count, CountRejection};
pub use self::holding::{Confirm, ConfirmRejection, Extend, ExtendRejection};
pub use self::keeping::{SetTerms, TermsRejection};
pub use self::picking::{Allocate, AllocateRejection, Pick, PickRejection};
pub use self::receiving::{Receive, ReceiveRejection, Return, ReturnRejection};
pub use self::releasing::{Expire, ExpireRejection, Release, ReleaseRejection};
pub use self::reserving::{
    PartlyReserved, Reserve, ReserveInPart, ReserveInPartRejection, ReserveRejection,
};
pub use self::shipping::{Ship, ShipRejection};
pub use self::supplying::{EndSupply, ExpectSupply, SupplyRejection};
pub use self::transferring::{
    ArriveTransfer, DispatchRejection, DispatchTransfer, LoseTransfer, ReceiveTransfer,
    ReceiveTransferRejection, TransferRejection,
};
