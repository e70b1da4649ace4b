use std::ops::RangeInclusive;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use uuid::{Builder, Uuid};

/// Choices that follow from a seed: the same seed gives the same ones, with the same version of this crate.
#[derive(Debug)]
pub struct Random(StdRng);

impl Random {
    /// Choices from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Choices of their own for a part of the whole, so that how many it takes changes no others.
    #[must_use]
    pub fn branch(&mut self) -> Self {
        Self::new(self.seed())
    }

    /// Any number.
    pub fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number of the range, each as likely; its start if it is empty.
    pub fn number(&mut self, range: RangeInclusive<u64>) -> u64 {
        if range.is_empty() {
            return *range.start();
        }
        self.0.random_range(range)
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.number(1..=100) <= percent
    }

    /// One of them; `None` if there is none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let last = (from.len() as u64).checked_sub(1)?;
        from.get(self.index(last))
    }

    /// An index from 0 to `last`.
    pub fn index(&mut self, last: u64) -> usize {
        usize::try_from(self.number(0..=last)).unwrap_or_default()
    }

    /// An id (UUID version 7) of this time.
    pub fn id(&mut self, unix_millis: u64) -> Uuid {
        let mut random = [0; 10];
        self.0.fill_bytes(&mut random);
        Builder::from_unix_timestamp_millis(unix_millis, &random).into_uuid()
    }
}
