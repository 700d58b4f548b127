//! Topics in SNS, and the format of their messages in SQS.
//!
//! Messages without an ordering key go to the topic `clicks`, messages with one to the FIFO topic
//! `clicks.fifo`: SNS orders all messages of a topic or none.

pub(crate) mod backlog;
pub(crate) mod dead_letter;
pub(crate) mod record;
mod sns;
pub(crate) mod sqs;
pub(crate) mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join;
use futures_util::stream::{self, StreamExt};
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::Location;
use isobar_abstraction::driver::pub_sub::{Message, MessageId, PubSub, RawMessage};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Safety, ServiceError, mark_uncertain};

use crate::State;
use crate::config::{Placed, arn};
use crate::service::AwsService;
use sns::Entry;

/// The suffix of the names of FIFO topics and queues.
pub(crate) const FIFO: &str = ".fifo";

/// The number of concurrent requests of one call.
const CONCURRENT_REQUESTS: usize = 8;

/// The number of attempts for a message that SNS rejects while it accepts others of the same request.
const ATTEMPTS: u32 = 4;

/// The longest wait before the second attempt; doubled for each further one.
const BACKOFF: Duration = Duration::from_millis(100);

/// Opens the topic that configuration maps this location to. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn PubSub>> {
    let placed = state.config.place(at)?;
    let service = AwsService::at(Arc::clone(state), "sns", &placed)?;
    Ok(Arc::new(SnsPubSub { state: Arc::clone(state), service, placed }))
}

/// An SNS topic, and a FIFO topic for messages with an ordering key.
#[derive(Debug)]
pub(crate) struct SnsPubSub {
    state: Arc<State>,
    service: AwsService,
    placed: Placed,
}

impl SnsPubSub {
    async fn topic(&self, suffix: &str) -> Result<String> {
        let account = match &self.placed.account {
            Some(account) => account.clone(),
            None => self.service.account().await?,
        };
        Ok(arn("sns", self.service.region(), &account, &format!("{}{suffix}", self.placed.name)))
    }

