//! Which snapshots fit the state as this build makes it.
//!
//! A snapshot carries a number that stands for the state's shape and for what `apply` makes of events. That is
//! `STATE_SCHEMA`, which somebody has to remember to raise. An aggregate that gives samples of its events need not: they
//! are folded once, and a fingerprint of the states that they lead to takes the number's place. Whatever changes in
//! `apply` or in the state's shape and shows in a sample, changes the fingerprint.

use std::any::TypeId;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use dashmap::DashMap;
use rmpv::Value;

use crate::aggregate::Aggregate;
use crate::refusal::panic_message;
use crate::upcasters::{read_value, to_bytes};

/// Tells fingerprints from the small numbers that people count up.
const IS_FINGERPRINT: u32 = 1 << 31;

/// How often the samples are folded: a state that holds a hash set comes out in another order almost every time.
const FOLDS: usize = 4;

static KNOWN: LazyLock<DashMap<TypeId, u32>> = LazyLock::new(DashMap::new);

/// The number that snapshots of `A` carry, and must carry to be used.
pub(crate) fn state_schema<A: Aggregate>() -> u32 {
    let aggregate = TypeId::of::<A>();
    if let Some(known) = KNOWN.get(&aggregate) {
        return *known;
    }
    let schema = match fingerprint::<A>() {
        Ok(Some(fingerprint)) => fingerprint,
        Ok(None) => A::STATE_SCHEMA,
        Err(error) => {
            tracing::warn!(
                aggregate = A::TYPE,
                error,
                "the aggregate's samples give no fingerprint of its state; its snapshots carry STATE_SCHEMA alone"
            );
            A::STATE_SCHEMA
        }
    };
    KNOWN.insert(aggregate, schema);
    schema
}

/// `None` without samples.
fn fingerprint<A: Aggregate>() -> Result<Option<u32>, String> {
    // Unwind safe: nothing is left of a fold that panics but its message.
    let folded = catch_unwind(AssertUnwindSafe(|| {
        let samples = A::samples();
        if samples.is_empty() {
            return Ok(None);
        }
        let first = hash_of_fold::<A>(&samples)?;
        for _ in 1..FOLDS {
            if hash_of_fold::<A>(&samples)? != first {
                return Err("it is not written down the same way each time; \
                     keep sets that are ordered (BTreeSet) in the state"
                    .to_owned());
            }
        }
        Ok(Some(first))
    }));
    folded.unwrap_or_else(|panic| Err(panic_message(panic)))
}

fn hash_of_fold<A: Aggregate>(samples: &[A::Event]) -> Result<u32, String> {
    let mut hasher =
        blake3::Hasher::new_derive_key("foldhouse 2026 fingerprint of an aggregate's state");
    hasher.update(&A::STATE_SCHEMA.to_le_bytes());
    let mut state = A::default();
    for event in samples {
        state.apply(event);
        let bytes = to_bytes(&canonical_state(&state)?).map_err(|error| error.to_string())?;
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
    }
    let mut number = [0; 4];
    hasher.finalize_xof().fill(&mut number);
    Ok(u32::from_le_bytes(number) | IS_FINGERPRINT)
}

/// A state as it is written down, with its maps in the order of their keys: that of a hash map is another each time.
pub(crate) fn canonical_state<A: Aggregate>(state: &A) -> Result<Value, String> {
    let bytes = rmp_serde::to_vec_named(state).map_err(|error| error.to_string())?;
    let mut value = read_value(&bytes).map_err(|error| error.to_string())?;
    sort_maps(&mut value);
    Ok(value)
}

fn sort_maps(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(sort_maps),
        Value::Map(entries) => {
            for (key, value) in entries.iter_mut() {
                sort_maps(key);
                sort_maps(value);
            }
            entries.sort_by_cached_key(|(key, _)| key.to_string());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
