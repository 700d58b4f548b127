use isobar_abstraction::driver::RetryPolicy;
use isobar_abstraction::manifest::{Manifest, MessageTrigger, ObjectTrigger, Trigger, WriteTrigger};

use super::*;

fn get(path: &str) -> Request<Body> {
    Request::get(path).header("authorization", bearer()).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn an_unknown_path_is_404_and_lists_the_triggers() {
    let host = Host::new().await;
    for path in [
        "/.isobar",
        "/.isobar/",
        "/.isobar/x",
        "/.isobar/topics",
        "/.isobar/topics/",
        "/.isobar/topics/nothing",
        "/.isobar/topics/clicks/",
        "/.isobar/topics/clicks/x",
        "/.isobar/topics/pages",
        "/.isobar/buckets/clicks",
        "/.isobar/Topics/clicks",
        "/.isobar//topics/clicks",
        "/.isobar/topics/click%73",
    ] {
        let (status, answer) = host.call(path, "{}").await;
        assert_eq!(status, 404, "{path}: {answer}");
        for name in ["topics/clicks", "buckets/pages", "schedules/sweep", "schedules/fails", "functions/echo"] {
            assert!(answer.contains(&format!("/.isobar/{name}")), "{answer}");
        }
        assert!(answer.contains("app `shop`"), "{answer}");
    }
    let long = format!("/.isobar/{}", "x".repeat(5_000));
    assert!(host.call(&long, "{}").await.1.len() < 1_000);
    assert!(host.calls().is_empty());
}

/// The message is the app's own, which is the same on every provider.
#[tokio::test]
async fn the_app_reports_an_unknown_schedule_or_function() {
    let host = Host::new().await;
    for (path, named) in [("/.isobar/schedules/nightly", "`nightly`"), ("/.isobar/functions/none", "`none`")] {
        let (status, answer) = host.call(path, "{}").await;
        assert!(status == 404 && answer.contains(named) && answer.contains("schedule `sweep`"), "{status} {answer}");
    }
}

#[test]
fn ambiguous_targets_and_invalid_topic_names_are_rejected_at_start() {
    let object = |name| Trigger::Object(ObjectTrigger::new(name, RetryPolicy::default()));
    let message = Trigger::Message(MessageTrigger::new("clicks", RetryPolicy::default()));
    let manifest = Manifest::new("shop").with_triggers([message, object("clicks"), object("pages")]);
    let checked = |vars: &[(&str, &str)]| check_names(&config("http://127.0.0.1:1", vars), &manifest);
    checked(&[("FUNCTION_TARGET", "clicks")]).unwrap();
    checked(&[("FUNCTION_TARGET", "others"), ("FUNCTION_SIGNATURE_TYPE", "event")]).unwrap();
    let target = checked(&[("FUNCTION_TARGET", "clicks"), ("FUNCTION_SIGNATURE_TYPE", "cloudevent")]).unwrap_err();
    assert!(target.message().contains("/.isobar/topics/clicks and /.isobar/buckets/clicks"), "{target}");
    let links = Trigger::Write(WriteTrigger::new("links", RetryPolicy::default()));
    let named = |name: &str, topic| {
        Trigger::Message(MessageTrigger::new(topic, RetryPolicy::default()).with_subscription(name))
    };
    let of = |triggers: Vec<Trigger>, vars: &[(&str, &str)]| {
        check_names(&config("http://127.0.0.1:1", vars), &Manifest::new("shop").with_triggers(triggers))
    };
    let both = [named("default", "clicks"), named("index", "clicks"), named("default", "orders"), links.clone()];
    of(both.to_vec(), &[]).unwrap();
    let same = of(both.to_vec(), &[("ISOBAR_TOPIC_ORDERS", "pubsub://clicks--index")]).unwrap_err();
    assert!(same.message().contains("subscription `index` of topic `clicks` and topic `orders`"), "{same}");
    for url in ["pubsub://clicks--index?project=p-1", "pubsub://clicks--dead", "pubsub://clicks--index--dead"] {
        let same = of(both.to_vec(), &[("ISOBAR_TOPIC_ORDERS", url)]).unwrap_err();
        assert!(same.message().contains(" and topic `orders` have the same subscription"), "{url}: {same}");
    }
    of(both.to_vec(), &[("ISOBAR_TOPIC_ORDERS", "pubsub://clicks--dead?project=p-2")]).unwrap();
    let long = of(both.to_vec(), &[("ISOBAR_TOPIC_CLICKS", &format!("pubsub://{}", "c".repeat(243)))]).unwrap_err();
    assert!(long.message().contains("255 characters"), "{long}");
    let collection = of(vec![links], &[("ISOBAR_TABLE_LINKS", "firestore://1links")]).unwrap_err();
    assert!(collection.message().contains("1links--writes"), "{collection}");
    // The topic of its events would begin with a digit, which Pub/Sub rejects.
    let events = checked(&[("ISOBAR_BUCKET_PAGES", "gs://1pages")]).unwrap_err();
    assert!(events.message().contains("1pages--events"), "{events}");
}

#[tokio::test]
async fn triggers_accept_only_post() {
    let host = Host::new().await;
    for path in ["/.isobar/topics/clicks", "/.isobar/functions/echo", "/.isobar"] {
        let answer = host.service.handle(get(path)).await;
        assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"POST".parse().unwrap()), "{path}");
        for method in ["PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"] {
            let request = Request::builder().method(method).uri(path).header("authorization", bearer());
            assert_eq!(host.send(request.body(Body::empty()).unwrap()).await.0, 405, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn routes_of_the_app_and_triggers_do_not_overlap() {
    let host = Host::new().await;
    for path in [
        "/.isobarx",
        "/.isobar2/topics/clicks",
        "//.isobar/topics/clicks",
        "/x/.isobar/topics/clicks",
        "/%2Eisobar/topics/clicks",
        "/.ISOBAR/topics/clicks",
        "/topics/clicks",
        "/?a=/.isobar/",
    ] {
        let (status, answer) = host.send(Request::post(path).body(Body::empty()).unwrap()).await;
        assert!(status == 200 || path.starts_with("/?"), "{path}: {status} {answer}");
        let calls = host.calls();
        assert!(calls == [format!("POST {path}")] || path.starts_with("/?"), "{path}: {calls:?}");
    }
    for path in ["/.isobar", "/.isobar/", "/.isobar/x", "/.isobar?x", "/.isobar/topics/clicks?x=/"] {
        assert_eq!(host.send(Request::post(path).body(Body::empty()).unwrap()).await.0, 401, "{path}");
    }
    assert!(host.calls().is_empty());
}

#[tokio::test]
async fn a_call_that_is_too_large_is_rejected() {
    let host = Host::new().await;
    for path in ["/.isobar/topics/clicks", "/.isobar/functions/echo"] {
        let parts = stream::iter((0..100).map(|_| Ok::<_, BoxError>(Bytes::from_static(&[b' '; 1 << 20]))));
        let (status, answer) = host.send(of_google(path).body(Body::from_stream(parts)).unwrap()).await;
        assert_eq!((status, answer.contains("33554432")), (413, true), "{answer}");
    }
    let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(BoxError::from("cut"))]);
    let (status, answer) =
        host.send(of_google("/.isobar/functions/echo").body(Body::from_stream(broken)).unwrap()).await;
    assert_eq!((status, answer.contains("was interrupted")), (400, true), "{answer}");
}

fn message(body: &str) -> Value {
    use base64::Engine;
    json!({"subscription": "projects/p-1/subscriptions/clicks",
        "message": {"data": base64::prelude::BASE64_STANDARD.encode(body), "messageId": "17"}})
}

#[tokio::test]
async fn every_post_is_an_event_with_an_event_signature() {
    for signature in ["event", "cloudevent"] {
        let index = Host::with(&[("FUNCTION_SIGNATURE_TYPE", signature), ("FUNCTION_TARGET", "clicks/index")]).await;
        assert_eq!(index.call("/", message("hello")).await.0, 204);
        let host = Host::with(&[("FUNCTION_SIGNATURE_TYPE", signature), ("FUNCTION_TARGET", "clicks")]).await;
        for path in ["/", "/projects/p-1/topics/clicks", "/.isobar/topics/clicks"] {
            assert_eq!(host.call(path, message("hello")).await.0, 204, "{path}");
            assert_eq!(host.calls(), ["hello 17, attempt 1"]);
        }
        assert_eq!(host.send(Request::post("/").body(Body::empty()).unwrap()).await.0, 401);
        assert_eq!(host.send(get("/")).await.0, 405);
        assert_eq!(host.call("/.isobar/functions/echo", "7").await, (200, "7".to_owned()), "its own path still works");
    }
    let sweep = Host::with(&[("FUNCTION_SIGNATURE_TYPE", "event"), ("FUNCTION_TARGET", "sweep")]).await;
    assert_eq!(sweep.call("/", "").await.0, 204);
    assert_eq!(sweep.calls().len(), 1);
}

#[tokio::test]
async fn every_post_is_a_direct_call_with_a_typed_signature() {
    let host = Host::with(&[("FUNCTION_SIGNATURE_TYPE", "typed"), ("FUNCTION_TARGET", "echo")]).await;
    assert_eq!(host.call("/any/where", r#"{"a":1}"#).await, (200, r#"{"a":1}"#.to_owned()));
    let topic = Host::with(&[("FUNCTION_SIGNATURE_TYPE", "typed"), ("FUNCTION_TARGET", "clicks")]).await;
    assert_eq!(topic.call("/", "{}").await.0, 404, "a topic is not a function");
    let http = Host::with(&[("FUNCTION_SIGNATURE_TYPE", "http"), ("FUNCTION_TARGET", "whatever")]).await;
    assert_eq!(http.send(Request::get("/").body(Body::empty()).unwrap()).await, (200, "root".to_owned()));
}

#[tokio::test]
async fn an_unknown_function_target_is_named() {
    let host = Host::with(&[("FUNCTION_SIGNATURE_TYPE", "event"), ("FUNCTION_TARGET", "unknown")]).await;
    let (status, answer) = host.call("/", "{}").await;
    assert_eq!((status, answer.contains("FUNCTION_TARGET `unknown`")), (404, true), "{answer}");
    assert!(answer.contains("/.isobar/topics/clicks"), "{answer}");
}

#[test]
fn invalid_settings_are_named() {
    let of = |vars: &[(&str, &str)]| {
        let environment = vars.iter().fold(Environment::default(), |all, (name, value)| all.with_var(*name, *value));
        GcpConfig::from_environment(&environment).map(|config| config.run)
    };
    for (vars, name) in [
        (vec![("FUNCTION_SIGNATURE_TYPE", "events"), ("FUNCTION_TARGET", "x")], "FUNCTION_SIGNATURE_TYPE"),
        (vec![("FUNCTION_SIGNATURE_TYPE", "HTTP")], "FUNCTION_SIGNATURE_TYPE"),
        (vec![("FUNCTION_SIGNATURE_TYPE", "event")], "FUNCTION_TARGET"),
        (vec![("FUNCTION_SIGNATURE_TYPE", "typed")], "FUNCTION_TARGET"),
        (vec![("PORT", "http")], "PORT"),
        (vec![("PORT", "65536")], "PORT"),
        (vec![(ISOBAR_EVENT_KEYS, "http://keys.example/certs")], ISOBAR_EVENT_KEYS),
        (vec![(ISOBAR_EVENT_KEYS, "certs")], ISOBAR_EVENT_KEYS),
    ] {
        let error = of(&vars).unwrap_err();
        assert_eq!((error.kind(), error.message().contains(name)), (ErrorKind::Config, true), "{error}");
    }
    let plain = of(&[]).unwrap();
    assert_eq!((plain.port, plain.keys.as_str()), (8_080, "https://www.googleapis.com/oauth2/v3/certs"));
    assert_eq!(of(&[("PORT", "80")]).unwrap().port, 80);
    assert!(plain.address().is_unspecified() && !plain.emulated);
}
