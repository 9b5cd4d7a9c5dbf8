//! Folding of request fields: the many values that mean one thing to a site become one.
//!
//! A response that varies by Accept-Encoding, Accept-Language or User-Agent would be stored once
//! for each spelling. What is folded here is folded for the key, for Vary and for the origin alike,
//! so that the origin answers what is stored. A field that is absent stays absent.

use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, InvalidHeaderValue, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use thiserror::Error;

use super::list;

/// The most codings that can matter: their subsets are made beforehand.
pub const CODINGS_MAX: usize = 4;

/// The most languages that a site can have.
pub const LANGUAGES_MAX: usize = 64;

/// The most members of a field that are looked at.
const MEMBERS_MAX: usize = 64;

/// The longest language tag, in bytes; RFC 5646 §4.4.1 has implementations allow for 35.
const LANGUAGE_BYTES_MAX: usize = 64;

/// How much of a User-Agent is looked at, in bytes.
const USER_AGENT_BYTES_MAX: usize = 512;

/// A weight of 1 (RFC 9110 §12.4.2), in thousandths.
const WEIGHT_MAX: u16 = 1000;

/// Which request fields are folded, and to what. The default folds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    codings: Box<[Box<[u8]>]>,
    /// The value for each subset of `codings`, by its bits; empty if there are none.
    subsets: Box<[HeaderValue]>,
    languages: Box<[HeaderValue]>,
    user_agent: bool,
}

/// Why fields cannot be folded like this.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FoldError {
    /// More than [`CODINGS_MAX`].
    #[error("more than {CODINGS_MAX} codings")]
    TooManyCodings,
    /// Not a content coding, or one that is always there.
    #[error("{0:?} is not a content coding to choose")]
    NotACoding(String),
    /// More than [`LANGUAGES_MAX`].
    #[error("more than {LANGUAGES_MAX} languages")]
    TooManyLanguages,
    /// Not a language tag.
    #[error("{0:?} is not a language tag")]
    NotALanguage(String),
}

/// A kind of client, as sites tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Device {
    Desktop,
    Mobile,
    Tablet,
    Bot,
}

/// What an Accept-Encoding says of the codings that matter, as sets of bits.
#[derive(Default)]
struct Codings {
    named: usize,
    taken: usize,
    identity: Option<bool>,
    others: Option<bool>,
}

// === impl Fold ===

impl Fold {
    /// Folds Accept-Encoding to those of the content codings `accept_encoding` that the client
    /// takes, Accept-Language to one of the language tags `accept_language`, each as it is with an
    /// empty list, and if `user_agent` is set User-Agent to one of four.
    pub fn new(
        accept_encoding: &[String],
        accept_language: &[String],
        user_agent: bool,
    ) -> Result<Self, FoldError> {
        let codings = known_codings(accept_encoding)?;
        if accept_language.len() > LANGUAGES_MAX {
            return Err(FoldError::TooManyLanguages);
        }
        let languages = accept_language.iter().map(|tag| known_language(tag));
        Ok(Self {
            subsets: subsets(&codings),
            codings,
            languages: languages.collect::<Result<_, _>>()?,
            user_agent,
        })
    }

    /// Whether no field is folded.
    pub fn is_noop(&self) -> bool {
        self.subsets.is_empty() && self.languages.is_empty() && !self.user_agent
    }

    /// Folds the fields of a request; what were several lines becomes one.
    pub fn apply(&self, fields: &mut HeaderMap) {
        let folded = [
            (ACCEPT_ENCODING, self.accept_encoding(fields)),
            (ACCEPT_LANGUAGE, self.accept_language(fields)),
            (USER_AGENT, self.user_agent(fields)),
        ];
        for (name, value) in folded {
            if let Some(value) = value {
                fields.insert(name, value);
            }
        }
    }

    /// The codings that matter and that the client takes at all, in the operator's order, or
    /// `identity`; `None` to leave the field.
    ///
    /// Weights are not kept: of two codings that a client takes, the site may choose. A client that
    /// refuses the plain form gets what it asked for, and so does one whose field makes no sense.
    fn accept_encoding(&self, fields: &HeaderMap) -> Option<HeaderValue> {
        if self.subsets.is_empty() || !fields.contains_key(ACCEPT_ENCODING) {
            return None;
        }
        let mut seen = Codings::default();
        for (at, member) in list::all_members(fields, &ACCEPT_ENCODING).enumerate() {
            if !member.is_empty() {
                let (name, weight) = weighted(member).filter(|_| at < MEMBERS_MAX)?;
                seen.add(&self.codings, coding(name), weight > 0)?;
            }
        }
        let mask = seen.accepted(self.codings.len())?;
        self.subsets.get(mask).cloned()
    }

