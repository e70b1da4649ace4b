use foldhouse::IdempotentCommand;

use super::commands::{Adjust, Expire, Receive, Release, Reserve, Ship};

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
