use std::fmt::{self, Display, Write};
use std::panic::catch_unwind;

use foldhouse_store::{Codec, RecordedEvent};
use rmp_serde::decode::ReadRefReader;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, VariantAccess,
    Visitor,
};

use crate::refusal::panic_message;

use super::structure::{Unsound, check};
use super::{EVENT_PAYLOAD_BYTES_MAX, EventCodecError, NESTING_DEPTH_MAX};

/// The most of an error's text that is kept, in bytes: serde repeats what it refuses, however long.
const WHAT_BYTES_MAX: usize = 300;

/// The payload of an event that an aggregate wrote, if this build can read it.
#[inline]
pub(crate) fn plain_payload(event: &RecordedEvent) -> Result<&[u8], EventCodecError> {
    let payload = &event.payload;
    if payload.codec == Codec::MessagePack
        && payload.key_id.is_none()
        && payload.bytes.len() <= EVENT_PAYLOAD_BYTES_MAX
    {
        return Ok(&payload.bytes);
    }
    Err(not_plain(event))
}

#[cold]
fn not_plain(event: &RecordedEvent) -> EventCodecError {
    let event_type = event.event_type.to_string();
    let payload = &event.payload;
    match payload.key_id {
        _ if payload.codec != Codec::MessagePack => EventCodecError::Codec {
            event_type,
            codec: payload.codec,
        },
        Some(key_id) => EventCodecError::Encrypted {
            event_type,
            key_id: key_id.get(),
        },
        None => EventCodecError::TooLarge {
            event_type,
            bytes: payload.bytes.len(),
        },
    }
}

/// Reads the content of one event of this type.
pub(crate) fn decode_content<E: DeserializeOwned>(
    event_type: &str,
    bytes: &[u8],
) -> Result<E, EventCodecError> {
    let variant = VariantDeserializer { event_type, bytes };
    E::deserialize(variant).map_err(|failure| match failure {
        Failure::UnknownVariant => EventCodecError::UnknownType {
            event_type: event_type.to_owned(),
        },
        Failure::Other(what) => EventCodecError::Payload {
            event_type: event_type.to_owned(),
            what,
        },
    })
}

/// Whether `bytes` are one value that could be read back.
pub(crate) fn check_value(bytes: &[u8]) -> Result<(), String> {
    check(bytes).map_err(|unsound| unsound.to_string())
}

/// Reads one value that fills `bytes` exactly.
pub(crate) fn decode_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    // Unwind safe: nothing is left of a value that panics while it is read.
    let decoded = catch_unwind(|| {
        read_whole(bytes, |content| T::deserialize(content)).map_err(|failure| failure.to_string())
    });
    decoded.unwrap_or_else(|panic| {
        let message = panic_message(panic);
        Err(brief(format_args!("reading it panicked: {message}")))
    })
}

/// Reads one value that fills `bytes` exactly, and takes memory only for what is really in them.
fn read_whole<'de, T>(
    bytes: &'de [u8],
    read: impl FnOnce(&mut MessagePack<'de>) -> Result<T, rmp_serde::decode::Error>,
) -> Result<T, Failure> {
    check(bytes)?;
    let mut content = message_pack(bytes);
    let value = read(&mut content)?;
    at_end(content)?;
    Ok(value)
}

type MessagePack<'de> = rmp_serde::Deserializer<ReadRefReader<'de, [u8]>>;

fn message_pack(bytes: &[u8]) -> MessagePack<'_> {
    let mut content = rmp_serde::Deserializer::from_read_ref(bytes);
    // rmp fails when it comes to its maximum, not beyond it.
    content.set_max_depth(NESTING_DEPTH_MAX + 1);
    content
}

/// rmp does not say how far it has read; asking for a number fails in this one way only where no byte is left.
fn at_end(mut content: MessagePack<'_>) -> Result<(), Failure> {
    let probe: Result<i128, _> = serde::Deserialize::deserialize(&mut content);
    match probe {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(()),
        _ => Err(Failure::Other("bytes follow the value".to_owned())),
    }
}

#[derive(Debug)]
enum Failure {
    UnknownVariant,
    Other(String),
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVariant => f.write_str("unknown variant"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Failure {}

impl serde::de::Error for Failure {
    fn custom<T: Display>(message: T) -> Self {
        Self::Other(brief(message))
    }

    fn unknown_variant(_variant: &str, _expected: &'static [&'static str]) -> Self {
        Self::UnknownVariant
    }
}

impl From<rmp_serde::decode::Error> for Failure {
    fn from(error: rmp_serde::decode::Error) -> Self {
        Self::Other(brief(error))
    }
}

impl From<Unsound> for Failure {
    fn from(unsound: Unsound) -> Self {
        Self::Other(unsound.to_string())
    }
}

/// The text of an error, cut off at [`WHAT_BYTES_MAX`].
fn brief(error: impl Display) -> String {
    struct Brief(String);

    impl Write for Brief {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = WHAT_BYTES_MAX.saturating_sub(self.0.len());
            if text.len() <= room {
                self.0.push_str(text);
                return Ok(());
            }
            let fits = (0..=room).rev().find_map(|end| text.get(..end));
            self.0.push_str(fits.unwrap_or_default());
            self.0.push_str("...");
            // Nothing more is written.
            Err(fmt::Error)
        }
    }

    let mut text = Brief(String::new());
    let _ = write!(text, "{error}");
    text.0
}

/// An enum whose variant name and content come from different places.
struct VariantDeserializer<'de> {
    event_type: &'de str,
    bytes: &'de [u8],
}

impl<'de> Deserializer<'de> for VariantDeserializer<'de> {
    type Error = Failure;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_enum(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for VariantDeserializer<'de> {
    type Error = Failure;
    type Variant = Content<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Content<'de>), Failure> {
        let name: StrDeserializer<'de, Failure> = self.event_type.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.bytes)))
    }
}

struct Content<'de>(&'de [u8]);

impl<'de> Content<'de> {
    fn read<T>(
        self,
        read: impl FnOnce(&mut MessagePack<'de>) -> Result<T, rmp_serde::decode::Error>,
    ) -> Result<T, Failure> {
        read_whole(self.0, read)
    }
}

impl<'de> VariantAccess<'de> for Content<'de> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Failure::Other(format!(
                "the variant has no fields, but {} bytes are there",
                self.0.len()
            )))
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        self.read(|content| seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Failure> {
        self.read(|content| content.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.read(|content| content.deserialize_struct("", fields, visitor))
    }
}
