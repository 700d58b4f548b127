//! An app with every kind of trigger, whose outcomes the requests determine; a double of Google; and calls of the app.

mod http;
mod invoke;
mod keys;
mod messages;
mod objects;
mod server;
mod settled;
mod signed;
mod target;
mod token;
mod writes;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::Environment;
use isobar_abstraction::driver::pub_sub::Message;
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{App, BoxError, Cloud, ErrorKind, ObjectEvent, Outcome, Tick, WriteEvent};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::{GcpConfig, GcpProvider, ISOBAR_EVENT_AUDIENCE, ISOBAR_EVENT_KEYS, ISOBAR_EVENT_SERVICE_ACCOUNT};
use isobar_testkit::Double;
pub(crate) use signed::EMAIL;
use signed::{AUDIENCE, bearer, jwks};

type Answer = Response<String>;

pub(crate) struct Host {
    service: CloudRunService,
    clock: ManualClock,
    double: Arc<Double>,
    calls: Arc<Mutex<Vec<String>>>,
}

#[allow(clippy::needless_pass_by_value)] // text, or JSON made in place
fn response(status: u16, body: impl ToString) -> Answer {
    Response::builder().status(status).body(body.to_string()).unwrap()
}

/// A double of Google that returns its keys, and accepts every message.
fn google(request: &Request<Bytes>) -> Answer {
    match request.uri().path() {
        "/certs" => response(200, jwks()),
        path if path.ends_with(":publish") => response(200, json!({"messageIds": ["99"]})),
        path => response(404, path),
    }
}

/// The configuration of a service on Cloud Run, with a double of Google.
pub(crate) fn config(url: &str, vars: &[(&str, &str)]) -> GcpConfig {
    let environment = Environment::default()
        .with_var("GOOGLE_CLOUD_PROJECT", "p-1")
        .with_var("PUBSUB_EMULATOR_HOST", url)
        .with_var("K_SERVICE", "shop")
        .with_var(ISOBAR_EVENT_KEYS, format!("{url}/certs"))
        .with_var(ISOBAR_EVENT_AUDIENCE, AUDIENCE)
        .with_var(ISOBAR_EVENT_SERVICE_ACCOUNT, EMAIL);
    let environment = vars.iter().fold(environment, |all, (name, value)| all.with_var(*name, *value));
    let mut config = GcpConfig::from_environment(&environment).unwrap();
    config.client.max_attempts = 1;
    config
}

impl Host {
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.service.app.manifest
    }

    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(vars: &[(&str, &str)]) -> Self {
        Self::at(Double::new(google).await, vars)
    }

    fn at(double: Double, vars: &[(&str, &str)]) -> Self {
        let (clock, calls) = (ManualClock::default(), Arc::default());
        let provider = GcpProvider::with_clock(config(&double.url, vars), Arc::new(clock.clone()));
        // The resources of the app are not used here.
        let cloud = Cloud::memory();
        let mut app = shop(&cloud, &calls);
        let manifest = Arc::new(app.start(&cloud).unwrap());
        let service = provider.service(Hosted::new(app, manifest));
        Self { service, clock, double: Arc::new(double), calls }
    }

    async fn send(&self, request: Request<Body>) -> (u16, String) {
        let (parts, body) = self.service.handle(request).await.into_parts();
        let body = body.collect().await.map_or_else(|error| error.to_string().into(), |body| body.to_bytes());
        (parts.status.as_u16(), String::from_utf8_lossy(&body).into_owned())
    }

    /// Calls a trigger like Google.
    pub(crate) async fn call(&self, path: &str, body: impl ToString) -> (u16, String) {
        self.send(of_google(path).body(Body::from(body.to_string())).unwrap()).await
    }

    /// The calls of the app's handlers since the last call of this method.
    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock())
    }

    /// The published messages so far, with their topics.
    fn published(&self) -> Vec<(String, Value)> {
        let all = 0..self.double.requests().len();
        let published = all.filter_map(|index| {
            self.double.request(index, |request| {
                let topic = request.uri().path().strip_suffix(":publish")?.rsplit('/').next()?.to_owned();
                let body: Value = serde_json::from_slice(request.body()).unwrap();
                Some((topic, body["messages"][0].clone()))
            })
        });
        published.collect()
    }
}

fn of_google(path: &str) -> ::http::request::Builder {
    Request::post(path)
        .header("authorization", bearer())
        .header("content-type", "application/json")
        .header("user-agent", "CloudPubSub-Google")
}

fn shop(cloud: &Cloud, calls: &Arc<Mutex<Vec<String>>>) -> App {
    let note = || {
        let calls = Arc::clone(calls);
        move |call: String| calls.lock().push(call)
    };
    let (clicks, pages, sweep, web) = (note(), note(), note(), note());
    let (index, thumbs, links) = (note(), note(), note());
    App::new("shop")
        .http(
            Router::new()
                .route("/", get(async || "root"))
                .route("/echo", post(async |body: Bytes| body))
                .route("/panic", get(async || panic!("the handler's own fault") as &'static str))
                .route("/cx", get(async |cx: Context| format!("{:?} {:?}", cx.function(), cx.remaining())))
                .fallback(async move |request: Request<Body>| web(format!("{} {}", request.method(), request.uri()))),
        )
        .on_message(
            cloud.topic::<Bytes>("clicks").subscription("default").with_max_attempts(3),
            move |message: Message<Bytes>, cx| {
                let words = String::from_utf8_lossy(&message.body).into_owned();
                clicks(format!("{words} {}, attempt {}", message.id, cx.attempt()));
                outcome(words)
            },
        )
        .on_message(cloud.topic::<Bytes>("clicks").subscription("index"), move |message: Message<Bytes>, cx| {
            let words = String::from_utf8_lossy(&message.body).into_owned();
            index(format!("index: {words} {}, attempt {}", message.id, cx.attempt()));
            outcome(words)
        })
        .on_object(
            cloud.bucket("pages").events("thumbs").with_prefix("img/").created(),
            move |event: ObjectEvent, cx| {
                thumbs(format!("thumbs: {} {:?}, attempt {}", event.key, event.change, cx.attempt()));
                outcome(event.key.trim_start_matches("img/").to_owned())
            },
        )
        .on_write(&cloud.table::<Value>("links"), move |event: WriteEvent, cx| {
            links(format!("{} {:?}, attempt {}", event.table, event.key, cx.attempt()));
            outcome(event.key.partition)
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
        .on_invoke("nothing", |_: Value, _| async { Ok::<_, Error>(()) })
        .on_invoke("panics", |_: Value, _| async { panic!("the handler's own fault") as Result<(), Error> })
        .on_invoke("fails", |_: Value, _| async { Err::<(), _>(Error::invalid_input("no such item")) })
}

async fn outcome(words: String) -> Outcome {
    match words.split('/').next().unwrap_or_default() {
        "retry" => Outcome::retry("not yet"),
        "later" => Outcome::retry_after(Duration::from_secs(3_600), "not yet"),
        "reject" => Outcome::reject("bad apple"),
        "panic" => panic!("the handler's own fault"),
        "hang" => std::future::pending().await,
        _ => Outcome::Ack,
    }
}
