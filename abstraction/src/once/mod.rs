//! [`Once`]: work with an effect that must happen once, although its event is delivered or its request is sent again.
//!
//! A record in a table contains the lease of the caller that works, and then its result. Of all callers one creates it, and
//! each later write has the version of the one before as its condition. So time decides only when a try counts as
//! interrupted; the version decides which of two tries stores its result.

mod digest;
mod http;
mod record;
mod result;
mod store;

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

pub use http::HttpGuard;
pub use result::OnceResult;

use crate::handle::Resource;
use crate::key_value::{Key, KeyValue, Table};
use crate::{Context, Error, ErrorKind, Origin, Result, clock, json};
use record::Record;
use store::{Claim, Settled, Start};

/// Runs work once for each key, and returns its result to every later caller with the same key. Cheap to clone.
///
/// Messages are delivered again, clients repeat requests, and a process may end at any point of its work. `Once` keeps a
/// record for each key in a table, so that an effect outside of the table, such as a payment or a mail, does not happen
/// again:
///
/// | the record says | the caller gets |
/// |---|---|
/// | nothing | the work runs: [`OnceResult::Fresh`] |
/// | the work is done | its result, without running it: [`OnceResult::Replayed`] |
/// | a try is running | [`OnceResult::InProgress`]: for a message another delivery later, over HTTP 409 with `retry-after` |
/// | a try ended without a result | the work runs again, or an error: the choice of [`OnInterrupted`] |
///
/// A try has a *lease* on its key: the time until the deadline of its [`Context`], at most that of
/// [`with_timeout`](Self::with_timeout), and 30 seconds. Without a deadline it is 60 seconds, and longer work needs one of
/// both. When the lease is over without a result, the try counts as interrupted: the process ended, the deadline passed, or
/// the handler panicked.
///
/// | the work returns | then |
/// |---|---|
/// | `Ok` | the result is stored for the [time to live](Self::with_ttl), 14 days by default |
/// | `Err` | the key is free again immediately, and the next caller runs the work |
/// | `Err` whose [outcome is unknown](Error::outcome_unknown) | the effect may have happened: the try counts as interrupted when its lease is over |
///
/// No store can make an effect and its record one step. If a process ends between the two, or a clock jumps beyond a
/// lease, the work runs twice with [`OnInterrupted::Retry`], and of two results the first that is stored is returned to
/// both. Pass [`Attempt::key`] to a service that accepts idempotency keys, and the effect happens once even then. For
/// effects that are writes of one partition, a [transaction](Table::transact) is stronger and cheaper: it writes the mark
/// and the effect together.
///
/// The table of the records must be used for nothing else. Two places in an app that use the same keys for different
/// work need two tables. The limits of keys are those of a [`Table`], and a result can have the size of an item. The key
/// is in errors and in logs: it must not be a secret.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::key_value::Table;
/// use isobar_abstraction::once::{Once, OnceResult};
/// use isobar_abstraction::pub_sub::Message;
/// use isobar_abstraction::{App, Cloud, Context, Result, TestClient};
///
/// #[derive(Clone)]
/// struct Shop {
///     mails: Once,
///     sent: Table<i64>,
/// }
///
/// impl Shop {
///     /// Sends a mail for each order, however often the order is delivered.
///     async fn confirm(self, order: Message<String>, cx: Context) -> Result<OnceResult<()>> {
///         self.mails.run(&cx, &order.body, async |_attempt| self.sent.add("mails", 1).await.map(drop)).await
///     }
/// }
///
/// fn app(cloud: &Cloud) -> App {
///     let shop = Shop { mails: cloud.once("mails"), sent: cloud.table("sent") };
///     App::new("shop").with_state(shop).on_message(&cloud.topic("orders"), Shop::confirm).build()
/// }
///
/// let client = TestClient::new(app)?;
/// client.publish("orders", "order-7").await?;
/// client.publish("orders", "order-7").await?;
/// assert_eq!(client.deliver_all().await?.acked, 2);
/// assert_eq!(client.cloud().table::<i64>("sent").get("mails").await?, Some(1));
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Once {
    table: Table<Record>,
    ttl: Duration,
    timeout: Option<Duration>,
    on_interrupted: OnInterrupted,
}

/// The answer to a try that ended without a result: it is not known whether its effect happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnInterrupted {
    /// The next caller runs the work again, and [`Attempt::is_interrupted`] is `true`: for work that may happen twice, that
    /// can look up its effect, or whose service accepts [`Attempt::key`].
    #[default]
    Retry,
    /// Each later caller receives a `Conflict` with the key and the time of the try, until [`Once::forget`] or the end of
    /// the time to live: for work that must not happen twice, such as a payment, where a person looks.
    Refuse,
}

