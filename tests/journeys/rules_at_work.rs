//! Rules among many clients, in what is told of them, and over reloads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::harness::{FRESH, Origin, Proxy, Setup, TempDir, eventually};

fn with(origin: &Origin, rules: &str) -> Setup {
    let site = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n";
    Proxy::before(origin).sites(&format!("{site}{rules}\n"))
}

const LOGIN: &str = r#"
    [[rule]]
    name = "logged-in"
    when = 'cookie.any("login_*")'
    pass = true
    [[rule]]
    name = "nobody"
    when = '!cookie.any("login_*")'
    request = { cookies = "ignore" }
"#;

/// Four clients, two of them logged in, ask for the same ten pages 10,000 times in all: each gets its
/// own pages or everybody's, and nothing that is somebody's own is ever stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_never_shared_among_mixed_requests() {
    // An application that forgets to say that a page is somebody's own.
    let origin = Origin::start(async |request, connection| {
        let login = request
            .field("cookie")
            .and_then(|it| it.split("login_").nth(1));
        let said = format!("{} for {}", request.path, login.unwrap_or("all"));
        connection.respond(200, FRESH, &said).await;
    });
    let proxy = Arc::new(with(&origin, LOGIN).start().await);
    let clients = ["login_1=anna", "login_2=ben", "_ga=1", ""].map(|cookie| {
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move {
            let mut client = proxy.client().await;
            for round in 0..2_500 {
                let path = format!("/{}", round % 10);
                let own = cookie.strip_prefix("login_").unwrap_or("all");
                let answer = client.get_with(&path, &[("cookie", cookie)]).await;
                assert!(answer.is_good(&format!("{path} for {own}")), "{answer:?}");
                assert_eq!(
                    answer.says("detail=rule-logged-in"),
                    own != "all",
                    "{answer:?}"
                );
            }
        })
    });
    for client in clients {
        client.await.unwrap();
    }
    for page in 0..10 {
        let path = format!("/{page}");
        let hit = proxy.get(&path).await;
        assert!(
            hit.is_hit() && hit.is_good(&format!("{path} for all")),
            "{hit:?}"
        );
    }
    assert_eq!(
        proxy.metric("copal_rule_matches_total", "logged-in").await,
        5_000.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_swaps_rules_under_load_without_an_error() {
    let origin = Origin::answering(200, FRESH, "page");
    let rule = |mark: usize| {
        let rule = format!(
            "[[rule]]\nname = \"mark\"\nwhen = 'path.startsWith(\"/a\")'\n\
             deliver = {{ set = {{ x-mark = \"{mark}\" }} }}\n"
        );
        with(&origin, &rule)
    };
    let proxy = Arc::new(rule(0).start().await);
    let (over, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let clients = [(); 2].map(|()| {
        let (proxy, over, asked) = (Arc::clone(&proxy), Arc::clone(&over), Arc::clone(&asked));
        tokio::spawn(async move {
            let mut client = proxy.client().await;
            let mut last = 0;
            while !over.load(Ordering::Relaxed) {
                let answer = client.get("/a").await;
                let mark: usize = answer.field("x-mark").unwrap().parse().unwrap();
                assert!(answer.is_good("page") && mark >= last, "{answer:?}");
                last = mark;
                asked.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for mark in 1..=10 {
        let before = asked.load(Ordering::Relaxed);
        proxy.reload(&rule(mark)).await;
        let more = async || asked.load(Ordering::Relaxed) > before + 100;
        eventually("requests after a reload", more).await;
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    // The counter is the name's, whatever the rule has become.
    let asked = asked.load(Ordering::Relaxed) as f64;
    assert_eq!(
        proxy.metric("copal_rule_matches_total", "mark").await,
        asked
    );
}

#[tokio::test]
async fn an_explanation_says_which_rules_are_true_and_why_others_are_not() {
    let origin = Origin::answering(200, FRESH, "page");
    let rules = r#"
        [[rule]]
        name = "css"
        when = 'ext == "css" && path.startsWith("/static/")'
        pass = true
        [[rule]]
        name = "large"
        when = 'size > 1MiB'
        response = { store = false }
        [[rule]]
        name = "beta"
        when = 'header["x-beta"] == "1"'
        key = ["beta"]
        rewrite = "/beta${path}"
        [[rule]]
        name = "gone"
        when = 'path == "/gone"'
        deny = 410
        [[rule]]
        name = "last"
        deliver = { set = { x-a = "b" } }
    "#;
    let proxy = with(&origin, rules).start().await;
    let explain = async |query: &str| {
        let path = format!("/api/v1/explain?url=http://a.test/{query}");
        proxy.admin().await.get(&path).await.text()
    };
    let passed = explain("static/a.css").await;
    assert!(passed.contains(r#""name":"css","true":true"#), "{passed}");
    assert!(passed.contains("detail=rule-css"), "{passed}");
    assert!(
        passed.contains("By rule-css it goes past the cache."),
        "{passed}"
    );
    let other = explain("a.css").await;
    assert!(
        other.contains(r#""name":"css","true":false,"why":"path.startsWith(\"/static/\")""#),
        "{other}"
    );
    assert!(other.contains(r#""name":"large","true":null"#), "{other}");
    let beta = explain("a&header=x-beta:1").await;
    assert!(beta.contains(r#""key":"http://a.test/beta/a""#), "{beta}");
    assert!(beta.contains(r#""name":"beta","true":true"#), "{beta}");
    let gone = explain("gone").await;
    assert!(
        gone.contains("By rule-gone it is answered at once"),
        "{gone}"
    );
    assert!(
        gone.contains(r#""name":"last","true":false,"why":"a rule before it answers the request""#),
        "{gone}"
    );
    // What is foreseen is what happens, and nothing that was only explained is counted.
    assert!(proxy.get("/static/a.css").await.says("detail=rule-css"));
    assert_eq!(proxy.get("/gone").await.status, 410);
    assert_eq!(
        proxy.metric("copal_rule_matches_total", "\"css\"").await,
        1.0
    );
}

#[tokio::test]
async fn the_log_names_the_rules_that_were_true() {
    let origin = Origin::answering(200, FRESH, "page");
    let rules = r#"
        [[rule]]
        name = "early"
        request = { cookies = "ignore" }
        [[rule]]
        name = "never"
        when = 'path == "/other"'
        pass = true
        [[rule]]
        name = "ok"
        when = 'status == 200'
        response = { ttl = "1h" }
        [[rule]]
        name = "hit"
        when = 'outcome == "hit"'
        deliver = { set = { x-hit = "yes" } }
    "#;
    let folder = TempDir::new();
    let path = folder.path().join("access.log");
    let log = format!("access = \"{}\"\nformat = \"json\"", path.display());
    let proxy = with(&origin, rules).table("log", &log).start().await;
    proxy.get("/a").await;
    proxy.get("/a").await;
    proxy.get("/other").await;
    let logged = async |rules: &str| {
        let log = std::fs::read_to_string(&path).unwrap_or_default();
        log.contains(&format!(r#""rules":{rules}"#))
    };
    for rules in [
        r#"["early","ok"]"#,
        r#"["early","hit"]"#,
        r#"["early","never","ok"]"#,
    ] {
        eventually("a line with its rules", async || logged(rules).await).await;
    }
}

/// What is the same for all who get a response is all that may shape it.
#[tokio::test]
async fn what_may_not_be_shared_is_not_stored_whatever_rules_say() {
    let origin = Origin::start(async |request, connection| {
        let control = request.path.trim_start_matches('/');
        let fields = [("cache-control", control)];
        connection.respond(200, &fields, "page").await;
    });
    let rule = "[[rule]]\nresponse = { store = true, ttl = \"1h\", grace = \"1h\" }\n";
    let proxy = with(&origin, rule).start().await;
    for (path, fields, hit) in [
        ("/max-age=1", None, true),
        ("/no-store", None, false),
        ("/private", None, false),
        ("/max-age=2", Some(("authorization", "Basic eDp5")), false),
        ("/max-age=3", Some(("cookie", "sid=1")), false),
    ] {
        let fields: Vec<_> = fields.into_iter().collect();
        proxy.get_with(path, &fields).await;
        let answer = proxy.get_with(path, &fields).await;
        assert_eq!(answer.is_hit(), hit, "{path} {fields:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_purge_by_url_finds_what_was_rewritten() {
    let origin = Origin::answering(200, FRESH, "page");
    let rule = "[[rule]]\nwhen = 'path.startsWith(\"/old/\")'\nrewrite = '/new/${path.after(\"/old/\")}'\n";
    let proxy = with(&origin, rule)
        .table("server", "purge_from = [\"127.0.0.1\"]")
        .start()
        .await;
    proxy.get("/old/a").await;
    assert!(proxy.get("/old/a").await.is_hit());
    let purged = proxy.send("PURGE", "/old/a", &[]).await;
    assert_eq!(purged.status, 200);
    assert!(!proxy.get("/old/a").await.is_hit());
}
