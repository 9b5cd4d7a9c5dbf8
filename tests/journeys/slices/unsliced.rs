//! Responses that are not kept in slices although their route says so.

use super::{
    FILE, FRESH, ONE, assert_part, assert_whole, files, get, range_of, ranges, serve, slicing,
};
use crate::harness::{Origin, http_date};

#[tokio::test]
async fn a_weak_tag_joins_nothing() {
    let origin = files(&[FRESH, ("etag", "W/\"1\"")]);
    let proxy = slicing(&origin).start().await;
    for _ in 0..2 {
        let response = get(&proxy, "bytes=70000-70009").await;
        assert_part(&response, 70000, 70009);
        assert!(
            !response.is_hit() && !response.says("stored"),
            "{}",
            response.head
        );
    }
    let own = "bytes=70000-70009".to_owned();
    assert_eq!(ranges(&origin), [range_of(1), own.clone(), own]);
    assert_whole(&proxy.get("/a").await, &FILE);
    let whole = proxy.get("/a").await;
    assert_whole(&whole, &FILE);
    assert!(
        whole.is_hit(),
        "as one piece it can be stored: {}",
        whole.head
    );
}

#[tokio::test]
async fn a_strong_date_joins_and_a_weak_one_does_not() {
    let now = http_date(0);
    for (modified, requests) in [(http_date(-3600), 1), (now.clone(), 3)] {
        let date = now.clone();
        let origin = Origin::start(async move |request, connection| {
            let fields = [
                FRESH,
                ("last-modified", modified.as_str()),
                ("date", date.as_str()),
            ];
            serve(request, connection, &FILE, &fields).await;
        });
        let proxy = slicing(&origin).start().await;
        for first in [70000, 70100] {
            let range = format!("bytes={first}-{}", first + 9);
            assert_part(&get(&proxy, &range).await, first, first + 9);
        }
        assert_eq!(origin.requests().len(), requests);
    }
}

#[tokio::test]
async fn what_must_not_be_stored_is_passed_as_it_was_asked_for() {
    let origin = files(&[("cache-control", "private"), ONE]);
    let proxy = slicing(&origin).start().await;
    let response = get(&proxy, "bytes=70000-70009").await;
    assert_part(&response, 70000, 70009);
    assert_eq!(
        ranges(&origin),
        [range_of(1), "bytes=70000-70009".to_owned()]
    );
    assert_whole(&proxy.get("/a").await, &FILE);
    assert_eq!(
        origin.last().field("range"),
        None,
        "the URL is known not to be shared"
    );
}

#[tokio::test]
async fn credentials_fetch_no_slices() {
    let origin = files(&[("cache-control", "public, max-age=60"), ONE]);
    let proxy = slicing(&origin).start().await;
    let fields = [
        ("range", "bytes=70000-70009"),
        ("authorization", "Basic YTpi"),
    ];
    assert_part(&proxy.get_with("/a", &fields).await, 70000, 70009);
    assert_eq!(ranges(&origin), ["bytes=70000-70009"]);
    assert_part(&get(&proxy, "bytes=70000-70009").await, 70000, 70009);
    let last = origin.last();
    assert_eq!(
        (last.field("range"), last.field("authorization")),
        (Some(range_of(1).as_str()), None)
    );
}

#[tokio::test]
async fn an_origin_without_ranges_makes_an_ordinary_object() {
    let origin = Origin::start(async |_, connection| {
        connection.respond(200, &[FRESH, ONE], &*FILE).await;
    });
    let proxy = slicing(&origin).start().await;
    assert_part(&get(&proxy, "bytes=300000-300009").await, 300000, 300009);
    assert_whole(&proxy.get("/a").await, &FILE);
    assert_eq!(ranges(&origin), [range_of(4)]);
}

/// A 206 that is all of it needs no validator: nothing is joined.
#[tokio::test]
async fn a_file_smaller_than_a_slice_is_an_ordinary_object() {
    let origin = Origin::start(async |request, connection| {
        serve(request, connection, b"hello", &[FRESH]).await;
    });
    let proxy = slicing(&origin).start().await;
    let first = proxy.get("/a").await;
    assert!(
        first.is_good("hello") && first.says("stored"),
        "{}",
        first.head
    );
    let hit = proxy.get_with("/a", &[("range", "bytes=1-2")]).await;
    assert!(
        hit.is_hit() && hit.status == 206 && hit.text() == "el",
        "{}",
        hit.head
    );
    assert_eq!(ranges(&origin), [range_of(0)]);
}

#[tokio::test]
async fn an_empty_file_is_an_ordinary_object() {
    let origin = Origin::start(async |request, connection| {
        serve(request, connection, b"", &[FRESH, ONE]).await;
    });
    let proxy = slicing(&origin).start().await;
    assert!(proxy.get("/a").await.is_good(""));
    assert!(proxy.get("/a").await.is_hit());
    assert_eq!(ranges(&origin), [range_of(0), "whole".to_owned()]);
}