    /// The language of the site that the client likes best; `None` to leave the field.
    ///
    /// Where it likes none, this is the first: RFC 9110 §12.5.4 says that to disregard the field
    /// then is better than a 406, and a site must answer in some language.
    fn accept_language(&self, fields: &HeaderMap) -> Option<HeaderValue> {
        let first = self.languages.first()?;
        if !fields.contains_key(ACCEPT_LANGUAGE) {
            return None;
        }
        let mut best = (first, 0);
        for (range, weight) in ranges(fields).filter(|(_, weight)| *weight > 0) {
            // §12.4.2: of equal weights the one that comes first.
            if weight > best.1
                && let Some(language) = self.language(range, fields)
            {
                best = (language, weight);
            }
        }
        Some(best.0.clone())
    }

    /// The language that a range of Accept-Language leads to, unless another range refuses it.
    ///
    /// RFC 4647 §3.4 (lookup): "the language range is progressively truncated from the end until a
    /// matching language tag is located", so that `en-US` finds `en`. If none is, §3.3.1 (basic
    /// filtering) lets `pt` find `pt-BR`.
    fn language(&self, range: &[u8], fields: &HeaderMap) -> Option<&HeaderValue> {
        let languages = &self.languages;
        if range == b"*" {
            // RFC 9110 §12.5.4, RFC 4647 §3.3.1: it stands for what no other range names.
            return languages.iter().find(|tag| {
                let named = |range: &[u8]| range != b"*" && covers(range, tag.as_bytes());
                !ranges(fields).any(|(range, _)| named(range))
            });
        }
        let equal = |range: &[u8]| {
            let same = |tag: &&HeaderValue| tag.as_bytes().eq_ignore_ascii_case(range);
            languages.iter().find(same)
        };
        let truncated = std::iter::successors(Some(range), |range| truncate(range));
        let narrower = || languages.iter().find(|tag| covers(range, tag.as_bytes()));
        let found = truncated.into_iter().find_map(equal).or_else(narrower)?;
        let refused = |(range, weight)| weight == 0 && covers(range, found.as_bytes());
        (!ranges(fields).any(refused)).then_some(found)
    }

    fn user_agent(&self, fields: &HeaderMap) -> Option<HeaderValue> {
        let agent = self.user_agent.then(|| fields.get(USER_AGENT))??;
        Some(HeaderValue::from_static(
            Device::of(agent.as_bytes()).user_agent(),
        ))
    }
}

/// The kind of client, as its User-Agent has it: `desktop`, `mobile`, `tablet` or `bot`.
pub fn device(fields: &HeaderMap) -> &'static str {
    let agent = fields
        .get(USER_AGENT)
        .map_or(&b""[..], HeaderValue::as_bytes);
    Device::of(agent).name()
}

// === impl Device ===

impl Device {
    /// What kind of client a User-Agent is, by the words in it, in any letter case.
    ///
    /// First it is a bot by `bot` (but not `CUBOT`, a make of phones), `crawl`, `spider`, `slurp`
    /// or `facebookexternalhit`, even one that shows itself as a phone; then a tablet by `iPad`,
    /// `Kindle`, or `Android` without `Mobi`; then mobile by `Mobi`, `iPhone`, `iPod` or `Opera
    /// Mini`. All else is a desktop.
    fn of(agent: &[u8]) -> Self {
        let agent = &agent[..agent.len().min(USER_AGENT_BYTES_MAX)];
        let has = |words: &[&str]| words.iter().any(|word| contains(agent, word.as_bytes()));
        if has(&["crawl", "spider", "slurp", "facebookexternalhit"])
            || (has(&["bot"]) && !has(&["cubot"]))
        {
            Self::Bot
        } else if has(&["ipad", "kindle"]) || (has(&["android"]) && !has(&["mobi"])) {
            Self::Tablet
        } else if has(&["mobi", "iphone", "ipod", "opera mini"]) {
            Self::Mobile
        } else {
            Self::Desktop
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::Bot => "bot",
        }
    }

