//! The client: which calls are retried, and for how long.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use isobar_abstraction::driver::{Clock, current_deadline};
use isobar_abstraction::{Error, ErrorKind, Result};
use tokio::time::timeout;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug, debug_span};

use crate::failure::{Again, Failure};
use crate::payload::RequestBody;
use crate::retry::{Budget, COST, COST_OF_TIMEOUT, backoff, retry_after};
use crate::service_error::mark_uncertain;
use crate::stream::StreamBody;
use crate::transport::{Outgoing, Transport};
use crate::{Call, ClientConfig, RetryDecision, Safety, ServiceError, ServiceResult};

/// The HTTP client. Cheap to create and to clone: it reads certificates and connects at first use.
///
/// All clones share one pool and one retry budget: a bucket of 500 tokens, of which a retry takes 5,
/// or 10 after a timeout. A call that succeeds returns 1, or the tokens of its last retry. While the
/// bucket is empty nothing is retried.
#[derive(Clone)]
pub struct Client(Arc<State>);

struct State {
    config: ClientConfig,
    clock: Arc<dyn Clock>,
    transport: Transport,
    budget: Budget,
}

impl Client {
    /// A client with a new pool. The clock is used for deadlines, dates and the waits between
    /// attempts; timeouts are those of the tokio runtime.
    pub fn new(config: ClientConfig, clock: Arc<dyn Clock>) -> Self {
        let transport = Transport::new(config.clone(), Arc::clone(&clock));
        Self(Arc::new(State { config, clock, transport, budget: Budget::default() }))
    }

    /// Makes a call, and repeats it where that is safe and may help.
    ///
    /// It ends before the deadline of its invocation
    /// ([`current_deadline`](isobar_abstraction::driver::current_deadline)). Where retries are used up, or the
    /// invocation leaves no time for one, it returns the last service error.
    ///
    /// A success is a type of `http`, whose `Debug` shows headers and body: they may be secrets, so do not log it.
    ///
    /// Errors, with `outcome_unknown` if an attempt of a write may have been applied:
    /// - `Unavailable`: no connection, or no complete response.
    /// - `Timeout`: no complete response in time, or no time for another attempt.
    /// - `TooLarge`: the response has more than `max_response_bytes`.
    /// - `Config`: the URL, a proxy or the CA bundle is wrong.
    /// - the errors of [`Service::authorize`](crate::Service::authorize), which are not retried.
    pub async fn call(&self, call: Call<'_>) -> Result<ServiceResult<Response<Bytes>>> {
        match self.make(call, Reading::Buffered).await? {
            Reply::Buffered(response) => Ok(Ok(response)),
            Reply::Error(service_error) => Ok(Err(*service_error)),
            Reply::Stream(_) => {
                Err(Error::internal("bug in isobar: a buffered response was streamed; please report it"))
            }
        }
    }

    /// Like [`call`](Self::call), but the body of a success is returned as a stream, of any size. An
    /// interruption is an error of the body; only the caller can repeat the call then
    /// ([`pause`](Self::pause)).
    pub async fn open(&self, call: Call<'_>) -> Result<ServiceResult<Response<StreamBody>>> {
        match self.make(call, Reading::Stream).await? {
            Reply::Stream(response) => Ok(Ok(response)),
            Reply::Error(service_error) => Ok(Err(*service_error)),
            Reply::Buffered(response) => Ok(Err(ServiceError::new(&response, "", ""))),
        }
    }

    async fn make(&self, call: Call<'_>, reading: Reading) -> Result<Reply> {
        let host = call.request.uri().host();
        let span = debug_span!("call", operation = call.operation, host, status = Empty, retries = Empty);
        let mut state = CallState::new(&self.0, call, reading);
        let outcome = state.run().instrument(span.clone()).await;
        state.record(&span, &outcome);
        state.settle(outcome)
    }

