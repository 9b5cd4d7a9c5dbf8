//! Condition: a text that has been understood, what it reads, and its verdict on facts.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::facts::Facts;
use super::guard::Guard;
use super::program::Test;
use super::reads::{Phase, Read};
use super::syntax::{self, Expr, Node};
use super::types::Checker;
use crate::lists::Lists;

/// A condition; clones are cheap.
#[derive(Clone, Debug)]
pub struct Condition(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    written: Box<str>,
    /// All of them must be true, each with its text.
    parts: Box<[(Test, Box<str>)]>,
    guard: Guard,
    reads: Box<[Read]>,
    /// Methods without one of which it is false.
    methods: Option<Box<[Box<str>]>>,
}

// === impl Condition ===

impl Condition {
    /// Understands a text, with the lists that it may name.
    ///
    /// # Errors
    /// What is wrong with it and how to mend it, on one line.
    pub fn parse(text: &str, lists: &Lists) -> Result<Self, String> {
        let tree = syntax::parse(text)?;
        let mut checker = Checker {
            lists,
            reads: BTreeSet::new(),
        };
        let nodes: &[Node<'_>] = match &tree.expr {
            Expr::All(parts) => parts,
            _ => std::slice::from_ref(&tree),
        };
        let parts = nodes.iter().map(|node| {
            let text = text.get(node.span.clone()).unwrap_or(text);
            Ok((checker.test(node)?, text.into()))
        });
        let parts = parts.collect::<Result<Box<[_]>, String>>()?;
        let tests: Box<[Test]> = parts.iter().map(|it| it.0.clone()).collect();
        Ok(Self(Arc::new(Inner {
            written: text.into(),
            guard: Guard::of(&Test::All(tests)),
            reads: checker.reads.into_iter().collect(),
            methods: parts.iter().find_map(|it| it.0.methods()),
            parts,
        })))
    }

    /// Whether it is true.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        self.0.parts.iter().all(|it| it.0.holds(facts))
    }

    /// The first of its parts that is not true, as it was written.
    pub fn fails_by(&self, facts: &Facts<'_>) -> Option<&str> {
        let mut parts = self.0.parts.iter();
        parts.find(|it| !it.0.holds(facts)).map(|it| &*it.1)
    }

    /// All that it reads.
    pub fn reads(&self) -> &[Read] {
        &self.0.reads
    }

    /// When all that it reads is known.
    pub fn phase(&self) -> Phase {
        let phases = self.0.reads.iter().map(Read::phase);
        phases.max().unwrap_or_default()
    }

    /// Without what it cannot be true.
    pub fn guard(&self) -> &Guard {
        &self.0.guard
    }

    /// The methods without which it cannot be true; `None` if it says nothing of them.
    pub fn methods(&self) -> Option<&[Box<str>]> {
        self.0.methods.as_deref()
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0.written
    }
}

