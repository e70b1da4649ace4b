use foldhouse_store::StreamId;
use uuid::Uuid;

/// The id of the `index`-th event (from 0) that a command records in a stream.
///
/// It follows from the command's id, so that whoever knows the command can look for its events: after an
/// [`Unknown`](crate::CommandError::Unknown) outcome, say. It keeps the command id's time and UUID version, and differs
/// for every index and stream.
///
/// It is its own inverse: `event_id(event_id(command, stream, index), stream, index)` is `command`. So a reader of events
/// knows which of them one command has recorded.
#[must_use]
pub fn event_id(command_id: Uuid, stream: &StreamId, index: u32) -> Uuid {
    EventIds::of(stream).id(command_id, index)
}

/// Makes the event ids of one stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventIds {
    stream_key: u64,
}

/// The bits of a UUID behind its variant: random in every version that is in use.
const RANDOM_BITS: u64 = (1 << 62) - 1;
/// Odd, so that no two indexes of 32 bits fall together.
const INDEX_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl EventIds {
    pub(crate) fn of(stream: &StreamId) -> Self {
        let hash = blake3::hash(stream.as_str().as_bytes());
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(hash.as_bytes()) {
            *to = *from;
        }
        Self {
            stream_key: u64::from_le_bytes(first),
        }
    }

    pub(crate) fn id(self, command_id: Uuid, index: u32) -> Uuid {
        let mask = self
            .stream_key
            .wrapping_add(u64::from(index).wrapping_mul(INDEX_STEP));
        Uuid::from_u128(command_id.as_u128() ^ u128::from(mask & RANDOM_BITS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_ids_differ_by_command_stream_and_index_and_keep_the_commands_time_and_version() {
        let stream = |id: &str| StreamId::new("acme", "account", id).unwrap();
        let command = Uuid::from_u128(0x0190_0000_0000_7abc_8def_0123_4567_89ab);
        let mut ids = std::collections::HashSet::new();
        for command in [command, Uuid::from_u128(command.as_u128() + 1)] {
            for stream in [stream("1"), stream("2")] {
                for index in 0..1_000 {
                    let id = event_id(command, &stream, index);
                    assert!(ids.insert(id));
                    assert_eq!(id.as_u128() >> 62, command.as_u128() >> 62);
                    assert_eq!(event_id(id, &stream, index), command);
                }
            }
        }
        assert_eq!(
            event_id(command, &stream("1"), 3),
            event_id(command, &stream("1"), 3)
        );
    }
}
