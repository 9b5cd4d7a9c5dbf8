//! Tree of a condition: what belongs to what, before anything is known of names and types.

use std::ops::Range;

use super::lexer::{Kind, Token, Unit, tokens};

/// The longest condition, in bytes.
const TEXT_BYTES_MAX: usize = 8 * 1024;
/// How deep brackets and negations may be.
const DEPTH_MAX: usize = 32;

/// A part of a condition and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node<'a> {
    pub(super) expr: Expr<'a>,
    pub(super) span: Range<usize>,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr<'a> {
    Name(&'a str),
    Text(String),
    Number(i64, Unit),
    Truth(bool),
    List(Vec<Node<'a>>),
    /// `a.b`
    Member(Box<Node<'a>>, &'a str),
    /// `a[b]`
    Index(Box<Node<'a>>, Box<Node<'a>>),
    /// `f(a)` or `x.f(a)`
    Call(Option<Box<Node<'a>>>, &'a str, Vec<Node<'a>>),
    Not(Box<Node<'a>>),
    All(Vec<Node<'a>>),
    Any(Vec<Node<'a>>),
    /// `a == b` and its like.
    Relation(&'static str, Box<Node<'a>>, Box<Node<'a>>),
}

/// What stands between two values.
const RELATIONS: [&str; 6] = ["==", "!=", "<=", ">=", "<", ">"];

struct Parser<'a> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token<'a>>>,
    /// Where the last token ended.
    end: usize,
    depth: usize,
}

type Parsed<'a> = Result<Node<'a>, String>;

/// The tree of a text, or what is wrong with it and how to mend it.
pub(super) fn parse(text: &str) -> Result<Node<'_>, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!(
            "is longer than {TEXT_BYTES_MAX} bytes; make several rules of it, or a list"
        ));
    }
    let mut parser = Parser {
        tokens: tokens(text)?.into_iter().peekable(),
        end: 0,
        depth: 0,
    };
    if parser.tokens.peek().is_none() {
        return Err("is empty; leave it out for a rule that always holds".to_owned());
    }
    let node = parser.any()?;
    match parser.tokens.peek() {
        None => Ok(node),
        Some(token) => Err(unexpected(token, "`&&` or `||` before it")),
    }
}

// === impl Parser ===

impl<'a> Parser<'a> {
    fn any(&mut self) -> Parsed<'a> {
        self.chain("||", Self::all, Expr::Any)
    }

    fn all(&mut self) -> Parsed<'a> {
        self.chain("&&", Self::relation, Expr::All)
    }

    /// Parts with `mark` between; one alone is itself.
    fn chain(
        &mut self,
        mark: &'static str,
        part: fn(&mut Self) -> Parsed<'a>,
        join: fn(Vec<Node<'a>>) -> Expr<'a>,
    ) -> Parsed<'a> {
        let first = part(self)?;
        if !self.is_next(mark) {
            return Ok(first);
        }
        let start = first.span.start;
        let mut parts = vec![first];
        while self.take(mark) {
            parts.push(part(self)?);
        }
        Ok(self.node(start, join(parts)))
    }

    fn relation(&mut self) -> Parsed<'a> {
        let left = self.unary()?;
        let Some(relation) = self.take_relation() else {
            return Ok(left);
        };
        let right = self.unary()?;
        if self.take_relation().is_some() {
            return Err("compares a comparison; join two with `&&`".to_owned());
        }
        let start = left.span.start;
        let relation = Expr::Relation(relation, Box::new(left), Box::new(right));
        Ok(self.node(start, relation))
    }

    fn unary(&mut self) -> Parsed<'a> {
        let start = self.tokens.peek().map_or(self.end, |it| it.span.start);
        if !self.take("!") {
            return self.member();
        }
        let inner = self.deeper(Self::unary)?;
        Ok(self.node(start, Expr::Not(Box::new(inner))))
    }

    fn member(&mut self) -> Parsed<'a> {
        let mut node = self.primary()?;
        let start = node.span.start;
        loop {
            let expr = if self.take(".") {
                let name = self.word()?;
                match self.take("(") {
                    true => Expr::Call(Some(Box::new(node)), name, self.items(")")?),
                    false => Expr::Member(Box::new(node), name),
                }
            } else if self.take("[") {
                let index = self.deeper(Self::any)?;
                self.demand("]")?;
                Expr::Index(Box::new(node), Box::new(index))
            } else {
                return Ok(node);
            };
            node = self.node(start, expr);
        }
    }

    fn primary(&mut self) -> Parsed<'a> {
        let Some(token) = self.next() else {
            return Err("ends where a value is wanted".to_owned());
        };
        let start = token.span.start;
        let expr = match token.kind {
            Kind::Word("true") => Expr::Truth(true),
            Kind::Word("false") => Expr::Truth(false),
            Kind::Word("not") => return Err("`not` is not known; write `!`".to_owned()),
            Kind::Word(name) if self.take("(") => Expr::Call(None, name, self.items(")")?),
            Kind::Word(name) => Expr::Name(name),
            Kind::Text(text) => Expr::Text(text),
            Kind::Number(number, unit) => Expr::Number(number, unit),
            Kind::Mark("[") => Expr::List(self.items("]")?),
            Kind::Mark("(") => {
                let inner = self.deeper(Self::any)?;
                self.demand(")")?;
                // With its brackets, so that it is told as it was written.
                return Ok(self.node(start, inner.expr));
            }
            Kind::Mark("-") => return Err("has a `-`; numbers are from 0 up".to_owned()),
            Kind::Mark(_) => return Err(unexpected(&token, "a value")),
        };
        Ok(self.node(start, expr))
    }

    /// Items with commas between, up to `close`; a comma may stand behind the last.
    fn items(&mut self, close: &'static str) -> Result<Vec<Node<'a>>, String> {
        let mut items = Vec::new();
        while !self.take(close) {
            items.push(self.deeper(Self::any)?);
            if !self.is_next(close) {
                self.demand(",")?;
            }
        }
        Ok(items)
    }

    /// Recursion is bounded here, and nowhere else is any.
    fn deeper(&mut self, part: fn(&mut Self) -> Parsed<'a>) -> Parsed<'a> {
        if self.depth >= DEPTH_MAX {
            return Err(format!("is nested deeper than {DEPTH_MAX}; divide it"));
        }
        self.depth += 1;
        let node = part(self);
        self.depth -= 1;
        node
    }

    fn take_relation(&mut self) -> Option<&'static str> {
        let relation = match self.tokens.peek()?.kind {
            Kind::Mark(mark) => RELATIONS.iter().find(|it| **it == mark).copied()?,
            Kind::Word("in") => "in",
            _ => return None,
        };
        self.next();
        Some(relation)
    }

    fn word(&mut self) -> Result<&'a str, String> {
        match self.next() {
            Some(Token {
                kind: Kind::Word(name),
                ..
            }) => Ok(name),
            Some(token) => Err(unexpected(&token, "a name behind the `.`")),
            None => Err("ends where a name is wanted behind a `.`".to_owned()),
        }
    }

    fn demand(&mut self, mark: &'static str) -> Result<(), String> {
        match self.tokens.peek() {
            Some(token) if token.kind != Kind::Mark(mark) => {
                Err(unexpected(token, &format!("`{mark}`")))
            }
            Some(_) => {
                self.next();
                Ok(())
            }
            None => Err(format!("ends where `{mark}` is wanted")),
        }
    }

    fn is_next(&mut self, mark: &'static str) -> bool {
        self.tokens
            .peek()
            .is_some_and(|it| it.kind == Kind::Mark(mark))
    }

    fn take(&mut self, mark: &'static str) -> bool {
        let is_next = self.is_next(mark);
        if is_next {
            self.next();
        }
        is_next
    }

    fn next(&mut self) -> Option<Token<'a>> {
        let token = self.tokens.next()?;
        self.end = token.span.end;
        Some(token)
    }

    fn node(&self, start: usize, expr: Expr<'a>) -> Node<'a> {
        Node {
            expr,
            span: start..self.end,
        }
    }
}

