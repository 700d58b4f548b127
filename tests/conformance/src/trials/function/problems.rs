//! What a handler answers instead of its reply, and what an extractor answers that refuses a request.

use std::collections::BTreeMap;

use isobar::axum;
use isobar::prelude::*;

use super::serve;
use crate::{TrialResult, World};

crate::trials![
    "FN-12" => a_problem_is_what_the_handler_says_or_the_error_inside,
    "FN-12" => a_rejected_extractor_has_the_form_of_an_error,
];

async fn a_problem_is_what_the_handler_says_or_the_error_inside(world: Box<dyn World>) -> TrialResult {
    async fn fail(Path(how): Path<String>) -> Result<(), Problem> {
        match how.as_str() {
            "stated" => {
                let jammed = Problem::unprocessable("the drawer jams");
                return Err(jammed.with_source(Error::internal("the hinge is rusty")));
            }
            "isobar" => Err(Error::not_found("no drawer"))?,
            "inside" => Err(axum::Error::new(Error::conflict("it is locked")))?,
            "foreign" => Err("the hinge is rusty")?,
            "json" => serde_json::from_str::<u32>("x").map(drop).map_err(Error::from)?,
            _ => "x".parse::<u32>().map(drop)?,
        }
        Ok(())
    }
    let app = serve(&*world, Router::new().route("/{how}", get(fail))).await?;
    for (how, status, error, detail) in [
        ("stated", 422, "unprocessable-entity", "the drawer jams"),
        ("isobar", 404, "not-found", "no drawer"),
        ("inside", 409, "conflict", "it is locked"),
        ("foreign", 500, "internal", "the log of the app has the details"),
        ("json", 500, "internal", "the log of the app has the details"),
        ("parse", 500, "internal", "the log of the app has the details"),
    ] {
        let response = app.get(&format!("/{how}")).await?;
        let body: serde_json::Value = response.json()?;
        assert_eq!((response.status.as_u16(), body), (status, serde_json::json!({"error": error, "detail": detail})));
    }
    Ok(())
}

async fn a_rejected_extractor_has_the_form_of_an_error(world: Box<dyn World>) -> TrialResult {
    let routes = Router::new()
        .route("/json", post(async |Json(number): Json<u8>| Json(number)))
        .route("/maybe", post(async |body: Option<Json<u8>>| format!("{}", body.is_some())))
        .route("/query", get(async |Query(all): Query<BTreeMap<String, u8>>| Json(all)))
        .route("/path/{number}", get(async |Path(number): Path<u8>| Json(number)))
        .route("/unwritable", get(async || Json(BTreeMap::from([((1, 2), 3)]))))
        .route("/none", get(async |Path(number): Path<u8>| Json(number)))
        .route("/optional", get(async |path: Option<Path<u8>>| format!("{}", path.is_some())));
    let app = serve(&*world, routes).await?;
    for (line, content_type, body, status, error) in [
        ("POST /json", Some("application/json"), "7", 200, ""),
        ("POST /json", Some("application/json"), "]", 400, "invalid-input"),
        ("POST /json", Some("application/json"), "300", 422, "unprocessable-entity"),
        ("POST /json", None, "7", 415, "unsupported-media-type"),
        ("POST /maybe", None, "", 200, ""),
        ("POST /maybe", Some("text/plain"), "7", 415, "unsupported-media-type"),
        ("GET /query?a=7", None, "", 200, ""),
        ("GET /query?a=x", None, "", 400, "invalid-input"),
        ("GET /path/7", None, "", 200, ""),
        ("GET /path/x", None, "", 400, "invalid-input"),
        ("GET /unwritable", None, "", 500, "internal"),
        ("GET /none", None, "", 500, "internal"),
        ("GET /optional", None, "", 200, ""),
    ] {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = http::Request::builder().method(method).uri(path);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let response = app.http(request.body(Body::from(body))?).await?;
        assert_eq!(response.status.as_u16(), status, "{line} {body}: {}", response.text());
        if status != 200 {
            let answer: serde_json::Value = response.json()?;
            assert_eq!(answer["error"].as_str(), Some(error), "{line} {body}");
            assert!(!answer["detail"].as_str().unwrap().is_empty(), "{line} {body}");
        }
    }
    Ok(())
}
