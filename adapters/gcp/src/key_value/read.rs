//! Reads of items by their keys, and of what a stream of answers holds.

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
use super::stored::{Found, place};

/// Documents that one request asks for, at most.
const KEYS: usize = 100;

/// Tries of what is left unanswered, or fails in the midst of an answer.
const ROUNDS: u32 = 5;

/// Requests that are under way at once, at most.
const AT_ONCE: usize = 4;

#[derive(Debug, Serialize)]
struct BatchGet<'a> {
    documents: &'a [&'a str],
}

#[derive(Debug, Deserialize)]
struct Got {
    found: Option<Found>,
    missing: Option<String>,
}

/// What was answered so far, by its place.
type Answered = HashMap<String, Option<Found>>;

impl FirestoreKeyValue {
    /// What is stored at a key, whether or not it has expired.
    pub(super) async fn read(&self, key: &Key) -> Result<Option<Found>> {
        Ok(self.find(&[key]).await?.into_iter().next().flatten())
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

    /// Firestore answers in any order, and once for a name that is asked for twice. What it leaves unanswered is
    /// asked for again. Errors: `Unavailable` where that does not help: it must not be reported missing.
    async fn look_up(&self, names: &[String]) -> Result<Vec<Option<Found>>> {
        let mut answered = Answered::new();
        for attempt in 0..ROUNDS {
            let open = |name: &&str| !answered.contains_key(place(name));
            let open: Vec<&str> = names.iter().map(String::as_str).filter(open).collect();
            if open.is_empty() {
                return Ok(names.iter().map(|name| answered.get(place(name)).cloned().flatten()).collect());
            }
            if attempt > 0 {
                pause(&*self.clock, attempt).await;
            }
            self.ask(&open, &mut answered).await?;
        }
        Err(Error::new(ErrorKind::Unavailable, "Firestore did not answer for each document, every time"))
    }

    fn ask<'a>(&'a self, names: &'a [&'a str], answered: &'a mut Answered) -> BoxFuture<'a, Result<()>> {
        async move {
            let got: Vec<Got> = match self.stream("BatchGet", ":batchGet", "", &BatchGet { documents: names }).await {
                // Firestore sets no limit to an answer, and our client does.
                Err(error) if error.kind() == ErrorKind::TooLarge && names.len() > 1 => {
                    let (left, right) = names.split_at(names.len() / 2);
                    self.ask(left, answered).await?;
                    return self.ask(right, answered).await;
                }
                got => got?,
            };
            for Got { found, missing } in got {
                match (found, missing) {
                    (Some(found), _) => drop(answered.insert(found.place().to_owned(), Some(found))),
                    (None, Some(missing)) => drop(answered.insert(place(&missing).to_owned(), None)),
                    // Such as an element that only tells when it was read.
                    (None, None) => {}
                }
            }
            Ok(())
        }
        .boxed()
    }

    /// Calls a method that answers with an array, below `parent`. What is refused in the midst of the array is
    /// tried again here, as the client has seen a success.
    pub(super) async fn stream<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        method: &str,
        parent: &str,
        input: &(impl Serialize + Sync),
    ) -> Result<Vec<T>> {
        let path = format!("/v1/{}{parent}{method}", self.documents().await?);
        let mut tries = 1;
        loop {
            let (service_error, again) = match self.service.json(operation, Safety::Read, &path, input).await? {
                Err(service_error) => (service_error, false),
                Ok(body) => match self.parts(&body)? {
                    Ok(parts) => return Ok(parts),
                    Err(service_error) => {
                        let again = service_error.decision != RetryDecision::Final;
                        (service_error, again)
                    }
                },
            };
            if tries >= ROUNDS || !(again || is_contention(&service_error)) {
                return Err(self.explain(service_error));
            }
            pause(&*self.clock, tries).await;
            tries += 1;
        }
    }

    /// The elements of an answer, or the error that it ended with.
    fn parts<T: DeserializeOwned>(&self, body: &[u8]) -> Result<isobar_rest::ServiceResult<Vec<T>>> {
        let wrong = |_| Error::internal("Firestore's answer cannot be read");
        let parts: Vec<&RawValue> = serde_json::from_slice(body).map_err(wrong)?;
        let mut read = Vec::with_capacity(parts.len());
        for part in parts {
            if let Some(service_error) = self.failed(part.get()) {
                return Ok(Err(service_error));
            }
            read.push(serde_json::from_str(part.get()).map_err(wrong)?);
        }
        Ok(Ok(read))
    }

    fn failed(&self, part: &str) -> Option<ServiceError> {
        #[derive(Deserialize)]
        struct Failed {
            error: Code,
        }
        #[derive(Deserialize)]
        struct Code {
            #[serde(default)]
            code: u16,
        }
        let Failed { error: Code { code } } = serde_json::from_str(part).ok()?;
        let mut answer = Response::new(Bytes::copy_from_slice(part.as_bytes()));
        let failed = StatusCode::from_u16(code).ok().filter(|status| !status.is_success());
        *answer.status_mut() = failed.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.service.service_error(&answer)
    }
}
