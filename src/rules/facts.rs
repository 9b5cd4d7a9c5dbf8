//! Facts that conditions are about: a request, and what is known of its response by then.
//!
//! Nothing is copied. Cookies and parameters are divided when the first condition asks for one, and once
//! for all conditions.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;

use http::header::{AGE, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode;
use smallvec::SmallVec;

use crate::semantics::cookies;
use crate::semantics::fold;

/// As many cookies and parameters as are divided without memory of their own.
const INLINE: usize = 12;

type Pairs<'a> = SmallVec<[(&'a [u8], &'a [u8]); INLINE]>;

/// What is known of a request.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Its host, in normal form and without a port.
    pub host: &'a str,
    /// Its path, and `?` and query if it has one.
    pub target: &'a str,
    /// Its fields.
    pub fields: &'a HeaderMap,
    /// Who has sent it.
    pub client: IpAddr,
    /// Whether its origin can be asked.
    pub is_healthy: &'a dyn Fn() -> bool,
}

/// What is known of a response.
#[derive(Clone, Copy)]
pub struct Response<'a> {
    /// Its status.
    pub status: u16,
    /// Its fields.
    pub fields: &'a HeaderMap,
    /// The lifetime, in seconds, that it would be stored with.
    pub lifetime: &'a dyn Fn() -> Option<u64>,
}

/// How a client is served.
#[derive(Clone, Copy)]
pub struct Delivery {
    /// In the words of the access log.
    pub outcome: &'static str,
    /// How often the stored response was used.
    pub hits: u32,
}

/// All that is known.
pub struct Facts<'a> {
    pub(super) request: Request<'a>,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) response: Option<Response<'a>>,
    pub(super) delivery: Option<Delivery>,
    cookies: OnceCell<Pairs<'a>>,
    params: OnceCell<Pairs<'a>>,
    device: OnceCell<&'static str>,
}

/// Where facts lie that have names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Header,
    Cookie,
    Param,
    ResponseHeader,
}

// === impl Facts ===

impl<'a> Facts<'a> {
    /// Before there is a response.
    pub fn of(request: Request<'a>) -> Self {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((request.target, ""));
        Self {
            request,
            path,
            query,
            response: None,
            delivery: None,
            cookies: OnceCell::new(),
            params: OnceCell::new(),
            device: OnceCell::new(),
        }
    }

    /// With what is known of the response.
    #[must_use]
    pub fn answered(mut self, response: Response<'a>) -> Self {
        self.response = Some(response);
        self
    }

    /// With how the client is served.
    #[must_use]
    pub fn delivered(mut self, delivery: Delivery) -> Self {
        self.delivery = Some(delivery);
        self
    }

    /// The host and the path, which rules are sorted by.
    pub fn host_and_path(&self) -> (&str, &str) {
        (self.request.host, self.path)
    }

