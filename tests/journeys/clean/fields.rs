//! Fields that an origin might take for others.

use crate::harness::{FRESH, Fields, Origin, Proxy};

const MIMICS: Fields = &[
    ("Content_Length", "5"),
    ("Transfer_Encoding", "chunked"),
    ("X_Forwarded_For", "10.0.0.1"),
    ("X-Forwarded_Host", "evil.test"),
    ("Client_Cert", ":AA==:"),
    ("X_Real_IP", "10.0.0.1"),
    ("X_Original_URL", "/admin"),
    ("X_Request_Id", "1"),
    ("X_User", "root"),
    ("Proxy", "http://evil.test"),
    ("Surrogate-Capability", "evil=\"ESI/1.0\""),
];

const SITE: &str = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n\
                    [[site.route]]\npath = \"/*\"\n\
                    request_fields = { set = { x-user = \"nobody\" } }\n";

#[tokio::test]
async fn what_mimics_our_fields_is_dropped() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::before(&origin).sites(SITE).start().await;
    let mut fields = MIMICS.to_vec();
    fields.extend([("x_tenant", "a"), ("api_key", "b")]);
    for method in ["GET", "OPTIONS"] {
        assert_eq!(proxy.send(method, "/a", &fields).await.status, 200);
        let seen = origin.last();
        for (name, _) in MIMICS {
            assert_eq!(seen.field(name), None, "{method} {name}");
        }
        assert_eq!(seen.field("x_tenant"), Some("a"));
        assert_eq!(seen.field("api_key"), Some("b"));
        assert_eq!(seen.field("x-user"), Some("nobody"));
    }
}

#[tokio::test]
async fn what_is_allowed_goes_on() {
    let origin = Origin::answering(200, FRESH, "hello");
    let server = "allow_fields = [\"x_user\", \"surrogate-capability\"]";
    let setup = Proxy::before(&origin).sites(SITE);
    let proxy = setup.table("server", server).start().await;
    proxy.get_with("/a", MIMICS).await;
    let seen = origin.last();
    assert_eq!(seen.field("x_user"), Some("root"));
    assert!(seen.field("surrogate-capability").is_some());
    assert_eq!(seen.field("proxy"), None);
    assert_eq!(seen.field("content_length"), None);
}
