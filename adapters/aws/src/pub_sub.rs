//! Topics in SNS, and what their messages look like in SQS.
//!
//! Messages without an ordering key go to the topic `clicks`, those with one to the FIFO topic
//! `clicks.fifo`: SNS gives an order to all messages of a topic or to none.

pub(crate) mod dead;
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
use isobar_rest::{Safety, ServiceError, unknown};

use crate::State;
use crate::config::{Placed, arn};
use crate::service::AwsService;
use sns::Entry;

/// What the names of FIFO topics and queues end with.
pub(crate) const FIFO: &str = ".fifo";

/// Requests under way at once for one call of `publish`.
const AT_ONCE: usize = 8;

/// How often a message is sent that SNS does not take although it takes its neighbours.
const ATTEMPTS: u32 = 4;

/// The longest wait before the second of them; doubled for each further one.
const BACKOFF: Duration = Duration::from_millis(100);

/// Opens what configuration places here. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn PubSub>> {
    let placed = state.config.place(at)?;
    let service = AwsService::at(Arc::clone(state), "sns", &placed)?;
    Ok(Arc::new(SnsPubSub { state: Arc::clone(state), service, placed }))
}

/// An SNS topic, and its FIFO twin for messages with an ordering key.
#[derive(Debug)]
pub(crate) struct SnsPubSub {
    state: Arc<State>,
    service: AwsService,
    placed: Placed,
}

impl SnsPubSub {
    async fn topic(&self, end: &str) -> Result<String> {
        let account = match &self.placed.account {
            Some(account) => account.clone(),
            None => self.service.account().await?,
        };
        Ok(arn("sns", self.service.region(), &account, &format!("{}{end}", self.placed.name)))
    }

