//! A raw table, which nothing but a TOML table can fill.
//!
//! Not the content of any table.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use serde::de::value::{Error as Nothing, MapAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use toml::Spanned;

use super::wording;

/// A table and where it stands.
pub(super) type Written<T> = Spanned<Table<T>>;

/// A table of the keys of `T`. Serde's derive would also take a list and fill the keys by number,
/// so that `server = [64]` set `connections_max`.
#[derive(Default, PartialEq)]
pub(super) struct Table<T>(T);

/// Takes down which keys a table has. There is nothing to read, so reading always fails.
struct Keys<'a>(&'a mut &'static [&'static str]);

// === impl Table ===

impl<T> From<T> for Table<T> {
    fn from(keys: T) -> Self {
        Self(keys)
    }
}

impl<T> Deref for Table<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Table<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyMap<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyMap<T> {
            type Value = Table<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let keys = wording::list(keys_of::<T>(), "`", "and");
                write!(f, "a table with {keys}")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Table<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Table)
            }
        }
        deserializer.deserialize_map(OnlyMap(PhantomData))
    }
}

/// The keys of a raw table, as serde's derive tells them to whoever it asks.
pub(super) fn keys_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut keys: &'static [&'static str] = &[];
    // It fails, having told what is wanted here.
    let _ = T::deserialize(Keys(&mut keys));
    keys
}

// === impl Keys ===

impl<'de> Deserializer<'de> for Keys<'_> {
    type Error = Nothing;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Nothing> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Nothing> {
        Err(Nothing::custom("there is nothing to read"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
