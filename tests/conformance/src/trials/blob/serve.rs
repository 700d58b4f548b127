//! Objects over HTTP, as a web server serves them.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use isobar::TestResponse;
use isobar::blob::{Bucket, GetOptions, PutOptions};
use isobar::clock;
use isobar::driver::Limits;
use isobar::prelude::*;

use super::content;
use crate::{HarnessResult, RunningApp, TrialResult, World};

crate::trials![
    "BL-23" => an_object_is_served_with_its_headers_and_head_has_the_same,
    "BL-23" => an_object_is_a_response_by_itself,
    "BL-23" => one_range_is_a_part_and_several_are_the_whole,
    "BL-23" => a_range_without_a_byte_of_the_object_is_416_with_its_size,
    "BL-23" => an_object_that_the_client_has_is_304_until_it_is_written,
    "BL-23" => a_range_of_another_version_is_the_whole,
    "BL-23" => a_large_object_is_a_redirect_to_a_signed_url_where_asked,
    "BL-23" => a_lifetime_that_no_url_has_is_a_fault_of_the_app,
    "BL-23" => content_of_users_is_served_in_a_sandbox,
    "BL-23" => an_absent_object_is_404,
];

async fn served(
    State(files): State<Bucket>,
    Path(key): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    files.serve(key).request(&method, &headers).await
}

async fn redirected(
    State(files): State<Bucket>,
    Path(key): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    files.serve(key).request(&method, &headers).redirect_large(Duration::from_secs(60)).await
}

async fn forever(State(files): State<Bucket>, Path(key): Path<String>) -> Result<Response> {
    files.serve(key).redirect_large(Duration::from_secs(7 * 86_400 + 1)).await
}

async fn sandboxed(State(files): State<Bucket>, Path(key): Path<String>, headers: HeaderMap) -> Result<Response> {
    files.serve(key).request(&Method::GET, &headers).sandboxed().await
}

/// Starts an app that serves bucket `files`.
async fn server(world: &dyn World) -> HarnessResult<(Box<dyn RunningApp>, Bucket)> {
    let app = world.run_on_any_host(|cloud| {
        let files = cloud.bucket("files").read_only();
        let object = async |State(files): State<Bucket>| files.get("a").await;
        let part =
            async |State(files): State<Bucket>| files.get_with("a", GetOptions::default().with_range(1..3)).await;
        let body =
            async |State(files): State<Bucket>| files.get("a").await.map(|object| Response::new(object.into_body()));
        let routes = Router::new().route("/served/{key}", get(served)).route("/redirected/{key}", get(redirected));
        let routes = routes.route("/forever/{key}", get(forever)).route("/sandboxed/{key}", get(sandboxed));
        let routes = routes.route("/object", get(object)).route("/part", get(part)).route("/body", get(body));
        App::new("server").http(routes.with_state(files))
    });
    Ok((app.await?, world.cloud().bucket("files")))
}

async fn ask(
    app: &dyn RunningApp,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> HarnessResult<TestResponse> {
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    app.http(request.body(Body::empty()).expect("a request")).await
}

async fn an_object_is_served_with_its_headers_and_head_has_the_same(world: Box<dyn World>) -> TrialResult {
    let (app, files) = server(&*world).await?;
    let options = PutOptions::default().with_content_type("image/svg+xml").with_cache_control("max-age=60");
    files.put_with("typed", "<svg/>", options).await?;
    files.put("plain", "hello").await?;
    for (key, content_type, cache_control, body) in
        [("typed", "image/svg+xml", Some("max-age=60"), "<svg/>"), ("plain", "application/octet-stream", None, "hello")]
    {
        for method in [Method::GET, Method::HEAD] {
            let answer = ask(&*app, method.clone(), &format!("/served/{key}"), &[]).await?;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.text(), if method == Method::GET { body } else { "" });
            assert_eq!(answer.header("content-length"), Some(body.len().to_string().as_str()), "{method}");
            assert_eq!(answer.header("content-type"), Some(content_type));
            assert_eq!(answer.header("cache-control"), cache_control);
            assert_eq!(answer.header("accept-ranges"), Some("bytes"));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("content-security-policy"), None);
            let (tag, version) = (answer.header("etag").unwrap(), files.head(key).await?.version);
            assert_eq!(tag.trim_matches('"'), version.as_str().trim_matches('"'));
            assert!(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
            let modified = clock::parse(answer.header("last-modified").unwrap()).unwrap();
            assert!(files.head(key).await?.modified.duration_since(modified)? < Duration::from_secs(1));
        }
    }
    Ok(())
}

