//! Requests by which other caches are told to purge: PURGE, BAN and their fields, as the modules of
//! content management systems send them, read as one [`Invalidation`].
//!
//! Each module's request stands in docs/migrate.md. What is a list of tags written as a regular
//! expression is taken for that list, and what is a host or a prefix for that: stamps cost less than
//! patterns, and mean the same.

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method};

use crate::semantics::key::normal_authority;
use crate::semantics::reference::Target;
use crate::semantics::tags;
use crate::store::{BadPattern, How, Invalidation, Pattern, Subject, What};

/// Why a request of this kind purges nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unclear {
    /// Nobody is known to mean something by it.
    #[error(
        "not known: send PURGE or SOFTPURGE for the page that it is sent to, with `xkey-purge` or `X-Cache-Tags` \
         for tags, with `X-Purge-Method: regex` for a pattern of its path; BAN with `X-Url`, `X-Host` or \
         `X-Content-Type` for patterns; PURGEALL for everything; or POST to /api/v1/purge of the admin listener"
    )]
    Unknown,
    /// A BAN that says nothing.
    #[error(
        "BAN wants to be told what: `X-Url` and `X-Host` with patterns, or `X-Cache-Tags` with tags"
    )]
    Nothing,
    /// A field that looks as if it said what is to be purged.
    #[error("the field {0}: {unknown}", unknown = Self::Unknown)]
    UnknownField(HeaderName),
    /// A field that cannot be read, or says what makes no sense.
    #[error("{0}: {1}")]
    Field(&'static str, String),
    /// The path of the request is meant as a pattern, and is none.
    #[error("the path: {0}")]
    Path(BadPattern),
}

/// Fields with tags, with spaces or commas between them.
const TAG_LISTS: [&str; 8] = [
    "cache-tag",
    "purge-cache-tags",
    "surrogate-key",
    "x-cache-tag",
    "x-purge-tags",
    "x-xkey-purge",
    "xkey",
    "xkey-purge",
];
/// The same for a soft purge.
const SOFT_TAG_LISTS: [&str; 1] = ["xkey-softpurge"];
/// Fields with a regular expression of tags, or with tags.
const TAG_PATTERNS: [&str; 6] = [
    "apiplatform-ban-regex",
    "cache-tags",
    "varnish-ban-typo3-tag",
    "x-cache-tags",
    "x-cache-tags-pattern",
    "x-magento-tags-pattern",
];
/// Fields with a regular expression of paths.
const PATH_PATTERNS: [&str; 6] = [
    "x-ban-regex",
    "x-ban-regexp",
    "x-ban-url",
    "x-purge-pattern",
    "x-purge-regex",
    "x-url",
];
/// Fields that have all purged.
const ALL: [&str; 3] = ["varnish-ban-all", "x-ban-all", "x-purge-all"];
/// Fields that say how the URL is meant.
const MANNERS: [&str; 3] = ["x-ban-method", "x-purge-method", "x-vc-purge-method"];
/// Fields that name the host in place of the request's.
const HOSTS: [&str; 2] = ["x-purge-host", "x-vc-purge-host"];

/// Fields that begin so say what is to be purged, but for those that end with [`KEY`].
const SPEAKING: [&str; 4] = ["varnish-ban-", "x-ban-", "x-purge-", "x-vc-purge-"];
/// A password.
const KEY: &str = "-key";
/// Those of them that are in none of the lists above.
const OTHERS: [&str; 3] = [
    "varnish-ban-typo3-pid",
    "varnish-ban-typo3-sitename",
    "x-ban-host",
];

/// A request that wants something purged.
struct Form<'a> {
    method: &'a str,
    fields: &'a HeaderMap,
    /// What it is sent to.
    here: Target,
    is_soft: bool,
}

/// Whether the method has to do with purging: PURGE and SOFTPURGE, BAN and FULLBAN, PURGEKEYS; also
/// `purge`, which is another method (RFC 9110 §9.1).
pub(super) fn is_meant(method: &Method) -> bool {
    let has = |word: &[u8], place: &[u8]| place.eq_ignore_ascii_case(word);
    let method = method.as_str().as_bytes();
    method.windows(5).any(|it| has(b"PURGE", it))
        || method.first_chunk::<3>().is_some_and(|it| has(b"BAN", it))
        || method.last_chunk::<3>().is_some_and(|it| has(b"BAN", it))
}

