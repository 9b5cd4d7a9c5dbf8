//! Mistakes in rules. What is said of conditions and of values stands beside the code that reads them.

use super::Row;

/// These lines stand behind a configuration without mistakes, from its line 8 on.
pub const ROWS: &[Row] = &[
    (
        "[[rule]]\nwhen = 'path == \"/\"'",
        &[
            "8: rule[0]: does nothing; add `pass`, `origin`, `key`, `request`, `response`, `deliver`, `answer`, `deny` or `redirect`",
        ],
    ),
    (
        "[[rule]]\nwhen = 'paht == \"/\"'\npass = true\n[[site.rule]]\nwhen = 'path.startsWith(1)'\npass = true",
        &[
            "9: rule[0].when: unknown field `paht`; did you mean `path`?",
            "12: site[0].rule[0].when: `startsWith` takes one text, as `startsWith(\"…\")`",
        ],
    ),
    (
        "[[rule]]\nwhen = 'path.match(\"(\")'\npass = true\n[[rule]]\nwhen = 'path.matches(\"(\")'\npass = true",
        &[
            "9: rule[0].when: unknown function `match`; did you mean `matches`?",
            "12: rule[1].when: `(` is no regular expression: unclosed group",
        ],
    ),
    (
        "[[rule]]\nwhen = 'status == 404'\npass = true\nrequest = { cookies = \"ignore\" }\ndeny = 403",
        &[
            "10: rule[0].pass: has no effect beside `deny`; leave it out",
            "11: rule[0].request: has no effect beside `deny`; leave it out",
            "12: rule[0].deny: is done before the origin is asked, and `when` reads what is known later, the response; divide the rule in two",
        ],
    ),
    (
        "[[rule]]\nwhen = 'outcome == \"hit\"'\nresponse = { ttl = \"1h\" }",
        &[
            "10: rule[0].response: is done once, before the response is stored, and `when` reads what is another for each client, `outcome`; use `deliver`",
        ],
    ),
    (
        "[[rule]]\nname = \"a b\"\npass = false\nwhne = 'true'",
        &[
            "9: rule[0].name: names of rules are 1 to 64 letters, digits, `_` and `-`; rename it",
            "10: rule[0].pass: undoes nothing, for what one rule passes is passed; say in that rule's `when` where it does not",
            "11: rule[0].whne: unknown key; did you mean `when`?",
        ],
    ),
    (
        "[[rule]]\nname = \"a\"\npass = true\n[[site.rule]]\nname = \"a\"\npass = true",
        &[
            "12: site[0].rule[0].name: this name is taken by `rule[0].name` on line 9; remove one of the two",
        ],
    ),
    (
        "[[rule]]\norigin = \"b\"\nkey = [\"b\"]\n[[rule]]\nlimit = [\"c\"]",
        &[
            "9: rule[0].origin: unknown origin `b`; did you mean `a`?",
            "12: rule[1].limit[0]: unknown limit `c`; add [[limit]] with `name = \"c\"`",
        ],
    ),
    (
        "[[rule]]\nrewrite = \"https://b${path}\"\n[[rule]]\nkey = []\n[[rule]]\nkey = [\"é\"]",
        &[
            "9: rule[0].rewrite: must be a path, as \"/new${path}\"; for another host, `redirect` or choose an `origin`",
            "11: rule[1].key: adds nothing to the key; name a class, as [\"mobile\"]",
            "13: rule[2].key[0]: must be visible ASCII; write a word, as \"mobile\"",
        ],
    ),
    (
        "[[rule]]\nrequest = { cookies = \"forget\", set = { Host = \"b\" } }",
        &[
            "9: rule[0].request.cookies: `forget` is not known; write \"ignore\" or \"pass\"",
            "9: rule[0].request.set.Host: is set by the key `host` of the origin; choose an `origin` that has it",
        ],
    ),
    (
        "[[rule]]\nresponse = { ttl = \"1 week\", set = { Cache-Control = \"public\", x-a = \"${client}\" }, remove = [\"vary\"] }",
        &[
            "9: rule[0].response.ttl: takes one whole number with ms, s, m, h or d; write \"7d\"",
            "9: rule[0].response.set.Cache-Control: says what may be stored, which its origin decides; write `store`, `ttl`, `grace` or `keep`, and what clients are told into `deliver`",
            "9: rule[0].response.set.x-a: `${client}` is not the same for all who get the stored response; leave it to `deliver`",
            "9: rule[0].response.remove[0]: tells apart what is stored, which no rule changes; put the field into `key`, or `fold` it",
        ],
    ),
    (
        "[[rule]]\ndeny = 200\n[[rule]]\ndeny = 403\nanswer = {}\n[[rule]]\nredirect = { to = \"b\" }",
        &[
            "9: rule[0].deny: refuses nothing; write 403, or another status from 400 to 599",
            "11: rule[1].deny: this rule has `answer` already; keep one of the two",
            "14: rule[2].redirect.to: must be a URL, as \"https://a.example/\", or a path, as \"/new/\"",
        ],
    ),
    // What shapes a stored response has to be in its key.
    (
        "[[rule]]\nwhen = 'header[\"x-lang\"] == \"de\"'\norigin = \"a\"",
        &[
            "10: rule[0].origin: shapes what is stored by `header[\"x-lang\"]`, which the key of route `/*` does not hold, so that one client chooses what others get; add `key = ['${header[\"x-lang\"]}']` to this rule, or `pass = true`",
        ],
    ),
    (
        "[[rule]]\nname = \"some\"\nwhen = 'ip in [\"10.0.0.0/8\"]'\nrequest = { set = { x-a = \"b\" } }",
        &[
            "11: rule[0].request: shapes what is stored by `ip`, which the key of route `/*` does not hold, so that one client chooses what others get; add `key = [\"some\"]` to this rule, or `pass = true`",
        ],
    ),
    (
        "[[rule]]\nrequest = { set = { x-a = '${cookie[\"a\"].lower()}' } }",
        &[
            "9: rule[0].request: shapes what is stored by `cookie[\"a\"]`, which the key of route `/*` does not hold, so that one client chooses what others get; add `key = ['${cookie[\"a\"]}']` to this rule, or `pass = true`",
        ],
    ),
    (
        "[[rule]]\nwhen = '\"a\" in cookie && status == 200'\nresponse = { ttl = \"1h\" }",
        &[
            "10: rule[0].response: shapes what is stored by `cookie[\"a\"]`, which the key of route `/*` does not hold, so that one client chooses what others get; put it into `key` of the route's `cache`, or leave the change to `deliver`",
        ],
    ),
];

