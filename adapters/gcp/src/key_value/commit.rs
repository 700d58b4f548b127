//! `commit`: applies writes atomically.
//!
//! Source: <https://docs.cloud.google.com/firestore/docs/reference/rest/v1/projects.databases.documents/commit>.

use isobar_abstraction::{Error, Result};
use isobar_rest::attempt::pause;
use isobar_rest::{Safety, ServiceResult, mark_uncertain};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::service_error::is_contention;
use super::stored::{Fields, TypedValue};
use super::{FirestoreKeyValue, MAX_ATTEMPTS};

/// One write of a `commit`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Change<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) update: Option<Document<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delete: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) update_mask: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) update_transforms: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) current_document: Option<Precondition<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    pub(super) name: String,
    pub(super) fields: SentFields<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum SentFields<'a> {
    Whole(Box<Fields<'a>>),
    Mark { w: TypedValue<'a> },
}

/// The required state of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Precondition<'a> {
    Exists(bool),
    UpdateTime(&'a str),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommitResponse {
    #[serde(default)]
    write_results: Vec<WriteResult>,
}

/// The result of one write.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WriteResult {
    /// The update time; `None` for a delete.
    update_time: Option<String>,
    #[serde(default)]
    transform_results: Vec<Value>,
}

impl WriteResult {
    /// Errors: `Internal`.
    pub(super) fn update_time(&self) -> Result<&str> {
        let lacks = || Error::internal("Firestore's response to a write has no updateTime").with_outcome_unknown();
        self.update_time.as_deref().ok_or_else(lacks)
    }

    /// The value of a counter after an increment. Errors: `Internal`.
    pub(super) fn sum(&self) -> Result<i64> {
        let integer = self.transform_results.first().and_then(|result| result["integerValue"].as_str());
        integer.and_then(|text| text.parse().ok()).ok_or_else(|| {
            Error::internal("the counter was incremented, but Firestore's response contains no integer")
                .with_outcome_unknown()
        })
    }
}

impl FirestoreKeyValue {
    /// Applies all writes or none. A commit that loses a race is retried, since it was not applied.
    pub(super) async fn commit(
        &self,
        operation: &'static str,
        safety: Safety,
        writes: &[Change<'_>],
    ) -> Result<ServiceResult<Vec<WriteResult>>> {
        #[derive(Serialize)]
        struct Commit<'a> {
            writes: &'a [Change<'a>],
        }
        let path = format!("/v1/{}:commit", self.documents().await?);
        let mut retries = 0;
        let mut uncertain = false;
        let answer = loop {
            let answer = self.service.json(operation, safety, &path, &Commit { writes }).await;
            match answer.map_err(|error| mark_uncertain(error, uncertain))? {
                Err(service_error) if is_contention(&service_error) && retries + 1 < MAX_ATTEMPTS => {
                    uncertain |= service_error.uncertain;
                    pause(&*self.clock, retries).await;
                    retries += 1;
                }
                Err(mut service_error) => {
                    service_error.uncertain |= uncertain;
                    return Ok(Err(service_error));
                }
                Ok(body) => break body,
            }
        };
        let wrong =
            |_| Error::internal("Firestore's response to a write is not the expected JSON").with_outcome_unknown();
        let CommitResponse { write_results } = serde_json::from_slice(&answer).map_err(wrong)?;
        if write_results.len() != writes.len() {
            return Err(
                Error::internal("Firestore's response does not contain a result for each write").with_outcome_unknown()
            );
        }
        Ok(Ok(write_results))
    }
}
