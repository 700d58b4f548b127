//! Routes behind the guard by `Idempotency-Key`.

use std::time::Duration;

use isobar::axum::body::Bytes;
use isobar::axum::http::request::Parts;
use isobar::axum::http::{HeaderName, Request};
use isobar::axum::response::AppendHeaders;
use isobar::key_value::Key;
use isobar::once::{Attempt, HttpGuard, OnInterrupted, Once};
use isobar::prelude::*;

use super::LEASE;
use super::scripted::{Fault, scripted};
use crate::trials::pub_sub::Recorded;
use crate::{HarnessResult, RunningApp, TrialResult, World};

crate::trials![
    "ON-8" => a_repeated_request_is_answered_with_the_first_answer,
    "ON-8" => a_stored_answer_has_its_status_its_body_and_the_documented_headers,
    "ON-8" => a_client_never_gets_the_answer_of_another_one,
    "ON-8" => an_answer_that_is_an_error_frees_the_key,
    "ON-8" => an_error_with_an_unknown_outcome_keeps_its_key_until_the_lease_is_over,
    "ON-8" => a_handler_that_panics_is_interrupted_and_the_app_chose_what_follows,
    "ON-8" => racing_requests_with_one_key_have_one_effect,
    "ON-8" => of_two_answers_the_one_that_is_stored_first_is_sent_to_both,
    "ON-8" => a_timeout_ends_a_request_and_keeps_its_key,
    "ON-8" => an_answer_that_is_too_large_to_store_is_sent_once,
    "ON-8" => methods_without_an_effect_need_no_key,
    "ON-9" => another_request_with_the_same_key_is_422,
    "ON-9" => a_request_in_progress_is_409_with_the_wait,
    "ON-9" => a_missing_key_is_400_unless_the_guard_is_optional,
    "ON-9" => a_key_out_of_the_rules_is_400,
    "ON-9" => a_key_is_the_same_with_quotes_and_without,
];

/// The account of a client, in place of what its credentials prove.
fn account(request: &Parts) -> Result<String, Problem> {
    let account = request.headers.get("x-account").and_then(|value| value.to_str().ok());
    account.map(str::to_owned).ok_or_else(|| Problem::unauthorized("send your account"))
}

fn guard(once: &Once) -> HttpGuard {
    once.http(account)
}

type Effects = Recorded<(Attempt, Bytes)>;

