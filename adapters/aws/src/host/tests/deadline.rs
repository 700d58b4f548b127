//! Lambda's deadline, and what becomes of what is late.

use futures_util::FutureExt;

use super::*;

async fn remaining(host: &Host, call: LambdaCall) -> u64 {
    let (_, event) = requests("GET", "/").swap_remove(1);
    let answer = whole(host.lambda.handle(event.to_string().as_bytes(), call).await.unwrap());
    serde_json::from_str::<Value>(answer["body"].as_str().unwrap()).unwrap()["remaining"].as_u64().unwrap()
}

#[tokio::test]
async fn the_deadline_reaches_the_handler_a_little_before_lambda_s() {
    let host = Host::alone();
    let in_3_s = LambdaCall { deadline: host.clock.now() + Duration::from_secs(3), ..host.call() };
    assert_eq!(remaining(&host, in_3_s).await, 2_900);
    let in_15_min = LambdaCall { deadline: host.clock.now() + Duration::from_secs(900), ..host.call() };
    assert_eq!(remaining(&host, in_15_min).await, 29_000, "no gateway waits longer");
    let at_once = LambdaCall { deadline: host.clock.now() + Duration::from_millis(50), ..host.call() };
    assert_eq!(remaining(&host, at_once).await, 0, "no time is left, and none is made up");
    for past in [host.clock.now() - Duration::from_secs(9), SystemTime::UNIX_EPOCH, host.clock.now()] {
        assert_eq!(remaining(&host, LambdaCall { deadline: past, ..host.call() }).await, 29_000, "an emulator's");
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_a_504() {
    let host = Host::alone();
    for (gateway, event) in requests("GET", "/hang").into_iter().chain(requests("GET", "/endless")) {
        let event = event.to_string();
        let mut answer = Box::pin(host.reply(event.as_bytes()));
        assert!((&mut answer).now_or_never().is_none(), "{gateway}");
        host.clock.advance(Duration::from_secs(29));
        let answer = whole(answer.now_or_never().unwrap().unwrap());
        assert_eq!(answer["statusCode"], 504, "{gateway}");
    }
}

#[tokio::test]
async fn an_event_that_takes_too_long_is_a_failed_invocation_that_says_what_to_do() {
    let app = |_: &Cloud, _: &Seen| {
        App::new("slow").on_invoke("hang", |_: Value, cx: Context| async move {
            assert_eq!(cx.remaining(), Some(Duration::from_millis(59_900)));
            std::future::pending::<Result<()>>().await
        })
    };
    let host = Host::with("http://127.0.0.1:1", &[], app);
    let event = json!({"isobar": "invoke", "function": "hang"}).to_string();
    let mut answer = Box::pin(host.reply(event.as_bytes()));
    assert!((&mut answer).now_or_never().is_none());
    host.clock.advance(Duration::from_millis(59_900));
    let error = answer.now_or_never().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains("give it less to do"), "{error}");
}
