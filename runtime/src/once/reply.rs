use std::panic::{AssertUnwindSafe, catch_unwind};

use foldhouse_store::{COMMAND_REPLY_BYTES_MAX, Codec, CommandReply, InvalidAppend, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::command_error::InvalidEvents;
use crate::event_codec::{check_value, decode_value};
use crate::refusal::panic_message;

/// One reply as MessagePack.
pub(crate) type WrittenReply = Vec<u8>;

/// The head of a MessagePack list of two: the version, and the reply or replies. Persisted; a reply of another shape needs
/// another head.
const LIST_OF_TWO: u8 = 0x92;

/// Writes a reply down, with named fields.
pub(crate) fn encode_reply<R: Serialize>(reply: &R) -> Result<WrittenReply, InvalidEvents> {
    // Unwind safe: what is half written is thrown away.
    let written = catch_unwind(AssertUnwindSafe(|| {
        rmp_serde::to_vec_named(reply).map_err(|error| error.to_string())
    }));
    written
        .unwrap_or_else(|panic| Err(panic_message(panic)))
        .map_err(unwritable)
}

/// A reply as it is recorded: with the version behind the command ([`Version::EMPTY`] for a transaction).
pub(crate) fn stored_reply(version: Version, reply: &[u8]) -> Result<CommandReply, InvalidEvents> {
    let mut bytes = Vec::with_capacity(10 + reply.len());
    bytes.push(LIST_OF_TWO);
    rmp_serde::encode::write(&mut bytes, &version.get())
        .map_err(|error| unwritable(error.to_string()))?;
    bytes.extend_from_slice(reply);
    if bytes.len() > COMMAND_REPLY_BYTES_MAX {
        return Err(InvalidAppend::ReplyTooLarge(bytes.len()).into());
    }
    check_value(&bytes).map_err(unwritable)?;
    Ok(CommandReply {
        codec: Codec::MessagePack,
        bytes: bytes.into(),
    })
}

fn unwritable(error: String) -> InvalidEvents {
    InvalidEvents::Unwritable {
        what: "reply",
        error,
    }
}

/// Reads back version and reply.
pub(crate) fn read_reply<R: DeserializeOwned>(
    stored: &CommandReply,
) -> Result<(Version, R), String> {
    if stored.codec != Codec::MessagePack {
        return Err(format!("it is {:?} and no MessagePack", stored.codec));
    }
    let (version, reply) = decode_value::<(u64, R)>(&stored.bytes)?;
    Ok((Version::new(version), reply))
}