    /// Waits before retry `number`, counted from 1, of a call that the caller repeats. Returns `false`,
    /// without a wait, where no retry is left: the attempts, the retry budget or the invocation's time
    /// are used up.
    pub async fn pause(&self, number: u32) -> bool {
        let wait = backoff(&self.0.config, number, None);
        let late = self.0.left(current_deadline()).is_some_and(|left| left <= wait);
        if late || number >= self.0.config.max_attempts || !self.0.budget.take(COST) {
            return false;
        }
        self.0.clock.pause(wait).await;
        true
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.0.config).field("budget", &self.0.budget).finish_non_exhaustive()
    }
}

impl State {
    /// The time until the deadline of the invocation.
    fn left(&self, deadline: Option<SystemTime>) -> Option<Duration> {
        deadline.map(|deadline| deadline.duration_since(self.clock.now()).unwrap_or_default())
    }
}

/// How the response to a call is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Buffered,
    /// The body of a success is a stream.
    Stream,
}

/// The response to an attempt.
enum Reply {
    Buffered(Response<Bytes>),
    Stream(Response<StreamBody>),
    Error(Box<ServiceError>),
}

impl Reply {
    fn status(&self) -> StatusCode {
        match self {
            Self::Buffered(response) => response.status(),
            Self::Stream(response) => response.status(),
            Self::Error(service_error) => service_error.status(),
        }
    }
}

/// The most bytes that are read of a response that is no success.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The state of one call over its attempts.
struct CallState<'a> {
    client: &'a State,
    call: Call<'a>,
    reading: Reading,
    deadline: Option<SystemTime>,
    retries: u32,
    /// The tokens that the last retry took from the budget.
    paid: u32,
    /// Whether an attempt on a dead pooled connection was repeated: only one is, without a wait.
    reconnected: bool,
    /// Whether credentials were rejected and others found.
    renewed: bool,
    /// Whether a write may have been applied without a complete and successful response.
    uncertain: bool,
}

/// The result of an attempt.
type Outcome = Result<Reply>;

/// When the next attempt is made.
enum Next {
    Immediately,
    After { requested: Option<Duration>, cost: u32 },
}

impl<'a> CallState<'a> {
    fn new(client: &'a State, call: Call<'a>, reading: Reading) -> Self {
        let deadline = current_deadline();
        Self {
            client,
            call,
            reading,
            deadline,
            retries: 0,
            paid: 0,
            reconnected: false,
            renewed: false,
            uncertain: false,
        }
    }

    async fn run(&mut self) -> Outcome {
        loop {
            let (outcome, next) = self.decide(self.attempt().await).await;
            match next {
                None => return outcome,
                Some(Next::Immediately) => {}
                Some(Next::After { requested, cost }) => {
                    let wait = backoff(&self.client.config, self.retries + 1, requested);
                    if self.retries + 1 >= self.client.config.max_attempts {
                        return outcome;
                    }
                    if self.client.left(self.deadline).is_some_and(|left| left <= wait) {
                        return outcome.map_err(no_time);
                    }
                    if !self.client.budget.take(cost) {
                        return outcome;
                    }
                    self.paid = cost;
                    self.retries += 1;
                    self.client.clock.pause(wait).await;
                }
            }
        }
    }

    async fn authorized(&self) -> Result<Outgoing> {
        let Call { request, service, .. } = &self.call;
        let (mut parts, body) = request.clone().into_parts();
        let late = || Error::new(ErrorKind::Timeout, "the invocation's deadline passed before credentials were found");
        self.in_time(service.authorize(&mut parts, &body)).await.ok_or_else(late)??;
        Ok(Request::from_parts(parts, RequestBody::from(body)))
    }