/// Answers with what the path says, after the effect.
async fn pay(
    State(effects): State<Effects>,
    Path(what): Path<String>,
    Extension(attempt): Extension<Attempt>,
    body: Bytes,
) -> Result<Response> {
    effects.add((attempt, body));
    let number = effects.count();
    match what.as_str() {
        "pay" => Ok((StatusCode::CREATED, [("location", "/payments/1")], format!("payment {number}")).into_response()),
        "bytes" => Ok(Bytes::from((0..=255).collect::<Vec<u8>>()).into_response()),
        "large" => Ok("x".repeat(400_000).into_response()),
        "conflict" if number == 1 => Ok((StatusCode::CONFLICT, "no paper").into_response()),
        "unknown" if number == 1 => Err(Error::timeout("the bank did not answer").with_outcome_unknown()),
        "panic" if number == 1 => panic!("out of paper"),
        "late" => {
            tokio::time::sleep(Duration::from_secs(10)).await;
            Ok("late".into_response())
        }
        "moved" => Ok((StatusCode::SEE_OTHER, [("location", "/payments/1")]).into_response()),
        "both" => {
            for _ in 0..1_000 {
                if effects.count() > 1 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(format!("both {number}").into_response())
        }
        _ => {
            let headers = [
                ("set-cookie", "secret=1"),
                ("cache-control", "no-store"),
                ("content-type", "text/x-receipt"),
                ("etag", "\"1\""),
                ("link", "</1>; rel=next"),
                ("link", "</2>; rel=last"),
                ("x-own", "own"),
            ];
            Ok((AppendHeaders(headers), format!("{what} {number}")).into_response())
        }
    }
}

/// An app with a guarded route, and its effects.
async fn shop(
    world: &dyn World,
    guard: impl FnOnce(&Once) -> HttpGuard + Send + 'static,
) -> HarnessResult<(Box<dyn RunningApp>, Effects)> {
    let effects = Effects::default();
    let state = effects.clone();
    let app = world.run(move |cloud| {
        let guarded = any(pay).layer(guard(&cloud.once("payments")));
        App::new("shop").http(Router::new().route("/{what}", guarded).with_state(state))
    });
    Ok((app.await?, effects))
}

/// A request of ada.
fn request(path: &str, key: Option<&str>, body: &str) -> Request<Body> {
    let request = Request::post(path).header("x-account", "ada");
    let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
    request.body(Body::from(body.to_owned())).unwrap()
}

async fn send(app: &dyn RunningApp, path: &str, key: &str) -> HarnessResult<TestResponse> {
    app.http(request(path, Some(key), "12 EUR")).await
}

fn is_replayed(response: &TestResponse) -> bool {
    response.header("idempotent-replayed") == Some("true")
}

/// Asserts an answer of the guard in the form of all errors.
fn assert_problem(response: &TestResponse, status: StatusCode, error: &str) {
    let body: serde_json::Value = response.json().unwrap();
    assert_eq!((response.status, body["error"].as_str()), (status, Some(error)), "{}", response.text());
    assert!(body["detail"].as_str().is_some_and(|detail| detail.contains("key")), "{body}");
}

async fn a_repeated_request_is_answered_with_the_first_answer(world: Box<dyn World>) -> TrialResult {
    let (app, effects) = shop(&*world, guard).await?;
    let first = send(&*app, "/pay?for=tea", "k1").await?;
    assert_eq!((first.status, first.text().as_str(), is_replayed(&first)), (StatusCode::CREATED, "payment 1", false));
    for _ in 0..2 {
        let again = send(&*app, "/pay?for=tea", "k1").await?;
        assert_eq!((again.status, again.text().as_str()), (StatusCode::CREATED, "payment 1"));
        assert!(is_replayed(&again));
    }
    // The handler has the whole body, and a key for other services.
    let (attempt, body) = effects.only();
    assert_eq!((attempt.key().len(), attempt.is_interrupted(), &body[..]), (32, false, &b"12 EUR"[..]));
    assert_eq!(send(&*app, "/pay?for=tea", "k2").await?.text(), "payment 2");
    Ok(())
}

async fn a_stored_answer_has_its_status_its_body_and_the_documented_headers(world: Box<dyn World>) -> TrialResult {
    let (app, _) = shop(&*world, guard).await?;
    let first = send(&*app, "/receipt", "k1").await?;
    let again = send(&*app, "/receipt", "k1").await?;
    assert_eq!((again.status, again.text()), (first.status, first.text()));
    for name in ["cache-control", "content-type", "etag"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert!(again.headers.get_all("link").iter().eq(first.headers.get_all("link")), "{:?}", again.headers);
    for _ in 0..2 {
        assert_eq!(send(&*app, "/moved", "k4").await?.status, StatusCode::SEE_OTHER);
    }
    assert!(is_replayed(&send(&*app, "/moved", "k4").await?));
    assert_eq!(send(&*app, "/pay", "k2").await?.header("location"), Some("/payments/1"));
    assert_eq!(send(&*app, "/pay", "k2").await?.header("location"), Some("/payments/1"));
    assert_eq!((first.header("x-own"), again.header("x-own"), again.header("set-cookie")), (Some("own"), None, None));
    let every_byte: Vec<u8> = (0..=255).collect();
    for _ in 0..2 {
        assert_eq!(send(&*app, "/bytes", "k3").await?.body, every_byte);
    }
    Ok(())
}

async fn a_client_never_gets_the_answer_of_another_one(world: Box<dyn World>) -> TrialResult {
    let (app, effects) = shop(&*world, guard).await?;
    for (number, account) in ["ada", "bob", "ada/k1", "ad"].into_iter().enumerate() {
        let mut request = request("/pay", Some("k1"), "12 EUR");
        request.headers_mut().insert("x-account", account.parse().unwrap());
        assert_eq!(app.http(request).await?.text(), format!("payment {}", number + 1));
    }
    let mut unknown = request("/pay", Some("k1"), "12 EUR");
    unknown.headers_mut().remove("x-account");
    assert_eq!(app.http(unknown).await?.status, StatusCode::UNAUTHORIZED);
    assert_eq!(effects.count(), 4);
    Ok(())
}

async fn an_answer_that_is_an_error_frees_the_key(world: Box<dyn World>) -> TrialResult {
    let (app, effects) = shop(&*world, guard).await?;
    let first = send(&*app, "/conflict", "k1").await?;
    assert_eq!((first.status, first.text().as_str()), (StatusCode::CONFLICT, "no paper"));
    let second = send(&*app, "/conflict", "k1").await?;
    assert_eq!((second.status, second.text().as_str()), (StatusCode::OK, "conflict 2"));
    assert!(!is_replayed(&second) && !effects.all()[1].0.is_interrupted());
    Ok(())
}

async fn an_error_with_an_unknown_outcome_keeps_its_key_until_the_lease_is_over(world: Box<dyn World>) -> TrialResult {
    let (app, effects) = shop(&*world, guard).await?;
    assert_eq!(send(&*app, "/unknown", "k1").await?.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(send(&*app, "/unknown", "k1").await?.status, StatusCode::CONFLICT);
    world.advance(LEASE)?;
    assert_eq!(send(&*app, "/unknown", "k1").await?.text(), "unknown 2");
    assert!(effects.all()[1].0.is_interrupted());
    // The answer of work that is done is sent although it cannot be stored.
    let once = scripted(&*world, &[Fault::None, Fault::Down]).once("payments");
    let (app, effects) = shop(&*world, move |_| guard(&once)).await?;
    assert_eq!(send(&*app, "/pay", "k2").await?.text(), "payment 1");
    assert_eq!((send(&*app, "/pay", "k2").await?.status, effects.count()), (StatusCode::CONFLICT, 1));
    Ok(())
}

async fn a_handler_that_panics_is_interrupted_and_the_app_chose_what_follows(world: Box<dyn World>) -> TrialResult {
    let (app, effects) = shop(&*world, |once| guard(&once.clone().with_interrupted(OnInterrupted::Refuse))).await?;
    assert_eq!(send(&*app, "/panic", "k1").await?.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(send(&*app, "/panic", "k1").await?.header("retry-after").is_some());
    world.advance(LEASE)?;
    let refused = send(&*app, "/panic", "k1").await?;
    assert_problem(&refused, StatusCode::CONFLICT, "conflict");
    assert_eq!((refused.header("retry-after"), effects.count()), (None, 1));
    // What a person can do is in the log, and not in the answer.
    assert!(!refused.text().contains("forget") && !refused.text().contains("payments"), "{}", refused.text());
    world.cloud().once("payments").forget(("ada", "k1")).await?;
    assert_eq!(send(&*app, "/panic", "k1").await?.text(), "panic 2");
    Ok(())
}

async fn racing_requests_with_one_key_have_one_effect(world: Box<dyn World>) -> TrialResult {
    let (app, effects) = shop(&*world, guard).await?;
    for _ in 0..100 {
        let requests = (0..10).map(|_| send(&*app, "/pay", "k1"));
        let responses = futures_util::future::try_join_all(requests).await?;
        assert!(responses.iter().all(|response| response.text() == "payment 1" || response.status == 409));
        assert_eq!(effects.count(), 1);
        if responses.iter().all(is_replayed) {
            return Ok(());
        }
    }
    panic!("the answer is never stored")
}

/// A key that is forgotten while its request is running, as by a lease that ended: both clients get one answer.
async fn of_two_answers_the_one_that_is_stored_first_is_sent_to_both(world: Box<dyn World>) -> TrialResult {
    let (app, effects) = shop(&*world, guard).await?;
    let second = async {
        while effects.count() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.cloud().once("payments").forget(Key::new("ada", "k1")).await?;
        send(&*app, "/both", "k1").await
    };
    let (first, second) = futures_util::future::try_join(send(&*app, "/both", "k1"), second).await?;
    assert_eq!((first.status, first.text()), (second.status, second.text()));
    assert!(is_replayed(&first) != is_replayed(&second));
    Ok(())
}

async fn a_timeout_ends_a_request_and_keeps_its_key(world: Box<dyn World>) -> TrialResult {
    let timeout = Duration::from_secs(2);
    let (app, effects) = shop(&*world, move |once| guard(&once.clone().with_timeout(timeout))).await?;
    let passing = async {
        while effects.count() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(world.advance(timeout)?)
    };
    let (late, ()) = futures_util::future::try_join(send(&*app, "/late", "k1"), passing).await?;
    assert_eq!(late.status, StatusCode::GATEWAY_TIMEOUT);
    let waiting = send(&*app, "/late", "k1").await?;
    assert_eq!((waiting.status, waiting.header("retry-after")), (StatusCode::CONFLICT, Some("30")));
    Ok(())
}

async fn an_answer_that_is_too_large_to_store_is_sent_once(world: Box<dyn World>) -> TrialResult {
    let (app, effects) = shop(&*world, guard).await?;
    assert_eq!(send(&*app, "/large", "k1").await?.body.len(), 400_000);
    let again = send(&*app, "/large", "k1").await?;
    assert_problem(&again, StatusCode::CONFLICT, "conflict");
    assert_eq!((again.header("retry-after"), effects.count()), (None, 1));
    Ok(())
}

async fn methods_without_an_effect_need_no_key(world: Box<dyn World>) -> TrialResult {
    let app = world.run(|cloud| {
        let guarded = any("seen").layer(guard(&cloud.once("payments")));
        App::new("shop").http(Router::new().route("/", guarded))
    });
    let app = app.await?;
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        let request = Request::builder().method(method.clone()).uri("/").header("idempotency-key", "");
        let response = app.http(request.body(Body::empty()).unwrap()).await?;
        assert_eq!((response.status, is_replayed(&response)), (StatusCode::OK, false), "{method}");
    }
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let request = Request::builder().method(method.clone()).uri("/").body(Body::empty()).unwrap();
        assert_eq!(app.http(request).await?.status, StatusCode::BAD_REQUEST, "{method}");
    }
    Ok(())
}

async fn another_request_with_the_same_key_is_422(world: Box<dyn World>) -> TrialResult {
    let (app, effects) = shop(&*world, guard).await?;
    send(&*app, "/pay?for=tea", "k1").await?;
    let mut put = request("/pay?for=tea", Some("k1"), "12 EUR");
    *put.method_mut() = Method::PUT;
    let others = [
        request("/pay?for=tea", Some("k1"), "13 EUR"),
        request("/pay?for=tea", Some("k1"), ""),
        request("/pay?for=milk", Some("k1"), "12 EUR"),
        request("/pay", Some("k1"), "12 EUR"),
        request("/receipt?for=tea", Some("k1"), "12 EUR"),
        put,
    ];
    for other in others {
        let refused = app.http(other).await?;
        assert_problem(&refused, StatusCode::UNPROCESSABLE_ENTITY, "unprocessable-entity");
    }
    assert_eq!(effects.count(), 1);
    assert_eq!(send(&*app, "/pay?for=tea", "k1").await?.text(), "payment 1");
    // The path is that of the client, also in a module.
    let app = world.run(|cloud| {
        let routes = || Router::new().route("/pay", post("done").layer(guard(&cloud.once("payments"))));
        App::new("shop").mount("/a", App::new("a").http(routes())).mount("/b", App::new("b").http(routes()))
    });
    let app = app.await?;
    assert_eq!(send(&*app, "/a/pay", "k2").await?.status, StatusCode::OK);
    assert_eq!(send(&*app, "/b/pay", "k2").await?.status, StatusCode::UNPROCESSABLE_ENTITY);
    Ok(())
}

async fn a_request_in_progress_is_409_with_the_wait(world: Box<dyn World>) -> TrialResult {
    let (app, _) = shop(&*world, guard).await?;
    // For others, a handler that panicked may still be running.
    send(&*app, "/panic", "k1").await?;
    let waiting = send(&*app, "/panic", "k1").await?;
    let body: serde_json::Value = waiting.json()?;
    assert_eq!((waiting.status, body["error"].as_str()), (StatusCode::CONFLICT, Some("conflict")));
    let wait: u64 = waiting.header("retry-after").unwrap().parse()?;
    assert!((30..=60).contains(&wait), "{wait}");
    world.advance(Duration::from_secs(wait))?;
    assert_eq!(send(&*app, "/panic", "k1").await?.text(), "panic 2");
    Ok(())
}

async fn a_missing_key_is_400_unless_the_guard_is_optional(world: Box<dyn World>) -> TrialResult {
    let app = world.run(|cloud| {
        let once = cloud.once("payments");
        let routes = Router::new().route("/required", post("done").layer(guard(&once)));
        App::new("shop").http(routes.route("/optional", post("done").layer(guard(&once).optional())))
    });
    let app = app.await?;
    let refused = app.http(request("/required", None, "")).await?;
    assert_problem(&refused, StatusCode::BAD_REQUEST, "invalid-input");
    for _ in 0..2 {
        let passed = app.http(request("/optional", None, "")).await?;
        assert_eq!((passed.text().as_str(), is_replayed(&passed)), ("done", false));
    }
    app.http(request("/optional", Some("k1"), "")).await?;
    assert!(is_replayed(&app.http(request("/optional", Some("k1"), "")).await?));
    Ok(())
}

async fn a_key_out_of_the_rules_is_400(world: Box<dyn World>) -> TrialResult {
    let (app, effects) = shop(&*world, guard).await?;
    let long = "x".repeat(256);
    for key in ["", "\"\"", "a b", "a,b", "\"a", "a\"", "\"a\"b\"", "\"a\\b\"", "\"a\\\"", "\"a\";b", &long] {
        let refused = send(&*app, "/pay", key).await?;
        assert_problem(&refused, StatusCode::BAD_REQUEST, "invalid-input");
    }
    let mut two = request("/pay", Some("k1"), "");
    two.headers_mut().append(KEY, "k2".parse().unwrap());
    assert_problem(&app.http(two).await?, StatusCode::BAD_REQUEST, "invalid-input");
    assert_eq!(effects.count(), 0);
    for key in ["x".repeat(255).as_str(), "8e03978e-40d5-43dd-bc93-6894a57f9324", "!#$%&'()*+-./:;<=>?@[\\]^_`{|}~"] {
        assert_eq!(send(&*app, "/pay", key).await?.status, StatusCode::CREATED, "{key}");
        assert!(is_replayed(&send(&*app, "/pay", key).await?), "{key}");
    }
    Ok(())
}

async fn a_key_is_the_same_with_quotes_and_without(world: Box<dyn World>) -> TrialResult {
    let (app, effects) = shop(&*world, guard).await?;
    for (plain, quoted) in [("k1", "\"k1\""), ("k2", " k2\t"), ("k3", " \"k3\" "), ("a\\b", "\"a\\\\b\"")] {
        let before = effects.count();
        send(&*app, "/pay", plain).await?;
        assert!(is_replayed(&send(&*app, "/pay", quoted).await?));
        assert_eq!(effects.count(), before + 1);
    }
    // Only quotes can contain these.
    for key in ["\"a b\"", "\"a,b\"", "\"a\\\"b\""] {
        assert_eq!(send(&*app, "/pay", key).await?.status, StatusCode::CREATED, "{key}");
    }
    Ok(())
}

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
