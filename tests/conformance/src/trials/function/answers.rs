//! What no host can take, and what no host can send, is refused or mended in the same way on all of them.

use std::sync::Arc;

use http::{Request, Response};
use isobar::axum;
use isobar::driver::Limits;
use isobar::prelude::*;

use super::{chunked, serve};
use crate::{HarnessResult, RunningApp, TrialResult, World};

crate::trials![
    "FN-10" => headers_of_a_connection_are_dropped,
    "FN-10" => a_content_length_that_contradicts_the_body_is_500,
    "FN-10" => a_stream_of_another_length_than_stated_is_not_taken_for_a_whole_one,
    "FN-10" => a_status_without_a_body_is_sent_without_one,
    "FN-10" => an_informational_status_is_500,
    "FN-2" => an_object_past_the_limit_is_500_before_the_first_byte,
    "FN-2" => an_object_is_answered_whole,
    "FN-11" => an_upgrade_is_426_with_a_hint,
    "FN-11" => an_offer_of_http_2_is_ignored,
    "FN-11" => too_many_headers_and_too_large_ones_are_431,
];

/// A response with these headers, and a body of 5 bytes whose length is known.
fn hello(headers: &[(&str, &str)]) -> Response<Body> {
    let with = |builder: http::response::Builder, (name, value): &(&str, &str)| builder.header(*name, *value);
    headers.iter().fold(Response::builder(), with).body(Body::from("hello")).unwrap()
}

/// An app that answers `/` with this response.
async fn answers(world: &dyn World, answer: fn() -> Response<Body>) -> HarnessResult<Box<dyn RunningApp>> {
    serve(world, Router::new().route("/", get(async move || answer())).route("/small", get("small"))).await
}

async fn headers_of_a_connection_are_dropped(world: Box<dyn World>) -> TrialResult {
    let all = || {
        hello(&[
            ("transfer-encoding", "chunked"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("te", "trailers"),
            ("trailer", "x-sum"),
            ("upgrade", "h2c"),
            ("x-kept", "1"),
        ])
    };
    let app = answers(&*world, all).await?;
    for _ in 0..2 {
        let response = app.get("/").await?;
        assert_eq!((response.status, response.text().as_str()), (StatusCode::OK, "hello"));
        assert_eq!(response.header("x-kept"), Some("1"));
        for dropped in ["x-hop", "keep-alive", "proxy-authenticate", "te", "trailer", "upgrade"] {
            assert_eq!(response.header(dropped), None, "{dropped}");
        }
    }
    Ok(())
}

async fn a_content_length_that_contradicts_the_body_is_500(world: Box<dyn World>) -> TrialResult {
    let wrong: [fn() -> Response<Body>; 6] = [
        || hello(&[("content-length", "4")]),
        || hello(&[("content-length", "6")]),
        || hello(&[("content-length", "+5")]),
        || hello(&[("content-length", "five")]),
        || hello(&[("content-length", "5"), ("content-length", "6")]),
        || hello(&[("content-length", "99999999999999999999")]),
    ];
    let mut routes = Router::new();
    for (number, answer) in wrong.into_iter().enumerate() {
        routes = routes.route(&format!("/{number}"), get(async move || answer()));
    }
    let twice = async || hello(&[("content-length", "5"), ("content-length", "5")]);
    let app = serve(&*world, routes.route("/twice", get(twice))).await?;
    for number in 0..wrong.len() {
        let response = app.get(&format!("/{number}")).await?;
        assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR, "{number}");
    }
    assert_eq!(app.get("/twice").await?.text(), "hello");
    Ok(())
}

async fn a_stream_of_another_length_than_stated_is_not_taken_for_a_whole_one(world: Box<dyn World>) -> TrialResult {
    let short =
        async || Response::builder().header("content-length", "9").body(chunked([vec![b'x'; 4], vec![b'x'; 4]]));
    let long = async || Response::builder().header("content-length", "7").body(chunked([vec![b'x'; 4], vec![b'x'; 4]]));
    let right =
        async || Response::builder().header("content-length", "8").body(chunked([vec![b'x'; 4], vec![b'x'; 4]]));
    let routes = Router::new()
        .route("/short", get(async move || short().await.unwrap()))
        .route("/long", get(async move || long().await.unwrap()))
        .route("/right", get(async move || right().await.unwrap()));
    let app = serve(&*world, routes).await?;
    for path in ["/short", "/long"] {
        if let Ok(response) = app.get(path).await {
            assert!(response.status.is_server_error(), "{path}: {} {}", response.status, response.text());
        }
    }
    assert_eq!(app.get("/right").await?.text(), "xxxxxxxx");
    Ok(())
}

