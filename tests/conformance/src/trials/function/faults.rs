//! What goes wrong in a handler fails its own invocation, and no other.

use std::time::Duration;

use bytes::Bytes;
use isobar::EventQueue;
use isobar::axum;
use isobar::prelude::*;

use super::serve;
use crate::trials::full_text;
use crate::{HarnessResult, Provided, RunningApp, TrialResult, World};

crate::trials![
    "FN-3" => a_panic_in_an_http_handler_is_500_and_the_next_request_is_served,
    "FN-3" => a_panic_after_an_await_in_an_http_handler_is_500_and_the_next_request_is_served,
    "FN-3" => a_panic_does_not_reach_a_request_that_runs_at_the_same_time,
    "FN-3" => a_panic_while_a_response_streams_cuts_that_response_only,
    "FN-3" => a_panic_in_a_direct_call_is_an_internal_error_and_the_next_call_is_served,
    "FN-3" => a_panic_in_a_schedule_is_reported_and_the_next_tick_runs,
    "FN-3" => a_panic_in_an_object_handler_is_tried_again,
    "FN-12" => a_response_has_the_status_and_the_name_of_each_kind_of_error,
    "FN-12" => a_response_does_not_show_what_failed_inside,
    "FN-12" => a_response_says_when_to_try_again,
    "FN-12" => missing_existing_and_changed_data_have_their_statuses,
    "FN-12" => an_error_that_only_the_app_can_repair_is_500,
    "FN-12" => every_answer_has_a_request_id,
    "FN-12" => a_request_id_of_the_app_is_kept,
    "FN-3" => an_error_that_the_handler_maps_is_an_answer_like_any_other,
];

/// Panics before the first await, or after it.
async fn out_of_paper(Path(place): Path<String>) -> String {
    assert!(place != "before", "out of paper");
    tokio::task::yield_now().await;
    assert!(place != "after", "out of paper");
    place
}

