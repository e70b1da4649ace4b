use std::fmt;

use bytes::Bytes;
use rmpv::Value;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::UpcastError;
use crate::event_codec::{check_value, decode_value};

/// What an event says, without its Rust type: values by field name, in the order in which they were written.
///
/// What an upcaster does not touch stays exactly as it was recorded. Values go in and out as the types that they have in
/// the event: whatever serde writes and reads.
///
/// ```
/// use foldhouse::Fields;
///
/// let mut fields = Fields::none();
/// fields.set("amount", &1250_i64)?;
/// fields.rename("amount", "minor_units")?;
/// fields.set_default("currency", &"EUR")?;
/// assert_eq!(fields.get::<i64>("minor_units")?, 1250);
/// assert_eq!(fields.to_string(), r#"{"minor_units": 1250, "currency": "EUR"}"#);
/// # Ok::<(), foldhouse::UpcastError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Fields {
    content: Content,
}

#[derive(Clone, PartialEq)]
enum Content {
    /// As it was recorded; empty for an event without fields.
    Recorded(Bytes),
    Value(Value),
}

impl Fields {
    /// No fields: what a variant without any is recorded with.
    #[must_use]
    pub fn none() -> Self {
        Self::recorded(Bytes::new())
    }

    /// The fields of a struct, or the single value of a variant such as `Named(String)`.
    ///
    /// # Errors
    /// Its own serialisation fails.
    pub fn of<T: Serialize + ?Sized>(content: &T) -> Result<Self, UpcastError> {
        Ok(Self {
            content: Content::Value(to_value(content)?),
        })
    }

    pub(crate) fn recorded(payload: Bytes) -> Self {
        Self {
            content: Content::Recorded(payload),
        }
    }

    /// All of it as one value: a struct with these fields, or what a variant such as `Named(String)` holds.
    ///
    /// # Errors
    /// It does not fit; the error says where.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, UpcastError> {
        match &self.content {
            Content::Recorded(payload) => decode_value(payload).map_err(UpcastError::new),
            Content::Value(value) => from_value(value),
        }
    }

    /// Whether there is a field of this name.
    ///
    /// # Errors
    /// The event has no named fields.
    pub fn has(&mut self, name: &str) -> Result<bool, UpcastError> {
        let entries = self.entries()?;
        Ok(entries.iter().any(|(key, _)| key.as_str() == Some(name)))
    }

    /// A field's value.
    ///
    /// # Errors
    /// There is none of this name, or its value does not fit.
    pub fn get<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, UpcastError> {
        let entries = self.entries()?;
        let found = entries
            .iter()
            .find(|(key, _)| key.as_str() == Some(name))
            .ok_or_else(|| missing(name))?;
        from_value(&found.1).map_err(|error| error.of_field(name))
    }

    /// Takes a field out, and gives its value.
    ///
    /// # Errors
    /// As for [`Fields::get`].
    pub fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, UpcastError> {
        let value = self.get(name)?;
        self.remove(name)?;
        Ok(value)
    }

    /// Gives a field a value, in place of what it has.
    ///
    /// # Errors
    /// The event has no named fields, or the value's own serialisation fails.
    pub fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), UpcastError> {
        let value = to_value(value).map_err(|error| error.of_field(name))?;
        let entries = self.entries()?;
        match entries
            .iter_mut()
            .find(|(key, _)| key.as_str() == Some(name))
        {
            Some((_, old)) => *old = value,
            None => entries.push((name.into(), value)),
        }
        Ok(())
    }

    /// Gives a field a value if it is not there.
    ///
    /// # Errors
    /// As for [`Fields::set`].
    pub fn set_default<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), UpcastError> {
        if self.has(name)? {
            return Ok(());
        }
        self.set(name, value)
    }

    /// Gives a field another name. One that is not there stays away: it may be optional.
    ///
    /// # Errors
    /// There is one of the new name already, or the event has no named fields.
    pub fn rename(&mut self, old: &str, new: &str) -> Result<(), UpcastError> {
        if !self.has(old)? || old == new {
            return Ok(());
        }
        if self.has(new)? {
            return Err(UpcastError::new(format!(
                "{old} cannot be renamed to {new}, which is there already"
            )));
        }
        let entries = self.entries()?;
        for (key, _) in entries {
            if key.as_str() == Some(old) {
                *key = new.into();
            }
        }
        Ok(())
    }

    /// Removes a field. True if it was there.
    ///
    /// # Errors
    /// The event has no named fields.
    pub fn remove(&mut self, name: &str) -> Result<bool, UpcastError> {
        let entries = self.entries()?;
        let before = entries.len();
        entries.retain(|(key, _)| key.as_str() != Some(name));
        Ok(entries.len() < before)
    }

    /// The names of the fields, in order.
    ///
    /// # Errors
    /// The event has no named fields.
    pub fn names(&mut self) -> Result<Vec<String>, UpcastError> {
        let entries = self.entries()?;
        let names = entries.iter().filter_map(|(key, _)| key.as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// The payload of an event with these fields.
    pub(crate) fn into_payload(self) -> Result<Bytes, UpcastError> {
        match self.content {
            Content::Recorded(payload) => Ok(payload),
            Content::Value(value) => Ok(to_bytes(&value)?.into()),
        }
    }

    pub(crate) fn value(&self) -> Result<Option<Value>, UpcastError> {
        match &self.content {
            Content::Recorded(payload) if payload.is_empty() => Ok(None),
            Content::Recorded(payload) => read_value(payload).map(Some),
            Content::Value(value) => Ok(Some(value.clone())),
        }
    }

    fn entries(&mut self) -> Result<&mut Vec<(Value, Value)>, UpcastError> {
        if let Content::Recorded(_) = self.content {
            let value = self.value()?;
            self.content = Content::Value(value.unwrap_or_else(|| Value::Map(Vec::new())));
        }
        match &mut self.content {
            Content::Value(Value::Map(entries)) => Ok(entries),
            _ => Err(UpcastError::new(
                "it has no named fields; take all of it with Fields::read, and make it anew with Fields::of",
            )),
        }
    }
}

/// So that fields within fields can be taken, changed, and set again.
impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.value().map_err(serde::ser::Error::custom)?;
        value
            .unwrap_or_else(|| Value::Map(Vec::new()))
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let content = Content::Value(Value::deserialize(deserializer)?);
        Ok(Self { content })
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Ok(Some(value)) => value.fmt(f),
            Ok(None) => f.write_str("{}"),
            Err(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn missing(name: &str) -> UpcastError {
    UpcastError::new(format!("there is no field {name}"))
}

fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, UpcastError> {
    let bytes =
        rmp_serde::to_vec_named(value).map_err(|error| UpcastError::new(error.to_string()))?;
    read_value(&bytes)
}

fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, UpcastError> {
    decode_value(&to_bytes(value)?).map_err(UpcastError::new)
}

/// One value that fills `bytes` exactly.
pub(crate) fn read_value(mut bytes: &[u8]) -> Result<Value, UpcastError> {
    // Takes memory only for what is really there.
    check_value(bytes).map_err(UpcastError::new)?;
    rmpv::decode::read_value(&mut bytes).map_err(|error| UpcastError::new(error.to_string()))
}

pub(crate) fn to_bytes(value: &Value) -> Result<Vec<u8>, UpcastError> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value)
        .map_err(|error| UpcastError::new(error.to_string()))?;
    Ok(bytes)
}
