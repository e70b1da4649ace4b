use foldhouse_store::{Codec, Payload};
use serde::Serialize;

use crate::aggregate::Aggregate;
use crate::event_codec::decode_value;

/// The most that an encoded state may take, in bytes; a larger one is not kept.
pub const SNAPSHOT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Named fields: by place, a field that `skip_serializing_if` leaves out would let the next one take its value.
pub(super) fn encode_state<A: Serialize>(state: &A) -> Result<Payload, String> {
    let bytes = rmp_serde::to_vec_named(state).map_err(|error| error.to_string())?;
    if bytes.len() > SNAPSHOT_BYTES_MAX {
        return Err(format!(
            "the state takes {} bytes; the limit is {SNAPSHOT_BYTES_MAX}",
            bytes.len()
        ));
    }
    Ok(Payload::message_pack(bytes))
}

/// The state in a snapshot's payload.
pub(crate) fn decode_state<A: Aggregate>(payload: &Payload) -> Result<A, String> {
    if payload.codec != Codec::MessagePack || payload.key_id.is_some() {
        return Err("it is not plain MessagePack".to_owned());
    }
    if payload.bytes.len() > SNAPSHOT_BYTES_MAX {
        return Err(format!("it takes {} bytes", payload.bytes.len()));
    }
    decode_value(&payload.bytes)
}