async fn fails_alone(world: &dyn World, path: &str) -> TrialResult {
    let app = serve(world, Router::new().route("/{place}", get(out_of_paper))).await?;
    for _ in 0..3 {
        assert_eq!(app.get(path).await?.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(app.get("/never").await?.text(), "never");
    }
    Ok(())
}

async fn a_panic_in_an_http_handler_is_500_and_the_next_request_is_served(world: Box<dyn World>) -> TrialResult {
    fails_alone(&*world, "/before").await
}

async fn a_panic_after_an_await_in_an_http_handler_is_500_and_the_next_request_is_served(
    world: Box<dyn World>,
) -> TrialResult {
    fails_alone(&*world, "/after").await
}

async fn a_panic_does_not_reach_a_request_that_runs_at_the_same_time(world: Box<dyn World>) -> TrialResult {
    let app = serve(&*world, Router::new().route("/{place}", get(out_of_paper))).await?;
    let paths = ["/before", "/never", "/after", "/ever"].into_iter().cycle().take(40);
    let responses = futures_util::future::try_join_all(paths.map(|path| app.get(path))).await?;
    for (place, response) in responses.iter().enumerate() {
        assert_eq!(response.status.is_server_error(), place % 2 == 0, "request {place}: {}", response.status);
    }
    Ok(())
}

async fn a_panic_while_a_response_streams_cuts_that_response_only(world: Box<dyn World>) -> TrialResult {
    let stream = async || {
        let pieces = (0..3).map(|number| {
            assert!(number < 2, "out of paper");
            Ok::<_, axum::Error>(Bytes::from_static(b"piece"))
        });
        Body::from_stream(futures_util::stream::iter(pieces))
    };
    let app = serve(&*world, Router::new().route("/", get(stream)).route("/small", get("small"))).await?;
    if let Ok(response) = app.get("/").await {
        assert!(response.status.is_server_error(), "{}: {}", response.status, response.text());
    }
    assert_eq!(app.get("/small").await?.text(), "small");
    Ok(())
}

async fn a_panic_in_a_direct_call_is_an_internal_error_and_the_next_call_is_served(
    world: Box<dyn World>,
) -> TrialResult {
    let app = |_: &Cloud| {
        App::new("calls").on_invoke("print", |place: String, _cx| {
            assert!(place != "before", "out of paper");
            async move {
                tokio::task::yield_now().await;
                assert!(place != "after", "out of paper");
                Ok::<_, Error>(place)
            }
        })
    };
    let app = world.run(app).await?;
    for place in ["before", "after"] {
        let error =
            app.invoke("print", serde_json::to_vec(place)?.into()).await.provided()?.expect_err("it was answered");
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(full_text(&error).contains("print"), "{}", full_text(&error));
        assert_eq!(app.invoke("print", Bytes::from_static(b"\"never\"")).await?, "\"never\"");
    }
    Ok(())
}

async fn a_panic_in_a_schedule_is_reported_and_the_next_tick_runs(world: Box<dyn World>) -> TrialResult {
    let app = |_: &Cloud| {
        App::new("clock")
            .on_schedule("before", "0 3 * * *", |_, _cx| -> std::future::Ready<()> { panic!("out of paper") })
            .on_schedule("after", "0 3 * * *", |_, cx| async move {
                tokio::task::yield_now().await;
                assert!(cx.attempt() > 1, "out of paper");
            })
            .on_schedule("never", "0 3 * * *", |_, _cx| async {})
    };
    let app = world.run(app).await?;
    for schedule in ["before", "after"] {
        let error = app.tick(schedule).await.provided()?.expect_err("the panic was not reported");
        assert!(full_text(&error).contains("out of paper"), "{}", full_text(&error));
        app.tick("never").await?;
    }
    Ok(())
}

/// Writes an object and returns how often its event was handled, a panic on the first attempt included.
async fn attempts_of_object_event(world: &dyn World, app: &dyn RunningApp) -> TrialResult {
    world.cloud().bucket("pages").put("a", "hello").await?;
    app.deliver().await?;
    world.advance(Duration::from_secs(600))?;
    app.deliver().await?;
    assert!(app.dead_letters(&EventQueue::bucket("pages")).await?.is_empty());
    Ok(())
}

async fn a_panic_in_an_object_handler_is_tried_again(world: Box<dyn World>) -> TrialResult {
    let recorded = crate::trials::pub_sub::Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        App::new("index").on_object(&cloud.bucket("pages"), move |event, cx| {
            sink.add((event.key, cx.attempt()));
            async move {
                tokio::task::yield_now().await;
                assert!(cx.attempt() > 1, "out of paper");
            }
        })
    };
    let app = world.run(app).await?;
    attempts_of_object_event(&*world, &*app).await?;
    assert_eq!(recorded.all(), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    Ok(())
}

/// The error of this name.
async fn fail_with(Path(kind): Path<String>) -> Result<()> {
    let kinds = [
        ErrorKind::NotFound,
        ErrorKind::AlreadyExists,
        ErrorKind::Conflict,
        ErrorKind::InvalidInput,
        ErrorKind::TooLarge,
        ErrorKind::Unauthenticated,
        ErrorKind::PermissionDenied,
        ErrorKind::Throttled,
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
        ErrorKind::Unsupported,
        ErrorKind::Config,
    ];
    let kind = kinds.into_iter().find(|known| known.name() == kind).unwrap_or(ErrorKind::Internal);
    Err(Error::new(kind, "the drawer jams").with_source(Error::internal("rust in the hinge")))
}

async fn answer_to(world: &dyn World, kind: &str) -> HarnessResult<(u16, serde_json::Value)> {
    let app = serve(world, Router::new().route("/{kind}", get(fail_with))).await?;
    let response = app.get(&format!("/{kind}")).await?;
    assert_eq!(response.header("content-type"), Some("application/json"));
    Ok((response.status.as_u16(), response.json()?))
}

async fn a_response_has_the_status_and_the_name_of_each_kind_of_error(world: Box<dyn World>) -> TrialResult {
    let clients = [("invalid-input", 400), ("unauthenticated", 401), ("permission-denied", 403), ("not-found", 404)];
    let more = [("already-exists", 409), ("conflict", 409), ("too-large", 413), ("throttled", 429)];
    let servers = [("unsupported", 501), ("unavailable", 503), ("timeout", 504)];
    for (kind, status) in clients.into_iter().chain(more).chain(servers) {
        let (answered, body) = answer_to(&*world, kind).await?;
        assert_eq!((answered, body["error"].as_str()), (status, Some(kind)));
        assert_eq!(body["detail"].as_str(), Some("the drawer jams"), "{kind}");
    }
    Ok(())
}

async fn a_response_does_not_show_what_failed_inside(world: Box<dyn World>) -> TrialResult {
    for kind in ["internal", "config"] {
        let (status, body) = answer_to(&*world, kind).await?;
        assert_eq!((status, body["error"].as_str()), (500, Some("internal")));
        let body = body.to_string();
        assert!(!body.contains("drawer") && !body.contains("hinge"), "{body}");
    }
    let (_, body) = answer_to(&*world, "invalid-input").await?;
    assert!(!body.to_string().contains("hinge"), "{body}");
    Ok(())
}

async fn a_response_says_when_to_try_again(world: Box<dyn World>) -> TrialResult {
    let throttled = async |Path(millis): Path<u64>| {
        Err::<(), _>(Error::new(ErrorKind::Throttled, "slow down").with_retry_after(Duration::from_millis(millis)))
    };
    let app = serve(&*world, Router::new().route("/{millis}", get(throttled))).await?;
    // Never earlier than the service asked for.
    for (millis, header) in [("9000", "9"), ("1500", "2"), ("1", "1"), ("0", "1")] {
        let response = app.get(&format!("/{millis}")).await?;
        assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.header("retry-after"), Some(header));
    }
    Ok(())
}

