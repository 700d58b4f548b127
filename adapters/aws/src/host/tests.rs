//! A host of an app with every kind of trigger, whose handlers do what the event selects.

mod deadline;
mod http;
mod invoke;
mod malformed;
mod stream;

use std::time::Duration;

use ::http::{HeaderMap, Request, Response};
use axum_core::response::IntoResponse;
use futures_util::stream::{self as streams, StreamExt};
use http_body_util::BodyExt;
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::pub_sub::Message;
use isobar_abstraction::driver::{Clock, Environment};
use isobar_abstraction::{App, BoxError, Cloud, Error, ErrorKind, ObjectEvent, Outcome, Tick, WriteEvent};
use lambda_runtime::service_fn;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::{AwsConfig, AwsProvider};

pub(super) const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:shop";

/// The calls of the app's handlers, in order.
pub(super) type Seen = Arc<Mutex<Vec<String>>>;

pub(super) struct Host {
    pub(super) lambda: Lambda,
    pub(super) clock: ManualClock,
    pub(super) seen: Seen,
}

impl Host {
    /// A host without a reachable AWS.
    pub(super) fn alone() -> Self {
        Self::with("http://127.0.0.1:1", &[], shop)
    }

    /// A host with an AWS at this endpoint.
    pub(super) fn on(endpoint: &str) -> Self {
        Self::with(endpoint, &[], shop)
    }

    pub(super) fn with(endpoint: &str, vars: &[(&str, &str)], app: impl FnOnce(&Cloud, &Seen) -> App) -> Self {
        let environment = Environment::default()
            .with_var("AWS_REGION", "eu-west-1")
            .with_var("AWS_ENDPOINT_URL", endpoint)
            .with_var("AWS_MAX_ATTEMPTS", "1")
            .with_var("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .with_var("AWS_SECRET_ACCESS_KEY", "hush");
        let environment = vars.iter().fold(environment, |all, (name, value)| all.with_var(*name, *value));
        let (clock, seen) = (ManualClock::default(), Seen::default());
        let config = AwsConfig::from_environment(&environment).unwrap();
        let provider = AwsProvider::with_clock(config, Arc::new(clock.clone()));
        let cloud = Cloud::new(Arc::new(provider.clone()));
        let mut app = app(&cloud, &seen);
        let manifest = Arc::new(app.start(&cloud).unwrap());
        let lambda = provider.lambda(Hosted::new(app, manifest));
        Self { lambda, clock, seen }
    }

    /// An invocation with a deadline in one minute.
    pub(super) fn call(&self) -> LambdaCall {
        LambdaCall::new("req-1", self.clock.now() + Duration::from_secs(60), ARN)
    }

    pub(super) async fn reply(&self, event: &[u8]) -> Result<LambdaReply> {
        self.lambda.handle(event, self.call()).await
    }

    /// Handles an event and returns the reply as JSON.
    pub(super) async fn ask(&self, event: &Value) -> Result<Value> {
        self.reply(event.to_string().as_bytes()).await.map(json_of)
    }

    pub(super) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock())
    }
}

pub(super) fn json_of(reply: LambdaReply) -> Value {
    let LambdaReply::Json(json) = reply else { panic!("a stream") };
    serde_json::from_slice(&json).unwrap()
}

/// The app. The body of a message or the key of an object selects the outcome.
pub(super) fn shop(cloud: &Cloud, seen: &Seen) -> App {
    let note = |seen: &Seen| {
        let seen = Arc::clone(seen);
        move |what: String| seen.lock().push(what)
    };
    let (clicks, pages, sweep) = (note(seen), note(seen), note(seen));
    let subscription = cloud.topic::<Bytes>("clicks").subscription("default").with_max_attempts(3);
    App::new("shop")
        .http(service_fn(serve))
        .on_message(subscription, move |message: Message<Bytes>, cx: Context| {
            let words = String::from_utf8_lossy(&message.body).into_owned();
            clicks(format!("{words} of {:?}, attempt {} of {}", message.ordering_key, cx.attempt(), message.attempt));
            outcome(words)
        })
        .on_object(&cloud.bucket("pages"), move |event: ObjectEvent, cx| {
            pages(format!("{} {:?}, attempt {}", event.key, event.change, cx.attempt()));
            outcome(event.key)
        })
        .on_schedule("sweep", "0 3 * * *", move |tick: Tick, _| {
            sweep(format!("{} {}", tick.schedule, isobar_abstraction::clock::to_rfc3339(tick.due)));
            async { Outcome::Ack }
        })
        .on_schedule("fails", "0 3 * * *", |_, _| async { Err::<(), _>(Error::internal("no broom")) })
        .on_invoke("echo", |payload: Value, _| async move { Ok::<_, Error>(payload) })
        .on_invoke("fails", |_: Value, _| async { Err::<(), _>(Error::not_found("no such page")) })
}

