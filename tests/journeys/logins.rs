//! Logins by name and password: who gets in, what the origin sees of it, what is stored, and what becomes
//! of those who guess.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::harness::{
    Client, FRESH, Origin, Proxy, Response, Setup, TempDir, eventually, responses,
};

/// As `htpasswd -B` writes it: of "myPassword" and "U*U".
const USERS: &str = "\
# staff
anna:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC
bert:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW
";

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// A site with these users, and more keys of `basic_auth`.
fn guarded(origin: &Origin, folder: &TempDir, keys: &str) -> Setup {
    let file = folder.write("users", USERS).display().to_string();
    let site = format!(
        "
        [[site]]
        hosts = [\"*\"]
        origin = \"main\"
        basic_auth = {{ users = {file:?}, realm = \"Staff only\"{keys} }}
        route = [{{ path = \"/*\" }}, {{ path = \"/open/*\", basic_auth = \"off\" }}]
        "
    );
    Proxy::before(origin).sites(&site)
}

async fn get_as(client: &mut Client, path: &str, user: &str, password: &str) -> Response {
    let credentials = basic(user, password);
    client
        .get_with(path, &[("authorization", &credentials)])
        .await
}

fn is_asked(response: &Response, why: &str) -> bool {
    let challenge = "Basic realm=\"Staff only\", charset=\"UTF-8\"";
    response.status == 401
        && response.says(&format!("detail={why}"))
        && response.field("www-authenticate") == Some(challenge)
        && response.field("cache-control") == Some("no-store")
}

/// The gate is ours and asks each time, so its field says nothing of the answer: that is stored and
/// shared as any other.
#[tokio::test]
async fn who_knows_a_password_gets_in_and_shares_what_is_stored() {
    let (origin, folder) = (Origin::answering(200, FRESH, "hello"), TempDir::new());
    let proxy = guarded(&origin, &folder, "").start().await;
    let mut client = proxy.client().await;
    assert!(is_asked(&client.get("/a").await, "credentials-missing"));
    let wrong = get_as(&mut client, "/a", "anna", "guess").await;
    assert!(is_asked(&wrong, "credentials-wrong"), "{wrong:?}");
    let unknown = get_as(&mut client, "/a", "nobody", "myPassword").await;
    assert!(is_asked(&unknown, "credentials-wrong"), "{unknown:?}");
    assert_eq!(origin.requests().len(), 0);
    assert!(
        get_as(&mut client, "/a", "anna", "myPassword")
            .await
            .is_good("hello")
    );
    let again = get_as(&mut client, "/a", "anna", "myPassword").await;
    assert!(again.is_hit(), "{again:?}");
    let other = get_as(&mut client, "/a", "bert", "U*U").await;
    assert!(other.is_hit(), "{other:?}");
    assert_eq!(origin.last().field("authorization"), None);
    assert!(
        is_asked(&client.get("/a").await, "credentials-missing"),
        "a hit is guarded too"
    );
    let head = basic("anna", "myPassword");
    let mixed = [("authorization", &*head), ("authorization", "Bearer x")];
    assert!(is_asked(
        &client.get_with("/a", &mixed).await,
        "credentials-missing"
    ));
    assert!(client.get("/open/a").await.is_good("hello"));
    let counted = async || {
        proxy
            .metric("copal_turned_away_total", "credentials-wrong")
            .await
            == 2.0
    };
    eventually("two wrong passwords to be counted", counted).await;
}

/// RFC 9111 §3.5: what hangs on the field is not shared, unless its origin says that it may be.
#[tokio::test]
async fn an_origin_that_is_told_decides_itself() {
    let (origin, folder) = (Origin::answering(200, FRESH, "hello"), TempDir::new());
    let proxy = guarded(&origin, &folder, ", forward = true").start().await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let answer = get_as(&mut client, "/a", "anna", "myPassword").await;
        assert!(
            answer.is_good("hello") && answer.says("detail=authorization"),
            "{answer:?}"
        );
    }
    assert_eq!(origin.count("/a"), 2);
    let told = origin.last().field("authorization").map(str::to_owned);
    assert_eq!(told, Some(basic("anna", "myPassword")));
}

#[tokio::test]
async fn who_guesses_too_often_has_to_wait_and_nobody_else() {
    let (origin, folder) = (Origin::answering(200, FRESH, "hello"), TempDir::new());
    let proxy = guarded(&origin, &folder, ", failures = \"3/h\"")
        .start()
        .await;
    let mut client = proxy.client().await;
    // What is right takes nothing off.
    for _ in 0..5 {
        assert!(
            get_as(&mut client, "/a", "bert", "U*U")
                .await
                .is_good("hello")
        );
    }
    for guess in ["a", "b", "c"] {
        let wrong = get_as(&mut client, "/a", "anna", guess).await;
        assert!(is_asked(&wrong, "credentials-wrong"), "{wrong:?}");
    }
    let refused = get_as(&mut client, "/a", "anna", "myPassword").await;
    assert!(
        refused.status == 429 && refused.says("detail=too-many-failures"),
        "{refused:?}"
    );
    let wait: u64 = refused
        .field("retry-after")
        .and_then(|it| it.parse().ok())
        .expect("seconds");
    assert!((1..=1_200).contains(&wait), "{wait}");
    let known = get_as(&mut client, "/a", "bert", "U*U").await;
    assert!(
        known.is_hit(),
        "who is known to be right does not wait: {known:?}"
    );
    let mut other = Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), proxy.address()).await;
    assert!(
        get_as(&mut other, "/a", "anna", "myPassword")
            .await
            .is_hit()
    );
}

/// Were they proved one by one after they were counted, all of them would be heard.
#[tokio::test]
async fn many_guesses_at_once_are_no_more_than_one_after_another() {
    let (origin, folder) = (Origin::answering(200, FRESH, "hello"), TempDir::new());
    let proxy = guarded(&origin, &folder, ", failures = \"3/h\"")
        .start()
        .await;
    let mut clients = Vec::new();
    for number in 0..20 {
        let mut client = proxy.client().await;
        let credentials = basic("anna", &format!("guess{number}"));
        client
            .request("GET", "/a", &[("authorization", &credentials)])
            .await;
        clients.push(client);
    }
    let statuses: Vec<_> = responses(&mut clients)
        .await
        .iter()
        .map(|it| it.status)
        .collect();
    let heard = statuses.iter().filter(|it| **it == 401).count();
    assert_eq!(
        (heard, statuses.iter().filter(|it| **it == 429).count()),
        (3, 17)
    );
}

#[tokio::test]
async fn a_user_who_is_taken_out_is_out_with_the_reload() {
    let (origin, folder) = (Origin::answering(200, FRESH, "hello"), TempDir::new());
    let setup = guarded(&origin, &folder, "");
    let proxy = setup.start().await;
    let mut client = proxy.client().await;
    assert!(
        get_as(&mut client, "/a", "anna", "myPassword")
            .await
            .is_good("hello")
    );
    let bert = USERS.lines().last().expect("a user");
    folder.write("users", bert);
    proxy.sighup();
    let out = async || get_as(&mut client, "/a", "anna", "myPassword").await.status == 401;
    eventually("the users to be read again", out).await;
    folder.write("users", "anna:secret\n");
    proxy.sighup();
    proxy
        .says("users:1: site[0].basic_auth.users: is no hash of bcrypt")
        .await;
    assert!(
        get_as(&mut client, "/a", "bert", "U*U").await.is_hit(),
        "those before go on"
    );
}

/// Who may purge is told by its own networks.
#[tokio::test]
async fn a_purge_needs_no_login() {
    let (origin, folder) = (Origin::answering(200, FRESH, "hello"), TempDir::new());
    let setup = guarded(&origin, &folder, "");
    let proxy = setup
        .table("server", "purge_from = [\"127.0.0.0/8\"]")
        .start()
        .await;
    let mut client = proxy.client().await;
    assert!(
        get_as(&mut client, "/a", "anna", "myPassword")
            .await
            .is_good("hello")
    );
    assert_eq!(proxy.send("PURGE", "/a", &[]).await.status, 200);
    assert!(
        get_as(&mut client, "/a", "anna", "myPassword")
            .await
            .is_good("hello")
    );
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn the_log_names_who_has_logged_in() {
    let (origin, folder) = (Origin::answering(200, FRESH, "hello"), TempDir::new());
    let proxy = guarded(&origin, &folder, "")
        .table("log", "access = \"stdout\"\nformat = \"common\"")
        .start()
        .await;
    let mut client = proxy.client().await;
    get_as(&mut client, "/a", "anna", "guess").await;
    get_as(&mut client, "/a", "anna", "myPassword").await;
    let mut expected = String::new();
    for (user, status) in [("-", 401), ("anna", 200)] {
        write!(expected, "{user} {status};").unwrap();
    }
    let logged = async || {
        let lines = proxy.stdout();
        let lines = lines.iter().filter(|it| it.contains("GET /a"));
        let columns = lines.map(|it| it.split(' ').collect::<Vec<_>>());
        let said: String = columns.map(|it| format!("{} {};", it[2], it[8])).collect();
        said == expected
    };
    eventually("two lines with their users", logged).await;
}