    /// `None` where the invocation ends first.
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match self.client.left(self.deadline) {
            None => Some(work.await),
            Some(left) => timeout(left, work).await.ok(),
        }
    }

    async fn attempt(&self) -> Result<Reply, Failure> {
        let request = self.authorized().await.map_err(Failure::unsent)?;
        let started = self.client.clock.now();
        let response = self.send(request).await;
        let took = || self.client.clock.now().duration_since(started).unwrap_or_default();
        match &response {
            Ok(response) => debug!(attempt = self.retries + 1, status = response.status().as_u16(), took = ?took()),
            Err(failure) => debug!(attempt = self.retries + 1, error = ?failure.error, took = ?took()),
        }
        response
    }

    async fn send(&self, request: Outgoing) -> Result<Reply, Failure> {
        let left = self.client.left(self.deadline);
        let response = match self.reading {
            Reading::Buffered => self.client.transport.exchange(request, left).await?,
            Reading::Stream => {
                let response = self.client.transport.stream(request, left).await?;
                if response.status().is_success() {
                    return Ok(Reply::Stream(response));
                }
                Transport::service_error(response, MAX_ERROR_BYTES).await?
            }
        };
        let service_error = self.call.service.service_error(&response);
        Ok(service_error.map_or(Reply::Buffered(response), |service_error| Reply::Error(Box::new(service_error))))
    }

    /// The result of an attempt, and when the next one is made; `None` for no further attempt.
    async fn decide(&mut self, attempt: Result<Reply, Failure>) -> (Outcome, Option<Next>) {
        match attempt {
            Ok(Reply::Error(service_error)) => {
                let next = self.after_service_error(&service_error).await;
                (Ok(Reply::Error(service_error)), next)
            }
            Ok(response) => {
                self.client.budget.succeeded(self.paid);
                (Ok(response), None)
            }
            Err(failure) => {
                let next = self.after_failure(&failure);
                (Err(failure.error), next)
            }
        }
    }

    async fn after_service_error(&mut self, service_error: &ServiceError) -> Option<Next> {
        let requested = || retry_after(&service_error.response, self.client.clock.now());
        match service_error.decision {
            RetryDecision::Final
                if !self.renewed && self.in_time(self.call.service.renew(service_error)).await == Some(true) =>
            {
                self.renewed = true;
                Some(Next::Immediately)
            }
            RetryDecision::Final => {
                self.client.budget.succeeded(self.paid);
                None
            }
            RetryDecision::Throttled { after } => Some(Next::After { requested: after.or_else(requested), cost: COST }),
            RetryDecision::Failed if self.call.safety == Safety::Once => {
                self.uncertain = true;
                None
            }
            RetryDecision::Failed => {
                let next = Next::After { requested: requested(), cost: COST };
                self.uncertain |= self.call.safety != Safety::Read;
                Some(next)
            }
        }
    }

    fn after_failure(&mut self, failure: &Failure) -> Option<Next> {
        self.uncertain |= failure.sent && self.call.safety != Safety::Read;
        if failure.sent && self.call.safety == Safety::Once {
            return None;
        }
        let cost = if failure.error.kind() == ErrorKind::Timeout { COST_OF_TIMEOUT } else { COST };
        match failure.again {
            Again::Never => None,
            Again::Immediately if !self.reconnected => {
                self.reconnected = true;
                Some(Next::Immediately)
            }
            Again::Immediately | Again::Later => Some(Next::After { requested: None, cost }),
        }
    }

    fn record(&self, span: &Span, outcome: &Outcome) {
        span.record("retries", self.retries);
        if let Ok(response) = outcome {
            span.record("status", response.status().as_u16());
        }
    }

    fn settle(self, outcome: Outcome) -> Result<Reply> {
        match outcome {
            Ok(Reply::Error(service_error)) => {
                Ok(Reply::Error(Box::new(ServiceError { uncertain: self.uncertain, ..*service_error })))
            }
            outcome => outcome.map_err(|error| mark_uncertain(error, self.uncertain)),
        }
    }
}

fn no_time(last: Error) -> Error {
    Error::new(ErrorKind::Timeout, "the invocation's deadline leaves no time for another attempt").with_source(last)
}
