use super::*;

const SWEEP: &str = "/.isobar/schedules/sweep";

#[tokio::test]
async fn a_tick_has_the_due_time_of_the_job() {
    let host = Host::new().await;
    for (scheduled, due) in [
        ("2026-03-04T03:00:00Z", "2026-03-04T03:00:00.000Z"),
        ("2026-03-04T03:00:00.123456-07:00", "2026-03-04T10:00:00.123Z"),
        ("noon", "2026-01-01T00:00:00.000Z"),
        ("", "2026-01-01T00:00:00.000Z"),
    ] {
        let request =
            of_google(SWEEP).header("x-cloudscheduler", "true").header("x-cloudscheduler-scheduletime", scheduled);
        assert_eq!(host.send(request.body(Body::empty()).unwrap()).await, (204, String::new()));
        assert_eq!(host.calls(), [format!("sweep {due}")]);
    }
    assert_eq!(host.call(SWEEP, "whatever").await.0, 204);
    assert_eq!(host.calls(), ["sweep 2026-01-01T00:00:00.000Z"]);
    let (status, answer) = host.call("/.isobar/schedules/fails", "").await;
    assert_eq!((status, answer.contains("no broom")), (500, true), "{answer}");
}

#[tokio::test]
async fn a_direct_call_returns_its_result() {
    let host = Host::new().await;
    let call = |name: &str, body: &'static str| {
        let path = format!("/.isobar/functions/{name}");
        let host = &host;
        async move { host.call(&path, body).await }
    };
    assert_eq!(call("echo", r#"{"id":[1]}"#).await, (200, r#"{"id":[1]}"#.to_owned()));
    assert_eq!(call("nothing", "1").await, (200, "null".to_owned()));
    for (name, body, status, text) in
        [("fails", "1", 400, "no such item"), ("panics", "1", 500, "panicked"), ("echo", "{", 400, "invalid-input")]
    {
        let (answered, answer) = call(name, body).await;
        assert_eq!((answered, answer.contains(text)), (status, true), "{answer}");
        assert!(serde_json::from_str::<Value>(&answer).unwrap()["errorType"].is_string());
    }
    let answer = host.service.handle(of_google("/.isobar/functions/echo").body(Body::from("1")).unwrap()).await;
    assert_eq!(answer.headers()["content-type"], "application/json");
}
