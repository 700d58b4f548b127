//! Bodies stream in and out, up to the limit and no further.

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use isobar::BoxError;
use isobar::driver::Limits;
use isobar::prelude::*;

use super::{chunked, post_to_root, serve};
use crate::{Provided, RunningApp, TrialResult, World};

crate::trials![
    "FN-2" => a_handler_reads_a_large_request_piece_by_piece,
    "FN-2" => a_request_of_unknown_length_is_read_piece_by_piece,
    "FN-2" => a_handler_need_not_read_the_request,
    "FN-2" => a_response_of_many_pieces_arrives_whole,
    "FN-2" => a_response_of_just_the_limit_arrives_whole,
    "FN-2" => a_request_of_just_the_limit_is_read_by_an_extractor_and_one_byte_more_is_413,
    "FN-2" => a_request_of_just_the_limit_is_read_as_a_stream_and_one_byte_more_is_413,
    "FN-2" => a_request_of_unknown_length_is_413_past_the_limit_by_an_extractor,
    "FN-2" => a_request_of_unknown_length_is_413_past_the_limit_as_a_stream,
    "FN-2" => a_413_names_the_limit_and_the_next_request_is_served,
    "FN-2" => a_response_of_known_length_past_the_limit_is_500,
    "FN-2" => a_response_of_unknown_length_past_the_limit_is_not_taken_for_a_whole_one,
    "FN-2" => a_response_that_breaks_off_is_not_taken_for_a_whole_one,
    "FN-2" => a_json_body_is_read_and_answered,
    "FN-2" => a_json_body_that_is_malformed_is_the_clients_fault,
];

const REQUEST: usize = Limits::PORTABLE.request_bytes as usize;
const RESPONSE: usize = Limits::PORTABLE.response_bytes as usize;

/// Bytes that differ from place to place, so that a lost or doubled piece is noticed.
fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|place| (place % 251) as u8).collect()
}

fn pieces(size: usize) -> Vec<Vec<u8>> {
    pattern(size).chunks(65_536).map(<[u8]>::to_vec).collect()
}

/// Reads the body piece by piece, and answers its length and whether it is the pattern.
async fn measure(body: Body) -> std::result::Result<String, StatusCode> {
    let mut stream = body.into_data_stream();
    let (mut size, mut is_pattern) = (0_usize, true);
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| StatusCode::BAD_REQUEST)?;
        is_pattern &= piece.iter().enumerate().all(|(place, byte)| *byte == ((size + place) % 251) as u8);
        size += piece.len();
    }
    Ok(format!("{size} {is_pattern}"))
}

async fn measure_whole(body: Bytes) -> String {
    format!("{} {}", body.len(), body == pattern(body.len()))
}

async fn a_handler_reads_a_large_request_piece_by_piece(world: Box<dyn World>) -> TrialResult {
    let app = serve(&*world, Router::new().route("/", post(measure))).await?;
    let response = post_to_root(&*app, pattern(4_000_000)).await?;
    assert_eq!(response.text(), "4000000 true");
    Ok(())
}

async fn a_request_of_unknown_length_is_read_piece_by_piece(world: Box<dyn World>) -> TrialResult {
    let app = serve(&*world, Router::new().route("/", post(measure))).await?;
    let response = post_to_root(&*app, chunked(pieces(4_000_000))).await?;
    assert_eq!(response.text(), "4000000 true");
    let response = post_to_root(&*app, chunked(Vec::new())).await?;
    assert_eq!(response.text(), "0 true");
    Ok(())
}

async fn a_handler_need_not_read_the_request(world: Box<dyn World>) -> TrialResult {
    let app = serve(&*world, Router::new().route("/", post("unread"))).await?;
    for _ in 0..3 {
        assert_eq!(post_to_root(&*app, pattern(100_000)).await?.text(), "unread");
    }
    Ok(())
}

async fn a_response_of_many_pieces_arrives_whole(world: Box<dyn World>) -> TrialResult {
    let stream = async || chunked(pattern(1_000_000).chunks(1_000).map(<[u8]>::to_vec).collect::<Vec<_>>());
    let app = serve(&*world, Router::new().route("/", get(stream))).await?;
    let response = app.get("/").await?;
    assert_eq!(response.status, StatusCode::OK);
    assert!(response.body == pattern(1_000_000), "{} bytes arrived", response.body.len());
    Ok(())
}

async fn a_response_of_just_the_limit_arrives_whole(world: Box<dyn World>) -> TrialResult {
    let routes = Router::new().route("/known", get(async || pattern(RESPONSE)));
    let app = serve(&*world, routes.route("/stream", get(async || chunked(pieces(RESPONSE))))).await?;
    for path in ["/known", "/stream"] {
        let response = app.get(path).await?;
        assert_eq!(response.status, StatusCode::OK);
        assert!(response.body == pattern(RESPONSE), "{path}: {} bytes arrived", response.body.len());
    }
    Ok(())
}

