//! The deadline of handlers on Lambda.

use super::*;

async fn remaining(host: &Host, call: LambdaCall) -> u64 {
    let (_, event) = requests("GET", "/").swap_remove(1);
    let answer = json_of(host.lambda.handle(event.to_string().as_bytes(), call).await.unwrap());
    serde_json::from_str::<Value>(answer["body"].as_str().unwrap()).unwrap()["remaining"].as_u64().unwrap()
}

#[tokio::test]
async fn deadline_of_the_handler_is_before_that_of_lambda() {
    let host = Host::alone();
    let in_3_s = LambdaCall { deadline: host.clock.now() + Duration::from_secs(3), ..host.call() };
    assert_eq!(remaining(&host, in_3_s).await, 2_900);
    let in_15_min = LambdaCall { deadline: host.clock.now() + Duration::from_secs(900), ..host.call() };
    assert_eq!(remaining(&host, in_15_min).await, 29_000, "the timeout of gateways");
    let almost_over = LambdaCall { deadline: host.clock.now() + Duration::from_millis(50), ..host.call() };
    assert_eq!(remaining(&host, almost_over).await, 0, "no time remains");
    for past in [host.clock.now() - Duration::from_secs(9), SystemTime::UNIX_EPOCH, host.clock.now()] {
        assert_eq!(
            remaining(&host, LambdaCall { deadline: past, ..host.call() }).await,
            29_000,
            "the deadline of an emulator is ignored"
        );
    }
}
