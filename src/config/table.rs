//! A raw table, which nothing but a TOML table can fill.
//!
//! Not the content of any table.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use toml::Spanned;

/// A table and where it stands.
pub(super) type Written<T> = Spanned<Table<T>>;

/// A table of the keys of `T`. Serde's derive would also take a list and fill the keys by number,
/// so that `server = [64]` set `connections_max`.
#[derive(Default, PartialEq)]
pub(super) struct Table<T>(T);

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
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Table<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Table)
            }
        }
        deserializer.deserialize_map(OnlyMap(PhantomData))
    }
}
