//! Head of a stored response: status and fields, packed into one block of bytes.
//!
//! A `HeaderMap` spends about a hundred bytes on each field beside its text, and its values pin
//! the read buffer they were parsed from. The block costs two or three bytes a field, and building
//! the map for a hit shares the block's memory. It is a copy for storing, not for editing.
//!
//! ```text
//! block = field*        field = name value_len:u16 value
//! name  = index:u8 (of COMMON)  |  0xFF name_len:u8 text
//! ```
//!
//! The fields that clients see come first, and after them those that have tags (`semantics/tags.rs`):
//! what is kept from clients costs a hit nothing.

use bytes::{BufMut, Bytes};
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::semantics::tags::{self, TagRule};

/// Marks a name that is not in [`COMMON`].
const SPELLED: u8 = 0xFF;

/// Names that responses often carry: stored as one byte.
static COMMON: [HeaderName; 45] = [
    header::ACCEPT_RANGES,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    header::AGE,
    header::ALLOW,
    header::ALT_SVC,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_SECURITY_POLICY,
    header::CONTENT_TYPE,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::LINK,
    header::LOCATION,
    header::PRAGMA,
    header::REFERRER_POLICY,
    header::RETRY_AFTER,
    header::SERVER,
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    header::VARY,
    header::VIA,
    header::WARNING,
    header::X_CONTENT_TYPE_OPTIONS,
    header::X_DNS_PREFETCH_CONTROL,
    header::X_FRAME_OPTIONS,
    header::X_XSS_PROTECTION,
    HeaderName::from_static("cache-status"),
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("cache-tag"),
    HeaderName::from_static("surrogate-control"),
    HeaderName::from_static("surrogate-key"),
    HeaderName::from_static("x-cache"),
    HeaderName::from_static("x-powered-by"),
    HeaderName::from_static("x-request-id"),
];

/// The head of a stored response.
#[derive(Clone, Debug)]
pub struct Head {
    status: StatusCode,
    /// How many tags it has; beyond what fits that many.
    tags: u16,
    /// Where in the block the fields with tags begin.
    visible: u32,
    block: Bytes,
}

/// A head that does not fit the block's lengths: a name over 255 or a value over 65,535 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a field is too long to be stored")]
pub struct TooLong;

#[derive(Clone)]
struct Fields<'a> {
    block: &'a Bytes,
    at: usize,
    end: usize,
}

enum Name<'a> {
    Common(&'static HeaderName),
    Spelled(&'a [u8]),
}

// === impl Head ===

impl Head {
    /// Packs `status` and `fields` into one block.
    pub fn pack(status: StatusCode, fields: &HeaderMap) -> Result<Self, TooLong> {
        Self::of(status, fields, None)
    }

    /// The same of a response that may have tags, as `rule` reads them.
    pub fn tagged(status: StatusCode, fields: &HeaderMap, rule: &TagRule) -> Result<Self, TooLong> {
        Self::of(status, fields, Some(rule))
    }

    fn of(status: StatusCode, fields: &HeaderMap, rule: Option<&TagRule>) -> Result<Self, TooLong> {
        let mut block = Vec::with_capacity(len_max(fields));
        let is_tagged = |rule: &&TagRule| {
            let mut names = fields.keys();
            names.any(|name| rule.reads(name) || rule.hides(name))
        };
        let rule = rule.filter(is_tagged);
        for (name, value) in fields {
            if rule.is_none_or(|rule| !rule.hides(name)) {
                put(&mut block, name, value)?;
            }
        }
        let visible = u32::try_from(block.len()).map_err(|_| TooLong)?;
        let mut tags = 0_usize;
        if let Some(rule) = rule {
            for (name, value) in fields.iter().filter(|(name, _)| rule.reads(name)) {
                put(&mut block, name, value)?;
                tags::each(name.as_str(), value.as_bytes(), |_| tags += 1);
            }
        }
        Ok(Self {
            status,
            tags: u16::try_from(tags).unwrap_or(u16::MAX),
            visible,
            // Exactly as long as it is: a vector's spare room would be kept with it.
            block: Bytes::from(block.into_boxed_slice()),
        })
    }

    /// The response's status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The first value of `wanted`, as bytes.
    pub fn get(&self, wanted: &HeaderName) -> Option<&[u8]> {
        let mut fields = self.visible();
        let (_, (start, end)) = fields.find(|(name, _)| name.is(wanted))?;
        Some(&self.block[start..end])
    }

    /// The fields that clients see, as a map whose values share this head's memory, with room for
    /// `extra` more.
    pub fn to_fields(&self, extra: usize) -> HeaderMap {
        self.map(self.visible(), extra)
    }

    /// All fields, those with tags included.
    pub fn to_all_fields(&self, extra: usize) -> HeaderMap {
        let hidden = self.map(self.with_tags(), 0);
        let mut all = self.to_fields(extra + hidden.len());
        for name in hidden.keys() {
            if !all.contains_key(name) {
                for value in hidden.get_all(name) {
                    all.append(name, value.clone());
                }
            }
        }
        all
    }

    /// How many tags it has; 65,535 for more.
    pub fn tags(&self) -> u16 {
        self.tags
    }

    /// Each of its tags, as often as it is named.
    pub fn each_tag(&self, mut take: impl FnMut(&[u8])) {
        for (name, (start, end)) in self.with_tags() {
            tags::each(name.as_str(), &self.block[start..end], &mut take);
        }
    }

    fn visible(&self) -> Fields<'_> {
        Fields {
            block: &self.block,
            at: 0,
            end: self.visible as usize,
        }
    }

    fn with_tags(&self) -> Fields<'_> {
        Fields {
            block: &self.block,
            at: self.visible as usize,
            end: self.block.len(),
        }
    }

    fn map(&self, fields: Fields, extra: usize) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(fields.clone().count() + extra);
        for (name, (start, end)) in fields {
            let value = HeaderValue::from_maybe_shared(self.block.slice(start..end));
            if let (Some(name), Ok(value)) = (name.to_header_name(), value) {
                map.append(name, value);
            }
        }
        map
    }

    /// Bytes of heap this head keeps alive.
    pub fn weight_bytes(&self) -> usize {
        self.block.len()
    }
}

