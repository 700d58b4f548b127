use isobar_testkit::Log;

use super::*;
use crate::{HttpMode, function_app};

const OLD: &str = "0ld0ld0ld0ld0ld0ld0ld0ld0ld0ld0l";
const OTHER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn forged(path: &str) -> Request<Body> {
    let call = json!({"Data": {"message": "hello"}, "Metadata": {"DequeueCount": "1"}});
    of_host(path).body(call.to_string().into()).unwrap()
}

/// An app whose router knows `POST /{id}` would answer a forged call with 200.
#[tokio::test]
async fn a_forged_call_fires_nothing_whatever_its_headers_are() {
    let host = Host::new();
    let near = format!("{}x", &SECRET[..31]);
    for secret in [OTHER, &near, &SECRET[1..], &format!("{SECRET}0"), &SECRET.to_uppercase(), ""] {
        for function in ["topic-clicks", "fifo-clicks", "bucket-pages", "schedule-sweep", "invoke-echo"] {
            let (status, answer) = host.send(forged(&format!("/{function}-{secret}"))).await;
            let seen = host.seen();
            assert!(seen.iter().all(|it| it == "Some(\"http\")"), "{function} {secret}: {seen:?}");
            assert!(status == 404 || !seen.is_empty(), "{function} {secret}: {status} {answer}");
            assert!(!answer.contains("Outputs"), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_forged_call_gets_the_response_for_an_unknown_path() {
    let host = Host::new();
    let unknown = host.send(forged("/no/such/path")).await;
    assert_eq!(unknown, (404, String::new()));
    for path in [
        format!("/topic-clicks-{OTHER}"),
        format!("/http-{OTHER}"),
        format!("//topic-clicks-{SECRET}"),
        format!("/topic-clicks-{SECRET}/"),
        format!("/x/topic-clicks-{SECRET}"),
    ] {
        assert_eq!(host.send(forged(&path)).await, unknown, "{path}");
    }
}

#[tokio::test]
async fn paths_that_only_look_like_functions_reach_the_app() {
    let host = Host::new();
    for path in ["/topic-clicks", "/topic-nothing-here", "/a-b", &format!("/article-x-{OTHER}"), &format!("/{OTHER}")] {
        assert_eq!(host.send(forged(path)).await.0, 200, "{path}");
        assert_eq!(host.seen(), ["Some(\"http\")"], "{path}");
    }
    // With the secret, but not POST: the host calls only with POST.
    let get = Request::get(format!("/topic-clicks-{SECRET}")).body(Body::empty()).unwrap();
    assert_eq!(host.send(get).await.0, 405);
}

#[tokio::test]
async fn without_a_secret_no_trigger_can_be_fired() {
    let host = Host::with(&[(ISOBAR_TRIGGER_SECRET, "")]);
    for secret in [OTHER, SECRET] {
        assert_eq!(host.send(forged(&format!("/topic-clicks-{secret}"))).await.0, 404);
        assert_eq!(host.send(forged(&format!("/invoke-echo-{secret}"))).await.0, 404);
    }
    assert_eq!(host.send(forged(&format!("/schedule-sweep-{}", "a".repeat(31)))).await.0, 200, "a path of the app's");
    assert!(host.seen().iter().all(|it| it == "Some(\"http\")"));
}

#[tokio::test]
async fn two_secrets_are_valid_while_one_replaces_the_other() {
    let host = Host::with(&[(ISOBAR_TRIGGER_SECRET_OLD, OLD)]);
    for secret in [SECRET, OLD] {
        assert_eq!(host.send(forged(&format!("/topic-clicks-{secret}"))).await.0, 200);
        let (status, answer) = host.send(forged(&format!("/topic-nothing-{secret}"))).await;
        assert!(status == 404 && !answer.contains(SECRET) && !answer.contains(OLD), "{status} {answer}");
    }
    assert_eq!(host.seen().len(), 2);
    assert_eq!(host.send(forged(&format!("/topic-clicks-{OTHER}"))).await.0, 404);
    let replaced = Host::new();
    assert_eq!(replaced.send(forged(&format!("/topic-clicks-{OLD}"))).await.0, 404);
    // New names contain only the new secret.
    let app = function_app(&host.handler.app.manifest, &host.handler.state.config, "handler", HttpMode::Proxying);
    let files = format!("{:?}", app.unwrap().files());
    assert!(files.contains(SECRET) && !files.contains(OLD));
}

#[test]
fn an_old_secret_alone_or_a_malformed_one_is_rejected() {
    for (vars, named) in [
        ([(ISOBAR_TRIGGER_SECRET_OLD, OLD), ("X", "")], "set without ISOBAR_TRIGGER_SECRET"),
        ([(ISOBAR_TRIGGER_SECRET_OLD, "hunter2"), (ISOBAR_TRIGGER_SECRET, SECRET)], ISOBAR_TRIGGER_SECRET_OLD),
    ] {
        let environment = Environment::new(vars.map(|(name, value)| (name.to_owned(), value.to_owned())), []);
        let error = AzureConfig::from_environment(&environment).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(named) && vars.iter().all(|(_, value)| value.is_empty() || !text.contains(value)));
    }
}

#[tokio::test]
async fn debug_never_shows_the_secret() {
    let host = Host::with(&[(ISOBAR_TRIGGER_SECRET_OLD, OLD)]);
    let debug = format!("{:?} {:?}", host.handler, host.handler.state.config);
    assert!(!debug.contains(SECRET) && !debug.contains(OLD), "{debug}");
    let app = function_app(&host.handler.app.manifest, &config(&[]), "handler", HttpMode::Proxying).unwrap();
    assert!(!format!("{app:?}").contains(SECRET));
}

/// With a wrong secret, without a configured secret, and with another method than the host's.
#[tokio::test]
async fn no_log_line_has_a_secret() {
    let log = Log::start();
    let unset = Host::with(&[(ISOBAR_TRIGGER_SECRET, "")]);
    for (host, method, secret) in
        [(&Host::new(), "POST", OTHER), (&Host::new(), "GET", SECRET), (&unset, "POST", SECRET)]
    {
        for path in [
            format!("/topic-clicks-{secret}"),
            format!("/fifo-clicks-{secret}?a=1"),
            format!("/topic-gone-{secret}"),
            format!("/http-{secret}"),
            format!("//topic-clicks-{secret}"),
            format!("/x/topic-clicks-{secret}/"),
            format!("/topic-clicks-{secret}.php"),
        ] {
            host.send(Request::builder().method(method).uri(path.as_str()).body(Body::empty()).unwrap()).await;
            let logged = log.take();
            assert!(!logged.contains(secret), "{path}: {logged}");
            let expected = format!("{method} {} ", path.replace(secret, "***").replace("?a=1", ""));
            assert!(logged.contains(&expected), "{path}: {logged}");
        }
    }
    let host = Host::new();
    let url = format!("https://shop.example/topic-clicks-{SECRET}");
    let call = json!({"Data": {"req": {"Url": url, "Method": "GET"}}, "Metadata": {}});
    assert_eq!(host.call("http", call).await.0, 200);
    let logged = log.take();
    assert!(!logged.contains(SECRET) && logged.contains("GET /topic-clicks-*** "), "{logged}");
    assert_eq!(host.call(&format!("topic-clicks-{OTHER}"), r#"{"Data":{"a":1}}"#).await.0, 404);
    let logged = log.take();
    assert!(!logged.contains(OTHER) && logged.contains("`topic-clicks-***`"), "{logged}");
    // A path of the app is unchanged.
    host.send(forged(&format!("/article-x-{OTHER}"))).await;
    assert!(log.take().contains(OTHER));
}
