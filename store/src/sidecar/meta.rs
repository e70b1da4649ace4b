//! The table `meta`: whose index this is, and how often it was synced.
//!
//! | key | value, before its 4-byte checksum; never renumber |
//! |---|---|
//! | `identity` | format 1, layout u16, journal's identity (16 bytes) |
//! | `generation` | format 1, generation u64 |
//! | `head` | format 1, position of the journal's last event when the store was closed last, u64 |
//!
//! Integers are little-endian. The generation is compared with the receipt's, see `receipt.rs`.

use std::sync::PoisonError;

use super::Sidecar;
use super::engine::{Engine, Table};
use super::value::{Reader, seal, unseal};
use crate::error::Fault;
use crate::position::Position;

/// The layout of all tables together. A change that an older build would misread counts it up; an index of another
/// layout is moved aside and built anew.
pub(super) const LAYOUT: u16 = 1;

const IDENTITY_KEY: &[u8] = b"identity";
const GENERATION_KEY: &[u8] = b"generation";
const HEAD_KEY: &[u8] = b"head";
const FORMAT: u8 = 1;

/// Writes the identity of a new index.
pub(super) fn put_identity(engine: &Engine, store_id: [u8; 16]) -> Result<(), Fault> {
    let mut value = vec![FORMAT];
    value.extend_from_slice(&LAYOUT.to_le_bytes());
    value.extend_from_slice(&store_id);
    seal(IDENTITY_KEY, &mut value);
    engine.put(Table::Meta, IDENTITY_KEY, &value)
}

/// The layout and the journal's identity; `None` if there is no whole record of them.
pub(super) fn identity(engine: &Engine) -> Result<Option<(u16, [u8; 16])>, Fault> {
    let value = engine.get(Table::Meta, IDENTITY_KEY)?;
    Ok(value.and_then(|value| decode_identity(&value)))
}

pub(super) fn decode_identity(value: &[u8]) -> Option<(u16, [u8; 16])> {
    let mut reader = Reader::new(unseal(IDENTITY_KEY, value)?);
    if reader.u8()? != FORMAT {
        return None;
    }
    let layout = reader.u16()?;
    let store_id = reader.array()?;
    reader.end()?;
    Some((layout, store_id))
}

/// The last generation that the engine knows; `None` if it knows none.
pub(super) fn generation(engine: &Engine) -> Result<Option<u64>, Fault> {
    number(engine, GENERATION_KEY)
}

/// The position that the journal had come to when the store was closed last; `None` if it never was.
pub(super) fn journal_head(engine: &Engine) -> Result<Option<Position>, Fault> {
    Ok(number(engine, HEAD_KEY)?.map(Position::new))
}

/// Notes the position that the journal has come to.
pub(super) fn put_journal_head(engine: &Engine, head: Position) -> Result<(), Fault> {
    put_number(engine, HEAD_KEY, head.get())
}

fn number(engine: &Engine, key: &[u8]) -> Result<Option<u64>, Fault> {
    let value = engine.get(Table::Meta, key)?;
    Ok(value.and_then(|value| decode_number(key, &value)))
}

fn decode_number(key: &[u8], value: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(unseal(key, value)?);
    if reader.u8()? != FORMAT {
        return None;
    }
    let number = reader.u64()?;
    reader.end()?;
    Some(number)
}

#[cfg(any(test, fuzzing))]
pub(super) fn decode_generation(value: &[u8]) -> Option<u64> {
    decode_number(GENERATION_KEY, value)
}

fn put_number(engine: &Engine, key: &[u8], number: u64) -> Result<(), Fault> {
    let mut value = vec![FORMAT];
    value.extend_from_slice(&number.to_le_bytes());
    seal(key, &mut value);
    engine.put(Table::Meta, key, &value)
}

impl Sidecar {
    /// Makes everything written so far durable.
    pub(crate) fn flush(&self) -> Result<(), Fault> {
        let mut generation = self
            .generation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let next = *generation + 1;
        put_number(&self.engine, GENERATION_KEY, next)?;
        self.engine.sync()?;
        self.engine.receipt().confirm(next)?;
        *generation = next;
        Ok(())
    }
}
