//! Signed URLs: one operation on one object, for a limited time.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use isobar::blob::{PutMode, PutOptions, SignedUrl};
use isobar::{ErrorKind, TestResponse};

use super::{content, keys_of, text};
use crate::{HarnessResult, TrialResult, World};

crate::trials![
    "BL-13" => a_signed_get_returns_the_object,
    "BL-13" => a_signed_get_returns_type_and_cache_control,
    "BL-13" => a_signed_put_writes_the_object,
    "BL-13" => a_signed_put_takes_more_than_a_request_of_the_app_may_hold,
    "BL-13" => signed_urls_of_strange_keys_reach_just_their_objects,
    "BL-13" => a_url_for_get_cannot_write_and_one_for_put_cannot_read,
    "BL-13" => a_signed_url_is_refused_once_it_has_expired,
    "BL-13" => a_signed_url_is_refused_with_another_signature_or_none,
    "BL-13" => the_signature_of_one_object_is_refused_for_another,
    "BL-13" => a_signed_url_lives_from_one_second_to_seven_days,
    "BL-13" => a_signed_get_of_an_absent_object_finds_nothing,
];

const MINUTE: Duration = Duration::from_secs(60);

async fn send(
    world: &dyn World,
    method: Method,
    url: &SignedUrl,
    body: impl Into<Bytes>,
) -> HarnessResult<TestResponse> {
    let mut request = Request::builder().method(method).uri(url.url.as_str());
    for (name, value) in &url.headers {
        request = request.header(name, value);
    }
    world.fetch(request.body(body.into()).expect("a request")).await
}

/// Services refuse with 403, and some with 400 or 401 where the signature cannot be read.
fn is_refused(response: &TestResponse) -> bool {
    [400, 401, 403].contains(&response.status.as_u16())
}

async fn a_signed_get_returns_the_object(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let whole = content(100_001);
    files.put("a", whole.clone()).await?;
    let url = files.signed_get("a", MINUTE).await?;
    for _ in 0..2 {
        let response = send(&*world, Method::GET, &url, "").await?;
        assert_eq!(response.status, 200);
        assert!(response.body == whole, "the content is another");
    }
    files.put("a", "new").await?;
    assert_eq!(send(&*world, Method::GET, &url, "").await?.body, "new");
    Ok(())
}

async fn a_signed_get_returns_type_and_cache_control(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let options = PutOptions::default().with_content_type("image/svg+xml").with_cache_control("max-age=60");
    files.put_with("a", "<svg/>", options).await?;
    let response = send(&*world, Method::GET, &files.signed_get("a", MINUTE).await?, "").await?;
    assert_eq!(response.header("content-type"), Some("image/svg+xml"));
    assert_eq!(response.header("cache-control"), Some("max-age=60"));
    Ok(())
}

async fn a_signed_put_writes_the_object(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    for (key, body) in [("new", Bytes::from_static(b"hello")), ("new", content(70_000)), ("empty", Bytes::new())] {
        let url = files.signed_put(key, MINUTE).await?;
        let response = send(&*world, Method::PUT, &url, body.clone()).await?;
        assert!(response.status.is_success(), "{}: {}", response.status, response.text());
        assert!(files.get(key).await?.bytes().await? == body, "the content is another");
    }
    assert_eq!(keys_of(&files, "").await?, ["empty", "new"]);
    Ok(())
}

async fn a_signed_put_takes_more_than_a_request_of_the_app_may_hold(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let large = content(6_000_000);
    assert!(large.len() as u64 > isobar::driver::Limits::PORTABLE.request_bytes);
    let put = files.signed_put("large", MINUTE).await?;
    assert!(send(&*world, Method::PUT, &put, large.clone()).await?.status.is_success());
    let get = files.signed_get("large", MINUTE).await?;
    assert!(send(&*world, Method::GET, &get, "").await?.body == large, "the content is another");
    Ok(())
}

async fn signed_urls_of_strange_keys_reach_just_their_objects(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let keys = [
        "a b/c+d",
        "ü/\u{1f600}.png",
        "a?b=c&d",
        "a#b",
        "100%",
        "a%2Fb",
        "a//../b",
        "/abs",
        "a/",
        "\\",
        "'\"<>",
        "a\nb",
        "$a:@b;,",
    ];
    for key in keys {
        let put = files.signed_put(key, MINUTE).await?;
        let response = send(&*world, Method::PUT, &put, key.to_owned()).await?;
        assert!(response.status.is_success(), "{key:?}: {}", response.status);
        assert_eq!(text(&files, key).await?, key);
        let get = files.signed_get(key, MINUTE).await?;
        assert_eq!(send(&*world, Method::GET, &get, "").await?.text(), key);
    }
    assert_eq!(files.list("").all().await?.len(), keys.len());
    Ok(())
}

async fn a_url_for_get_cannot_write_and_one_for_put_cannot_read(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "old").await?;
    let (get, put) = (files.signed_get("a", MINUTE).await?, files.signed_put("a", MINUTE).await?);
    for (method, url) in [
        (Method::PUT, &get),
        (Method::POST, &get),
        (Method::DELETE, &get),
        (Method::GET, &put),
        (Method::POST, &put),
        (Method::DELETE, &put),
    ] {
        let response = send(&*world, method.clone(), url, "new").await?;
        assert!(response.status.is_client_error(), "{method}: {}", response.status);
        assert!(!response.text().contains("old"), "{method} shows the content");
        assert_eq!(text(&files, "a").await?, "old", "{method} wrote");
    }
    Ok(())
}

