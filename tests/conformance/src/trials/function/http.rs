//! A request reaches the app as it was sent, and the response the client as it was answered.

use std::sync::Arc;

use http::{Request, Response};
use isobar::prelude::*;
use tokio::sync::Barrier;

use super::{empty, post_to_root, serve};
use crate::{TrialResult, World};

crate::trials![
    "FN-1" => every_method_arrives,
    "FN-1" => a_path_keeps_its_percent_encoding_and_its_parameters_are_decoded,
    "FN-1" => a_path_that_is_not_ascii_arrives,
    "FN-1" => a_query_arrives_as_it_was_sent_with_repeated_keys,
    "FN-1" => request_headers_arrive_with_all_their_values,
    "FN-1" => cookies_arrive,
    "FN-1" => response_headers_arrive_with_all_their_values,
    "FN-1" => every_set_cookie_arrives_by_itself,
    "FN-1" => a_binary_request_and_a_binary_response_arrive_bit_for_bit,
    "FN-1" => the_raw_body_is_what_a_webhook_signed,
    "FN-1" => a_response_to_head_has_the_headers_of_get_and_no_body,
    "FN-1" => a_service_that_is_not_a_router_has_no_body_in_answer_to_head,
    "FN-1" => a_status_without_content_has_no_body,
    "FN-1" => any_status_arrives,
    "FN-1" => a_redirect_arrives_and_is_not_followed,
    "FN-1" => a_path_without_route_is_the_routers_404,
    "FN-1" => a_method_without_handler_is_405_with_the_allowed_methods,
    "FN-1" => middleware_of_the_app_runs,
    "FN-1" => requests_are_handled_at_the_same_time,
];

async fn every_method_arrives(world: Box<dyn World>) -> TrialResult {
    let routes = Router::new().route("/", any(async |method: Method| method.to_string()));
    let app = serve(&*world, routes).await?;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let request = Request::builder().method(method).uri("/").body(Body::empty())?;
        let response = app.http(request).await?;
        assert_eq!((response.status, response.text().as_str()), (StatusCode::OK, method));
    }
    Ok(())
}

async fn a_path_keeps_its_percent_encoding_and_its_parameters_are_decoded(world: Box<dyn World>) -> TrialResult {
    let both = async |uri: Uri, Path(name): Path<String>| format!("{} {name}", uri.path());
    let app = serve(&*world, Router::new().route("/files/{name}", get(both))).await?;
    for (sent, decoded) in [("a%2Fb", "a/b"), ("a%20b", "a b"), ("%25", "%"), ("a+b", "a+b"), ("%3Fq%23", "?q#")] {
        let response = app.get(&format!("/files/{sent}")).await?;
        assert_eq!(response.text(), format!("/files/{sent} {decoded}"));
    }
    Ok(())
}

async fn a_path_that_is_not_ascii_arrives(world: Box<dyn World>) -> TrialResult {
    let name = async |Path(name): Path<String>| name;
    let app = serve(&*world, Router::new().route("/{name}", get(name))).await?;
    assert_eq!(app.get("/k%C3%A4se%F0%9F%A7%80").await?.text(), "käse🧀");
    Ok(())
}

async fn a_query_arrives_as_it_was_sent_with_repeated_keys(world: Box<dyn World>) -> TrialResult {
    let raw = async |uri: Uri| uri.query().unwrap_or("none").to_owned();
    let pairs = async |Query(pairs): Query<Vec<(String, String)>>| format!("{pairs:?}");
    let app = serve(&*world, Router::new().route("/raw", get(raw)).route("/pairs", get(pairs))).await?;
    let query = "b=1&a=x%20y+z&b=2&empty=&%C3%A4=%26%3D";
    assert_eq!(app.get(&format!("/raw?{query}")).await?.text(), query);
    let pairs = [("b", "1"), ("a", "x y z"), ("b", "2"), ("empty", ""), ("ä", "&=")];
    assert_eq!(app.get(&format!("/pairs?{query}")).await?.text(), format!("{pairs:?}"));
    assert_eq!(app.get("/raw").await?.text(), "none");
    Ok(())
}

/// The values of a header. Some platforms join them with commas, which means the same (RFC 9110, 5.3).
fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|value| value.trim().to_owned()).collect()
}