/// The lists that it names are another's to compare.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.0.written == other.0.written
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::super::facts::{Delivery, Request, Response};
    use super::super::guard::PathGuard;
    use super::*;
    use crate::lists::{Kind, ListBuilder, MapBuilder};

    fn lists() -> Lists {
        let list = |kind, entry: &str| {
            let mut list = ListBuilder::new(kind);
            list.add(entry).unwrap();
            Arc::new(list.build())
        };
        let office = ("office".into(), list(Kind::Networks, "127.0.0.0/8"));
        let bots = ("bots".into(), list(Kind::Globs, "bad*"));
        let mut moved = MapBuilder::default();
        moved.add("/old", "/new").unwrap();
        let moved = ("moved".into(), Arc::new(moved.build()));
        Lists::new([office, bots].into(), [moved].into())
    }

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn parse(text: &str) -> Condition {
        Condition::parse(text, &lists()).unwrap_or_else(|wrong| panic!("{text}: {wrong}"))
    }

    fn wrong(text: &str) -> String {
        match Condition::parse(text, &lists()) {
            Ok(_) => panic!("{text} is taken"),
            Err(wrong) => wrong,
        }
    }

    /// Calls `use_them` with the facts that all tables are about.
    fn with_facts<T>(use_them: impl FnOnce(&Facts<'_>) -> T) -> T {
        let asked = headers(&[
            ("user-agent", "Mozilla/5.0 (iPhone; Mobile)"),
            ("x-kind", "Own"),
            ("x-kind", "other"),
            ("cookie", "_ga=1; wordpress_logged_in_9=me; plan=a=b"),
            ("x-count", "12"),
        ]);
        let answered = headers(&[
            ("content-type", "Image/PNG; q=1"),
            ("content-length", "10485761"),
            ("x-ttl", "90"),
            ("age", "7"),
        ]);
        let request = Request {
            method: "GET",
            scheme: "https",
            host: "www.shop.example",
            target: "/a/B.tar.CSS?id=7&%70review&q=a%20b+c",
            fields: &asked,
            client: "127.0.0.1".parse().unwrap(),
            is_healthy: &|| true,
        };
        let response = Response {
            status: 404,
            fields: &answered,
            lifetime: &|| Some(3_600),
        };
        let delivery = Delivery {
            outcome: "hit",
            hits: 3,
        };
        use_them(&Facts::of(request).answered(response).delivered(delivery))
    }

    #[test]
    #[rustfmt::skip]
    fn verdicts() {
        let good = [
            "true", "!false", "true == !false",
            "method == 'GET'", "method in ['GET', 'HEAD']", "scheme != 'http'",
            "host == 'www.shop.example'", "host.startsWith('www.')", "host.after('www.') == 'shop.example'",
            "host.before('.') == 'www'", "host.after('nowhere') == host",
            "path == '/a/B.tar.CSS'", "path.matches('^/(a|b)/')", r"path.matches('(?i)\\.css$')",
            r"path.matches(r'\.CSS$')", "path.lower().endsWith('.css')", "path.contains('tar')",
            "ext in ['css', 'js']", "query.startsWith('id=')", "target.startsWith('/a/')",
            "'id' in param", "'preview' in param", "param['id'] == '7'", "param['q'] == 'a b c'",
            "param.any('pre*')", "param['none'] == ''",
            "header['X-Kind'] == 'Own'", "'x-kind' in header", "header.any('X-*')", "!('x-none' in header)",
            "header['x-none'] == ''", "int(header['x-count']) > 11", "!(int(header['x-kind']) > 0)",
            "int(header['x-kind']) != 0",
            "'plan' in cookie", "cookie['plan'] == 'a=b'", "cookie.any('wordpress_logged_in_*', 'x')",
            "!cookie.any('session*')", "!('Plan' in cookie)",
            "ip == '127.0.0.1'", "ip in ['10.0.0.0/8', '127.0.0.0/8']", "ip in list.office",
            "ip in list('office')", "ip in list['office']", "!(header['x-kind'] in list.bots)", "!(path in map.moved)", "'/old' in map.moved",
            "device == 'mobile'", "!bot", "device in ['tablet', 'mobile']",
            "origin.healthy", "bucket('a') < 100", "bucket('a') == bucket('a')",
            "status == 404", "status >= 400 && status < 500", "status in [404, 410]",
            "type == 'image/png'", "type.startsWith('image/')", "size > 10MiB", "size > 10485760",
            "ttl == 1h", "ttl <= 60m && ttl < 7d", "age < 10s", "response.header['x-ttl'] == '90'",
            "'x-ttl' in response.header", "outcome == 'hit'", "hits > 2",
            "false || true && true", "path == '/no' || (host != 'x' && 'id' in param)",
        ];
        let bad = [
            "false", "method == 'POST'", "host in ['a.example', 'b.example']", "ext == 'tar'",
            "path.startsWith('/A')", "header['x-kind'] == 'own'", "'wordpress_logged_in_9' in param",
            "ip in ['10.0.0.0/8']", "ip != '127.0.0.1'", "bot", "!origin.healthy", "status == 200",
            "size < 1KiB", "ttl > 1h", "hits == 1", "cookie['plan'].startsWith('b')",
            "true && !true", "int(header['x-none']) < 5",
        ];
        for (texts, expected) in [(&good[..], true), (&bad[..], false)] {
            for text in texts {
                let holds = with_facts(|facts| parse(text).holds(facts));
                assert_eq!(holds, expected, "{text}");
            }
        }
    }

    #[test]
    #[rustfmt::skip]
    fn mistakes() {
        for (text, said) in [
            ("paht == 'x'", "unknown field `paht`; did you mean `path`?"),
            ("req.url == '/x'", "unknown field `req.url`; did you mean `target`?"),
            ("req.http['x'] == ''", "unknown field `req.http`; did you mean `header`?"),
            ("client.ip == '1.1.1.1'", "unknown field `client.ip`; did you mean `ip`?"),
            ("beresp.status == 1", "unknown field `beresp.status`; did you mean `status`?"),
            ("origin == 'a'", "`origin` alone is no field; write `origin.healthy`"),
            ("path", "`path` is a text and stands where true or false is wanted; compare it, as `… == …`"),
            ("!status", "`status` is a number and stands where true or false is wanted; compare it, as `… == …`"),
            ("cookie", "`cookie` is neither true nor false; ask for one, as `\"name\" in cookie`"),
            ("path == 1", "`path` is a text and `1` is a number: these are not compared by `==`"),
            ("status == '200'", "`status` is a number and `\"200\"` is a text: these are not compared by `==`"),
            ("path < '/a'", "`path` is a text and `\"/a\"` is a text: these are not compared by `<`"),
            ("ip == 'localhost'", "`localhost` is no network; write \"10.0.0.0/8\", with zeros behind its prefix, or \"10.0.0.1\""),
            ("ip in ['10.0.0.1/8']", "`10.0.0.1/8` is no network; write \"10.0.0.0/8\", with zeros behind its prefix, or \"10.0.0.1\""),
            ("path.startsWith(1)", "`startsWith` takes one text, as `startsWith(\"…\")`"),
            ("path.startswith('/')", "unknown function `startswith`; did you mean `startsWith`?"),
            ("path.hasPrefix('/')", "unknown function `hasPrefix`; did you mean `startsWith`?"),
            ("path.size()", "unknown function `size`; known here are startsWith, endsWith, contains, matches, lower, after, before"),
            ("cookie.all('a')", "unknown function `all`; did you mean `any`?"),
            ("cookie.any()", "`any` takes names in quotes, as `any(\"wordpress_logged_in_*\")`"),
            ("rand(5) < 1", "unknown function `rand`; known here are list, bucket, int"),
            ("path.matches('(')", "`(` is no regular expression: unclosed group"),
            ("path.matches('wordpress_(?!test)')", "`wordpress_(?!test)` is no regular expression: look-around, including look-ahead and look-behind, is not supported; say the rest with `&&` and `!`"),
            ("path.matches('(a{1000}){1000}')", "is too large a regular expression; divide it"),
            ("path.matches(host)", "`matches` takes a text in quotes"),
            ("header == 'x'", "`header` is a table and `\"x\"` is a text: these are not compared by `==`"),
            ("header['a b'] == ''", "`a b` is not the name of a field (RFC 9110 §5.1)"),
            ("header[path] == ''", "has `[…]` without a text in quotes, as `header[\"x\"]`"),
            ("path['x'] == ''", "`path` has no parts; `header`, `cookie`, `param` and `response.header` have"),
            ("path in cookie", "`in cookie` wants a name in quotes before it"),
            ("path in 'x'", "`in` wants a list behind it, as [\"a\", \"b\"], and `\"x\"` is a text"),
            ("path in ['/a', 1]", "has a list with entries of another kind than what is looked for in it"),
            ("ip in list.ofice", "unknown list `ofice`; did you mean `office`?"),
            ("ip in list.none", "unknown list `none`; add [list.none]"),
            ("ip in list.bots", "`list.bots` is of texts, and `ip` is an address; let it have networks"),
            ("host in list.office", "`list.office` does not hold a text; `ip` is looked for in addresses, texts in words"),
            ("ttl > 60", "has a time without its unit; write it as 60s, 5m, 1h or 7d"),
            ("size > 60s", "compares a size with a time"),
            ("status == 1KiB", "compares a plain number with a size or a time; leave its unit out"),
            ("host == 'Shop.example'", "`\"Shop.example\"` never is true, for hosts are in lower case here; mend it"),
            ("host == 'a.example:80'", "`\"a.example:80\"` never is true, for hosts are without their port here; mend it"),
            ("ext in ['.css']", "`\".css\"` never is true, for extensions are without their dot here; mend it"),
            ("type == 'text/html; charset=utf-8'", "`\"text/html; charset=utf-8\"` never is true, for types are without their parameters here; mend it"),
            ("path == 'a'", "`\"a\"` never is true, for paths begin with `/`; mend it"),
            ("path == '/a?b'", "`\"/a?b\"` never is true, for a path has no query; ask for `param` or `target`; mend it"),
            ("method == 'get'", "`\"get\"` never is true, for methods are in upper case; mend it"),
            ("device == 'phone'", "`\"phone\"` never is true, for devices are \"desktop\", \"mobile\", \"tablet\" and \"bot\"; mend it"),
        ] {
            assert_eq!(wrong(text), said, "{text}");
        }
    }

    #[test]
    fn what_is_not_true_is_told_as_it_was_written() {
        let text = "host == 'www.shop.example' && (status == 200 || 'x' in cookie) && false";
        let failed = with_facts(|facts| parse(text).fails_by(facts).map(str::to_owned));
        assert_eq!(failed.as_deref(), Some("(status == 200 || 'x' in cookie)"));
        assert_eq!(
            with_facts(|facts| parse("true").fails_by(facts).map(str::to_owned)),
            None
        );
    }

    #[test]
    fn phases_and_reads() {
        let cookie = |name: &str| Read::Cookie(name.into());
        for (text, phase, reads) in [
            ("true", Phase::Request, vec![]),
            ("path == '/' && ext == 'a'", Phase::Request, vec![Read::Url]),
            (
                "cookie.any('b*') || 'a' in cookie",
                Phase::Request,
                vec![cookie("a"), cookie("b*")],
            ),
            (
                "header['X-A'] == '' && status == 200",
                Phase::Response,
                vec![Read::Header("x-a".into()), Read::Response],
            ),
            (
                "hits > 1 && size > 1",
                Phase::Delivery,
                vec![Read::Response, Read::Delivery],
            ),
            (
                "bot || bucket('a') < 5",
                Phase::Request,
                vec![Read::Device, Read::Bucket],
            ),
        ] {
            let condition = parse(text);
            assert_eq!(condition.phase(), phase, "{text}");
            assert_eq!(condition.reads(), reads, "{text}");
        }
        assert_eq!(
            parse("method == 'POST' && true").methods().map(<[_]>::len),
            Some(1)
        );
        assert_eq!(parse("method == 'POST' || true").methods(), None);
    }

    #[test]
    fn guards() {
        let hosts = |it: &[&str]| Guard::Hosts(it.iter().map(|it| it.as_bytes().into()).collect());
        let exact = |it: &str| PathGuard::Exact(it.as_bytes().into());
        let prefix = |it: &str| PathGuard::Prefix(it.as_bytes().into());
        for (text, guard) in [
            ("host == 'a.b'", hosts(&["a.b"])),
            ("bot && host in ['b.c', 'a.b']", hosts(&["a.b", "b.c"])),
            (
                "path == '/a' || path.startsWith('/b')",
                Guard::Paths(vec![exact("/a"), prefix("/b")]),
            ),
            ("path == '/a' || host == 'a.b'", Guard::None),
            ("path.startsWith('/')", Guard::None),
            ("!(host == 'a.b')", Guard::None),
            ("host != 'a.b'", Guard::None),
        ] {
            assert_eq!(*parse(text).guard(), guard, "{text}");
        }
    }

    #[test]
    fn no_text_is_empty_facts() {
        let fields = HeaderMap::new();
        let request = Request {
            method: "GET",
            scheme: "http",
            host: "",
            target: "",
            fields: &fields,
            client: "::1".parse().unwrap(),
            is_healthy: &|| false,
        };
        let facts = Facts::of(request);
        for text in [
            "status == 0",
            "size < 1",
            "ttl < 1s",
            "hits == 0",
            "outcome == 'hit'",
            "age < 1s",
        ] {
            assert!(
                !Condition::parse(text, &Lists::default())
                    .unwrap()
                    .holds(&facts),
                "{text}"
            );
        }
    }

    fn condition() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "true",
            "path",
            "'a'",
            "r'\\d'",
            "ip",
            "cookie",
            "header['x']",
            "param[\"y\"]",
            "10MiB",
            "7d",
            "status",
            "type",
            "['a', '/b']",
            "[1]",
            "host",
            "list.office",
            "bucket('x')",
            "origin.healthy",
            "hits",
            "response.header",
            "target",
            "ext",
        ])
        .prop_map(str::to_owned);
        leaf.prop_recursive(5, 40, 3, |inner| {
            let pair = (inner.clone(), inner.clone());
            prop_oneof![
                pair.clone().prop_map(|(a, b)| format!("{a} == {b}")),
                pair.clone().prop_map(|(a, b)| format!("({a} < {b})")),
                pair.clone().prop_map(|(a, b)| format!("{a} in {b}")),
                pair.clone().prop_map(|(a, b)| format!("({a} && {b})")),
                pair.clone().prop_map(|(a, b)| format!("{a} || {b}")),
                pair.clone().prop_map(|(a, b)| format!("{a}[{b}]")),
                pair.clone()
                    .prop_map(|(a, b)| format!("{a}.startsWith({b})")),
                pair.prop_map(|(a, b)| format!("{a}.any({b})")),
                inner.clone().prop_map(|a| format!("!({a})")),
                inner
                    .clone()
                    .prop_map(|a| format!("{a}.lower().matches('^x')")),
                inner.prop_map(|a| format!("int({a}) > 3")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn whatever_is_written_is_evaluated_or_complained_of(text in condition()) {
            let lists = lists();
            match Condition::parse(&text, &lists) {
                Ok(condition) => with_facts(|facts| {
                    // What fails is told, and what holds has no part that fails.
                    assert_eq!(condition.holds(facts), condition.fails_by(facts).is_none());
                }),
                Err(said) => prop_assert!(!said.is_empty() && !said.contains('\n')),
            }
        }
    }
}