/// Handlers that do nothing but `?`.
async fn store(path: String, notes: Table<u32>, pages: Bucket, unread: Table<u32>) -> Result<()> {
    match path.as_str() {
        "absent-object" => pages.get("absent").await.map(drop),
        "absent-head" => pages.head("absent").await.map(drop),
        "past-the-end" => pages.get_range("page", 100..200).await.map(drop),
        "taken-item" => notes.put_with("one", &2, PutMode::Create).await.map(drop),
        "taken-object" => pages.put_with("page", "x", PutMode::Create).await.map(drop),
        "changed-item" => notes.put_with("gone", &2, PutMode::Update(Version::new("7"))).await.map(drop),
        "no-counter" => notes.add("text", 1).await.map(drop),
        "bad-key" => notes.get("").await.map(drop),
        "large-key" => notes.get("k".repeat(300)).await.map(drop),
        "own" => notes.get("none").await?.map(drop).ok_or_else(|| Error::not_found("no such note")),
        "other-type" => notes.get("text").await.map(drop),
        "undeclared" => unread.get("one").await.map(drop),
        _ => Ok(()),
    }
}

async fn stores(world: &dyn World) -> HarnessResult<Box<dyn RunningApp>> {
    let cloud = world.cloud();
    cloud.table::<u32>("notes").put("one", &1).await?;
    let gone = cloud.table::<u32>("notes").put("gone", &1).await?;
    cloud.table::<u32>("notes").delete_version("gone", &gone).await?;
    cloud.table::<String>("notes").put("text", &"no number".to_owned()).await?;
    cloud.bucket("pages").put("page", "a page").await?;
    let app = |cloud: &Cloud| {
        let (notes, pages) = (cloud.table::<u32>("notes"), cloud.bucket("pages"));
        let unread = cloud.table::<u32>("notes").write_only();
        let route = async move |Path(path)| store(path, notes, pages, unread).await;
        App::new("server").http(Router::new().route("/{path}", get(route)))
    };
    world.run(app).await
}

