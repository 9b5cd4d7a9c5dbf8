//! Versions of a sliced object: slices of one are never joined with slices of another.

use std::sync::{Arc, Mutex};

use super::{
    BYTES, FILE, FRESH, ONE, OTHER, SLICE, STALE, assert_part, assert_whole, filed, files, get,
    range_of, ranges, serve, slicing,
};
use crate::harness::{End, Fields, Origin, eventually};

/// An origin whose file can be replaced.
fn changing(
    first: (&'static str, &'static str),
    second: Fields<'static>,
) -> (Origin, Arc<Mutex<bool>>) {
    let changed = Arc::new(Mutex::new(false));
    let is_changed = Arc::clone(&changed);
    let origin = Origin::start(async move |request, connection| {
        let is_changed = *is_changed.lock().expect("a flag");
        match is_changed {
            false => serve(request, connection, &FILE, &[first, ONE]).await,
            true => serve(request, connection, &OTHER, second).await,
        }
    });
    (origin, changed)
}

#[tokio::test]
async fn a_version_that_changes_between_slices_breaks_visibly_and_then_comes_whole() {
    let (origin, changed) = changing(FRESH, &[FRESH, ("etag", "\"2\"")]);
    let proxy = slicing(&origin).start().await;
    assert_part(&get(&proxy, "bytes=0-9").await, 0, 9);
    *changed.lock().expect("a flag") = true;
    let broken = proxy.get("/a").await;
    assert_eq!((broken.status, broken.end), (200, End::Truncated));
    assert!(
        broken.body == FILE[..broken.body.len()],
        "nothing of the new version"
    );
    let whole = proxy.get("/a").await;
    assert_whole(&whole, &OTHER);
    assert!(whole.says("fwd=uri-miss") && whole.field("etag") == Some("\"2\""));
    eventually("the old slices to go", async || {
        proxy.metric("copal_store_bytes", "").await < (BYTES + SLICE) as f64
    })
    .await;
}

