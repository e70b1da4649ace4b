use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use crate::journal::record::StreamParts;
use crate::position::Version;

/// The last version of every stream met so far, to see that none is missing and none comes twice.
///
/// A stream is known by two independent random 64-bit hashes of its name, so it takes 33 bytes in a table that is at
/// least 7/16 full: 40 to 80 bytes, whatever its name. Two of a billion streams share a key with a probability of
/// about 10^-21.
#[derive(Debug, Default)]
pub(super) struct StreamVersions {
    hashers: [RandomState; 2],
    last: HashMap<u128, Last, BuildHasherDefault<AlreadyHashed>>,
    gaps: u32,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    version: Version,
    /// How many gaps had been met by then.
    gaps: u32,
}

impl StreamVersions {
    /// Notes that events are missing here: any stream may go on with another version than its next one.
    pub(super) fn note_gap(&mut self) {
        self.gaps = self.gaps.saturating_add(1);
    }

    /// Takes the next event of a stream; gives back the version that it should have had if it has another one.
    pub(super) fn take(&mut self, stream: StreamParts<'_>, version: Version) -> Option<Version> {
        let [high, low] = &self.hashers;
        let key = u128::from(high.hash_one(stream)) << 64 | u128::from(low.hash_one(stream));
        let now = Last {
            version,
            gaps: self.gaps,
        };
        let before = self.last.insert(key, now).unwrap_or(Last {
            version: Version::EMPTY,
            gaps: 0,
        });
        let expected = before.version.next();
        (version != expected && before.gaps == self.gaps).then_some(expected)
    }

    pub(super) fn len(&self) -> u64 {
        self.last.len() as u64
    }
}

/// Takes what is a hash already for one.
#[derive(Debug, Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut()
                .zip(chunk)
                .for_each(|(to, from)| *to = *from);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u128(&mut self, key: u128) {
        let [a, b, c, d, e, f, g, h, ..] = key.to_le_bytes();
        self.0 = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_missing_or_comes_twice_is_noticed_unless_events_are_known_to_be_missing() {
        let parts = |aggregate_id| StreamParts {
            tenant: "acme",
            aggregate_type: "gl-account",
            aggregate_id,
        };
        let mut versions = StreamVersions::default();
        let mut take = |id, version| versions.take(parts(id), Version::new(version));
        assert_eq!(take("1000", 1), None);
        assert_eq!(take("2000", 1), None);
        assert_eq!(take("1000", 2), None);
        assert_eq!(take("1000", 2), Some(Version::new(3)));
        assert_eq!(take("2000", 3), Some(Version::new(2)));
        assert_eq!(take("3000", 2), Some(Version::new(1)));
        versions.note_gap();
        let mut take = |id, version| versions.take(parts(id), Version::new(version));
        assert_eq!(take("1000", 9), None);
        assert_eq!(take("4000", 7), None);
        assert_eq!(take("4000", 9), Some(Version::new(8)));
        assert_eq!(versions.len(), 4);
    }
}