async fn missing_existing_and_changed_data_have_their_statuses(world: Box<dyn World>) -> TrialResult {
    let app = stores(&*world).await?;
    for (path, status, kind) in [
        ("absent-object", 404, "not-found"),
        ("absent-head", 404, "not-found"),
        ("past-the-end", 400, "invalid-input"),
        ("taken-item", 409, "already-exists"),
        ("taken-object", 409, "already-exists"),
        ("changed-item", 409, "conflict"),
        ("no-counter", 400, "invalid-input"),
        ("bad-key", 400, "invalid-input"),
        ("large-key", 413, "too-large"),
        ("own", 404, "not-found"),
    ] {
        let response = app.get(&format!("/{path}")).await?;
        assert_eq!(response.status.as_u16(), status, "{path}: {}", response.text());
        let body: serde_json::Value = response.json()?;
        assert_eq!(body["error"].as_str(), Some(kind), "{path}");
        assert!(!body["detail"].as_str().unwrap().contains("log of the app"), "{path}: {body}");
    }
    let absent: serde_json::Value = app.get("/absent-object").await?.json()?;
    assert_eq!(absent["detail"].as_str(), Some("no such object"));
    Ok(())
}

async fn an_error_that_only_the_app_can_repair_is_500(world: Box<dyn World>) -> TrialResult {
    let app = stores(&*world).await?;
    for path in ["other-type", "undeclared"] {
        let response = app.get(&format!("/{path}")).await?;
        assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}: {}", response.text());
        let body: serde_json::Value = response.json()?;
        assert_eq!(body["error"].as_str(), Some("internal"), "{path}");
        assert!(!body.to_string().contains("notes"), "{path}: {body}");
    }
    Ok(())
}

async fn every_answer_has_a_request_id(world: Box<dyn World>) -> TrialResult {
    let id = async |cx: Context| cx.invocation_id().to_owned();
    let panic = async || -> () { panic!("out of paper") };
    let fail = async || Err::<(), _>(Error::internal("the drawer jams"));
    let read = async |body: Bytes| body;
    let routes = Router::new().route("/", get(id)).route("/panic", get(panic)).route("/fail", get(fail));
    let app = serve(&*world, routes.route("/read", post(read))).await?;
    let response = app.get("/").await?;
    assert_eq!(response.header("x-request-id"), Some(response.text().as_str()));
    let large = http::Request::post("/read").body(Body::from(vec![0; 4_500_001]))?;
    let others = [app.get("/panic").await?, app.get("/fail").await?, app.get("/none").await?, app.http(large).await?];
    let mut ids = std::collections::HashSet::new();
    for (response, status) in others.iter().zip([500, 500, 404, 413]) {
        assert_eq!(response.status.as_u16(), status);
        let id = response.header("x-request-id").filter(|id| !id.is_empty());
        assert!(ids.insert(id.expect("no request id")), "{id:?} is there twice");
    }
    Ok(())
}

async fn a_request_id_of_the_app_is_kept(world: Box<dyn World>) -> TrialResult {
    let own = async || ([("x-request-id", "mine")], "hello");
    let app = serve(&*world, Router::new().route("/", get(own))).await?;
    let response = app.get("/").await?;
    assert_eq!(response.headers.get_all("x-request-id").iter().collect::<Vec<_>>(), ["mine"]);
    Ok(())
}

async fn an_error_that_the_handler_maps_is_an_answer_like_any_other(world: Box<dyn World>) -> TrialResult {
    let teapot = async || Err::<(), _>((StatusCode::IM_A_TEAPOT, [("x-tag", "a")], "short and stout"));
    let app = serve(&*world, Router::new().route("/", get(teapot))).await?;
    let response = app.get("/").await?;
    assert_eq!((response.status, response.text().as_str()), (StatusCode::IM_A_TEAPOT, "short and stout"));
    assert_eq!(response.header("x-tag"), Some("a"));
    Ok(())
}
