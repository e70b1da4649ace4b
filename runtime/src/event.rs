use serde::Serialize;
use serde::de::DeserializeOwned;

/// The events of an aggregate: an enum whose variants are the event types.
///
/// Every serde enum is one; nothing is to implement. The serde name of a variant is the event type in the journal
/// (rename the variant in code with `#[serde(rename = "...")]`, and old events still read), its fields are the payload.
pub trait Event:
    Serialize + DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static
{
}

impl<E: Serialize + DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static> Event
    for E
{
}
