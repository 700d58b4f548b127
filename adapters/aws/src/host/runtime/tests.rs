//! The requests to Lambda's runtime API.

use std::sync::Arc;

use async_trait::async_trait;
use http::Response;
use isobar_abstraction::driver::Function;
use isobar_abstraction::{Event, Reply};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::host::tests::{ARN, Host, requests, shop};
use isobar_testkit::Double;

const STREAMS: &[(&str, &str)] = &[("ISOBAR_LAMBDA_INVOKE_MODE", "RESPONSE_STREAM")];

fn service(lambda: Lambda, api: &str) -> InvocationService {
    let client = Client::builder().with_endpoint(api.parse().unwrap()).build().unwrap();
    InvocationService { lambda, client, busy: watch::channel(false).0 }
}

fn invocation(event: &Value) -> Invocation {
    let call = LambdaCall::new("req-1", SystemTime::UNIX_EPOCH, ARN);
    Invocation { call, copy: Some(HeaderValue::from_static("copy-2")), event: event.to_string().into() }
}

async fn api(status: u16) -> Double {
    Double::new(move |_| Response::builder().status(status).body(String::new()).unwrap()).await
}

fn call(function: &str) -> Value {
    json!({"isobar": "invoke", "function": function, "payload": {"a": 1}})
}

#[tokio::test]
async fn response_has_the_ids_of_its_invocation_and_copy() {
    let api = api(202).await;
    let service = service(Host::alone().lambda, &api.url);
    service.respond(invocation(&call("echo"))).await.unwrap();
    assert_eq!(api.requests(), ["POST /2018-06-01/runtime/invocation/req-1/response"]);
    api.request(0, |request| {
        assert_eq!(request.headers()[INVOCATION_ID], "copy-2");
        assert_eq!(request.body().as_ref(), br#"{"a":1}"#);
    });
}

#[tokio::test]
async fn failed_invocation_is_reported_with_its_kind_and_without_its_source() {
    let api = api(202).await;
    let app = |_: &isobar_abstraction::Cloud, _: &crate::host::tests::Seen| {
        isobar_abstraction::App::new("bad").on_invoke("fails", |_: Value, _| async {
            Err::<(), _>(Error::new(ErrorKind::Unavailable, "no such luck").with_source(Error::internal("hunter2")))
        })
    };
    let service = service(Host::with("http://127.0.0.1:1", &[], app).lambda, &api.url);
    service.respond(invocation(&call("fails"))).await.unwrap();
    assert_eq!(api.requests(), ["POST /2018-06-01/runtime/invocation/req-1/error"]);
    api.request(0, |request| {
        assert_eq!(request.headers()["lambda-runtime-function-error-type"], "unavailable");
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(body["errorType"], "unavailable");
        let message = body["errorMessage"].as_str().unwrap();
        assert!(message.contains("no such luck") && !message.contains("hunter2"), "{message}");
    });
}

#[tokio::test]
async fn response_rejected_by_lambda_is_no_error_and_one_that_is_not_sent_is() {
    let api = api(413).await;
    let rejecting = service(Host::alone().lambda, &api.url);
    rejecting.respond(invocation(&call("echo"))).await.unwrap();
    let unreachable = service(Host::alone().lambda, "http://127.0.0.1:1");
    assert!(unreachable.respond(invocation(&call("echo"))).await.is_err());
}

/// A function that does not catch panics, unlike an app.
struct PanickingFunction;

#[async_trait]
impl Function for PanickingFunction {
    async fn call(&self, _: Event, _: isobar_abstraction::Context) -> Result<Reply> {
        panic!("hunter2")
    }
}

#[tokio::test]
async fn panic_of_the_host_fails_one_invocation() {
    let api = api(202).await;
    let mut lambda = Host::alone().lambda;
    lambda.app.function = Arc::new(PanickingFunction);
    service(lambda, &api.url).respond(invocation(&call("echo"))).await.unwrap();
    assert_eq!(api.requests(), ["POST /2018-06-01/runtime/invocation/req-1/error"]);
    api.request(0, |request| assert!(!String::from_utf8_lossy(request.body()).contains("hunter2")));
}

/// The bytes of a streamed response to this event, from the request line to the last trailer.
async fn streamed_bytes(path: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let api = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let size = stream.read(&mut buffer).await.unwrap();
            bytes.extend_from_slice(&buffer[..size]);
            let chunks_end = bytes.windows(5).rposition(|window| window == b"\r\n0\r\n");
            if size == 0 || (chunks_end.is_some() && bytes.ends_with(b"\r\n\r\n")) {
                break;
            }
        }
        stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(bytes).unwrap()
    });
    let host = Host::with("http://127.0.0.1:1", STREAMS, shop);
    let (_, event) = requests("GET", path).swap_remove(2);
    service(host.lambda, &url).respond(invocation(&event)).await.unwrap();
    api.await.unwrap()
}

