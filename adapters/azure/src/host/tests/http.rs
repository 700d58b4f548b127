use super::*;
use crate::event::output;

fn proxied(method: &str, path: &str) -> ::http::request::Builder {
    let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:7071");
    request.header("x-ms-invocation-id", "inv-2").header("user-agent", "curl/8")
}

#[tokio::test]
async fn a_probe_never_reaches_the_app_and_a_user_does() {
    let host = Host::new();
    let probe = || Request::get("/").header("host", "127.0.0.1:7071").body(Body::empty()).unwrap();
    assert_eq!(host.send(probe()).await, (200, String::new()));
    assert!(host.seen().is_empty());
    assert_eq!(host.send(proxied("GET", "/").body(Body::empty()).unwrap()).await.0, 200);
    assert_eq!(host.seen(), ["root"]);
    assert_eq!(host.send(probe()).await.0, 200, "the host's monitor also sends probes later");
    assert!(host.seen().is_empty());
}

#[tokio::test]
async fn the_context_contains_the_invocation_id() {
    let host = Host::new();
    let (_, answer) = host.send(proxied("GET", "/cx").body(Body::empty()).unwrap()).await;
    assert_eq!(answer, "inv-2 Some(\"http\")");
}

fn json_call(request: &Value) -> Value {
    json!({"Data": {"req": request}, "Metadata": {"Query": {}, "Headers": {}, "sys": {"MethodName": "http"}}})
}

#[tokio::test]
async fn json_mode_is_http_too() {
    let host = Host::new();
    let call = json_call(&json!({"Url": "https://shop.example/echo?x=1", "Method": "POST", "Query": {"x": "1"},
        "Headers": {"Content-Type": ["text/plain"], "Content-Length": ["99"]}, "Params": {}, "Identities": [],
        "Body": "grün"}));
    let (status, answer) = host.call("http", call).await;
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["Outputs"]["res"]["body"], "grün");
    assert_eq!(answer["Outputs"]["res"]["statusCode"], "200");
    assert_eq!((&answer["Logs"], &answer["ReturnValue"]), (&json!([]), &json!(null)));
    let binary = json_call(&json!({"Url": "https://shop.example/echo", "Method": "POST", "Body": "aGk=",
        "Headers": {"Content-Type": "application/octet-stream"}}));
    assert!(host.call("http", binary).await.1.contains(r#""body":"hi""#));
    let (_, answer) = host.call("http", json_call(&json!({"Url": "https://shop.example/cx", "Method": "GET"}))).await;
    assert!(answer.contains("inv-1 Some"), "{answer:?}");
}

#[test]
fn json_mode_allows_one_cookie_and_rejects_two() {
    let parts = |values: [&str; 2]| {
        let answer = values.iter().fold(Response::builder(), |it, value| it.header("set-cookie", *value));
        answer.header("vary", "accept").header("vary", "origin").body(()).unwrap().into_parts().0
    };
    let error = output(&parts(["a=1; expires=Fri, 28 Aug 2020 00:00:00 GMT", "b=2"]), b"").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("set-cookie") && error.message().contains("enableProxyingHttpRequest"), "{error}");
    let mut one = parts(["a=1", "b=2"]);
    one.headers.insert("set-cookie", "a=1".parse().unwrap());
    let answer = output(&one, b"").unwrap();
    assert!(String::from_utf8_lossy(&answer).contains(r#""set-cookie":"a=1","vary":"accept, origin""#), "{answer:?}");
}

#[tokio::test]
async fn a_response_that_json_mode_cannot_contain_is_an_error_of_the_app() {
    let host = Host::new();
    let (status, answer) =
        host.call("http", json_call(&json!({"Url": "https://shop.example/bytes", "Method": "GET"}))).await;
    assert_eq!(status, 200);
    assert!(answer.contains(r#""statusCode":"500""#), "{answer}");
    for wrong in [
        json!({}),
        json!({"Url": "https://x/", "Method": "G T"}),
        json!({"Url": "x", "Method": "GET"}),
        json!({"Url": "https://x/", "Method": "GET", "Headers": {"a\nb": "c"}}),
        json!({"Url": "https://x/", "Method": "GET", "Headers": {"a": "c\r\nd: e"}}),
        json!({"Url": "https://x/", "Method": "GET", "Headers": []}),
        json!({"Url": "https://x/", "Method": "POST", "Headers": {"content-type": "multipart/x"}, "Body": "aGk"}),
    ] {
        assert_eq!(host.call("http", json_call(&wrong)).await.0, 400, "{wrong}");
    }
}
