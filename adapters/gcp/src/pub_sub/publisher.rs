//! Publishing to one topic of Pub/Sub.
//!
//! <https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish>

use std::sync::Arc;

use isobar_abstraction::driver::pub_sub::MessageId;
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Safety, ServiceError, ServiceResult};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::outgoing::{Entry, Request};
use crate::State;
use crate::config::Endpoint;
use crate::service::GoogleService;

/// Characters of a topic's name that stand for themselves in a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'+');

/// The largest request.
const LARGEST: u64 = 10_000_000;

/// A topic as it is published to.
#[derive(Debug)]
pub(super) struct Publisher {
    service: GoogleService,
    project: Option<String>,
    topic: String,
}

/// What became of a request.
pub(super) enum Attempt {
    /// What of each message, by its place.
    Done(Vec<(usize, Result<MessageId>)>),
    /// It was refused, nothing of it was stored, and only one of its messages may be to blame.
    EachAlone,
}

impl Attempt {
    pub(super) fn sent(self) -> Vec<(usize, Result<MessageId>)> {
        match self {
            Self::Done(sent) => sent,
            Self::EachAlone => Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    message_ids: Vec<String>,
}

impl Publisher {
    pub(super) fn new(state: Arc<State>, endpoint: Endpoint, project: Option<String>, topic: String) -> Self {
        let service = GoogleService::new(state, endpoint, format!("the topic `{topic}` of Pub/Sub"));
        Self { service, project, topic }
    }

    /// Publishes messages of one key, or of none, all or nothing as Pub/Sub has it.
    pub(super) async fn publish(&self, batch: &[Entry<'_>]) -> Attempt {
        let error = match self.request(batch).await {
            Ok(Ok(ids)) => return Attempt::Done(batch.iter().map(|entry| entry.place).zip(ids.map(Ok)).collect()),
            Ok(Err(service_error)) if batch.len() > 1 && is_of_content(&service_error) => return Attempt::EachAlone,
            Ok(Err(service_error)) => self.explain(service_error).await,
            Err(error) => error,
        };
        Attempt::Done(batch.iter().map(|entry| (entry.place, Err(error.clone()))).collect())
    }

    /// Idempotent: a repeat may be stored twice, which delivery at least once allows; a message that fails
    /// although one try more would have stored it helps nobody.
    async fn request(&self, batch: &[Entry<'_>]) -> Result<ServiceResult<impl Iterator<Item = MessageId>>> {
        let topic = utf8_percent_encode(&self.topic, PLAIN);
        let path = format!("/v1/projects/{}/topics/{topic}:publish", self.project().await?);
        match self.service.json("Publish", Safety::Idempotent, &path, &Request { messages: batch }).await? {
            Ok(answer) => Ok(Ok(ids(&answer, batch.len())?)),
            Err(service_error) => Ok(Err(service_error)),
        }
    }

    async fn project(&self) -> Result<Arc<str>> {
        match &self.project {
            Some(project) => Ok(project.as_str().into()),
            None => self.service.state().credentials.project().await,
        }
    }

    async fn explain(&self, service_error: ServiceError) -> Error {
        let Self { topic, .. } = self;
        let (status, message) = (service_error.status(), &service_error.message);
        // Known, since the request was made.
        let project = self.project().await.unwrap_or_default();
        let error = match service_error.kind {
            ErrorKind::NotFound => Error::not_found(format!(
                "Pub/Sub has no topic `{topic}` in the project `{project}`: create it, as with \
                 `gcloud pubsub topics create {topic} --project {project}`; the library never does"
            )),
            kind @ ErrorKind::PermissionDenied => Error::new(
                kind,
                format!(
                    "the topic `{topic}` of Pub/Sub: {message} ({status}): give who runs this the role \
                     roles/pubsub.publisher on it, and see that Pub/Sub is enabled in the project `{project}`"
                ),
            ),
            _ if is_too_large(&service_error) => Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the topic `{topic}` of Pub/Sub: the message in base64 is larger than {LARGEST} bytes: send where \
                     it lies in a bucket"
                ),
            ),
            // Nobody competes for a message: the service was in the middle of something, which passes.
            ErrorKind::Conflict if service_error.code == "ABORTED" => {
                Error::new(ErrorKind::Unavailable, format!("the topic `{topic}` of Pub/Sub: {message} ({status})"))
            }
            _ => return service_error.into(),
        };
        service_error.mark_uncertain(error)
    }
}

/// Google's front end and Pub/Sub itself say so as of any other invalid argument.
///
/// Their words: <https://github.com/apache/beam/issues/19772>,
/// <https://github.com/googleapis/google-cloud-python/issues/5898>.
fn is_too_large(service_error: &ServiceError) -> bool {
    let says = |words: &str| service_error.message.contains(words);
    match service_error.kind {
        ErrorKind::TooLarge => true,
        ErrorKind::InvalidInput => says("payload size exceeds") || says("request_size"),
        _ => false,
    }
}

/// May one message of several be to blame for all of them?
fn is_of_content(service_error: &ServiceError) -> bool {
    !service_error.uncertain && matches!(service_error.kind, ErrorKind::InvalidInput | ErrorKind::TooLarge)
}

/// The ids that an answer tells, in the order of the messages. Where it does not tell one for each, nobody
/// knows which is whose.
fn ids(answer: &[u8], count: usize) -> Result<impl Iterator<Item = MessageId> + use<>> {
    let ids = serde_json::from_slice(answer).map(|Answer { message_ids }| message_ids).unwrap_or_default();
    if ids.len() == count && !ids.iter().any(String::is_empty) {
        return Ok(ids.into_iter().map(MessageId::new));
    }
    let error = format!("Pub/Sub told {} ids for {count} messages, of which it may have stored any", ids.len());
    Err(Error::internal(error).with_outcome_unknown())
}
