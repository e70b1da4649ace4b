use foldhouse::IdempotentCommand;

use super::commands::{
    Adjust, Allocate, ArriveTransfer, Confirm, Count, DispatchTransfer, EndSupply, ExpectSupply,
    Expire, Extend, LoseTransfer, Pick, Receive, ReceiveTransfer, Release, Reserve, ReserveInPart,
    Return, SetTerms, Ship,
};

// The names stand in the fingerprints of recorded commands: never change one.

impl IdempotentCommand for Receive {
    const NAME: &'static str = "receive";
}

impl IdempotentCommand for Reserve {
    const NAME: &'static str = "reserve";
}

impl IdempotentCommand for Release {
    const NAME: &'static str = "release";
}

impl IdempotentCommand for Expire {
    const NAME: &'static str = "expire";
}

impl IdempotentCommand for Ship {
    const NAME: &'static str = "ship";
}

impl IdempotentCommand for Adjust {
    const NAME: &'static str = "adjust";
}

impl IdempotentCommand for SetTerms {
    const NAME: &'static str = "set-terms";
}

impl IdempotentCommand for ReserveInPart {
    const NAME: &'static str = "reserve-in-part";
}

impl IdempotentCommand for Confirm {
    const NAME: &'static str = "confirm";
}

impl IdempotentCommand for Extend {
    const NAME: &'static str = "extend";
}

impl IdempotentCommand for Allocate {
    const NAME: &'static str = "allocate";
}

impl IdempotentCommand for Pick {
    const NAME: &'static str = "pick";
}

impl IdempotentCommand for Return {
    const NAME: &'static str = "return";
}

impl IdempotentCommand for Count {
    const NAME: &'static str = "count";
}

impl IdempotentCommand for ExpectSupply {
    const NAME: &'static str = "expect-supply";
}

impl IdempotentCommand for EndSupply {
    const NAME: &'static str = "end-supply";
}

impl IdempotentCommand for DispatchTransfer {
    const NAME: &'static str = "dispatch-transfer";
}

impl IdempotentCommand for ArriveTransfer {
    const NAME: &'static str = "arrive-transfer";
}

impl IdempotentCommand for LoseTransfer {
    const NAME: &'static str = "lose-transfer";
}

impl IdempotentCommand for ReceiveTransfer {
    const NAME: &'static str = "receive-transfer";
}