/// A try of the work. The work receives it as its argument, and the handler of a route behind [`Once::http`] as the
/// extractor `Extension<Attempt>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    key: String,
    is_interrupted: bool,
}

impl Attempt {
    /// An idempotency key for other services: 32 hexadecimal digits, made from the table's logical name and the key. It is
    /// the same in every try of this key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Did an earlier try end without a result? Then its effect may have happened, and the work must find out whether it
    /// did, unless it may happen twice.
    pub fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }
}

/// The longest delivery again of a message of isobar's own topics.
const TTL: Duration = Duration::from_secs(14 * 24 * 3600);

const MIN_TTL: Duration = Duration::from_secs(60);
const MAX_TTL: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The lease of a try without a deadline.
const LEASE: Duration = Duration::from_secs(60);

/// The part of a lease after the deadline: for clocks that differ, and for the write of the result.
const RESERVE: Duration = Duration::from_secs(30);

impl Once {
    pub(crate) fn new(resource: Resource<dyn KeyValue>) -> Self {
        Self { table: Table::new(resource), ttl: TTL, timeout: None, on_interrupted: OnInterrupted::default() }
    }

    /// Sets the time for which a result, and an interrupted try, are known: 14 days by default.
    ///
    /// After it the work would run again. So it must be longer than the time in which an event is delivered again: 14 days
    /// for isobar's topics. From 1 minute to 100 years; otherwise the start of the app reports a problem.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        if !(MIN_TTL..=MAX_TTL).contains(&ttl) {
            let message = format!("the time to live of results is {ttl:?}; set 1 minute to 100 years");
            self.table.resource().report(&message);
        }
        self.ttl = ttl;
        self
    }

    /// Limits the time of a try, and so its lease: another delivery waits less after an interrupted one. Without it the
    /// limit is the deadline of the context.
    ///
    /// At the limit the work is dropped, and the error is a `Timeout` whose outcome is unknown. A limit of zero is a problem
    /// at the start of the app.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        if timeout.is_zero() {
            self.table.resource().report("the timeout of the work is zero; set a longer one, or none");
        }
        self.timeout = Some(timeout);
        self
    }

    /// Sets the answer to a try that ended without a result: [`OnInterrupted::Retry`] by default.
    #[must_use]
    pub fn with_interrupted(mut self, on_interrupted: OnInterrupted) -> Self {
        self.on_interrupted = on_interrupted;
        self
    }

    /// Runs `work` unless it was done for this key, and returns its result.
    ///
    /// Errors: those of `work`, without change; those of the table; `Conflict` after an interrupted try, with
    /// [`OnInterrupted::Refuse`]; `TooLarge` for a later caller if the result was too large to store, or if JSON cannot
    /// represent it; `InvalidInput` if the stored result is not a `T`, which is a 500 over HTTP. If the result cannot be
    /// stored, the error says that the work is done, and its outcome is unknown.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::once::OnceResult;
    /// use isobar_abstraction::{Cloud, Context, Error};
    /// let cloud = Cloud::memory();
    /// let cx = Context::new("memory", cloud.clock());
    /// let payments = cloud.once("payments");
    /// let first = payments.run(&cx, "order-7", async |attempt| Ok(attempt.key().len())).await?;
    /// assert_eq!(first, OnceResult::Fresh(32));
    /// let second = payments.run(&cx, "order-7", async |_| Err::<usize, _>(Error::internal("not called"))).await?;
    /// assert_eq!(second, OnceResult::Replayed(32));
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn run<T, F>(
        &self,
        cx: &Context,
        key: impl Into<Key>,
        work: impl FnOnce(Attempt) -> F,
    ) -> Result<OnceResult<T>>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T>>,
    {
        self.run_of(cx, key.into(), None, work).await
    }

    /// [`run`](Self::run) for an input: a caller with the same key and another input is an error, and does not receive the
    /// result of the first.
    ///
    /// Inputs are the same if their JSON is the same, apart from the order of the members of objects. The record contains
    /// their SHA-256.
    ///
    /// Errors: `InvalidInput` for another input: a message is rejected. Over HTTP it is a 400, and a 422 behind
    /// [`http`](Self::http). All others are those of `run`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{Cloud, Context, ErrorKind};
    /// let cloud = Cloud::memory();
    /// let cx = Context::new("memory", cloud.clock());
    /// let payments = cloud.once("payments");
    /// payments.run_with(&cx, "order-7", &("EUR", 12), async |_| Ok(())).await?;
    /// let other = payments.run_with(&cx, "order-7", &("EUR", 13), async |_| Ok(())).await;
    /// assert_eq!(other.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn run_with<T, F>(
        &self,
        cx: &Context,
        key: impl Into<Key>,
        input: &(impl Serialize + ?Sized),
        work: impl FnOnce(Attempt) -> F,
    ) -> Result<OnceResult<T>>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T>>,
    {
        let fingerprint = digest::of_input(input).map_err(|error| self.explain(error))?;
        self.run_of(cx, key.into(), Some(fingerprint), work).await
    }

    /// Forgets a key, so that its next caller runs the work: after a person has looked at a key that
    /// [`OnInterrupted::Refuse`] refuses, and found that the effect did not happen. `Ok` for an unknown key.
    ///
    /// A try that is running does not end, and stores its result.
    pub async fn forget(&self, key: impl Into<Key>) -> Result<()> {
        self.table.delete(key).await
    }

    async fn run_of<T, F>(
        &self,
        cx: &Context,
        key: Key,
        fingerprint: Option<String>,
        work: impl FnOnce(Attempt) -> F,
    ) -> Result<OnceResult<T>>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T>>,
    {
        let claim = match self.start(cx, key.clone(), fingerprint).await? {
            Start::Claimed(claim) => claim,
            Start::Done(result) => return self.replayed(&key, result),
            Start::InProgress(retry_after) => return Ok(OnceResult::InProgress { retry_after }),
            Start::Interrupted { since_ms } => return Err(self.interrupted(&key, since_ms)),
            Start::OtherInput => return Err(self.other_input(&key)),
        };
        match self.limited(cx, &key, work(self.attempt(&claim))).await {
            Ok(value) => match self.finish(&claim, self.result_of(&key, &value)).await? {
                Settled::Stored => Ok(OnceResult::Fresh(value)),
                Settled::Earlier(result) => self.replayed(&key, result),
            },
            Err(error) => {
                if !error.outcome_unknown() {
                    self.release(&claim).await;
                }
                Err(error)
            }
        }
    }

    fn attempt(&self, claim: &Claim) -> Attempt {
        let key = digest::of_parts(&[self.table.name(), &claim.key.partition, &claim.key.sort].map(str::as_bytes));
        Attempt { key: key.chars().take(32).collect(), is_interrupted: claim.is_interrupted }
    }

    /// Runs the work, at most for the timeout.
    async fn limited<T>(&self, cx: &Context, key: &Key, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(timeout) = self.timeout else { return work.await };
        match select(pin!(work), cx.sleep(timeout)).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => {
                let message = format!("the work of `{key}` did not end within {timeout:?}; it counts as interrupted");
                Err(Error::timeout(message).with_outcome_unknown())
            }
        }
    }

    /// The time for which a try that starts now has its key.
    fn lease(&self, cx: &Context) -> Duration {
        let left = cx.remaining().filter(|left| !left.is_zero());
        let longest = left.into_iter().chain(self.timeout).min();
        longest.map_or(LEASE, |longest| longest.saturating_add(RESERVE).min(MAX_TTL))
    }

    /// The result to store; `None` if JSON cannot represent it: it must not fail a caller whose work is done.
    fn result_of(&self, key: &Key, value: &impl Serialize) -> Option<Box<RawValue>> {
        let json = json::to_text(value).and_then(|text| Ok(RawValue::from_string(text)?));
        json.inspect_err(|error| tracing::warn!(%error, %key, "the result of the work cannot be stored")).ok()
    }

    fn replayed<T: DeserializeOwned>(&self, key: &Key, result: Option<Box<RawValue>>) -> Result<OnceResult<T>> {
        let result = result.ok_or_else(|| self.not_stored(key))?;
        // Without the source: the text of serde quotes the value.
        let value = serde_json::from_str(result.get()).map_err(|_| {
            let message = format!("the result of `{key}` is not a `{}`", std::any::type_name::<T>());
            self.explain(Error::invalid_input(message).with_origin(Origin::Service))
        })?;
        Ok(OnceResult::Replayed(value))
    }

    fn not_stored(&self, key: &Key) -> Error {
        let message = format!(
            "the work of `{key}` is done, and its result was not stored: it is larger than an item, or JSON cannot \
             represent it"
        );
        self.explain(Error::new(ErrorKind::TooLarge, message).with_origin(Origin::Data))
    }

    fn other_input(&self, key: &Key) -> Error {
        self.explain(Error::invalid_input(format!("the key `{key}` was used with another input; use a new key")))
    }

    fn interrupted(&self, key: &Key, since_ms: u64) -> Error {
        let since = clock::to_rfc3339(clock::from_millis(since_ms));
        let message = format!(
            "a try of `{key}` of {since} ended without a result, and its effect may have happened: look for the effect, then \
             `forget` the key to run the work again"
        );
        self.explain(Error::conflict(message))
    }

    fn explain(&self, error: Error) -> Error {
        self.table.resource().explain("once", error)
    }
}
