//! A configuration of several files, and of variables of the environment.

use std::fs;

use crate::harness::{Proxy, TempDir, command, named};

#[tokio::test]
async fn included_files_are_served_and_read_again() {
    let (main, shop) = (named("main"), named("shop"));
    let folder = TempDir::new();
    let parts = folder.path().join("conf.d");
    fs::create_dir(&parts).expect("a folder");
    let site = |host: &str, origin: &str| {
        format!("[[site]]\nhosts = [\"{host}\"]\norigin = \"{origin}\"\n")
    };
    fs::write(parts.join("10-main.toml"), site("main.test", "main")).expect("a file");
    let table = format!("[origins.shop]\nservers = [\"{}\"]\n", shop.url());
    let shop_file = parts.join("20-shop.toml");
    fs::write(&shop_file, table + &site("shop.test", "shop")).expect("a file");
    fs::write(parts.join(".20-shop.toml.swp"), "no toml").expect("a file");
    let setup = || {
        let setup = Proxy::before(&main).top("include = [\"conf.d/*.toml\"]");
        setup.sites("")
    };
    let proxy = setup().start_in(folder).await;
    for (host, body) in [("main.test", "main"), ("shop.test", "shop")] {
        let response = proxy.get_with("/a", &[("host", host)]).await;
        assert!(response.is_good(body), "{host}: {response:?}");
    }
    fs::write(parts.join("30-new.toml"), site("new.test", "shop")).expect("a file");
    proxy.reload(&setup()).await;
    let response = proxy.get_with("/a", &[("host", "new.test")]).await;
    assert!(response.is_good("shop"), "{response:?}");
    fs::remove_file(&shop_file).expect("a file");
    let mut admin = proxy.admin().await;
    let refused = admin.send_body("POST", "/api/v1/reload", "").await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let said = refused.text();
    assert!(
        said.contains("conf.d/30-new.toml:3: site[1].origin"),
        "{said}"
    );
    let still = proxy.get_with("/b", &[("host", "shop.test")]).await;
    assert!(still.is_good("shop"), "{still:?}");
}

#[tokio::test]
async fn variables_of_the_environment_are_filled_in() {
    let main = named("main");
    let proxy = Proxy::before_url("${env.COPAL_STORY_URL}")
        .environment("COPAL_STORY_URL", &main.url())
        .environment("COPAL_STORY_EMPTY", "")
        .top("name = \"edge-${env.COPAL_STORY_EMPTY:-7}\"")
        .start()
        .await;
    let response = proxy.get("/a").await;
    assert!(response.is_good("main"), "{response:?}");
    assert_eq!(response.head.fields("via"), ["1.1 edge-7"]);
}

#[tokio::test]
async fn a_variable_that_is_not_set_is_a_mistake_at_its_place() {
    let folder = TempDir::new();
    let text = "[[listen]]\naddress = \"127.0.0.1:0\"\n[admin]\ntoken = \"${env.COPAL_STORY_UNSET}\"\n\
                [origins.a]\nservers = [\"http://127.0.0.1:1\"]\n[[site]]\nhosts = [\"*\"]\norigin = \"a\"\n";
    folder.write("config.toml", text);
    let output = command(&["check"], folder.path()).await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "config.toml:4: admin.token: the environment has no COPAL_STORY_UNSET; set it, or write \
         `${env.COPAL_STORY_UNSET:-default}`\n"
    );
}
