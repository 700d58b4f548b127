//! Publishing to one topic of Pub/Sub.
//!
//! <https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish>

use std::sync::Arc;

use isobar_abstraction::driver::pub_sub::MessageId;
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Safety, ServiceError, ServiceResult};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::Deserialize;

use super::outgoing::{Entry, Request};
use crate::State;
use crate::config::{Endpoint, QueuePlacement};
use crate::service::GoogleService;

/// Characters of a topic's name that are not escaped in a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'+');

/// The maximum size of a request.
const MAX_REQUEST_BYTES: u64 = 10_000_000;

/// The name of a topic or a subscription in a path.
pub(super) fn escaped(name: &str) -> PercentEncode<'_> {
    utf8_percent_encode(name, PLAIN)
}

/// Publishes to one topic.
#[derive(Debug)]
pub(super) struct Publisher {
    service: GoogleService,
    project: Option<String>,
    topic: String,
}

/// The result of a request.
pub(super) enum Attempt {
    /// The result of each message, with its index.
    Done(Vec<(usize, Result<MessageId>)>),
    /// Pub/Sub rejected the request and stored nothing; one of its messages may be the cause.
    SendSeparately,
}

impl Attempt {
    pub(super) fn results(self) -> Vec<(usize, Result<MessageId>)> {
        match self {
            Self::Done(results) => results,
            Self::SendSeparately => Vec::new(),
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

    /// A publisher to a topic of the project of a queue.
    pub(super) fn near(state: &Arc<State>, queue: &QueuePlacement, topic: String) -> Self {
        Self::new(Arc::clone(state), queue.endpoint.clone(), queue.project.clone(), topic)
    }

    /// Publishes messages of one key, or without keys. Pub/Sub stores all or none of them.
    pub(super) async fn publish(&self, batch: &[Entry<'_>]) -> Attempt {
        let error = match self.request(batch).await {
            Ok(Ok(ids)) => return Attempt::Done(batch.iter().map(|entry| entry.index).zip(ids.map(Ok)).collect()),
            Ok(Err(service_error)) if batch.len() > 1 && is_of_content(&service_error) => {
                return Attempt::SendSeparately;
            }
            Ok(Err(service_error)) => self.explain(service_error).await,
            Err(error) => error,
        };
        Attempt::Done(batch.iter().map(|entry| (entry.index, Err(error.clone()))).collect())
    }

    /// Sends the request and repeats it after a failure: messages may be stored twice, which at-least-once delivery
    /// allows.
    async fn request(&self, batch: &[Entry<'_>]) -> Result<ServiceResult<impl Iterator<Item = MessageId>>> {
        let topic = escaped(&self.topic);
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
        // The project is cached since the request.
        let project = self.project().await.unwrap_or_default();
        let error = match service_error.kind {
            ErrorKind::NotFound => Error::not_found(format!(
                "Pub/Sub has no topic `{topic}` in the project `{project}`: create it, for example with \
                 `gcloud pubsub topics create {topic} --project {project}`; isobar does not"
            )),
            kind @ ErrorKind::PermissionDenied => Error::new(
                kind,
                format!(
                    "the topic `{topic}` of Pub/Sub: {message} ({status}): grant the account that runs this app the role \
                     roles/pubsub.publisher on it, and check that Pub/Sub is enabled in the project `{project}`"
                ),
            ),
            _ if is_too_large(&service_error) => Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the topic `{topic}` of Pub/Sub: the message in base64 is larger than {MAX_REQUEST_BYTES} bytes: \
                     store the body in a bucket and send its key"
                ),
            ),
            // Messages have no conflicts, so an abort is a temporary failure of the service.
            ErrorKind::Conflict if service_error.code == "ABORTED" => {
                Error::new(ErrorKind::Unavailable, format!("the topic `{topic}` of Pub/Sub: {message} ({status})"))
            }
            _ => return service_error.into(),
        };
        service_error.mark_uncertain(error)
    }
}

/// Whether a message is too large, which Google's front end and Pub/Sub report like any invalid argument.
///
/// Their messages: <https://github.com/apache/beam/issues/19772>,
/// <https://github.com/googleapis/google-cloud-python/issues/5898>.
fn is_too_large(service_error: &ServiceError) -> bool {
    let contains = |text: &str| service_error.message.contains(text);
    match service_error.kind {
        ErrorKind::TooLarge => true,
        ErrorKind::InvalidInput => contains("payload size exceeds") || contains("request_size"),
        _ => false,
    }
}

/// Whether one message of several may be the cause of the error.
fn is_of_content(service_error: &ServiceError) -> bool {
    !service_error.uncertain && matches!(service_error.kind, ErrorKind::InvalidInput | ErrorKind::TooLarge)
}

/// The ids in a response, in the order of the messages. Without one id for each message they cannot be assigned.
fn ids(answer: &[u8], count: usize) -> Result<impl Iterator<Item = MessageId> + use<>> {
    let ids = serde_json::from_slice(answer).map(|Answer { message_ids }| message_ids).unwrap_or_default();
    if ids.len() == count && !ids.iter().any(String::is_empty) {
        return Ok(ids.into_iter().map(MessageId::new));
    }
    let error = format!("Pub/Sub returned {} ids for {count} messages, and may have stored any of them", ids.len());
    Err(Error::internal(error).with_outcome_unknown())
}
