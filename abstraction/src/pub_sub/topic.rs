//! [`Topic`]: the pub/sub type for apps.

use std::collections::{BTreeMap, HashSet};
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;

use super::{MessageId, Outgoing, PubSub, RawMessage, plain_text};
use crate::access::Access;
use crate::ambient::current_trace;
use crate::clock::later;
use crate::handle::Resource;
use crate::outcome::RetryPolicy;
use crate::profile::Limits;
use crate::{Error, Result, TraceParent, json};

/// A topic of messages with bodies of type `T`. Cheap to clone.
///
/// | | local | AWS | Azure | Google Cloud |
/// |---|---|---|---|---|
/// | service | durable queue | SNS and SQS | Service Bus or Storage Queues | Pub/Sub |
/// | order by key | yes | FIFO message group | sessions of Service Bus; a Storage Queue is `Unsupported` | ordering key |
/// | longest retry with a key | 6 h | 6 h | 60 s | 20 s |
/// | largest message of the service | 240,000 bytes | 260,096 | 258,048; 44,544 on a Storage Queue | 7,400,000 |
///
/// A message is delivered to each [`Subscription`] that an app handles with [`App::on_message`], at least once. Without such
/// an app it is accepted and not delivered.
///
/// Portable limits: body and attributes 240,000 bytes, 8 attributes, an ordering key of 128 bytes. A message is stored
/// durably when [`publish`](Self::publish) returns.
///
/// [`App::on_message`]: crate::App::on_message
#[derive(Debug)]
pub struct Topic<T> {
    resource: Resource<dyn PubSub>,
    body: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Self::new(self.resource.clone())
    }
}

impl<T> Topic<T> {
    pub(crate) fn new(resource: Resource<dyn PubSub>) -> Self {
        Self { resource, body: PhantomData }
    }

    /// The logical name of the topic.
    ///
    /// ```
    /// use isobar_abstraction::Cloud;
    /// assert_eq!(Cloud::memory().topic::<u32>("jobs").name(), "jobs");
    /// ```
    pub fn name(&self) -> &str {
        &self.resource.name
    }

    /// Removes the access to publish, also in the declaration of the app: for an app that only handles the messages.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{Cloud, ErrorKind};
    /// let jobs = Cloud::memory().topic::<u32>("jobs").subscribe_only();
    /// assert_eq!(jobs.publish(7_u32).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn subscribe_only(self) -> Self {
        Self::new(self.resource.with_access(Access::None))
    }

    /// A subscription as the source of a trigger, with the number of attempts and the backoff: see [`Subscription`].
    ///
    /// The name is a logical name: 3 to 40 of `a-z`, `0-9` and single `-`; `dead`, `events`, `fifo` and `writes` are
    /// reserved. It is a part of the names of queues on the clouds, so another name is another queue, which receives the
    /// messages that are published after its creation. `default` is the subscription of a `&topic`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{App, Cloud, Outcome, TestClient};
    /// fn app(cloud: &Cloud) -> App {
    ///     let twice = cloud.topic::<u32>("jobs").subscription("default").with_max_attempts(2);
    ///     App::new("worker").on_message(twice, async |_job, _cx| Outcome::retry("not today"))
    /// }
    /// let client = TestClient::new(app)?;
    /// client.publish("jobs", 7_u32).await?;
    /// client.deliver_all().await?;
    /// client.advance(std::time::Duration::from_secs(1));
    /// assert_eq!(client.deliver_all().await?.dead, 1);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn subscription(&self, name: impl Into<String>) -> Subscription<T> {
        Subscription { topic: self.clone(), name: name.into(), retry: RetryPolicy::default() }
    }

    pub(crate) fn resource(&self) -> &Resource<dyn PubSub> {
        &self.resource
    }
}

