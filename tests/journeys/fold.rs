//! Request fields that are folded into few values before key, Vary and origin see them. The origins
//! here answer with what they saw, so a wrong fold shows in the body.

use std::collections::HashSet;

use crate::harness::{Fields, Origin, Proxy, with_cache};

/// Answers with the value of a field, and says that it matters.
fn echoing_field(name: &'static str) -> Origin {
    Origin::start(async move |request, connection| {
        let value = request.head.fields(name).join(", ");
        let fields = [("cache-control", "max-age=60"), ("vary", name)];
        connection.respond(200, &fields, value).await;
    })
}

/// A list of what stands between commas.
fn members(value: &str) -> Vec<&str> {
    let members = value.split(',').map(str::trim);
    members.filter(|it| !it.is_empty()).collect()
}

/// Asks with each value in turn: the body is what the origin saw, and each list of values shares.
async fn assert_folded(proxy: &Proxy, name: &str, groups: &[(&[&str], &[&str])]) {
    for (values, seen) in groups {
        for (index, value) in values.iter().enumerate() {
            let response = proxy.get_with("/a", &[(name, value)]).await;
            assert_eq!(members(&response.text()), *seen, "{value}: {response:?}");
            assert_eq!(response.is_hit(), index > 0, "{value}: {response:?}");
        }
    }
}

/// The order and the weights of codings make no variant: who takes a coding at all takes it.
#[tokio::test]
async fn accept_encoding_is_folded_to_the_codings_that_matter() {
    let origin = echoing_field("accept-encoding");
    let setup = with_cache("fold = { accept_encoding = [\"zstd\", \"br\", \"gzip\"] }");
    let proxy = setup(&origin).start().await;
    assert_folded(
        &proxy,
        "accept-encoding",
        &[
            (
                &[
                    "gzip, deflate, br",
                    "br, gzip",
                    "gzip;q=0.5, br;q=1.0",
                    "BR,GZIP",
                    "x-unknown, br, gzip, zstd;q=0",
                ],
                &["br", "gzip"],
            ),
            (&["gzip", "gzip, deflate", "br;q=0, gzip"], &["gzip"]),
            (
                &["gzip, br, zstd", "zstd, br;q=0.9, gzip;q=0.8"],
                &["zstd", "br", "gzip"],
            ),
        ],
    )
    .await;
}

/// RFC 9110 §12.5.3: without a coding that it takes, a client gets the page as it is.
#[tokio::test]
async fn a_client_without_codings_has_a_page_of_its_own() {
    let origin = Origin::start(async |request, connection| {
        let zipped = request
            .field("accept-encoding")
            .is_some_and(|it| it.contains("gzip"));
        let coding = ("content-encoding", "gzip");
        let fields = [
            ("cache-control", "max-age=60"),
            ("vary", "accept-encoding"),
            coding,
        ];
        match zipped {
            true => connection.respond(200, &fields, "zipped").await,
            false => connection.respond(200, &fields[..2], "plain").await,
        }
    });
    let setup = with_cache("fold = { accept_encoding = [\"br\", \"gzip\"] }");
    let proxy = setup(&origin).start().await;
    let zipped: Fields = &[("accept-encoding", "gzip")];
    assert!(proxy.get_with("/a", zipped).await.is_good("zipped"));
    let table: [Fields; 5] = [
        &[],
        &[("accept-encoding", "identity")],
        &[("accept-encoding", "gzip;q=0")],
        &[("accept-encoding", "deflate")],
        &[("accept-encoding", "")],
    ];
    for fields in table {
        let response = proxy.get_with("/a", fields).await;
        assert!(response.is_good("plain"), "{fields:?}: {response:?}");
    }
    assert!(proxy.get_with("/a", zipped).await.is_hit());
}

#[tokio::test]
async fn accept_language_is_folded_to_the_languages_the_site_has() {
    let origin = echoing_field("accept-language");
    let setup = with_cache("fold = { accept_language = [\"en\", \"de\"] }");
    let proxy = setup(&origin).start().await;
    assert_folded(
        &proxy,
        "accept-language",
        &[
            (
                &[
                    "de",
                    "de-AT, en;q=0.5",
                    "en;q=0.5, DE;q=0.9",
                    "fr, de;q=0.3",
                    "en;q=0, de",
                ],
                &["de"],
            ),
            (&["en", "en-GB,en;q=0.8,de;q=0.2"], &["en"]),
        ],
    )
    .await;
    let first = proxy.get_with("/b", &[("accept-language", "fr")]).await;
    let second = proxy.get_with("/b", &[("accept-language", "it")]).await;
    assert!(second.is_hit(), "no language of ours: {first:?} {second:?}");
}

#[tokio::test]
async fn user_agent_is_folded_to_a_kind_of_device() {
    let origin = echoing_field("user-agent");
    let proxy = with_cache("fold = { user_agent = true }")(&origin)
        .start()
        .await;
    let mut seen = HashSet::new();
    for agents in DEVICES {
        let mut shared = String::new();
        for (index, agent) in agents.iter().enumerate() {
            let response = proxy.get_with("/a", &[("user-agent", agent)]).await;
            assert_eq!(response.is_hit(), index > 0, "{agent}: {response:?}");
            if index == 0 {
                shared = response.text();
                assert!(seen.insert(shared.clone()), "a kind of its own: {shared}");
            }
            assert_eq!(response.text(), shared, "{agent}");
        }
    }
}

/// User-Agents of desktops, telephones, tablets and robots.
const DEVICES: &[&[&str]] = &[
    &[
        "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/129.0.0.0 Safari/537.36",
    ],
    &[
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 \
         (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/129.0.0.0 Mobile Safari/537.36",
    ],
    &[
        "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 \
         (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/129.0.0.0 Safari/537.36",
    ],
    &[
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    ],
];

/// What goes past the cache goes as it came; and so does everything where nothing is folded.
#[tokio::test]
async fn nothing_is_folded_on_its_way_past_the_cache() {
    let origin = echoing_field("accept-encoding");
    let setup = with_cache("fold = { accept_encoding = [\"br\"] }");
    let proxy = setup(&origin).start().await;
    let fields = [("accept-encoding", "gzip;q=0.5, br"), ("cookie", "a=b")];
    let passed = proxy.get_with("/a", &fields).await;
    assert!(passed.is_good("gzip;q=0.5, br"), "{passed:?}");

    let proxy = with_cache("fold = { accept_encoding = [] }")(&origin)
        .start()
        .await;
    let kept = proxy.get_with("/a", &fields[..1]).await;
    assert!(kept.is_good("gzip;q=0.5, br"), "{kept:?}");
    let other = [("accept-encoding", "br, gzip;q=0.5")];
    assert!(!proxy.get_with("/a", &other).await.is_hit());
}
