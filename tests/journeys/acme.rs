//! Certificates by ACME: a CA is asked, shown what it wants to see, and never asked too often.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};
use std::{fs, path::PathBuf};

use crate::harness::{Ca, Origin, Proxy, Setup, TempDir, command, eventually, leaf};

const NAME: &str = "shop.example";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A CA, an origin, and the folder that proxies share.
struct Scene {
    ca: Ca,
    folder: TempDir,
    origin: Origin,
}

// === impl Scene ===

impl Scene {
    async fn new() -> Self {
        Self {
            ca: Ca::start().await,
            folder: TempDir::new(),
            origin: Origin::answering(200, &[], "page"),
        }
    }

    fn storage(&self) -> PathBuf {
        self.folder.path().join("acme")
    }

    /// A proxy with a listener in clear and one with TLS, and these lines under `[acme]`.
    fn setup(&self, domains: &str, lines: &str) -> Setup {
        let (root, directory) = (
            self.ca.write_root(&self.folder, "ca.pem"),
            self.ca.directory(),
        );
        let storage = self.storage();
        let acme = format!(
            "domains = {domains}\nemail = \"ops@shop.example\"\ndirectory = {directory:?}\n\
             roots = {root:?}\nstorage = {storage:?}\n{lines}"
        );
        Proxy::before(&self.origin).table("acme", &acme).sites(
            "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\n\n\
             [[site]]\nhosts = [\"*\"]\norigin = \"main\"\n",
        )
    }

    async fn start(&self, lines: &str) -> Proxy {
        self.start_for("[\"shop.example\"]", lines).await
    }

    async fn start_for(&self, domains: &str, lines: &str) -> Proxy {
        let proxy = self.setup(domains, lines).start().await;
        self.is_at(&proxy).await;
        proxy
    }

    /// Has the CA ask this proxy.
    async fn is_at(&self, proxy: &Proxy) {
        let (http, tls) = (proxy.address().port(), port(proxy).await);
        self.ca.will(|it| (it.http, it.tls) = (http, tls));
    }

    fn issued(&self) -> usize {
        self.ca
            .orders()
            .iter()
            .filter(|it| it.status == "valid")
            .count()
    }
}

/// Where it listens for TLS.
async fn port(proxy: &Proxy) -> u16 {
    proxy.announces("https", 1).await.port()
}

async fn shown(proxy: &Proxy, name: &str) -> Option<Vec<u8>> {
    leaf(port(proxy).await, name, "http/1.1").await
}

async fn is_shown(proxy: &Proxy, name: &str) {
    eventually("a certificate to be shown", async || {
        shown(proxy, name).await.is_some()
    })
    .await;
}

