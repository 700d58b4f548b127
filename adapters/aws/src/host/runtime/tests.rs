//! What Lambda's runtime API is sent.

use async_trait::async_trait;
use http::Response;
use isobar_abstraction::{Event, Function, Reply};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::host::tests::{ARN, Host, requests, shop};
use crate::service::double::Double;

const STREAMS: &[(&str, &str)] = &[("ISOBAR_LAMBDA_INVOKE_MODE", "RESPONSE_STREAM")];

fn courier(lambda: Lambda, api: &str) -> Courier {
    let client = Client::builder().with_endpoint(api.parse().unwrap()).build().unwrap();
    Courier { lambda, client: Arc::new(client), busy: watch::channel(false).0 }
}

fn invocation(event: &Value) -> LambdaInvocation {
    let mut context = Context::default();
    context.request_id = "req-1".to_owned();
    context.invoked_function_arn = ARN.to_owned();
    let (parts, ()) = Response::builder().header(INVOCATION_ID, "copy-2").body(()).unwrap().into_parts();
    LambdaInvocation { parts, body: event.to_string().into(), context }
}

async fn api(status: u16) -> Double {
    Double::new(move |_| Response::builder().status(status).body(String::new()).unwrap()).await
}

fn call(function: &str) -> Value {
    json!({"isobar": "invoke", "function": function, "payload": {"a": 1}})
}

#[tokio::test]
async fn an_answer_is_sent_for_its_invocation_and_with_the_id_of_its_copy() {
    let api = api(202).await;
    let mut courier = courier(Host::alone().lambda, &api.url);
    courier.call(invocation(&call("echo"))).await.unwrap();
    assert_eq!(api.asked(), ["POST /2018-06-01/runtime/invocation/req-1/response"]);
    api.request(0, |request| {
        assert_eq!(request.headers()[INVOCATION_ID], "copy-2");
        assert_eq!(request.body().as_ref(), br#"{"a":1}"#);
    });
    assert!(!*courier.busy.borrow());
}

#[tokio::test]
async fn a_failed_invocation_is_told_with_its_kind_and_without_its_causes() {
    let api = api(202).await;
    let app = |_: &isobar_abstraction::Cloud, _: &crate::host::tests::Seen| {
        isobar_abstraction::App::new("bad").on_invoke("fails", |_: Value, _| async {
            Err::<(), _>(Error::new(ErrorKind::Unavailable, "no such luck").with_source(Error::internal("hunter2")))
        })
    };
    let courier = courier(Host::with("http://127.0.0.1:1", &[], app).lambda, &api.url);
    courier.answer(invocation(&call("fails"))).await.unwrap();
    assert_eq!(api.asked(), ["POST /2018-06-01/runtime/invocation/req-1/error"]);
    api.request(0, |request| {
        assert_eq!(request.headers()["lambda-runtime-function-error-type"], "unavailable");
        let told: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(told["errorType"], "unavailable");
        let message = told["errorMessage"].as_str().unwrap();
        assert!(message.contains("no such luck") && !message.contains("hunter2"), "{message}");
    });
}

#[tokio::test]
async fn an_answer_that_lambda_does_not_take_ends_no_loop_and_an_api_that_is_gone_does() {
    let api = api(413).await;
    let refusing = courier(Host::alone().lambda, &api.url);
    refusing.answer(invocation(&call("echo"))).await.unwrap();
    let gone = courier(Host::alone().lambda, "http://127.0.0.1:1");
    assert!(gone.answer(invocation(&call("echo"))).await.is_err());
}

/// A function that keeps no panic to itself, as an app does.
struct Careless;

#[async_trait]
impl Function for Careless {
    async fn call(&self, _: Event, _: isobar_abstraction::Context) -> Result<Reply> {
        panic!("hunter2")
    }
}

#[tokio::test]
async fn a_panic_of_the_host_itself_fails_one_invocation() {
    let api = api(202).await;
    let mut lambda = Host::alone().lambda;
    lambda.app.function = Arc::new(Careless);
    courier(lambda, &api.url).answer(invocation(&call("echo"))).await.unwrap();
    assert_eq!(api.asked(), ["POST /2018-06-01/runtime/invocation/req-1/error"]);
    api.request(0, |request| assert!(!String::from_utf8_lossy(request.body()).contains("hunter2")));
}

/// What a streamed answer to this event is on the wire, from the request line to the last trailer.
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
    courier(host.lambda, &url).answer(invocation(&event)).await.unwrap();
    api.await.unwrap()
}

#[tokio::test]
async fn a_stream_says_what_it_is_and_ends_well() {
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
async fn a_stream_that_breaks_off_ends_in_the_trailers_that_lambda_reads() {
    let sent = streamed_bytes("/broken").await;
    let (_, trailers) = sent.split_once("once upon\r\n0\r\n").unwrap();
    assert!(trailers.contains("lambda-runtime-function-error-type: internal\r\n"), "{trailers}");
    assert!(trailers.contains("lambda-runtime-function-error-body: ey"), "{trailers}");
}

#[tokio::test]
async fn elsewhere_than_on_lambda_the_host_says_what_to_do() {
    let error = run(Host::alone().lambda).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("cargo lambda watch"), "{error}");
}

#[tokio::test]
async fn variables_that_only_the_configuration_has_are_an_error_and_no_panic() {
    let vars = [
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1"),
        ("AWS_LAMBDA_FUNCTION_NAME", "shop"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ];
    let error = run(Host::with("http://127.0.0.1:1", &vars, shop).lambda).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("AWS_LAMBDA_FUNCTION_NAME"), "{error}");
}
