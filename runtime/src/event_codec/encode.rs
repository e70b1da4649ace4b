use std::cell::RefCell;
use std::fmt::Display;
use std::sync::Arc;

use rmp_serde::config::{DefaultConfig, StructMapConfig};
use serde::ser::{
    Impossible, Serialize, SerializeStructVariant, SerializeTupleVariant, Serializer,
};

use super::structure::check;
use super::{EVENT_PAYLOAD_BYTES_MAX, EventCodecError, NESTING_DEPTH_MAX};

/// Writes the content of the event's variant into `payload` (cleared first) and gives its event type.
pub(crate) fn encode<E: Serialize>(
    event: &E,
    payload: &mut Vec<u8>,
) -> Result<&'static str, EventCodecError> {
    payload.clear();
    let event_type = event
        .serialize(VariantSerializer {
            payload: &mut *payload,
        })
        .map_err(|failure| match failure {
            Failure::NotAnEnum(found) => EventCodecError::NotAnEnum {
                rust_type: std::any::type_name::<E>(),
                found,
            },
            Failure::Other(what) => EventCodecError::Encode(what),
        })?;
    if payload.len() > EVENT_PAYLOAD_BYTES_MAX {
        return Err(EventCodecError::TooLarge {
            event_type: event_type.to_owned(),
            bytes: payload.len(),
        });
    }
    // Each level takes a byte at least, and most events are not much longer.
    if payload.len() > NESTING_DEPTH_MAX
        && let Err(unsound) = check(payload)
    {
        return Err(EventCodecError::Encode(format!(
            "{event_type} could not be read back: {unsound}"
        )));
    }
    Ok(event_type)
}

/// How many event types one thread remembers.
const TEXTS_MAX: usize = 64;

/// The event types that a thread has written, so that an event shares its type's text instead of copying it.
#[derive(Debug)]
pub(crate) struct EventTypes([Option<(&'static str, Arc<str>)>; TEXTS_MAX]);

impl Default for EventTypes {
    fn default() -> Self {
        Self([const { None }; TEXTS_MAX])
    }
}

impl EventTypes {
    pub(crate) fn shared(&mut self, event_type: &'static str) -> Arc<str> {
        // Variant names are literals: the same variant has the same address, whose comparison is all that is needed.
        let place = (event_type.as_ptr().addr() ^ event_type.len()) % TEXTS_MAX;
        match self.0.get_mut(place) {
            Some(Some((known, text))) if std::ptr::eq(*known, event_type) => Arc::clone(text),
            // Another type in its place gives way.
            Some(other) => Arc::clone(&other.insert((event_type, event_type.into())).1),
            None => event_type.into(),
        }
    }
}

thread_local! {
    static EVENT_TYPES: RefCell<EventTypes> = RefCell::new(EventTypes::default());
}

/// The text of an event type. Shared by what one thread writes: what all threads count on, or each aggregate for itself,
/// is a line of memory that has to be fetched for every event.
pub(crate) fn shared_text(event_type: &'static str) -> Arc<str> {
    let shared =
        EVENT_TYPES.try_with(|types| Some(types.try_borrow_mut().ok()?.shared(event_type)));
    // A thread that ends has none any more.
    shared.ok().flatten().unwrap_or_else(|| event_type.into())
}

#[derive(Debug)]
enum Failure {
    NotAnEnum(&'static str),
    Other(String),
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAnEnum(found) => write!(f, "a {found} is not an enum"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Failure {}

impl serde::ser::Error for Failure {
    fn custom<T: Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }
}

impl From<rmp_serde::encode::Error> for Failure {
    fn from(error: rmp_serde::encode::Error) -> Self {
        Self::Other(error.to_string())
    }
}

/// Takes the variant's name for itself and writes only what is inside.
struct VariantSerializer<'a> {
    payload: &'a mut Vec<u8>,
}

type MessagePack<'a> = rmp_serde::Serializer<&'a mut Vec<u8>, StructMapConfig<DefaultConfig>>;

fn message_pack(payload: &mut Vec<u8>) -> MessagePack<'_> {
    rmp_serde::Serializer::new(payload).with_struct_map()
}

struct VariantFields<'a> {
    event_type: &'static str,
    content: MessagePack<'a>,
}

impl SerializeTupleVariant for VariantFields<'_> {
    type Ok = &'static str;
    type Error = Failure;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        Ok(value.serialize(&mut self.content)?)
    }

    fn end(self) -> Result<&'static str, Failure> {
        Ok(self.event_type)
    }
}