/// What a request with such a method wants purged; it is sent to `here`.
pub(super) fn read(
    method: &Method,
    fields: &HeaderMap,
    here: Target,
) -> Result<Invalidation, Unclear> {
    let method = method.as_str();
    let is_known = matches!(
        method,
        "PURGE"
            | "SOFTPURGE"
            | "BAN"
            | "URIBAN"
            | "PURGEALL"
            | "PURGEKEY"
            | "PURGEKEYS"
            | "PURGETAGS"
    );
    if !is_known {
        return Err(Unclear::Unknown);
    }
    if let Some(name) = fields.keys().find(|name| is_unknown(name.as_str())) {
        return Err(Unclear::UnknownField(name.clone()));
    }
    let is_one = |name: &str| fields.get(name).is_some_and(|it| it == "1");
    let mut form = Form {
        method,
        fields,
        here,
        is_soft: method == "SOFTPURGE" || is_one("fastly-soft-purge"),
    };
    form.is_soft |= form.first(&SOFT_TAG_LISTS)?.is_some();
    let what = form.what()?;
    let how = match form.is_soft {
        true => How::Soft,
        false => How::Hard,
    };
    Ok(Invalidation { what, how })
}

fn is_unknown(name: &str) -> bool {
    let speaks = SPEAKING.iter().any(|it| name.starts_with(it)) && !name.ends_with(KEY);
    let lists = [
        &TAG_LISTS[..],
        &TAG_PATTERNS,
        &PATH_PATTERNS,
        &ALL,
        &MANNERS,
        &HOSTS,
        &OTHERS,
    ];
    speaks && !lists.iter().any(|list| list.contains(&name))
}

// === impl Form ===