/// An app with several triggers of one source: each second one has this name.
pub(super) fn triggers(name: &str) -> impl FnOnce(&Cloud, &Seen) -> App {
    move |cloud, seen| {
        let (topic, bucket) = (cloud.topic::<Bytes>("clicks"), cloud.bucket("pages"));
        let note = |of: &'static str| {
            let seen = Arc::clone(seen);
            move |words: String, cx: &Context| {
                seen.lock().push(format!("{of}: {words}, attempt {}", cx.attempt()));
                outcome(words.strip_prefix(of).unwrap_or("ok").trim_start_matches('/').to_owned())
            }
        };
        let on_message = |of: &'static str| {
            let note = note(of);
            move |message: Message<Bytes>, cx: Context| note(String::from_utf8_lossy(&message.body).into_owned(), &cx)
        };
        let on_object = |of: &'static str| {
            let note = note(of);
            move |event: ObjectEvent, cx: Context| note(event.key, &cx)
        };
        let on_write = note("writes");
        App::new("shop")
            .on_message(&topic, on_message("first"))
            .on_message(topic.subscription(name), on_message("second"))
            .on_object(&bucket, on_object("first"))
            .on_object(bucket.events(name), on_object("second"))
            .on_write(&cloud.table::<u32>("links"), move |event: WriteEvent, cx: Context| {
                on_write(format!("{}/{}/{}", event.table, event.key.partition, event.key.sort), &cx)
            })
    }
}

async fn outcome(words: String) -> Outcome {
    match words.split('/').collect::<Vec<_>>()[..] {
        ["retry", .., millis] => Outcome::retry_after(Duration::from_millis(millis.parse().unwrap()), "not yet"),
        ["retry"] => Outcome::retry("not yet"),
        ["reject", ..] => Outcome::reject("bad apple"),
        ["panic", ..] => panic!("the handler's own fault"),
        ["hang", ..] => std::future::pending().await,
        _ => Outcome::Ack,
    }
}

async fn serve(request: Request<Body>) -> Result<Response<Body>> {
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        "/cookies" => {
            let mut headers = HeaderMap::new();
            for (name, value) in [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-a", "1"), ("x-a", "2")] {
                headers.append(name, value.parse().unwrap());
            }
            (headers, "hi").into_response()
        }
        "/empty" => ::http::StatusCode::NO_CONTENT.into_response(),
        "/binary" => vec![0xff, 0].into_response(),
        "/panic" => panic!("the handler's own fault"),
        "/fails" => return Err(Error::internal("hunter2")),
        "/wrong" => return Err(Error::invalid_input("no such colour")),
        "/broken" => {
            Response::new(Body::from_stream(first_part().chain(streams::iter([Err(BoxError::from("no paper"))]))))
        }
        "/endless" => Response::new(Body::from_stream(first_part().chain(streams::pending()))),
        _ => echo(request).await,
    })
}

fn first_part() -> impl streams::Stream<Item = Result<Bytes, BoxError>> + Send + use<> {
    streams::iter([Ok(Bytes::from_static(b"first part"))])
}

async fn echo(request: Request<Body>) -> Response<Body> {
    let (parts, content) = request.into_parts();
    let cx = parts.extensions.get::<Context>().unwrap();
    let headers =
        parts.headers.iter().map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]));
    let body = json!({
        "method": parts.method.as_str(), "uri": parts.uri.to_string(), "headers": headers.collect::<Vec<_>>(),
        "invocation": cx.invocation_id(), "remaining": cx.remaining().unwrap().as_millis() as u64,
        "function": cx.function(), "provider": cx.provider(), "attempt": cx.attempt(),
        "trace": format!("{:032x}", cx.trace_parent().trace_id()),
        "body": content.collect().await.unwrap().to_bytes().to_vec(),
    });
    (::http::StatusCode::OK, [("content-type", "application/json")], body.to_string()).into_response()
}

/// A request to a path from each gateway, with the gateway's name.
pub(super) fn requests(method: &str, path: &str) -> Vec<(&'static str, Value)> {
    let format_2 = |domain: &str| {
        json!({
            "version": "2.0", "rawPath": path, "rawQueryString": "", "headers": {},
            "requestContext": {"stage": "$default", "domainName": domain, "http": {"method": method, "path": path}},
        })
    };
    let format_1 = json!({"httpMethod": method, "path": path, "headers": {}, "body": null});
    let with_fields = |fields: Value| {
        let mut event = format_1.clone();
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        event
    };
    let elb = json!({"elb": {"targetGroupArn": "arn"}});
    vec![
        ("rest", with_fields(json!({"resource": "/{proxy+}", "requestContext": {"stage": "prod"}}))),
        ("http api", format_2("x.execute-api.eu-west-1.amazonaws.com")),
        ("function url", format_2("x.lambda-url.eu-west-1.on.aws")),
        ("load balancer", with_fields(json!({"requestContext": elb}))),
        (
            "load balancer, many",
            with_fields(json!({"requestContext": elb, "multiValueHeaders": {"host": ["x.example"]}})),
        ),
    ]
}
