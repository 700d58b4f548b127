//! HTTP through every gateway.

use super::*;

async fn get(host: &Host, path: &str) -> Vec<(&'static str, Value)> {
    let mut answers = Vec::new();
    for (gateway, event) in requests("GET", path) {
        answers.push((gateway, host.ask(&event).await.unwrap()));
    }
    answers
}

#[tokio::test]
async fn one_app_answers_through_every_gateway() {
    let host = Host::alone();
    for (gateway, event) in requests("POST", "/links/a%20b") {
        let answer = host.ask(&event).await.unwrap();
        assert_eq!(answer["statusCode"], 200, "{gateway}");
        let told: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!((&told["method"], &told["uri"]), (&json!("POST"), &json!("/links/a%20b")), "{gateway}");
        assert_eq!((&told["invocation"], &told["function"]), (&json!("req-1"), &json!("shop")), "{gateway}");
        assert_eq!((&told["provider"], &told["attempt"]), (&json!("aws"), &json!(1)), "{gateway}");
    }
}

#[tokio::test]
async fn cookies_and_repeated_headers_go_out_in_each_gateway_s_own_form() {
    for (gateway, answer) in get(&Host::alone(), "/cookies").await {
        let (one, many) = (&answer["headers"], &answer["multiValueHeaders"]);
        match gateway {
            "rest" | "load balancer, many" => {
                assert_eq!((&many["set-cookie"], &many["x-a"]), (&json!(["a=1", "b=2"]), &json!(["1", "2"])));
                assert!(one.is_null() && answer["cookies"].is_null(), "{gateway}");
            }
            "load balancer" => {
                assert_eq!((&one["set-cookie"], &one["Set-cookie"]), (&json!("a=1"), &json!("b=2")));
                assert!(many.is_null() && one["x-a"] == "1, 2");
            }
            _ => {
                assert_eq!((&answer["cookies"], &one["x-a"]), (&json!(["a=1", "b=2"]), &json!("1, 2")), "{gateway}");
                assert!(many.is_null() && one["set-cookie"].is_null(), "{gateway}");
            }
        }
        assert_eq!(answer["statusDescription"].is_null(), !gateway.starts_with("load"), "{gateway}");
    }
}

#[tokio::test]
async fn a_204_and_an_answer_to_head_have_an_empty_body() {
    let host = Host::alone();
    for (gateway, answer) in get(&host, "/empty").await {
        let wanted = (&json!(204), &json!(""), &json!(false));
        assert_eq!((&answer["statusCode"], &answer["body"], &answer["isBase64Encoded"]), wanted, "{gateway}");
    }
    for (gateway, event) in requests("HEAD", "/links") {
        let answer = host.ask(&event).await.unwrap();
        assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(200), &json!("")), "{gateway}");
        let headers = if answer["headers"].is_null() { &answer["multiValueHeaders"] } else { &answer["headers"] };
        assert!(headers["content-type"].to_string().contains("application/json"), "{gateway}: {headers}");
    }
}

#[tokio::test]
async fn binary_bodies_go_in_and_out_bit_for_bit() {
    let host = Host::alone();
    for (gateway, answer) in get(&host, "/binary").await {
        assert_eq!((&answer["body"], &answer["isBase64Encoded"]), (&json!("/wA="), &json!(true)), "{gateway}");
    }
    for (gateway, mut event) in requests("PUT", "/links") {
        (event["body"], event["isBase64Encoded"]) = (json!("/wA="), json!(true));
        let answer = host.ask(&event).await.unwrap();
        let told: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(told["body"], json!([255, 0]), "{gateway}");
    }
}

#[tokio::test]
async fn what_goes_wrong_in_a_handler_is_a_status_and_never_a_failed_invocation() {
    let host = Host::alone();
    for (path, status) in [("/panic", 500), ("/fails", 500), ("/broken", 500), ("/wrong", 400)] {
        for (gateway, answer) in get(&host, path).await {
            assert_eq!(answer["statusCode"], status, "{path} through {gateway}");
            let shown = answer.to_string();
            assert!(!["hunter2", "no paper", "own fault"].iter().any(|told| shown.contains(told)), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_none_is_a_400_that_names_the_field() {
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
async fn a_body_that_is_too_large_for_every_cloud_is_a_413() {
    let host = Host::alone();
    for (gateway, mut event) in requests("POST", "/links").into_iter().step_by(2) {
        event["body"] = json!("x".repeat(5_000_000));
        assert_eq!(host.ask(&event).await.unwrap()["statusCode"], 413, "{gateway}");
    }
}

#[tokio::test]
async fn an_app_without_http_answers_404_and_says_so() {
    let bare =
        |_: &Cloud, _: &Seen| App::new("bare").on_invoke("echo", |it: Value, _| async move { Ok::<_, Error>(it) });
    for (gateway, answer) in get(&Host::with("http://127.0.0.1:1", &[], bare), "/x").await {
        assert_eq!(answer["statusCode"], 404, "{gateway}");
        let body = answer["body"].as_str().unwrap();
        assert!(body.contains("this app answers no HTTP requests"), "{body}");
        assert!(!body.contains("bare") && !body.contains("echo"), "{body}");
    }
}

#[tokio::test]
async fn the_trace_is_the_caller_s_or_else_that_of_lambda() {
    let host = Host::alone();
    let mut call = host.call();
    call.xray_trace = Some("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1".to_owned());
    let (_, mut event) = requests("GET", "/").swap_remove(1);
    let told = |reply: LambdaReply| serde_json::from_str::<Value>(whole(reply)["body"].as_str().unwrap()).unwrap();
    let reply = host.lambda.handle(event.to_string().as_bytes(), call.clone()).await.unwrap();
    assert_eq!(told(reply)["trace"], "5759e988bd862e3fe1be46a994272793");
    event["headers"] = json!({"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"});
    let reply = host.lambda.handle(event.to_string().as_bytes(), call).await.unwrap();
    assert_eq!(told(reply)["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
}