/// Sends a body of just the limit, and one with a byte more.
async fn holds_to_the_limit(app: &dyn RunningApp, body: impl Fn(usize) -> Body) -> TrialResult {
    let response = post_to_root(app, body(REQUEST)).await?;
    assert_eq!((response.status, response.text()), (StatusCode::OK, format!("{REQUEST} true")));
    let response = post_to_root(app, body(REQUEST + 1)).await?;
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
    Ok(())
}

async fn a_request_of_just_the_limit_is_read_by_an_extractor_and_one_byte_more_is_413(
    world: Box<dyn World>,
) -> TrialResult {
    let app = serve(&*world, Router::new().route("/", post(measure_whole))).await?;
    holds_to_the_limit(&*app, |size| Body::from(pattern(size))).await
}

async fn a_request_of_just_the_limit_is_read_as_a_stream_and_one_byte_more_is_413(
    world: Box<dyn World>,
) -> TrialResult {
    let app = serve(&*world, Router::new().route("/", post(measure))).await?;
    holds_to_the_limit(&*app, |size| Body::from(pattern(size))).await
}

async fn a_request_of_unknown_length_is_413_past_the_limit_by_an_extractor(world: Box<dyn World>) -> TrialResult {
    let app = serve(&*world, Router::new().route("/", post(measure_whole))).await?;
    holds_to_the_limit(&*app, |size| chunked(pieces(size))).await
}

/// The handler makes a 400 of the broken body; the client receives the reason nevertheless.
async fn a_request_of_unknown_length_is_413_past_the_limit_as_a_stream(world: Box<dyn World>) -> TrialResult {
    let app = serve(&*world, Router::new().route("/", post(measure))).await?;
    holds_to_the_limit(&*app, |size| chunked(pieces(size))).await
}

async fn a_413_names_the_limit_and_the_next_request_is_served(world: Box<dyn World>) -> TrialResult {
    let app = serve(&*world, Router::new().route("/", post(measure))).await?;
    let request = Request::post("/").header("content-length", REQUEST + 1);
    let response = app.http(request.body(Body::from(pattern(REQUEST + 1)))?).await?;
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(response.text().contains("4500000"), "{}", response.text());
    assert_eq!(post_to_root(&*app, pattern(10)).await?.text(), "10 true");
    Ok(())
}

async fn a_response_of_known_length_past_the_limit_is_500(world: Box<dyn World>) -> TrialResult {
    let routes = Router::new().route("/", get(async || pattern(RESPONSE + 1))).route("/small", get("small"));
    let app = serve(&*world, routes).await?;
    let response = app.get("/").await?;
    assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(response.body.len() < 1_000, "{} bytes arrived", response.body.len());
    assert_eq!(app.get("/small").await?.text(), "small");
    Ok(())
}

/// A platform that streams has sent the status already; one that does not answers 500.
async fn breaks_off(app: &dyn RunningApp) -> TrialResult {
    match app.get("/").await.provided()? {
        Ok(response) => assert!(response.status.is_server_error(), "{}", response.status),
        Err(error) => assert_ne!(error.kind(), ErrorKind::NotFound, "{error:?}"),
    }
    assert_eq!(app.get("/small").await?.text(), "small", "the next request is served");
    Ok(())
}

async fn a_response_of_unknown_length_past_the_limit_is_not_taken_for_a_whole_one(
    world: Box<dyn World>,
) -> TrialResult {
    let routes = Router::new().route("/", get(async || chunked(pieces(RESPONSE + 1))));
    let app = serve(&*world, routes.route("/small", get("small"))).await?;
    breaks_off(&*app).await
}

async fn a_response_that_breaks_off_is_not_taken_for_a_whole_one(world: Box<dyn World>) -> TrialResult {
    let broken = async || {
        let pieces = [Ok(Bytes::from_static(b"half of")), Err(BoxError::from("the source dried up"))];
        Response::new(Body::from_stream(futures_util::stream::iter(pieces)))
    };
    let app = serve(&*world, Router::new().route("/", get(broken)).route("/small", get("small"))).await?;
    breaks_off(&*app).await
}

async fn a_json_body_is_read_and_answered(world: Box<dyn World>) -> TrialResult {
    let double = async |Json(numbers): Json<Vec<u64>>| Json(numbers.into_iter().map(|it| it / 2).collect::<Vec<_>>());
    let app = serve(&*world, Router::new().route("/", post(double))).await?;
    let request = Request::post("/").header("content-type", "application/json");
    let response = app.http(request.body(Body::from(format!("[2, {}]", u64::MAX)))?).await?;
    assert_eq!(response.json::<Vec<u64>>()?, [1, u64::MAX / 2]);
    assert_eq!(response.header("content-type"), Some("application/json"));
    Ok(())
}

async fn a_json_body_that_is_malformed_is_the_clients_fault(world: Box<dyn World>) -> TrialResult {
    let app = serve(&*world, Router::new().route("/", post(async |Json(number): Json<u32>| Json(number)))).await?;
    for body in ["{", "", "\"seven\"", "-1", "1 2", "\u{feff}1"] {
        let request = Request::post("/").header("content-type", "application/json").body(Body::from(body))?;
        let response = app.http(request).await?;
        assert!(response.status.is_client_error(), "{body:?} is answered by {}", response.status);
    }
    Ok(())
}
