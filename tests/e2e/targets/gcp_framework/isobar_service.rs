//! The events that the handlers of an isobar app receive.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Request;
use isobar::clock::to_rfc3339;
use isobar::driver::{Environment, Hosted};
use isobar::prelude::*;
use isobar::{Body, Cloud, ObjectChange, ObjectEvent};
use isobar_gcp::{CloudRunService, GcpConfig, GcpProvider};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::events::Event;

/// How a service is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// At the path of the trigger.
    Path,
    /// At any path, with the trigger in `FUNCTION_SIGNATURE_TYPE` and `FUNCTION_TARGET`.
    Contract,
}

type Seen = Arc<Mutex<Option<Value>>>;

/// A service that does not listen. No request makes it call the emulators, which do not run; their variables let triggers be
/// called without a token.
pub(super) fn service(vars: &[(&str, &str)], app: impl FnOnce(&Cloud) -> App) -> isobar::Result<CloudRunService> {
    let environment = Environment::default()
        .with_var("GOOGLE_CLOUD_PROJECT", "seen")
        .with_var("PUBSUB_EMULATOR_HOST", "127.0.0.1:9")
        .with_var("STORAGE_EMULATOR_HOST", "127.0.0.1:9");
    let environment = vars.iter().fold(environment, |all, (name, value)| all.with_var(*name, *value));
    let provider = GcpProvider::new(GcpConfig::from_environment(&environment)?);
    let cloud = Cloud::new(Arc::new(provider.clone()));
    let mut app = app(&cloud);
    let manifest = Arc::new(app.start(&cloud)?);
    Ok(provider.service(Hosted::new(app, manifest)))
}

fn seeing(cloud: &Cloud, seen: &Seen) -> App {
    let (of_messages, of_objects) = (Arc::clone(seen), Arc::clone(seen));
    App::new("seen")
        .on_message(&cloud.topic::<Bytes>("clicks"), move |message: Message<Bytes>, _cx| {
            *of_messages.lock() = Some(json!({
                "id": message.id.as_str(), "body": BASE64_STANDARD.encode(&message.body),
                "attributes": message.attributes, "time": to_rfc3339(message.published_at),
                "key": message.ordering_key,
            }));
            async {}
        })
        .on_object(&cloud.bucket("pages"), move |event: ObjectEvent, _cx| {
            let (change, size) = match event.change {
                ObjectChange::Created { size } => ("created", json!(size)),
                _ => ("deleted", Value::Null),
            };
            let fails = event.key.contains("fail-please");
            *of_objects.lock() = Some(json!({
                "bucket": event.bucket, "object": event.key, "change": change, "size": size,
                "time": to_rfc3339(event.time),
            }));
            async move { if fails { Err(isobar::Error::internal("the event requests a failure")) } else { Ok(()) } }
        })
}

/// The event that the handler received, or the status of the response if it failed.
pub(super) async fn sent(event: &Event, way: Way) -> isobar::Result<Result<Value, u16>> {
    let seen = Seen::default();
    let contract = [("FUNCTION_SIGNATURE_TYPE", "cloudevent"), ("FUNCTION_TARGET", event.trigger())];
    let vars = if way == Way::Contract { &contract[..] } else { &[] };
    let service = service(vars, |cloud| seeing(cloud, &seen))?;
    let path = match way {
        Way::Path => format!("/.isobar/{}/{}", event.kind(), event.trigger()),
        Way::Contract => event.path.to_owned(),
    };
    let request =
        event.headers.iter().fold(Request::builder().method(event.method).uri(path), |request, (name, value)| {
            request.header(*name, *value)
        });
    let mut request = request.body(Body::from(event.body)).unwrap();
    // With an emulator, triggers accept requests for a loopback host only.
    request.headers_mut().insert("host", isobar::axum::http::HeaderValue::from_static("127.0.0.1"));
    let status = service.handle(request).await.status();
    let seen = seen.lock().take();
    match (status.is_success(), seen) {
        (true, Some(seen)) => Ok(Ok(seen)),
        (true, None) => Ok(Ok(Value::Null)),
        (false, _) => Ok(Err(status.as_u16())),
    }
}