impl<T: Serialize + 'static> Topic<T> {
    /// Publishes one message and returns its id. The message is stored durably then.
    ///
    /// Body and attributes together have at most [`Limits::message_bytes`], 240,000. Some services carry text only, so a body
    /// that is not [`plain_text`] counts by its length in base64: at most 180,000 bytes of it. The message carries the
    /// trace of the current invocation.
    ///
    /// Errors: `InvalidInput` for an empty body, an attribute, an ordering key or a delay outside of the rules of [`Outgoing`];
    /// `TooLarge`; `Unsupported` for an ordering key on a Storage Queue; `PermissionDenied`; `NotFound` if the deployment
    /// did not create the topic; `Throttled`, `Unavailable` and `Timeout` after the retries of the adapter. If the
    /// [outcome is unknown](Error::outcome_unknown), a repetition can publish the message twice.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{Cloud, ErrorKind, pub_sub::Outgoing};
    /// let words = Cloud::memory().topic::<String>("words");
    /// words.publish("hello".to_owned()).await?;
    /// words.publish(Outgoing::new("salut".to_owned()).with_attribute("lang", "fr")).await?;
    /// let long = words.publish("x".repeat(240_001)).await.unwrap_err();
    /// assert_eq!((long.kind(), long.limit()), (ErrorKind::TooLarge, Some(240_000)));
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn publish(&self, message: impl Into<Outgoing<T>>) -> Result<MessageId> {
        let raw = self.prepare(message.into()).map_err(|error| self.resource.explain("publish", error))?;
        self.resource
            .run("publish", Access::Write, async |driver| {
                let mut results = driver.publish(vec![raw]).await;
                results.pop().unwrap_or_else(|| Err(no_result()))
            })
            .await
    }

    /// Publishes many messages and returns one result for each, in their order. The number of messages has no limit.
    ///
    /// The messages are independent: an invalid or failed one does not affect the others. Messages with the same ordering
    /// key keep their order. Errors of each: those of [`publish`](Self::publish).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{Cloud, ErrorKind};
    /// let words = Cloud::memory().topic::<String>("words");
    /// let results = words.publish_batch(["hello".to_owned(), "x".repeat(240_001)]).await;
    /// assert!(results[0].is_ok());
    /// assert_eq!(results[1].as_ref().unwrap_err().kind(), ErrorKind::TooLarge);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn publish_batch<M: Into<Outgoing<T>>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Vec<Result<MessageId>> {
        let prepared: Vec<_> = messages.into_iter().map(|message| self.prepare(message.into())).collect();
        let good: Vec<_> = prepared.iter().filter_map(|message| message.as_ref().ok().cloned()).collect();
        let sent = match good.is_empty() {
            true => Ok(Vec::new()),
            false => {
                let publish =
                    self.resource.run("publish_batch", Access::Write, async |driver| Ok(driver.publish(good).await));
                publish.await
            }
        };
        let mut sent = sent.map(Vec::into_iter);
        let result = |prepared: Result<RawMessage>| match (prepared, &mut sent) {
            (Err(error), _) => Err(error),
            (Ok(_), Ok(results)) => results.next().unwrap_or_else(|| Err(no_result())).map_err(Error::of_driver),
            (Ok(_), Err(error)) => Err(error.clone()),
        };
        let results = prepared.into_iter().map(result);
        results.map(|result| result.map_err(|error| self.resource.explain("publish_batch", error))).collect()
    }

    fn prepare(&self, message: Outgoing<T>) -> Result<RawMessage> {
        let Outgoing { body, attributes, ordering_key, delay } = message;
        let body = json::encode(&body)?;
        let trace_parent = current_trace().map_or_else(TraceParent::random, TraceParent::child);
        check_attributes(&attributes, &self.resource.limits)?;
        if let Some(key) = &ordering_key {
            check_ordering_key(key, &self.resource.limits)?;
        }
        check_size(&body, &attributes, &self.resource.limits)?;
        check_delay(delay, ordering_key.is_some(), &self.resource.limits)?;
        let due = (!delay.is_zero()).then(|| later(self.resource.clock.now(), delay));
        Ok(RawMessage { body, attributes, ordering_key, due, trace_parent })
    }
}

fn no_result() -> Error {
    Error::internal("bug in isobar: the driver returned no result for a message; please report it")
        .with_outcome_unknown()
}

fn check_size(body: &[u8], attributes: &BTreeMap<String, String>, limits: &Limits) -> Result<()> {
    if body.is_empty() {
        return Err(Error::invalid_input("the body is empty; some services reject that"));
    }
    let (what, carried) = match plain_text(body) {
        Some(text) => ("the message with its attributes", text.len()),
        None => {
            ("the message with its attributes, its body in base64 because it is not text,", body.len().div_ceil(3) * 4)
        }
    };
    let attributes: usize = attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
    let (size, limit) = ((carried + attributes) as u64, limits.message_bytes);
    if size > limit { Err(Error::too_large(what, size, limit)) } else { Ok(()) }
}

