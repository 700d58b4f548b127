//! Reads of items by key, and of responses that are arrays.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use http::{Response, StatusCode};
use isobar_abstraction::driver::key_value::Key;
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::attempt::pause;
use isobar_rest::{RetryDecision, Safety, ServiceError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::FirestoreKeyValue;
use super::service_error::is_contention;
use super::stored::{StoredDocument, relative_path};

/// The maximum number of documents in a request.
const MAX_KEYS: usize = 100;

/// Attempts to read documents that a response leaves out, or a response that ends with an error.
const MAX_ATTEMPTS: u32 = 5;

/// The maximum number of concurrent requests.
const MAX_CONCURRENT: usize = 4;

#[derive(Debug, Serialize)]
struct BatchGet<'a> {
    documents: &'a [&'a str],
}

#[derive(Debug, Deserialize)]
struct BatchGetResult {
    found: Option<StoredDocument>,
    missing: Option<String>,
}

/// The results so far, by path.
type Results = HashMap<String, Option<StoredDocument>>;

impl FirestoreKeyValue {
    /// The document at a key, even if it has expired.
    pub(super) async fn read(&self, key: &Key) -> Result<Option<StoredDocument>> {
        Ok(self.find(&[key]).await?.into_iter().next().flatten())
    }

    /// The documents at these keys, in their order, even if they have expired.
    pub(super) async fn find(&self, keys: &[&Key]) -> Result<Vec<Option<StoredDocument>>> {
        let mut names = Vec::with_capacity(keys.len());
        for key in keys {
            names.push(self.name(key).await?);
        }
        let lookups: Vec<_> = names.chunks(MAX_KEYS).map(|names| self.look_up(names)).collect();
        let found: Vec<_> = stream::iter(lookups).buffered(MAX_CONCURRENT).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Reads documents by name. Firestore returns them in any order, and once for a repeated name. Documents that it
    /// leaves out are requested again. Errors: `Unavailable` if they are left out every time, since they must not be
    /// reported as missing.
    async fn look_up(&self, names: &[String]) -> Result<Vec<Option<StoredDocument>>> {
        let mut results = Results::new();
        for attempt in 0..MAX_ATTEMPTS {
            let is_open = |name: &&str| !results.contains_key(relative_path(name));
            let open: Vec<&str> = names.iter().map(String::as_str).filter(is_open).collect();
            if open.is_empty() {
                return Ok(names.iter().map(|name| results.get(relative_path(name)).cloned().flatten()).collect());
            }
            if attempt > 0 {
                pause(&*self.clock, attempt).await;
            }
            self.request(&open, &mut results).await?;
        }
        Err(Error::new(ErrorKind::Unavailable, "Firestore left documents out of each of its responses"))
    }

    fn request<'a>(&'a self, names: &'a [&'a str], results: &'a mut Results) -> BoxFuture<'a, Result<()>> {
        async move {
            let elements: Vec<BatchGetResult> =
                match self.stream("BatchGet", ":batchGet", "", &BatchGet { documents: names }).await {
                    // Firestore does not limit the size of a response, but isobar's client does.
                    Err(error) if error.kind() == ErrorKind::TooLarge && names.len() > 1 => {
                        let (left, right) = names.split_at(names.len() / 2);
                        self.request(left, results).await?;
                        return self.request(right, results).await;
                    }
                    elements => elements?,
                };
            for BatchGetResult { found, missing } in elements {
                match (found, missing) {
                    (Some(found), _) => drop(results.insert(found.path().to_owned(), Some(found))),
                    (None, Some(missing)) => drop(results.insert(relative_path(&missing).to_owned(), None)),
                    // For example an element with only the time of the read.
                    (None, None) => {}
                }
            }
            Ok(())
        }
        .boxed()
    }

    /// Calls a method below `parent` whose response is an array. An error inside the array is retried here, since the
    /// client received a success.
    pub(super) async fn stream<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        method: &str,
        parent: &str,
        input: &(impl Serialize + Sync),
    ) -> Result<Vec<T>> {
        let path = format!("/v1/{}{parent}{method}", self.documents().await?);
        let mut attempts = 1;
        loop {
            let (service_error, is_retryable) = match self.service.json(operation, Safety::Read, &path, input).await? {
                Err(service_error) => (service_error, false),
                Ok(body) => match self.parts(&body)? {
                    Ok(parts) => return Ok(parts),
                    Err(service_error) => {
                        let is_retryable = service_error.decision != RetryDecision::Final;
                        (service_error, is_retryable)
                    }
                },
            };
            if attempts >= MAX_ATTEMPTS || !(is_retryable || is_contention(&service_error)) {
                return Err(self.explain(service_error));
            }
            pause(&*self.clock, attempts).await;
            attempts += 1;
        }
    }

    /// The elements of a response, or the error that it contains.
    fn parts<T: DeserializeOwned>(&self, body: &[u8]) -> Result<isobar_rest::ServiceResult<Vec<T>>> {
        let wrong = |_| Error::internal("Firestore's response is not the expected JSON");
        let parts: Vec<&RawValue> = serde_json::from_slice(body).map_err(wrong)?;
        let mut read = Vec::with_capacity(parts.len());
        for part in parts {
            if let Some(service_error) = self.error_of(part.get()) {
                return Ok(Err(service_error));
            }
            read.push(serde_json::from_str(part.get()).map_err(wrong)?);
        }
        Ok(Ok(read))
    }

    fn error_of(&self, part: &str) -> Option<ServiceError> {
        #[derive(Deserialize)]
        struct ErrorElement {
            error: Code,
        }
        #[derive(Deserialize)]
        struct Code {
            #[serde(default)]
            code: u16,
        }
        let ErrorElement { error: Code { code } } = serde_json::from_str(part).ok()?;
        let mut answer = Response::new(Bytes::copy_from_slice(part.as_bytes()));
        let failed = StatusCode::from_u16(code).ok().filter(|status| !status.is_success());
        *answer.status_mut() = failed.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.service.service_error(&answer)
    }
}