#[tokio::test]
async fn stream_has_its_headers_and_its_end() {
    let sent = streamed_bytes("/cookies").await;
    assert!(sent.starts_with("POST /2018-06-01/runtime/invocation/req-1/response HTTP/1.1\r\n"), "{sent}");
    for header in [
        "lambda-runtime-function-response-mode: streaming",
        "content-type: application/vnd.awslambda.http-integration-response",
        "transfer-encoding: chunked",
        "trailer: lambda-runtime-function-error-type, lambda-runtime-function-error-body",
        "lambda-runtime-invocation-id: copy-2",
    ] {
        assert!(sent.contains(&format!("{header}\r\n")), "{header}: {sent}");
    }
    assert!(sent.contains("\"cookies\":[\"a=1\",\"b=2\"]}\0\0\0\0\0\0\0\0\r\n2\r\nhi\r\n0\r\n\r\n"), "{sent:?}");
}

#[tokio::test]
async fn stream_that_fails_ends_in_the_trailers_for_lambda() {
    let sent = streamed_bytes("/broken").await;
    let (_, trailers) = sent.split_once("first part\r\n0\r\n").unwrap();
    assert!(trailers.contains("lambda-runtime-function-error-type: internal\r\n"), "{trailers}");
    assert!(trailers.contains("lambda-runtime-function-error-body: ey"), "{trailers}");
}

#[tokio::test]
async fn host_outside_lambda_is_a_config_error_with_the_next_step() {
    let error = run(Host::alone().lambda).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("cargo lambda watch"), "{error}");
}

/// Headers in addition to Lambda's, and an event.
type ApiEvent = (&'static [(&'static str, &'static str)], Value);

/// Runs the host on an API that returns these events, each with Lambda's headers and the additional ones, and
/// then status 500. Returns the requests of the host: paths and bodies.
async fn run_on(events: &[ApiEvent]) -> Vec<(String, Value)> {
    let event = |(at, (more, event)): (usize, &ApiEvent)| {
        let mut response = Response::new(event.to_string());
        let id = HeaderValue::try_from(format!("req-{at}")).unwrap();
        response.headers_mut().insert("lambda-runtime-aws-request-id", id);
        response.headers_mut().insert("lambda-runtime-invoked-function-arn", HeaderValue::from_static(ARN));
        for (name, value) in *more {
            response.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        response
    };
    let mut events: Vec<_> = events.iter().enumerate().map(event).collect();
    events.reverse();
    let events = parking_lot::Mutex::new(events);
    let api = Double::new(move |request| match request.method() == Method::GET {
        true => events.lock().pop().unwrap_or_else(|| Response::builder().status(500).body(String::new()).unwrap()),
        false => Response::builder().status(202).body(String::new()).unwrap(),
    })
    .await;
    let host = api.url.trim_start_matches("http://").to_owned();
    let lambda = Host::with("http://127.0.0.1:1", &[("AWS_LAMBDA_RUNTIME_API", &host)], shop).lambda;
    let error = run(lambda).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let requests = api.requests();
    let responses = requests.iter().enumerate().filter_map(|(at, line)| {
        let path = line.strip_prefix("POST /2018-06-01/runtime/invocation/")?.to_owned();
        Some((path, api.request(at, |request| serde_json::from_slice(request.body()).unwrap())))
    });
    responses.collect()
}

#[tokio::test]
async fn malformed_header_of_an_event_does_not_end_the_process() {
    const CONTEXT: &str = "lambda-runtime-client-context";
    const IDENTITY: &str = "lambda-runtime-cognito-identity";
    const DEADLINE: &str = "lambda-runtime-deadline-ms";
    let heads: [&[(&str, &str)]; 10] = [
        &[(CONTEXT, r#"{"custom":{"foo":{}}}"#)],
        &[(CONTEXT, "{")],
        &[(IDENTITY, r#"{"cognitoIdentityId":7}"#)],
        &[(IDENTITY, "x")],
        &[],
        &[(DEADLINE, "soon")],
        &[(DEADLINE, "18446744073709551615")],
        &[(DEADLINE, "-1")],
        &[("lambda-runtime-trace-id", "Root=nonsense")],
        &[("lambda-runtime-invoked-function-arn", "")],
    ];
    let responses = run_on(&heads.map(|head| (head, call("echo")))).await;
    let expected: Vec<_> = (0..heads.len()).map(|at| (format!("req-{at}/response"), json!({"a": 1}))).collect();
    assert_eq!(responses, expected);
}

#[tokio::test]
async fn event_without_valid_request_id_is_skipped() {
    const ID: &str = "lambda-runtime-aws-request-id";
    let responses = run_on(&[(&[(ID, "")], call("echo")), (&[(ID, "a b/c")], call("echo")), (&[], call("echo"))]).await;
    assert_eq!(responses, [("req-2/response".to_owned(), json!({"a": 1}))]);
}