async fn a_signed_url_is_refused_once_it_has_expired(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "old").await?;
    let (get, put) = (files.signed_get("a", MINUTE).await?, files.signed_put("a", MINUTE).await?);
    let longer = files.signed_get("a", MINUTE * 10).await?;
    world.advance(MINUTE - Duration::from_secs(1))?;
    assert_eq!(send(&*world, Method::GET, &get, "").await?.body, "old");
    world.advance(Duration::from_secs(2))?;
    let response = send(&*world, Method::GET, &get, "").await?;
    assert!(is_refused(&response) && !response.text().contains("old"), "{}", response.status);
    assert!(is_refused(&send(&*world, Method::PUT, &put, "new").await?));
    assert_eq!(text(&files, "a").await?, "old");
    assert_eq!(send(&*world, Method::GET, &longer, "").await?.body, "old");
    Ok(())
}

/// The URL with one character in the middle of its longest parameter changed.
fn tampered(url: &SignedUrl) -> SignedUrl {
    let (head, query) = url.url.split_once('?').expect("the permission is in the query");
    let longest = query.split('&').max_by_key(|parameter| parameter.len()).expect("a parameter");
    let place = longest.find('=').map_or(0, |equals| (equals + longest.len()) / 2);
    let changed: String = longest.char_indices().map(|(at, old)| if at == place { other(old) } else { old }).collect();
    let mut tampered = url.clone();
    tampered.url = format!("{head}?{}", query.replace(longest, &changed));
    assert_ne!(tampered.url, url.url);
    tampered
}

fn other(character: char) -> char {
    if character == '1' { '2' } else { '1' }
}

async fn a_signed_url_is_refused_with_another_signature_or_none(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "old").await?;
    let (get, put) = (files.signed_get("a", MINUTE).await?, files.signed_put("a", MINUTE).await?);
    let bare = |url: &SignedUrl| {
        let mut bare = url.clone();
        bare.url.truncate(url.url.find('?').unwrap());
        bare
    };
    for (method, url) in [
        (Method::GET, tampered(&get)),
        (Method::PUT, tampered(&put)),
        (Method::GET, bare(&get)),
        (Method::PUT, bare(&put)),
    ] {
        let response = send(&*world, method.clone(), &url, "new").await?;
        assert!(response.status.is_client_error(), "{method}: {}", response.status);
        assert!(!response.text().contains("old"), "{method} shows the content");
    }
    assert_eq!(text(&files, "a").await?, "old");
    Ok(())
}

/// The place that one URL names with the permission of another.
fn crossed(place: &SignedUrl, permission: &SignedUrl) -> SignedUrl {
    let (head, _) = place.url.split_once('?').expect("the permission is in the query");
    let (_, query) = permission.url.split_once('?').expect("the permission is in the query");
    let mut crossed = permission.clone();
    crossed.url = format!("{head}?{query}");
    crossed
}

async fn the_signature_of_one_object_is_refused_for_another(world: Box<dyn World>) -> TrialResult {
    let (files, others) = (world.cloud().bucket("files"), world.cloud().bucket("others"));
    files.put("a", "mine").await?;
    for (bucket, key) in [(&files, "b"), (&files, "a/b"), (&files, "A"), (&others, "a")] {
        bucket.put(key, "secret").await?;
        let get = crossed(&bucket.signed_get(key, MINUTE).await?, &files.signed_get("a", MINUTE).await?);
        let response = send(&*world, Method::GET, &get, "").await?;
        assert!(is_refused(&response), "{} {key}: {}", bucket.name(), response.status);
        let put = crossed(&bucket.signed_put(key, MINUTE).await?, &files.signed_put("a", MINUTE).await?);
        assert!(is_refused(&send(&*world, Method::PUT, &put, "new").await?), "{key}");
        assert_eq!(text(bucket, key).await?, "secret");
    }
    assert_eq!(text(&files, "a").await?, "mine");
    Ok(())
}

async fn a_signed_url_lives_from_one_second_to_seven_days(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    files.put("a", "x").await?;
    let longest = Duration::from_secs(7 * 24 * 3600);
    for life in [Duration::ZERO, Duration::from_millis(999), longest + Duration::from_secs(1), Duration::MAX] {
        assert_eq!(files.signed_get("a", life).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{life:?}");
        assert_eq!(files.signed_put("a", life).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{life:?}");
    }
    for life in [Duration::from_secs(1), longest] {
        let url = files.signed_get("a", life).await?;
        assert_eq!(send(&*world, Method::GET, &url, "").await?.body, "x", "{life:?}");
    }
    Ok(())
}

async fn a_signed_get_of_an_absent_object_finds_nothing(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let url = files.signed_get("later", MINUTE).await?;
    let status = send(&*world, Method::GET, &url, "").await?.status;
    assert!(status.is_client_error(), "{status}");
    files.put("other", "x").await?;
    files.copy("other", "later", PutMode::Create).await?;
    assert_eq!(send(&*world, Method::GET, &url, "").await?.body, "x");
    Ok(())
}
