//! HTTP requests from every gateway.

use super::*;

#[tokio::test]
async fn app_responds_to_every_gateway() {
    let host = Host::alone();
    for (gateway, event) in requests("POST", "/links/a%20b") {
        let answer = host.ask(&event).await.unwrap();
        assert_eq!(answer["statusCode"], 200, "{gateway}");
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!((&body["method"], &body["uri"]), (&json!("POST"), &json!("/links/a%20b")), "{gateway}");
        assert_eq!((&body["invocation"], &body["function"]), (&json!("req-1"), &json!("shop")), "{gateway}");
        assert_eq!((&body["provider"], &body["attempt"]), (&json!("aws"), &json!(1)), "{gateway}");
    }
}

#[tokio::test]
async fn malformed_request_is_status_400_with_the_field() {
    let host = Host::alone();
    for (gateway, mut event) in requests("POST", "/links") {
        (event["body"], event["isBase64Encoded"]) = (json!("hunter2!"), json!(true));
        let answer = host.ask(&event).await.unwrap();
        assert_eq!(answer["statusCode"], 400, "{gateway}");
        let body = answer["body"].as_str().unwrap();
        assert!(body.contains("`body`") && !body.contains("hunter2"), "{body}");
    }
}

#[tokio::test]
async fn trace_is_that_of_the_request_or_else_that_of_lambda() {
    let host = Host::alone();
    let mut call = host.call();
    call.xray_trace = Some("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1".to_owned());
    let (_, mut event) = requests("GET", "/").swap_remove(1);
    let body = |reply: LambdaReply| serde_json::from_str::<Value>(json_of(reply)["body"].as_str().unwrap()).unwrap();
    let reply = host.lambda.handle(event.to_string().as_bytes(), call.clone()).await.unwrap();
    assert_eq!(body(reply)["trace"], "5759e988bd862e3fe1be46a994272793");
    event["headers"] = json!({"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"});
    let reply = host.lambda.handle(event.to_string().as_bytes(), call).await.unwrap();
    assert_eq!(body(reply)["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
}