async fn orders(proxy: &Proxy, result: &str) -> f64 {
    let metric = format!("result=\"{result}\"");
    let text = proxy.admin().await.get("/metrics").await.text();
    let lines = text
        .lines()
        .filter(|it| it.starts_with("copal_acme_orders") && it.contains(&metric));
    lines
        .filter_map(|it| it.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

async fn status(proxy: &Proxy) -> serde_json::Value {
    let text = proxy.admin().await.get("/api/v1/status").await.text();
    serde_json::from_str::<serde_json::Value>(&text).expect("JSON")["acme"].clone()
}

fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a clock that is right").as_secs()
}

#[tokio::test]
async fn a_name_gets_its_certificate_by_either_challenge() {
    for (challenge, listed) in [
        ("http-01", "[\"http-01\"]"),
        ("tls-alpn-01", "[\"tls-alpn-01\"]"),
    ] {
        let scene = Scene::new().await;
        let proxy = scene.start(&format!("challenges = {listed}")).await;
        is_shown(&proxy, NAME).await;
        let orders = scene.ca.orders();
        assert_eq!(orders.len(), 1);
        assert_eq!(
            (&*orders[0].name, orders[0].by.as_deref()),
            (NAME, Some(challenge))
        );
        let accounts = scene.ca.accounts();
        assert_eq!(
            (accounts.len(), &accounts[0].contact[..]),
            (1, &["mailto:ops@shop.example".to_owned()][..])
        );
        assert!(scene.ca.agents().iter().all(|it| it.starts_with("copal/")));
        // Whoever asks for no known name is shown it, too.
        assert!(shown(&proxy, "other.example").await.is_some());
    }
}

#[tokio::test]
async fn an_address_gets_a_certificate_as_well() {
    let scene = Scene::new().await;
    let proxy = scene
        .start_for(
            "[\"shop.example\", \"127.0.0.1\"]",
            "challenges = [\"tls-alpn-01\"]",
        )
        .await;
    scene.ca.has_issued(2).await;
    assert!(scene.ca.orders().iter().any(|it| it.name == "127.0.0.1"));
    // Who connects to an address names nobody, and is shown that of the address.
    let both = async || {
        let of_address = shown(&proxy, "127.0.0.1").await;
        of_address.is_some() && of_address != shown(&proxy, NAME).await
    };
    eventually("each to be shown its own", both).await;
}

#[tokio::test]
async fn what_is_kept_is_for_our_eyes_only() {
    let scene = Scene::new().await;
    let proxy = scene.start("").await;
    is_shown(&proxy, NAME).await;
    let mode = |path: &str| {
        let path = scene.storage().join(path);
        fs::metadata(&path)
            .unwrap_or_else(|_| panic!("{path:?}"))
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("certificates"), 0o700);
    assert_eq!(mode("certificates/shop.example.pem"), 0o600);
    let accounts = fs::read_dir(scene.storage().join("accounts")).unwrap();
    let accounts: Vec<_> = accounts
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(accounts.len(), 1, "{accounts:?}");
    assert_eq!(mode(&format!("accounts/{}", accounts[0])), 0o600);
    // Nothing is left of the challenge.
    assert_eq!(
        fs::read_dir(scene.storage().join("challenges"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn nonces_that_are_refused_are_tried_again() {
    let scene = Scene::new().await;
    scene.ca.will(|it| it.bad_nonces = 2);
    let proxy = scene.start("").await;
    is_shown(&proxy, NAME).await;
    assert_eq!(scene.issued(), 1);
}

#[tokio::test]
async fn challenges_of_others_go_to_the_origin() {
    let scene = Scene::new().await;
    let proxy = scene.start("").await;
    is_shown(&proxy, NAME).await;
    let answer = proxy
        .get("/.well-known/acme-challenge/of-somebody-else")
        .await;
    assert!(answer.is_good("page"));
}

#[tokio::test]
async fn a_proof_goes_before_all_that_routes_say() {
    let scene = Scene::new().await;
    let sites = "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\n\n[[site]]\nhosts = [\"*\"]\n\
                 [[site.route]]\npath = \"/*\"\nredirect = { to = \"https://shop.example/\", keep_rest = true }\n";
    let setup = scene
        .setup("[\"shop.example\"]", "challenges = [\"http-01\"]")
        .sites(sites);
    let proxy = setup.start().await;
    scene.is_at(&proxy).await;
    is_shown(&proxy, NAME).await;
    assert_eq!(proxy.get("/page").await.status, 302);
}

#[tokio::test]
async fn a_ca_that_is_away_for_a_while_is_asked_again() {
    let scene = Scene::new().await;
    scene.ca.will(|it| it.is_down = true);
    let proxy = scene.start("retry = \"300ms\"").await;
    eventually("a failure to be counted", async || {
        orders(&proxy, "unreachable").await >= 2.0
    })
    .await;
    assert!(shown(&proxy, NAME).await.is_none());
    scene.ca.will(|it| it.is_down = false);
    is_shown(&proxy, NAME).await;
    assert_eq!((scene.issued(), orders(&proxy, "issued").await), (1, 1.0));
}

#[tokio::test]
async fn a_restart_serves_at_once_while_the_ca_is_away() {
    let scene = Scene::new().await;
    let proxy = scene.start("").await;
    is_shown(&proxy, NAME).await;
    let before = shown(&proxy, NAME).await;
    drop(proxy);
    scene.ca.will(|it| it.is_down = true);
    let proxy = scene.start("").await;
    assert_eq!(shown(&proxy, NAME).await, before);
    assert_eq!(scene.ca.orders().len(), 1);
}

#[tokio::test]
async fn an_account_that_the_ca_has_forgotten_or_revoked_is_made_anew() {
    // RFC 8555 §7.3 has the one, §7.3.6 the other.
    for problem in ["accountDoesNotExist", "unauthorized"] {
        let scene = Scene::new().await;
        scene.ca.will(|it| it.lifetime = Duration::from_secs(6));
        let _proxy = scene.start("retry = \"300ms\"").await;
        scene.ca.has_issued(1).await;
        scene.ca.forget_accounts(problem);
        scene.ca.has_issued(2).await;
        assert_eq!(scene.ca.accounts().len(), 2, "{problem}");
    }
}

#[tokio::test]
async fn the_operator_is_told_how_each_name_stands() {
    let scene = Scene::new().await;
    let proxy = scene.start("").await;
    is_shown(&proxy, NAME).await;
    let told = status(&proxy).await;
    let (name, now) = (&told["shop.example"], unix_now());
    assert_eq!(name["issuer"], scene.ca.directory());
    assert_eq!(
        (&name["failures"], &name["trouble"]),
        (&0.into(), &serde_json::Value::Null)
    );
    // Ninety days, of which two thirds are sixty.
    let days = |key: &str| (name[key].as_u64().unwrap() - now) as f64 / DAY.as_secs_f64();
    assert!((89.9..90.1).contains(&days("not_after")), "{name}");
    assert!((56.9..60.1).contains(&days("next")), "{name}");
    let metrics = proxy.admin().await.get("/metrics").await.text();
    assert!(metrics.contains("copal_acme_next_order_seconds{name=\"shop.example\"}"));
    assert!(metrics.contains("copal_tls_certificate_not_after_seconds{name=\"shop.example\""));

    let refusing = Scene::new().await;
    refusing.ca.will(|it| it.refuses = true);
    let proxy = refusing.start("").await;
    eventually("the refusal to be told", async || {
        orders(&proxy, "refused").await >= 1.0
    })
    .await;
    let told = async || {
        let name = status(&proxy).await["shop.example"].clone();
        let trouble = name["trouble"].as_str().unwrap_or_default().to_owned();
        name["failures"] == 1 && trouble.contains("it is so (rejectedIdentifier)")
    };
    eventually("the reason to be told", told).await;
}

#[tokio::test]
async fn a_certificate_is_renewed_at_two_thirds_of_its_lifetime() {
    let scene = Scene::new().await;
    scene.ca.will(|it| it.lifetime = Duration::from_secs(6));
    let proxy = scene.start("").await;
    is_shown(&proxy, NAME).await;
    let (first, began) = (shown(&proxy, NAME).await, std::time::Instant::now());
    scene.ca.will(|it| it.lifetime = 90 * DAY);
    let renewed = async || shown(&proxy, NAME).await != first;
    eventually("another certificate to be shown", renewed).await;
    let took = began.elapsed().as_secs_f64();
    assert!((2.0..6.0).contains(&took), "{took}");
    assert_eq!(scene.ca.orders().len(), 2);
}

#[tokio::test]
async fn the_ca_says_when_it_wants_a_renewal_and_gets_no_orders_without_end() {
    let scene = Scene::new().await;
    // Two thirds would be 40 s; the CA wants back whatever it has given. It gets it, but not at once.
    scene
        .ca
        .will(|it| (it.lifetime, it.window) = (Duration::from_secs(60), Some((-7200, -3600))));
    let _proxy = scene.start("").await;
    scene.ca.has_issued(3).await;
    let orders = scene.ca.orders();
    assert!(orders[0].replaces.is_none());
    let replaced = orders[1].replaces.as_deref().unwrap_or_default();
    assert!(replaced.contains('.'), "{replaced}");
    assert!(orders.len() < 5, "{orders:?}");
    assert!(scene.ca.asked("ari") >= 2);
}

#[tokio::test]
async fn a_ca_that_is_asked_too_often_is_left_alone() {
    let scene = Scene::new().await;
    scene.ca.will(|it| it.rate_limit = Some(4));
    let began = std::time::Instant::now();
    let proxy = scene
        .start_for("[\"shop.example\", \"other.example\"]", "retry = \"100ms\"")
        .await;
    // What it says of one name holds for the other.
    eventually("the limit to be met", async || {
        orders(&proxy, "rate-limited").await >= 2.0
    })
    .await;
    scene.ca.will(|it| it.rate_limit = None);
    scene.ca.has_issued(2).await;
    assert!(
        began.elapsed() >= Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    // Nobody has knocked in between; a name whose time comes a moment before the other's counts itself.
    assert!(orders(&proxy, "rate-limited").await <= 4.0);
}

#[tokio::test]
async fn another_ca_is_asked_when_the_first_gives_nothing() {
    let (scene, second) = (Scene::new().await, Ca::start().await);
    scene.ca.will(|it| it.refuses = true);
    let (root, directory) = (
        second.write_root(&scene.folder, "second.pem"),
        second.directory(),
    );
    let proxy = scene
        .setup("[\"shop.example\"]", "")
        .table(
            "[acme.fallback]",
            &format!("directory = {directory:?}\nroots = {root:?}"),
        )
        .start()
        .await;
    let (http, tls) = (proxy.address().port(), port(&proxy).await);
    second.will(|it| (it.http, it.tls) = (http, tls));
    is_shown(&proxy, NAME).await;
    assert_eq!((scene.issued(), second.orders().len()), (0, 1));
    assert_eq!(orders(&proxy, "refused").await, 1.0);
}

#[tokio::test]
async fn profile_and_account_elsewhere_are_told() {
    let scene = Scene::new().await;
    scene.ca.will(|it| it.profiles = &["shortlived"]);
    let lines = "profile = \"shortlived\"\neab = { id = \"kid-7\", secret = \"c2VjcmV0LXNlY3JldC1zZWNyZXQ\" }";
    let proxy = scene.start(lines).await;
    is_shown(&proxy, NAME).await;
    assert_eq!(scene.ca.orders()[0].profile.as_deref(), Some("shortlived"));
    assert_eq!(scene.ca.accounts()[0].bound_to.as_deref(), Some("kid-7"));
}

#[tokio::test]
async fn several_proxies_on_one_folder_get_one_certificate() {
    for challenge in ["http-01", "tls-alpn-01"] {
        let scene = Scene::new().await;
        let lines = format!("challenges = [\"{challenge}\"]");
        let setup = || scene.setup("[\"shop.example\"]", &lines);
        let (one, two) = tokio::join!(setup().start(), setup().start());
        // Whoever has asked: the CA asks the other.
        scene.is_at(&two).await;
        is_shown(&one, NAME).await;
        is_shown(&two, NAME).await;
        assert_eq!(shown(&one, NAME).await, shown(&two, NAME).await);
        let (orders, accounts) = (scene.ca.orders(), scene.ca.accounts());
        assert_eq!((orders.len(), accounts.len()), (1, 1), "{challenge}");
    }
}

#[tokio::test]
async fn names_come_and_go_with_a_reload() {
    let scene = Scene::new().await;
    let folder = TempDir::new();
    let config = folder.path().join("config.toml");
    let proxy = scene.setup("[\"shop.example\"]", "").start_in(folder).await;
    scene.is_at(&proxy).await;
    is_shown(&proxy, NAME).await;
    let first = shown(&proxy, NAME).await;
    let text = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        text.replace(
            "[\"shop.example\"]",
            "[\"shop.example\", \"www.shop.example\"]",
        ),
    )
    .unwrap();
    proxy.sighup();
    scene.ca.has_issued(2).await;
    let other = async || shown(&proxy, "www.shop.example").await != first;
    eventually("the other certificate to be shown", other).await;
    assert_eq!(shown(&proxy, NAME).await, first);
    fs::write(
        &config,
        text.replace("[\"shop.example\"]", "[\"www.shop.example\"]"),
    )
    .unwrap();
    proxy.sighup();
    let gone = async || shown(&proxy, NAME).await != first;
    eventually("the certificate to be shown no more", gone).await;
    assert_eq!(scene.issued(), 2);
}

#[tokio::test]
async fn a_name_that_clients_bring_is_asked_about_first() {
    let scene = Scene::new().await;
    let asked = Origin::start(async |request, connection| {
        let is_ours = request
            .path
            .contains("domain=tenant.example&client=127%2E0%2E0%2E1");
        connection
            .respond(if is_ours { 200 } else { 404 }, &[], "")
            .await;
    });
    let table = format!("ask = \"{}/may\"\nremember_no = \"1m\"", asked.url());
    let proxy = scene
        .setup("[]", "")
        .table("acme.on_demand", &table)
        .start()
        .await;
    scene.is_at(&proxy).await;
    assert!(shown(&proxy, "stranger.example").await.is_none());
    assert!(shown(&proxy, "stranger.example").await.is_none());
    assert_eq!(asked.requests().len(), 1);
    assert!(shown(&proxy, "tenant.example").await.is_some());
    assert!(shown(&proxy, "tenant.example").await.is_some());
    assert_eq!((asked.requests().len(), scene.ca.orders().len()), (2, 1));
    drop(proxy);
    // It is known from the disk from now on.
    scene.ca.will(|it| it.is_down = true);
    let proxy = scene
        .setup("[]", "")
        .table("acme.on_demand", &table)
        .start()
        .await;
    assert!(shown(&proxy, "tenant.example").await.is_some());
    assert_eq!(asked.requests().len(), 2);
}

#[tokio::test]
async fn clients_bring_so_many_names_and_no_more() {
    let scene = Scene::new().await;
    let asked = Origin::answering(404, &[], "");
    let table = format!("ask = \"{}/may\"\nasks_per_client = 2", asked.url());
    let proxy = scene
        .setup("[]", "")
        .table("acme.on_demand", &table)
        .start()
        .await;
    for name in [
        "a.example",
        "b.example",
        "c.example",
        "d.example",
        "127.0.0.1",
    ] {
        assert!(shown(&proxy, name).await.is_none());
    }
    assert_eq!((asked.requests().len(), scene.ca.asked("order")), (2, 0));
}

#[tokio::test]
async fn a_newcomer_types_one_line() {
    let scene = Scene::new().await;
    let root = scene.ca.write_root(&scene.folder, "ca.pem");
    let (origin, directory, storage) = (scene.origin.url(), scene.ca.directory(), scene.storage());
    let arguments = [
        "--origin",
        &origin,
        "--domain",
        NAME,
        "--email",
        "ops@shop.example",
        "--listen",
        "127.0.0.1:0",
        "--https",
        "127.0.0.1:0",
        "--acme-directory",
        &directory,
        "--acme-roots",
        root.to_str().unwrap(),
        "--storage",
        storage.to_str().unwrap(),
    ];
    let proxy = Proxy::run(&arguments).await;
    scene.is_at(&proxy).await;
    is_shown(&proxy, NAME).await;
    let answer = proxy.get("/page?a=1").await;
    assert_eq!(
        (answer.status, answer.field("location")),
        (308, Some("https://example.test/page?a=1"))
    );
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_told_at_the_start() {
    let scene = Scene::new().await;
    let (origin, directory) = (scene.origin.url(), scene.ca.directory());
    let arguments = [
        "run",
        "--origin",
        &origin,
        "--domain",
        NAME,
        "--email",
        "a@shop.example",
        "--listen",
        "127.0.0.1:0",
        "--https",
        "127.0.0.1:0",
        "--acme-directory",
        &directory,
        "--storage",
        "/proc/copal",
    ];
    let output = command(&arguments, scene.folder.path()).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && told.contains("/proc/copal"),
        "{told}"
    );
}
