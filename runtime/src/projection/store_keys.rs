//! Where a projection's own rows lie among its user's in the store.
//!
//! A user's key is a MessagePack value. The byte `c1` begins none, so keys that begin with it are the projection's own, in
//! the same atomic write as rows and checkpoint:
//!
//! | bytes | what |
//! |---|---|
//! | `c1 00` | generation of the model, u64 big-endian; absent for the first |
//! | `c1 01`, position u64 big-endian | a dead letter, MessagePack |

use foldhouse_store::Position;

const OWN: u8 = 0xc1;
const GENERATION: u8 = 0;
const DEAD_LETTER: u8 = 1;

/// What a stored row is.
pub(super) enum Kind {
    Generation,
    DeadLetter,
    /// One of a later build's.
    Unknown,
    User,
}

pub(super) fn kind(key: &[u8]) -> Kind {
    match key {
        [OWN, GENERATION] => Kind::Generation,
        [OWN, DEAD_LETTER, ..] => Kind::DeadLetter,
        [OWN, ..] => Kind::Unknown,
        _ => Kind::User,
    }
}

pub(super) fn generation() -> Vec<u8> {
    vec![OWN, GENERATION]
}

/// The key before that of the generation.
pub(super) fn before_generation() -> Vec<u8> {
    vec![OWN]
}

pub(super) fn dead_letter(position: Position) -> Vec<u8> {
    let mut key = vec![OWN, DEAD_LETTER];
    key.extend_from_slice(&position.get().to_be_bytes());
    key
}