/// An origin that heeds no If-Match is found out by what it sends.
#[tokio::test]
async fn slices_of_another_tag_length_or_kind_are_not_joined() {
    let wrong: [(&str, u16, Fields<'static>); 5] = [
        (
            "tag",
            206,
            &[
                ONE,
                ("content-range", "bytes 65536-131071/688128"),
                ("etag", "\"2\""),
            ],
        ),
        (
            "weak",
            206,
            &[
                ("content-range", "bytes 65536-131071/688128"),
                ("etag", "W/\"1\""),
            ],
        ),
        (
            "length",
            206,
            &[ONE, ("content-range", "bytes 65536-131071/688129")],
        ),
        (
            "place",
            206,
            &[ONE, ("content-range", "bytes 0-65535/688128")],
        ),
        ("no range", 200, &[ONE]),
    ];
    for (what, status, fields) in wrong {
        let fields = if what == "tag" { &fields[1..] } else { fields };
        let origin = Origin::start(async move |request, connection| {
            match request.field("range") == Some(&range_of(1)) && request.nth < 4 {
                true => {
                    connection
                        .respond(
                            status,
                            &[fields, &[FRESH]].concat(),
                            &FILE[SLICE..2 * SLICE],
                        )
                        .await
                }
                false => serve(request, connection, &FILE, &[FRESH, ONE]).await,
            }
        });
        let proxy = slicing(&origin).start().await;
        get(&proxy, "bytes=0-9").await;
        let broken = get(&proxy, "bytes=70000-70009").await;
        assert_eq!((broken.status, broken.end), (206, End::Truncated), "{what}");
        assert_eq!(broken.text(), "", "{what}");
        let next = get(&proxy, "bytes=0-9").await;
        assert!(!next.is_hit(), "{what}: the object is gone");
    }
}

/// An origin that is out of order for a moment says nothing of the version.
#[tokio::test]
async fn a_slice_that_fails_breaks_its_reader_and_nothing_else() {
    let origin = Origin::start(async |request, connection| match request.nth {
        2 => connection.respond(503, &[], "no").await,
        3 => {
            let fields = [
                ONE,
                ("content-range", "bytes 65536-131071/688128"),
                ("content-length", "65536"),
            ];
            connection
                .begin(206, &[&fields[..], &[FRESH]].concat())
                .await;
            connection.send(&FILE[SLICE..SLICE + 9]).await;
            connection.close();
        }
        _ => serve(request, connection, &FILE, &[FRESH, ONE]).await,
    });
    let proxy = slicing(&origin).start().await;
    get(&proxy, "bytes=0-9").await;
    for _ in 0..2 {
        let broken = get(&proxy, "bytes=65536-70009").await;
        assert_eq!((broken.status, broken.end), (206, End::Truncated));
    }
    assert_part(&get(&proxy, "bytes=65536-70009").await, 65536, 70009);
    let first = get(&proxy, "bytes=0-9").await;
    assert!(first.is_hit(), "{}", first.head);
    assert_eq!(origin.requests().len(), 4);
}

#[tokio::test]
async fn a_304_confirms_a_sliced_object_with_all_its_slices() {
    let origin = files(&[STALE, ONE]);
    let proxy = slicing(&origin).start().await;
    assert_part(&get(&proxy, "bytes=0-9").await, 0, 9);
    let confirmed = get(&proxy, "bytes=10-19").await;
    assert_part(&confirmed, 10, 19);
    assert!(confirmed.says("fwd-status=304"), "{}", confirmed.head);
    let last = origin.last();
    assert_eq!(last.field("if-none-match"), Some("\"1\""));
    assert_eq!(last.field("range"), Some(range_of(0).as_str()));
    assert_part(&get(&proxy, "bytes=70000-70009").await, 70000, 70009);
    assert_eq!(
        ranges(&origin),
        [range_of(0), range_of(0), range_of(1), range_of(1)]
    );
}

#[tokio::test]
async fn a_stale_version_gives_way_to_the_slice_of_a_new_one() {
    let (origin, changed) = changing(STALE, &[FRESH, ("etag", "\"2\"")]);
    let proxy = slicing(&origin).start().await;
    get(&proxy, "bytes=0-9").await;
    *changed.lock().expect("a flag") = true;
    let response = get(&proxy, "bytes=70000-70009").await;
    assert!(response.status == 206 && response.body == OTHER[70000..70010]);
    assert_eq!(ranges(&origin), [range_of(0), range_of(1)]);
    assert_whole(&proxy.get("/a").await, &OTHER);
}

/// nginx's slices do not work with its background updates.
#[tokio::test]
async fn a_stale_version_in_its_grace_is_replaced_behind_its_readers() {
    let (origin, changed) = changing(
        ("cache-control", "max-age=0, stale-while-revalidate=60"),
        &[FRESH, ("etag", "\"2\"")],
    );
    let proxy = slicing(&origin).start().await;
    assert_part(&get(&proxy, "bytes=0-9").await, 0, 9);
    filed(&proxy).await;
    *changed.lock().expect("a flag") = true;
    let stale = get(&proxy, "bytes=0-9").await;
    assert_part(&stale, 0, 9);
    assert!(
        stale.says("detail=stale-while-revalidate"),
        "{}",
        stale.head
    );
    eventually("the new version", async || {
        let response = get(&proxy, "bytes=0-9").await;
        response.is_hit() && response.body == OTHER[..10]
    })
    .await;
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn an_origin_that_a_reload_has_replaced_is_not_held_on_to() {
    let old = files(&[FRESH, ONE]);
    let new = files(&[FRESH, ONE]);
    let proxy = slicing(&old).start().await;
    assert_part(&get(&proxy, "bytes=0-9").await, 0, 9);
    filed(&proxy).await;
    drop(old);
    let broken = get(&proxy, "bytes=70000-70009").await;
    assert_eq!((broken.status, broken.end), (206, End::Truncated));
    assert!(get(&proxy, "bytes=0-9").await.is_hit());
    proxy.configure(&slicing(&new));
    proxy.sighup();
    eventually("the new origin", async || {
        get(&proxy, "bytes=70000-70009").await.end == End::Clean
    })
    .await;
    assert_part(&get(&proxy, "bytes=70000-70009").await, 70000, 70009);
    assert_eq!(ranges(&new), [range_of(1)]);
}