async fn an_object_is_a_response_by_itself(world: Box<dyn World>) -> TrialResult {
    let (app, files) = server(&*world).await?;
    files.put_with("a", "hello", PutOptions::default().with_content_type("text/plain")).await?;
    let answer = app.get("/object").await?;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "hello"));
    assert_eq!((answer.header("content-type"), answer.header("content-length")), (Some("text/plain"), Some("5")));
    assert_eq!(answer.header("content-range"), None);
    let answer = app.get("/part").await?;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (206, "el"));
    assert_eq!((answer.header("content-range"), answer.header("content-length")), (Some("bytes 1-2/5"), Some("2")));
    let answer = app.get("/body").await?;
    assert_eq!((answer.text().as_str(), answer.header("content-length")), ("hello", Some("5")));
    Ok(())
}

async fn one_range_is_a_part_and_several_are_the_whole(world: Box<dyn World>) -> TrialResult {
    let (app, files) = server(&*world).await?;
    files.put("a", "0123456789").await?;
    for (range, content_range, body) in [
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=0-0", "bytes 0-0/10", "0"),
        ("bytes=0-", "bytes 0-9/10", "0123456789"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-3", "bytes 7-9/10", "789"),
        ("bytes=-100", "bytes 0-9/10", "0123456789"),
        ("bytes=8-99999999999999999999", "bytes 8-9/10", "89"),
        ("bytes=8-18446744073709551615", "bytes 8-9/10", "89"),
        ("bytes=8-18446744073709551614", "bytes 8-9/10", "89"),
        ("bytes=8-9223372036854775807", "bytes 8-9/10", "89"),
        ("bytes=8-9223372036854775806", "bytes 8-9/10", "89"),
        ("bytes=-18446744073709551615", "bytes 0-9/10", "0123456789"),
        ("bytes=-9223372036854775808", "bytes 0-9/10", "0123456789"),
        ("bytes=-9223372036854775807", "bytes 0-9/10", "0123456789"),
    ] {
        let answer = ask(&*app, Method::GET, "/served/a", &[("range", range)]).await?;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (206, body), "{range}");
        assert_eq!(answer.header("content-range"), Some(content_range), "{range}");
        assert_eq!(answer.header("content-length"), Some(body.len().to_string().as_str()), "{range}");
    }
    for (method, range) in [
        (Method::GET, "bytes=0-1,4-5"),
        (Method::GET, "bytes=4-2"),
        (Method::GET, "bytes=x"),
        (Method::GET, "lines=1-2"),
        (Method::HEAD, "bytes=2-4"),
    ] {
        let answer = ask(&*app, method, "/served/a", &[("range", range)]).await?;
        assert_eq!((answer.status.as_u16(), answer.header("content-length")), (200, Some("10")), "{range}");
        assert_eq!(answer.header("content-range"), None, "{range}");
    }
    Ok(())
}

async fn a_range_without_a_byte_of_the_object_is_416_with_its_size(world: Box<dyn World>) -> TrialResult {
    let (app, files) = server(&*world).await?;
    files.put("a", "hello").await?;
    files.put("empty", "").await?;
    for (key, range, content_range) in [
        ("a", "bytes=5-", "bytes */5"),
        ("a", "bytes=7-9", "bytes */5"),
        ("a", "bytes=-0", "bytes */5"),
        ("a", "bytes=99999999999999999999-", "bytes */5"),
        ("empty", "bytes=0-", "bytes */0"),
        ("empty", "bytes=0-4", "bytes */0"),
        ("empty", "bytes=-1", "bytes */0"),
    ] {
        let answer = ask(&*app, Method::GET, &format!("/served/{key}"), &[("range", range)]).await?;
        assert_eq!((answer.status.as_u16(), answer.header("content-range")), (416, Some(content_range)), "{range}");
    }
    assert_eq!(app.get("/served/empty").await?.status, 200);
    Ok(())
}