    /// The User-Agent that stands for all of the kind: what a current browser sends there.
    fn user_agent(self) -> &'static str {
        match self {
            Self::Desktop => {
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/124.0.0.0 Safari/537.36"
            }
            Self::Mobile => {
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/124.0.0.0 Mobile Safari/537.36"
            }
            Self::Tablet => {
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/124.0.0.0 Safari/537.36"
            }
            Self::Bot => "Mozilla/5.0 (compatible; bot)",
        }
    }
}

// === impl Codings ===

impl Codings {
    /// Takes in one member; `None` if the same was said before.
    fn add(&mut self, known: &[Box<[u8]>], name: &[u8], taken: bool) -> Option<()> {
        let slot = match name {
            b"*" => &mut self.others,
            _ if name.eq_ignore_ascii_case(b"identity") => &mut self.identity,
            _ => {
                let bit = match known.iter().position(|it| it.eq_ignore_ascii_case(name)) {
                    Some(at) => 1 << at,
                    None => return Some(()),
                };
                let again = self.named & bit != 0;
                self.named |= bit;
                self.taken |= if taken { bit } else { 0 };
                return (!again).then_some(());
            }
        };
        slot.replace(taken).is_none().then_some(())
    }

    /// The codings that are taken, as bits; `None` if the plain form is refused.
    ///
    /// RFC 9110 §12.5.3: "If the representation has no content coding, then it is acceptable by
    /// default unless specifically excluded by the Accept-Encoding header field stating either
    /// "identity;q=0" or "*;q=0" without a more specific entry for "identity"." And "The asterisk
    /// "*" symbol in an Accept-Encoding field matches any available content coding not explicitly
    /// listed in the field."
    fn accepted(&self, known: usize) -> Option<usize> {
        let all = (1 << known) - 1;
        let unnamed = match self.others {
            Some(true) => all & !self.named,
            Some(false) | None => 0,
        };
        let plain = self.identity.or(self.others).unwrap_or(true);
        plain.then_some(self.taken | unnamed)
    }
}

/// The codings in the form in which they are compared, each once.
fn known_codings(names: &[String]) -> Result<Box<[Box<[u8]>]>, FoldError> {
    let mut codings = Vec::<Box<[u8]>>::new();
    for name in names {
        let lower = name.to_ascii_lowercase();
        let known = coding(lower.as_bytes());
        if known.is_empty()
            || !known.iter().copied().all(list::is_tchar)
            || [&b"*"[..], b"identity"].contains(&known)
        {
            return Err(FoldError::NotACoding(name.clone()));
        }
        if !codings.iter().any(|it| **it == *known) {
            codings.push(known.into());
        }
    }
    match codings.len() <= CODINGS_MAX {
        true => Ok(codings.into()),
        false => Err(FoldError::TooManyCodings),
    }
}

/// The field value for each subset of `codings`, none of them being `identity`.
fn subsets(codings: &[Box<[u8]>]) -> Box<[HeaderValue]> {
    if codings.is_empty() {
        return Box::default();
    }
    let value = |mask: usize| {
        let taken = codings.iter().enumerate();
        let taken = taken.filter(|(at, _)| mask & (1 << at) != 0);
        let names: Vec<&[u8]> = taken.map(|(_, name)| &**name).collect();
        // Tokens with commas between are a field value.
        HeaderValue::from_bytes(&names.join(&b", "[..]))
            .ok()
            .filter(|value| !value.is_empty())
            .unwrap_or(HeaderValue::from_static("identity"))
    };
    (0..1 << codings.len()).map(value).collect()
}

/// RFC 9110 §8.4.1.3: "A recipient SHOULD consider "x-gzip" to be equivalent to "gzip"."
fn coding(name: &[u8]) -> &[u8] {
    match name.eq_ignore_ascii_case(b"x-gzip") {
        true => b"gzip",
        false => name,
    }
}

fn known_language(tag: &str) -> Result<HeaderValue, FoldError> {
    let refused = |_: InvalidHeaderValue| FoldError::NotALanguage(tag.to_owned());
    match is_language(tag.as_bytes()) {
        true => HeaderValue::from_str(tag).map_err(refused),
        false => Err(FoldError::NotALanguage(tag.to_owned())),
    }
}

/// RFC 4647 §2.1: subtags of one to eight letters and digits with `-` between.
fn is_language(tag: &[u8]) -> bool {
    let subtag =
        |it: &[u8]| (1..=8).contains(&it.len()) && it.iter().all(u8::is_ascii_alphanumeric);
    tag.len() <= LANGUAGE_BYTES_MAX && tag.split(|byte| *byte == b'-').all(subtag)
}

