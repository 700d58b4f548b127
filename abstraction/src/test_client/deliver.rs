//! Delivery of messages, object events and writes in tests, by the rules of the platforms.
//!
//! A test advances the clock and delivers, so that retries and backoffs of hours take no time.

use bytes::Bytes;
use futures_util::future::join_all;

use super::{Started, TestClient};
use crate::clock::Clock;
use crate::driver::host;
use crate::event_queue::EventQueue;
use crate::memory::Leased;
use crate::outcome::{RetryPolicy, Settlement};
use crate::provider::Provider;
use crate::pub_sub::{DeadLetter, Message};
use crate::{Error, Result};

/// The result of [`TestClient::deliver_all`]: numbers of deliveries by their settlement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// Events that were acknowledged.
    pub acked: usize,
    /// Deliveries that failed and are due again later, when the clock has been advanced.
    pub retried: usize,
    /// Events that became dead letters.
    pub dead: usize,
}

/// The messages that are handled in parallel.
const PARALLEL: usize = 10;

/// Messages, object events and writes.
impl TestClient {
    /// Delivers all messages, object events and writes that are due, also those that the handlers publish, until none is due: to
    /// this app and to the apps of [`with_app`](Self::with_app).
    ///
    /// As on a platform, up to 10 messages of a queue are handled in parallel, and of each ordering key one at a time. A
    /// retry is due later: [`advance`](Self::advance) the clock and call this again. A handler that publishes to its own
    /// topic without end never lets this return.
    ///
    /// Errors: those of reading an event of a bucket or a table. Errors of handlers are outcomes: see [`Delivered`] and
    /// [`dead_letters`](Self::dead_letters).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use isobar_abstraction::{App, Cloud, Context, Delivered, Outcome, TestClient};
    /// use isobar_abstraction::pub_sub::Message;
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     let count = async |job: Message<u32>, cx: Context| match (job.body, cx.attempt()) {
    ///         (0, _) => Outcome::reject("no zeros"),
    ///         (_, 1) => Outcome::retry("not yet"),
    ///         _ => Outcome::Ack,
    ///     };
    ///     App::new("worker").on_message(&cloud.topic("jobs"), count)
    /// }
    ///
    /// let client = TestClient::new(app)?;
    /// client.publish("jobs", 0).await?;
    /// client.publish("jobs", 7).await?;
    /// assert_eq!(client.waiting("jobs").len(), 2);
    /// let first = client.deliver_all().await?;
    /// assert_eq!((first.acked, first.retried, first.dead), (0, 1, 1));
    /// client.advance(Duration::from_secs(1));
    /// assert_eq!(client.deliver_all().await?.acked, 1);
    /// assert_eq!(client.deliver_all().await?, Delivered::default());
    ///
    /// assert_eq!(client.dead_letters("jobs")[0].reason, "no zeros");
    /// assert_eq!(client.redrive("jobs"), 1);
    /// assert_eq!(client.waiting("jobs").len(), 1);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn deliver_all(&self) -> Result<Delivered> {
        let mut total = Delivered::default();
        loop {
            let before = total;
            let apps = self.apps.lock().clone();
            for app in apps {
                self.deliver_to(&app, &mut total).await?;
            }
            if total == before {
                return Ok(total);
            }
        }
    }

    /// The messages of a queue that wait for delivery, due or not, in the order of publishing: of the subscription `default` of
    /// a topic, if `queue` is its name.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{App, TestClient};
    ///
    /// let client = TestClient::new(|_| App::new("shop"))?;
    /// client.cloud().topic::<u32>("orders").publish(7_u32).await?;
    /// let waiting = client.waiting("orders");
    /// assert_eq!((waiting.len(), waiting[0].body.as_ref()), (1, &b"7"[..]));
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn waiting(&self, queue: impl Into<EventQueue>) -> Vec<Message<Bytes>> {
        self.provider.queues().waiting(&queue.into())
    }