async fn an_object_that_the_client_has_is_304_until_it_is_written(world: Box<dyn World>) -> TrialResult {
    let (app, files) = server(&*world).await?;
    files.put_with("a", "old", PutOptions::default().with_cache_control("max-age=60")).await?;
    let first = app.get("/served/a").await?;
    let (tag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    let (other, list) = ("\"another\"", format!("\"another\", W/{tag}"));
    for (method, headers, expected) in [
        (Method::GET, vec![("if-none-match", tag)], 304),
        (Method::HEAD, vec![("if-none-match", tag)], 304),
        (Method::GET, vec![("if-none-match", &list)], 304),
        (Method::GET, vec![("if-none-match", "*")], 304),
        (Method::GET, vec![("if-none-match", tag), ("range", "bytes=0-0")], 304),
        (Method::GET, vec![("if-modified-since", modified)], 304),
        (Method::GET, vec![("if-none-match", other)], 200),
        (Method::GET, vec![("if-none-match", other), ("if-modified-since", modified)], 200),
        (Method::GET, vec![("if-modified-since", "Fri, 28 Aug 2020 00:00:00 GMT")], 200),
        (Method::GET, vec![("if-modified-since", "yesterday")], 200),
    ] {
        let answer = ask(&*app, method, "/served/a", &headers).await?;
        assert_eq!(answer.status, expected, "{headers:?}");
        assert_eq!((answer.header("etag"), answer.header("cache-control")), (Some(tag), Some("max-age=60")));
        assert_eq!(answer.text(), if expected == 200 { "old" } else { "" });
    }
    files.put("a", "new").await?;
    assert_eq!(ask(&*app, Method::GET, "/served/a", &[("if-none-match", tag)]).await?.text(), "new");
    Ok(())
}

async fn a_range_of_another_version_is_the_whole(world: Box<dyn World>) -> TrialResult {
    let (app, files) = server(&*world).await?;
    files.put("a", "first").await?;
    let first = app.get("/served/a").await?;
    let (tag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    let weak = format!("W/{tag}");
    for (range, if_range, status, body) in [
        ("bytes=1-2", tag, 206, "ir"),
        ("bytes=1-2", modified, 206, "ir"),
        ("bytes=9-", tag, 416, ""),
        ("bytes=1-2", &weak, 200, "first"),
        ("bytes=1-2", "Fri, 28 Aug 2020 00:00:00 GMT", 200, "first"),
        ("bytes=9-", "\"another\"", 200, "first"),
    ] {
        let answer = ask(&*app, Method::GET, "/served/a", &[("range", range), ("if-range", if_range)]).await?;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (status, body), "{range} if {if_range}");
    }
    files.put("a", "second").await?;
    let answer = ask(&*app, Method::GET, "/served/a", &[("range", "bytes=1-2"), ("if-range", tag)]).await?;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "second"));
    Ok(())
}

async fn a_large_object_is_a_redirect_to_a_signed_url_where_asked(world: Box<dyn World>) -> TrialResult {
    let (app, files) = server(&*world).await?;
    let limit = Limits::PORTABLE.response_bytes as usize;
    let large = content(limit + 1);
    files.put("large", large.clone()).await?;
    files.put("small", large.slice(..limit)).await?;

    let answer = app.get("/redirected/large").await?;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (307, Some("no-store")));
    let url = answer.header("location").unwrap();
    let fetched = world.fetch(Request::get(url).body(Bytes::new())?).await?;
    assert!(fetched.status == 200 && fetched.body == large, "{}: the content is another", fetched.status);
    let part = world.fetch(Request::get(url).header("range", "bytes=1-3").body(Bytes::new())?).await?;
    assert_eq!((part.status.as_u16(), part.body), (206, large.slice(1..4)));

    assert!(app.get("/redirected/small").await?.body == large[..limit], "the content is another");
    let part = ask(&*app, Method::GET, "/redirected/large", &[("range", "bytes=1-3")]).await?;
    assert_eq!((part.status.as_u16(), part.body), (206, large.slice(1..4)));
    let part = ask(&*app, Method::GET, "/redirected/large", &[("range", "bytes=0-")]).await?;
    assert_eq!(part.status, 307);
    for (method, headers) in [(Method::HEAD, &[][..]), (Method::GET, &[("if-none-match", "\"another\"")])] {
        let answer = ask(&*app, method.clone(), "/redirected/large", headers).await?;
        assert_eq!((answer.status.as_u16(), answer.header("location").is_some()), (307, true), "{method}");
        assert_eq!(ask(&*app, method.clone(), "/served/large", headers).await?.status, 500, "{method}");
    }
    assert_eq!(ask(&*app, Method::HEAD, "/redirected/small", &[]).await?.status, 200);
    assert_eq!(app.get("/served/large").await?.status, 500);
    Ok(())
}

async fn a_lifetime_that_no_url_has_is_a_fault_of_the_app(world: Box<dyn World>) -> TrialResult {
    let (app, files) = server(&*world).await?;
    files.put("small", "hello").await?;
    for key in ["small", "none"] {
        assert_eq!(app.get(&format!("/forever/{key}")).await?.status, 500, "{key}");
    }
    Ok(())
}

async fn content_of_users_is_served_in_a_sandbox(world: Box<dyn World>) -> TrialResult {
    let (app, files) = server(&*world).await?;
    files.put_with("page", "<script>", PutOptions::default().with_content_type("text/html")).await?;
    for (range, status) in [("none", 200), ("bytes=0-1", 206)] {
        let answer = ask(&*app, Method::GET, "/sandboxed/page", &[("range", range)]).await?;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (status, Some("text/html")));
        assert_eq!(answer.header("content-security-policy"), Some("sandbox"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    Ok(())
}

async fn an_absent_object_is_404(world: Box<dyn World>) -> TrialResult {
    let (app, _) = server(&*world).await?;
    for headers in [&[][..], &[("range", "bytes=0-4")], &[("range", "bytes=-0")], &[("if-none-match", "*")]] {
        assert_eq!(ask(&*app, Method::GET, "/redirected/none", headers).await?.status, 404, "{headers:?}");
    }
    assert_eq!(ask(&*app, Method::HEAD, "/served/none", &[]).await?.status, 404);
    Ok(())
}
