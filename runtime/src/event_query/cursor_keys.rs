use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use foldhouse_store::{Clock, Timestamp};

/// What the key of a cursor is derived for, so that the same secret may serve elsewhere.
const KEY_CONTEXT: &str = "foldhouse cursor of an event query, version 1";
/// What a key's id is the hash of.
const ID_CONTEXT: &[u8] = b"foldhouse cursor key id";
/// How long a cursor is good for if nothing is said.
const EXPIRE_AFTER: Duration = Duration::from_secs(3_600);
/// How many fresh ids make a key: each has 74 random bits.
const IDS_PER_KEY: usize = 8;

/// A secret that cursors are signed with (BLAKE3, keyed). It never shows in `Debug`.
#[derive(Clone)]
pub struct CursorKey {
    secret: [u8; blake3::KEY_LEN],
    id: [u8; Self::ID_BYTES],
}

impl CursorKey {
    pub(super) const ID_BYTES: usize = 4;

    /// A key from 32 random bytes.
    #[must_use]
    pub fn from_bytes(secret: [u8; blake3::KEY_LEN]) -> Self {
        let hash = blake3::keyed_hash(&secret, ID_CONTEXT);
        let [a, b, c, d, ..] = *hash.as_bytes();
        Self {
            secret,
            id: [a, b, c, d],
        }
    }

    /// A key derived from a secret of any length that nobody can guess: 32 random bytes or more, not a password. The
    /// secret may be used for other things, too.
    #[must_use]
    pub fn derived_from(secret: &[u8]) -> Self {
        Self::from_bytes(blake3::derive_key(KEY_CONTEXT, secret))
    }

    pub(super) fn id(&self) -> [u8; Self::ID_BYTES] {
        self.id
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.secret, bytes)
    }
}

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CursorKey").finish_non_exhaustive()
    }
}

/// The keys of cursors: the newest signs, all of them are accepted.
///
/// To rotate, start with the new key first and the old one behind it, and leave the old one out when its cursors have
/// expired. Give every process that answers the same users the same keys.
///
/// ```
/// use foldhouse::{CursorKey, CursorKeys};
///
/// # let (new_secret, old_secret) = ([1; 32], [2; 32]);
/// let keys = CursorKeys::new(CursorKey::from_bytes(new_secret)).also_accept(CursorKey::from_bytes(old_secret));
/// ```
#[derive(Clone, Debug)]
pub struct CursorKeys {
    newest: CursorKey,
    older: Vec<CursorKey>,
}

impl CursorKeys {
    /// Signs, and accepts what was signed, with this key.
    #[must_use]
    pub fn new(newest: CursorKey) -> Self {
        Self {
            newest,
            older: Vec::new(),
        }
    }

    /// Accepts what was signed with this key, too.
    #[must_use]
    pub fn also_accept(mut self, older: CursorKey) -> Self {
        self.older.push(older);
        self
    }

    pub(super) fn newest(&self) -> &CursorKey {
        &self.newest
    }

    pub(super) fn with_id(
        &self,
        id: [u8; CursorKey::ID_BYTES],
    ) -> impl Iterator<Item = &CursorKey> {
        let all = std::iter::once(&self.newest).chain(&self.older);
        all.filter(move |key| key.id == id)
    }
}

/// How a runtime makes its cursors.
#[derive(Clone, Debug)]
pub(crate) struct Cursors {
    pub(crate) given: Option<CursorKeys>,
    pub(crate) expire_after: Duration,
    pub(super) made_up: OnceLock<CursorKeys>,
}

impl Default for Cursors {
    fn default() -> Self {
        Self {
            given: None,
            expire_after: EXPIRE_AFTER,
            made_up: OnceLock::new(),
        }
    }
}

impl Cursors {
    /// Where no keys were given one is made up when it is first needed, which nobody else has.
    pub(super) fn keys(&self, clock: &dyn Clock) -> &CursorKeys {
        let make_up = || {
            let mut hasher = blake3::Hasher::new_derive_key(KEY_CONTEXT);
            for _ in 0..IDS_PER_KEY {
                hasher.update(clock.new_id().as_bytes());
            }
            CursorKeys::new(CursorKey::from_bytes(*hasher.finalize().as_bytes()))
        };
        match &self.given {
            Some(given) => given,
            None => self.made_up.get_or_init(make_up),
        }
    }

    pub(super) fn expiry(&self, now: Timestamp) -> Timestamp {
        let micros = i64::try_from(self.expire_after.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_unix_micros(now.unix_micros().saturating_add(micros))
    }
}
