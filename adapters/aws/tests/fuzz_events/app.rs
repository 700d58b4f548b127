//! An app with all triggers, on an AWS that nobody can reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use isobar_abstraction::pub_sub::Message;
use isobar_abstraction::{App, Body, Cloud, Environment, Error, Hosted, ObjectEvent, Outcome, Result, Tick};
use isobar_aws::{AwsConfig, AwsProvider, Lambda, LambdaCall, LambdaReply};
use lambda_runtime::service_fn;
use serde_json::Value;

/// The host, and how many messages its app has acknowledged.
pub(crate) struct Target {
    lambda: Lambda,
    acknowledged: Arc<AtomicUsize>,
}

impl Target {
    pub(crate) fn new(invoke_mode: &str) -> Self {
        let environment = Environment::default()
            .with_var("AWS_REGION", "eu-west-1")
            .with_var("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
            .with_var("AWS_MAX_ATTEMPTS", "1")
            .with_var("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .with_var("AWS_SECRET_ACCESS_KEY", "hush")
            .with_var("ISOBAR_LAMBDA_INVOKE_MODE", invoke_mode);
        let provider = AwsProvider::new(AwsConfig::from_environment(&environment).unwrap());
        let cloud = Cloud::new(Arc::new(provider.clone()));
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let mut app = app(&cloud, &acknowledged);
        let manifest = Arc::new(app.start(&cloud).unwrap());
        Self { lambda: provider.lambda(Hosted { function: Arc::new(app), manifest }), acknowledged }
    }

    pub(crate) async fn handle(&self, event: &[u8]) -> Result<LambdaReply> {
        let deadline = SystemTime::now() + Duration::from_secs(60);
        let call = LambdaCall::new("req-1", deadline, "arn:aws:lambda:eu-west-1:123456789012:function:shop");
        self.lambda.handle(event, call).await
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
        .http(service_fn(|request: Request<Body>| async move {
            let size = request.uri().to_string().len() + request.headers().len();
            let response = Response::builder().header("set-cookie", "a=1").header("x-size", size);
            Ok::<_, Error>(response.body(Body::from(&b"\xff\0"[..])).unwrap())
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