async fn request_headers_arrive_with_all_their_values(world: Box<dyn World>) -> TrialResult {
    let list = async |headers: HeaderMap| {
        format!("{:?} {:?} {:?}", values(&headers, "x-tag"), values(&headers, "x-one"), headers.contains_key("x-none"))
    };
    let app = serve(&*world, Router::new().route("/", get(list))).await?;
    let request = Request::get("/").header("X-Tag", "a").header("x-tag", "b").header("X-ONE", "it's = \"1\"; x");
    let response = app.http(request.body(Body::empty())?).await?;
    assert_eq!(response.text(), format!("{:?} {:?} false", ["a", "b"], ["it's = \"1\"; x"]));
    Ok(())
}

async fn cookies_arrive(world: Box<dyn World>) -> TrialResult {
    let list = async |headers: HeaderMap| {
        let lines = headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
        lines.collect::<Vec<_>>().join("; ")
    };
    let app = serve(&*world, Router::new().route("/", get(list))).await?;
    let request = Request::get("/").header("cookie", "id=7; theme=\"dark,blue\"").body(Body::empty())?;
    assert_eq!(app.http(request).await?.text(), "id=7; theme=\"dark,blue\"");
    Ok(())
}

async fn response_headers_arrive_with_all_their_values(world: Box<dyn World>) -> TrialResult {
    let tagged = async || {
        let response = Response::builder().header("x-tag", "a").header("x-tag", "b").header("x-one", "1; x=\"y\"");
        response.header("content-type", "text/x-cheese; charset=utf-8").body(Body::from("ok")).unwrap()
    };
    let app = serve(&*world, Router::new().route("/", get(tagged))).await?;
    let response = app.get("/").await?;
    assert_eq!(values(&response.headers, "x-tag"), ["a", "b"]);
    assert_eq!(response.header("x-one"), Some("1; x=\"y\""));
    assert_eq!(response.header("content-type"), Some("text/x-cheese; charset=utf-8"));
    Ok(())
}

/// Joined by a comma, which their dates contain too, they could not be separated (RFC 6265, 3).
async fn every_set_cookie_arrives_by_itself(world: Box<dyn World>) -> TrialResult {
    const COOKIES: [&str; 3] = ["a=1; Path=/", "b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "c=\"3,4\"; HttpOnly"];
    let cookies = async || {
        let add = |response: http::response::Builder, cookie| response.header("set-cookie", cookie);
        COOKIES.into_iter().fold(Response::builder(), add).body(Body::empty()).unwrap()
    };
    let app = serve(&*world, Router::new().route("/", get(cookies))).await?;
    let response = app.get("/").await?;
    let arrived: Vec<_> = response.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(arrived, COOKIES);
    Ok(())
}

async fn a_binary_request_and_a_binary_response_arrive_bit_for_bit(world: Box<dyn World>) -> TrialResult {
    let echo = async |body: bytes::Bytes| body;
    let app = serve(&*world, Router::new().route("/", post(echo))).await?;
    let all_bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    for body in [&all_bytes[..], b"\xff\xfe\0", b"", b"\xef\xbb\xbf{}", b"\r\n\r\n"] {
        let response = post_to_root(&*app, body.to_vec()).await?;
        assert_eq!(response.status, StatusCode::OK);
        assert!(response.body == body, "{} bytes were returned as {}", body.len(), response.body.len());
    }
    Ok(())
}

/// node-slack-sdk #891, stripe-node #356: a signature is over the bytes that were sent.
async fn the_raw_body_is_what_a_webhook_signed(world: Box<dyn World>) -> TrialResult {
    let echo = async |body: bytes::Bytes| body;
    let app = serve(&*world, Router::new().route("/", post(echo))).await?;
    let body = "{ \"b\" : 1.0 ,\r\n\t\"a\":\"\\u00e4 ä\" }\n";
    let request = Request::post("/").header("content-type", "application/json").body(Body::from(body))?;
    assert_eq!(app.http(request).await?.text(), body);
    Ok(())
}

async fn a_response_to_head_has_the_headers_of_get_and_no_body(world: Box<dyn World>) -> TrialResult {
    let page = async || ([("x-tag", "a")], "a page");
    let app = serve(&*world, Router::new().route("/", get(page))).await?;
    let response = app.http(Request::head("/").body(Body::empty())?).await?;
    assert_eq!((response.status, response.body.len()), (StatusCode::OK, 0));
    assert_eq!(response.header("x-tag"), Some("a"));
    assert_eq!(app.get("/").await?.text(), "a page");
    Ok(())
}

