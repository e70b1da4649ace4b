use foldhouse_store::{Clock, Timestamp};
use uuid::{Builder, Uuid};

/// Fresh command ids of one actor, as UUIDs of version 7.
///
/// The clock is asked for one id only; the others are counted up from it, each with the time of its command. Asking for
/// each takes a lock that all threads share, which shows at a million commands a second.
pub(crate) struct CommandIds {
    /// The clock's id, spread over the random bits, so that clocks that count do not give neighbours.
    random: u128,
}

/// Odd, from the golden ratio, as in Fibonacci hashing.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

impl CommandIds {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self {
            random: clock.new_id().as_u128().wrapping_mul(SPREAD),
        }
    }

    /// The next id, for a command that is decided at `now`.
    pub(crate) fn next(&mut self, now: Timestamp) -> Uuid {
        self.random = self.random.wrapping_add(1);
        // Before 1970 there is no UUID of version 7; the ids are unique all the same.
        let millis = u64::try_from(now.unix_micros() / 1_000).unwrap_or(0);
        let mut random = [0; 10];
        for (to, from) in random
            .iter_mut()
            .zip(self.random.to_be_bytes().iter().skip(6))
        {
            *to = *from;
        }
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Counting(std::sync::atomic::AtomicU32);

    impl Clock for Counting {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }

        fn new_id(&self) -> Uuid {
            let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Uuid::from_u128(number.into())
        }
    }

    #[test]
    fn ids_are_all_different_and_carry_the_time() {
        let clock = Counting(1.into());
        let now = Timestamp::from_unix_micros(1_700_000_000_123_456);
        let mut all = std::collections::HashSet::new();
        for _actor in 0..100 {
            let mut ids = CommandIds::new(&clock);
            for _command in 0..1_000 {
                let id = ids.next(now);
                assert_eq!(id.get_version_num(), 7);
                assert_eq!(
                    id.get_timestamp().unwrap().to_unix(),
                    (1_700_000_000, 123_000_000)
                );
                assert!(all.insert(id));
            }
        }
    }
}