/// The same, and nothing is said.
pub const GOOD: &[&str] = &[
    "[[rule]]\nwhen = 'header[\"x\"] == \"de\"'\norigin = \"a\"\nkey = [\"b\"]",
    "[[rule]]\nwhen = 'header[\"x\"] == \"de\"'\norigin = \"a\"\npass = true",
    "[[rule]]\nwhen = 'method == \"POST\"'\norigin = \"a\"",
    "[[rule]]\nwhen = 'method in [\"GET\", \"HEAD\"] && path == \"/\"'\norigin = \"a\"",
    "[[rule]]\nwhen = '\"a\" in param && !origin.healthy'\norigin = \"a\"",
    "[[rule]]\nkey = ['${header[\"x\"]}']\n[[rule]]\nwhen = 'header[\"x\"] == \"\"'\nrequest = { set = { a = '${header[\"x\"]}' } }",
    "[[rule]]\nrequest = { add = { x-client = '${client} ${request_id}' } }",
    "[[rule]]\nwhen = 'ip in [\"10.0.0.0/8\"]'\nrequest = { cookies = \"ignore\" }\nresponse = { store = false }",
    "[cache.key]\nfields = [\"x\"]\ncookies = [\"a_*\"]\n[[rule]]\nwhen = 'header[\"x\"] == \"\" || \"a_1\" in cookie'\norigin = \"a\"",
];