async fn a_status_without_a_body_is_sent_without_one(world: Box<dyn World>) -> TrialResult {
    let with_body = async |Path(status): Path<u16>| (StatusCode::from_u16(status).unwrap(), "a body");
    let app = serve(&*world, Router::new().route("/{status}", get(with_body))).await?;
    for status in [204, 205, 304] {
        let response = app.get(&format!("/{status}")).await?;
        assert_eq!((response.status.as_u16(), response.text().as_str()), (status, ""));
    }
    assert_eq!(app.get("/201").await?.text(), "a body");
    Ok(())
}

async fn an_informational_status_is_500(world: Box<dyn World>) -> TrialResult {
    let answer = async |Path(status): Path<u16>| StatusCode::from_u16(status).unwrap();
    let app = serve(&*world, Router::new().route("/{status}", get(answer))).await?;
    for status in [100, 101, 103] {
        assert_eq!(app.get(&format!("/{status}")).await?.status, StatusCode::INTERNAL_SERVER_ERROR, "{status}");
    }
    Ok(())
}

/// An app that serves the object `a` of its bucket, which has this size.
async fn serves_an_object(world: &dyn World, size: usize) -> HarnessResult<Box<dyn RunningApp>> {
    let app = world
        .run(|cloud| {
            let bucket = Arc::new(cloud.bucket("pages"));
            let read = async move || bucket.get("a").await.map(|object| object.into_body());
            App::new("pages").http(Router::new().route("/", get(read)))
        })
        .await?;
    world.cloud().bucket("pages").put("a", vec![b'x'; size]).await?;
    Ok(app)
}

async fn an_object_past_the_limit_is_500_before_the_first_byte(world: Box<dyn World>) -> TrialResult {
    let app = serves_an_object(&*world, 5_000_000).await?;
    let response = app.get("/").await?;
    assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.json::<serde_json::Value>()?["error"], "internal");
    Ok(())
}

async fn an_object_is_answered_whole(world: Box<dyn World>) -> TrialResult {
    for size in [0, 1, 3_000_000] {
        let response = serves_an_object(&*world, size).await?.get("/").await?;
        assert_eq!((response.status, response.body.len()), (StatusCode::OK, size));
    }
    Ok(())
}

async fn an_upgrade_is_426_with_a_hint(world: Box<dyn World>) -> TrialResult {
    let app = serve(&*world, Router::new().route("/", axum::routing::any("home"))).await?;
    for protocol in ["websocket", "WebSocket", "h2c, websocket", "TLS/1.0"] {
        let request = Request::get("/").header("connection", "Upgrade").header("upgrade", protocol);
        let request = request.header("sec-websocket-version", "13").header("sec-websocket-key", "dGhlIHNhbXBsZQ==");
        let response = app.http(request.body(Body::empty())?).await?;
        assert_eq!(response.status, StatusCode::UPGRADE_REQUIRED, "{protocol}");
        assert!(response.text().contains("server-sent events"), "{}", response.text());
    }
    assert_eq!(app.get("/").await?.text(), "home");
    Ok(())
}

async fn an_offer_of_http_2_is_ignored(world: Box<dyn World>) -> TrialResult {
    let app = serve(&*world, Router::new().route("/", get("home"))).await?;
    let request = Request::get("/").header("connection", "upgrade, http2-settings").header("upgrade", "h2c");
    let request = request.header("http2-settings", "AAMAAABkAAQAAP__");
    assert_eq!(app.http(request.body(Body::empty())?).await?.text(), "home");
    Ok(())
}

async fn too_many_headers_and_too_large_ones_are_431(world: Box<dyn World>) -> TrialResult {
    let count = async |headers: HeaderMap| headers.len().to_string();
    let app = serve(&*world, Router::new().route("/", get(count))).await?;
    let Limits { request_headers: most, request_head_bytes: bytes, .. } = Limits::PORTABLE;
    let with = |count: u64, size: usize| {
        let named = (0..count).fold(Request::get("/"), |request, number| request.header(format!("x-{number}"), "a"));
        named.header("x-large", "a".repeat(size)).body(Body::empty())
    };
    // Proxies and gateways add their own.
    assert_eq!(app.http(with(most / 2, 5_000)?).await?.status, StatusCode::OK);
    let too_many = app.http(with(most + 1, 1)?).await?;
    let too_large = app.http(with(1, bytes as usize)?).await?;
    for refused in [too_many, too_large] {
        assert_eq!(refused.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    assert_eq!(app.get("/").await?.status, StatusCode::OK);
    Ok(())
}
