//! Looks for floats that JSON cannot hold: `serde_json` writes `null` for them, which is read back as
//! something else or not at all.

use std::fmt;

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// Has the value a float that is infinite or not a number, at any depth?
pub(super) fn has_other_floats<T: Serialize + ?Sized>(value: &T) -> bool {
    matches!(value.serialize(Look), Err(Found::Float))
}

/// Writes nothing, and ends at the first such float.
#[derive(Clone, Copy)]
struct Look;

#[derive(Debug)]
enum Found {
    Float,
    /// An error of the value's own, which comes again when it is written.
    Other,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON cannot hold")
    }
}

impl std::error::Error for Found {}

impl ser::Error for Found {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Other
    }
}

type Looked = Result<(), Found>;

fn check(is_finite: bool) -> Looked {
    if is_finite { Ok(()) } else { Err(Found::Float) }
}

macro_rules! nothing_in {
    ($($method:ident($($type:ty),*)),* $(,)?) => {
        $(fn $method(self, $(_: $type),*) -> Looked { Ok(()) })*
    };
}

macro_rules! value_in {
    ($($method:ident($($type:ty),*)),* $(,)?) => {
        $(fn $method<T: Serialize + ?Sized>(self, $(_: $type,)* value: &T) -> Looked { value.serialize(self) })*
    };
}

macro_rules! parts_in {
    ($($method:ident($($type:ty),*)),* $(,)?) => {
        $(fn $method(self, $(_: $type),*) -> Result<Self, Found> { Ok(self) })*
    };
}

impl Serializer for Look {
    type Ok = ();
    type Error = Found;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    nothing_in! {
        serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_i128(i128), serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64),
        serialize_u128(u128), serialize_char(char), serialize_str(&str), serialize_bytes(&[u8]), serialize_none(),
        serialize_unit(), serialize_unit_struct(&'static str),
        serialize_unit_variant(&'static str, u32, &'static str),
    }

    value_in! {
        serialize_some(), serialize_newtype_struct(&'static str),
        serialize_newtype_variant(&'static str, u32, &'static str),
    }

    parts_in! {
        serialize_seq(Option<usize>), serialize_tuple(usize), serialize_tuple_struct(&'static str, usize),
        serialize_tuple_variant(&'static str, u32, &'static str, usize), serialize_map(Option<usize>),
        serialize_struct(&'static str, usize), serialize_struct_variant(&'static str, u32, &'static str, usize),
    }

    fn serialize_f32(self, value: f32) -> Looked {
        check(value.is_finite())
    }

    fn serialize_f64(self, value: f64) -> Looked {
        check(value.is_finite())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Looked {
        Ok(())
    }
}

macro_rules! each_part {
    ($($trait:ident::$method:ident($($name:ty)?) $($key:ident)?),* $(,)?) => {
        $(impl $trait for Look {
            type Ok = ();
            type Error = Found;

            // serde_json refuses keys that are no numbers by itself.
            $(fn $key<T: Serialize + ?Sized>(&mut self, _: &T) -> Looked { Ok(()) })?

            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Looked {
                value.serialize(*self)
            }

            fn end(self) -> Looked {
                Ok(())
            }
        })*
    };
}

each_part! {
    SerializeSeq::serialize_element(),
    SerializeTuple::serialize_element(),
    SerializeTupleStruct::serialize_field(),
    SerializeTupleVariant::serialize_field(),
    SerializeMap::serialize_value() serialize_key,
    SerializeStruct::serialize_field(&'static str),
    SerializeStructVariant::serialize_field(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize)]
    enum Shape {
        Unit,
        Circle { radius: f32 },
        Pair(f64, Option<f64>),
        New(Vec<f64>),
    }

    #[test]
    fn floats_are_found_at_any_depth() {
        let finite = [Shape::Unit, Shape::Circle { radius: 1.0 }, Shape::Pair(0.0, None), Shape::New(vec![-1.5])];
        assert!(!has_other_floats(&(
            finite,
            "text",
            7_u128,
            [Some(true)],
            std::collections::BTreeMap::from([(1, 2.0)])
        )));
        for shape in [
            Shape::Circle { radius: f32::INFINITY },
            Shape::Pair(f64::NAN, None),
            Shape::Pair(0.0, Some(f64::NEG_INFINITY)),
            Shape::New(vec![0.0, f64::NAN]),
        ] {
            assert!(has_other_floats(&Some(std::collections::BTreeMap::from([("a", (1, shape))]))));
        }
    }
}