    /// Sends messages with a key: the next of a key when the last of it is stored, so that none
    /// overtakes one that failed. Messages of different keys share requests.
    async fn send_in_order(&self, entries: &[&Entry<'_>]) -> Vec<Result<()>> {
        let mut results: Vec<Result<()>> = entries.iter().map(|_| Ok(())).collect();
        let mut failed: HashMap<&str, ErrorKind> = HashMap::new();
        for wave in waves(entries) {
            let (held, wave): (Vec<usize>, Vec<usize>) =
                wave.into_iter().partition(|place| failed.contains_key(entries[*place].key()));
            for place in held {
                let kind = failed[entries[place].key()];
                results[place] = Err(Error::new(kind, "not sent, since an earlier message of its ordering key failed"));
            }
            let sent = self.send(FIFO, &wave.iter().map(|place| entries[*place]).collect::<Vec<_>>()).await;
            for (place, sent) in wave.into_iter().zip(sent) {
                if let Err(error) = &sent {
                    failed.insert(entries[place].key(), error.kind());
                }
                results[place] = sent;
            }
        }
        results
    }

    /// Sends messages of which none waits for another. Those that SNS refuses for a passing reason,
    /// each by itself, are sent again; whole requests the client has repeated already.
    async fn send(&self, end: &str, entries: &[&Entry<'_>]) -> Vec<Result<()>> {
        let mut results: Vec<Result<()>> = entries.iter().map(|_| Ok(())).collect();
        let mut pending: Vec<usize> = (0..entries.len()).collect();
        for attempt in 1..=ATTEMPTS {
            let sent = self.send_once(end, &pending.iter().map(|place| entries[*place]).collect::<Vec<_>>()).await;
            let mut again = Vec::new();
            for (place, sent) in std::mem::take(&mut pending).into_iter().zip(sent) {
                again.extend(sent.as_ref().is_err_and(|unsent| unsent.again).then_some(place));
                // What an earlier attempt perhaps did, a later one that was refused does not undo.
                let uncertain = results[place].as_ref().is_err_and(Error::outcome_unknown);
                results[place] = sent.map_err(|Unsent { error, .. }| unknown(error, uncertain));
            }
            if again.is_empty() || attempt == ATTEMPTS {
                break;
            }
            pending = again;
            let longest = BACKOFF * 2_u32.pow(attempt - 1);
            self.state.clock.pause(longest.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        }
        results
    }

    async fn send_once(&self, end: &str, mut entries: &[&Entry<'_>]) -> Vec<Sent> {
        let mut batches = Vec::new();
        while !entries.is_empty() {
            let (batch, rest) = entries.split_at(sns::fitting(entries));
            batches.push(self.send_batch(end, batch));
            entries = rest;
        }
        let sent: Vec<_> = stream::iter(batches).buffered(AT_ONCE).collect().await;
        sent.into_iter().flatten().collect()
    }

    /// Idempotent on both kinds of topics. A FIFO topic knows the ids. The other does not: a repeat
    /// may arrive twice, under one id, which delivery at least once allows; a message that fails
    /// although one try more would have stored it helps nobody.
    async fn send_batch(&self, end: &str, batch: &[&Entry<'_>]) -> Vec<Sent> {
        let answer = match self.topic(end).await {
            Ok(topic) => self.service.query("PublishBatch", Safety::Idempotent, sns::request(&topic, batch)).await,
            Err(error) => Err(error),
        };
        let error = match answer {
            Ok(Ok(xml)) => {
                let alone = |error: Error| Unsent { again: error.is_retryable(), error };
                return sns::results(&xml, batch.len()).into_iter().map(|sent| sent.map_err(alone)).collect();
            }
            Ok(Err(service_error)) => self.explain(end, service_error),
            Err(error) => error,
        };
        batch.iter().map(|_| Err(Unsent { error: error.clone(), again: false })).collect()
    }

    fn explain(&self, end: &str, service_error: ServiceError) -> Error {
        if service_error.code != "NotFound" {
            return service_error.into();
        }
        let why = if end == FIFO { " for messages with an ordering key" } else { "" };
        service_error
            .as_error(Error::not_found(format!("SNS has no topic `{}{end}`{why}: create it", self.placed.name)))
    }
}

/// What became of a message of a request.
type Sent = Result<(), Unsent>;

struct Unsent {
    error: Error,
    /// Was it refused by itself, for a reason that may pass?
    again: bool,
}

#[async_trait]
impl PubSub for SnsPubSub {
    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
        let now = self.state.clock.now();
        let messages: Vec<_> = messages.into_iter().map(|raw| raw.into_message(new_id(now), now)).collect();
        let entries: Result<Vec<_>> = messages.iter().map(Entry::new).collect();
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return messages.iter().map(|_| Err(error.clone())).collect(),
        };
        let (keyed, plain): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.group.is_some());
        let (plain, keyed) = join(self.send("", &plain), self.send_in_order(&keyed)).await;
        let (mut plain, mut keyed) = (plain.into_iter(), keyed.into_iter());
        let result = |message: &Message<Bytes>| {
            let sent = if message.ordering_key.is_some() { keyed.next() } else { plain.next() };
            sent.unwrap_or_else(|| Err(Error::internal("a message was left out")))?;
            Ok(message.id.clone())
        };
        messages.iter().map(result).collect()
    }
}

/// Places of messages: of each key the first ones, then the second ones, and so on.
fn waves(entries: &[&Entry<'_>]) -> Vec<Vec<usize>> {
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (place, entry) in entries.iter().enumerate() {
        let count = counts.entry(entry.key()).or_default();
        if *count == waves.len() {
            waves.push(Vec::new());
        }
        waves[*count].push(place);
        *count += 1;
    }
    waves
}

/// 128 bits: the time, so that ids of different milliseconds never meet, and chance.
///
/// SNS has an id for each message too, but SQS does not show it.
fn new_id(now: SystemTime) -> MessageId {
    MessageId::new(format!("{:012x}{:020x}", to_millis(now) & 0xffff_ffff_ffff, fastrand::u128(..1 << 80)))
}

/// The account of a topic or a queue. Errors: `Config` where nothing tells it.
pub(crate) fn account<'a>(state: &'a State, placed: &'a Placed) -> Result<&'a str> {
    let told = placed.account.as_ref().or(state.config.account.as_ref()).or(state.account.get());
    told.map(String::as_str).ok_or_else(|| {
        Error::config(
            "no AWS account, which names of topics need: set AWS_ACCOUNT_ID, \
             or give the topic a URL with it, as in ISOBAR_TOPIC_CLICKS=sns://clicks?account=123456789012",
        )
    })
}

#[cfg(test)]
mod tests;