async fn a_service_that_is_not_a_router_has_no_body_in_answer_to_head(world: Box<dyn World>) -> TrialResult {
    use isobar::axum::handler::HandlerWithoutStateExt;
    let service = (async || "a page").into_service();
    let app = world.run(move |_| App::new("server").http(service)).await?;
    let response = app.http(Request::head("/").body(Body::empty())?).await?;
    assert_eq!((response.status, response.body.len()), (StatusCode::OK, 0));
    assert_eq!(app.get("/any/path").await?.text(), "a page");
    Ok(())
}

async fn a_status_without_content_has_no_body(world: Box<dyn World>) -> TrialResult {
    let nothing = async || StatusCode::NO_CONTENT;
    let app = serve(&*world, Router::new().route("/", delete(nothing))).await?;
    let response = app.http(Request::delete("/").body(Body::empty())?).await?;
    assert_eq!((response.status, response.body.len()), (StatusCode::NO_CONTENT, 0));
    Ok(())
}

async fn any_status_arrives(world: Box<dyn World>) -> TrialResult {
    let status = async |Path(code): Path<u16>| empty(StatusCode::from_u16(code).unwrap());
    let app = serve(&*world, Router::new().route("/{code}", get(status))).await?;
    for code in [200, 201, 202, 301, 400, 401, 404, 409, 418, 422, 429, 500, 501, 503] {
        assert_eq!(app.get(&format!("/{code}")).await?.status.as_u16(), code);
    }
    Ok(())
}

async fn a_redirect_arrives_and_is_not_followed(world: Box<dyn World>) -> TrialResult {
    let away = async || Redirect::to("https://example.org/k%C3%A4se?a=b&c");
    let app = serve(&*world, Router::new().route("/", get(away))).await?;
    let response = app.get("/").await?;
    assert_eq!(response.status, StatusCode::SEE_OTHER);
    assert_eq!(response.header("location"), Some("https://example.org/k%C3%A4se?a=b&c"));
    Ok(())
}

async fn a_path_without_route_is_the_routers_404(world: Box<dyn World>) -> TrialResult {
    let lost = async |uri: Uri| (StatusCode::NOT_FOUND, format!("no page {}", uri.path()));
    let app = serve(&*world, Router::new().route("/here", get("here")).fallback(lost)).await?;
    assert_eq!(app.get("/here").await?.text(), "here");
    let response = app.get("/there").await?;
    assert_eq!((response.status, response.text().as_str()), (StatusCode::NOT_FOUND, "no page /there"));
    Ok(())
}

async fn a_method_without_handler_is_405_with_the_allowed_methods(world: Box<dyn World>) -> TrialResult {
    let app = serve(&*world, Router::new().route("/", post("posted"))).await?;
    let response = app.get("/").await?;
    assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.header("allow"), Some("POST"));
    Ok(())
}

async fn middleware_of_the_app_runs(world: Box<dyn World>) -> TrialResult {
    use isobar::axum::extract::Request;
    use isobar::axum::middleware::{Next, from_fn};
    let guard = async |request: Request, next: Next| {
        if !request.headers().contains_key("x-key") {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let mut response = next.run(request).await;
        response.headers_mut().insert("x-guard", "passed".parse().unwrap());
        response
    };
    let app = serve(&*world, Router::new().route("/", get("inside")).layer(from_fn(guard))).await?;
    assert_eq!(app.get("/").await?.status, StatusCode::UNAUTHORIZED);
    let response = app.http(http::Request::get("/").header("x-key", "1").body(Body::empty())?).await?;
    assert_eq!((response.text().as_str(), response.header("x-guard")), ("inside", Some("passed")));
    Ok(())
}

async fn requests_are_handled_at_the_same_time(world: Box<dyn World>) -> TrialResult {
    let all_here = Arc::new(Barrier::new(5));
    let meet = async move || {
        all_here.wait().await;
        "met"
    };
    let app = serve(&*world, Router::new().route("/", get(meet))).await?;
    let responses = futures_util::future::try_join_all((0..5).map(|_| app.get("/"))).await?;
    assert!(responses.iter().all(|response| response.text() == "met"));
    Ok(())
}