fn check_attributes(attributes: &BTreeMap<String, String>, limits: &Limits) -> Result<()> {
    let (count, limit) = (attributes.len() as u64, limits.message_attributes);
    if count > limit {
        return Err(Error::too_large("the number of attributes", count, limit));
    }
    let mut names = HashSet::new();
    if let Some(name) = attributes.keys().find(|name| !names.insert(name.to_ascii_lowercase())) {
        // Service Bus and Pub/Sub carry attributes as headers, whose names have no case.
        return Err(Error::invalid_input(format!(
            "the attribute `{}` differs from another in case only",
            name.escape_debug()
        )));
    }
    for (name, value) in attributes {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let lower = name.to_ascii_lowercase();
        // These are reserved by services and by isobar.
        let reserved =
            lower == TraceParent::NAME || ["aws", "goog", "isobar", "x-"].iter().any(|it| lower.starts_with(it));
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        if !begins || name.len() > 64 || reserved || !name.bytes().all(plain) {
            return Err(Error::invalid_input(format!(
                "`{}` is not an attribute name: use 1 to 64 of A-Z, a-z, 0-9, _ and -, beginning with A-Z or a-z and not \
                 with aws, goog, isobar or x-; traceparent is reserved",
                name.escape_debug()
            )));
        }
        if value.is_empty() || value.len() > 1_024 || value.chars().any(char::is_control) {
            return Err(Error::invalid_input(format!(
                "the attribute `{name}` must have a value of 1 to 1,024 bytes without control characters"
            )));
        }
    }
    Ok(())
}

fn check_ordering_key(key: &str, limits: &Limits) -> Result<()> {
    let limit = limits.ordering_key_bytes;
    if !key.is_empty() && key.len() as u64 <= limit && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::invalid_input(format!("an ordering key is 1 to {limit} printable ASCII characters without blanks")))
}

fn check_delay(delay: Duration, ordered: bool, limits: &Limits) -> Result<()> {
    let limit = limits.message_delay;
    if delay > limit {
        let (delay, limit) = (delay.as_secs_f64(), limit.as_secs());
        return Err(Error::invalid_input(format!(
            "a delay of {delay} s is more than the limit of {limit} s; for a longer wait store an item, and look for it in a \
             schedule"
        )));
    }
    if ordered && !delay.is_zero() {
        return Err(Error::invalid_input(
            "a message with an ordering key cannot have a delay, since the later messages of its key would wait too; publish \
             it without the key",
        ));
    }
    Ok(())
}

/// The name of a subscription or of object events without a name.
pub const DEFAULT_SUBSCRIPTION: &str = "default";

/// A subscription of a topic as the source of a trigger, with its retry policy. A `&topic` is converted to the subscription
/// `default` with the defaults: 5 attempts, a backoff of 1 second that doubles up to 5 minutes.
///
/// A topic can have several subscriptions, each with a name and a handler. Every message is delivered to each of them; each has
/// attempts, dead letters and redrive of its own. A Storage Queue of Azure has the subscription `default` only: another one
/// is `Config` at start there.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::{App, Cloud, Outcome, TestClient};
///
/// fn app(cloud: &Cloud) -> App {
///     let orders = cloud.topic::<String>("orders");
///     App::new("shop")
///         .on_message(&orders, async |_order, _cx| Outcome::Ack)
///         .on_message(orders.subscription("index").with_max_attempts(1), async |_order, _cx| Outcome::retry("no index"))
/// }
///
/// let client = TestClient::new(app)?;
/// client.publish("orders", "tea").await?;
/// let delivered = client.deliver_all().await?;
/// assert_eq!((delivered.acked, delivered.dead), (1, 1));
/// // A dead letter that is put back is delivered to its own subscription only.
/// assert_eq!(client.redrive(("orders", "index")), 1);
/// let delivered = client.deliver_all().await?;
/// assert_eq!((delivered.acked, delivered.dead), (0, 1));
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Subscription<T> {
    pub(crate) topic: Topic<T>,
    pub(crate) name: String,
    pub(crate) retry: RetryPolicy,
}

impl<T> Subscription<T> {
    /// Sets the number of deliveries, including the first, before a message becomes a dead letter; 0 counts as 1.
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.retry = self.retry.with_max_attempts(attempts);
        self
    }

    /// Sets the shortest and the longest backoff between deliveries. With an ordering key the provider's limit applies too:
    /// see [`Outcome::retry_after`](crate::Outcome::retry_after).
    pub fn with_backoff(mut self, min: Duration, max: Duration) -> Self {
        self.retry = self.retry.with_backoff(min, max);
        self
    }
}

impl<T> From<&Topic<T>> for Subscription<T> {
    fn from(topic: &Topic<T>) -> Self {
        topic.subscription(DEFAULT_SUBSCRIPTION)
    }
}
