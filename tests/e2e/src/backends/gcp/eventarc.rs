//! **A double**, made by isobar, of the trigger of Eventarc that reports writes of Firestore, which no emulator has. It compares the
//! documents in Google's emulator with those that it has reported, and posts an event in the form of Google for each
//! document that is new, changed or deleted. A document that was written several times in between has one event, where
//! Firestore sends several. An event that is not acknowledged is sent again.
//!
//! Sources: <https://docs.cloud.google.com/eventarc/docs/run/route-trigger-cloud-firestore>,
//! <https://github.com/googleapis/google-cloudevents/blob/main/proto/google/events/cloud/firestore/v1/data.proto>, and
//! <https://github.com/firebase/firebase-functions/issues/1459> for names that are not ASCII.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderValue, Method, Request};
use isobar::{Body, Error, Result, TestResponse};
use parking_lot::Mutex;
use serde_json::json;

use super::pub_sub::call;
use crate::server::not_a_request;

/// Documents by name, with their update times.
type Documents = BTreeMap<String, String>;

/// The triggers of a project.
#[derive(Debug)]
pub(super) struct DocumentTriggers {
    firestore: String,
    project: String,
    /// The documents that were reported, by collection group.
    reported: Mutex<BTreeMap<String, Documents>>,
    events: AtomicU64,
}

/// The results of the events of one call.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) acknowledged: usize,
    pub(super) failed: usize,
}

impl DocumentTriggers {
    pub(super) fn new(firestore: &str, project: &str) -> Self {
        let (reported, events) = Default::default();
        Self { firestore: firestore.to_owned(), project: project.to_owned(), reported, events }
    }

    /// Reports the writes of a collection group from now on.
    pub(super) async fn watch(&self, collection: &str) -> Result<()> {
        let documents = self.documents(collection).await?;
        self.reported.lock().entry(collection.to_owned()).or_insert(documents);
        Ok(())
    }

    /// Sends the events of the writes that were not reported yet, one after the other.
    pub(super) async fn send<F>(&self, collection: &str, path: &str, send: impl Fn(Request<Body>) -> F) -> Result<Sent>
    where
        F: Future<Output = Result<TestResponse>>,
    {
        let reported = self.reported.lock().get(collection).cloned().unwrap_or_default();
        let current = self.documents(collection).await?;
        let written = current.iter().filter(|(name, time)| reported.get(*name) != Some(*time));
        let deleted = reported.keys().filter(|name| !current.contains_key(*name));
        let written = written.map(|(name, time)| (name, Some(time)));
        let mut sent = Sent::default();
        for (name, time) in written.chain(deleted.map(|name| (name, None))) {
            let event = self.event(path, name, time.is_some(), reported.contains_key(name))?;
            if !send(event).await.is_ok_and(|response| response.status.is_success()) {
                sent.failed += 1;
                continue;
            }
            sent.acknowledged += 1;
            let mut reported = self.reported.lock();
            let documents = reported.entry(collection.to_owned()).or_default();
            match time {
                Some(time) => drop(documents.insert(name.clone(), time.clone())),
                None => drop(documents.remove(name)),
            }
        }
        Ok(sent)
    }

    async fn documents(&self, collection: &str) -> Result<Documents> {
        let url = format!("{}/v1/projects/{}/databases/(default)/documents:runQuery", self.firestore, self.project);
        let from = json!([{"collectionId": collection, "allDescendants": true}]);
        let query = json!({"structuredQuery": {"from": from, "select": {"fields": [{"fieldPath": "__name__"}]}}});
        let found = call(Method::POST, &url, &query).await?;
        let found = found.as_array().ok_or_else(|| Error::internal("Firestore returned no list"))?;
        let document = |entry: &serde_json::Value| {
            let document = &entry["document"];
            Some((document["name"].as_str()?.to_owned(), document["updateTime"].as_str()?.to_owned()))
        };
        Ok(found.iter().filter_map(document).collect())
    }

    /// The event of a write. `is_new` and `was_there` mean that the document exists after and existed before it.
    fn event(&self, path: &str, name: &str, is_new: bool, was_there: bool) -> Result<Request<Body>> {
        let (database, document) = name.split_once("/documents/").unwrap_or_default();
        let id = self.events.fetch_add(1, Ordering::Relaxed);
        let mut data = Vec::new();
        for (number, _) in [(1, is_new), (2, was_there)].into_iter().filter(|(_, exists)| *exists) {
            // Name, an empty field `v`, and a time.
            let value = [field(1, b"v"), field(2, &field(17, b""))].concat();
            let snapshot = [field(1, name.as_bytes()), field(2, &value), field(4, &[8, 1])].concat();
            data.extend(field(number, &snapshot));
        }
        let request = Request::post(path)
            .header("content-type", "application/protobuf")
            .header("ce-specversion", "1.0")
            .header("ce-id", format!("write-{id}"))
            .header("ce-type", "google.cloud.firestore.document.v1.written")
            .header("ce-source", format!("//firestore.googleapis.com/{database}"))
            .header("ce-subject", header(&format!("documents/{document}"))?)
            .header("ce-document", header(document)?)
            .header("ce-database", "(default)")
            .header("ce-time", "2026-01-01T00:00:00.000000Z");
        request.body(Body::from(data)).map_err(not_a_request)
    }
}

/// A header in UTF-8. What HTTP forbids is percent-encoded.
fn header(text: &str) -> Result<HeaderValue> {
    let mut plain = String::new();
    for character in text.chars() {
        match character {
            control if control.is_ascii_control() => plain.push_str(&format!("%{:02X}", u32::from(control))),
            other => plain.push(other),
        }
    }
    HeaderValue::from_bytes(plain.as_bytes()).map_err(|error| Error::internal("not a header").with_source(error))
}

/// A field of protobuf that is a string, bytes or a message.
fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for mut value in [number << 3 | 2, content.len() as u64] {
        while value >= 0x80 {
            encoded.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        encoded.push(value as u8);
    }
    encoded.extend_from_slice(content);
    encoded
}