impl Form<'_> {
    fn what(&mut self) -> Result<What, Unclear> {
        if self.method == "PURGEALL" {
            return Ok(What::All);
        }
        if let Some((name, host)) = self.first(&HOSTS)? {
            let told = normal_authority(host, self.here.scheme).map(|it| it.into_owned());
            self.here.authority = told.ok_or_else(|| bad(name, "is no host"))?;
        }
        if let Some(what) = self.of_typo3()? {
            return Ok(what);
        }
        if self.first(&ALL)?.is_some() {
            return Ok(What::All);
        }
        if let Some(tags) = self.of_tag_lists()? {
            return Ok(What::Tags(tags));
        }
        let patterns = self.patterns()?;
        if let Some((name, text)) = self.first(&TAG_PATTERNS)? {
            return of_tag_pattern(name, text, patterns);
        }
        match (&*patterns, self.method) {
            ([], "PURGE" | "SOFTPURGE") => self.of_path(),
            ([], "BAN" | "URIBAN") if self.says_nothing_but_its_path() => self.of_pattern(),
            ([], "BAN") => match self.has_patterns() {
                true => Ok(What::All),
                false => Err(Unclear::Nothing),
            },
            ([], _) => Err(Unclear::Unknown),
            _ => all_of(patterns),
        }
    }

    /// The first of these fields that is there, and its value.
    fn first(&self, names: &[&'static str]) -> Result<Option<(&'static str, &str)>, Unclear> {
        let found = names
            .iter()
            .find_map(|name| Some((*name, self.fields.get(*name)?)));
        let Some((name, value)) = found else {
            return Ok(None);
        };
        match value.to_str() {
            Ok(value) => Ok(Some((name, value.trim()))),
            Err(_) => Err(bad(name, "has bytes that are no ASCII")),
        }
    }

    /// TYPO3's extension `varnish`: pages by the fields `TYPO3-Pid` and `TYPO3-Sitename` of responses.
    fn of_typo3(&self) -> Result<Option<What>, Unclear> {
        let (page, site) = ("varnish-ban-typo3-pid", "varnish-ban-typo3-sitename");
        let (page, site) = (self.first(&[page])?, self.first(&[site])?);
        let has_other = self.first(&TAG_LISTS)?.is_some() || self.first(&TAG_PATTERNS)?.is_some();
        if (page.is_none() && site.is_none()) || has_other {
            return Ok(None);
        }
        let is_exactly = |text: &str| format!("^{}$", regex_escaped(text));
        let (page, site) = (
            page.map(|it| is_exactly(it.1)),
            site.map(|it| is_exactly(it.1)),
        );
        let mut parts = Vec::new();
        for (name, text) in [("typo3-pid", &page), ("typo3-sitename", &site)] {
            let subject = Subject::Field(HeaderName::from_static(name));
            parts.extend(text.as_deref().map(|text| (subject, text)));
        }
        let pattern = Pattern::new(&parts);
        let pattern = pattern.map_err(|error| bad("varnish-ban-typo3-pid", &error.to_string()))?;
        Ok(Some(What::Pattern(pattern)))
    }

    /// All tags of all fields that have nothing but tags.
    fn of_tag_lists(&self) -> Result<Option<Vec<String>>, Unclear> {
        let mut found = Vec::new();
        let mut is_there = false;
        for name in TAG_LISTS.iter().chain(&SOFT_TAG_LISTS) {
            for value in self.fields.get_all(*name) {
                is_there = true;
                tags::each(name, value.as_bytes(), |tag| {
                    found.push(String::from_utf8_lossy(tag).into_owned());
                });
            }
        }
        match (is_there, found.is_empty()) {
            (true, true) => Err(bad("xkey-purge", "has no tag")),
            (true, false) => Ok(Some(found)),
            (false, _) => Ok(None),
        }
    }

    /// The patterns of FOSHttpCache and its like, without those that everything meets.
    fn patterns(&self) -> Result<Vec<(&'static str, Subject, &str)>, Unclear> {
        let kinds = [
            (&["x-host", "x-ban-host"][..], Subject::Host),
            (&PATH_PATTERNS[..], Subject::Path),
            (&["x-content-type"][..], Subject::Field(CONTENT_TYPE)),
        ];
        let mut patterns = Vec::new();
        for (names, subject) in kinds {
            if let Some((name, text)) = self.first(names)?
                && !is_of_all(text)
            {
                patterns.push((name, subject, text));
            }
        }
        Ok(patterns)
    }

    /// Whether it names patterns at all.
    fn has_patterns(&self) -> bool {
        let others = ["x-host", "x-ban-host", "x-content-type"];
        let mut names = PATH_PATTERNS.iter().chain(&others);
        names.any(|name| self.fields.contains_key(*name))
    }

    fn says_nothing_but_its_path(&self) -> bool {
        !self.has_patterns() && self.here.path_and_query != "/"
    }

    /// The page that it is sent to, or what its path is a pattern of.
    fn of_path(&self) -> Result<What, Unclear> {
        match self.first(&MANNERS)? {
            None => Ok(What::Url(self.here.clone())),
            Some((name, manner)) => match &*manner.to_ascii_lowercase() {
                "default" | "exact" | "page" | "url" | "" => Ok(What::Url(self.here.clone())),
                "regex" | "wildcard" => self.of_pattern(),
                "host" | "domain" | "all" => Ok(self.host()),
                "tags" => Err(bad(
                    name,
                    "is \"tags\", but none is in X-Cache-Tags-Pattern",
                )),
                _ => Err(bad(
                    name,
                    "is none of \"default\", \"exact\", \"regex\" and \"tags\"",
                )),
            },
        }
    }

    /// What its path is a pattern of, at its host.
    fn of_pattern(&self) -> Result<What, Unclear> {
        let path = &*self.here.path_and_query;
        let below = path.strip_suffix(".*").unwrap_or(path);
        let is_plain =
            !below.contains(['*', '?', '+', '(', ')', '[', ']', '|', '\\', '^', '$', '{']);
        if below != path && below == "/" {
            return Ok(self.host());
        }
        if below != path && is_plain && below.ends_with('/') {
            let target = Target {
                path_and_query: below.to_owned(),
                ..self.here.clone()
            };
            return Ok(What::Prefix(target));
        }
        let host = format!("^{}$", regex_escaped(&self.here.authority));
        let path = format!("^{}", path.trim_start_matches('^'));
        let pattern = Pattern::new(&[(Subject::Host, &host), (Subject::Path, &path)]);
        pattern.map(What::Pattern).map_err(Unclear::Path)
    }

    fn host(&self) -> What {
        What::Host(Target {
            path_and_query: "/".to_owned(),
            ..self.here.clone()
        })
    }
}

/// Tags, where the expression is a list of them and nothing else is asked for; else a pattern.
fn of_tag_pattern<'a>(
    name: &'static str,
    text: &'a str,
    mut others: Vec<(&'static str, Subject, &'a str)>,
) -> Result<What, Unclear> {
    if text.is_empty() {
        return Err(bad(name, "has no tag"));
    }
    if others.is_empty() {
        if is_of_all(text) || text == "*" {
            return Ok(What::All);
        }
        if let Some(tags) = tags::of_regex(text).or_else(|| plain_tags(text)) {
            return Ok(What::Tags(tags));
        }
    }
    others.push((name, Subject::Tags, text));
    all_of(others)
}