    /// Sends messages with an ordering key. The next message of a key is sent after the previous one is stored,
    /// so that no message overtakes one that failed. Messages of different keys share requests.
    async fn send_in_order(&self, entries: &[&Entry<'_>]) -> Vec<Result<()>> {
        let mut results: Vec<Result<()>> = entries.iter().map(|_| Ok(())).collect();
        let mut failed: HashMap<&str, ErrorKind> = HashMap::new();
        for round in rounds(entries) {
            let (blocked, round): (Vec<usize>, Vec<usize>) =
                round.into_iter().partition(|index| failed.contains_key(entries[*index].key()));
            for index in blocked {
                let kind = failed[entries[index].key()];
                results[index] = Err(Error::new(kind, "not sent, since an earlier message of its ordering key failed"));
            }
            let sent = self.send(FIFO, &round.iter().map(|index| entries[*index]).collect::<Vec<_>>()).await;
            for (index, result) in round.into_iter().zip(sent) {
                if let Err(error) = &result {
                    failed.insert(entries[index].key(), error.kind());
                }
                results[index] = result;
            }
        }
        results
    }

    /// Sends messages that do not depend on each other. A message that SNS rejects for a temporary reason
    /// is sent again here; the client repeats whole requests.
    async fn send(&self, suffix: &str, entries: &[&Entry<'_>]) -> Vec<Result<()>> {
        let mut results: Vec<Result<()>> = entries.iter().map(|_| Ok(())).collect();
        let mut pending: Vec<usize> = (0..entries.len()).collect();
        for attempt in 1..=ATTEMPTS {
            let sent = self.send_once(suffix, &pending.iter().map(|index| entries[*index]).collect::<Vec<_>>()).await;
            let mut retried = Vec::new();
            for (index, result) in std::mem::take(&mut pending).into_iter().zip(sent) {
                retried.extend(result.as_ref().is_err_and(|failure| failure.is_temporary).then_some(index));
                // A rejected attempt does not undo an earlier attempt that may have stored the message.
                let uncertain = results[index].as_ref().is_err_and(Error::outcome_unknown);
                results[index] = result.map_err(|SendFailure { error, .. }| mark_uncertain(error, uncertain));
            }
            if retried.is_empty() || attempt == ATTEMPTS {
                break;
            }
            pending = retried;
            let longest = BACKOFF * 2_u32.pow(attempt - 1);
            self.state.clock.pause(longest.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        }
        results
    }

    async fn send_once(&self, suffix: &str, mut entries: &[&Entry<'_>]) -> Vec<SendResult> {
        let mut batches = Vec::new();
        while !entries.is_empty() {
            let (batch, rest) = entries.split_at(sns::fitting(entries));
            batches.push(self.send_batch(suffix, batch));
            entries = rest;
        }
        let sent: Vec<_> = stream::iter(batches).buffered(CONCURRENT_REQUESTS).collect().await;
        sent.into_iter().flatten().collect()
    }

    /// Sends one request, which may be repeated on both kinds of topics. A FIFO topic drops repeated ids. A
    /// standard topic may deliver a repeated message twice under one id, as delivery at least once allows.
    async fn send_batch(&self, suffix: &str, batch: &[&Entry<'_>]) -> Vec<SendResult> {
        let answer = match self.topic(suffix).await {
            Ok(topic) => self.service.query("PublishBatch", Safety::Idempotent, sns::request(&topic, batch)).await,
            Err(error) => Err(error),
        };
        let error = match answer {
            Ok(Ok(xml)) => {
                let failure = |error: Error| SendFailure { is_temporary: error.is_retryable(), error };
                return sns::results(&xml, batch.len()).into_iter().map(|result| result.map_err(failure)).collect();
            }
            Ok(Err(service_error)) => self.explain(suffix, service_error),
            Err(error) => error,
        };
        batch.iter().map(|_| Err(SendFailure { error: error.clone(), is_temporary: false })).collect()
    }

    fn explain(&self, suffix: &str, service_error: ServiceError) -> Error {
        if service_error.code != "NotFound" {
            return service_error.into();
        }
        let purpose = if suffix == FIFO { " for messages with an ordering key" } else { "" };
        service_error.mark_uncertain(Error::not_found(format!(
            "SNS has no topic `{}{suffix}`{purpose}: create it",
            self.placed.name
        )))
    }
}

/// The result of one message of a request.
type SendResult = Result<(), SendFailure>;

struct SendFailure {
    error: Error,
    /// Whether SNS rejected only this message, for a reason that may pass.
    is_temporary: bool,
}

#[async_trait]
impl PubSub for SnsPubSub {
    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
        let now = self.state.clock.now();
        let dues: Vec<_> = messages.iter().map(|raw| raw.due).collect();
        let messages: Vec<_> = messages.into_iter().map(|raw| raw.into_message(new_id(now), now)).collect();
        let entries: Result<Vec<_>> =
            messages.iter().zip(dues).map(|(message, due)| Entry::new(message, due)).collect();
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return messages.iter().map(|_| Err(error.clone())).collect(),
        };
        let (keyed, plain): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.group.is_some());
        let (plain, keyed) = join(self.send("", &plain), self.send_in_order(&keyed)).await;
        let (mut plain, mut keyed) = (plain.into_iter(), keyed.into_iter());
        let result = |message: &Message<Bytes>| {
            let result = if message.ordering_key.is_some() { keyed.next() } else { plain.next() };
            let missing = "bug in isobar: a message has no result; please report it";
            result.unwrap_or_else(|| Err(Error::internal(missing)))?;
            Ok(message.id.clone())
        };
        messages.iter().map(result).collect()
    }
}

/// The indices of messages in rounds: the first message of each key, then the second of each key, and so on.
fn rounds(entries: &[&Entry<'_>]) -> Vec<Vec<usize>> {
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let count = counts.entry(entry.key()).or_default();
        if *count == rounds.len() {
            rounds.push(Vec::new());
        }
        rounds[*count].push(index);
        *count += 1;
    }
    rounds
}

/// An id of 128 bits: the time in milliseconds, so that ids of different times differ, and random bits.
///
/// SNS creates an id for each message too, but SQS does not return it.
fn new_id(now: SystemTime) -> MessageId {
    MessageId::new(format!("{:012x}{:020x}", to_millis(now) & 0xffff_ffff_ffff, fastrand::u128(..1 << 80)))
}

/// The account of a topic or a queue. Errors: `Config` if the account is unknown.
pub(crate) fn account<'a>(state: &'a State, placed: &'a Placed) -> Result<&'a str> {
    let account = placed.account.as_ref().or(state.config.account.as_ref()).or(state.account.get());
    account.map(String::as_str).ok_or_else(|| {
        Error::config(
            "the AWS account is unknown, which the ARNs of topics contain: set AWS_ACCOUNT_ID, \
            or configure the topic with it, for example ISOBAR_TOPIC_CLICKS=sns://clicks?account=123456789012",
        )
    })
}

#[cfg(test)]
mod tests;
