//! Finds values that `serde_json` writes but does not read again: floats that are infinite or not a number, which it writes
//! as `null`, and values that are nested too deep.
//!
//! Without the check such a write succeeds, and each later read of the item fails.

use std::fmt;

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// The deepest nesting of arrays and objects that `serde_json` reads.
const DEEPEST: u8 = 127;

/// Checks that JSON can represent the value so that it can be read again. Errors: the reason why it cannot.
pub(super) fn check<T: Serialize + ?Sized>(value: &T) -> Result<(), &'static str> {
    match value.serialize(Look { left: DEEPEST }) {
        Err(Found::Float) => Err("the value has a float that is infinite or not a number, which JSON cannot represent"),
        Err(Found::Depth) => Err("the value is nested deeper than 127 arrays and objects; make it flatter"),
        Ok(()) | Err(Found::Other) => Ok(()),
    }
}

/// A serializer that writes nothing, and ends with an error at the first such float or depth.
#[derive(Clone, Copy)]
struct Look {
    left: u8,
}

impl Look {
    /// The serializer for the elements of an array or an object; a variant with fields has two levels.
    fn inside(self, levels: u8) -> Result<Self, Found> {
        self.left.checked_sub(levels).map(|left| Self { left }).ok_or(Found::Depth)
    }
}

#[derive(Debug)]
enum Found {
    Float,
    Depth,
    /// An error of the value's own `Serialize`, which is returned when the value is written.
    Other,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON cannot represent")
    }
}

impl std::error::Error for Found {}

impl ser::Error for Found {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Other
    }
}

type Looked = Result<(), Found>;

fn finite(is_finite: bool) -> Looked {
    if is_finite { Ok(()) } else { Err(Found::Float) }
}

macro_rules! nothing_in {
    ($($method:ident($($type:ty),*)),* $(,)?) => {
        $(fn $method(self, $(_: $type),*) -> Looked { Ok(()) })*
    };
}

macro_rules! value_in {
    ($($levels:literal $method:ident($($type:ty),*)),* $(,)?) => {
        $(fn $method<T: Serialize + ?Sized>(self, $(_: $type,)* value: &T) -> Looked {
            value.serialize(self.inside($levels)?)
        })*
    };
}

macro_rules! parts_in {
    ($($levels:literal $method:ident($($type:ty),*)),* $(,)?) => {
        $(fn $method(self, $(_: $type),*) -> Result<Self, Found> { self.inside($levels) })*
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
        serialize_u128(u128), serialize_char(char), serialize_str(&str), serialize_none(),
        serialize_unit(), serialize_unit_struct(&'static str),
        serialize_unit_variant(&'static str, u32, &'static str),
    }

    value_in! {
        0 serialize_some(), 0 serialize_newtype_struct(&'static str),
        1 serialize_newtype_variant(&'static str, u32, &'static str),
    }

    parts_in! {
        1 serialize_seq(Option<usize>), 1 serialize_tuple(usize), 1 serialize_tuple_struct(&'static str, usize),
        2 serialize_tuple_variant(&'static str, u32, &'static str, usize), 1 serialize_map(Option<usize>),
        1 serialize_struct(&'static str, usize), 2 serialize_struct_variant(&'static str, u32, &'static str, usize),
    }

    fn serialize_bytes(self, _: &[u8]) -> Looked {
        self.inside(1).map(drop)
    }

    fn serialize_f32(self, value: f32) -> Looked {
        finite(value.is_finite())
    }

    fn serialize_f64(self, value: f64) -> Looked {
        finite(value.is_finite())
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

            // serde_json itself rejects keys that it cannot write.
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
        let holdable = [Shape::Unit, Shape::Circle { radius: 1.0 }, Shape::Pair(0.0, None), Shape::New(vec![-1.5])];
        let map = std::collections::BTreeMap::from([(1, 2.0)]);
        assert_eq!(check(&(holdable, "text", 7_u128, [Some(true)], map)), Ok(()));
        for shape in [
            Shape::Circle { radius: f32::INFINITY },
            Shape::Pair(f64::NAN, None),
            Shape::Pair(0.0, Some(f64::NEG_INFINITY)),
            Shape::New(vec![0.0, f64::NAN]),
        ] {
            let error = check(&Some(std::collections::BTreeMap::from([("a", (1, shape))]))).unwrap_err();
            assert!(error.contains("float"), "{error}");
        }
    }

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    enum Deep {
        End,
        New(Box<Deep>),
        Pair(Box<Deep>, u8),
        Named { inner: Box<Deep> },
    }

    type Wrap = fn(Box<Deep>) -> Deep;

    /// `serde_json` reads exactly the values that pass.
    #[test]
    fn the_depth_is_that_of_the_reader() {
        let wraps: [Wrap; 3] = [Deep::New, |inner| Deep::Pair(inner, 0), |inner| Deep::Named { inner }];
        for wrap in wraps {
            let mut value = Deep::End;
            let mut passed = 0;
            for _ in 0..200 {
                let read = serde_json::from_slice::<Deep>(&serde_json::to_vec(&value).unwrap());
                assert_eq!(check(&value).is_ok(), read.is_ok(), "after {passed}");
                passed += u8::from(read.is_ok());
                value = wrap(Box::new(value));
            }
            assert!((60..=DEEPEST + 1).contains(&passed), "{passed}");
        }
        let nested = |depth| (1..depth).fold(serde_json::json!([]), |inner, _| serde_json::json!({ "a": inner }));
        assert_eq!(check(&nested(127)), Ok(()));
        assert!(check(&nested(128)).unwrap_err().contains("127"));
    }
}
