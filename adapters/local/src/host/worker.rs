//! Workers: one for each queue that the app handles.

use std::cmp::Ordering;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use isobar_abstraction::driver::host::deliver;
use isobar_abstraction::driver::{Clock, Function, Limits, RetryPolicy};
use isobar_abstraction::{Context, Error, Event, EventQueue, Outcome, Result};
use tokio::task::JoinSet;

use super::Stop;
use crate::chaos::{Chaos, calm};
use crate::event;
use crate::history::{Ending, History, Running};
use crate::pub_sub::{Leased, Queue};

/// The most events of one queue that are handled concurrently.
const CONCURRENCY: usize = 64;

/// How long a task sleeps before it looks at the clock again, which may have been set meanwhile, or may have
/// gone on while the machine was suspended.
pub(super) const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Delivers the events of one queue.
#[derive(Clone)]
pub(super) struct Worker {
    /// The queue with the logical name of its source.
    pub(super) of: EventQueue,
    /// The same with the physical name.
    pub(super) stored: EventQueue,
    pub(super) retry: RetryPolicy,
    pub(super) queue: Queue,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) function: Arc<dyn Function>,
    pub(super) limits: &'static Limits,
    pub(super) chaos: Option<Arc<Chaos>>,
    pub(super) history: History,
}

impl Worker {
    /// Runs until the host stops, then ends what it began.
    pub(super) async fn run(self, mut stop: Stop) -> Result<()> {
        let mut running = JoinSet::new();
        loop {
            // Made before the look at the queue: what comes after that look is not missed.
            let changed = self.queue.changed();
            let changed = changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            for leased in self.queue.lease(&self.stored, CONCURRENCY - running.len()).await? {
                let worker = self.clone();
                running.spawn(async move { worker.handle(leased).await });
            }
            let idle = self.idle(running.len());
            tokio::select! {
                () = &mut changed, if running.len() < CONCURRENCY => {}
                ended = running.join_next(), if !running.is_empty() => report(ended)?,
                () = idle => {}
                () = stop.wait() => break,
            }
            while let Some(ended) = running.try_join_next() {
                report(Some(ended))?;
            }
        }
        while let Some(ended) = running.join_next().await {
            report(Some(ended))?;
        }
        Ok(())
    }

    /// Ends when the next event is due.
    async fn idle(&self, running: usize) {
        match self.queue.next_due(&self.stored) {
            Ok(Some(due)) if running < CONCURRENCY => {
                let wait = due.duration_since(self.clock.now()).unwrap_or_default();
                self.clock.sleep(wait.min(LONGEST_SLEEP)).await;
            }
            _ => std::future::pending().await,
        }
    }

    async fn handle(&self, leased: Leased) -> Result<()> {
        let message = leased.message.clone();
        let attempt = message.attempt;
        let span = tracing::info_span!("queue", queue = %self.of, id = message.id.as_str());
        let cx = event::context(&self.clock, self.limits.event_timeout).with_attempt(attempt);
        let (outcome, running) = match self.of.event(message) {
            Ok(event) => {
                let running = self.history.begin(&event, &cx, false);
                (running.run(pin!(self.deliver(event, cx))).await, running)
            }
            Err(error) => {
                let reason = format!("the stored event cannot be read: {}", error.message());
                (Outcome::reject(reason), Running::default())
            }
        };
        let longest = self.limits.longest_retry(leased.message.ordering_key.as_deref());
        let settlement = span.in_scope(|| self.retry.settle(attempt, outcome.clone(), longest));
        let settlement = match &self.chaos {
            Some(chaos) => {
                let attempts = (attempt, self.retry.max_attempts);
                chaos.settle(&self.stored, leased.sequence, attempts, settlement)
            }
            None => settlement,
        };
        let ending = Ending::of_settlement(&settlement, &outcome);
        let settled = self.queue.settle(&self.stored, vec![(leased, settlement)]).await;
        running.end(ending);
        settled
    }

    async fn deliver(&self, event: Event, cx: Context) -> Outcome {
        let function = self.function.as_ref();
        match cx.attempt().cmp(&self.retry.max_attempts) {
            Ordering::Less => deliver(function, event, cx).await,
            Ordering::Equal => calm(deliver(function, event, cx)).await,
            // A handler that ends the process has no outcome, and must not do that at every start.
            Ordering::Greater => Outcome::retry("the process ended during the last one"),
        }
    }
}

/// What cannot be settled stays leased and comes again at the next start, so the host ends for it.
fn report(ended: Option<Result<Result<()>, tokio::task::JoinError>>) -> Result<()> {
    let broken = |error| {
        Error::internal("bug in isobar: the delivery of an event panicked; please report it, and start the app again")
            .with_source(error)
    };
    ended.map_or(Ok(()), |ended| ended.map_err(broken)?)
}