/// Tags with spaces or commas between them, and nothing that an expression would be known by.
fn plain_tags(text: &str) -> Option<Vec<String>> {
    let tags = text.split([',', ' ']).filter(|it| !it.is_empty());
    let tags: Option<Vec<_>> = tags.map(tags::of_regex).collect();
    Some(tags?.into_iter().flatten().collect())
}

fn all_of(patterns: Vec<(&'static str, Subject, &str)>) -> Result<What, Unclear> {
    let parts: Vec<_> = patterns
        .iter()
        .map(|(_, it, text)| (it.clone(), *text))
        .collect();
    let pattern = Pattern::new(&parts);
    pattern.map(What::Pattern).map_err(|error| {
        // The first that is bad by itself is to blame.
        let is_bad = |it: &&(&str, Subject, &str)| Pattern::new(&[(it.1.clone(), it.2)]).is_err();
        let name = patterns.iter().find(is_bad).map_or("X-Url", |it| it.0);
        bad(name, &error.to_string())
    })
}

fn is_of_all(text: &str) -> bool {
    matches!(text, ".*" | "^.*$" | ".*$" | "^.*" | ".+" | ".")
}

fn bad(name: &'static str, why: &str) -> Unclear {
    Unclear::Field(name, why.to_owned())
}

/// The expression that a text alone meets.
fn regex_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 4);
    for letter in text.chars() {
        if !letter.is_ascii_alphanumeric() && letter.is_ascii() {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    type Lines<'a> = &'a [(&'static str, &'a str)];

    fn asked(method: &str, url: &str, lines: Lines) -> String {
        let fields = lines.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        });
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert!(is_meant(&method), "{method}");
        let here = Target::parse(url).unwrap();
        match read(&method, &fields.collect(), here) {
            Ok(wanted) => wanted.to_string(),
            Err(unclear) => format!("error: {unclear}"),
        }
    }

    const SHOP: &str = "http://shop.test/a/b";
    const PAGE: &str = "purge of http://shop.test/a/b by either scheme";

    #[test]
    #[rustfmt::skip]
    fn what_is_asked_for_is_understood() {
        let rows: [(&str, &str, Lines<'_>, &str); 38] = [
            ("PURGE", SHOP, &[], PAGE),
            ("PURGE", SHOP, &[("x-purge-method", "Default")], PAGE),
            ("PURGE", SHOP, &[("x-purge-method", "exact")], PAGE),
            ("PURGE", SHOP, &[("fastly-soft-purge", "1")], "soft purge of http://shop.test/a/b by either scheme"),
            ("SOFTPURGE", SHOP, &[], "soft purge of http://shop.test/a/b by either scheme"),
            ("PURGE", "http://shop.test/.*", &[("x-purge-method", "regex")], "purge of the host shop.test"),
            ("PURGE", "http://shop.test/a/.*", &[("x-purge-method", "regex")], "purge of all that begins with http://shop.test/a/ by either scheme"),
            ("PURGE", "http://shop.test/a(.*)", &[("x-vc-purge-method", "regex")], "purge of all that meets host ^shop\\.test$ and path ^/a(.*)"),
            ("PURGE", "http://127.0.0.1/.*", &[("x-purge-method", "regex"), ("x-purge-host", "Shop.test")], "purge of the host shop.test"),
            ("PURGE", "http://shop.test/", &[("x-purge-method", "tags"), ("x-cache-tags-pattern", "(^|,)(p-1|home)(,|$)")], "purge of all with a tag of p-1, home"),
            ("PURGE", "http://shop.test/", &[("x-purge-method", "tags")], "error: x-purge-method: is \"tags\", but none is in X-Cache-Tags-Pattern"),
            ("PURGE", "http://shop.test/", &[("x-purge-method", "odd")], "error: x-purge-method: is none of \"default\", \"exact\", \"regex\" and \"tags\""),
            ("PURGE", "http://a/", &[("x-magento-tags-pattern", "((^|,)cat_p_1(,|$))|((^|,)cat_p_2(,|$))")], "purge of all with a tag of cat_p_1, cat_p_2"),
            ("PURGE", "http://a/", &[("x-magento-tags-pattern", ".*")], "purge of everything"),
            ("PURGE", "http://a/", &[("x-magento-tags-pattern", "cat_p_.*")], "purge of all that meets tags cat_p_.*"),
            ("PURGE", "http://a/", &[("x-magento-tags-pattern", "(")], "error: x-magento-tags-pattern: not a regular expression: unclosed group"),
            ("BAN", "http://a/", &[("cache-tags", "node:1|node_list")], "purge of all with a tag of node:1, node_list"),
            ("BAN", "http://a/", &[("cache-tags", "node:1 node_list")], "purge of all with a tag of node:1, node_list"),
            ("BAN", "http://a/", &[("cache-tags", "")], "error: cache-tags: has no tag"),
            ("BAN", "http://shop.test/.*projects.*", &[], "purge of all that meets host ^shop\\.test$ and path ^/.*projects.*"),
            ("BAN", "http://shop.test/a/.*", &[], "purge of all that begins with http://shop.test/a/ by either scheme"),
            ("BAN", "http://shop.test/", &[], "error: BAN wants to be told what: `X-Url` and `X-Host` with patterns, or `X-Cache-Tags` with tags"),
            ("BAN", "http://a/", &[("x-host", "^(shop.test)$"), ("x-url", "^/blog"), ("x-content-type", ".*")], "purge of all that meets host ^(shop.test)$ and path ^/blog"),
            ("BAN", "http://a/", &[("x-host", ".*"), ("x-url", ".*"), ("x-content-type", "image/png")], "purge of all that meets content-type image/png"),
            ("BAN", "http://a/", &[("x-host", ".*"), ("x-url", ".*"), ("x-content-type", ".*")], "purge of everything"),
            ("BAN", "http://a/", &[("x-host", ".*"), ("x-url", ".*"), ("x-content-type", ".*"), ("x-cache-tags", "(^|,)(a|b\\-1)(,|$)")], "purge of all with a tag of a, b-1"),
            ("BAN", "http://a/", &[("x-host", "shop"), ("x-cache-tags", "(^|,)(a)(,|$)")], "purge of all that meets host shop and tags (^|,)(a)(,|$)"),
            ("BAN", "http://a/", &[("apiplatform-ban-regex", "(^|\\,)/foos/1($|\\,)")], "purge of all with a tag of /foos/1"),
            ("BAN", "http://a/", &[("x-ban-url", "[")], "error: x-ban-url: not a regular expression: unclosed character class"),
            ("PURGEKEYS", "http://a/", &[("xkey-softpurge", "c52 l2")], "soft purge of all with a tag of c52, l2"),
            ("PURGEKEYS", "http://a/", &[("xkey-purge", "c52")], "purge of all with a tag of c52"),
            ("PURGETAGS", "http://a/", &[("x-cache-tags", "a,b")], "purge of all with a tag of a, b"),
            ("BAN", "http://a/", &[("varnish-ban-typo3-pid", "12"), ("varnish-ban-typo3-sitename", "f0a1")], "purge of all that meets typo3-pid ^12$ and typo3-sitename ^f0a1$"),
            ("BAN", "http://a/", &[("varnish-ban-all", "1"), ("varnish-ban-typo3-sitename", "f0a1")], "purge of all that meets typo3-sitename ^f0a1$"),
            ("BAN", "http://a/", &[("varnish-ban-all", "1")], "purge of everything"),
            ("BAN", "http://a/", &[("xkey-purge", "news_1"), ("varnish-ban-typo3-sitename", "f0a1")], "purge of all with a tag of news_1"),
            ("PURGEALL", SHOP, &[], "purge of everything"),
            ("PURGE", SHOP, &[("surrogate-key", "a b")], "purge of all with a tag of a, b"),
        ];
        for (method, url, lines, expected) in rows {
            assert_eq!(asked(method, url, lines), expected, "{method} {url} {lines:?}");
        }
    }

    #[test]
    fn what_nobody_is_known_to_mean_is_told_what_to_send() {
        for method in ["FULLBAN", "URLPURGE", "purge", "PURGEKEYS"] {
            let told = asked(method, SHOP, &[]);
            assert!(
                told.starts_with("error: not known: send PURGE"),
                "{method}: {told}"
            );
        }
        let told = asked("PURGE", SHOP, &[("x-ban-odd", "1")]);
        assert!(
            told.starts_with("error: the field x-ban-odd: not known: send"),
            "{told}"
        );
        assert_eq!(asked("PURGE", SHOP, &[("x-vc-purge-key", "1")]), PAGE);
        for method in ["GET", "POST", "BA", "REPORT"] {
            assert!(!is_meant(&Method::from_bytes(method.as_bytes()).unwrap()));
        }
    }
}
