use std::panic::{AssertUnwindSafe, catch_unwind};

use foldhouse_store::StreamId;
use serde::Serialize;

use crate::command_error::InvalidEvents;
use crate::refusal::panic_message;

/// What a command asks for, in 16 bytes: eight for whom it is for and what kind of command it is, eight for everything.
/// Persisted with every such command: never change how it comes about.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint {
    kind: blake3::Hasher,
    whole: blake3::Hasher,
}

impl Fingerprint {
    pub(crate) fn of_command() -> Self {
        Self::new("foldhouse 2026 fingerprint of a command")
    }

    pub(crate) fn of_transaction() -> Self {
        Self::new("foldhouse 2026 fingerprint of a transaction")
    }

    fn new(purpose: &str) -> Self {
        let hasher = blake3::Hasher::new_derive_key(purpose);
        Self {
            kind: hasher.clone(),
            whole: hasher,
        }
    }

    /// Whom it is for, and the stable name of what it is.
    pub(crate) fn add_address(&mut self, stream: &StreamId, name: &str) {
        for text in [stream.as_str(), name] {
            // With its length, or two pairs of texts could run into the same bytes.
            let length = (text.len() as u64).to_le_bytes();
            for hasher in [&mut self.kind, &mut self.whole] {
                hasher.update(&length);
                hasher.update(text.as_bytes());
            }
        }
    }

    /// How many things stand together.
    pub(crate) fn add_count(&mut self, count: usize) {
        for hasher in [&mut self.kind, &mut self.whole] {
            hasher.update(&(count as u64).to_le_bytes());
        }
    }

    /// What it says. MessagePack tells where it ends.
    pub(crate) fn add_content<T: Serialize>(&mut self, command: &T) -> Result<(), InvalidEvents> {
        let whole = &mut self.whole;
        // Unwind safe: after a panic the fingerprint is thrown away.
        let written = catch_unwind(AssertUnwindSafe(|| {
            rmp_serde::encode::write_named(whole, command).map_err(|error| error.to_string())
        }));
        written
            .unwrap_or_else(|panic| Err(panic_message(panic)))
            .map_err(|error| InvalidEvents::Unwritable {
                what: "command",
                error,
            })
    }

    pub(crate) fn finish(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (kind, whole) = bytes.split_at_mut(8);
        self.kind.finalize_xof().fill(kind);
        self.whole.finalize_xof().fill(whole);
        bytes
    }

    /// Whether the fingerprint of a recorded command is of this kind and address, whatever it says.
    pub(crate) fn is_of_this_kind(&self, fingerprint: &[u8; 16]) -> bool {
        let mut kind = [0; 8];
        self.kind.finalize_xof().fill(&mut kind);
        fingerprint.starts_with(&kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(stream: &str, name: &str, content: &(u64, &str)) -> [u8; 16] {
        let mut fingerprint = Fingerprint::of_command();
        let stream = StreamId::new("acme", "counter", stream).unwrap();
        fingerprint.add_address(&stream, name);
        fingerprint.add_content(content).unwrap();
        fingerprint.finish()
    }

    /// It stands in journals: a retry by a later build must find the same.
    #[test]
    fn a_fingerprint_stays_the_same_for_ever() {
        let hex: String = of("1", "add", &(7, "seven"))
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, "88d9a00a4ee5585fe81b7abe1ec9ba4c");
    }

    #[test]
    fn a_fingerprint_tells_stream_name_and_content_apart() {
        let all = [
            of("1", "add", &(7, "x")),
            of("2", "add", &(7, "x")),
            of("1", "addx", &(7, "")),
            of("1", "add", &(8, "x")),
            of("1", "add", &(7, "y")),
        ];
        let different: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        // The kind says nothing of the content.
        assert_eq!(all[0][..8], all[3][..8]);
        assert_ne!(all[0][..8], all[1][..8]);
    }

    #[test]
    fn a_command_that_cannot_be_written_is_told_and_does_not_panic() {
        struct Panics;
        impl Serialize for Panics {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                panic!("told to")
            }
        }
        let error = Fingerprint::of_command().add_content(&Panics).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the command cannot be written down: told to"
        );
    }
}
