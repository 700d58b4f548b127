//! An app with every kind of trigger, whose handlers do what the message names; and its calls.

mod feed;
mod forged;
mod http;
mod triggers;

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
use crate::{AzureConfig, AzureProvider, ISOBAR_TRIGGER_SECRET, ISOBAR_TRIGGER_SECRET_OLD};

pub(crate) const SECRET: &str = "k3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3";

/// An unreachable storage account and Service Bus namespace.
const STORAGE: &str = "DefaultEndpointsProtocol=http;AccountName=acc;AccountKey=aHVzaA==;\
    BlobEndpoint=http://127.0.0.1:1/acc;QueueEndpoint=http://127.0.0.1:1/acc;TableEndpoint=http://127.0.0.1:1/acc";
const COSMOS: &str = "AccountEndpoint=http://127.0.0.1:1;AccountKey=aHVzaA==";
const SERVICE_BUS: &str =
    "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=all;SharedAccessKey=aHVzaA==;UseDevelopmentEmulator=true";

pub(crate) struct Host {
    pub(super) handler: CustomHandler,
    pub(super) clock: ManualClock,
    seen: Arc<Mutex<Vec<String>>>,
}

pub(crate) fn config(vars: &[(&str, &str)]) -> AzureConfig {
    let environment = Environment::default()
        .with_var("AZURE_STORAGE_CONNECTION_STRING", STORAGE)
        .with_var("AZURE_COSMOS_CONNECTION_STRING", COSMOS)
        .with_var("AZURE_SERVICEBUS_CONNECTION_STRING", SERVICE_BUS)
        .with_var(ISOBAR_TRIGGER_SECRET, SECRET);
    let environment = vars.iter().fold(environment, |all, (name, value)| all.with_var(*name, *value));
    AzureConfig::from_environment(&environment).unwrap()
}

impl Host {
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.handler.app.manifest
    }

    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    pub(super) fn with(vars: &[(&str, &str)]) -> Self {
        let (clock, seen) = (ManualClock::default(), Arc::default());
        let provider = AzureProvider::with_clock(config(vars), Arc::new(clock.clone()));
        // The app's own resources do not matter here.
        let cloud = Cloud::memory();
        let mut app = shop(&cloud, &seen);
        let manifest = Arc::new(app.start(&cloud).unwrap());
        let handler = provider.handler(Hosted::new(app, manifest));
        Self { handler, clock, seen }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> (u16, String) {
        let (parts, body) = self.handler.handle(request).await.into_parts();
        let body = body.collect().await.map_or_else(|error| error.to_string().into(), |body| body.to_bytes());
        (parts.status.as_u16(), String::from_utf8_lossy(&body).into_owned())
    }

    /// Calls a function as the Functions host does.
    pub(super) async fn call(&self, function: &str, call: impl ToString) -> (u16, String) {
        let call = Body::from(call.to_string());
        self.send(of_host(&format!("/{function}-{SECRET}")).body(call).unwrap()).await
    }

    /// The calls of the app since the last time.
    pub(super) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock())
    }
}

/// A call with all headers of the Functions host.
pub(super) fn of_host(path: &str) -> ::http::request::Builder {
    Request::post(path)
        .header("host", "127.0.0.1:7071")
        .header("x-azure-functions-invocationid", "inv-1")
        .header("x-azure-functions-hostversion", "4.1037.0")
        .header("user-agent", "Azure-Functions-Host/4.1037.0")
        .header("content-type", "application/json; charset=utf-8")
}

fn shop(cloud: &Cloud, seen: &Arc<Mutex<Vec<String>>>) -> App {
    let note = || {
        let seen = Arc::clone(seen);
        move |what: String| seen.lock().push(what)
    };
    let (clicks, pages, sweep, web) = (note(), note(), note(), note());
    let (orders, thumbs, links) = (note(), note(), note());
    let root = web.clone();
    App::new("shop")
        .http(
            Router::new()
                .route("/", get(async move || root("root".to_owned())))
                .route("/echo", post(async |body: Bytes| body))
                .route("/bytes", get(async || &b"\xff\0"[..]))
                .route("/{id}", post(async move |cx: Context| web(format!("{:?}", cx.function()))))
                .route("/cx", get(async |cx: Context| format!("{} {:?}", cx.invocation_id(), cx.function()))),
        )
        .on_message(
            cloud.topic::<Bytes>("clicks").subscription("default").with_max_attempts(3),
            move |message: Message<Bytes>, cx| {
                let words = String::from_utf8_lossy(&message.body).into_owned();
                let function = cx.function().unwrap_or_default().to_owned();
                clicks(format!("{words}, attempt {} of {function} {}", cx.attempt(), cx.invocation_id()));
                outcome(words)
            },
        )
        .on_object(&cloud.bucket("pages"), move |event: ObjectEvent, cx| {
            pages(format!("{} {:?}, attempt {}", event.key, event.change, cx.attempt()));
            outcome(event.key)
        })
        .on_message(cloud.topic::<Bytes>("orders").subscription("index"), move |message: Message<Bytes>, _| {
            orders(format!("{} in the index", String::from_utf8_lossy(&message.body)));
            async { Outcome::Ack }
        })
        .on_object(cloud.bucket("pages").events("thumbs").with_suffix(".jpg"), move |event: ObjectEvent, _| {
            thumbs(format!("thumb of {}", event.key));
            async { Outcome::Ack }
        })
        .on_write(&cloud.table::<String>("links"), move |event: WriteEvent, cx| {
            links(format!("{}, attempt {}", event.key, cx.attempt()));
            outcome(event.key.partition)
        })
        .on_schedule("sweep", "0 3 * * *", move |tick: Tick, cx| {
            let due = isobar_abstraction::clock::to_rfc3339(tick.due);
            sweep(format!("{} {due}, attempt {}", tick.schedule, cx.attempt()));
            async { Outcome::Ack }
        })
        .on_schedule("fails", "0 3 * * *", |_, _| async { Err::<(), _>(Error::internal("no broom")) })
        .on_invoke("echo", |payload: Value, _| async move { Ok::<_, Error>(payload) })
        .on_invoke("fails", |_: Value, _| async { Err::<(), _>(Error::invalid_input("no such id")) })
}

async fn outcome(words: String) -> Outcome {
    match words.split('/').next().unwrap_or_default() {
        "retry" => Outcome::retry("not yet"),
        "later" => Outcome::retry_after(Duration::from_secs(600), "not yet"),
        "reject" => Outcome::reject("bad apple"),
        "panic" => panic!("a fault of the handler"),
        "hang" => std::future::pending().await,
        _ => Outcome::Ack,
    }
}

/// A value in the host's encoding, where it is neither bytes nor an object.
pub(super) fn doubled(value: impl Into<Value>) -> String {
    value.into().to_string()
}
