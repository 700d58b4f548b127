use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use bytes::Bytes;
use http::Request;
use isobar_abstraction::driver::Hosted;
use isobar_abstraction::pub_sub::Message;
use isobar_abstraction::{App, Body, Cloud, Error, ObjectEvent, Outcome, Tick, WriteEvent};
use serde_json::Value;

/// The number of messages and object events that an app has acknowledged.
#[derive(Debug, Clone, Default)]
pub struct Acknowledgements(Arc<AtomicUsize>);

impl Acknowledgements {
    /// The number since the last call.
    pub fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// An app with all triggers. It rejects messages that begin with `<`, and retries those that begin with `>`.
pub fn shop(cloud: &Cloud) -> (Hosted, Acknowledgements) {
    let acknowledged = Acknowledgements::default();
    let (count, objects) = (acknowledged.clone(), acknowledged.clone());
    let mut app = App::new("shop")
        .http(Router::new().fallback(async |request: Request<Body>| {
            let size = request.uri().to_string().len() + request.headers().len();
            let body: &[u8] = if size.is_multiple_of(2) { b"ok" } else { b"\xff\0" };
            ([("set-cookie", "a=1".to_owned()), ("x-size", size.to_string())], body)
        }))
        .on_message(&cloud.topic::<Bytes>("clicks"), move |message: Message<Bytes>, _| {
            let outcome = match message.body.first() {
                Some(b'<') => Outcome::reject("no XML"),
                Some(b'>') => Outcome::retry("not yet"),
                _ => Outcome::Ack,
            };
            count.0.fetch_add(usize::from(outcome == Outcome::Ack), Ordering::Relaxed);
            async move { outcome }
        })
        .on_object(&cloud.bucket("pages"), move |_: ObjectEvent, _| {
            objects.0.fetch_add(1, Ordering::Relaxed);
            async { Outcome::Ack }
        })
        .on_write(&cloud.table::<Bytes>("links"), |_: WriteEvent, _| async { Outcome::Ack })
        .on_schedule("sweep", "0 3 * * *", |_: Tick, _| async { Outcome::Ack })
        .on_invoke("size", |payload: Value, _| async move { Ok::<_, Error>(payload.to_string().len()) })
        .on_invoke("none", |_: Value, _| async { Ok::<_, Error>(()) });
    let manifest = Arc::new(app.start(cloud).unwrap());
    (Hosted::new(app, manifest), acknowledged)
}
