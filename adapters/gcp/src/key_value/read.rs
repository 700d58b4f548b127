//! Reads of items by their keys, and of what a stream of answers holds.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use http::{Request, Response, StatusCode};
use isobar_abstraction::key_value::{Item, Key};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::Safety;
use object_store::PutPayload;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::FirestoreKeyValue;
use super::commit::is_condition;
use super::stored::Found;
use crate::service::Status;

/// What stands in a path as it is: all that does not need to be encoded, and what parts names.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Documents that one request asks for, at most.
const KEYS: usize = 100;

/// Requests that are under way at once, at most.
const AT_ONCE: usize = 4;

#[derive(Debug, Serialize)]
struct BatchGet<'a> {
    documents: &'a [String],
}

#[derive(Debug, Deserialize)]
struct Got {
    found: Option<Found>,
    missing: Option<String>,
}

impl FirestoreKeyValue {
    pub(super) async fn get_item(&self, key: &Key) -> Result<Option<Item>> {
        match self.read(key).await? {
            Some(found) => found.into_item(key.clone(), self.clock.now()),
            None => Ok(None),
        }
    }

    /// What is stored at a key, whether or not it has expired.
    pub(super) async fn read(&self, key: &Key) -> Result<Option<Found>> {
        // Answered by one document, where a batch is answered by a stream.
        let place = utf8_percent_encode(&self.name(key).await?, IN_PATH).to_string();
        let request = Request::get(self.service.url(&format!("/v1/{place}"))).body(PutPayload::new());
        let request = request.map_err(|error| Error::internal("the request cannot be made").with_source(error))?;
        match self.service.call("Get", Safety::Read, request).await? {
            Ok(answer) => serde_json::from_slice(answer.body())
                .map(Some)
                .map_err(|_| Error::internal("Firestore's answer cannot be read")),
            Err(refusal) if refusal.status == Status::NotFound && is_condition(&refusal) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    pub(super) async fn get_items(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        let found = self.find(&keys.iter().collect::<Vec<_>>()).await?;
        let now = self.clock.now();
        let items = keys.iter().zip(found).map(|(key, found)| match found {
            Some(found) => found.into_item(key.clone(), now),
            None => Ok(None),
        });
        items.collect()
    }

    /// What is stored at these keys, in their order, whether or not it has expired.
    pub(super) async fn find(&self, keys: &[&Key]) -> Result<Vec<Option<Found>>> {
        let mut names = Vec::with_capacity(keys.len());
        for key in keys {
            names.push(self.name(key).await?);
        }
        let lookups: Vec<_> = names.chunks(KEYS).map(|names| self.look_up(names)).collect();
        let found: Vec<_> = stream::iter(lookups).buffered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Firestore answers in any order, and once for a name that is asked for twice.
    fn look_up<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<Found>>>> {
        async move {
            let got: Vec<Got> = match self.stream("BatchGet", ":batchGet", "", &BatchGet { documents: names }).await {
                // Firestore sets no limit to an answer, and our client does.
                Err(error) if matches!(error.kind(), ErrorKind::TooLarge { .. }) && names.len() > 1 => {
                    let (left, right) = names.split_at(names.len() / 2);
                    let mut found = self.look_up(left).await?;
                    found.extend(self.look_up(right).await?);
                    return Ok(found);
                }
                got => got?,
            };
            in_order(names, got)
        }
        .boxed()
    }

    /// Calls a method that answers with an array, below `parent`.
    pub(super) async fn stream<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        method: &str,
        parent: &str,
        input: &(impl Serialize + Sync),
    ) -> Result<Vec<T>> {
        let path = format!("/v1/{}{parent}{method}", self.documents().await?);
        let body = self.service.json(operation, Safety::Read, &path, input).await??;
        let wrong = |_| Error::internal("Firestore's answer cannot be read");
        let parts: Vec<&RawValue> = serde_json::from_slice(&body).map_err(wrong)?;
        parts.into_iter().map(|part| self.part(part.get())).collect()
    }

    /// An element, which may be the error that the stream ended with.
    fn part<T: DeserializeOwned>(&self, part: &str) -> Result<T> {
        #[derive(Deserialize)]
        struct Failed {
            error: Code,
        }
        #[derive(Deserialize)]
        struct Code {
            code: u16,
        }
        if let Ok(Failed { error: Code { code } }) = serde_json::from_str(part) {
            let mut answer = Response::new(Bytes::copy_from_slice(part.as_bytes()));
            *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Err(self.service.refusal(&answer, false).into());
        }
        serde_json::from_str(part).map_err(|_| Error::internal("a part of Firestore's answer cannot be read"))
    }
}

/// Errors: `Unavailable` where a name was left unanswered: it must not be reported missing.
fn in_order(names: &[String], got: Vec<Got>) -> Result<Vec<Option<Found>>> {
    let mut answered: HashMap<String, Option<Found>> = HashMap::new();
    for got in got {
        match (got.found, got.missing) {
            (Some(found), _) => drop(answered.insert(found.name().to_owned(), Some(found))),
            (None, Some(missing)) => drop(answered.insert(missing, None)),
            (None, None) => {}
        }
    }
    let unanswered = || Error::new(ErrorKind::Unavailable, "Firestore did not answer for each document");
    names.iter().map(|name| answered.get(name).cloned().ok_or_else(unanswered)).collect()
}
