//! `commit`: writes that are applied all at once.
//!
//! Source: <https://docs.cloud.google.com/firestore/docs/reference/rest/v1/projects.databases.documents/commit>.

use isobar_abstraction::{Error, Result};
use isobar_rest::attempt::pause;
use isobar_rest::{Safety, ServiceResult, mark_uncertain};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::service_error::is_contention;
use super::stored::{Fields, Typed};
use super::{FirestoreKeyValue, TRIES};

/// One write, as it is sent.
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
    pub(super) fields: Sent<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Sent<'a> {
    Whole(Box<Fields<'a>>),
    Mark { w: Typed<'a> },
}

/// What a document must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Precondition<'a> {
    Exists(bool),
    UpdateTime(&'a str),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Committed {
    #[serde(default)]
    write_results: Vec<Written>,
}

/// What became of one write.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written {
    /// Of a delete there is none.
    update_time: Option<String>,
    #[serde(default)]
    transform_results: Vec<Value>,
}

impl Written {
    /// Errors: `Internal`.
    pub(super) fn update_time(&self) -> Result<&str> {
        let lacks = || Error::internal("Firestore's answer to a write has no time").with_outcome_unknown();
        self.update_time.as_deref().ok_or_else(lacks)
    }

    /// The sum after an increment. Errors: `Internal`.
    pub(super) fn sum(&self) -> Result<i64> {
        let integer = self.transform_results.first().and_then(|result| result["integerValue"].as_str());
        integer.and_then(|text| text.parse().ok()).ok_or_else(|| {
            Error::internal("the counter was added to, but Firestore's answer is no integer").with_outcome_unknown()
        })
    }
}

impl FirestoreKeyValue {
    /// Applies all writes or none. What other writes keep from happening is tried again: it was not applied.
    pub(super) async fn commit(
        &self,
        operation: &'static str,
        safety: Safety,
        writes: &[Change<'_>],
    ) -> Result<ServiceResult<Vec<Written>>> {
        #[derive(Serialize)]
        struct Commit<'a> {
            writes: &'a [Change<'a>],
        }
        let path = format!("/v1/{}:commit", self.documents().await?);
        let mut tries = 0;
        let mut uncertain = false;
        let answer = loop {
            let answer = self.service.json(operation, safety, &path, &Commit { writes }).await;
            match answer.map_err(|error| mark_uncertain(error, uncertain))? {
                Err(service_error) if is_contention(&service_error) && tries + 1 < TRIES => {
                    uncertain |= service_error.uncertain;
                    pause(&*self.clock, tries).await;
                    tries += 1;
                }
                Err(mut service_error) => {
                    service_error.uncertain |= uncertain;
                    return Ok(Err(service_error));
                }
                Ok(body) => break body,
            }
        };
        let wrong = |_| Error::internal("Firestore's answer to a write cannot be read").with_outcome_unknown();
        let Committed { write_results } = serde_json::from_slice(&answer).map_err(wrong)?;
        if write_results.len() != writes.len() {
            return Err(Error::internal("Firestore's answer does not tell of each write").with_outcome_unknown());
        }
        Ok(Ok(write_results))
    }
}
