//! An app with all triggers, on an Azure that nobody can reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use isobar_abstraction::pub_sub::Message;
use isobar_abstraction::{App, Body, Cloud, Environment, Error, Hosted, ObjectEvent, Outcome, Tick};
use isobar_azure::{AzureConfig, AzureProvider, CustomHandler};
use serde_json::Value;

/// What the functions' names end in. It stands in no answer and no log.
pub(crate) const KEY: &str = "k3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3";

/// The secret before it.
pub(crate) const OLD_KEY: &str = "0ld0ld0ld0ld0ld0ld0ld0ld0ld0ld0l";

/// The functions, without the secret.
pub(crate) const FUNCTIONS: [&str; 7] =
    ["topic-clicks", "fifo-clicks", "bucket-pages", "schedule-sweep", "invoke-size", "invoke-none", "http"];

/// The host, and how many messages its app has acknowledged.
pub(crate) struct Target {
    handler: CustomHandler,
    acknowledged: Arc<AtomicUsize>,
}

impl Target {
    pub(crate) fn new(topic: &str) -> Self {
        let environment = Environment::default()
            .with_var(
                "AZURE_STORAGE_CONNECTION_STRING",
                "AccountName=acc;AccountKey=aHVzaA==;BlobEndpoint=http://127.0.0.1:1/acc;\
                 QueueEndpoint=http://127.0.0.1:1/acc;TableEndpoint=http://127.0.0.1:1/acc",
            )
            .with_var(
                "AZURE_SERVICEBUS_CONNECTION_STRING",
                "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=all;SharedAccessKey=aHVzaA==;UseDevelopmentEmulator=true",
            )
            .with_var("ISOBAR_TRIGGER_SECRET", KEY)
            .with_var("ISOBAR_TRIGGER_SECRET_OLD", OLD_KEY)
            .with_var("ISOBAR_TOPIC_CLICKS", topic);
        let mut config = AzureConfig::from_environment(&environment).unwrap();
        config.client.max_attempts = 1;
        let provider = AzureProvider::new(config);
        let cloud = Cloud::memory();
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let mut app = app(&cloud, &acknowledged);
        let manifest = Arc::new(app.start(&cloud).unwrap());
        Self { handler: provider.handler(Hosted { function: Arc::new(app), manifest }), acknowledged }
    }

    pub(crate) async fn handle(&self, function: &str, call: &[u8]) -> Response<Body> {
        let key = if call.len().is_multiple_of(2) { KEY } else { OLD_KEY };
        let request = Request::post(format!("/{function}-{key}")).header("x-azure-functions-invocationid", "inv-1");
        self.handler.handle(request.body(Body::from(call.to_vec())).unwrap()).await
    }

    /// How many messages the app has acknowledged since this was asked last.
    #[allow(dead_code)] // one of the two that include this file does not ask
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.swap(0, Ordering::Relaxed)
    }
}

fn app(cloud: &Cloud, acknowledged: &Arc<AtomicUsize>) -> App {
    let acknowledged = Arc::clone(acknowledged);
    App::new("shop")
        .http(Router::new().fallback(async |request: Request<Body>| {
            let size = request.uri().to_string().len() + request.headers().len();
            ([("set-cookie", "a=1".to_owned()), ("x-size", size.to_string())], "ok")
        }))
        .on_message(&cloud.topic::<Bytes>("clicks"), move |message: Message<Bytes>, _| {
            let outcome = match message.body.first() {
                Some(b'<') => Outcome::reject("no XML"),
                Some(b'>') => Outcome::retry("not yet"),
                _ => Outcome::Ack,
            };
            acknowledged.fetch_add(usize::from(outcome == Outcome::Ack), Ordering::Relaxed);
            async move { outcome }
        })
        .on_object(&cloud.bucket("pages"), |_: ObjectEvent, _| async { Outcome::Ack })
        .on_schedule("sweep", "0 3 * * *", |_: Tick, _| async { Outcome::Ack })
        .on_invoke("size", |payload: Value, _| async move { Ok::<_, Error>(payload.to_string().len()) })
        .on_invoke("none", |_: Value, _| async { Ok::<_, Error>(()) })
}
