//! A look at a state before it becomes JSON: a float that is no number, or infinite, would be written as `null`, which
//! is read as no float, or as none at all.

use std::fmt::{self, Display};

use serde::ser::{self, Serialize};

/// Whether every float in `value` has a JSON form.
///
/// # Errors
/// Names the first that has none.
pub(super) fn finite(value: &impl Serialize) -> Result<(), NotFinite> {
    value.serialize(Finite)
}

/// A float without a JSON form, or what the value itself says against being written.
#[derive(Debug)]
pub(super) struct NotFinite(String);

impl Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotFinite {}

impl ser::Error for NotFinite {
    fn custom<T: Display>(reason: T) -> Self {
        Self(reason.to_string())
    }
}

/// Goes through a value and writes nothing.
#[derive(Clone, Copy)]
struct Finite;

type Seen = Result<(), NotFinite>;

fn float(value: f64) -> Seen {
    if value.is_finite() {
        return Ok(());
    }
    Err(NotFinite(format!(
        "the float {value} has no JSON form: it would come back as null"
    )))
}

macro_rules! nothing {
    ($($name:ident($($value:ty),*);)*) => {
        $(fn $name(self, $(_: $value),*) -> Seen { Ok(()) })*
    };
}

impl ser::Serializer for Finite {
    type Ok = ();
    type Error = NotFinite;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    nothing! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    fn serialize_f32(self, value: f32) -> Seen {
        float(value.into())
    }

    fn serialize_f64(self, value: f64) -> Seen {
        float(value)
    }

    fn collect_str<T: ?Sized + Display>(self, _: &T) -> Seen {
        Ok(())
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Seen {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Seen {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Seen {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, NotFinite> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, NotFinite> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, NotFinite> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, NotFinite> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, NotFinite> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, NotFinite> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, NotFinite> {
        Ok(self)
    }
}

macro_rules! each {
    ($($of:ident: $name:ident($($key:ty)?);)*) => {
        $(impl ser::$of for Finite {
            type Ok = ();
            type Error = NotFinite;

            fn $name<T: ?Sized + Serialize>(&mut self, $(_: $key,)? value: &T) -> Seen {
                value.serialize(*self)
            }

            fn end(self) -> Seen {
                Ok(())
            }
        })*
    };
}

each! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeStruct: serialize_field(&'static str);
    SerializeStructVariant: serialize_field(&'static str);
}

/// Keys are text, and the codec itself says so of those that are not.
impl ser::SerializeMap for Finite {
    type Ok = ();
    type Error = NotFinite;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, _: &T) -> Seen {
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Seen {
        value.serialize(*self)
    }

    fn end(self) -> Seen {
        Ok(())
    }
}
