use foldhouse::IdempotentCommand;

use super::commands::{CloseAccount, Credit, Debit, OpenAccount};

// The names stand in the fingerprints of recorded commands: never change one.

impl IdempotentCommand for OpenAccount {
    const NAME: &'static str = "open-account";
}

impl IdempotentCommand for Debit {
    const NAME: &'static str = "debit";
}

impl IdempotentCommand for Credit {
    const NAME: &'static str = "credit";
}

impl IdempotentCommand for CloseAccount {
    const NAME: &'static str = "close-account";
}