/// The language ranges of Accept-Language with their weights, without what is none.
fn ranges(fields: &HeaderMap) -> impl Iterator<Item = (&[u8], u16)> {
    list::all_members(fields, &ACCEPT_LANGUAGE)
        .take(MEMBERS_MAX)
        .filter_map(weighted)
        .filter(|(range, _)| *range == b"*" || is_language(range))
}

/// RFC 4647 §3.3.1: whether a range "exactly equals the tag, or if it exactly equals a prefix of
/// the tag such that the first character following the prefix is "-"", in any letter case.
fn covers(range: &[u8], tag: &[u8]) -> bool {
    let start = tag.get(..range.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(range))
        && matches!(tag.get(range.len()), None | Some(b'-'))
}

/// A range without its last subtag; and without the one before, if that is of one letter, as RFC
/// 4647 §3.4 wants.
fn truncate(range: &[u8]) -> Option<&[u8]> {
    let shorter = &range[..memchr::memrchr(b'-', range)?];
    match shorter {
        [rest @ .., b'-', _] => Some(rest),
        _ => Some(shorter),
    }
}

/// A member and its weight in thousandths (RFC 9110 §12.4.2); `None` if it is not of that form.
fn weighted(member: &[u8]) -> Option<(&[u8], u16)> {
    let (name, weight) = match memchr::memchr(b';', member) {
        Some(at) => (
            list::trim(&member[..at]),
            qvalue(list::trim(&member[at + 1..]))?,
        ),
        None => (member, WEIGHT_MAX),
    };
    let token = !name.is_empty() && name.iter().copied().all(list::is_tchar);
    token.then_some((name, weight))
}

/// `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )`, after `q=`.
pub(super) fn qvalue(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', whole @ (b'0' | b'1'), fraction @ ..] = parameter else {
        return None;
    };
    let digits = match fraction {
        [] => fraction,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let mut thousandths = u16::from(whole - b'0') * WEIGHT_MAX;
    for (digit, worth) in digits.iter().zip([100, 10, 1]) {
        thousandths += char::from(*digit).to_digit(10)? as u16 * worth;
    }
    (thousandths <= WEIGHT_MAX).then_some(thousandths)
}

