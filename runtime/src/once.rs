//! Commands that take effect once, however often they are sent.
//!
//! The id, a fingerprint of the command and its reply are recorded by the append of its events. Who sends the id again is
//! answered from there, before anything is decided. Two who send it at the same moment would both find nothing recorded:
//! so an id is claimed while its command is on its way, and the second waits for what the first comes to. The store has
//! the last word (another runtime may be at work on it): it refuses an append whose id it knows.
//!
//! - `fingerprint`: what a command asks for, and of whom
//! - `claims`: the ids of commands that are on their way
//! - `reply`: what is recorded of the answer
//! - `recall`: how a command that was recorded before is answered
//! - `keeping`: what the plain way of a command leaves out

mod claims;
mod fingerprint;
mod keeping;
mod recall;
mod reply;

pub(crate) use self::claims::{Claim, Claims};
pub(crate) use self::fingerprint::Fingerprint;
pub(crate) use self::keeping::{Forgotten, Keeping, Kept};
pub(crate) use self::recall::{First, NotFirst, first, recall};
pub(crate) use self::reply::{WrittenReply, encode_reply, read_reply, stored_reply};