// === impl Fields ===

impl<'a> Iterator for Fields<'a> {
    type Item = (Name<'a>, (usize, usize));

    /// The next name, and where in the block its value lies. Only [`Head::pack`] writes blocks, so
    /// a length never points past the end; were it to, the fields would end there.
    fn next(&mut self) -> Option<Self::Item> {
        let bytes: &'a [u8] = self.block.get(..self.end)?;
        let index = *bytes.get(self.at)?;
        self.at += 1;
        let name = if index == SPELLED {
            let len = usize::from(*bytes.get(self.at)?);
            self.at += 1 + len;
            Name::Spelled(bytes.get(self.at - len..self.at)?)
        } else {
            Name::Common(COMMON.get(usize::from(index))?)
        };
        let len = usize::from(u16::from_be_bytes([
            *bytes.get(self.at)?,
            *bytes.get(self.at + 1)?,
        ]));
        let start = self.at + 2;
        self.at = start + len;
        (self.at <= bytes.len()).then_some((name, (start, self.at)))
    }
}

// === impl Name ===

impl Name<'_> {
    fn is(&self, wanted: &HeaderName) -> bool {
        match self {
            Self::Common(name) => *name == wanted,
            Self::Spelled(text) => *text == wanted.as_str().as_bytes(),
        }
    }

    /// Names are ASCII.
    fn as_str(&self) -> &str {
        match self {
            Self::Common(name) => name.as_str(),
            Self::Spelled(text) => std::str::from_utf8(text).unwrap_or_default(),
        }
    }

    fn to_header_name(&self) -> Option<HeaderName> {
        match self {
            Self::Common(name) => Some((*name).clone()),
            Self::Spelled(text) => HeaderName::from_bytes(text).ok(),
        }
    }
}

/// No block of these fields is longer.
fn len_max(fields: &HeaderMap) -> usize {
    fields
        .iter()
        .map(|(name, value)| 4 + name.as_str().len() + value.len())
        .sum()
}

fn put(block: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) -> Result<(), TooLong> {
    put_name(block, name)?;
    let len = u16::try_from(value.len()).map_err(|_| TooLong)?;
    block.put_u16(len);
    block.put_slice(value.as_bytes());
    Ok(())
}

fn put_name(block: &mut Vec<u8>, name: &HeaderName) -> Result<(), TooLong> {
    match COMMON.iter().position(|common| common == name) {
        // COMMON has far fewer than 255 names.
        Some(index) => block.put_u8(u8::try_from(index).map_err(|_| TooLong)?),
        None => {
            block.put_u8(SPELLED);
            block.put_u8(u8::try_from(name.as_str().len()).map_err(|_| TooLong)?);
            block.put_slice(name.as_str().as_bytes());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn fields_come_back_as_they_went_in() {
        let mut map = fields(&[("etag", "\"a\""), ("x-own", "1"), ("set-cookie", "a=1")]);
        map.append("set-cookie", HeaderValue::from_static("b=2"));
        map.append("x-empty", HeaderValue::from_static(""));
        map.append("x-latin", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        let head = Head::pack(StatusCode::OK, &map).unwrap();
        assert_eq!(head.to_fields(2), map);
        assert_eq!(head.get(&header::ETAG), Some(&b"\"a\""[..]));
        assert_eq!(head.get(&HeaderName::from_static("x-own")), Some(&b"1"[..]));
        assert_eq!(head.get(&header::EXPIRES), None);
    }

    #[test]
    fn tags_are_kept_apart_from_what_clients_see() {
        let mut map = fields(&[
            ("etag", "\"a\""),
            ("xkey", "b c"),
            ("cache-groups", "\"d\""),
        ]);
        map.append("xkey", HeaderValue::from_static("e"));
        let head = Head::tagged(StatusCode::OK, &map, &TagRule::default()).unwrap();
        let seen = fields(&[("etag", "\"a\""), ("cache-groups", "\"d\"")]);
        assert_eq!((head.to_fields(0), head.tags()), (seen, 4));
        assert_eq!(head.to_all_fields(0), map);
        assert_eq!(head.get(&HeaderName::from_static("xkey")), None);
        let mut found = Vec::new();
        head.each_tag(|tag| found.push(String::from_utf8_lossy(tag).into_owned()));
        assert_eq!(found, ["b", "c", "e", "d"]);
        let plain = Head::pack(StatusCode::OK, &map).unwrap();
        assert_eq!((plain.to_fields(0), plain.tags()), (map, 0));
    }

    #[test]
    fn what_does_not_fit_the_lengths_is_refused() {
        let mut map = HeaderMap::new();
        map.insert(
            "x-long",
            HeaderValue::from_bytes(&vec![b'a'; 65_536]).unwrap(),
        );
        assert_eq!(Head::pack(StatusCode::OK, &map).unwrap_err(), TooLong);
    }
}