fn unexpected(token: &Token<'_>, wanted: &str) -> String {
    let found = match &token.kind {
        Kind::Word(word @ ("and" | "AND")) => return format!("`{word}` is not known; write `&&`"),
        Kind::Word(word @ ("or" | "OR")) => return format!("`{word}` is not known; write `||`"),
        Kind::Word(word) => (*word).to_owned(),
        Kind::Text(text) => format!("\"{text}\""),
        Kind::Number(number, _) => number.to_string(),
        Kind::Mark(mark) => (*mark).to_owned(),
    };
    let column = token.span.start + 1;
    format!("has `{found}` at byte {column}, where {wanted} is wanted")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A tree with brackets around everything.
    fn shown(node: &Node<'_>) -> String {
        let list = |nodes: &[Node<'_>], between: &str| {
            nodes.iter().map(shown).collect::<Vec<_>>().join(between)
        };
        match &node.expr {
            Expr::Name(name) => (*name).to_owned(),
            Expr::Text(text) => format!("{text:?}"),
            Expr::Number(number, _) => number.to_string(),
            Expr::Truth(truth) => truth.to_string(),
            Expr::List(items) => format!("[{}]", list(items, ", ")),
            Expr::Member(of, name) => format!("{}.{name}", shown(of)),
            Expr::Index(of, at) => format!("{}[{}]", shown(of), shown(at)),
            Expr::Call(None, name, items) => format!("{name}({})", list(items, ", ")),
            Expr::Call(Some(of), name, items) => {
                format!("{}.{name}({})", shown(of), list(items, ", "))
            }
            Expr::Not(inner) => format!("!{}", shown(inner)),
            Expr::All(parts) => format!("({})", list(parts, " && ")),
            Expr::Any(parts) => format!("({})", list(parts, " || ")),
            Expr::Relation(relation, left, right) => {
                format!("({} {relation} {})", shown(left), shown(right))
            }
        }
    }

    #[test]
    fn what_binds_more_tightly() {
        for (text, tree) in [
            ("a || b && c || d", "(a || (b && c) || d)"),
            ("(a || b) && !c", "((a || b) && !c)"),
            ("!a == b", "(!a == b)"),
            ("!!a", "!!a"),
            (
                "\"x\" in cookie && a != 1",
                "((\"x\" in cookie) && (a != 1))",
            ),
            (
                "h[\"x\"].lower().startsWith(\"y\",)",
                "h[\"x\"].lower().startsWith(\"y\")",
            ),
            ("a in [1, 2,]", "(a in [1, 2])"),
            ("f()", "f()"),
        ] {
            assert_eq!(shown(&parse(text).unwrap()), tree, "{text}");
        }
        let text = "a && (b || c)";
        let Expr::All(parts) = parse(text).unwrap().expr else {
            panic!("no conjunction");
        };
        assert_eq!(&text[parts[1].span.clone()], "(b || c)");
    }

    #[test]
    fn what_is_no_condition_is_told() {
        let deep = format!("{}a{}", "(".repeat(40), ")".repeat(40));
        let long = "a".repeat(TEXT_BYTES_MAX + 1);
        for (text, said) in [
            ("", "is empty; leave it out for a rule that always holds"),
            ("a &&", "ends where a value is wanted"),
            (
                "a b",
                "has `b` at byte 3, where `&&` or `||` before it is wanted",
            ),
            ("a and b", "`and` is not known; write `&&`"),
            ("not a", "`not` is not known; write `!`"),
            ("a == b == c", "compares a comparison; join two with `&&`"),
            ("(a", "ends where `)` is wanted"),
            ("[a b]", "has `b` at byte 4, where `,` is wanted"),
            ("a.", "ends where a name is wanted behind a `.`"),
            ("a > -1", "has a `-`; numbers are from 0 up"),
            (deep.as_str(), "is nested deeper than 32; divide it"),
            (
                long.as_str(),
                "is longer than 8192 bytes; make several rules of it, or a list",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), said, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn any_text_has_a_tree_or_is_complained_of(
            text in "([a-z]{1,3}|[\"'()\\[\\].,!<>=&|]|[0-9]{1,3}[sKiBd]?| in |&&|\\|\\||é|\\\\| ){0,60}",
        ) {
            if let Err(said) = parse(&text) {
                prop_assert!(!said.is_empty());
            }
        }

        #[test]
        fn depth_is_bounded_whatever_nests(open in "[(!\\[a]{0,300}") {
            let _ = parse(&open);
        }
    }
}