impl SerializeStructVariant for VariantFields<'_> {
    type Ok = &'static str;
    type Error = Failure;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        key.serialize(&mut self.content)?;
        Ok(value.serialize(&mut self.content)?)
    }

    fn end(self) -> Result<&'static str, Failure> {
        Ok(self.event_type)
    }
}

macro_rules! not_an_enum {
    ($($method:ident($($argument:ty),*) -> $ok:ty, $found:literal;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$ok, Failure> {
            Err(Failure::NotAnEnum($found))
        })*
    };
}

impl<'a> Serializer for VariantSerializer<'a> {
    type Ok = &'static str;
    type Error = Failure;
    type SerializeSeq = Impossible<&'static str, Failure>;
    type SerializeTuple = Impossible<&'static str, Failure>;
    type SerializeTupleStruct = Impossible<&'static str, Failure>;
    type SerializeTupleVariant = VariantFields<'a>;
    type SerializeMap = Impossible<&'static str, Failure>;
    type SerializeStruct = Impossible<&'static str, Failure>;
    type SerializeStructVariant = VariantFields<'a>;

    // Payloads are read back by rmp, which is not human-readable: both sides must say the same.
    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_unit_variant(
        self,
        _enum_name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<&'static str, Failure> {
        Ok(variant)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _enum_name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<&'static str, Failure> {
        value.serialize(&mut message_pack(self.payload))?;
        Ok(variant)
    }

    fn serialize_tuple_variant(
        self,
        _enum_name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<VariantFields<'a>, Failure> {
        let mut content = message_pack(self.payload);
        // Writes the array's header; the fields follow one by one.
        (&mut content).serialize_seq(Some(len))?;
        Ok(VariantFields {
            event_type: variant,
            content,
        })
    }

    fn serialize_struct_variant(
        self,
        enum_name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<VariantFields<'a>, Failure> {
        let mut content = message_pack(self.payload);
        // Writes the map's header; the fields follow one by one.
        (&mut content).serialize_struct(enum_name, len)?;
        Ok(VariantFields {
            event_type: variant,
            content,
        })
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<&'static str, Failure> {
        value.serialize(self)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, _value: &T) -> Result<&'static str, Failure> {
        Err(Failure::NotAnEnum("option"))
    }

    not_an_enum! {
        serialize_bool(bool) -> &'static str, "bool";
        serialize_i8(i8) -> &'static str, "number";
        serialize_i16(i16) -> &'static str, "number";
        serialize_i32(i32) -> &'static str, "number";
        serialize_i64(i64) -> &'static str, "number";
        serialize_u8(u8) -> &'static str, "number";
        serialize_u16(u16) -> &'static str, "number";
        serialize_u32(u32) -> &'static str, "number";
        serialize_u64(u64) -> &'static str, "number";
        serialize_f32(f32) -> &'static str, "number";
        serialize_f64(f64) -> &'static str, "number";
        serialize_char(char) -> &'static str, "text";
        serialize_str(&str) -> &'static str, "text";
        serialize_bytes(&[u8]) -> &'static str, "byte string";
        serialize_none() -> &'static str, "option";
        serialize_unit() -> &'static str, "unit";
        serialize_unit_struct(&'static str) -> &'static str, "struct";
        serialize_seq(Option<usize>) -> Self::SerializeSeq, "sequence";
        serialize_tuple(usize) -> Self::SerializeTuple, "tuple";
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct, "struct";
        serialize_map(Option<usize>) -> Self::SerializeMap, "map";
        serialize_struct(&'static str, usize) -> Self::SerializeStruct, "struct";
    }
}