    fn cookies(&self) -> &Pairs<'a> {
        self.cookies
            .get_or_init(|| cookies::pairs(self.request.fields).collect())
    }

    fn params(&self) -> &Pairs<'a> {
        self.params.get_or_init(|| parameters(self.query).collect())
    }

    /// The value of a field; of several lines the first; empty without one.
    pub(super) fn header(&self, name: &HeaderName) -> &[u8] {
        value(self.request.fields, name)
    }

    pub(super) fn response_header(&self, name: &HeaderName) -> &[u8] {
        self.response.map_or(b"", |it| value(it.fields, name))
    }

    /// The value of a cookie; of several the first; empty without one.
    pub(super) fn cookie(&self, name: &[u8]) -> &[u8] {
        let mut cookies = self.cookies().iter();
        cookies.find(|it| it.0 == name).map_or(b"", |it| it.1)
    }

    /// The value of a parameter, decoded; of several the first; empty without one.
    pub(super) fn param(&self, name: &[u8]) -> Cow<'_, [u8]> {
        first(self.params().iter().copied(), name)
    }

    /// Whether there is something of a name for which `fits` holds.
    pub(super) fn has(&self, place: Place, mut fits: impl FnMut(&[u8]) -> bool) -> bool {
        let in_fields = |fields: &HeaderMap, fits: &mut dyn FnMut(&[u8]) -> bool| {
            fields.keys().any(|it| fits(it.as_str().as_bytes()))
        };
        match place {
            Place::Header => in_fields(self.request.fields, &mut fits),
            Place::ResponseHeader => self
                .response
                .is_some_and(|it| in_fields(it.fields, &mut fits)),
            Place::Cookie => self.cookies().iter().any(|it| fits(it.0)),
            Place::Param => self.params().iter().any(|it| fits(&decoded(it.0))),
        }
    }

    /// Whether there is a field of this name.
    pub(super) fn has_field(&self, place: Place, name: &HeaderName) -> bool {
        match place {
            Place::ResponseHeader => self.response.is_some_and(|it| it.fields.contains_key(name)),
            _ => self.request.fields.contains_key(name),
        }
    }

    /// What follows the last dot of the path's last segment.
    pub(super) fn extension(&self) -> &[u8] {
        extension(self.path).as_bytes()
    }

    /// `desktop`, `mobile`, `tablet` or `bot`.
    pub(super) fn device(&self) -> &'static str {
        self.device
            .get_or_init(|| fold::device(self.request.fields))
    }

    /// The media type without parameters (RFC 9110 §8.3.1).
    pub(super) fn media_type(&self) -> &[u8] {
        let whole = self.response_header(&CONTENT_TYPE);
        let end = memchr::memchr(b';', whole).unwrap_or(whole.len());
        whole[..end].trim_ascii()
    }

    /// The announced length of the response in bytes.
    pub(super) fn length(&self) -> Option<i64> {
        number(self.response_header(&CONTENT_LENGTH))
    }

    pub(super) fn age(&self) -> Option<i64> {
        self.response?;
        Some(number(self.response_header(&AGE)).unwrap_or(0))
    }

    /// A number from 0 to 99 that one address always gets for one name (FNV-1a).
    pub(super) fn bucket(&self, name: &[u8]) -> i64 {
        let address = match self.request.client.to_canonical() {
            IpAddr::V4(it) => it.to_ipv6_mapped(),
            IpAddr::V6(it) => it,
        };
        let bytes = name.iter().chain(&[0]).copied().chain(address.octets());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        // The upper bits: the lowest ones of FNV are poor.
        i64::try_from((hash >> 32) % 100).unwrap_or(0)
    }
}

/// What follows the last dot of a path's last segment.
pub fn extension(path: &str) -> &str {
    let segment = path.rsplit('/').next().unwrap_or_default();
    segment.rsplit_once('.').map_or("", |it| it.1)
}

/// The value of a query's parameter, decoded; of several the first; empty without one.
pub fn parameter<'a>(query: &'a str, name: &str) -> Cow<'a, [u8]> {
    first(parameters(query), name.as_bytes())
}

fn parameters(query: &str) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pieces = query.as_bytes().split(|it| *it == b'&');
    pieces.filter(|it| !it.is_empty()).map(divide)
}

fn first<'a>(
    mut parameters: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    name: &[u8],
) -> Cow<'a, [u8]> {
    let found = parameters.find(|it| *decoded(it.0) == *name);
    found.map_or(Cow::Borrowed(b""), |it| decoded(it.1))
}

fn value<'a>(fields: &'a HeaderMap, name: &HeaderName) -> &'a [u8] {
    fields.get(name).map_or(b"", HeaderValue::as_bytes)
}

/// A number in decimal digits.
pub(super) fn number(text: &[u8]) -> Option<i64> {
    let is_digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_digits)?;
    text.parse().ok()
}

fn divide(piece: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'=', piece) {
        Some(at) => (&piece[..at], &piece[at + 1..]),
        None => (piece, b""),
    }
}

/// As forms are decoded: a plus is a space.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr2(b'%', b'+', text) {
        None => Cow::Borrowed(text),
        Some(_) => {
            let spaced: Vec<u8> = text
                .iter()
                .map(|it| if *it == b'+' { b' ' } else { *it })
                .collect();
            Cow::Owned(percent_decode(&spaced).collect())
        }
    }
}
