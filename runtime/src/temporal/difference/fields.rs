//! A value as a list of its fields: a serializer that notes each scalar with the path to it.

use std::fmt::{self, Write};

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};

use super::{FieldValue, UnserializableState};
use crate::event_codec::NESTING_DEPTH_MAX;

/// The scalars of a value, each with its path, in the order in which it serialises.
pub(super) fn fields(
    value: &(impl Serialize + ?Sized),
) -> Result<Vec<(String, FieldValue)>, UnserializableState> {
    let mut noting = Noting::default();
    value.serialize(&mut noting).map_err(|failure| failure.0)?;
    Ok(noting.found)
}

#[derive(Default)]
struct Noting {
    found: Vec<(String, FieldValue)>,
    path: String,
    depth: usize,
}

#[derive(Debug)]
struct Failure(UnserializableState);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl ser::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(UnserializableState::Failed(message.to_string()))
    }
}

impl Noting {
    #[allow(
        clippy::unnecessary_wraps,
        reason = "it ends each of the serializer's functions"
    )]
    fn note(&mut self, value: FieldValue) -> Result<(), Failure> {
        self.found.push((self.path.clone(), value));
        Ok(())
    }

    /// Goes down to a named part of the value and back.
    fn named<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Failure> {
        let above = self.path.len();
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
        self.within(above, value)
    }

    fn entry<T: Serialize + ?Sized>(&mut self, index: usize, value: &T) -> Result<(), Failure> {
        let above = self.path.len();
        // Writing to a text does not fail.
        let _ = write!(self.path, "[{index}]");
        self.within(above, value)
    }

    fn within<T: Serialize + ?Sized>(&mut self, above: usize, value: &T) -> Result<(), Failure> {
        if self.depth >= NESTING_DEPTH_MAX {
            return Err(Failure(UnserializableState::TooDeep));
        }
        self.depth += 1;
        value.serialize(&mut *self)?;
        self.depth -= 1;
        self.path.truncate(above);
        Ok(())
    }

    /// Notes something with parts; `variant` is the name of an enum's variant around them.
    fn parts(&mut self, variant: Option<&str>) -> Parts<'_> {
        let above = self.path.len();
        if let Some(variant) = variant {
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(variant);
        }
        Parts {
            noting: self,
            above,
            count: 0,
            key: None,
        }
    }
}

/// A list, map or struct on its way.
struct Parts<'a> {
    noting: &'a mut Noting,
    above: usize,
    count: usize,
    key: Option<String>,
}

impl Parts<'_> {
    fn entry<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.noting.entry(self.count, value)?;
        self.count += 1;
        Ok(())
    }

    fn named<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Failure> {
        self.noting.named(name, value)?;
        self.count += 1;
        Ok(())
    }

    fn done(self) -> Result<(), Failure> {
        if self.count == 0 {
            self.noting.note(FieldValue::Empty {})?;
        }
        self.noting.path.truncate(self.above);
        Ok(())
    }
}

macro_rules! scalars {
    ($($function:ident($type:ty) => $variant:ident)*) => {
        $(fn $function(self, value: $type) -> Result<(), Failure> {
            self.note(FieldValue::$variant(value.into()))
        })*
    };
}

impl<'a> ser::Serializer for &'a mut Noting {
    type Ok = ();
    type Error = Failure;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    scalars! {
        serialize_bool(bool) => Bool
        serialize_i8(i8) => Integer
        serialize_i16(i16) => Integer
        serialize_i32(i32) => Integer
        serialize_i64(i64) => Integer
        serialize_i128(i128) => Integer
        serialize_u8(u8) => Integer
        serialize_u16(u16) => Integer
        serialize_u32(u32) => Integer
        serialize_u64(u64) => Integer
        serialize_f32(f32) => Float
        serialize_f64(f64) => Float
        serialize_char(char) => Text
        serialize_str(&str) => Text
        serialize_bytes(&[u8]) => Bytes
    }

    fn serialize_u128(self, value: u128) -> Result<(), Failure> {
        // One number has one form, whatever type it is written as.
        self.note(i128::try_from(value).map_or(FieldValue::Unsigned(value), FieldValue::Integer))
    }

    fn serialize_none(self) -> Result<(), Failure> {
        self.note(FieldValue::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Failure> {
        let above = self.path.len();
        self.within(above, value)
    }

    fn serialize_unit(self) -> Result<(), Failure> {
        self.note(FieldValue::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Failure> {
        self.note(FieldValue::Null)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Failure> {
        self.note(FieldValue::Text(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        let above = self.path.len();
        self.within(above, value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        self.named(variant, value)
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Parts<'a>, Failure> {
        Ok(self.parts(None))
    }

    fn serialize_tuple(self, _len: usize) -> Result<Parts<'a>, Failure> {
        Ok(self.parts(None))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<Parts<'a>, Failure> {
        Ok(self.parts(None))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Parts<'a>, Failure> {
        Ok(self.parts(Some(variant)))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Parts<'a>, Failure> {
        Ok(self.parts(None))
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Parts<'a>, Failure> {
        Ok(self.parts(None))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Parts<'a>, Failure> {
        Ok(self.parts(Some(variant)))
    }
}

macro_rules! lists {
    ($($trait:ident::$function:ident)*) => {
        $(impl $trait for Parts<'_> {
            type Ok = ();
            type Error = Failure;

            fn $function<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
                self.entry(value)
            }

            fn end(self) -> Result<(), Failure> {
                self.done()
            }
        })*
    };
}

lists! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

macro_rules! structs {
    ($($trait:ident)*) => {
        $(impl $trait for Parts<'_> {
            type Ok = ();
            type Error = Failure;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Failure> {
                self.named(name, value)
            }

            fn end(self) -> Result<(), Failure> {
                self.done()
            }
        })*
    };
}

structs! { SerializeStruct SerializeStructVariant }

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Failure;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Failure> {
        let scalars = fields(key).map_err(Failure)?;
        let scalars: Vec<_> = scalars.iter().map(|(_, value)| value.to_string()).collect();
        self.key = Some(scalars.join(","));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        let key = self.key.take().unwrap_or_default();
        self.named(&key, value)
    }

    fn end(self) -> Result<(), Failure> {
        self.done()
    }
}