/// Whether `text` has `word`, which is in lower case, in any letter case.
fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len())
        .any(|it| it.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::headers;
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn folded(fold: &Fold, name: &str, lines: &[&str]) -> Vec<String> {
        let lines: Vec<_> = lines.iter().map(|line| (name, *line)).collect();
        let mut fields = headers(&lines);
        fold.apply(&mut fields);
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        fields.get_all(name).iter().map(text).collect()
    }

    #[test]
    fn accept_encoding_becomes_the_codings_that_matter() {
        let fold = Fold::new(&owned(&["zstd", "br", "gzip"]), &[], false).unwrap();
        #[rustfmt::skip]
        let rows: [(&str, &[&str], &[&str]); 24] = [
            ("§12.5.3", &[], &[]),
            ("§12.5.3", &["gzip"], &["gzip"]),
            ("§12.5.3", &["gzip, deflate, br, zstd"], &["zstd, br, gzip"]),
            ("§12.5.3", &["GZIP;q=1.0, Br;q=0.5"], &["br, gzip"]),
            ("§5.3", &["gzip", "br"], &["br, gzip"]),
            ("§12.5.3", &["deflate"], &["identity"]),
            ("§12.5.3", &[""], &["identity"]),
            ("§12.5.3", &["identity"], &["identity"]),
            ("§8.4.1.3", &["x-gzip"], &["gzip"]),
            ("§12.4.2", &["gzip;q=0, br;q=0.001"], &["br"]),
            ("§12.4.2", &["gzip ; Q=0.000"], &["identity"]),
            ("§12.5.3", &["*"], &["zstd, br, gzip"]),
            ("§12.5.3", &["*, br;q=0"], &["zstd, gzip"]),
            ("§12.5.3", &["gzip, *;q=0, identity;q=0.5"], &["gzip"]),
            // Whoever refuses the plain form, or is not understood, is left alone.
            ("§12.5.3", &["gzip, identity;q=0"], &["gzip, identity;q=0"]),
            ("§12.5.3", &["gzip, *;q=0"], &["gzip, *;q=0"]),
            ("§12.5.3", &["*;q=0"], &["*;q=0"]),
            ("§12.4.2", &["gzip;q=2"], &["gzip;q=2"]),
            ("§12.4.2", &["gzip;q=0.0001"], &["gzip;q=0.0001"]),
            ("§12.4.2", &["gzip;q=1.001"], &["gzip;q=1.001"]),
            ("§12.4.2", &["gzip;level=9"], &["gzip;level=9"]),
            ("§5.6.2", &["gzip br"], &["gzip br"]),
            ("§12.5.3", &["gzip;q=0, gzip"], &["gzip;q=0, gzip"]),
            ("§5.3", &["*", "*;q=0"], &["*", "*;q=0"]),
        ];
        for (section, lines, expected) in rows {
            let found = folded(&fold, "accept-encoding", lines);
            assert_eq!(found, expected, "RFC 9110 {section}: {lines:?}");
        }
        let many = vec!["gzip"; MEMBERS_MAX + 1].join(",");
        assert_eq!(folded(&fold, "accept-encoding", &[&many]), [&*many]);
    }

    #[test]
    fn accept_language_becomes_one_language_of_the_site() {
        let fold = Fold::new(&[], &owned(&["en", "de", "pt-BR", "zh-Hant"]), false).unwrap();
        #[rustfmt::skip]
        let rows: [(&str, &[&str], &[&str]); 22] = [
            ("RFC 9110 §12.5.4", &[], &[]),
            ("RFC 9110 §12.5.4", &["de"], &["de"]),
            ("RFC 4647 §2", &["DE"], &["de"]),
            ("RFC 9110 §12.4.2", &["en;q=0.5, de;q=0.9"], &["de"]),
            ("RFC 9110 §12.4.2", &["de, en"], &["de"]),
            ("RFC 9110 §5.3", &["de;q=0.8", "en"], &["en"]),
            ("RFC 4647 §3.4", &["en-US"], &["en"]),
            ("RFC 4647 §3.4", &["zh-Hant-TW"], &["zh-Hant"]),
            ("RFC 4647 §3.4", &["de-x-1996"], &["de"]),
            ("RFC 4647 §3.3.1", &["pt"], &["pt-BR"]),
            ("RFC 4647 §3.4", &["pt-PT, de"], &["de"]),
            ("RFC 9110 §12.5.4", &["fr, de;q=0.1"], &["de"]),
            ("RFC 9110 §12.5.4", &["*"], &["en"]),
            ("RFC 9110 §12.5.4", &["en;q=0.5, *"], &["de"]),
            ("RFC 9110 §12.5.4", &["en;q=0, *;q=0.1"], &["de"]),
            ("RFC 9110 §12.4.2", &["de;q=0, de-AT, pt;q=0.5"], &["pt-BR"]),
            // No match: the first language.
            ("RFC 9110 §12.5.4", &["fr"], &["en"]),
            ("RFC 9110 §12.5.4", &[""], &["en"]),
            ("RFC 9110 §12.5.4", &["*;q=0"], &["en"]),
            ("RFC 9110 §12.5.4", &["de;q=0"], &["en"]),
            // What is no range is passed over.
            ("RFC 4647 §2.1", &["d e, de_AT, -, de-, de;q=2, de;q=0.1"], &["de"]),
            ("RFC 4647 §2.1", &["en-ninechars, de;q=0.5"], &["de"]),
        ];
        for (section, lines, expected) in rows {
            let found = folded(&fold, "accept-language", lines);
            assert_eq!(found, expected, "{section}: {lines:?}");
        }
    }

    #[test]
    fn user_agents_fall_into_four_classes() {
        #[rustfmt::skip]
        let rows = [
            ("", Device::Desktop),
            ("curl/8.7.1", Device::Desktop),
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; Tablet PC 2.0) Gecko/20100101 Firefox/125.0", Device::Desktop),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1.15", Device::Desktop),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) Mobile/15E148 Safari/604.1", Device::Mobile),
            ("Mozilla/5.0 (Android 14; Mobile; rv:125.0) Gecko/125.0 Firefox/125.0", Device::Mobile),
            ("Mozilla/5.0 (Linux; Android 9; CUBOT_X18) Chrome/124.0.0.0 Mobile Safari/537.36", Device::Mobile),
            ("Opera/9.80 (J2ME/MIDP; Opera Mini/9.80) Presto/2.8.119", Device::Mobile),
            ("Mozilla/5.0 (iPad; CPU OS 17_4 like Mac OS X) Mobile/15E148 Safari/604.1", Device::Tablet),
            ("Mozilla/5.0 (Android 14; Tablet; rv:125.0) Gecko/125.0 Firefox/125.0", Device::Tablet),
            ("Mozilla/5.0 (X11; U; Linux armv7l; en-us; Kindle) AppleWebKit/533.2", Device::Tablet),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Device::Bot),
            ("Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) Mobile Safari (compatible; Googlebot/2.1)", Device::Bot),
            ("Baiduspider/2.0", Device::Bot),
            ("facebookexternalhit/1.1", Device::Bot),
        ];
        let fold = Fold::new(&[], &[], true).unwrap();
        for (agent, expected) in rows {
            assert_eq!(Device::of(agent.as_bytes()), expected, "{agent}");
            let found = folded(&fold, "user-agent", &[agent]);
            assert_eq!(found, [expected.user_agent()], "{agent}");
            assert_eq!(Device::of(expected.user_agent().as_bytes()), expected);
        }
        assert_eq!(folded(&fold, "user-agent", &[]), [""; 0]);
    }

    #[test]
    fn what_cannot_be_folded_is_told() {
        let error = |codings: &[&str], languages: &[&str]| {
            Fold::new(&owned(codings), &owned(languages), false).err()
        };
        let coding = |name: &str| Some(FoldError::NotACoding(name.to_owned()));
        let language = |tag: &str| Some(FoldError::NotALanguage(tag.to_owned()));
        assert_eq!(error(&["a", "b", "c", "d", "A"], &["en"]), None);
        assert_eq!(
            error(&["a", "b", "c", "d", "e"], &[]),
            Some(FoldError::TooManyCodings)
        );
        assert_eq!(error(&["a b"], &[]), coding("a b"));
        assert_eq!(error(&[""], &[]), coding(""));
        assert_eq!(error(&["*"], &[]), coding("*"));
        assert_eq!(error(&["Identity"], &[]), coding("Identity"));
        assert_eq!(error(&[], &["en_US"]), language("en_US"));
        assert_eq!(error(&[], &[""]), language(""));
        let many = ["en"; LANGUAGES_MAX + 1];
        assert_eq!(error(&[], &many), Some(FoldError::TooManyLanguages));
    }

    #[test]
    fn folding_nothing_is_known() {
        assert!(Fold::default().is_noop());
        assert!(Fold::new(&[], &[], false).unwrap().is_noop());
        assert!(!Fold::new(&owned(&["br"]), &[], false).unwrap().is_noop());
        assert!(!Fold::new(&[], &owned(&["en"]), false).unwrap().is_noop());
        assert!(!Fold::new(&[], &[], true).unwrap().is_noop());
    }

    /// Fields as they come: members nearly right, or any bytes.
    fn any_line() -> impl Strategy<Value = HeaderValue> {
        let member = "(gzip|x-gzip|br|identity|[*]|en|en-US|pt|de-x-a|bot|Mobi|[ -~]{0,4})( ?; ?q=[01](.[0-9]{0,4})?)?";
        let members = proptest::collection::vec(member, 0..6);
        prop_oneof![
            4 => members.prop_map(|members| members.join(", ").into_bytes()),
            1 => proptest::collection::vec(any::<u8>(), 0..40),
        ]
        .prop_filter_map("not a field value", |it| HeaderValue::from_bytes(&it).ok())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn folding_twice_is_folding_once(
            lines in proptest::collection::vec((0_usize..3, any_line()), 0..5),
        ) {
            let codings = owned(&["br", "gzip"]);
            let languages = owned(&["en", "pt-BR", "de", "en-GB"]);
            let fold = Fold::new(&codings, &languages, true).unwrap();
            let mut fields = HeaderMap::new();
            for (name, value) in lines {
                fields.append([ACCEPT_ENCODING, ACCEPT_LANGUAGE, USER_AGENT][name].clone(), value);
            }
            let before = fields.clone();
            fold.apply(&mut fields);
            for name in before.keys() {
                prop_assert!(fields.contains_key(name), "{name} stays");
            }
            prop_assert_eq!(fields.keys_len(), before.keys_len());
            let mut again = fields.clone();
            fold.apply(&mut again);
            prop_assert_eq!(&again, &fields);
            Fold::default().apply(&mut again);
            prop_assert_eq!(&again, &fields);
        }
    }
}
