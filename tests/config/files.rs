//! Whole files and whole command lines: what they give, and what is said about their mistakes.

use std::path::Path;
use std::time::Duration;

use copal::config::{
    Action, Config, CookieLists, Flags, HostPattern, HttpVersion, Limit, LimitKey, Origin, Profile,
    Protocol, ProxyVersion, RangeMiss, TcpFlags, load, parse,
};
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../../config.toml.example");
const RECIPES: &str = include_str!("../../docs/recipes.md");

/// The least that is a configuration.
pub const MINIMAL: &str = "\
[[listen]]
address = \"127.0.0.1:8080\"
[origins.a]
servers = [\"http://127.0.0.1:8081\"]
[[site]]
hosts = [\"*\"]
origin = \"a\"
";

/// What is said about the text of a file `f`.
pub fn complaints(text: &str) -> Vec<String> {
    match parse(text, "f") {
        Ok(_) => Vec::new(),
        Err(complaints) => complaints.iter().map(ToString::to_string).collect(),
    }
}

/// What is noted about the text of a file `f` without mistakes.
pub fn notes(text: &str) -> Vec<String> {
    match parse(text, "f") {
        Ok(config) => config.notes.iter().map(ToString::to_string).collect(),
        Err(told) => panic!("{told}\n{text}"),
    }
}

#[test]
fn the_example_is_clean() {
    assert_eq!(complaints(EXAMPLE), Vec::<String>::new());
    assert_eq!(notes(EXAMPLE), Vec::<String>::new());
}

/// They are whole files, and keep to the profile that shares nothing by accident.
#[test]
fn the_recipes_are_clean() {
    let recipes: Vec<_> = RECIPES
        .split("```toml\n")
        .skip(1)
        .filter_map(|it| it.split("```").next())
        .collect();
    assert_eq!(recipes.len(), 7);
    for recipe in recipes {
        assert_eq!(complaints(recipe), Vec::<String>::new(), "{recipe}");
        assert_eq!(notes(recipe), Vec::<String>::new(), "{recipe}");
        let config = parse(recipe, "f").unwrap();
        assert_eq!(config.profile, Profile::Cautious);
        let mut routes = config.sites.iter().flat_map(|it| &it.routes);
        assert!(
            routes.all(|it| !it.cache.rules.store_set_cookie),
            "{recipe}"
        );
    }
}

#[test]
fn the_example_shows_the_defaults() {
    let minimal = parse(MINIMAL, "f").unwrap();
    let example = parse(EXAMPLE, "f").unwrap();
    assert_eq!(example.profile, minimal.profile);
    assert_eq!(example.name, minimal.name);
    assert_eq!(example.listen, minimal.listen);
    assert_eq!(example.server, minimal.server);
    assert_eq!(example.tls, minimal.tls);
    assert_eq!(
        example.sites[0].routes[0].https,
        minimal.sites[0].routes[0].https
    );
    assert_eq!(example.log, minimal.log);
    assert_eq!(example.store, minimal.store);
    assert_eq!(example.resolver, minimal.resolver);
    assert_eq!(
        example.sites[0].routes[0].cache,
        minimal.sites[0].routes[0].cache
    );
    let (shop, a) = (&example.origins["shop"], &minimal.origins["a"]);
    let shown = Origin {
        name: a.name.clone(),
        servers: a.servers.clone(),
        host: None,
        ..shop.clone()
    };
    assert_eq!(&shown, a);
    let admin = parse(&format!("{MINIMAL}[admin]\n"), "f")
        .unwrap()
        .admin
        .unwrap();
    assert_eq!(admin.address, example.admin.unwrap().address);
    assert_eq!(admin.token, None);
}

#[test]
fn the_example_shows_the_defaults_of_a_limit() {
    let written = "[[limit]]\nname = \"api\"\nrate = \"100/s\"\n";
    let minimal = parse(&format!("{MINIMAL}{written}"), "f").unwrap();
    let example = parse(EXAMPLE, "f").unwrap();
    let (shown, plain) = (&example.limits[0], &minimal.limits[0]);
    assert_eq!((shown.burst, plain.burst), (200, 100));
    assert!(matches!(&shown.key, LimitKey::Field(name) if name == "x-api-key"));
    assert_eq!(plain.key, LimitKey::Address);
    assert_eq!((shown.allow.len(), plain.allow.len()), (1, 0));
    let shown = Limit {
        burst: 100,
        key: LimitKey::Address,
        allow: Vec::new(),
        ..shown.clone()
    };
    assert_eq!(&shown, plain);
}

#[test]
fn the_example_says_what_it_says() {
    let example = parse(EXAMPLE, "f").unwrap();
    let shop = &example.sites[0];
    assert_eq!(
        shop.hosts,
        [
            HostPattern::Exact("shop.example".to_owned()),
            HostPattern::Suffix(".shop.example".to_owned())
        ]
    );
    let api = &shop.routes[1];
    assert_eq!(api.path.patterns(), ["/api/", "/api/{*rest}"]);
    assert_eq!(api.action, Action::Origin("api".into()));
    assert_eq!(api.strip_prefix.as_deref(), Some("/api"));
    assert_eq!(*api.limits, ["api".into()]);
    assert_eq!(
        (api.concurrency_max, shop.routes[0].concurrency_max),
        (64, 0)
    );
    assert_eq!(api.request_fields.filled.len(), 1);
    assert_eq!(
        (
            api.response_fields.set.len(),
            api.response_fields.filled.len()
        ),
        (1, 1)
    );
    assert_eq!(api.exchange_limits.body_bytes_max, 10 << 20);
    assert_eq!(api.response_fields.remove, ["x-powered-by"]);
    assert!(api.cache.cookies.ignore_all() && api.cache.enabled);
    assert!(!api.cache.rules.store_set_cookie);
    assert_eq!(api.cache.rules.default_ttl, Duration::from_secs(10));
    assert!(!shop.routes[2].cache.enabled);
    assert!(matches!(&shop.routes[3].action, Action::Redirect(it) if it.keep_rest));
    assert!(matches!(&shop.routes[4].action, Action::Answer(it) if it.fields.len() == 1));
    let media = &shop.routes[5].cache;
    assert_eq!(media.rules.ttl, Some(Duration::from_secs(7 * 86_400)));
    assert_eq!(media.rules.grace, Some(Duration::from_secs(3_600)));
    let slice_bytes = 1 << 20;
    assert_eq!(media.range, RangeMiss::Slice { slice_bytes });
    let counted = ["w", "h"].map(str::to_owned).to_vec();
    assert_eq!(media.key.query_allow, Some(counted));
    assert_eq!(example.sites[1].hosts, [HostPattern::Any]);
    assert_eq!(example.sites[1].routes[0].path.to_string(), "/*");
}

#[test]
fn each_table_of_keys_is_in_the_example_and_in_the_docs() {
    let docs = include_str!("../../docs/config.md");
    let route = "[[site.route]]\npath=\"/x\"\norigin=\"a\"\n";
    for table in [
        "zz9 = 1",
        "[server]\nzz9 = 1",
        "[server.http2]\nzz9 = 1",
        "[admin]\nzz9 = 1",
        "[log]\nzz9 = 1",
        "[store]\nzz9 = 1",
        "[resolver]\nzz9 = 1",
        "[cache]\nzz9 = 1",
        "[[listen]]\nzz9 = 1",
        "[origins.b]\nzz9 = 1",
        "[origins.b]\nservers = [{ zz9 = 1 }]",
        "[origins.b]\nhealth.zz9 = 1",
        "[origins.b]\nsticky.zz9 = 1",
        "[origins.b]\nejection.zz9 = 1",
        "[origins.b]\nretry.zz9 = 1",
        "[origins.b]\nhedge.zz9 = 1",
        "[origins.b]\nagent.zz9 = 1",
        "[origins.b]\nbreaker.zz9 = 1",
        "[origins.b]\ntls.zz9 = 1",
        "[origins.b]\nbalance.zz9 = 1",
        "[[site]]\nzz9 = 1",
        &format!("[[site]]\n{route}zz9 = 1"),
        &format!("[[site]]\n{route}request_fields.zz9 = 1"),
        &format!("[[site]]\n{route}cache.zz9 = 1"),
        "[[limit]]\nzz9 = 1",
        "[[limit]]\nkey.zz9 = 1",
        "[cache.key]\nzz9 = 1",
        "[cache.fold]\nzz9 = 1",
        "[cache.tags]\nzz9 = 1",
        &format!("[[site]]\n{route}redirect.zz9 = 1"),
        &format!("[[site]]\n{route}answer.zz9 = 1"),
    ] {
        let said = complaints(table);
        let said = said
            .iter()
            .find(|it| it.contains("known here are"))
            .expect(table);
        for key in said.split('`').skip(1).step_by(2) {
            assert!(EXAMPLE.contains(key), "{key} is not in the example");
            assert!(
                docs.contains(&format!("`{key}`")),
                "{key} is not in docs/config.md"
            );
        }
    }
}

#[test]
fn the_profile_sets_five_defaults() {
    let rfc = parse(&format!("profile = \"rfc\"\n{MINIMAL}"), "f").unwrap();
    let cache = &rfc.sites[0].routes[0].cache;
    assert!(cache.rules.store_set_cookie && cache.cookies.ignore_all());
    assert_eq!(cache.rules.heuristic_max, Duration::from_secs(86_400));
    assert_eq!(cache.rules.error_ttl_max, None);
    assert!(!rfc.origins["a"].refuse_unknown_coding);
    let cautious = parse(MINIMAL, "f").unwrap();
    let shy = &cautious.sites[0].routes[0].cache;
    assert!(!shy.rules.store_set_cookie && !shy.cookies.ignore_all());
    assert_eq!(shy.rules.heuristic_max, Duration::from_secs(120));
    assert_eq!(shy.rules.error_ttl_max, Some(Duration::from_secs(10)));
    assert!(cautious.origins["a"].refuse_unknown_coding);
    let (mut rest, mut same) = (cache.clone(), shy.clone());
    for it in [&mut rest, &mut same] {
        it.rules.heuristic_max = Duration::ZERO;
        it.rules.store_set_cookie = false;
        it.rules.error_ttl_max = None;
        it.cookies = CookieLists::default();
    }
    assert_eq!(rest, same);
}

#[test]
fn what_is_written_goes_before_the_profile() {
    let lines = "profile = \"rfc\"\n[cache]\nset_cookie = \"pass\"\ndefault_ttl = \"5s\"\n";
    let route = "[[site.route]]\npath = \"/x\"\norigin = \"a\"\ncache.heuristic = false\n";
    let config = parse(&format!("{lines}{MINIMAL}{route}"), "f").unwrap();
    // The short form of a route stands behind those written in full.
    let (own, short) = (
        &config.sites[0].routes[0].cache,
        &config.sites[0].routes[1].cache,
    );
    assert!(!own.rules.store_set_cookie && !own.rules.heuristic && own.cookies.ignore_all());
    assert!(!short.rules.store_set_cookie && short.rules.heuristic);
    assert_eq!(own.rules.default_ttl, Duration::from_secs(5));
}

#[test]
fn a_list_of_names_is_bounded() {
    let names: Vec<String> = (0..257).map(|n| format!("\"p{n}\"")).collect();
    let list = names.join(", ");
    let told = complaints(&format!("[cache.key]\nquery_deny = [{list}]\n{MINIMAL}"));
    let said = "f:2: cache.key.query_deny: has more than 256 names; shorten it";
    assert_eq!(told, [said]);
}

#[test]
fn sizes_of_the_store_follow_each_other() {
    const MIB: u64 = 1 << 20;
    for (lines, sizes) in [
        ("", (256, 32, 64)),
        ("memory = \"1GiB\"", (1024, 128, 256)),
        ("memory = \"8MiB\"", (8, 1, 2)),
        ("memory = \"2MiB\"", (2, 0, 1)),
        ("object_max = \"128MiB\"", (256, 128, 128)),
        ("fill_memory = \"16MiB\"", (256, 16, 16)),
        ("memory = \"64GiB\"", (65_536, 4095, 16_384)),
    ] {
        let store = parse(&format!("[store]\n{lines}\n{MINIMAL}"), "f")
            .unwrap()
            .store;
        let (memory, object, fill) = sizes;
        assert_eq!(store.memory_bytes, memory * MIB, "{lines}");
        assert_eq!(store.object_bytes_max / MIB, object, "{lines}");
        assert_eq!(store.fill_bytes_max, fill * MIB, "{lines}");
    }
}

#[test]
fn three_mistakes_are_told_at_once() {
    let text = "\
[[listen]]
address = \"127.0.0.1:8080\"
[server]
idle_timout = \"75s\"
send_timeout = \"half a minute\"
[origins.shop]
servers = [\"http://127.0.0.1:8081\"]
[[site]]
hosts = [\"*\"]
origin = \"shup\"
";
    assert_eq!(
        complaints(text),
        [
            "f:4: server.idle_timout: unknown key; did you mean `idle_timeout`?",
            "f:5: server.send_timeout: a duration is a whole number with a unit, as \"250ms\", \
             \"30s\" or \"5m\"",
            "f:10: site[0].origin: unknown origin `shup`; did you mean `shop`?",
        ]
    );
}

#[test]
fn what_follows_from_a_mistake_is_not_told() {
    for (from, to, said) in [
        // A required key, an origin or a table that was written badly is not missing.
        ("address = \"127.0.0.1:8080\"", "address = 8080", 1),
        ("[origins.a]", "[orgins.a]", 1),
        ("[origins.a]", "[[origins]]", 1),
        ("[[site]]", "[[sites]]", 1),
        ("[[listen]]", "[[listener]]", 1),
        ("servers = ", "server = ", 1),
        ("servers = [\"http://127.0.0.1:8081\"]", "servers = 8081", 1),
        (
            "servers = [\"http://127.0.0.1:8081\"]",
            "servers = [http://127.0.0.1:8081]",
            1,
        ),
        ("origin = \"a\"", "origin = a", 1),
        ("hosts = [\"*\"]", "hosts = *", 1),
        // These are mistakes of their own.
        ("origin = \"a\"", "origin = \"b\"\nhots = []", 2),
        (
            "[origins.a]",
            "[origins.a]\nhost = \"b c\"\nidle_max = 1.5",
            2,
        ),
    ] {
        let text = MINIMAL.replace(from, to);
        assert_ne!(text, MINIMAL);
        let told = complaints(&text);
        assert_eq!(told.len(), said, "{to}: {told:#?}");
    }
}

#[test]
fn an_empty_file_lacks_three_things() {
    let told = complaints("");
    let begins: Vec<&str> = told
        .iter()
        .filter_map(|it| it.split(" is missing").next())
        .collect();
    assert_eq!(begins, ["f:1: listen:", "f:1: origins:", "f:1: site:"]);
}

#[test]
fn the_version_towards_servers_is_chosen() {
    for (lines, version, streams_max) in [
        ("", HttpVersion::Http1, 100),
        ("http_version = \"1.1\"", HttpVersion::Http1, 100),
        ("http_version = \"2\"", HttpVersion::Http2, 100),
        (
            "http_version = \"auto\"\nstreams_max = 7",
            HttpVersion::Auto,
            7,
        ),
    ] {
        let text = MINIMAL.replace("[origins.a]", &format!("[origins.a]\n{lines}"));
        let wire = &parse(&text, "f").unwrap().origins["a"].wire;
        assert_eq!((wire.version, wire.streams_max), (version, streams_max));
    }
}

#[test]
fn servers_are_told_of_clients_as_configured() {
    for (line, version) in [
        ("", None),
        ("proxy_protocol = \"off\"", None),
        ("proxy_protocol = \"v1\"", Some(ProxyVersion::V1)),
        ("proxy_protocol = \"v2\"", Some(ProxyVersion::V2)),
    ] {
        let text = MINIMAL.replace("[origins.a]", &format!("[origins.a]\n{line}"));
        let wire = &parse(&text, "f").unwrap().origins["a"].wire;
        assert_eq!(wire.proxy_protocol, version, "{line}");
    }
}

#[test]
fn connections_are_kept_as_configured() {
    let hour = Duration::from_secs(3600);
    for (lines, idle_min, age_max) in [
        ("", 0, Some(hour)),
        ("idle_min = 64", 64, Some(hour)),
        ("age_max = \"5s\"", 0, Some(Duration::from_secs(5))),
        ("age_max = \"0s\"", 0, None),
    ] {
        let text = MINIMAL.replace("[origins.a]", &format!("[origins.a]\n{lines}"));
        let wire = &parse(&text, "f").unwrap().origins["a"].wire;
        assert_eq!(
            (wire.idle_min, wire.age_max),
            (idle_min, age_max),
            "{lines}"
        );
    }
}

#[test]
fn a_site_that_only_answers_needs_no_origins() {
    let text = "[[listen]]\naddress = \"127.0.0.1:0\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
                [[site]]\nhosts = [\"*\"]\n[[site.route]]\npath = \"/*\"\nanswer = {}\n";
    assert_eq!(complaints(text), Vec::<String>::new());
}

#[test]
fn complaints_are_bounded() {
    let unknown: String = (0..200).map(|n| format!("zz{n} = 1\n")).collect();
    let unquoted: String = (0..200).map(|n| format!("zz{n} = 1s\n\n")).collect();
    let no_hosts = "\"a b\", ".repeat(2000);
    let no_hosts = format!("{MINIMAL}[[site]]\nhosts = [{no_hosts}]\norigin = \"a\"\n");
    for (text, count) in [(unknown, 51), (unquoted, 200), (no_hosts, 1001)] {
        let told = complaints(&text);
        assert_eq!(told.len(), count);
        let last = told.last().map(String::as_str);
        let more = "f: there are more mistakes than these; mend them and check again";
        assert_eq!(last == Some(more), count != 200, "{last:?}");
    }
}

#[test]
fn a_complaint_stays_on_its_line() {
    let lines = "profile = \"a\\nb\"\n[log]\nlevel = \"\\u001b[2J\"\n\"a\\nb\" = 1\n";
    let told = complaints(&format!("{lines}{MINIMAL}"));
    assert_eq!(told.len(), 3);
    assert!(
        told.iter().all(|it| !it.contains(char::is_control)),
        "{told:?}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_complaint() {
    let error = load(Path::new("/nowhere/config.toml"))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "/nowhere/config.toml: there is no such file; name another with `-c FILE`, or begin with \
         `copal run --listen 127.0.0.1:8080 --origin http://127.0.0.1:3000`"
    );
}

#[test]
fn a_token_is_never_shown() {
    let secret = "c29tZXRoaW5n";
    let text = format!("[admin]\ntoken = \"{secret}\"\n{MINIMAL}");
    let config = parse(&text, "f").unwrap();
    assert!(!format!("{config:?}").contains(secret));
    assert_eq!(config.admin.unwrap().token.unwrap().expose(), secret);
    let bad = format!("[admin]\ntoken = \"{secret} {secret}\"\n{MINIMAL}");
    assert!(!complaints(&bad).concat().contains(secret));
}

#[test]
fn flags_give_what_a_file_gives() {
    let flags = Flags {
        listen: vec!["127.0.0.1:8080".to_owned()],
        origins: vec!["http://127.0.0.1:8081".to_owned()],
        admin: Some("127.0.0.1:0".to_owned()),
        memory: Some("1GiB".to_owned()),
        profile: Some("rfc".to_owned()),
        default_ttl: Some("10s".to_owned()),
        ..Flags::default()
    };
    let text = format!(
        "profile = \"rfc\"\nstore.memory = \"1GiB\"\ncache.default_ttl = \"10s\"\n\
         admin.address = \"127.0.0.1:0\"\n{MINIMAL}"
    );
    let text = text
        .replace("origins.a", "origins.default")
        .replace("\"a\"", "\"default\"");
    assert_eq!(Config::from_flags(&flags), parse(&text, "f"));
}

#[test]
fn tcp_listeners_need_no_site() {
    let flags = TcpFlags {
        listen: "127.0.0.1:6379".to_owned(),
        backends: vec!["a:6379".to_owned(), "[::1]:80".to_owned()],
    };
    let text = "[[listen]]\naddress = \"127.0.0.1:6379\"\nprotocol = \"tcp\"\norigin = \"default\"\n\
                [origins.default]\nservers = [\"tcp://a:6379\", \"tcp://[::1]:80\"]\n";
    let config = parse(text, "f").unwrap();
    assert_eq!(Config::from_tcp_flags(&flags).as_ref(), Ok(&config));
    let Protocol::Tcp(tunnel) = &config.listen[0].protocol else {
        panic!("{:?}", config.listen);
    };
    assert_eq!(tunnel.idle_timeout, Duration::from_secs(600));
    assert_eq!(tunnel.proxy_protocol, None);
    let version = text.replace("tcp\"", "tcp\"\nproxy_protocol = \"v2\"");
    let listen = &parse(&version, "f").unwrap().listen[0];
    assert!(
        matches!(&listen.protocol, Protocol::Tcp(it) if it.proxy_protocol == Some(ProxyVersion::V2))
    );
}

#[test]
fn mistakes_in_tcp_flags_name_the_argument() {
    let flags = TcpFlags {
        listen: "6379".to_owned(),
        backends: vec!["a".to_owned(), "http://b".to_owned()],
    };
    let told = Config::from_tcp_flags(&flags).unwrap_err();
    let keys: Vec<&str> = told.iter().filter_map(|it| it.key.as_deref()).collect();
    assert_eq!(keys, ["LISTEN", "BACKEND", "BACKEND"]);
}

#[test]
fn mistakes_in_flags_name_the_flag() {
    let text = |it: &str| Some(it.to_owned());
    let flags = Flags {
        listen: vec!["8080".to_owned()],
        origins: vec!["ftp://a".to_owned(), "9011".to_owned()],
        admin: text("0.0.0.0:9180"),
        memory: text("much"),
        profile: text("fast"),
        default_ttl: text("5"),
        ..Flags::default()
    };
    let told = Config::from_flags(&flags).unwrap_err();
    let keys: Vec<&str> = told.iter().filter_map(|it| it.key.as_deref()).collect();
    assert_eq!(
        keys,
        [
            "--listen",
            "--origin",
            "--origin",
            "--admin",
            "--memory",
            "--profile",
            "--default-ttl"
        ]
    );
    assert!(
        told.to_string()
            .starts_with("--listen: has no IP address; write \"127.0.0.1:8080\"")
    );
    assert_eq!(
        told.iter().nth(2).map(ToString::to_string).as_deref(),
        Some("--origin: is not a URL; write \"http://127.0.0.1:9011\"")
    );
    let told = Config::from_flags(&Flags::default()).unwrap_err();
    let keys: Vec<&str> = told.iter().filter_map(|it| it.key.as_deref()).collect();
    assert_eq!(keys, ["--listen", "--origin"]);
}

#[test]
fn mistakes_in_flags_for_https_name_the_flag() {
    let text = |it: &str| Some(it.to_owned());
    let flags = Flags {
        listen: vec!["127.0.0.1:80".to_owned()],
        https: vec!["443".to_owned()],
        origins: vec!["http://127.0.0.1:8081".to_owned()],
        domains: vec!["*.shop.example".to_owned(), "localhost".to_owned()],
        acme_directory: text("ca.example"),
        acme_roots: None,
        ..Flags::default()
    };
    let told = Config::from_flags(&flags).unwrap_err();
    let keys: Vec<&str> = told.iter().filter_map(|it| it.key.as_deref()).collect();
    let expected = [
        "--domain",
        "--domain",
        "--email",
        "--https",
        "--acme-directory",
    ];
    assert_eq!(keys, expected, "{told}");
}

#[test]
fn notes_on_flags_name_the_flag() {
    let flags = Flags {
        listen: vec!["127.0.0.1:8080".to_owned()],
        origins: vec!["http://localhost:8080".to_owned()],
        memory: Some("900TiB".to_owned()),
        ..Flags::default()
    };
    let notes: Vec<_> = Config::from_flags(&flags)
        .unwrap()
        .notes
        .iter()
        .map(ToString::to_string)
        .collect();
    let [origin, memory] = &notes[..] else {
        panic!("{notes:?}");
    };
    assert_eq!(
        origin,
        "--origin: note: is our own `listen[0]`, so that requests go in circles; write where the \
         origin listens"
    );
    // No machine has as much; how much this one has is its own affair.
    assert!(memory.starts_with("--memory: note: with `fill_memory` it makes 1125TiB, and "));
}

/// A part of the example, cut or put elsewhere or changed: what users do to it, and worse.
fn mutated(example: &str, from: usize, to: usize, put: &str) -> String {
    let chars: Vec<char> = example.chars().collect();
    let (from, to) = (from % chars.len(), to % chars.len());
    let (start, end) = (from.min(to), from.max(to));
    let front = chars[..start].iter();
    front
        .copied()
        .chain(put.chars())
        .chain(chars[end..].iter().copied())
        .collect()
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_complained_of(text in any::<String>()) {
        if let Err(told) = parse(&text, "f") {
            prop_assert!(told.iter().count() > 0);
        }
    }

    #[test]
    fn text_like_toml_is_parsed_or_complained_of(text in "([a-z_]{1,8}|[\\[\\]{}=.,\"'#\n 0-9-]){0,60}") {
        if let Err(told) = parse(&text, "f") {
            prop_assert!(told.iter().count() > 0);
        }
    }

    #[test]
    fn a_mutated_example_is_parsed_or_complained_of(
        from in any::<usize>(),
        length in 0..40_usize,
        put in "(|=|\"|\\[|\\]|\n|[a-z]{1,4}|-?[0-9]{1,20}|\\PC{1,3})",
    ) {
        let text = mutated(EXAMPLE, from, from.wrapping_add(length), &put);
        if let Err(told) = parse(&text, "f") {
            let lines = text.lines().count() + 1;
            for complaint in &told {
                prop_assert!(complaint.line.is_some_and(|it| (1..=lines).contains(&it)));
                prop_assert!(!complaint.text.contains('\n'));
                prop_assert!(complaint.key.is_some());
            }
        }
    }
}