    /// The dead letters of a queue: events that were rejected, or failed at their last attempt.
    ///
    /// `queue` is the name of a topic, a topic and a subscription, or an [`EventQueue`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::pub_sub::Message;
    /// use isobar_abstraction::{App, Cloud, Context, EventQueue, ObjectEvent, Outcome, TestClient};
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     let jobs = cloud.topic("jobs");
    ///     App::new("worker")
    ///         .on_message(jobs.subscription("audit"), async |_: Message<u32>, _: Context| Outcome::reject("no jobs today"))
    ///         .on_object(&cloud.bucket("pages"), async |_: ObjectEvent, _: Context| Outcome::reject("no pages today"))
    /// }
    ///
    /// let client = TestClient::new(app)?;
    /// client.publish("jobs", 7).await?;
    /// client.cloud().bucket("pages").put("index.html", "<h1>hi</h1>").await?;
    /// client.deliver_all().await?;
    /// let dead = client.dead_letters(("jobs", "audit"));
    /// assert_eq!((dead[0].reason.as_str(), dead[0].body.as_ref()), ("no jobs today", &b"7"[..]));
    /// assert_eq!(client.dead_letters(EventQueue::bucket("pages"))[0].reason, "no pages today");
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn dead_letters(&self, queue: impl Into<EventQueue>) -> Vec<DeadLetter> {
        self.provider.queues().dead_letters(&queue.into())
    }

    /// Moves the dead letters of a queue back to it, with attempt 1. Returns their number. Other queues of the same source do
    /// not receive them again.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::pub_sub::Message;
    /// use isobar_abstraction::{App, Cloud, Context, Outcome, TestClient};
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     let rates = cloud.table::<u32>("rates");
    ///     App::new("worker").on_message(&cloud.topic("jobs"), move |_: Message<u32>, _: Context| {
    ///         let rates = rates.clone();
    ///         async move {
    ///             match rates.get("EUR").await {
    ///                 Ok(Some(_)) => Outcome::Ack,
    ///                 _ => Outcome::reject("no rate"),
    ///             }
    ///         }
    ///     })
    /// }
    ///
    /// let client = TestClient::new(app)?;
    /// client.publish("jobs", 7).await?;
    /// assert_eq!(client.deliver_all().await?.dead, 1);
    /// client.cloud().table("rates").put("EUR", &2).await?;
    /// assert_eq!(client.redrive("jobs"), 1);
    /// assert_eq!(client.deliver_all().await?.acked, 1);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn redrive(&self, queue: impl Into<EventQueue>) -> usize {
        self.provider.queues().redrive(&queue.into(), self.clock().now())
    }

    /// Delivers the due events of each queue of an app like a platform: one call for each event, and of each ordering key
    /// only the oldest.
    async fn deliver_to(&self, app: &Started, total: &mut Delivered) -> Result<()> {
        for (queue, retry) in app.manifest.queues() {
            self.deliver(app, &queue, retry, total).await?;
        }
        Ok(())
    }

    async fn deliver(
        &self,
        app: &Started,
        queue: &EventQueue,
        retry: RetryPolicy,
        total: &mut Delivered,
    ) -> Result<()> {
        let queues = self.provider.queues();
        let leased = queues.lease(queue, self.clock().now(), PARALLEL);
        let deliver = async |leased: Leased| {
            let cx = app.event_context().with_attempt(leased.message.attempt);
            let outcome = host::deliver(&app.app, queue.event(leased.message.clone())?, cx).await;
            Ok::<_, Error>((leased, outcome))
        };
        for delivered in join_all(leased.into_iter().map(deliver)).await {
            let (leased, outcome) = delivered?;
            let longest = self.provider.profile().limits.longest_retry(leased.message.ordering_key.as_deref());
            let settlement = retry.settle(leased.message.attempt, outcome, longest);
            match &settlement {
                Settlement::Done => total.acked += 1,
                Settlement::Retry(_) => total.retried += 1,
                Settlement::DeadLetter(_) => total.dead += 1,
            }
            queues.settle(queue, leased, settlement, self.clock().now());
        }
        Ok(())
    }
}
